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
use crate::sync::constant;

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
const IDLE_TICKS: u32 = 10;

/// Ticks so far.
static TICKS: AtomicU32 = AtomicU32::new(0);

/// The time, in ticks.
pub(crate) fn now() -> u32 {
    TICKS.load(Ordering::Relaxed)
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

/// Who does the work, if anybody.
#[derive(Debug)]
pub(crate) struct Keeper {
    state: AtomicU32,
    /// Set by whoever leaves something to be done, cleared by the thread before it looks.
    wanted: AtomicU32,
}

/// Nobody.
const NOBODY: u32 = 0;
/// The thread.
const THREAD: u32 = 1;
/// Whoever frees: there is no thread to be had.
const CALLERS: u32 = 2;

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
            Keeper { state: AtomicU32::new(NOBODY), wanted: AtomicU32::new(0) }
        }
    }

    /// Says that something waits.
    pub(crate) fn want(&self) -> Duty {
        // SeqCst, here and in `may_end`: either the thread that ends sees the wish, or whoever wishes sees it gone.
        self.wanted.store(1, Ordering::SeqCst);
        match self.state.load(Ordering::SeqCst) {
            THREAD => Duty::None,
            CALLERS => Duty::Work,
            _ => match self.state.compare_exchange(NOBODY, THREAD, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => Duty::Start,
                Err(_) => Duty::None,
            },
        }
    }

    /// The thread could not be started: callers do the work from now on.
    pub(crate) fn give_up(&self) {
        self.state.store(CALLERS, Ordering::SeqCst);
    }

    /// The thread takes note of what is wanted.
    pub(crate) fn take(&self) -> bool {
        self.wanted.swap(0, Ordering::SeqCst) != 0
    }

    /// The thread has nothing to do; returns whether it may end. Else something came at the last moment.
    pub(crate) fn may_end(&self) -> bool {
        self.state.store(NOBODY, Ordering::SeqCst);
        // Whoever wished before the line above, and saw the thread, relies on it.
        self.wanted.load(Ordering::SeqCst) == 0
            || self.state.compare_exchange(NOBODY, THREAD, Ordering::SeqCst, Ordering::SeqCst).is_err()
    }

    /// In the child of a fork: the thread is not there.
    pub(crate) fn forget(&self) {
        self.state.store(NOBODY, Ordering::SeqCst);
        os::forget_thread();
    }
}

/// What the thread does: `work` at every tick, until it has said for a while that nothing waits, and nobody wanted more.
pub(crate) fn keep(keeper: &Keeper, counters: &Counters, work: impl Fn() -> bool) {
    let mut idle_ticks = 0;
    loop {
        os::sleep_ms(TICK_MS);
        TICKS.fetch_add(1, Ordering::Relaxed);
        counters.ticks.add(1);
        let wanted = keeper.take();
        let waits = work();
        idle_ticks = if wanted || waits { 0 } else { idle_ticks + 1 };
        if idle_ticks >= IDLE_TICKS && keeper.may_end() {
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
