//! Forks of busy programs: every child allocates, whatever the parent's threads were doing, and has its memory looked
//! after as the parent has.

mod common;

use common::kernel::{resident_pages, threads};
use common::object::Object;
use common::requests::{allocate, free, touch};
use common::{KIB, MIB, PAGE, case, counter, level, present};
use hakmem::Hakmem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// Runs the work in a child that is ended when it hangs, and returns the child's number.
fn start_child(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child uses this allocator, which is what is tested, and nothing else that locks.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: ends this process if it hangs.
            unsafe { libc::alarm(60) };
            // What fails here must not unwind into the parent's test harness.
            let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: ends the process without the parent's exit handlers.
            unsafe { libc::_exit(i32::from(whole.is_err())) }
        }
        child => child,
    }
}

#[track_caller]
fn wait_for(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: waits for the child, and writes its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "14 is a child that hung, 6 or 11 one whose heap was broken");
}

/// Small and large objects of all kinds, mostly freed.
fn churn(seed: usize, steps: usize) {
    let mut live: Vec<Object> = Vec::new();
    for n in seed..seed + steps {
        let size = match n % 128 {
            0 => 4 * MIB + n % 3 * MIB,
            1..4 => 60 * KIB + n % 40 * 32 * KIB,
            _ => 1 + n * 17 % 3000,
        };
        live.push(Object::new(size, 1 << (n % 8)));
        if n % 3 != 0 {
            live.swap_remove(n % live.len()).free();
        }
        if live.len() > 64 {
            live.drain(..32).for_each(Object::free);
        }
    }
    live.into_iter().for_each(Object::free);
}

/// In the child: requests, frees of what the parent's threads made, new threads.
fn in_a_child(kept: &[Object]) {
    churn(1, 300);
    for object in kept {
        object.check(object.size(), object.size());
        // SAFETY: this process's copy of the object, freed once.
        unsafe { std::alloc::dealloc(object.base, object.layout) };
    }
    let threads = [3, 5].map(start_thread);
    for thread in threads {
        // SAFETY: started above, and joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
    }
}

/// Starts a thread that churns. A thread of the standard library starts under a lock that no fork frees: where a thread
/// of the parent starts at the same moment, one in the child never does, with any allocator.
fn start_thread(seed: usize) -> libc::pthread_t {
    extern "C" fn run(seed: *mut libc::c_void) -> *mut libc::c_void {
        churn(seed.addr(), 200);
        std::ptr::null_mut()
    }
    let mut thread = 0;
    // SAFETY: the function takes a number in place of an address, and nothing unwinds out of it.
    let refused =
        unsafe { libc::pthread_create(&raw mut thread, std::ptr::null(), run, std::ptr::without_provenance_mut(seed)) };
    assert_eq!(refused, 0);
    thread
}

#[test]
fn a_hundred_forks_of_churning_threads() {
    let name = "a_hundred_forks_of_churning_threads";
    let forks = |count: usize| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let done = &done;
                scope.spawn(move || {
                    for round in 0_usize.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        churn(thread * 1_000 + round, 100);
                        // Threads come and go as well while the program forks.
                        if round % 16 == thread {
                            std::thread::spawn(move || churn(round, 20)).join().expect("it only allocates");
                        }
                    }
                });
            }
            let kept: Vec<Object> = (1..60).map(|n| Object::new(n * n * 50, 16)).collect();
            for _ in 0..count {
                wait_for(start_child(|| in_a_child(&kept)));
            }
            done.store(true, Ordering::Relaxed);
            kept.into_iter().for_each(Object::free);
        });
    };
    case(name, "default").succeeds(|| forks(100));
    case(name, "at once")
        .vars(&[("HAKMEM_PURGE", "immediate"), ("HAKMEM_DISABLE_THREAD_CACHE", "1")])
        .succeeds(|| forks(25));
    case(name, "original").var("HAKMEM_MODE", "original").succeeds(|| forks(25));
    case(name, "mappings").vars(&[("HAKMEM_DISABLE_ARENA", "1"), ("HAKMEM_HEADER", "16")]).succeeds(|| forks(25));
}

#[test]
fn children_of_children() {
    fn descend(depth: u32) {
        churn(depth as usize, 200);
        if depth > 0 {
            wait_for(start_child(|| descend(depth - 1)));
        }
        churn(depth as usize + 7, 200);
    }
    descend(5);
}

/// Memory that a child frees goes back as a parent's does: the thread that did that is not there, and is started again.
#[test]
fn a_child_has_a_keeper_of_its_own() {
    case("a_child_has_a_keeper_of_its_own", "batched").var("HAKMEM_PURGE", "batched").succeeds(|| {
        if !present("purge") || !present("arena") || level("bigcache") == "on" {
            return;
        }
        let harness_threads = threads();
        let free_much = || {
            let objects = [(); 64].map(|()| {
                let object = allocate(2 * MIB);
                touch(object, 2 * MIB);
                object
            });
            objects.into_iter().for_each(|object| free(object, 2 * MIB));
            objects
        };
        let resident = |objects: &[*mut u8]| -> usize {
            objects.iter().map(|&object| resident_pages(object, 2 * MIB)).sum::<usize>() * PAGE
        };
        let goes_back = |objects: &[*mut u8]| {
            let deadline = Instant::now() + Duration::from_secs(50);
            while resident(objects) > 48 * MIB {
                assert!(Instant::now() < deadline, "{} MiB stay", resident(objects) / MIB);
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        let objects = free_much();
        assert!(threads() > harness_threads, "the parent's purge thread runs");
        let child = start_child(|| {
            assert_eq!(threads(), 1, "the child has no purge thread");
            goes_back(&free_much());
            assert!(threads() > 1);
        });
        wait_for(child);
        goes_back(&objects);
        // And a child that was forked while no purge thread ran.
        wait_for(start_child(|| goes_back(&free_much())));
    });
}

/// The purge's thread is stopped for each fork. What waits goes back nevertheless, also in a parent that does nothing but
/// fork, whether it is little or much.
#[test]
fn a_parent_that_only_forks_gives_its_memory_back() {
    let name = "a_parent_that_only_forks_gives_its_memory_back";
    for count in [40, 240] {
        case(name, &format!("{} MiB", 2 * count)).succeeds(|| {
            if !present("purge") || !present("arena") || level("bigcache") == "on" {
                return;
            }
            let touched: Vec<*mut u8> = (0..count)
                .map(|_| {
                    let object = allocate(2 * MIB);
                    touch(object, 2 * MIB);
                    object
                })
                .collect();
            touched.iter().for_each(|&object| free(object, 2 * MIB));
            let deadline = Instant::now() + Duration::from_secs(50);
            loop {
                wait_for(start_child(|| ()));
                let left: usize = touched.iter().map(|&object| resident_pages(object, 2 * MIB)).sum();
                if left * PAGE < 24 * MIB {
                    break;
                }
                assert!(Instant::now() < deadline, "{} MiB stay", left * PAGE / MIB);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
}

/// Much memory goes back in many short steps, and a fork waits for one of them: forks see the work in many states between
/// its beginning and its end. No object is touched, so that the steps are the allocator's own.
#[test]
fn a_fork_waits_for_one_step_of_the_purge() {
    case("a_fork_waits_for_one_step_of_the_purge", "default").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        const SIZE: usize = 7 * KIB;
        const PAGES: usize = 32_000;
        let objects: Vec<*mut u8> = (0..9 * PAGES).map(|_| allocate(SIZE)).collect();
        // A survivor in every page.
        objects.iter().enumerate().filter(|(at, _)| at % 9 != 4).for_each(|(_, &object)| free(object, SIZE));
        let mut states = std::collections::BTreeSet::new();
        let deadline = Instant::now() + Duration::from_secs(50);
        while states.last().is_none_or(|&bytes| bytes < (PAGES * 40 * KIB) as u64) {
            assert!(Instant::now() < deadline, "{states:?}");
            wait_for(start_child(|| ()));
            states.insert(counter("purge", "bytes"));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(states.len() > 8, "{states:?}");
    });
}
