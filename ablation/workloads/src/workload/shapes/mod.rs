//! The drivers of the memory shapes, one file each: what is done with memory, and when resident memory is read.
//!
//! A pass of a shape is one timed value. Objects of different threads, sizes and steps follow from the plan alone, so that
//! every allocator has the same work. Resident bytes are of the whole process without its own tables, and of the last pass
//! where a name has several readings.

mod aligned;
mod bursts;
mod calloc;
mod drift;
mod fork;
mod idle_threads;
mod large_reuse;
mod neighbours;
mod phases;
mod producers_consumers;
mod resize;
mod sparse;
mod survivors;
mod thread_churn;
mod tools;

use crate::allocator::Allocator;
use crate::os::{clock, usage};
use crate::workload::measurement::{Measurement, Requests, Values};
use crate::workload::plan::RunPlan;
use crate::workload::shape::Shape;
use tools::Outcome;

/// Runs the plan of a shape.
pub(crate) fn run<A: Allocator>(a: A, plan: &RunPlan, shape: Shape) -> Measurement {
    clock::warm_up();
    let faults_before = usage::page_faults();
    let outcome = match shape {
        _ if plan.iterations == 0 => Outcome {
            pass_ns: Vec::new(),
            warm_up_operations: 0,
            requests: Requests::Counted(0),
            sum: 0,
            values: Values::new(),
        },
        Shape::IdleThreads => idle_threads::run(a, plan),
        Shape::Phases => phases::run(a, plan),
        Shape::Sparse => sparse::run(a, plan),
        Shape::Survivors => survivors::run(a, plan),
        Shape::Aligned => aligned::run(a, plan),
        Shape::Calloc => calloc::run(a, plan),
        Shape::Resize => resize::run(a, plan),
        Shape::LargeReuse => large_reuse::run(a, plan),
        Shape::ThreadChurn => thread_churn::run(a, plan),
        Shape::ProducersConsumers => producers_consumers::run(a, plan),
        Shape::Neighbours => neighbours::run(a, plan),
        Shape::Bursts => bursts::run(a, plan),
        Shape::Drift => drift::run(a, plan),
        Shape::Fork => fork::run(a, plan),
    };
    Measurement {
        operations: plan.iterations * plan.batch_operations(),
        warm_up_operations: outcome.warm_up_operations,
        batch_ns: outcome.pass_ns,
        contention_probes_ns: Vec::new(),
        checksum: outcome.sum,
        page_faults: usage::page_faults() - faults_before,
        requests: outcome.requests,
        values: outcome.values,
    }
}
