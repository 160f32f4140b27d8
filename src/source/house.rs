//! What is done beside requests, when memory waits that nobody may need: by the allocator's own thread, or in passing.
//!
//! When that is, the factor `purge` knows; here is what it comes to in each layer, from the outside in: what waits in the
//! depot goes back to pages and segments, then spans of the pool and halves of segments go back to the OS.

use super::{arena, central, depot, pool, release, release_span};
use crate::config;
use crate::factor::purge::{self, Duty, IDLE_TICKS, Keeper, WAIT_TICKS};
use crate::factor::{self, elo};
use crate::os;
use crate::sync::atomic::AtomicU32;
use crate::sync::{Guard, Lock, global, held_at_fork};

global! {
    static KEEPER: Keeper = Keeper::new();
}
global! {
    /// Held while memory is on its way from one layer to another, so that a fork finds none in between.
    static HOUSE: Lock<()> = Lock::new(());
}
global! {
    /// Milliseconds, when callers did the work last.
    static LAST_MS: AtomicU32 = AtomicU32::new(0);
}
/// What is counted outside of any thread's heap.
static COUNTERS: factor::Counters = factor::Counters::new();

/// Counters of what was done here.
pub(crate) fn counters() -> &'static factor::Counters {
    &COUNTERS
}

/// The right to empty layers as a whole.
pub(super) fn lock() -> Guard<'static, ()> {
    HOUSE.lock()
}

/// Says that memory waits.
pub(super) fn keep_house(counters: &factor::Counters) {
    if config::active().purge() != Some(purge::When::ByTime) {
        return;
    }
    match KEEPER.want() {
        Duty::None => {}
        Duty::Work => purge::keep_in_passing(&LAST_MS, &COUNTERS.purge, work),
        Duty::Start => {
            counters.purge.starts.add(1);
            // SAFETY: the keeper says `Start` once, and again when the thread is about to end; nothing below touches
            // thread-local storage, and nothing unwinds.
            if !unsafe { os::spawn(keep) } {
                KEEPER.give_up();
            }
        }
    }
}

extern "C" fn keep() {
    purge::keep(&KEEPER, &COUNTERS.purge, IDLE_TICKS, work);
}

/// One tick's work; returns whether anything is left for a later one.
fn work() -> bool {
    let Some(_house) = HOUSE.try_lock() else {
        return true;
    };
    let active = config::active();
    let (wait_ticks, keeps) = match active.elo_plans().then(elo::plan) {
        Some(plan) => (plan.wait_epochs, plan.keeps),
        None => (WAIT_TICKS, true),
    };
    let batches = depot::take_idle(keeps, |class, objects| release(&COUNTERS, class, objects));
    central::give_empty(&COUNTERS);
    let spans = pool::evict_older_than(wait_ticks, |span| release_span(active, &COUNTERS, span));
    if active.madvise_batch() {
        factor::madvise_batch::flush(&COUNTERS.madvise_batch);
    }
    let slots = central::purge_older_than(&COUNTERS, wait_ticks);
    let halves = arena::purge_older_than(&COUNTERS, wait_ticks, true);
    batches || slots || spans || halves
}

held_at_fork!(HOUSE);

/// In the child of a fork: the thread is not there.
pub(crate) fn forget_after_fork() {
    KEEPER.forget();
}
