//! Large objects in a ring: each pass frees the oldest and requests another. Two turns of the ring come before the first
//! timed pass.

use super::tools::{Meter, Outcome, Worker, passes, wait};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::measurement::Requests;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (first, last) = (plan.shape.bytes(), plan.shape.bytes_max());
    let mut meter = Meter::default();
    let mut ring = meter.table(plan.shape.count());
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let mut pass_ns = passes(plan);
    let warm_up = 2 * ring.len();
    meter.read("resident_before_bytes");
    for pass in 0..warm_up + plan.iterations as usize {
        let size = (first + random.below(last - first + 1)) as u32;
        let place = &mut ring[pass % plan.shape.count() as usize];
        let began = clock::now_ns();
        if !place.ptr.is_null() {
            // SAFETY: live, and its place is overwritten below.
            unsafe { worker.free(*place) };
        }
        *place = worker.request(size);
        let ns = clock::now_ns() - began;
        if pass >= warm_up {
            pass_ns.push(ns);
        }
    }
    meter.read("resident_live_bytes");
    for object in ring.iter() {
        // SAFETY: the warm-up filled every place; freed once.
        unsafe { worker.free(*object) };
    }
    meter.read("resident_freed_bytes");
    wait(plan);
    meter.read("resident_rested_bytes");
    meter.read_peak();
    Outcome {
        pass_ns,
        warm_up_operations: warm_up as u64,
        requests: Requests::Counted(worker.requests),
        sum: worker.sum,
        values: meter.values,
    }
}
