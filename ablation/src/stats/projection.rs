//! What more blocks would buy.

use super::MIN_BLOCKS;
use super::distribution::t_quantile;

/// Blocks with which an interval that is `width_now` wide at `blocks` blocks becomes `width_wanted` wide, at least
/// [`MIN_BLOCKS`].
///
/// The width of the expanded percentile interval goes with t(0.975, n − 1) / √(n − 1). The answer is `usize::MAX` when
/// no number of blocks is enough (a wanted width of 0, or a width that is no number).
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
