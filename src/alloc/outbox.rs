//! The outboxes: free objects in a thread's hands that lie on another owner's pages, on their way back.
//!
//! The fast path does not take them into its lists (`thread_cache.rs`). They wait in a stack for each class. When that is
//! full they go to the pages' owners: as a batch in the transfer cache, where there are enough for one, and else to the
//! pages.

use super::thread_cache::{self, OUTBOX_SLOTS};
use super::thread_heap::{self, Heap};
use super::{release, transfer_cache};
use crate::class::{Class, Owner, SlotListOffset};
use crate::config::ActiveConfig;
use crate::factor::owned_pages;
use crate::metadata::range;
use core::ptr;

/// Least objects of one owner that a batch is made of.
const BATCH_MIN: usize = 16;

/// Puts an object of a block with this list into the calling thread's outbox. `false` where it does not belong there, or
/// there is no room.
pub(super) fn put(list: SlotListOffset, object: *mut u8) -> bool {
    thread_cache::is_foreign(list) && thread_cache::put(list.outbox(), object)
}

/// Whether the object lies on a page of another owner than the heap's.
pub(super) fn is_foreign(heap: &Heap, object: *const u8) -> bool {
    let owner = range::slot_list_at(object).owner();
    owner != Owner::NONE && owner != heap.cache.owner()
}

/// Sends back what all of the heap's outboxes hold, as [`empty`] does.
pub(super) fn empty_all(active: ActiveConfig, heap: &Heap, batches: bool) -> bool {
    let classes = Class::all().take_while(|class| class.has_owners());
    classes.fold(false, |is_due, class| empty(active, heap, class, batches) | is_due)
}

/// Sends back what the heap's outbox of a class with owners holds; to the pages, where no batches are wanted. Returns
/// whether the purge is due.
pub(super) fn empty(active: ActiveConfig, heap: &Heap, class: Class, batches: bool) -> bool {
    let mut objects = [ptr::null_mut(); OUTBOX_SLOTS];
    let count = thread_heap::fill(&mut objects, || heap.cache.pop_outbox(class));
    heap.cache.returned.add(count as u64);
    heap.counters.owned_pages.sent.add(count as u64);
    let (mut rest, mut is_due) = (&mut objects[..count], false);
    while let Some(&first) = rest.first() {
        let owner = range::slot_list_at(first).owner();
        let count = move_same_to_front(owner, rest);
        let (same, others) = rest.split_at_mut(count);
        rest = others;
        let is_batch = batches && same.len() >= BATCH_MIN && owned_pages::has_threads(owner);
        let sent = if is_batch { transfer_cache::push(class, owner, same) } else { None };
        is_due |= sent.unwrap_or_else(|| release::give_back(active, &heap.counters, class, same));
    }
    is_due
}

/// Moves the first object, and those whose pages have its owner, to the front. Returns how many they are.
fn move_same_to_front(owner: Owner, objects: &mut [*mut u8]) -> usize {
    let mut same = 1;
    for place in 1..objects.len() {
        // A page may change its owner at this moment: the object is then one of the rest.
        if range::slot_list_at(objects[place]).owner() == owner {
            objects.swap(place, same);
            same += 1;
        }
    }
    same
}
