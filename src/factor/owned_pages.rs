//! Owned pages: pages of the smallest objects have owners, so that threads do not share cache lines.
//!
//! Where objects are shorter than a cache line, or end in the midst of one, a thread that frees another's object and gets
//! it with its next request writes to a line that the other one writes to as well (false sharing): each write then
//! waits for the other processor. So a heap takes slots of up to 112 bytes from pages of its owner's number, and a free by
//! another thread sends the object back, by the outbox (`alloc/outbox.rs`). Heaps beyond the 31st share numbers.
//!
//! An owner whose threads have ended leaves its pages to all others; where memory would grow, half-empty pages change
//! their owner too. Both lets lines be shared, until the objects that were there are freed.
//!
//! This file knows which owners have threads. Costs no instruction on the fast path; some 2 ns for an object that another
//! thread frees, where that one frees those of many threads in turn; and a page per class and thread, as far as its slots are
//! used.

use crate::class::{OWNERS, Owner};
use crate::sync::counters;
use core::sync::atomic::{AtomicU32, Ordering};

counters! {
    /// Objects that went back to another owner's pages.
    sent,
    /// Return lists that were opened for an owner.
    lists,
    /// Pages that changed their owner.
    adopted,
}

/// Threads with a heap, by owner. Relaxed: the counts order nothing, and a late look costs a page at most.
static THREADS: [AtomicU32; OWNERS] = [const { AtomicU32::new(0) }; OWNERS];

/// Notes that a thread got a heap.
pub(crate) fn begin_thread(owner: Owner) {
    THREADS[owner.index()].fetch_add(1, Ordering::Relaxed);
}

/// Notes that a thread gave its heap up, or does not exist in this child of a fork.
pub(crate) fn end_thread(owner: Owner) {
    THREADS[owner.index()].fetch_sub(1, Ordering::Relaxed);
}

/// Whether a thread takes slots from the owner's pages.
pub(crate) fn has_threads(owner: Owner) -> bool {
    THREADS[owner.index()].load(Ordering::Relaxed) > 0
}
