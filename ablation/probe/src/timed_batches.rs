//! TimedBatches of operations, each timed as a whole between two canaries.

use crate::contention_probe_ns;
use std::time::Instant;

/// Canaries that are taken and forgotten before the first that counts: they page in its code and the clock's, and wake
/// a processor that slept.
const WARM_UP: usize = 8;

/// Times of equal batches, with the canary before the first and after each.
///
/// A batch should take 20 µs or more: reading the clock takes about 20 ns, and the canary between two batches takes up
/// to 10 µs in which nothing is learnt about the program.
#[derive(Debug, Clone)]
pub struct TimedBatches {
    operations: u64,
    wanted: usize,
    with_contention_probes: bool,
    ns: Vec<f64>,
    canaries: Vec<f64>,
}

impl TimedBatches {
    /// For `wanted` batches of `operations` each.
    ///
    /// # Panics
    /// When a batch has no operations: nothing could be said per operation.
    pub fn new(wanted: usize, operations: u64) -> TimedBatches {
        let batches = TimedBatches {
            with_contention_probes: true,
            canaries: touched(wanted + 1),
            ..Self::plain(wanted, operations)
        };
        for _ in 0..WARM_UP {
            contention_probe_ns();
        }
        batches
    }

    /// The same without canaries: where other threads of the program itself work meanwhile, where a batch is a single
    /// operation, and in runs that are counted and not timed.
    ///
    /// # Panics
    /// When a batch has no operations.
    pub fn without_contention_probes(wanted: usize, operations: u64) -> TimedBatches {
        // The first reading of the clock pages in its code.
        std::hint::black_box(Instant::now());
        Self::plain(wanted, operations)
    }

    fn plain(wanted: usize, operations: u64) -> TimedBatches {
        assert!(operations > 0, "a batch needs at least one operation");
        TimedBatches { operations, wanted, with_contention_probes: false, ns: touched(wanted), canaries: Vec::new() }
    }

    /// Whether there are fewer batches than were asked for.
    pub fn is_wanted(&self) -> bool {
        self.ns.len() < self.wanted
    }

    /// Runs one batch and keeps how long it took.
    pub fn time<R>(&mut self, batch: impl FnOnce() -> R) -> R {
        if self.with_contention_probes && self.canaries.is_empty() {
            self.canaries.push(contention_probe_ns());
        }
        let before = Instant::now();
        let result = batch();
        self.ns.push(before.elapsed().as_nanos() as f64);
        if self.with_contention_probes {
            self.canaries.push(contention_probe_ns());
        }
        result
    }

    /// Operations of all batches so far.
    pub fn operations(&self) -> u64 {
        self.operations * self.ns.len() as u64
    }

    /// Nanoseconds per operation of every batch, in their order.
    pub fn batches_ns(&self) -> Vec<f64> {
        self.ns.iter().map(|ns| ns / self.operations as f64).collect()
    }

    /// The canaries, nanoseconds a step: one more than batches, or none.
    pub fn contention_probes_ns(&self) -> &[f64] {
        &self.canaries
    }
}

/// Room for values whose pages are there already, so that keeping a value faults none in.
fn touched(len: usize) -> Vec<f64> {
    // Not 0.0, for which the system would lend one page of zeros.
    let mut room = vec![f64::MAX; len];
    std::hint::black_box(&mut room);
    room.clear();
    room
}

/// Sample quantile of type 7 (Hyndman and Fan, "Sample quantiles in statistical packages", 1996): linear between the
/// two neighbours of position `p (n - 1)`. 0 without values.
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
    fn every_batch_has_its_canaries() {
        let mut batches = TimedBatches::new(3, 10);
        assert_eq!((batches.contention_probes_ns().len(), batches.operations()), (0, 0));
        let mut calls = 0;
        while batches.is_wanted() {
            batches.time(|| calls += 1);
        }
        assert_eq!((calls, batches.operations()), (3, 30));
        assert_eq!((batches.batches_ns().len(), batches.contention_probes_ns().len()), (3, 4));
        assert!(batches.contention_probes_ns().iter().all(|canary| *canary > 0.0));
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
    fn room_is_taken_before() {
        let mut batches = TimedBatches::new(2, 1);
        let (ns, canaries) = (batches.ns.as_ptr(), batches.canaries.as_ptr());
        while batches.is_wanted() {
            batches.time(|| ());
        }
        assert_eq!((ns, canaries), (batches.ns.as_ptr(), batches.canaries.as_ptr()));
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
