//! Tick: one count of allocations that all threads share. By default raised at requests that no cache serves.
//!
//! A thread that finds its slot list empty raises the count by its allocations since the last time (`batched`), so that
//! the count lags by what caches served since. The original's form raises it at every allocation:
//! [`crate::factor::original::tick`].
//!
//! Costs 64 bytes, and one locked instruction per request that finds a slot list empty. No system call.

use crate::sync::counters;
use core::sync::atomic::{AtomicU64, Ordering};

counters! {
    /// Allocations that are in the count.
    ticks,
}

#[repr(align(64))]
struct Ticks(AtomicU64);

static TICKS: Ticks = Ticks(AtomicU64::new(0));

/// Raises the count by so many allocations.
#[inline(always)]
pub(crate) fn add(counters: &Counters, allocations: u64) {
    // Relaxed: nothing is ordered by the count.
    TICKS.0.fetch_add(allocations, Ordering::Relaxed);
    counters.ticks.add(allocations);
}

/// State of one thread.
#[derive(Debug)]
pub(crate) struct Local {
    /// The thread's allocations that are in the count.
    counted: u64,
}

/// Raises the count to what the thread has allocated.
pub(crate) fn catch_up(local: &mut Local, counters: &Counters, allocations: u64) {
    let new = allocations.wrapping_sub(local.counted);
    local.counted = allocations;
    add(counters, new);
}

/// The count of the whole process.
pub(crate) fn total() -> u64 {
    TICKS.0.load(Ordering::Relaxed)
}
