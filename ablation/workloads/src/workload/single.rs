//! The driver for one thread: warm-up, measured part, and the frees of what is still live.

use crate::allocator::Allocator;
use crate::os::usage;
use crate::workload::lifetime::TimedLoop;
use crate::workload::measurement::{Measurement, Requests, Values};
use crate::workload::plan::RunPlan;
use crate::workload::script::Script;
use crate::workload::script_runner::ScriptRunner;
use crate::workload::touch::Use;

/// Runs the plan on the calling thread.
pub(crate) fn run<A: Allocator, U: Use, L: TimedLoop>(
    a: A,
    plan: &RunPlan,
    script: &Script,
    timed_loop: L,
) -> Measurement {
    let mut runner = ScriptRunner::new(plan, script, timed_loop);
    // SAFETY: the same types throughout; `drain` comes last and once.
    unsafe {
        runner.warm_up::<A, U>(a);
        let faults_before = usage::page_faults();
        runner.measure::<A, U>(a);
        let page_faults = usage::page_faults() - faults_before;
        runner.timed_loop.drain::<A, U>(a);
        Measurement {
            operations: runner.measured_batches() * plan.batch_operations(),
            warm_up_operations: plan.warm_up_batches() * plan.batch_operations(),
            checksum: runner.timed_loop.checksum().0,
            batch_ns: runner.batch_ns,
            contention_probes_ns: runner.contention_probes_ns,
            page_faults,
            requests: Requests::OnePerOperation,
            values: Values::new(),
        }
    }
}
