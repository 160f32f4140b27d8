//! From timed batches to nanoseconds per operation: percentiles and mean.

use ablate_probe::percentile;
use serde::Serialize;

/// Nanoseconds per operation. Without samples all are 0, because JSON has no NaN.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(crate) struct Latency {
    /// Number of timed values.
    pub(crate) samples: u64,
    /// 10th percentile.
    pub(crate) latency_ns_p10: f64,
    /// Median.
    pub(crate) latency_ns_p50: f64,
    /// 99th percentile.
    pub(crate) latency_ns_p99: f64,
    /// Mean.
    pub(crate) latency_ns_mean: f64,
}

impl Latency {
    /// Nanoseconds per operation of each batch, in their order, rounded to picoseconds: finer than a batch can resolve.
    pub(crate) fn each(batch_ns: &[u64], batch: u64) -> Vec<f64> {
        batch_ns.iter().map(|ns| rounded(*ns as f64 / batch as f64)).collect()
    }

    /// The percentiles and the mean of timed values, each the nanoseconds of `batch` operations.
    pub(crate) fn of(batch_ns: &[u64], batch: u64) -> Latency {
        if batch_ns.is_empty() {
            return Latency::default();
        }
        let mut sorted: Vec<f64> = batch_ns.iter().map(|ns| *ns as f64).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let batch = batch as f64;
        Latency {
            samples: batch_ns.len() as u64,
            latency_ns_p10: percentile(&sorted, 0.10) / batch,
            latency_ns_p50: percentile(&sorted, 0.50) / batch,
            latency_ns_p99: percentile(&sorted, 0.99) / batch,
            latency_ns_mean: sorted.iter().sum::<f64>() / sorted.len() as f64 / batch,
        }
    }
}

/// Rounds to three decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_divided_by_its_operations() {
        let latency = Latency::of(&[300, 100, 200], 10);
        assert_eq!((latency.samples, latency.latency_ns_p50, latency.latency_ns_mean), (3, 20.0, 20.0));
        assert_eq!((latency.latency_ns_p10, latency.latency_ns_p99), (12.0, 29.8));
    }

    #[test]
    fn each_batch_keeps_its_place() {
        assert_eq!(Latency::each(&[20, 10, 7], 3), [6.667, 3.333, 2.333]);
    }

    #[test]
    fn nothing_measured_is_zero_with_no_samples() {
        assert_eq!(Latency::of(&[], 10), Latency::default());
    }
}
