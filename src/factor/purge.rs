//! Purge: gives unused memory back to the OS.
//!
//! A free half segment, 2 MiB, goes back with one `madvise`, so that a huge page goes whole and is never split.
//! `batched` waits for three epochs of 0.2 s and works in a thread of the allocator's own: memory that is soon used
//! again costs nothing, and an idle process gives its memory back as well. The thread exists while something waits, and
//! for ten epochs more. `immediate` works in the call that frees the last block. Off never gives memory back.
//!
//! At each epoch, batches of free objects that no thread took since the last epoch go back to their pages. Then half
//! segments that were free for three epochs go to the OS, and free blocks beside used ones after six. So unused memory
//! is back within two seconds. `alloc/purge.rs` does the work at each station.
//!
//! Costs nothing for requests and frees that caches serve; one `madvise` per half segment (7 µs for a huge page, 107 µs
//! for 512 OS pages, measured), and new page faults when it is used again; 64 KiB of addresses for the thread's stack.
//! Where the kernel refuses a thread, a free that finds memory waiting does the work.

use crate::os;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{constant, counters, global};

counters! {
    /// Epochs in which the purge worked.
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
    /// After some epochs without use.
    ByTime,
    /// In the call that frees it.
    AtOnce,
}

/// Milliseconds of an epoch.
const EPOCH_MS: u32 = 200;
/// Epochs for which free memory waits, where no plan of the factor `elo` says otherwise.
pub(crate) const WAIT_EPOCHS: u32 = 3;
/// Epochs without anything that waits, after which the thread ends.
pub(crate) const IDLE_EPOCHS: u32 = 10;

global! {
    /// The number of the current epoch.
    static EPOCH: AtomicU32 = AtomicU32::new(0);
}

/// The number of the current epoch. It wraps.
pub(crate) fn epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// Advances the epoch in a model.
#[cfg(all(test, loom))]
pub(crate) fn pass_epochs(epochs: u32) {
    EPOCH.fetch_add(epochs, Ordering::Relaxed);
}

/// Gives memory back to the OS and keeps its addresses. Returns `false` when the kernel refuses.
///
/// # Safety
/// - `[base, base + bytes)` is the allocator's, and holds no object.
pub(crate) unsafe fn decommit(counters: &Counters, base: *mut u8, bytes: usize) -> bool {
    counters.calls.add(1);
    // SAFETY: the caller's promise.
    let gone = unsafe { os::decommit(base, bytes) };
    if gone {
        counters.bytes.add(bytes as u64);
    }
    gone
}

/// Which thread does the work, if any, and whether a request came since it last took one. All in one word, so that a
/// request never reaches a thread that has decided to end.
#[derive(Debug)]
pub(crate) struct PurgeState(AtomicU32);

/// No thread works, and none was requested.
const NO_THREAD: u32 = 0;
/// The purge's thread works, and has taken every request.
const THREAD: u32 = 1;
/// The purge's thread works, or is being started, and has a request to take.
const REQUESTED: u32 = 2 | THREAD;
/// The threads that free do the work: the purge's own cannot be started.
const CALLERS: u32 = 4;

/// What a thread has to do after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Start the purge's thread, and call [`PurgeState::has_no_thread`] if that fails.
    Start,
    /// The work itself, if an epoch has passed since the last time.
    Work,
}

impl PurgeState {
    constant! {
        /// No thread works.
        pub(crate) fn new() -> PurgeState {
            PurgeState(AtomicU32::new(NO_THREAD))
        }
    }

    /// Requests a purge of what waits.
    pub(crate) fn request(&self) -> Action {
        let mut state = self.0.load(Ordering::Relaxed);
        while state != CALLERS {
            // Written even when a request is there already. Release: pairs with the acquire in `take_request`, so that
            // the thread that takes the request sees what waits.
            match self.0.compare_exchange_weak(state, REQUESTED, Ordering::Release, Ordering::Relaxed) {
                Ok(NO_THREAD) => return Action::Start,
                Ok(_) => return Action::None,
                Err(newer) => state = newer,
            }
        }
        Action::Work
    }

    /// Whether no thread works. Relaxed: an answer that is late only delays what the caller asks for.
    pub(crate) fn has_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NO_THREAD
    }

    /// Notes that the thread could not be started: callers do the work from now on.
    pub(crate) fn has_no_thread(&self) {
        self.0.swap(CALLERS, Ordering::Relaxed);
    }

    /// Takes the request, in the purge's thread. Returns whether there was one.
    pub(crate) fn take_request(&self) -> bool {
        // Acquire: pairs with the release in `request`.
        self.0.swap(THREAD, Ordering::Acquire) == REQUESTED
    }

    /// Notes that the purge's thread ends. Returns `false`, and the thread must go on, if a request has come.
    pub(crate) fn may_end(&self) -> bool {
        // Relaxed: the locks of the stations order this thread's work before the next one's.
        self.0.compare_exchange(THREAD, NO_THREAD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Notes that there is no thread, in the child of a fork.
    pub(crate) fn forget(&self) {
        self.0.swap(NO_THREAD, Ordering::Relaxed);
        os::forget_thread();
    }
}

/// Runs in the purge's thread: does `work` at every epoch, and returns after `idle_epochs_max` epochs in a row in which
/// nothing waited and no request came. `work` returns whether anything waits.
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

/// Runs in a thread that frees: does `work` if an epoch has passed since `last_ms`, milliseconds of the clock.
pub(crate) fn run_in_caller(last_ms: &AtomicU32, counters: &Counters, work: impl Fn() -> bool) {
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
        /// Written by the thread that works.
        work: UnsafeCell<u32>,
        /// 1 while a thread is on the stack, as the kernel clears the thread's number.
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
            // Acquire: pairs with the release below, as `os::spawn` waits until the last thread is off the stack.
            while self.running.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                thread::yield_now();
            }
            run(&self.state, &self.counters, 0, || {
                // SAFETY: the checker panics if two threads work at once.
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

    /// Two threads leave something, while the purge's thread starts and ends.
    fn requests() {
        let purge = Purge::new();
        let other = thread::spawn({
            let purge = purge.clone();
            move || Purge::leave(&purge)
        });
        Purge::leave(&purge);
        other.join().expect("no panic");
        purge.join();
        assert_eq!(purge.waits.load(Ordering::Relaxed), 0, "something waits, and no thread will take it");
        assert_eq!(purge.state.0.load(Ordering::Relaxed), NO_THREAD);
    }

    /// A thread that works afterwards sees what any thread left, and two never work at once.
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

    /// When the thread cannot be started, every caller after that does the work, until a fork.
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
