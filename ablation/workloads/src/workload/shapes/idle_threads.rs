//! Threads use all sizes of a range, free everything, and sleep: what an allocator keeps for threads that may never come
//! back. With a count, a thread has so many objects of one size at once, and the sizes come one after the other. Without
//! one, all sizes live together.

use super::tools::{Meter, Object, Outcome, Turns, Worker, in_threads, passes, wait};
use crate::allocator::Allocator;
use crate::workload::plan::RunPlan;
use std::sync::Mutex;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (threads, sizes, count) = (plan.shape.threads(), plan.shape.sizes(), plan.shape.count() as usize);
    let each = if count > 0 { count } else { plan.shape.working_set() as usize };
    let mut meter = Meter::default();
    let mut table = meter.table(u64::from(threads) * each as u64);
    let tables: Vec<Mutex<&mut [Object]>> = table.chunks_exact_mut(each).map(Mutex::new).collect();
    let mut pass_ns = passes(plan);
    let mut main = Worker::new(a, plan);
    let turns = Turns::new(threads);
    let outcomes = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            in_threads(threads, |thread| {
                let mut worker = Worker::new(a, plan);
                let mut table = tables[thread as usize].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                turns.done.wait();
                for _ in 0..plan.iterations {
                    turns.start.wait();
                    if count > 0 {
                        sizes.iter().for_each(|size| use_and_free(&mut worker, &mut table, &[*size]));
                    } else {
                        use_and_free(&mut worker, &mut table, &sizes);
                    }
                    turns.done.wait();
                }
                turns.end.wait();
                worker.done()
            })
        });
        turns.time(&mut meter, plan, &mut pass_ns);
        meter.read("resident_idle_bytes");
        wait(plan);
        meter.read("resident_rested_bytes");
        turns.end.wait();
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    meter.read("resident_ended_bytes");
    meter.read_peak();
    outcomes.into_iter().for_each(|done| main.join(done));
    Outcome::of(pass_ns, &main, meter.values)
}

/// Fills the table with objects of the sizes in turn, and empties it.
fn use_and_free<A: Allocator>(worker: &mut Worker<A>, table: &mut [Object], sizes: &[u32]) {
    for (place, size) in table.iter_mut().zip(sizes.iter().cycle()) {
        *place = worker.request(*size);
    }
    for object in table.iter() {
        // SAFETY: requested above, freed once.
        unsafe { worker.free(*object) };
    }
}
