//! Purge: gives unused memory back to the OS.
//!
//! A free half segment, 2 MiB, goes back with one `madvise`, so that a huge page goes whole and is never split.
//! `batched` waits for three epochs of 0.2 s and works in a thread of the allocator's own: memory that is soon used
//! again costs nothing, and an idle process gives its memory back as well. The thread exists while something waits, and
//! for two epochs more. `immediate` works in the call that frees the last block. Off never gives memory back.
//!
//! At each epoch, batches of free objects that no thread took since the last epoch go back to their pages. Then half
//! segments that were free for three epochs go to the OS, and free blocks beside used ones after six. Where memory is
//! often used again soon after it would have gone, as in work that comes in bursts, all of it waits for seven epochs. So
//! unused memory is back within two seconds. `alloc/purge.rs` does the work at each station.
//!
//! Costs nothing for requests and frees that caches serve; one `madvise` per half segment (7 µs for a huge page, 107 µs
//! for 512 OS pages, measured), and new page faults when it is used again; 68 KiB for the thread's stack.
//! Where the kernel refuses a thread, a free that finds memory waiting does the work.

mod regret;

use regret::Regret;
pub(crate) use regret::WAIT_EPOCHS;

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
/// Epochs without anything that waits, after which the thread ends.
pub(crate) const IDLE_EPOCHS: u32 = 2;

global! {
    /// The number of the current epoch. So high at first that memory which was never freed, in epoch 0, is old.
    static EPOCH: AtomicU32 = AtomicU32::new(1 << 16);
}
global! {
    /// When the epoch began, in milliseconds of the monotonic clock.
    static EPOCH_BEGAN_MS: AtomicU32 = AtomicU32::new(0);
}
global! {
    /// Whether memory that went to the OS, or would have gone, is soon used again.
    static REGRET: Regret = Regret::new();
}
global! {
    /// When memory last went back to the OS, in milliseconds of the monotonic clock.
    static GONE_MS: AtomicU32 = AtomicU32::new(0);
}

/// The number of the current epoch. It wraps.
pub(crate) fn epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// Milliseconds of the monotonic clock. They wrap.
pub(crate) fn now_ms() -> u32 {
    (os::now_ns() / 1_000_000) as u32
}

/// Begins the current epoch anew: memory begins to wait, and there is no thread yet.
pub(crate) fn begin_waiting() {
    EPOCH_BEGAN_MS.store(now_ms(), Ordering::Relaxed);
}

/// Begins the next epoch.
fn begin_epoch(counters: &Counters) {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    EPOCH_BEGAN_MS.store(now_ms(), Ordering::Relaxed);
    counters.epochs.add(1);
}

/// Advances the epoch in a model.
#[cfg(all(test, loom))]
pub(crate) fn pass_epochs(epochs: u32) {
    EPOCH.fetch_add(epochs, Ordering::Relaxed);
}

/// Notes that free memory is used again, which no object was in since the epoch `freed_at`. `is_clean` says that it went
/// back to the OS, or never held anything.
pub(crate) fn note_use(freed_at: u32, bytes: usize, is_clean: bool) {
    REGRET.note_use(epoch().wrapping_sub(freed_at), bytes, || {
        // Where nothing waits there is no thread that begins epochs. Then the clock tells.
        is_clean && now_ms().wrapping_sub(GONE_MS.load(Ordering::Relaxed)) > Regret::GONE_MS_MAX
    });
}

/// The epochs for which free memory waits, asked once in an epoch. `counters` are those that count what goes.
pub(crate) fn wait_epochs(counters: &Counters) -> u32 {
    REGRET.wait_epochs(counters.bytes.get(), now_ms())
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
        GONE_MS.store(now_ms(), Ordering::Relaxed);
    }
    gone
}

/// Which thread does the work, if any, whether a request came since it last took one, and whether it has to end. All in
/// one word, so that a request never reaches a thread that has decided to end.
#[derive(Debug)]
pub(crate) struct PurgeState(AtomicU32);

/// No thread works, and none was requested.
const NO_THREAD: u32 = 0;
/// Set while the purge's thread works, or is being started.
const THREAD: u32 = 1;
/// Set while a request has not been taken.
const REQUEST: u32 = 2;
/// The threads that free do the work: the purge's own cannot be started.
const CALLERS: u32 = 4;
/// Set while there must be no thread: it ends, and none is started.
const STOP: u32 = 8;

/// What a thread has to do after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Start the purge's thread, and call [`PurgeState::has_no_thread`] if that fails.
    Start,
    /// The work itself, if an epoch has passed since the last time.
    Work,
    /// Nothing, or [`PurgeState::resume`] if there may be a thread again. The request is noted.
    Stopped,
}

impl PurgeState {
    constant! {
        /// No thread works.
        pub(crate) fn new() -> PurgeState {
            PurgeState(AtomicU32::new(NO_THREAD))
        }
    }

    /// Replaces the state by what `change` makes of it. Returns the state before.
    fn change(&self, order: Ordering, change: impl Fn(u32) -> u32) -> u32 {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            // Written even when it stays: the thread that takes a request which is there already sees what this one left.
            match self.0.compare_exchange_weak(state, change(state), order, Ordering::Relaxed) {
                Ok(before) => return before,
                Err(newer) => state = newer,
            }
        }
    }

    /// Requests a purge of what waits.
    pub(crate) fn request(&self) -> Action {
        // Release: pairs with the acquire in `take_request`, so that the thread that takes the request sees what waits.
        let before = self.change(Ordering::Release, |state| match state {
            CALLERS => CALLERS,
            _ if state & STOP != 0 => state | REQUEST,
            _ => state | REQUEST | THREAD,
        });
        match before {
            CALLERS => Action::Work,
            _ if before & THREAD != 0 => Action::None,
            _ if before & STOP != 0 => Action::Stopped,
            _ => Action::Start,
        }
    }

    /// Notes that the thread could not be started: callers do the work from now on.
    pub(crate) fn has_no_thread(&self) {
        self.0.swap(CALLERS, Ordering::Relaxed);
    }

    /// Takes the request, in the purge's thread. Returns whether there was one.
    pub(crate) fn take_request(&self) -> bool {
        // Acquire: pairs with the release in `request`.
        self.0.fetch_and(!REQUEST, Ordering::Acquire) & REQUEST != 0
    }

    /// Notes that the purge's thread ends. Returns `false`, and the thread must go on, if a request has come.
    pub(crate) fn may_end(&self) -> bool {
        // Release: pairs with the acquire in `has_thread`. The locks of the stations order this thread's work before the
        // next one's.
        self.0.compare_exchange(THREAD, NO_THREAD, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Notes that the purge's thread ends although something may wait, which stays requested.
    pub(crate) fn end(&self) {
        // Release: as in `may_end`. A request that came is passed on, by a release sequence.
        self.change(Ordering::Release, |state| (state | REQUEST) & !THREAD);
    }

    /// Stops the purge: its thread ends after the step that it does, and no other is started, until
    /// [`PurgeState::resume`] is called. Returns whether it was not stopped before.
    pub(crate) fn stop(&self) -> bool {
        // Relaxed: orders nothing. Who stops the thread waits until the kernel says that it is gone.
        self.change(Ordering::Relaxed, |state| if state == CALLERS { state } else { state | STOP }) & STOP == 0
    }

    /// Whether there must be no thread.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STOP != 0
    }

    /// Whether a thread works, or is being started.
    pub(crate) fn has_thread(&self) -> bool {
        // Acquire: pairs with the releases in `may_end` and `end`. Else the caller might not see that the thread had come
        // to its stack, and would not wait until it has left it.
        self.0.load(Ordering::Acquire) & THREAD != 0
    }

    /// Lets there be a thread again. Returns whether to start it, for a request that came meanwhile.
    pub(crate) fn resume(&self) -> Action {
        let wants = |state: u32| state & (STOP | REQUEST | THREAD) == STOP | REQUEST;
        // Relaxed: a request that came is passed on, by a release sequence.
        let before = self.change(Ordering::Relaxed, |state| state & !STOP | if wants(state) { THREAD } else { 0 });
        if wants(before) { Action::Start } else { Action::None }
    }

    /// Notes that there is no thread, in the child of a fork.
    pub(crate) fn forget(&self) {
        self.0.swap(NO_THREAD, Ordering::Relaxed);
        os::forget_thread();
    }
}

/// Runs in the purge's thread: does `work` at every epoch. Returns after `idle_epochs_max` epochs in a row in which
/// nothing waited and no request came, when the purge is stopped, and when `may_stay` returns `false`. `work` returns whether
/// anything waits.
pub(crate) fn run(
    state: &PurgeState,
    counters: &Counters,
    idle_epochs_max: u32,
    work: impl Fn() -> bool,
    may_stay: impl Fn() -> bool,
) {
    let mut idle_epochs = 0;
    loop {
        let alarm = os::alarm();
        if !state.is_stopped() {
            // A thread that was stopped in an epoch and started again does not make it longer.
            let passed = now_ms().wrapping_sub(EPOCH_BEGAN_MS.load(Ordering::Relaxed));
            os::sleep_ms(EPOCH_MS.saturating_sub(passed), alarm);
        }
        if state.is_stopped() {
            return state.end();
        }
        begin_epoch(counters);
        let requested = state.take_request();
        let waits = work();
        idle_epochs = if requested || waits { 0 } else { idle_epochs + 1 };
        if idle_epochs >= idle_epochs_max && state.may_end() {
            return;
        }
        // After the work, so that each thread does some, whatever thread of the program starts it.
        if !may_stay() {
            return state.end();
        }
    }
}

/// Runs in a thread that frees: does `work` if an epoch has passed since `last_ms`, milliseconds of the clock.
pub(crate) fn run_in_caller(last_ms: &AtomicU32, counters: &Counters, work: impl Fn() -> bool) {
    let now_ms = now_ms();
    let last = last_ms.load(Ordering::Relaxed);
    let is_ours = now_ms.wrapping_sub(last) >= EPOCH_MS
        && last_ms.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if is_ours {
        begin_epoch(counters);
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
                Purge::start(purge);
            }
        }

        fn start(purge: &Arc<Purge>) {
            let own = purge.clone();
            let started = thread::spawn(move || own.run());
            purge.threads.lock().expect("no panic").push(started);
        }

        /// Waits until there is no thread, does work of its own meanwhile, and lets there be one again.
        fn stop_and_resume(purge: &Arc<Purge>) {
            assert!(purge.state.stop());
            // Acquire: as in `run`.
            while purge.state.has_thread() || purge.running.load(Ordering::Acquire) != 0 {
                thread::yield_now();
            }
            // SAFETY: as in `run`.
            unsafe { *purge.work.get() += 1 };
            // What orders this work before the next thread's start, for the program that stopped it.
            purge.running.store(0, Ordering::Release);
            if purge.state.resume() == Action::Start {
                Purge::start(purge);
            }
        }

        fn run(&self) {
            // Acquire: pairs with the release below, as `os::spawn` waits until the last thread is off the stack.
            while self.running.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                thread::yield_now();
            }
            let work = || {
                // SAFETY: the checker panics if two threads work at once.
                unsafe { *self.work.get() += 1 };
                self.waits.swap(0, Ordering::Relaxed);
                false
            };
            run(&self.state, &self.counters, 0, work, || true);
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

    /// One thread leaves something, while another stops the purge and lets it go on.
    fn stops() {
        let purge = Purge::new();
        let other = thread::spawn({
            let purge = purge.clone();
            move || Purge::leave(&purge)
        });
        Purge::stop_and_resume(&purge);
        other.join().expect("no panic");
        purge.join();
        assert_eq!(purge.waits.load(Ordering::Relaxed), 0, "something waits, and no thread will take it");
        assert_eq!(purge.state.0.load(Ordering::Relaxed), NO_THREAD);
    }

    /// While the purge is stopped no thread works, and what was requested meanwhile is done afterwards.
    #[test]
    fn loom_purge_state_stops_and_misses_no_request() {
        check(stops);
    }

    #[test]
    fn loom_purge_state_stop_needs_its_acquire() {
        assert!(fails(Loss::Acquire, stops));
    }

    #[test]
    fn loom_purge_state_stop_needs_its_release() {
        assert!(fails(Loss::Release, stops));
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
                Action::None | Action::Work | Action::Stopped => 0,
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
