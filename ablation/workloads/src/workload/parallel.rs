//! The driver for the same work in several threads at once. It measures the throughput of the whole process.
//!
//! Every thread works through its own script in its own slots, without waiting for another, and records when each of its
//! batches ended. A timed value is the wall time in which the threads together ended as many batches as there are
//! threads. Divided by the operations of those batches, it is nanoseconds per operation of the whole process, and its
//! inverse is the throughput. This holds for any number of threads and processors: a batch whose thread waited for a
//! processor counts with its whole length, and so does what the other threads did meanwhile.

use crate::allocator::Allocator;
use crate::os::clock;
use crate::os::usage;
use crate::workload::lifetime::{Checksum, Churn, TimedLoop};
use crate::workload::measurement::{Measurement, Requests, Values};
use crate::workload::plan::RunPlan;
use crate::workload::script::Script;
use crate::workload::script_runner::ScriptRunner;
use crate::workload::touch::Use;
use std::sync::Barrier;

/// What one thread measured.
struct Done {
    start_ns: u64,
    ends_ns: Vec<u64>,
    sum: Checksum,
}

/// Runs the plan with `plan.threads` threads.
pub(crate) fn run<A: Allocator, U: Use>(a: A, plan: &RunPlan) -> Measurement {
    let threads = plan.threads as usize;
    let scripts: Vec<Script> = (0..plan.threads).map(|thread| Script::new(plan, thread)).collect();
    // The barriers: warm-up is over; start; all are done. Live blocks are freed, and threads end, after the third.
    let (ready, go, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1), Barrier::new(threads + 1));
    let (ready, go, end) = (&ready, &go, &end);
    let mut page_faults = 0;
    let mut done = Vec::with_capacity(threads);
    std::thread::scope(|scope| {
        let handles: Vec<_> = scripts
            .iter()
            .map(|script| {
                scope.spawn(move || {
                    let mut runner = ScriptRunner::new(plan, script, Churn::new(script));
                    // SAFETY: the same types throughout.
                    unsafe { runner.warm_up::<A, U>(a) };
                    ready.wait();
                    go.wait();
                    let start_ns = clock::now_ns();
                    // SAFETY: the same types throughout; `drain` comes last and once.
                    unsafe {
                        runner.measure_ends::<A, U>(a);
                        end.wait();
                        runner.timed_loop.drain::<A, U>(a);
                    }
                    Done { start_ns, sum: runner.timed_loop.checksum(), ends_ns: runner.batch_ns }
                })
            })
            .collect();
        ready.wait();
        let faults_before = usage::page_faults();
        go.wait();
        end.wait();
        page_faults = usage::page_faults() - faults_before;
        done.extend(handles.into_iter().map(|handle| handle.join().unwrap_or_else(|p| std::panic::resume_unwind(p))));
    });
    let mut sum = Checksum::default();
    done.iter().for_each(|done| sum.add(done.sum.0));
    let start_ns = done.iter().map(|done| done.start_ns).min().unwrap_or_default();
    let ends_ns: Vec<Vec<u64>> = done.into_iter().map(|done| done.ends_ns).collect();
    Measurement {
        operations: ends_ns.iter().map(|ends| ends.len() as u64).sum::<u64>() * plan.batch_operations(),
        warm_up_operations: threads as u64 * plan.warm_up_batches() * plan.batch_operations(),
        batch_ns: timed(start_ns, &ends_ns),
        contention_probes_ns: Vec::new(),
        checksum: sum.0,
        page_faults,
        requests: Requests::OnePerOperation,
        values: Values::new(),
    }
}

/// The times between every `threads`-th of all batch ends, from `start_ns` until the first thread is done: later ends are
/// left out, because fewer threads are at work. If no value is left, the whole time is spread over all values.
fn timed(start_ns: u64, ends_ns: &[Vec<u64>]) -> Vec<u64> {
    let lasts = || ends_ns.iter().filter_map(|ends| ends.last().copied());
    let (Some(first_done), Some(last_done)) = (lasts().min(), lasts().max()) else {
        return Vec::new();
    };
    let mut together: Vec<u64> = ends_ns.iter().flatten().copied().filter(|end| *end <= first_done).collect();
    together.sort_unstable();
    let mut before = start_ns;
    let timed: Vec<u64> = together
        .iter()
        .skip(ends_ns.len() - 1)
        .step_by(ends_ns.len())
        .map(|end| end - std::mem::replace(&mut before, *end))
        .collect();
    if timed.is_empty() { vec![(last_done - start_ns) / ends_ns[0].len() as u64] } else { timed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_has_its_own_times() {
        assert_eq!(timed(100, &[vec![110, 130, 135]]), [10, 20, 5]);
        assert!(timed(100, &[vec![]]).is_empty());
    }

    #[test]
    fn two_threads_that_work_at_once_take_half_the_time_per_operation() {
        assert_eq!(timed(0, &[vec![10, 20, 30], vec![11, 21, 31]]), [11, 10]);
    }

    #[test]
    fn two_threads_on_one_processor_take_as_long_as_one() {
        // The first has the processor for 40, then the second: 8 batches of 10 in 80 are 20 for every two.
        let (first, second) = (vec![10, 20, 30, 40, 90], vec![50, 60, 70, 80, 100]);
        assert_eq!(timed(0, &[first, second]), [20, 20, 20, 20]);
    }

    #[test]
    fn nothing_counts_after_the_first_is_done() {
        assert_eq!(timed(0, &[vec![10, 20], vec![15, 500]]), [15]);
        // Done before every thread has ended a batch: all of the time, over the two values that it is.
        assert_eq!(timed(0, &[vec![10, 20], vec![300, 500]]), [20]);
        assert_eq!(timed(0, &[vec![10], vec![300], vec![500]]), [500]);
    }
}
