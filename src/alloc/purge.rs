//! The background purge: gives unused memory back, in the allocator's own thread or, where that cannot be started, in
//! threads that free.
//!
//! The factor `purge` decides when; this file does the work at each station. Batches that wait in the transfer cache go
//! back to pages and segments, then mappings of the pool and half segments go back to the OS.

use super::{arena, central_free_list, mapping_pool, release, transfer_cache};
use crate::config::{ActiveConfig, active};
use crate::factor::original::bigcache;
use crate::factor::purge::{self, Action, IDLE_EPOCHS, PurgeState, WAIT_EPOCHS, When};
use crate::factor::{self, elo, madvise_batch};
use crate::os;
use crate::sync::atomic::AtomicU32;
use crate::sync::{Lock, global, held_at_fork};

global! {
    static STATE: PurgeState = PurgeState::new();
}
global! {
    /// Held while memory moves from one station to another, so that a fork finds none in between.
    static IN_TRANSIT: Lock<()> = Lock::new(());
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

/// Requests the purge of its thread, which this starts if there is none; or does the work, if no thread can be started.
fn request(counters: &factor::Counters) {
    match STATE.request() {
        Action::None => {}
        Action::Work => purge::run_in_caller(&LAST_MS, &COUNTERS.purge, work),
        Action::Start => {
            counters.purge.starts.add(1);
            // SAFETY: the state says `Start` once, and again when the thread is about to end; nothing below touches
            // thread-local storage, and nothing unwinds.
            if !unsafe { os::spawn(run) } {
                STATE.has_no_thread();
            }
        }
    }
}

/// The function of the purge's thread.
extern "C" fn run() {
    purge::run(&STATE, &COUNTERS.purge, IDLE_EPOCHS, work);
}

/// Does the work of one epoch. Returns whether anything is left for a later one.
fn work() -> bool {
    let Some(_in_transit) = IN_TRANSIT.try_lock() else {
        return true;
    };
    let active = active();
    let (wait_epochs, keeps) = match active.elo_plans().then(elo::plan) {
        Some(plan) => (plan.wait_epochs, plan.keeps),
        None => (WAIT_EPOCHS, true),
    };
    let mut is_due = false;
    let batches = transfer_cache::take_idle(keeps, |class, objects| {
        is_due |= release::give_back(active, &COUNTERS, class, objects);
    });
    central_free_list::give_empty(|class, page| _ = release::give_page(active, &COUNTERS, class, page));
    let mappings = mapping_pool::evict_older_than(wait_epochs, |mapping| {
        release::give_mapping(active, &COUNTERS, mapping);
    });
    if active.madvise_batch() {
        madvise_batch::flush(&COUNTERS.madvise_batch);
    }
    let evict = |class, page| _ = release::give_page(active, &COUNTERS, class, page);
    let slots = central_free_list::purge_older_than(&COUNTERS, wait_epochs, evict, || true);
    let halves = arena::purge_older_than(&COUNTERS, wait_epochs, true, || true);
    batches || slots || mappings || halves || is_due
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
    }
}

held_at_fork!(IN_TRANSIT);

/// Notes that the purge's thread does not exist, in the child of a fork.
pub(crate) fn forget_after_fork() {
    STATE.forget();
}
