//! The number of blocks for an interval of a wanted width.

use super::distribution::t_quantile;
use super::order::MIN_BLOCKS;

/// Blocks with which an interval that is `width_now` wide at `blocks` blocks becomes `width_wanted` wide, both in the
/// same unit; at least [`MIN_BLOCKS`].
///
/// The width of the expanded percentile interval is proportional to t(0.975, n − 1) / √(n − 1). The result is
/// `usize::MAX` when no number of blocks is enough: a wanted width of 0 or less, or a width that is NaN.
pub fn blocks_needed(blocks: usize, width_now: f64, width_wanted: f64) -> usize {
    let factor = |n: usize| t_quantile(0.975, n - 1) / ((n - 1) as f64).sqrt();
    let wanted = width_wanted / width_now * factor(blocks.max(2));
    if wanted.is_nan() || wanted <= 0.0 {
        return usize::MAX;
    }
    let (mut low, mut high) = (MIN_BLOCKS, 1usize << 40);
    if factor(high) > wanted {
        return usize::MAX;
    }
    while low < high {
        let middle = (low + high) / 2;
        if factor(middle) <= wanted { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_times_the_blocks_halve_the_width() {
        // Nearly, for many blocks; with few blocks less than four times as many do, as t falls too.
        assert!((3_990..=4_010).contains(&blocks_needed(1_000, 2.0, 1.0)), "{}", blocks_needed(1_000, 2.0, 1.0));
        let few = blocks_needed(6, 2.0, 1.0);
        // t(0.975, 5)/√5 = 1.150; half of it is 0.575: t(0.975, 13)/√13 = 0.599, t(0.975, 14)/√14 = 0.573.
        assert_eq!(few, 15);
    }

    #[test]
    fn what_is_narrow_enough_needs_no_more() {
        assert_eq!(blocks_needed(30, 1.0, 1.0), 30);
        assert!(blocks_needed(30, 1.0, 1.5) < 30);
        assert_eq!(blocks_needed(30, 1.0, 100.0), MIN_BLOCKS);
        assert_eq!(blocks_needed(30, 0.0, 1.0), MIN_BLOCKS);
    }

    #[test]
    fn no_number_of_blocks_is_enough_for_nothing() {
        assert_eq!(blocks_needed(30, 1.0, 0.0), usize::MAX);
        assert_eq!(blocks_needed(30, 1.0, -1.0), usize::MAX);
        assert_eq!(blocks_needed(30, f64::NAN, 1.0), usize::MAX);
        assert_eq!(blocks_needed(30, 1e12, 1e-12), usize::MAX);
    }
}
