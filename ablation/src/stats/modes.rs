//! Whether values fall into two modes.

use super::order::sorted;

/// Two modes of a set of values, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Modes {
    /// Mean of the lower mode.
    pub low: f64,
    /// Mean of the upper mode.
    pub high: f64,
    /// Share of the values in the lower mode, 0.1..=0.9.
    pub low_share: f64,
}

/// The two modes of values that have two.
pub fn bimodal(values: &[f64]) -> Option<Modes> {
    let values = sorted(values);
    let n = values.len();
    let least = (n as f64 * 0.1).ceil().max(3.0) as usize;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let squares = |part: &[f64]| {
        let mean = mean(part);
        part.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>()
    };
    let cost = |at: usize| squares(&values[..at]) + squares(&values[at..]);
    let at = (least..(n + 1).saturating_sub(least)).min_by(|a, b| cost(*a).total_cmp(&cost(*b)))?;
    let (low, high) = values.split_at(at);
    let gap = high[0] - low[at - 1];
    let width = (low[at - 1] - low[0]).max(high[high.len() - 1] - high[0]);
    (gap > width).then(|| Modes { low: mean(low), high: mean(high), low_share: at as f64 / n as f64 })
}
