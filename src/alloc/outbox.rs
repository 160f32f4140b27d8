//! The outbox: free objects in a thread's hands that lie on another owner's pages, on their way back.
//!
//! The fast path does not take them into its lists (`thread_cache.rs`). They wait in one stack for all classes. When that
//! is full they go to their owners, sorted: as a batch in the transfer cache where a page's owner gets enough of them for
//! one, and else to their pages.

use super::thread_cache::{self, OUTBOX_SLOTS};
use super::thread_heap::Heap;
use super::{release, transfer_cache};
use crate::class::{Owner, SlotListOffset};
use crate::config::ActiveConfig;
use crate::factor::owned_pages;
use crate::metadata::range;
use core::ptr;

/// Least objects of one class and owner that a batch is made of.
const BATCH_MIN: usize = 16;

/// Puts an object of a block with this list into the calling thread's outbox. `false` where it does not belong there, or
/// there is no room.
pub(super) fn put(list: SlotListOffset, object: *mut u8) -> bool {
    thread_cache::is_foreign(list) && thread_cache::put(SlotListOffset::OUTBOX, object)
}

/// Whether the object lies on a page of another owner than the heap's.
pub(super) fn is_foreign(heap: &Heap, object: *const u8) -> bool {
    let owner = range::slot_list_at(object).owner();
    owner != Owner::NONE && owner != heap.cache.owner()
}

/// Sends back what the heap's outbox holds; to the pages, where no batches are wanted. Returns whether the purge is due.
pub(super) fn empty(active: ActiveConfig, heap: &Heap, batches: bool) -> bool {
    let mut objects = [ptr::null_mut(); OUTBOX_SLOTS];
    let mut count = 0;
    while count < objects.len() {
        objects[count] = heap.cache.pop_outbox();
        if objects[count].is_null() {
            break;
        }
        count += 1;
    }
    heap.cache.returned.add(count as u64);
    heap.counters.owned_pages.sent.add(count as u64);
    let (mut rest, mut is_due) = (&mut objects[..count], false);
    while let Some(&first) = rest.first() {
        let list = range::slot_list_at(first);
        let same = move_same_to_front(list, rest);
        let (group, others) = rest.split_at_mut(same);
        rest = others;
        let Some(class) = list.class() else { continue };
        let counters = &heap.counters;
        let sent = if batches && group.len() >= BATCH_MIN && owned_pages::has_threads(list.owner()) {
            transfer_cache::push(class, list.owner(), group)
        } else {
            None
        };
        is_due |= sent.unwrap_or_else(|| release::give_back(active, counters, class, group));
    }
    is_due
}

/// Moves the first object and those whose blocks have its list to the front. Returns how many they are.
fn move_same_to_front(list: SlotListOffset, objects: &mut [*mut u8]) -> usize {
    let mut same = 1;
    for place in 1..objects.len() {
        // A page may change its owner at this moment: the object is then one of the rest.
        if range::slot_list_at(objects[place]) == list {
            objects.swap(place, same);
            same += 1;
        }
    }
    same
}
