//! The shared middle: runs of units from segments, and pages that no thread owns.
//!
//! One lock. It is taken for a page at a time, not for an object, except when an object of a thread that has ended is
//! freed.

use super::arena::Arena;
use super::heap::Heap;
use crate::class::{CLASSES, Class};
use crate::list::List;
use crate::map;
use crate::page::{Object, Page, PageList, Segment, UNITS};
use crate::sync::Lock;

static CENTRAL: Lock<Central> = Lock::new(Central::new());

#[derive(Debug)]
struct Central {
    arena: Arena,
    /// Segments with some units in use and some free.
    partial: List<Segment>,
    /// Pages whose threads ended, by class: those with a free slot, and those without.
    abandoned: [PageList; CLASSES],
    abandoned_full: [PageList; CLASSES],
}

// SAFETY: what it leads to is used by the lock's holder only.
unsafe impl Send for Central {}

/// Takes a run of `units`, at most a segment's.
pub(super) fn take_run(units: usize) -> Option<&'static Page> {
    CENTRAL.lock().take_run(units)
}

/// Puts a run back; no object is left in it.
pub(super) fn give_run(page: &'static Page) {
    CENTRAL.lock().give_run(page);
}

/// A page of the class for a heap to own: one that was abandoned with free slots, or a new one.
pub(super) fn take_page(class: Class, heap: &'static Heap) -> Option<&'static Page> {
    let mut central = CENTRAL.lock();
    let page = match central.abandoned[class.index()].pop() {
        Some(page) => page,
        None => {
            let page = central.take_run(class.page_units())?;
            page.begin_slots(class);
            page
        }
    };
    page.set_owner(heap.as_owner());
    Some(page)
}

/// Takes over a page of a heap that ends; the page is in no list.
pub(super) fn abandon(page: &'static Page) {
    let mut central = CENTRAL.lock();
    page.set_owner(core::ptr::null());
    if page.used.get() == 0 {
        central.give_run(page);
    } else {
        central.list_of(page).push(page);
    }
}

/// Frees an object of a page that no heap owns; `false` when one owns it by now.
pub(super) fn free_abandoned(page: &'static Page, object: &'static Object) -> bool {
    let mut central = CENTRAL.lock();
    if !page.owner().is_null() {
        return false;
    }
    central.list_of(page).remove(page);
    page.give(object);
    if page.used.get() == 0 {
        central.give_run(page);
    } else {
        central.list_of(page).push(page);
    }
    true
}

impl Central {
    const fn new() -> Central {
        Central {
            arena: Arena::new(),
            partial: List::new(),
            abandoned: [const { PageList::new() }; CLASSES],
            abandoned_full: [const { PageList::new() }; CLASSES],
        }
    }

    /// The list that an abandoned page belongs to as it is now.
    fn list_of(&self, page: &Page) -> &PageList {
        let lists = if page.is_full() { &self.abandoned_full } else { &self.abandoned };
        &lists[usize::from(page.class_index.get())]
    }

    fn take_run(&mut self, units: usize) -> Option<&'static Page> {
        for segment in self.partial.iter() {
            if let Some(page) = segment.take_run(units) {
                if segment.used.get() == u64::MAX {
                    self.partial.remove(segment);
                }
                return Some(page);
            }
        }
        let segment = self.arena.take_segment()?;
        let page = segment.take_run(units);
        if units < UNITS {
            self.partial.push(segment);
        }
        page
    }

    fn give_run(&mut self, page: &'static Page) {
        let Some(segment) = map::segment_of(page.base.get()) else {
            return;
        };
        let was_full = segment.used.get() == u64::MAX;
        segment.give_run(page);
        if segment.used.get() == 0 {
            if !was_full {
                self.partial.remove(segment);
            }
            self.arena.give_segment(segment);
        } else if was_full {
            self.partial.push(segment);
        }
    }
}

/// The lock, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    CENTRAL.acquire();
}

/// Frees the lock after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took it.
pub(crate) unsafe fn release_after_fork() {
    // SAFETY: passed on.
    unsafe { CENTRAL.release() };
}
