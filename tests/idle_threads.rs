//! Threads that used many sizes and then do nothing: their caches are emptied from outside, by the purge and by `flush`.

mod common;

use common::requests::{allocate, free, touch};
use common::{KIB, MIB, case, present};
use hakmem::Hakmem;
use std::sync::{Arc, Barrier};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// Threads that allocated, wrote and freed objects of these sizes, and wait at a barrier.
struct Idle {
    threads: Vec<JoinHandle<()>>,
    barrier: Arc<Barrier>,
}

impl Idle {
    /// Starts them; they are idle when this returns. `live` objects of each size are live at once, three times over.
    fn start(threads: usize, sizes: &'static [usize], live: usize) -> Idle {
        let barrier = Arc::new(Barrier::new(threads + 1));
        let work = move |barrier: Arc<Barrier>| {
            for size in sizes.iter().copied().cycle().take(3 * sizes.len()) {
                let objects: Vec<*mut u8> = (0..live).map(|_| allocate(size)).collect();
                objects.iter().for_each(|&object| touch(object, size));
                objects.into_iter().for_each(|object| free(object, size));
            }
            barrier.wait();
            barrier.wait();
            // They go on as before.
            for &size in sizes {
                let object = allocate(size);
                touch(object, size);
                free(object, size);
            }
        };
        let threads = (0..threads)
            .map(|_| {
                let barrier = barrier.clone();
                std::thread::spawn(move || work(barrier))
            })
            .collect();
        barrier.wait();
        Idle { threads, barrier }
    }

    fn end(self) {
        self.barrier.wait();
        self.threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}

/// Bytes in the slot lists of all threads.
fn cached() -> u64 {
    hakmem::stats().thread_caches.bytes
}

const SMALL: &[usize] = &[16, 64, 200, 500, KIB, 3_000, 8_000, 20_000, 50_000];
const LARGE: &[usize] = &[70_000, 200_000, 500 * KIB, MIB, 2 * MIB, 4 * MIB];

/// Whether caches can be emptied from outside here: the C library has registered restartable sequences.
fn can_restart() -> bool {
    let [version, _] = common::kernel::c_library_version();
    cfg!(target_arch = "x86_64") && version >= 35 && present("thread-cache") && present("bigcache")
}

#[test]
fn what_idle_threads_hold_goes_back_by_itself() {
    for (label, threads, sizes, live) in
        [("small", 8, SMALL, 300), ("large", 4, LARGE, 3), ("many", 64, &SMALL[..5], 200)]
    {
        case("what_idle_threads_hold_goes_back_by_itself", label).succeeds(|| {
            if !can_restart() || !present("purge") {
                return;
            }
            let idle = Idle::start(threads, sizes, live);
            // Two seconds are promised; a busy machine gets more.
            let begin = Instant::now();
            while cached() > 256 * KIB as u64 && begin.elapsed() < Duration::from_secs(30) {
                sleep(Duration::from_millis(50));
            }
            assert!(cached() <= 256 * KIB as u64, "threads that sleep hold {} KiB", cached() / KIB as u64);
            while hakmem::stats().resident_bytes > 24 * MIB as u64 && begin.elapsed() < Duration::from_secs(40) {
                sleep(Duration::from_millis(50));
            }
            let stats = hakmem::stats();
            assert!(stats.resident_bytes <= 24 * MIB as u64, "{stats}");
            idle.end();
        });
    }
}

#[test]
fn flush_empties_the_caches_of_all_threads() {
    case("flush_empties_the_caches_of_all_threads", "never").vars(&[("HAKMEM_PURGE", "never")]).succeeds(|| {
        if !can_restart() {
            return;
        }
        let idle = Idle::start(6, SMALL, 300);
        assert!(cached() > 256 * KIB as u64, "they hold {} KiB", cached() / KIB as u64);
        // A thread may be on its way to sleep.
        let begin = Instant::now();
        while cached() > 64 * KIB as u64 && begin.elapsed() < Duration::from_secs(20) {
            hakmem::flush();
        }
        assert!(cached() <= 64 * KIB as u64, "they still hold {} KiB", cached() / KIB as u64);
        idle.end();
    });
}

/// However many threads use their caches, all together hold little more than 32 MiB and a part of each.
#[test]
fn many_threads_share_one_allowance() {
    case("many_threads_share_one_allowance", "never").vars(&[("HAKMEM_PURGE", "never")]).succeeds(|| {
        if !present("thread-cache") || !present("bigcache") {
            return;
        }
        const THREADS: usize = 48;
        let idle = Idle::start(THREADS, LARGE, 3);
        let most = (32 * MIB + THREADS * MIB) as u64;
        assert!(cached() <= most, "{} MiB in caches", cached() / MIB as u64);
        idle.end();
    });
}
