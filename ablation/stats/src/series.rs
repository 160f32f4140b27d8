//! One value a block for each contrast, bootstrapped on its own.

use super::bootstrap::{Drawn, weights};
use super::order::{TRIM, trimmed_mean};

/// One value a block, sorted by value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    sorted: Vec<(f64, usize)>,
}

impl Series {
    /// From (block index, value) pairs; values that are no finite numbers are left out.
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

    /// The values, sorted.
    pub fn values(&self) -> Vec<f64> {
        self.sorted.iter().map(|(value, _)| *value).collect()
    }

    /// 20 % trimmed mean; NaN for no values.
    pub(super) fn point(&self) -> f64 {
        trimmed_mean(&self.values(), TRIM).unwrap_or(f64::NAN)
    }

    /// 20 % trimmed mean where block `b` counts `weights[b]` times; NaN when no block counts.
    pub(super) fn weighted_point(&self, weights: &[u32]) -> f64 {
        let total: u64 = self.sorted.iter().map(|(_, block)| u64::from(weights[*block])).sum();
        let cut = (TRIM * total as f64).floor() as u64;
        let (from, to) = (cut, total - cut);
        let mut seen = 0;
        let mut sum = 0.0;
        for (value, block) in &self.sorted {
            let next = seen + u64::from(weights[*block]);
            let kept = next.min(to).saturating_sub(seen.max(from));
            if kept > 0 {
                sum += value * kept as f64;
            }
            seen = next;
        }
        sum / (to - from) as f64
    }
}

/// Draws `draws` times as many blocks as there are, with replacement, and computes the trimmed mean of every series in
/// every draw. `blocks` is one more than the highest block index of the series.
///
/// The same seed gives the same numbers, whatever the number of series.
pub fn draw(series: &[Series], blocks: usize, draws: usize, seed: u64) -> Vec<Drawn> {
    let weights = weights(blocks, draws, seed);
    let of = |s: &Series| (0..draws).map(|d| s.weighted_point(&weights[d * blocks..(d + 1) * blocks])).collect();
    series.iter().map(|s| Drawn::new(s.point(), s.len(), of(s))).collect()
}
