//! Tick: one count, shared by all threads, of allocations.
//!
//! `shared` raises it with every allocation: 8 bytes, and one locked instruction, 5 to 10 ns by the plan's estimate, more
//! where many threads allocate and the line travels between cores. `batched` raises it when a thread's cache is found
//! empty, by what the thread counted since the last time: the count is late by what caches serve, and costs no allocation
//! anything. No system call.

use core::sync::atomic::{AtomicU64, Ordering};

counters! {
    /// Allocations that raised the count.
    ticks,
}

#[repr(align(64))]
struct Ticks(AtomicU64);

static TICKS: Ticks = Ticks(AtomicU64::new(0));

/// Raises the count.
#[inline(always)]
pub(crate) fn count(counters: &Counters) {
    // Relaxed: nothing is ordered by the count.
    TICKS.0.fetch_add(1, Ordering::Relaxed);
    counters.ticks.add(1);
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
    // Relaxed: nothing is ordered by the count.
    TICKS.0.fetch_add(new, Ordering::Relaxed);
    counters.ticks.add(new);
}

/// The count of the whole process.
pub(crate) fn total() -> u64 {
    TICKS.0.load(Ordering::Relaxed)
}
