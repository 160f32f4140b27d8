//! The background purge: gives unused memory back, in the allocator's own thread or, where that cannot be started, in
//! threads that free.
//!
//! The factor `purge` decides when; this file does the work at each station. Batches that wait in the transfer cache go
//! back to pages and segments, then mappings of the pool and half segments go back to the OS.

use super::{arena, bypass, central_free_list, gate, idle_caches, mapping_pool, release, thread_heap, transfer_cache};
use crate::config::{ActiveConfig, active};
use crate::factor::original::bigcache;
use crate::factor::purge::{self, Action, IDLE_EPOCHS, PurgeState, WAIT_EPOCHS, When};
use crate::factor::{self, elo, madvise_batch};
use crate::os::HUGE_PAGE;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Guard, Lock, global};
use crate::{fatal, os};

global! {
    static STATE: PurgeState = PurgeState::new();
}
global! {
    /// Held while memory moves from one station to another: one thread at a time does that. Freed after each step of the
    /// work.
    static IN_TRANSIT: Lock<()> = Lock::new(());
}
global! {
    /// When the purge was last stopped for a fork, in milliseconds of the monotonic clock.
    static STOPPED_MS: AtomicU32 = AtomicU32::new(0);
}
global! {
    /// When it was stopped first, of the forks since it last went on.
    static STOPPED_FIRST_MS: AtomicU32 = AtomicU32::new(0);
}
global! {
    /// Bytes that calls of `fork` may give back at the moment of [`STOPPED_MS`].
    static FORK_BYTES: AtomicUsize = AtomicUsize::new(0);
}
global! {
    /// 1 if the purge goes on right after the fork.
    static GOES_ON: AtomicU32 = AtomicU32::new(0);
}
global! {
    /// When a caller last did the work, in milliseconds of the monotonic clock.
    static LAST_MS: AtomicU32 = AtomicU32::new(0);
}
/// Counters of the purge's thread, and of work that callers do in its place.
static COUNTERS: factor::Counters = factor::Counters::new();

/// The counters that belong to no thread's heap.
pub(crate) fn counters() -> &'static factor::Counters {
    &COUNTERS
}

/// Requests the background purge, if it is due and memory goes back by time. Inlined, because every free past the thread's
/// cache comes here.
#[inline(always)]
pub(super) fn request_if(is_due: bool, active: ActiveConfig, counters: &factor::Counters) {
    if is_due && active.purge() == Some(When::ByTime) {
        request(counters);
    }
}

/// Requests a look at the caches, if no thread works: where one does, it looks anyway.
pub(super) fn request_look(active: ActiveConfig, counters: &factor::Counters) {
    request_if(!STATE.has_thread(), active, counters);
}

/// Gives memory of the bypass back, or lets the purge do it.
#[cold]
#[inline(never)]
pub(super) fn give_bypass(active: ActiveConfig, counters: &factor::Counters) {
    match active.purge() {
        Some(When::ByTime) => request(counters),
        Some(When::AtOnce) => {
            if let Some(_in_transit) = IN_TRANSIT.try_lock() {
                bypass::give_back(|chunk, bytes| give_chunk(counters, chunk, bytes));
            }
        }
        None => {}
    }
}

/// Gives a chunk of the bypass back to the OS.
fn give_chunk(counters: &factor::Counters, chunk: *mut u8, bytes: usize) -> bool {
    // SAFETY: the bypass gives it up for the moment.
    unsafe { purge::decommit(&counters.purge, chunk, bytes) };
    true
}

/// For so many milliseconds after a fork the thread is not started again: programs count their threads right after it
/// (Python from 3.12 on warns of more than one).
const STOP_MS: u32 = 250;
/// A program that forks without end has its memory looked after by callers, after so many milliseconds.
const STOP_MS_MAX: u32 = 1_000;
/// Bytes that are given back in calls of `fork` in a second, and least and most of them in one call. A MiB takes between
/// 4 µs (huge pages) and 54 µs, of which `fork` saves a part, since it has less to copy.
const FORK_BYTES_PER_SECOND: u64 = 128 << 20;
const FORK_BYTES_MIN: usize = 1 << 20;
const FORK_BYTES_MAX: usize = 256 << 20;
/// Bytes that a child frees, and that wait, for which its thread is started at once.
const CHILD_BYTES: usize = 4 << 20;
global! {
    /// Bytes that wait outside the arena, from which on a stopped purge begins again: in a child of a fork.
    static CHILD_WAITS_MAX: AtomicUsize = AtomicUsize::new(usize::MAX);
}

/// Bytes that wait outside the arena. Takes no lock.
fn waiting_beside_arena() -> usize {
    transfer_cache::waiting_bytes() + central_free_list::waiting_bytes() + mapping_pool::waiting_bytes()
}

/// Milliseconds that [`pause`] waits for the thread at most. A step takes less than one, unless a debugger holds it.
const PAUSE_MS_MAX: u32 = 1_000;

/// Requests the purge of its thread, which this starts if there is none; or does the work, if no thread can be started.
fn request(counters: &factor::Counters) {
    if os::thread_is_lost() {
        STATE.forget();
    }
    match STATE.request() {
        Action::None => {}
        Action::Work => work_in_caller(),
        Action::Start => {
            purge::begin_waiting();
            start(counters);
        }
        Action::Stopped => {
            let now = purge::now_ms();
            let since = |then: &AtomicU32| now.wrapping_sub(then.load(Ordering::Relaxed));
            if since(&STOPPED_MS) >= STOP_MS || waiting_beside_arena() >= CHILD_WAITS_MAX.load(Ordering::Relaxed) {
                if STATE.resume() == Action::Start {
                    start(counters);
                }
            } else if since(&STOPPED_FIRST_MS) >= STOP_MS_MAX {
                work_in_caller();
            }
        }
    }
}

fn start(counters: &factor::Counters) {
    counters.purge.starts.add(1);
    gate::mark();
    // SAFETY: the state says `Start` once, and again when the thread is about to end; nothing below touches
    // thread-local storage, and nothing unwinds.
    if !unsafe { os::spawn(run) } {
        STATE.has_no_thread();
    }
}

/// The function of the purge's thread.
extern "C" fn run() {
    // What the thread had from its caller: the first thread may have changed since then. A thread that had no privileges
    // has none that the process could give up.
    let had = os::settle_thread();
    let may_stay = || had.is_none_or(|had| os::first_threads_privileges() == had);
    let work = || {
        let waits = work(true);
        fatal::abort_if_noted();
        waits
    };
    purge::run(&STATE, &COUNTERS.purge, IDLE_EPOCHS, work, may_stay);
}

fn work_in_caller() {
    purge::run_in_caller(&LAST_MS, &COUNTERS.purge, || work(false));
}

/// Stops the purge for a fork, and waits until its thread is gone, at most a step of its work: neither this process nor
/// the child has it when `fork` returns.
///
/// It is not started again for [`STOP_MS`], and then by a free. A process that forks and calls nothing any more would
/// keep what waits. So the fork gives it back, as far as that is little. Where it is much, the thread starts again as
/// soon as `fork` returns: gigabytes that stay are worse than a thread that is seen. So it does in a process with other
/// threads, whose memory comes back later.
pub(crate) fn stop() {
    // First: a free meanwhile must not find that the last fork was long ago.
    let now = purge::now_ms();
    CHILD_WAITS_MAX.store(usize::MAX, Ordering::Relaxed);
    let since_ms = now.wrapping_sub(STOPPED_MS.swap(now, Ordering::Relaxed));
    let is_first = pause();
    if is_first {
        STOPPED_FIRST_MS.swap(now, Ordering::Relaxed);
    }
    if active().purge() != Some(When::ByTime) {
        return;
    }
    let earned = u64::from(since_ms) * FORK_BYTES_PER_SECOND / 1_000;
    let may_give = (FORK_BYTES.load(Ordering::Relaxed) + earned as usize).min(FORK_BYTES_MAX);
    let waits = waiting_beside_arena() + arena::usage().1;
    let gives = (FORK_BYTES_MIN..=may_give).contains(&waits);
    if gives {
        reclaim(active(), &COUNTERS);
    }
    FORK_BYTES.store(may_give - if gives { waits } else { 0 }, Ordering::Relaxed);
    GOES_ON.store(u32::from(waits > FORK_BYTES_MAX), Ordering::Relaxed);
}

/// Stops the purge, and waits until its thread is gone, at most a step of its work. Returns whether it was not stopped
/// before.
pub(crate) fn pause() -> bool {
    let is_first = STATE.stop();
    os::wake_thread();
    let begin = purge::now_ms();
    while STATE.has_thread() || !os::wait_for_thread_end() {
        if os::thread_is_lost() {
            STATE.forget();
            return pause();
        }
        if os::wait_for_thread_end() {
            // It is being started, or about to leave.
            os::yield_now();
        }
        if purge::now_ms().wrapping_sub(begin) > PAUSE_MS_MAX {
            break;
        }
        // A free by another thread may have let it go on.
        STATE.stop();
    }
    is_first
}

/// Lets the purge go on after [`pause`], with a thread of the caller's user, groups and namespaces.
#[allow(dead_code, reason = "only the C interface calls it")]
pub(crate) fn resume() {
    // The child of a `vfork` shares the memory, but the thread would be its own, and end with it.
    if os::thread_is_own() {
        resume_own();
    }
}

fn resume_own() {
    if STATE.resume() == Action::Start {
        start(&COUNTERS);
    }
}

/// The steps of the work: [`IN_TRANSIT`] is free between them.
struct Steps {
    in_transit: Option<Guard<'static, ()>>,
    /// Whether the purge's thread works, which may be stopped.
    is_thread: bool,
}

impl Steps {
    /// Ends a step and begins the next one. Returns `false` where there must be none.
    fn next(&mut self) -> bool {
        self.in_transit = None;
        if self.is_thread && STATE.is_stopped() {
            return false;
        }
        self.in_transit = Some(IN_TRANSIT.lock());
        true
    }
}

/// Does the work of one epoch. Returns whether anything is left for a later one.
fn work(is_thread: bool) -> bool {
    let Some(in_transit) = IN_TRANSIT.try_lock() else {
        return true;
    };
    let mut steps = Steps { in_transit: Some(in_transit), is_thread };
    let active = active();
    let regret_epochs = purge::wait_epochs(&COUNTERS.purge);
    let (wait_epochs, keeps) = match active.elo_plans().then(elo::plan) {
        Some(plan) if regret_epochs <= WAIT_EPOCHS => (plan.wait_epochs, plan.keeps),
        Some(plan) => (regret_epochs, plan.keeps),
        None => (regret_epochs, true),
    };
    let (mut is_due, holds) = idle_caches::drain(active, &COUNTERS, || steps.next());
    let mut goes_on = !is_thread || !STATE.is_stopped();
    let batches = transfer_cache::take_idle(keeps, |class, owner, objects| {
        // When the purge is stopped, the rest goes back to the transfer cache, which is quicker than to the pages.
        if goes_on || transfer_cache::push(class, owner, objects).is_none() {
            is_due |= release::give_back(active, &COUNTERS, class, objects);
            goes_on = goes_on && steps.next();
        }
    });
    if !goes_on {
        return true;
    }
    central_free_list::give_empty(|class, page| _ = release::give_page(active, &COUNTERS, class, page));
    let mappings = mapping_pool::evict_older_than(wait_epochs, |mapping| {
        release::give_mapping(active, &COUNTERS, mapping);
        steps.next();
    });
    if active.madvise_batch() {
        madvise_batch::flush(&COUNTERS.madvise_batch);
    }
    let evict = |class, page| _ = release::give_page(active, &COUNTERS, class, page);
    let slots = steps.next() && central_free_list::purge_older_than(&COUNTERS, wait_epochs, evict, || steps.next());
    let halves = steps.next() && arena::purge_older_than(&COUNTERS, wait_epochs, true, || steps.next());
    arena::unmap_free(false);
    let chunks = active.purge().is_some()
        && steps.next()
        && bypass::give_back_idle(|chunk, bytes| give_chunk(&COUNTERS, chunk, bytes) && steps.next());
    holds || batches || slots || mappings || halves || chunks || is_due
}

/// Gives back to the OS all memory that waits, except what threads' caches hold: in the transfer cache, BigCache, the
/// mapping pool, the arena and the madvise batch.
#[cold]
#[inline(never)]
pub(super) fn reclaim(active: ActiveConfig, counters: &factor::Counters) {
    let _in_transit = IN_TRANSIT.lock();
    // The background purge is not requested, whatever is due: this call purges all that waits.
    transfer_cache::drain(|class, objects| _ = release::give_back(active, counters, class, objects));
    central_free_list::give_empty(|class, page| _ = release::give_page(active, counters, class, page));
    let evict = |mapping| _ = release::give_mapping(active, counters, mapping);
    if active.bigcache_is_ring() {
        bigcache::drain(&counters.bigcache, evict);
    }
    mapping_pool::drain(evict);
    if active.madvise_batch() {
        madvise_batch::flush(&counters.madvise_batch);
    }
    if active.purge().is_some() {
        let evict = |class, page| _ = release::give_page(active, counters, class, page);
        central_free_list::purge_older_than(counters, 0, evict, || true);
        arena::purge_older_than(counters, 0, true, || true);
        bypass::give_back(|chunk, bytes| give_chunk(counters, chunk, bytes));
    }
    arena::unmap_free(true);
}

/// Of the bytes in use, the part that may wait beside them, in the arena and in the mapping pool together, before one gives
/// way to the other: objects of both turn over, and what one gives back it would take anew at the next turn.
const SLACK_PART: usize = 32;
/// Bytes that may wait in the arena in any case.
const SLACK_ARENA_MIN: usize = 4 << 20;

/// How many bytes must go for `bytes` of other memory, of those that wait in the arena and in the mapping pool.
fn beyond_slack(bytes: usize) -> (usize, usize) {
    let (used, in_arena) = arena::usage();
    let (live, in_pool) = mapping_pool::usage();
    let beyond = (in_arena + in_pool).saturating_sub((used + live) / SLACK_PART).min(bytes);
    (beyond.min(in_arena.saturating_sub(SLACK_ARENA_MIN)), beyond.min(in_pool))
}

/// Gives back as many bytes of what waits in the arena, whatever its age, as a new mapping has: a program that turns from
/// short objects to long ones would hold both. A step takes less time than the page faults of the mapping will.
pub(super) fn give_way(active: ActiveConfig, counters: &factor::Counters, bytes: usize) {
    let (mut left, _) = beyond_slack(bytes);
    if left < HUGE_PAGE || active.purge().is_none() {
        return;
    }
    let Some(_in_transit) = IN_TRANSIT.try_lock() else { return };
    arena::purge_older_than(counters, 0, false, || {
        left = left.saturating_sub(HUGE_PAGE);
        left > 0
    });
}

/// Gives back what waits in the mapping pool, as the arena has grown: a program that turns from long objects to short ones
/// would hold both.
#[cold]
pub(super) fn give_way_to_arena(active: ActiveConfig, counters: &factor::Counters, growth: usize) {
    // The read alone is what nearly every call costs.
    if mapping_pool::waiting_bytes() > 0 {
        let (_, left) = beyond_slack(growth);
        mapping_pool::give_way(left, |oldest| _ = release::give_mapping(active, counters, oldest));
    }
}

/// Whether a thread does the work at this moment.
pub(super) fn is_working() -> bool {
    IN_TRANSIT.try_lock().is_none()
}

/// Notes that a fork is over, which may have taken long, and lets the purge go on where much waits, or the process has
/// other threads anyway.
pub(super) fn go_on_after_fork() {
    STOPPED_MS.store(purge::now_ms(), Ordering::Relaxed);
    let has_threads = || thread_heap::all().filter(|heap| heap.words.load(Ordering::Relaxed) != 0).nth(1).is_some();
    if GOES_ON.swap(0, Ordering::Relaxed) != 0 || has_threads() {
        resume_own();
    }
}

/// Notes that the purge's thread does not exist, in the child of a fork. Most children end soon, or become another program,
/// and share with their parent what waits. So none is started for [`STOP_MS`], as in the parent, unless the child itself
/// frees much.
pub(crate) fn forget_after_fork() {
    STATE.forget();
    _ = STATE.stop();
    let now = purge::now_ms();
    STOPPED_MS.store(now, Ordering::Relaxed);
    STOPPED_FIRST_MS.store(now, Ordering::Relaxed);
    CHILD_WAITS_MAX.store(waiting_beside_arena().saturating_add(CHILD_BYTES), Ordering::Relaxed);
}
