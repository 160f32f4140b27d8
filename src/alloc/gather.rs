//! Gathers free memory that waits, before new memory is taken from the OS.
//!
//! Objects in the transfer cache, and in lists of the calling thread, keep whole pages from being used for other sizes. A
//! program that goes from one size to the next would need memory for each anew. So a request whose page would lie in memory
//! that the OS must give first has them put back: lists that are long, or were not used since the last time, and the same
//! of batches, at least half of all.

use super::thread_heap::Heap;
use super::transfer_batch::BATCH_SLOTS;
use super::{arena, central_free_list, outbox, release, transfer_cache};
use crate::class::{BLOCK, Class, Owner};
use crate::config::ActiveConfig;
use crate::metadata::segment::Kind;
use core::ptr;

/// Least bytes that wait: eight blocks, whose page faults cost as much as putting so many objects back.
const BYTES_MIN: usize = 512 << 10;

/// Bytes that are worth a search.
const FOUND_MIN: usize = 256 << 10;
/// Bytes of a list from which on it is put back although it was used lately: to fill it again costs less than the page
/// faults of as much new memory.
const LIST_BYTES_MIN: usize = 64 << 10;

/// Whether so much may wait that a search is worth it, and the last ones found something: each that found nothing lets
/// twice as many requests pass, up to a bound.
#[inline]
pub(super) fn is_worth_it(heap: &Heap) -> bool {
    transfer_cache::waiting_bytes() + heap.capacity() >= BYTES_MIN && heap.search.is_due()
}

/// Whether an object of the class that no cache has makes the arena grow.
pub(super) fn must_grow(class: Class, owner: Owner) -> bool {
    if class.is_run() {
        arena::must_grow(Kind::Large, class.blocks())
    } else {
        central_free_list::must_grow(class, owner)
    }
}

/// Whether an object of the class that no cache has lies in memory that the OS must give first.
pub(super) fn takes_new_memory(class: Class, owner: Owner) -> bool {
    if class.is_run() {
        arena::is_next_untouched(Kind::Large, class.blocks())
    } else {
        central_free_list::is_next_untouched(class, owner)
    }
}

/// Puts back what waits, but objects of `class` in lists. Returns whether the purge is due.
#[cold]
pub(super) fn gather(active: ActiveConfig, heap: &Heap, class: Option<Class>) -> bool {
    let (mut is_due, mut found) = (false, 0);
    let counters = &heap.counters;
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    let is_wanted = |&other: &Class| {
        let is_long = heap.cache.held(other) * other.slot_bytes() >= LIST_BYTES_MIN;
        class != Some(other) && (heap.is_unused_since_last_time(other) || is_long)
    };
    for other in Class::all().filter(is_wanted) {
        while heap.cache.held(other) > 0 {
            let taken = heap.drain(other, &mut objects);
            heap.cache.returned.add(taken as u64);
            found += taken * other.slot_bytes();
            is_due |= release::give_back(active, counters, other, &objects[..taken]);
        }
        heap.narrow(other);
    }
    is_due |= outbox::empty_all(active, heap, false);
    transfer_cache::take_idle(false, |class, _, objects| {
        found += objects.len() * class.slot_bytes();
        is_due |= release::give_back(active, counters, class, objects);
    });
    central_free_list::give_empty(|class, page| {
        found += class.blocks() * BLOCK;
        is_due |= release::give_page(active, counters, class, page);
    });
    heap.search.note(found >= FOUND_MIN);
    is_due
}
