//! The process forks while threads request and free. The parent waits in `fork`; the child requests, touches and frees one
//! object before it ends, because a lock that was copied while it was held would stop it there.

use super::tools::{Meter, Object, Outcome, Worker, in_threads, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};

/// Live objects of each thread, half of them at a time.
const PLACES: usize = 64;
/// A child that is not done by then hangs.
const CHILD_SECONDS: u32 = 2;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (threads, sizes) = (plan.shape.threads(), plan.shape.sizes());
    let mut meter = Meter::default();
    let mut table = meter.table(u64::from(threads) * PLACES as u64);
    let tables: Vec<Mutex<&mut [Object]>> = table.chunks_exact_mut(PLACES).map(Mutex::new).collect();
    let (ready, stop) = (Barrier::new(threads as usize + 1), AtomicBool::new(false));
    let mut main = Worker::new(a, plan);
    let mut pass_ns = passes(plan);
    let mut failed = 0;
    let requests = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            in_threads(threads, |thread| {
                let mut worker = Worker::new(a, plan);
                let mut random = SplitMix64(plan.seed.wrapping_add(u64::from(thread)));
                let mut places = tables[thread as usize].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                ready.wait();
                while !stop.load(Relaxed) {
                    churn(&mut worker, &mut random, &mut places, &sizes);
                }
                for object in places.iter().filter(|object| !object.ptr.is_null()) {
                    // SAFETY: live, freed once.
                    unsafe { worker.free(*object) };
                }
                worker.requests
            })
        });
        ready.wait();
        for _ in 0..plan.iterations {
            let (ns, is_good) = fork_once(&mut main, sizes[0]);
            pass_ns.push(ns);
            failed += u64::from(!is_good);
        }
        stop.store(true, Relaxed);
        others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // How much the threads did is not the same in two runs, so that only their requests count.
    main.requests += requests.into_iter().sum::<u64>();
    meter.set("children_failed", failed as f64);
    meter.read_peak();
    main.add(sizes[0], plan.iterations as u8);
    Outcome::of(pass_ns, &main, meter.values)
}

/// Empties or fills as many places as there are, each time a random one.
fn churn<A: Allocator>(worker: &mut Worker<A>, random: &mut SplitMix64, places: &mut [Object], sizes: &[u32]) {
    for _ in 0..places.len() {
        let place = &mut places[random.below(PLACES as u64) as usize];
        if place.ptr.is_null() {
            *place = worker.request(sizes[random.below(sizes.len() as u64) as usize]);
        } else {
            // SAFETY: live, and its place is empty from now on.
            unsafe { worker.free(*place) };
            place.ptr = std::ptr::null_mut();
        }
    }
}

/// Forks; nanoseconds that the call took in the parent, and whether the child did its work.
fn fork_once<A: Allocator>(worker: &mut Worker<A>, size: u32) -> (u64, bool) {
    let began = clock::now_ns();
    // SAFETY: the child calls the measured allocator, the alarm and the exit alone.
    let child = unsafe { libc::fork() };
    let ns = clock::now_ns() - began;
    if child == 0 {
        // SAFETY: a child that hangs is killed by the alarm. The object is freed once. The exit runs no handlers.
        unsafe {
            libc::alarm(CHILD_SECONDS);
            let object = worker.request(size);
            worker.free(object);
            libc::_exit(0);
        }
    }
    if child < 0 {
        eprintln!("error: cannot fork: {}", std::io::Error::last_os_error());
        std::process::exit(1);
    }
    let mut status = -1;
    // SAFETY: the child of this process; `status` is writable.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return (ns, false);
        }
    }
    (ns, status == 0)
}
