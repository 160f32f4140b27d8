//! The shared middle: the pages of each small class, and which of them have free slots.
//!
//! One lock a class, taken for a batch of slots at a time: when the depot has none to give, or takes none. Pages belong
//! to no thread, so that nothing is left behind when one ends, and nothing is handed over.

use super::arena;
use crate::class::{Class, SMALL_CLASSES};
use crate::factor;
use crate::fatal::{Fault, die};
use crate::map;
use crate::page::{Kind, Misfit, Page, PageList};
use crate::range;
use crate::sync::{Guard, Lock, global};

global! {
    static PAGES: [Lock<Pages>; SMALL_CLASSES] = each Lock::new(Pages { partial: PageList::new(), spare: None });
}

/// The pages of one class.
#[derive(Debug)]
#[repr(align(64))]
struct Pages {
    /// Those with free slots and used ones; full ones are in no list.
    partial: PageList,
    /// One with free slots only, so that a count that goes to and fro does not take the arena's lock each time.
    spare: Option<&'static Page>,
}

// SAFETY: what it leads to is used by the lock's holder only.
unsafe impl Send for Pages {}

/// Takes up to `slots.len()` free slots, and returns how many there are; 0 when there is no memory.
pub(super) fn take(counters: &factor::Counters, class: Class, slots: &mut [*mut u8]) -> usize {
    let mut pages = PAGES[class.index()].lock();
    let page = match pages.partial.first() {
        Some(page) => page,
        None => {
            let page = pages.spare.take().or_else(|| new_page(counters, class));
            let Some(page) = page else { return 0 };
            pages.partial.push(page);
            page
        }
    };
    let taken = page.take(slots);
    if page.is_full() {
        pages.partial.remove(page);
    }
    taken
}

/// Takes slots back.
pub(super) fn give(counters: &factor::Counters, class: Class, slots: &[*mut u8]) {
    let mut pages = PAGES[class.index()].lock();
    for &slot in slots {
        let Some(page) = map::page_of(slot).filter(|page| usize::from(page.class_index.get()) == class.index()) else {
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
        if page.used.get() == 0 {
            pages.partial.remove(page);
            if let Some(old) = pages.spare.replace(page) {
                give_page(counters, old, pages);
                pages = PAGES[class.index()].lock();
            }
        }
    }
}

/// Gives the pages without a user back to the arena.
pub(super) fn give_empty(counters: &factor::Counters) {
    for pages in PAGES.iter() {
        let mut pages = pages.lock();
        if let Some(page) = pages.spare.take() {
            give_page(counters, page, pages);
        }
    }
}

fn new_page(counters: &factor::Counters, class: Class) -> Option<&'static Page> {
    let (page, _) = arena::take_run(counters, Kind::Small, class.units())?;
    page.begin_slots(class);
    for unit in 0..class.units() {
        range::set_bin(page.base.get().wrapping_add(unit * crate::class::UNIT), class.bin());
    }
    Some(page)
}

/// Gives a page back that is in no list and has no slot in use.
fn give_page(counters: &factor::Counters, page: &'static Page, pages: Guard<'_, Pages>) {
    // Out of the class's lock: the arena may call the OS.
    drop(pages);
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
