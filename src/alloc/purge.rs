//! The background purge: what is done beside requests when memory waits that may not be needed, by the allocator's own
//! thread or, where that cannot be had, in passing.
//!
//! The factor `purge` knows when; here is what is done at each station, from the outside in: batches that wait in the
//! transfer cache go back to pages and segments, then mappings of the pool and halves of segments go back to the OS.

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
    /// Held while memory is on its way from one station to another, so that a fork finds none in between.
    static ON_ITS_WAY: Lock<()> = Lock::new(());
}
global! {
    /// Milliseconds of the clock when callers did the work last.
    static LAST_MS: AtomicU32 = AtomicU32::new(0);
}
/// What is counted outside of any thread's heap.
static COUNTERS: factor::Counters = factor::Counters::new();

/// Counters of what is done outside of any thread's heap.
pub(crate) fn counters() -> &'static factor::Counters {
    &COUNTERS
}

/// Requests the background purge, if it is due and memory goes back by time.
pub(super) fn request_if(is_due: bool, active: ActiveConfig, counters: &factor::Counters) {
    if is_due && active.purge() == Some(When::ByTime) {
        request(counters);
    }
}

/// Starts the purge's thread, tells it that it has to look, or does its work in passing.
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

/// What the allocator's thread runs.
extern "C" fn run() {
    purge::run(&STATE, &COUNTERS.purge, IDLE_EPOCHS, work);
}

/// The work of one epoch; returns whether anything is left for a later one.
fn work() -> bool {
    let Some(_on_its_way) = ON_ITS_WAY.try_lock() else {
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
    let slots = central_free_list::purge_older_than(&COUNTERS, wait_epochs);
    let halves = arena::purge_older_than(&COUNTERS, wait_epochs, true);
    batches || slots || mappings || halves || is_due
}

/// Gives back to the OS all memory that waits, except what threads' caches hold: in the transfer cache, BigCache, the
/// mapping pool, the arena and the madvise batch.
#[cold]
#[inline(never)]
pub(super) fn reclaim(active: ActiveConfig, counters: &factor::Counters) {
    let _on_its_way = ON_ITS_WAY.lock();
    // No request of the background purge, whatever is due: all that waits is purged at the end.
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
        arena::purge_older_than(counters, 0, true);
        central_free_list::purge_older_than(counters, 0);
    }
}

held_at_fork!(ON_ITS_WAY);

/// In the child of a fork: the thread is not there.
pub(crate) fn forget_after_fork() {
    STATE.forget();
}
