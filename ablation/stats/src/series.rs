//! Series of one value per block, each bootstrapped by itself.

use super::bootstrap::Drawn;
use super::order::{TRIM, trimmed_mean};
use super::resamples::Resamples;

/// One value per block.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// (value, block index) in ascending order of the values.
    sorted: Vec<(f64, usize)>,
}

impl Series {
    /// A series from (block index, value) pairs. Values that are not finite are left out.
    pub fn new(values: impl IntoIterator<Item = (usize, f64)>) -> Series {
        let mut sorted: Vec<(f64, usize)> =
            values.into_iter().filter(|(_, value)| value.is_finite()).map(|(block, value)| (value, block)).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Series { sorted }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The values in ascending order.
    pub fn values(&self) -> Vec<f64> {
        self.sorted.iter().map(|(value, _)| *value).collect()
    }

    /// 20 % trimmed mean; NaN for no values.
    pub(super) fn point(&self) -> f64 {
        trimmed_mean(&self.values(), TRIM).unwrap_or(f64::NAN)
    }

    /// 20 % trimmed mean where block `b` counts `weight(b)` times; NaN when no block counts.
    pub(super) fn weighted_point(&self, weight: impl Fn(usize) -> u32) -> f64 {
        let total: u64 = self.sorted.iter().map(|(_, block)| u64::from(weight(*block))).sum();
        let cut = (TRIM * total as f64).floor() as u64;
        let (from, to) = (cut, total - cut);
        let mut seen = 0;
        let mut sum = 0.0;
        for (value, block) in &self.sorted {
            let next = seen + u64::from(weight(*block));
            let kept = next.min(to).saturating_sub(seen.max(from));
            if kept > 0 {
                sum += value * kept as f64;
            }
            seen = next;
        }
        sum / (to - from) as f64
    }
}

/// Draws `blocks` blocks with replacement, `draws` times, and computes the 20 % trimmed mean of every series in every
/// draw. `blocks` is one more than the highest block index of the series, at most 65,535. One result for each series.
///
/// The draws of blocks depend on `blocks`, `draws` and `seed` only, not on the series.
///
/// # Panics
/// When a series has a block index of `blocks` or more.
pub fn draw(series: &[Series], blocks: usize, draws: usize, seed: u64) -> Vec<Drawn> {
    let resamples = Resamples::new(blocks, draws, seed);
    let of = |s: &Series| (0..draws).map(|draw| s.weighted_point(|block| resamples.weight(draw, block))).collect();
    series.iter().map(|s| Drawn::new(s.point(), s.len(), of(s))).collect()
}
