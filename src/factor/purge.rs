//! Purge: memory that is not used any more goes back to the OS.
//!
//! Half a segment, 2 MiB, whose blocks are all free is given back with one `madvise`, so that a huge page goes whole and is
//! never split. `batched` waits for three epochs of 0.2 s, and does it in a thread of the allocator's: what comes and goes
//! costs nothing, and what stays away is given back also when the process falls idle. The thread exists while something
//! waits, and ten epochs more. `immediate` does it in the call that frees the last block. Off never does it.
//!
//! At each epoch, batches of free objects go back to their pages that no thread took since the last one; then what was free
//! for three epochs goes to the OS, and for six what lies beside used memory. So all that is not used is back within two
//! seconds. What is done at each station is left to the request path's driver.
//!
//! Costs nothing for requests and frees that caches serve; one `madvise` per half segment (7 µs for a huge page, 107 µs for
//! 512 OS pages, measured), and new page faults when it is used again; 64 KiB of addresses for the thread's stack. Where a
//! thread cannot be had, a free that finds memory waiting does what is due.

use crate::os;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{constant, counters, global};

counters! {
    /// Epochs in which the purge looked.
    epochs,
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

/// Milliseconds of an epoch.
const EPOCH_MS: u32 = 200;
/// Epochs that half a segment waits.
pub(crate) const WAIT_EPOCHS: u32 = 3;
/// Epochs without anything that waits, after which the thread ends.
pub(crate) const IDLE_EPOCHS: u32 = 10;

global! {
    /// Epochs so far.
    static EPOCH: AtomicU32 = AtomicU32::new(0);
}

/// The purge's time: the number of the epoch.
pub(crate) fn epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// Lets time pass in a model.
#[cfg(all(test, loom))]
pub(crate) fn pass_epochs(epochs: u32) {
    EPOCH.fetch_add(epochs, Ordering::Relaxed);
}

/// Gives memory back to the OS and keeps its addresses. Returns whether the kernel did.
///
/// # Safety
/// - `[base, base + bytes)` is ours, and holds no object.
pub(crate) unsafe fn decommit(counters: &Counters, base: *mut u8, bytes: usize) -> bool {
    counters.calls.add(1);
    // SAFETY: the caller's promise.
    let gone = unsafe { os::decommit(base, bytes) };
    if gone {
        counters.bytes.add(bytes as u64);
    }
    gone
}

/// Which thread does the work, if any, and whether it was requested since that thread last looked: one word, so that a
/// request and the thread's end never miss each other.
#[derive(Debug)]
pub(crate) struct PurgeState(AtomicU32);

/// No thread.
const NO_THREAD: u32 = 0;
/// The purge's thread, which has seen every request.
const THREAD: u32 = 1;
/// The purge's thread, which has to look once more.
const REQUESTED: u32 = 2 | THREAD;
/// The threads that free: the purge's own cannot be started.
const CALLERS: u32 = 4;

/// What a thread has to do after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Start the purge's thread, and call [`PurgeState::has_no_thread`] where that fails.
    Start,
    /// The work itself, if it is time.
    Work,
}

impl PurgeState {
    constant! {
        /// No thread works.
        pub(crate) fn new() -> PurgeState {
            PurgeState(AtomicU32::new(NO_THREAD))
        }
    }

    /// Requests a look at what waits.
    pub(crate) fn request(&self) -> Action {
        let mut state = self.0.load(Ordering::Relaxed);
        while state != CALLERS {
            // Written even when it is requested already. Release: pairs with the acquire in `take_request`, so that the
            // thread that sees the request sees what waits.
            match self.0.compare_exchange_weak(state, REQUESTED, Ordering::Release, Ordering::Relaxed) {
                Ok(NO_THREAD) => return Action::Start,
                Ok(_) => return Action::None,
                Err(newer) => state = newer,
            }
        }
        Action::Work
    }

    /// The thread could not be started: callers do the work from now on.
    pub(crate) fn has_no_thread(&self) {
        self.0.swap(CALLERS, Ordering::Relaxed);
    }

    /// The thread takes note of requests; returns whether there was one.
    pub(crate) fn take_request(&self) -> bool {
        // Acquire: pairs with the release in `request`.
        self.0.swap(THREAD, Ordering::Acquire) == REQUESTED
    }

    /// The thread has nothing to do; returns whether it may end. Else a request came at the last moment.
    pub(crate) fn may_end(&self) -> bool {
        // Relaxed: what the next thread must see of this one's work, it sees by the locks.
        self.0.compare_exchange(THREAD, NO_THREAD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// In the child of a fork: the thread is not there.
    pub(crate) fn forget(&self) {
        self.0.swap(NO_THREAD, Ordering::Relaxed);
        os::forget_thread();
    }
}

/// What the thread does: `work` at every epoch, until it has said for so many that nothing waits, and no request came.
pub(crate) fn run(state: &PurgeState, counters: &Counters, idle_epochs_max: u32, work: impl Fn() -> bool) {
    let mut idle_epochs = 0;
    loop {
        os::sleep_ms(EPOCH_MS);
        EPOCH.fetch_add(1, Ordering::Relaxed);
        counters.epochs.add(1);
        let requested = state.take_request();
        let waits = work();
        idle_epochs = if requested || waits { 0 } else { idle_epochs + 1 };
        if idle_epochs >= idle_epochs_max && state.may_end() {
            return;
        }
    }
}

/// Does `work` in the caller's place if an epoch has passed since the last time.
pub(crate) fn run_in_passing(last_ms: &AtomicU32, counters: &Counters, work: impl Fn() -> bool) {
    let now_ms = (os::now_ns() / 1_000_000) as u32;
    let last = last_ms.load(Ordering::Relaxed);
    let is_ours = now_ms.wrapping_sub(last) >= EPOCH_MS
        && last_ms.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if is_ours {
        EPOCH.fetch_add(1, Ordering::Relaxed);
        counters.epochs.add(1);
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

    /// What waits, and the state of the purge.
    struct Purge {
        state: PurgeState,
        counters: Counters,
        waits: AtomicU32,
        /// Used by the thread that works.
        work: UnsafeCell<u32>,
        /// The threads' numbers, as the kernel keeps them: one starts when the last one is gone.
        running: AtomicU32,
        threads: loom::sync::Mutex<Vec<thread::JoinHandle<()>>>,
    }

    impl Purge {
        fn new() -> Arc<Purge> {
            Arc::new(Purge {
                state: PurgeState::new(),
                counters: Counters::new(),
                waits: AtomicU32::new(0),
                work: UnsafeCell::new(0),
                running: AtomicU32::new(0),
                threads: loom::sync::Mutex::new(Vec::new()),
            })
        }

        /// Leaves something, as a free does, and requests a purge.
        fn leave(purge: &Arc<Purge>) {
            purge.waits.fetch_add(1, Ordering::Relaxed);
            if purge.state.request() == Action::Start {
                let own = purge.clone();
                let started = thread::spawn(move || own.run());
                purge.threads.lock().expect("no panic").push(started);
            }
        }

        fn run(&self) {
            // Acquire, and the release below: as `os::spawn` waits for the last thread to be off the stack.
            while self.running.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                thread::yield_now();
            }
            run(&self.state, &self.counters, 0, || {
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

    /// Two threads leave something, one of them twice, while the purge's thread comes and goes.
    fn requests() {
        let purge = Purge::new();
        let other = thread::spawn({
            let purge = purge.clone();
            move || Purge::leave(&purge)
        });
        Purge::leave(&purge);
        other.join().expect("no panic");
        purge.join();
        assert_eq!(purge.waits.load(Ordering::Relaxed), 0, "something waits, and no thread will come");
        assert_eq!(purge.state.0.load(Ordering::Relaxed), NO_THREAD);
    }

    /// What a thread leaves is seen by a thread that works after it, and two never work at once.
    #[test]
    fn loom_purge_state_misses_no_request_and_never_doubles() {
        check(requests);
    }

    #[test]
    fn loom_purge_state_needs_its_acquire() {
        assert!(fails(Loss::Acquire, requests));
    }

    #[test]
    fn loom_purge_state_needs_its_release() {
        assert!(fails(Loss::Release, requests));
    }

    /// When the thread cannot be had, the work of every request after that is the caller's own, until a fork.
    #[test]
    fn loom_purge_state_without_a_thread_makes_callers_work() {
        check(|| {
            let state = Arc::new(PurgeState::new());
            let ask = |state: &PurgeState| match state.request() {
                Action::Start => {
                    state.has_no_thread();
                    assert_eq!(state.request(), Action::Work);
                    1
                }
                Action::None | Action::Work => 0,
            };
            let other = thread::spawn({
                let state = state.clone();
                move || ask(&state)
            });
            let starts = ask(&state) + other.join().expect("no panic");
            assert_eq!(starts, 1);
            assert_eq!(state.request(), Action::Work);
            state.forget();
            assert_eq!(state.request(), Action::Start, "the child may have a thread");
        });
    }
}
