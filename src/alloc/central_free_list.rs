//! The central free list: the pages of each class of slots, and which of them have free ones.
//!
//! One lock per class is taken for a batch of slots at a time, when the transfer cache is empty or full. Pages belong
//! to no thread, so that a thread that ends has none to give up.

use super::arena;
use super::huge_pages::Policy;
use crate::class::{BLOCK, Class, SLOT_CLASSES};
use crate::factor::{self, purge};
use crate::fatal::{self, Call, Fault};
use crate::metadata::page::{GiveError, Page, PageList};
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::Kind;
use crate::os::{self, OS_PAGE};
use crate::sync::{Lock, global};

global! {
    static LISTS: [Lock<CentralFreeList>; SLOT_CLASSES] =
        each Lock::new(CentralFreeList { partial: PageList::new(), spare: None, free_slots: 0 });
}

/// Bytes of free slots of one class, in pages with used slots, from which on the purge is due.
const PURGE_BYTES_MIN: usize = 4 << 20;
/// Blocks of pages that are purged while a lock is held once; at least one page is.
const PURGE_BLOCKS: usize = 64;

/// The pages of one class.
#[derive(Debug)]
#[repr(align(64))]
struct CentralFreeList {
    /// Pages with both free and used slots. Full pages are in no list.
    partial: PageList,
    /// One page with free slots only, so that a program whose count of objects varies around a whole page does not take
    /// the arena's lock each time.
    spare: Option<&'static Page>,
    /// Free slots in pages of the list.
    free_slots: usize,
}

// SAFETY: only the lock's holder uses the pages that it leads to.
unsafe impl Send for CentralFreeList {}

/// Takes up to `slots.len()` free slots. Returns how many there are, 0 when there is no memory, and whether the last of
/// them is known to be zero.
pub(super) fn take(counters: &factor::Counters, policy: Policy, class: Class, slots: &mut [*mut u8]) -> (usize, bool) {
    let mut list = LISTS[class.index()].lock();
    let page = match list.partial.first() {
        Some(page) => page,
        None => {
            let page = list.spare.take().or_else(|| new_page(counters, policy, class));
            let Some(page) = page else { return (0, false) };
            list.partial.push(page);
            list.free_slots += page.capacity.get() as usize;
            page
        }
    };
    let (taken, zeroed) = page.take(slots);
    list.free_slots -= taken;
    if page.is_full() {
        list.partial.remove(page);
    }
    (taken, zeroed)
}

/// Whether the next [`take`] makes the arena grow.
pub(super) fn must_grow(class: Class) -> bool {
    let list = LISTS[class.index()].lock();
    list.partial.first().is_none() && list.spare.is_none() && arena::must_grow(kind_of(class), class.blocks())
}

/// Takes slots back, and hands pages that became free to `evict`, outside the lock. Returns whether the purge is due,
/// for the slots that stay here.
pub(super) fn give(class: Class, slots: &[*mut u8], mut evict: impl FnMut(&'static Page)) -> bool {
    let mut list = LISTS[class.index()].lock();
    for &slot in slots {
        let Some(page) = page_map::page_of(slot).filter(|page| usize::from(page.class_index.get()) == class.index())
        else {
            fatal::note(Fault::DoubleFree, Call::Free);
            continue;
        };
        let was_full = page.is_full();
        if let Err(error) = page.give(slot) {
            let fault = if error == GiveError::Interior { Fault::Interior } else { Fault::DoubleFree };
            fatal::note(fault, Call::Free);
            continue;
        }
        if was_full {
            list.partial.push(page);
        }
        list.free_slots += 1;
        page.freed_at.set(purge::epoch());
        if page.used.get() == 0 {
            list.partial.remove(page);
            list.free_slots -= page.capacity.get() as usize;
            if let Some(old) = list.spare.replace(page) {
                // The callback may wait for the arena or the OS: other threads may take slots meanwhile.
                drop(list);
                evict(old);
                list = LISTS[class.index()].lock();
            }
        }
    }
    list.free_slots * class.slot_bytes() >= PURGE_BYTES_MIN
}

/// Gives back to the OS what free slots hold in pages that are in use, but less than half, and to which nothing came
/// back for so many epochs of the purge: OS pages of which no slot has a part. Returns whether younger ones wait.
pub(super) fn purge_older_than(counters: &factor::Counters, epochs: u32) -> bool {
    // A longer page of the kernel's would take used slots along.
    if os::kernel_page() != OS_PAGE {
        return false;
    }
    let mut waits = false;
    for (class, list) in Class::all().zip(LISTS.iter()) {
        loop {
            let list = list.lock();
            if list.free_slots * class.slot_bytes() < PURGE_BYTES_MIN {
                break;
            }
            let is_sparse = |page: &&Page| !page.is_purged.get() && page.used.get() * 2 < page.capacity.get();
            let mut left = (PURGE_BLOCKS / class.blocks()).max(1);
            for page in list.partial.iter().filter(is_sparse) {
                if purge::epoch().wrapping_sub(page.freed_at.get()) < epochs {
                    waits = true;
                } else if left > 0 {
                    left -= 1;
                    page.is_purged.set(true);
                    arena::give_parts_back(counters, page);
                    // SAFETY: no thread takes a slot while the class's lock is held.
                    page.each_free_range(|start, bytes| unsafe {
                        purge::decommit(&counters.purge, start, bytes);
                    });
                } else {
                    break;
                }
            }
            if left > 0 {
                break;
            }
        }
    }
    waits
}

/// Hands the spare page of each class to `evict`, outside the locks.
pub(super) fn give_empty(mut evict: impl FnMut(Class, &'static Page)) {
    for (class, list) in Class::all().zip(LISTS.iter()) {
        let spare = list.lock().spare.take();
        if let Some(page) = spare {
            evict(class, page);
        }
    }
}

fn kind_of(class: Class) -> Kind {
    if class.is_large() { Kind::Large } else { Kind::Small }
}

/// Takes a run of blocks from the arena and makes it a page of free slots.
fn new_page(counters: &factor::Counters, policy: Policy, class: Class) -> Option<&'static Page> {
    let (page, zeroed) = arena::take_run(counters, policy, kind_of(class), class.blocks(), class.slot_bytes())?;
    counters.arena.runs.add(u64::from(class.is_large()));
    page.begin_slots(class, zeroed);
    for block in 0..class.blocks() {
        range::set_slot_list(page.base.get().wrapping_add(block * BLOCK), class.slot_list());
    }
    Some(page)
}
