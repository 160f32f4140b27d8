//! Zeroed objects of which two bytes are written, again and again: memory that was used before must be zero again, which
//! need not cost its whole size.

use super::tools::{Meter, Outcome, Worker, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;

/// Passes whose object is read for resident memory while it is live.
const READINGS: u64 = 3;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let size = plan.shape.bytes() as u32;
    let mut meter = Meter::default();
    let mut worker = Worker::new(a, plan);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    for pass in 0..plan.iterations {
        let began = clock::now_ns();
        let object = worker.request_zeroed(size);
        for at in written(size) {
            // SAFETY: inside the object.
            let place = unsafe { object.ptr.add(at) };
            // SAFETY: the object is zeroed, so its bytes are readable.
            let found = unsafe { place.read_volatile() };
            // What an earlier pass wrote must be gone.
            worker.add(size, found);
            // SAFETY: inside the live object.
            unsafe { place.write_volatile(1) };
        }
        let mut ns = clock::now_ns() - began;
        if pass < READINGS || pass + 1 == plan.iterations {
            meter.read_most("resident_live_bytes");
        }
        let began = clock::now_ns();
        // SAFETY: requested above, freed once.
        unsafe { worker.free_written(object) };
        ns += clock::now_ns() - began;
        pass_ns.push(ns);
    }
    Outcome::of(pass_ns, &worker, meter.values)
}

/// The bytes that are written: one near the start, and one in the middle.
fn written(size: u32) -> [usize; 2] {
    [(size as usize - 1).min(100), size as usize / 2]
}
