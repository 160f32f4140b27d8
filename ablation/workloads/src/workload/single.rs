//! One thread: the warm-up, the measured part, and the return of the blocks that are still live.

use crate::allocator::Allocator;
use crate::os::usage;
use crate::workload::lifetime::Lives;
use crate::workload::measurement::{Measurement, Values};
use crate::workload::plan::Plan;
use crate::workload::script::Script;
use crate::workload::script_runner::Bench;
use crate::workload::touch::Use;

/// Runs the plan on the calling thread.
pub(crate) fn run<A: Allocator, U: Use, L: Lives>(a: A, plan: &Plan, script: &Script, lives: L) -> Measurement {
    let mut bench = Bench::new(plan, script, lives);
    // SAFETY: the same types throughout; `drain` comes last and once.
    unsafe {
        bench.warm_up::<A, U>(a);
        let faults_before = usage::page_faults();
        bench.measure::<A, U>(a);
        let page_faults = usage::page_faults() - faults_before;
        bench.lives.drain::<A, U>(a);
        Measurement {
            operations: bench.measured_batches() * plan.batch(),
            warm_up_operations: plan.warm_up_batches() * plan.batch(),
            checksum: bench.lives.checksum().0,
            batch_ns: bench.batch_ns,
            canaries_ns: bench.canaries_ns,
            page_faults,
            untimed_operations: 0,
            values: Values::new(),
        }
    }
}
