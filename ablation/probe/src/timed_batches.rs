//! Batches of operations, each timed as a whole, with the contention probe before the first and after each.

use crate::contention::contention_probe_ns;
use std::time::Instant;

/// Contention probes that are taken and discarded first. They page in the probe's code and the clock's, and wake a
/// processor that slept.
const WARM_UP: usize = 8;

/// Times of equal batches of operations, with the contention probe before the first batch and after each.
///
/// A batch should take 20 µs or more: reading the clock takes about 20 ns, and the probe between two batches takes up
/// to 10 µs that measure nothing of the program.
#[derive(Debug, Clone)]
pub struct TimedBatches {
    operations: u64,
    wanted: usize,
    with_contention_probes: bool,
    ns: Vec<f64>,
    probes: Vec<f64>,
}

impl TimedBatches {
    /// Prepares to time `wanted` batches of `operations` operations each, with contention probes.
    ///
    /// # Panics
    /// When `operations` is 0: times per operation would not exist.
    pub fn new(wanted: usize, operations: u64) -> TimedBatches {
        let batches = TimedBatches {
            with_contention_probes: true,
            probes: touched(wanted + 1),
            ..Self::plain(wanted, operations)
        };
        for _ in 0..WARM_UP {
            contention_probe_ns();
        }
        batches
    }

    /// Prepares the same without contention probes: for programs whose own threads work meanwhile, for batches of a
    /// single operation, and for runs that are counted and not timed.
    ///
    /// # Panics
    /// When `operations` is 0.
    pub fn without_contention_probes(wanted: usize, operations: u64) -> TimedBatches {
        // The first reading of the clock pages in its code.
        std::hint::black_box(Instant::now());
        Self::plain(wanted, operations)
    }

    fn plain(wanted: usize, operations: u64) -> TimedBatches {
        assert!(operations > 0, "a batch needs at least one operation");
        TimedBatches { operations, wanted, with_contention_probes: false, ns: touched(wanted), probes: Vec::new() }
    }

    /// Whether fewer batches were timed than [`TimedBatches::new`] was given.
    pub fn is_wanted(&self) -> bool {
        self.ns.len() < self.wanted
    }

    /// Runs one batch, records how long it took, and returns its result.
    pub fn time<R>(&mut self, batch: impl FnOnce() -> R) -> R {
        if self.with_contention_probes && self.probes.is_empty() {
            self.probes.push(contention_probe_ns());
        }
        let before = Instant::now();
        let result = batch();
        self.ns.push(before.elapsed().as_nanos() as f64);
        if self.with_contention_probes {
            self.probes.push(contention_probe_ns());
        }
        result
    }

    /// Operations of all batches timed so far.
    pub fn operations(&self) -> u64 {
        self.operations * self.ns.len() as u64
    }

    /// Nanoseconds per operation of every batch, in the order of their timing.
    pub fn batches_ns(&self) -> Vec<f64> {
        self.ns.iter().map(|ns| ns / self.operations as f64).collect()
    }

    /// The contention probes, nanoseconds per step: one more than batches; none without probes or before the first
    /// batch.
    pub fn contention_probes_ns(&self) -> &[f64] {
        &self.probes
    }
}

/// An empty vector with capacity for `len` values, whose OS pages are resident already: storing a value faults none in.
fn touched(len: usize) -> Vec<f64> {
    // Not 0.0: the allocator may answer that with untouched pages of zeros.
    let mut values = vec![f64::MAX; len];
    std::hint::black_box(&mut values);
    values.clear();
    values
}

/// Sample quantile of type 7 (Hyndman and Fan, "Sample quantiles in statistical packages", 1996): linear between the
/// two neighbours of position `p (n - 1)`.
///
/// `sorted` is in ascending order; `p` is a share, clamped to 0 to 1. Returns 0 without values, as the line does.
///
/// `ablate-stats` has the same quantile. It stands here a second time because measured programs depend on this crate,
/// and it must bring nothing else into them.
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor();
    let (at, next) = (sorted[below as usize], sorted[(below as usize + 1).min(last)]);
    at + (next - at) * (position - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_has_its_probes() {
        let mut batches = TimedBatches::new(3, 10);
        assert_eq!((batches.contention_probes_ns().len(), batches.operations()), (0, 0));
        let mut calls = 0;
        while batches.is_wanted() {
            batches.time(|| calls += 1);
        }
        assert_eq!((calls, batches.operations()), (3, 30));
        assert_eq!((batches.batches_ns().len(), batches.contention_probes_ns().len()), (3, 4));
        assert!(batches.contention_probes_ns().iter().all(|probe| *probe > 0.0));
    }

    #[test]
    fn times_are_per_operation_and_results_come_back() {
        let mut batches = TimedBatches::without_contention_probes(1, 1_000_000);
        let result = batches.time(|| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            "done"
        });
        assert_eq!((result, batches.contention_probes_ns().len()), ("done", 0));
        assert!(batches.batches_ns()[0] >= 5.0, "{:?}", batches.batches_ns());
    }

    #[test]
    fn memory_is_requested_before_the_first_batch() {
        let mut batches = TimedBatches::new(2, 1);
        let (ns, probes) = (batches.ns.as_ptr(), batches.probes.as_ptr());
        while batches.is_wanted() {
            batches.time(|| ());
        }
        assert_eq!((ns, probes), (batches.ns.as_ptr(), batches.probes.as_ptr()));
    }

    #[test]
    #[should_panic(expected = "at least one operation")]
    fn a_batch_of_nothing_is_refused() {
        TimedBatches::new(1, 0);
    }

    #[test]
    fn percentiles_are_those_of_type_7() {
        // R: quantile(c(1, 2, 3, 4, 10), c(.1, .5, .99), type = 7)
        let sorted = [1.0, 2.0, 3.0, 4.0, 10.0];
        assert!((percentile(&sorted, 0.10) - 1.4).abs() < 1e-12);
        assert!((percentile(&sorted, 0.50) - 3.0).abs() < 1e-12);
        assert!((percentile(&sorted, 0.99) - 9.76).abs() < 1e-12);
        assert_eq!((percentile(&[7.0], 0.99), percentile(&[], 0.5)), (7.0, 0.0));
    }
}
