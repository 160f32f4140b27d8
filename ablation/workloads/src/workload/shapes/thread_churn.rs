//! Threads that start, use memory and end: what a thread leaves behind is to serve the next one.

use super::tools::{Meter, Object, Outcome, Worker, in_threads, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use std::sync::Mutex;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (threads, sizes) = (plan.shape.threads(), plan.shape.sizes());
    let mut meter = Meter::default();
    let mut table = meter.table(u64::from(threads) * plan.shape.count());
    let each = plan.shape.count() as usize;
    let tables: Vec<Mutex<&mut [Object]>> = table.chunks_exact_mut(each).map(Mutex::new).collect();
    let mut main = Worker::new(a, plan);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    for pass in 0..plan.iterations {
        let began = clock::now_ns();
        let done = in_threads(threads, |thread| {
            let mut worker = Worker::new(a, plan);
            let mut table = tables[thread as usize].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            for (place, size) in table.iter_mut().zip(sizes.iter().cycle()) {
                *place = worker.request(*size);
            }
            for object in table.iter() {
                // SAFETY: requested above, freed once.
                unsafe { worker.free(*object) };
            }
            worker.done()
        });
        pass_ns.push(clock::now_ns() - began);
        done.into_iter().for_each(|done| main.join(done));
        if pass == plan.iterations / 10 {
            meter.read("resident_early_bytes");
        }
    }
    meter.read("resident_ended_bytes");
    meter.read_peak();
    let value = |name| meter.values.get(name).copied();
    if let Some((early, ended)) = value("resident_early_bytes").zip(value("resident_ended_bytes")) {
        meter.set("resident_growth_bytes", (ended - early).max(0.0));
    }
    let threads_in_all = plan.iterations * u64::from(threads);
    meter.set("thread_ns", pass_ns.iter().sum::<u64>() as f64 / threads_in_all as f64);
    Outcome::of(pass_ns, &main, meter.values)
}
