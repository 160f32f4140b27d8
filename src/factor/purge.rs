//! Purge: memory that nobody uses any more goes back to the OS.
//!
//! Half a segment, 2 MiB, whose units are all free is given back with one `madvise`, so that a huge page goes whole and is
//! never split. `batched` waits for 0.6 s, and does it in a thread of the allocator's: what comes and
//! goes costs nothing, and what stays away is given back also when the process falls idle. The thread exists while
//! something waits, and two seconds more. `immediate` does it in the call that frees the last unit. Off never does it.
//!
//! The thread ticks five times a second. Batches of free objects that nobody asked for during two ticks go back to their
//! pages, and what is then free for three ticks to the OS: within two seconds all is back that is not used.
//!
//! Costs nothing for requests and frees that caches serve; one `madvise` a half segment (7 µs for a huge page, 107 µs for
//! 512 OS pages, measured), and new page faults when it is used again; 64 KiB of addresses for the thread's stack. Where a
//! thread cannot be had, a free that finds memory waiting does what is due.

use crate::os;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{constant, global};

counters! {
    /// Ticks in which the thread looked.
    ticks,
    /// Calls of `madvise`.
    calls,
    /// Bytes given back.
    bytes,
    /// Times that the thread was started.
    starts,
}

/// When memory goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When it was free for a while.
    ByTime,
    /// With the free.
    AtOnce,
}

/// Milliseconds between two ticks.
const TICK_MS: u32 = 200;
/// Ticks that half a segment waits.
pub(crate) const WAIT_TICKS: u32 = 3;
/// Ticks without anything to wait for, after which the thread ends.
pub(crate) const IDLE_TICKS: u32 = 10;

global! {
    /// Ticks so far.
    static TICKS: AtomicU32 = AtomicU32::new(0);
}

/// The time, in ticks.
pub(crate) fn now() -> u32 {
    TICKS.load(Ordering::Relaxed)
}

/// Lets time pass in a model.
#[cfg(all(test, loom))]
pub(crate) fn pass_ticks(ticks: u32) {
    TICKS.fetch_add(ticks, Ordering::Relaxed);
}

/// Gives memory back to the OS and keeps its addresses. Returns whether the kernel did.
///
/// # Safety
/// - `[base, base + bytes)` is ours, and nobody uses it.
pub(crate) unsafe fn decommit(counters: &Counters, base: *mut u8, bytes: usize) -> bool {
    counters.calls.add(1);
    // SAFETY: the caller's promise.
    let gone = unsafe { os::decommit(base, bytes) };
    if gone {
        counters.bytes.add(bytes as u64);
    }
    gone
}

/// Who does the work, if anybody, and whether something was left to be done since the thread last looked: one word, so
/// that a wish and the thread's end never miss each other.
#[derive(Debug)]
pub(crate) struct Keeper(AtomicU32);

/// Nobody.
const NOBODY: u32 = 0;
/// The thread, which has seen everything that is wanted.
const THREAD: u32 = 1;
/// The thread, which has to look once more.
const WANTED: u32 = 2 | THREAD;
/// Whoever frees: there is no thread to be had.
const CALLERS: u32 = 4;

/// What somebody has to do who leaves memory behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Nothing.
    None,
    /// Start the thread, and say whether it could be done.
    Start,
    /// The work itself, if it is time.
    Work,
}

impl Keeper {
    constant! {
        /// Nobody works.
        pub(crate) fn new() -> Keeper {
            Keeper(AtomicU32::new(NOBODY))
        }
    }

    /// Says that something waits.
    pub(crate) fn want(&self) -> Duty {
        let mut state = self.0.load(Ordering::Relaxed);
        while state != CALLERS {
            // Written even when it is wanted already. Release: pairs with the acquire in `take`, so that who sees the
            // wish sees what waits.
            match self.0.compare_exchange_weak(state, WANTED, Ordering::Release, Ordering::Relaxed) {
                Ok(NOBODY) => return Duty::Start,
                Ok(_) => return Duty::None,
                Err(newer) => state = newer,
            }
        }
        Duty::Work
    }

    /// The thread could not be started: callers do the work from now on.
    pub(crate) fn give_up(&self) {
        self.0.swap(CALLERS, Ordering::Relaxed);
    }

    /// The thread takes note of what is wanted.
    pub(crate) fn take(&self) -> bool {
        // Acquire: pairs with the release in `want`.
        self.0.swap(THREAD, Ordering::Acquire) == WANTED
    }

    /// The thread has nothing to do; returns whether it may end. Else something came at the last moment.
    pub(crate) fn may_end(&self) -> bool {
        // Relaxed: what the next thread must see of this one's work, it sees by the locks.
        self.0.compare_exchange(THREAD, NOBODY, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// In the child of a fork: the thread is not there.
    pub(crate) fn forget(&self) {
        self.0.swap(NOBODY, Ordering::Relaxed);
        os::forget_thread();
    }
}

/// What the thread does: `work` at every tick, until it has said for so many that nothing waits, and nobody wanted more.
pub(crate) fn keep(keeper: &Keeper, counters: &Counters, idle_ticks_max: u32, work: impl Fn() -> bool) {
    let mut idle_ticks = 0;
    loop {
        os::sleep_ms(TICK_MS);
        TICKS.fetch_add(1, Ordering::Relaxed);
        counters.ticks.add(1);
        let wanted = keeper.take();
        let waits = work();
        idle_ticks = if wanted || waits { 0 } else { idle_ticks + 1 };
        if idle_ticks >= idle_ticks_max && keeper.may_end() {
            return;
        }
    }
}

/// Does `work` in the caller's place if a tick has passed since the last time.
pub(crate) fn keep_in_passing(last_ms: &AtomicU32, counters: &Counters, work: impl Fn() -> bool) {
    let now_ms = (os::now_ns() / 1_000_000) as u32;
    let last = last_ms.load(Ordering::Relaxed);
    let is_ours = now_ms.wrapping_sub(last) >= TICK_MS
        && last_ms.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if is_ours {
        TICKS.fetch_add(1, Ordering::Relaxed);
        counters.ticks.add(1);
        work();
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use crate::sync::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    /// What waits, and who works.
    struct House {
        keeper: Keeper,
        counters: Counters,
        waits: AtomicU32,
        /// Used by whoever works.
        work: UnsafeCell<u32>,
        /// The threads' numbers, as the kernel keeps them: one starts when the last one is gone.
        running: AtomicU32,
        threads: loom::sync::Mutex<Vec<thread::JoinHandle<()>>>,
    }

    impl House {
        fn new() -> Arc<House> {
            Arc::new(House {
                keeper: Keeper::new(),
                counters: Counters::new(),
                waits: AtomicU32::new(0),
                work: UnsafeCell::new(0),
                running: AtomicU32::new(0),
                threads: loom::sync::Mutex::new(Vec::new()),
            })
        }

        /// Leaves something, as a free does.
        fn leave(house: &Arc<House>) {
            house.waits.fetch_add(1, Ordering::Relaxed);
            if house.keeper.want() == Duty::Start {
                let own = house.clone();
                let started = thread::spawn(move || own.keep());
                house.threads.lock().expect("no panic").push(started);
            }
        }

        fn keep(&self) {
            // Acquire, and the release below: as `os::spawn` waits for the last thread to be off the stack.
            while self.running.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                thread::yield_now();
            }
            keep(&self.keeper, &self.counters, 0, || {
                // SAFETY: one thread works, or the checker panics.
                unsafe { *self.work.get() += 1 };
                self.waits.swap(0, Ordering::Relaxed);
                false
            });
            self.running.store(0, Ordering::Release);
        }

        fn join(&self) {
            loop {
                let Some(thread) = self.threads.lock().expect("no panic").pop() else { return };
                thread.join().expect("no panic");
            }
        }
    }

    /// Two threads leave something, one of them twice, while the keeper's thread comes and goes.
    fn wishes() {
        let house = House::new();
        let other = thread::spawn({
            let house = house.clone();
            move || House::leave(&house)
        });
        House::leave(&house);
        other.join().expect("no panic");
        house.join();
        assert_eq!(house.waits.load(Ordering::Relaxed), 0, "something waits, and nobody will come");
        assert_eq!(house.keeper.0.load(Ordering::Relaxed), NOBODY);
    }

    /// Whoever leaves something is seen by a thread that works after it, and never do two work.
    #[test]
    fn loom_keeper_leaves_no_wish_and_never_doubles() {
        check(wishes);
    }

    #[test]
    fn loom_keeper_needs_its_acquire() {
        assert!(fails(Loss::Acquire, wishes));
    }

    #[test]
    fn loom_keeper_needs_its_release() {
        assert!(fails(Loss::Release, wishes));
    }

    /// When the thread cannot be had, every wish after that is its wisher's own work, until a fork.
    #[test]
    fn loom_keeper_without_a_thread_makes_callers_work() {
        check(|| {
            let keeper = Arc::new(Keeper::new());
            let wish = |keeper: &Keeper| match keeper.want() {
                Duty::Start => {
                    keeper.give_up();
                    assert_eq!(keeper.want(), Duty::Work);
                    1
                }
                Duty::None | Duty::Work => 0,
            };
            let other = thread::spawn({
                let keeper = keeper.clone();
                move || wish(&keeper)
            });
            let starts = wish(&keeper) + other.join().expect("no panic");
            assert_eq!(starts, 1);
            assert_eq!(keeper.want(), Duty::Work);
            keeper.forget();
            assert_eq!(keeper.want(), Duty::Start, "the child may have a thread");
        });
    }
}
