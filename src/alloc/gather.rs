//! Gathers free memory that waits, before new memory is taken from the OS.
//!
//! Objects in the transfer cache, and in lists of the calling thread that it does not use, keep whole pages from being
//! used for other sizes. A program that goes from one size to the next would need memory for each anew. So a request that
//! would make the arena grow has them put back first, as far as they were not used since it last did.

use super::thread_heap::Heap;
use super::transfer_batch::BATCH_SLOTS;
use super::{arena, central_free_list, release, transfer_cache};
use crate::class::Class;
use crate::config::ActiveConfig;
use crate::metadata::segment::Kind;
use core::ptr;

/// Least bytes that wait, as a part of what the arena grows by at least.
const BYTES_MIN: usize = 2 << 20;

/// Whether so much waits that a search is worth it.
#[inline]
pub(super) fn is_worth_it(heap: &Heap) -> bool {
    transfer_cache::waiting_bytes() + heap.capacity() >= BYTES_MIN
}

/// Whether an object of the class that no cache has makes the arena grow.
pub(super) fn must_grow(class: Class) -> bool {
    if class.is_run() { arena::must_grow(Kind::Large, class.blocks()) } else { central_free_list::must_grow(class) }
}

/// Puts back what waits, but objects of `class`. Returns whether the purge is due.
#[cold]
pub(super) fn gather(active: ActiveConfig, heap: &Heap, class: Class) -> bool {
    let mut is_due = false;
    let counters = &heap.counters;
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    for other in Class::all().filter(|&other| other != class && heap.is_unused_since_last_time(other)) {
        while heap.cache.held(other) > 0 {
            let taken = heap.drain(other, &mut objects);
            heap.cache.returned.add(taken as u64);
            is_due |= release::give_back(active, counters, other, &objects[..taken]);
        }
        heap.narrow(other);
    }
    transfer_cache::take_idle(true, |class, objects| {
        is_due |= release::give_back(active, counters, class, objects);
    });
    central_free_list::give_empty(|class, page| is_due |= release::give_page(active, counters, class, page));
    is_due
}
