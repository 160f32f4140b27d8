//! Work in bursts: once per period everything is requested, touched and freed. Memory that is given back between two bursts
//! is faulted in anew in the next one; memory that is kept is resident all the time.

use super::tools::{Meter, Outcome, Worker, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let size = plan.shape.bytes() as u32;
    let mut meter = Meter::default();
    let mut objects = meter.table(plan.shape.objects_of(size));
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    let mut next_ns = clock::now_ns();
    for _ in 0..plan.iterations {
        let began = clock::now_ns();
        objects.iter_mut().for_each(|place| *place = worker.request(size));
        let filled_ns = clock::now_ns() - began;
        if plan.is_shuffled() {
            random.shuffle(&mut objects);
        }
        let began = clock::now_ns();
        for object in objects.iter() {
            // SAFETY: requested above, freed once.
            unsafe { worker.free(*object) };
        }
        pass_ns.push(filled_ns + clock::now_ns() - began);
        // A burst that takes longer than the period is followed by the next one at once.
        next_ns += plan.shape.wait_ns();
        clock::sleep_until_ns(next_ns);
        meter.read_most("resident_between_bytes");
    }
    // The first burst begins with a fresh process.
    if let [_, later @ ..] = pass_ns.as_slice()
        && !later.is_empty()
    {
        meter.set("burst_ns", later.iter().sum::<u64>() as f64 / later.len() as f64);
    }
    meter.read_peak();
    Outcome::of(pass_ns, &worker, meter.values)
}
