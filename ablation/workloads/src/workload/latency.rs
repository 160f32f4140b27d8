//! From timed batches to nanoseconds per operation: percentiles and mean.

use serde::Serialize;

/// Nanoseconds per operation. All 0 when nothing was measured, because JSON has no other number for it; `samples` says
/// so.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(crate) struct Latency {
    /// Number of values that the percentiles are over.
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
    /// Nanoseconds per operation of each batch, in their order, rounded to picoseconds, which is what a line of text
    /// needs and more than a batch can tell.
    pub(crate) fn each(batch_ns: &[u64], batch: u64) -> Vec<f64> {
        batch_ns.iter().map(|ns| rounded(*ns as f64 / batch as f64)).collect()
    }

    /// Over batches of `batch` operations, each of which took the given nanoseconds. Sorts them.
    pub(crate) fn of(batch_ns: &mut [u64], batch: u64) -> Latency {
        if batch_ns.is_empty() {
            return Latency::default();
        }
        batch_ns.sort_unstable();
        let batch = batch as f64;
        Latency {
            samples: batch_ns.len() as u64,
            latency_ns_p10: percentile(batch_ns, 0.10) / batch,
            latency_ns_p50: percentile(batch_ns, 0.50) / batch,
            latency_ns_p99: percentile(batch_ns, 0.99) / batch,
            latency_ns_mean: batch_ns.iter().map(|ns| *ns as f64).sum::<f64>() / batch_ns.len() as f64 / batch,
        }
    }
}

/// To three decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Sample quantile of type 7 (Hyndman and Fan, "Sample quantiles in statistical packages", 1996): linear between the
/// two neighbours of position `p (n - 1)`. `sorted` is not empty.
fn percentile(sorted: &[u64], p: f64) -> f64 {
    let position = p * (sorted.len() - 1) as f64;
    let below = position.floor();
    let at = sorted[below as usize] as f64;
    let next = sorted[(below as usize + 1).min(sorted.len() - 1)] as f64;
    at + (next - at) * (position - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_type_7() {
        // R: quantile(c(1, 2, 3, 4, 10), c(.1, .5, .99), type = 7)
        let sorted = [1, 2, 3, 4, 10];
        assert!((percentile(&sorted, 0.10) - 1.4).abs() < 1e-12);
        assert!((percentile(&sorted, 0.50) - 3.0).abs() < 1e-12);
        assert!((percentile(&sorted, 0.99) - 9.76).abs() < 1e-12);
        assert_eq!(percentile(&[7], 0.99), 7.0);
    }

    #[test]
    fn a_batch_is_divided_by_its_operations() {
        let latency = Latency::of(&mut [300, 100, 200], 10);
        assert_eq!((latency.samples, latency.latency_ns_p50, latency.latency_ns_mean), (3, 20.0, 20.0));
    }

    #[test]
    fn each_batch_keeps_its_place() {
        assert_eq!(Latency::each(&[20, 10, 7], 3), [6.667, 3.333, 2.333]);
    }

    #[test]
    fn nothing_measured_is_zero_with_no_samples() {
        assert_eq!(Latency::of(&mut [], 10), Latency::default());
    }
}
