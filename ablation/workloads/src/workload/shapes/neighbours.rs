//! Threads that free every second object of another, request as many again, and write: when an allocator serves them the
//! slots that they freed, objects of two threads share cache lines, and every write waits for the other thread. The time of a
//! write shows that only while both threads run; the share of such lines is counted, and the same on a busy machine.

use super::tools::{Meter, Object, Outcome, Worker, in_threads, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::shape::NEIGHBOUR_WRITES;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Barrier, Mutex, MutexGuard};

/// What one thread returns: its worker's part, and the nanoseconds of its writes in each pass.
type Done = ((u64, u64), Vec<u64>);

/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (threads, size) = (plan.shape.threads(), plan.shape.bytes() as u32);
    let each = plan.shape.count() as usize;
    let mut meter = Meter::default();
    // Every pass has objects of its own. Those of an earlier pass, freed by their threads, would be sorted already.
    let mut table = meter.table(plan.iterations * u64::from(threads) * each as u64);
    // The barriers keep the threads apart; the locks only show that to the compiler.
    let tables: Vec<Mutex<&mut [Object]>> = table.chunks_exact_mut(each).map(Mutex::new).collect();
    let lock = |pass: u64, owner: u32| locked(&tables[pass as usize * threads as usize + owner as usize]);
    let step = Barrier::new(threads as usize);
    let starting = AtomicU64::new(0);
    // Cache line and thread of each object of a pass.
    let lines = Mutex::new(Vec::with_capacity(threads as usize * each));
    let shared = Mutex::new(0.0);
    meter.read("resident_before_bytes");
    let done: Vec<Done> = in_threads(threads, |thread| {
        let mut worker = Worker::new(a, plan);
        let mut writes_ns = passes(plan);
        for pass in 0..plan.iterations {
            lock(pass, thread).iter_mut().for_each(|place| *place = worker.request(size));
            step.wait();
            for object in lock(pass, (thread + 1) % threads).iter().skip(1).step_by(2) {
                // SAFETY: its owner requested it before the barrier, and fills the place anew after the next one.
                unsafe { worker.free(*object) };
            }
            step.wait();
            lock(pass, thread).iter_mut().skip(1).step_by(2).for_each(|place| *place = worker.request(size));
            start_together(&starting, (pass + 1) * u64::from(threads));
            // Time on a processor: a thread that waits for one is no sign of shared cache lines.
            let began = clock::thread_cpu_ns();
            write(&lock(pass, thread));
            writes_ns.push(clock::thread_cpu_ns() - began);
            step.wait();
            if thread == 0 {
                let mut lines = locked(&lines);
                for owner in 0..threads {
                    lines.extend(lock(pass, owner).iter().map(|object| (object.ptr as usize / CACHE_LINE, owner)));
                }
                *locked(&shared) += shared_share(&mut lines) / plan.iterations as f64;
                lines.clear();
            }
            step.wait();
        }
        for pass in 0..plan.iterations {
            for object in lock(pass, thread).iter() {
                worker.add(size, 0);
                // SAFETY: live, freed once.
                unsafe { worker.free_written(*object) };
            }
        }
        (worker.done(), writes_ns)
    });
    meter.read_peak();
    meter.set("shared_lines_share", *locked(&shared));
    let mut main = Worker::new(a, plan);
    let mut pass_ns = vec![0; plan.iterations as usize];
    for (worker, writes_ns) in done {
        main.join(worker);
        pass_ns.iter_mut().zip(writes_ns).for_each(|(slowest, ns)| *slowest = ns.max(*slowest));
    }
    let writes = plan.iterations * NEIGHBOUR_WRITES;
    meter.set("write_ns", pass_ns.iter().sum::<u64>() as f64 / writes as f64);
    Outcome::of(pass_ns, &main, meter.values)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The share of the cache lines on which objects of two or more threads begin.
fn shared_share(lines: &mut [(usize, u32)]) -> f64 {
    lines.sort_unstable();
    let (mut all, mut shared) = (0, 0);
    for line in lines.chunk_by(|a, b| a.0 == b.0) {
        all += 1;
        shared += usize::from(line.iter().any(|(_, owner)| *owner != line[0].1));
    }
    shared as f64 / all as f64
}

/// Waits without sleeping until `all` threads have called it: one that a barrier has to wake would begin so late that the
/// others write alone.
fn start_together(starting: &AtomicU64, all: u64) {
    starting.fetch_add(1, AcqRel); // with the loads below
    while starting.load(Acquire) < all {
        std::thread::yield_now();
    }
}

/// Writes the first byte of the objects in turn, [`NEIGHBOUR_WRITES`] times.
#[inline(never)]
fn write(objects: &[Object]) {
    let mut left = NEIGHBOUR_WRITES as usize;
    while left > 0 {
        let now = left.min(objects.len());
        for object in &objects[..now] {
            // SAFETY: the first byte of a live object of this thread.
            unsafe { object.ptr.write_volatile(now as u8) };
        }
        left -= now;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_with_objects_of_two_threads_are_counted() {
        let mut lines = [(7, 0), (1, 0), (1, 1), (7, 0), (9, 1)];
        assert_eq!(super::shared_share(&mut lines), 1.0 / 3.0);
    }
}
