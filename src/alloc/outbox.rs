//! The outboxes: free objects in a thread's hands that lie on another owner's pages, on their way back.
//!
//! The fast path does not take them into its lists (`thread_cache.rs`). They wait in a stack for each class, the outbox.
//! When that is full they go to the pages' owners: as a batch in the transfer cache, where there are enough for one, and
//! else to the pages.
//!
//! An owner that gets most of an outbox gets a return list, a stack for one class of one owner, which the fast path puts
//! objects into as into the thread's own. There are few; the oldest one changes its place for the next.

use super::thread_cache::{self, OUTBOX_SLOTS};
use super::thread_heap::Heap;
use super::{release, transfer_cache};
use crate::class::{Class, Owner, SlotListOffset};
use crate::config::ActiveConfig;
use crate::factor::owned_pages;
use crate::metadata::range;
use core::ptr;

/// Least objects of one owner that a batch is made of.
const BATCH_MIN: usize = 16;
/// Least objects of one owner, of those in a full outbox, for which it gets a return list.
const RETURN_MIN: usize = OUTBOX_SLOTS / 2;

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

/// Puts an object of another owner's page where it waits, after the fast path had no room for it. Returns whether the
/// purge is due, as do the functions below.
pub(super) fn give(active: ActiveConfig, heap: &Heap, class: Class, object: *mut u8) -> bool {
    let place = range::slot_list_at(object);
    let put = || match heap.cache.return_list(place) {
        Some(list) => list.push(object),
        None => heap.cache.push_outbox(class, object),
    };
    if put() {
        return false;
    }
    let is_due = match heap.cache.return_list(place) {
        Some(_) => empty_return(active, heap, place, true),
        None => empty(active, heap, class, true),
    };
    if put() {
        return is_due;
    }
    heap.cache.returned.add(1);
    release::give_back(active, &heap.counters, class, &[object]) | is_due
}

/// Sends back what all of the heap's outboxes and return lists hold, as [`empty`] does.
pub(super) fn empty_all(active: ActiveConfig, heap: &Heap, batches: bool) -> bool {
    let classes = Class::all().take_while(|class| class.has_owners());
    let is_due = classes.fold(false, |is_due, class| empty(active, heap, class, batches) | is_due);
    heap.cache.return_places().fold(is_due, |is_due, place| empty_return(active, heap, place, batches) | is_due)
}

/// Sends back what the heap's outbox of a class with owners holds; to the pages, where no batches are wanted.
pub(super) fn empty(active: ActiveConfig, heap: &Heap, class: Class, batches: bool) -> bool {
    let mut objects = [ptr::null_mut(); OUTBOX_SLOTS];
    let count = heap.cache.empty_outbox(class, &mut objects);
    let (mut rest, mut is_due) = (&mut objects[..count], false);
    while let Some(&first) = rest.first() {
        let place = range::slot_list_at(first);
        let count = move_same_to_front(place.owner(), rest);
        let (same, others) = rest.split_at_mut(count);
        rest = others;
        is_due |= send(active, heap, class, place.owner(), same, batches);
        let is_wanted = batches && count >= RETURN_MIN && owned_pages::has_threads(place.owner());
        if is_wanted && place.owner() != heap.cache.owner() && heap.cache.return_list(place).is_none() {
            is_due |= empty_return(active, heap, heap.cache.next_return(), true);
            heap.cache.move_return(place);
            heap.counters.owned_pages.lists.add(1);
        }
    }
    is_due
}

/// Sends back what the return list in a place holds, if there is one.
fn empty_return(active: ActiveConfig, heap: &Heap, place: SlotListOffset, batches: bool) -> bool {
    let mut objects = [ptr::null_mut(); OUTBOX_SLOTS];
    let (Some(class), Some(count)) = (place.class(), heap.cache.empty_return(place, &mut objects)) else {
        return false;
    };
    // A page may have changed its owner meanwhile, and then its line is shared until the object is freed again.
    send(active, heap, class, place.owner(), &mut objects[..count], batches)
}

/// Sends objects of a class back to an owner, whose pages have them.
fn send(active: ActiveConfig, heap: &Heap, class: Class, owner: Owner, objects: &mut [*mut u8], batches: bool) -> bool {
    heap.cache.returned.add(objects.len() as u64);
    heap.counters.owned_pages.sent.add(objects.len() as u64);
    let is_batch = batches && objects.len() >= BATCH_MIN && owned_pages::has_threads(owner);
    let sent = if is_batch { transfer_cache::push(class, owner, objects) } else { None };
    sent.unwrap_or_else(|| release::give_back(active, &heap.counters, class, objects))
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
