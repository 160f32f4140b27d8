//! A cache whose objects get other sizes over time: in each step as many objects of the next size come in as fill it once,
//! and random ones go. Old objects are scattered over all of its memory. At the end everything is freed.

use super::tools::{Meter, Outcome, Worker, passes, wait};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let steps = plan.shape.spread(plan.shape.count());
    let room = plan.shape.live();
    let mut meter = Meter::default();
    // One more than fit: an object comes in before others go.
    let mut objects = meter.table(plan.shape.objects_of(plan.shape.bytes() as u32) + 1);
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    for _ in 0..plan.iterations {
        let (mut len, mut live, mut ns) = (0, 0, 0);
        for size in &steps {
            let began = clock::now_ns();
            for _ in 0..plan.shape.objects_of(*size) {
                objects[len] = worker.request(*size);
                (len, live) = (len + 1, live + u64::from(*size));
                while live > room && len > 1 {
                    let gone = random.below(len as u64 - 1) as usize;
                    let object = objects[gone];
                    (len, live) = (len - 1, live - u64::from(object.size));
                    objects[gone] = objects[len];
                    // SAFETY: live, and no place has it any more.
                    unsafe { worker.free(object) };
                }
            }
            ns += clock::now_ns() - began;
            if let Some(resident) = meter.resident() {
                let most = meter.values.entry("resident_per_live").or_default();
                *most = most.max(resident as f64 / live as f64);
            }
        }
        meter.read("resident_live_bytes");
        let began = clock::now_ns();
        for object in &objects[..len] {
            // SAFETY: live, freed once.
            unsafe { worker.free(*object) };
        }
        pass_ns.push(ns + clock::now_ns() - began);
        meter.read("resident_freed_bytes");
        wait(plan);
        meter.read("resident_rested_bytes");
    }
    meter.read_peak();
    Outcome::of(pass_ns, &worker, meter.values)
}
