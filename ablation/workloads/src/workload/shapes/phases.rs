//! Phases of one size each, with everything freed between them: memory that one size class left is to serve the next.

use super::tools::{Meter, Outcome, Worker, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let phases = plan.shape.phases();
    let mut meter = Meter::default();
    let most = phases.iter().map(|size| plan.shape.objects_of(*size)).max().unwrap_or(1);
    let mut table = meter.table(most);
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    for _ in 0..plan.iterations {
        let mut ns = 0;
        for size in &phases {
            let began = clock::now_ns();
            let objects = &mut table[..plan.shape.objects_of(*size) as usize];
            objects.iter_mut().for_each(|place| *place = worker.request(*size));
            ns += clock::now_ns() - began;
            if plan.is_shuffled() {
                random.shuffle(objects);
            }
            let began = clock::now_ns();
            for object in objects.iter() {
                // SAFETY: requested above, freed once.
                unsafe { worker.free(*object) };
            }
            ns += clock::now_ns() - began;
        }
        pass_ns.push(ns);
        meter.read("resident_freed_bytes");
    }
    meter.read_peak();
    Outcome::of(pass_ns, &worker, meter.values)
}
