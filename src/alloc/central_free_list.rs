//! The shared middle: the pages of each class of slots, and which of them have free ones.
//!
//! One lock a class, taken for a batch of slots at a time: when the depot has none to give, or takes none. Pages belong
//! to no thread, so that nothing is left behind when one ends, and nothing is handed over.

use super::arena;
use crate::class::{Class, SLOT_CLASSES};
use crate::factor::{self, purge};
use crate::fatal::{Fault, die};
use crate::metadata::page::{Kind, Misfit, Page, PageList};
use crate::metadata::page_map;
use crate::metadata::range;
use crate::os::{self, OS_PAGE};
use crate::sync::{Guard, Lock, global};

global! {
    static PAGES: [Lock<Pages>; SLOT_CLASSES] =
        each Lock::new(Pages { partial: PageList::new(), spare: None, free_slots: 0 });
}

/// Bytes of free slots of one class, beside used ones, from which on somebody is asked to purge them.
const PURGE_BYTES_MIN: usize = 4 << 20;
/// Units of pages that are purged in one hold of a lock, though at least a page.
const PURGE_UNITS: usize = 64;

/// The pages of one class.
#[derive(Debug)]
#[repr(align(64))]
struct Pages {
    /// Those with free slots and used ones; full ones are in no list.
    partial: PageList,
    /// One with free slots only, so that a count that goes to and fro does not take the arena's lock each time.
    spare: Option<&'static Page>,
    /// Free slots in the list.
    free_slots: usize,
}

// SAFETY: what it leads to is used by the lock's holder only.
unsafe impl Send for Pages {}

/// Takes up to `slots.len()` free slots, and returns how many there are, 0 when there is no memory; and whether the last of
/// them is known to be zero.
pub(super) fn take(counters: &factor::Counters, class: Class, slots: &mut [*mut u8]) -> (usize, bool) {
    let mut pages = PAGES[class.index()].lock();
    let page = match pages.partial.first() {
        Some(page) => page,
        None => {
            let page = pages.spare.take().or_else(|| new_page(counters, class));
            let Some(page) = page else { return (0, false) };
            pages.partial.push(page);
            pages.free_slots += page.capacity.get() as usize;
            page
        }
    };
    let (taken, zeroed) = page.take(slots);
    pages.free_slots -= taken;
    if page.is_full() {
        pages.partial.remove(page);
    }
    (taken, zeroed)
}

/// Takes slots back.
pub(super) fn give(counters: &factor::Counters, class: Class, slots: &[*mut u8]) {
    let mut pages = PAGES[class.index()].lock();
    for &slot in slots {
        let Some(page) = page_map::page_of(slot).filter(|page| usize::from(page.class_index.get()) == class.index())
        else {
            die(Fault::DoubleFree);
        };
        let was_full = page.is_full();
        match page.give(slot) {
            Ok(()) => {}
            Err(Misfit::Interior) => die(Fault::Interior),
            Err(Misfit::Free) => die(Fault::DoubleFree),
        }
        if was_full {
            pages.partial.push(page);
        }
        pages.free_slots += 1;
        page.freed_at.set(purge::now());
        if page.used.get() == 0 {
            pages.partial.remove(page);
            pages.free_slots -= page.capacity.get() as usize;
            if let Some(old) = pages.spare.replace(page) {
                give_page(counters, class, old, pages);
                pages = PAGES[class.index()].lock();
            }
        }
    }
    let waits = pages.free_slots * class.slot_bytes() >= PURGE_BYTES_MIN;
    drop(pages);
    if waits {
        super::purge::keep_house(counters);
    }
}

/// Gives back to the OS what free slots hold in pages that are in use, but less than half, and to which nothing came back
/// for so many ticks of the purge: OS pages of which no slot has a part. Returns whether any wait that are younger.
pub(super) fn purge_older_than(counters: &factor::Counters, ticks: u32) -> bool {
    // A longer page of the kernel's would take used slots along.
    if os::kernel_page() != OS_PAGE {
        return false;
    }
    let mut waits = false;
    for (class, pages) in Class::all().zip(PAGES.iter()) {
        loop {
            let pages = pages.lock();
            if pages.free_slots * class.slot_bytes() < PURGE_BYTES_MIN {
                break;
            }
            let is_sparse = |page: &&Page| !page.is_purged.get() && page.used.get() * 2 < page.capacity.get();
            let mut left = (PURGE_UNITS / class.units()).max(1);
            for page in pages.partial.iter().filter(is_sparse) {
                if purge::now().wrapping_sub(page.freed_at.get()) < ticks {
                    waits = true;
                } else if left > 0 {
                    left -= 1;
                    page.is_purged.set(true);
                    // SAFETY: nobody takes a slot while the class's lock is held.
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

/// Gives the pages without a user back to the arena.
pub(super) fn give_empty(counters: &factor::Counters) {
    for (class, pages) in Class::all().zip(PAGES.iter()) {
        let mut pages = pages.lock();
        if let Some(page) = pages.spare.take() {
            give_page(counters, class, page, pages);
        }
    }
}

fn new_page(counters: &factor::Counters, class: Class) -> Option<&'static Page> {
    let kind = if class.is_large() { Kind::Large } else { Kind::Small };
    let (page, zeroed) = arena::take_run(counters, kind, class.units(), class.slot_bytes())?;
    counters.arena.runs.add(u64::from(class.is_large()));
    page.begin_slots(class, zeroed);
    for unit in 0..class.units() {
        range::set_bin(page.base.get().wrapping_add(unit * crate::class::UNIT), class.bin());
    }
    Some(page)
}

/// Gives a page back that is in no list and has no slot in use.
fn give_page(counters: &factor::Counters, class: Class, page: &'static Page, pages: Guard<'_, Pages>) {
    // Out of the class's lock: the arena may call the OS.
    drop(pages);
    counters.arena.returns.add(u64::from(class.is_large()));
    arena::give_run(counters, page);
}

/// The locks, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    PAGES.iter().for_each(Lock::acquire);
}

/// Frees the locks after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took them.
pub(crate) unsafe fn release_after_fork() {
    for pages in PAGES.iter() {
        // SAFETY: passed on.
        unsafe { pages.release() };
    }
}
