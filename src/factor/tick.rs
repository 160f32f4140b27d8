//! Tick: one count, shared by all threads, of allocations. By default raised where no cache serves.
//!
//! A thread raises the count when its cache is found empty, by what the thread counted since the last time (`batched`):
//! the count is late by what caches serve. The original's form, with every allocation, is
//! [`crate::factor::original::tick`].
//!
//! Costs 64 bytes, and one locked instruction per empty cache; nothing per allocation. No system call.

use crate::sync::counters;
use core::sync::atomic::{AtomicU64, Ordering};

counters! {
    /// Allocations that raised the count.
    ticks,
}

#[repr(align(64))]
struct Ticks(AtomicU64);

static TICKS: Ticks = Ticks(AtomicU64::new(0));

/// Raises the count by allocations that are not in it.
#[inline(always)]
pub(crate) fn add(counters: &Counters, allocations: u64) {
    // Relaxed: nothing is ordered by the count.
    TICKS.0.fetch_add(allocations, Ordering::Relaxed);
    counters.ticks.add(allocations);
}

/// State of one thread.
#[derive(Debug)]
pub(crate) struct Local {
    /// Allocations of the thread that are in the count.
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
