//! The planted program: a chain of steps, each of which waits for the one before. So an operation costs as much as its
//! length says, and no other instruction can overlap with it.

use ablate_probe::{Line, TimedBatches, percentile};
use std::hint::black_box;
use std::time::Instant;

/// Steps that are timed together to find the cost of one, and how often.
const STEP_COST_STEPS: u32 = 100_000;
const STEP_COST_ROUNDS: usize = 60;
/// Pairs of batches that measure the planted difference, how many such measurements, and the length of a batch.
const TRUTH_ROUNDS: usize = 120;
const TRUTH_PARTS: usize = 5;
const TRUTH_BATCH_NS: f64 = 200_000.0;

/// One operation. The caller must use the value, or the compiler removes the work.
#[inline(never)]
pub(crate) fn operation(steps: u32, value: u64) -> u64 {
    let mut value = value;
    for _ in 0..steps {
        // Compilers know no closed form of this.
        value = value.rotate_left(7).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    value
}

/// Several operations, each of which waits for the one before.
pub(crate) fn operations(steps: u32, count: u64) -> u64 {
    (0..count).fold(black_box(1), |value, _| operation(black_box(steps), value))
}

fn time_ns(work: impl FnOnce() -> u64) -> f64 {
    let before = Instant::now();
    black_box(work());
    before.elapsed().as_nanos() as f64
}

/// Nanoseconds per step on this machine at this moment: the fastest of many tries.
pub(crate) fn step_ns() -> f64 {
    let tries = (0..STEP_COST_ROUNDS).map(|_| time_ns(|| operation(black_box(STEP_COST_STEPS), black_box(1))));
    tries.fold(f64::INFINITY, f64::min) / f64::from(STEP_COST_STEPS)
}

/// Two lengths of an operation, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Of the arm without the planted difference.
    pub(crate) a: u32,
    /// Of the arm with it.
    pub(crate) b: u32,
}

/// Measured nanoseconds per operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    /// Of the arm without the planted difference.
    pub(crate) base_ns: f64,
    /// The planted difference.
    pub(crate) difference_ns: f64,
    /// Largest distance of one measurement of the difference from `difference_ns`, and at least the cost of reading the
    /// clock.
    pub(crate) uncertain_ns: f64,
}

/// Measures both lengths several times. The difference is the median of the measured ones.
pub(crate) fn truth(lengths: Lengths, step_ns: f64) -> Truth {
    let count = operations_for(lengths.a, step_ns, TRUTH_BATCH_NS);
    let parts: Vec<(f64, f64)> = (0..TRUTH_PARTS).map(|_| interleaved(lengths, count)).collect();
    let middle = |values: Vec<f64>| percentile(&sorted(values), 0.50);
    let base_ns = middle(parts.iter().map(|(a, _)| *a).collect());
    // Equal lengths are equal, whatever is measured.
    if lengths.a == lengths.b {
        return Truth { base_ns, difference_ns: 0.0, uncertain_ns: 0.0 };
    }
    let differences: Vec<f64> = parts.iter().map(|(a, b)| b - a).collect();
    let difference_ns = middle(differences.clone());
    let uncertain_ns = differences.iter().map(|difference| (difference - difference_ns).abs()).fold(0.0, f64::max);
    Truth { base_ns, difference_ns, uncertain_ns: uncertain_ns.max(clock_ns() / count as f64) }
}

/// Nanoseconds between two readings of the clock: the precision of one batch.
fn clock_ns() -> f64 {
    (0..TRUTH_ROUNDS).map(|_| time_ns(|| 0)).fold(f64::INFINITY, f64::min)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Nanoseconds per operation of either length, measured in alternating batches. The fastest batch counts, because
/// disturbances only make the program slower.
fn interleaved(lengths: Lengths, count: u64) -> (f64, f64) {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..TRUTH_ROUNDS {
        for arm in [round % 2, 1 - round % 2] {
            let steps = [lengths.a, lengths.b][arm];
            times[arm].push(time_ns(|| operations(steps, count)) / count as f64);
        }
    }
    let [a, b] = times.map(|times: Vec<f64>| times.into_iter().fold(f64::INFINITY, f64::min));
    (a, b)
}

/// How many operations of `steps` steps take about `ns` nanoseconds; at least 1.
pub(crate) fn operations_for(steps: u32, step_ns: f64, ns: f64) -> u64 {
    ((ns / (f64::from(steps) * step_ns)).round() as u64).max(1)
}

/// One process as ablate measures it: timed batches with contention probes, and the line of docs/format.md.
pub(crate) fn measured(steps: u32, is_b: bool, batches: usize, count: u64) -> String {
    let mut batches = TimedBatches::new(batches, count);
    // Every level must have the same checksum, so it says only that the work was done.
    let mut sum = 0;
    while batches.is_wanted() {
        sum |= batches.time(|| operations(steps, count));
    }
    let done = if is_b { batches.operations() } else { 0 };
    let mut line = Line::new(batches, u64::from(sum != 0));
    line.level("planted", if is_b { "on" } else { "off" }).counter("planted", "operations", done);
    line.to_string()
}

/// The same process for a tool that measures from outside: only the work.
pub(crate) fn plain(steps: u32, batches: usize, count: u64) -> u64 {
    (0..batches).fold(0, |sum, _| sum | operations(steps, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_changes_the_value() {
        let values: Vec<u64> = (0..5).map(|steps| operation(steps, 1)).collect();
        assert_eq!(values[0], 1);
        assert_eq!(values[1], 128 + 0x9e37_79b9_7f4a_7c15);
        assert_eq!(operation(2, values[2]), values[4]);
        assert_eq!(operations(2, 2), values[4]);
    }

    #[test]
    fn a_batch_has_at_least_one_operation() {
        assert_eq!(operations_for(100, 0.5, 5_000.0), 100);
        assert_eq!(operations_for(100, 0.5, 1.0), 1);
    }

    #[test]
    fn equal_arms_are_truly_equal() {
        assert_eq!(truth(Lengths { a: 3, b: 3 }, 1e3).difference_ns, 0.0);
    }

    #[test]
    fn the_line_proves_the_arm() {
        let line = measured(5, true, 4, 3);
        for part in ["\"planted\":\"on\"", "\"operations\":12", "\"checksum\":\"0000000000000001\""] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let line = measured(7, false, 4, 3);
        for part in ["\"planted\":\"off\"", "{\"operations\":0}", "\"checksum\":\"0000000000000001\""] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}
