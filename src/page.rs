//! Pages and segments: the records that describe memory, kept apart from it.
//!
//! A segment is 4 MiB of an arena, aligned to its size, in 64 units. A page is a run of units: either slots of one size
//! class, owned by a thread, or one large object. The records live in [`crate::meta`] for ever, so `&'static Page` is
//! always readable; who may write what is said at each field. How pages are found from addresses is left to
//! [`crate::map`], where they come from to [`crate::source`].

use crate::class::{CLASSES, Class, UNIT};
use crate::list::{Linked, Links, List};
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Bytes of a segment, and its alignment.
pub(crate) const SEGMENT: usize = 4 << 20;
/// Units of a segment; a word has a bit for each.
pub(crate) const UNITS: usize = SEGMENT / UNIT;

/// The list index of pages that hold no slots: a thread cache keeps none, so they always take the slow path.
pub(crate) const NO_CLASS: u8 = CLASSES as u8;

/// A free slot. The first word links to the next one; the rest is as the user left it.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) next: Cell<*mut Object>,
}

/// What a run of units is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Use {
    /// Nothing; its addresses are nobody's.
    Free = 0,
    /// Slots of one class.
    Slots,
    /// One large object below the mmap threshold.
    Large,
}

/// Whoever owns pages; what that is, the layer above knows.
#[derive(Debug)]
pub(crate) enum Owner {}

/// A run of units.
#[derive(Debug)]
pub(crate) struct Page {
    /// Who hands out the slots; null when nobody does, and then the central lock guards the page. Release when it
    /// changes, acquire where a free decides by it.
    pub(crate) owner: AtomicPtr<Owner>,
    // Written while the run is made, before its address is given to anyone; constant while it is in use.
    pub(crate) base: Cell<*mut u8>,
    pub(crate) slot_bytes: Cell<u32>,
    pub(crate) capacity: Cell<u32>,
    /// Class of the slots, or [`NO_CLASS`].
    pub(crate) class_index: Cell<u8>,
    pub(crate) usage: Cell<Use>,
    pub(crate) units: Cell<u8>,
    /// Distance in units from the page's first unit; kept for every unit of a run.
    pub(crate) distance: Cell<u8>,
    /// The strategy that chose this page for a large object; opaque here.
    pub(crate) strategy: Cell<u8>,
    // The owner's, or the central lock's holder's.
    free: Cell<*mut Object>,
    fresh: Cell<u32>,
    pub(crate) used: Cell<u32>,
    links: Links<Page>,
}

impl Page {
    /// Makes the page ready to hand out slots.
    pub(crate) fn begin_slots(&self, class: Class) {
        let slot = class.slot_bytes();
        self.slot_bytes.set(slot as u32);
        self.capacity.set((usize::from(self.units.get()) * UNIT / slot) as u32);
        self.class_index.set(class.index() as u8);
        self.free.set(ptr::null_mut());
        self.fresh.set(0);
        self.used.set(0);
        self.usage.set(Use::Slots);
    }

    /// Makes the page one large object.
    pub(crate) fn begin_large(&self) {
        self.slot_bytes.set((usize::from(self.units.get()) * UNIT) as u32);
        self.capacity.set(1);
        self.class_index.set(NO_CLASS);
        self.used.set(1);
        self.usage.set(Use::Large);
    }

    /// Whether all slots are handed out.
    pub(crate) fn is_full(&self) -> bool {
        self.free.get().is_null() && self.fresh.get() == self.capacity.get()
    }

    /// Takes a free slot: one that was used before, or the next that never was.
    pub(crate) fn take(&self) -> Option<&'static Object> {
        let object = self.free.get();
        if !object.is_null() {
            // SAFETY: the list holds free slots of this page only, and their first words link them.
            let object = unsafe { &*object };
            self.free.set(object.next.get());
            self.used.set(self.used.get() + 1);
            return Some(object);
        }
        let fresh = self.fresh.get();
        if fresh == self.capacity.get() {
            return None;
        }
        self.fresh.set(fresh + 1);
        self.used.set(self.used.get() + 1);
        // SAFETY: slot `fresh` lies inside the page, is aligned to 16, and nobody has it.
        Some(unsafe { &*self.base.get().add((fresh * self.slot_bytes.get()) as usize).cast::<Object>() })
    }

    /// Puts a slot back.
    pub(crate) fn give(&self, object: &'static Object) {
        object.next.set(self.free.get());
        self.free.set(ptr::from_ref(object).cast_mut());
        self.used.set(self.used.get() - 1);
    }

    /// Whether a slot, or the large object, starts at the address. The address lies in the page.
    pub(crate) fn starts_at(&self, address: *const u8) -> bool {
        let offset = address.addr() - self.base.get().addr();
        offset.is_multiple_of(self.slot_bytes.get() as usize)
            && offset / (self.slot_bytes.get() as usize) < self.capacity.get() as usize
    }

    /// Who owns the page; null when nobody does.
    pub(crate) fn owner(&self) -> *mut Owner {
        // Acquire: pairs with the release in `set_owner`, so that a free that finds a new owner finds its queue open.
        self.owner.load(Ordering::Acquire)
    }

    /// Changes the owner. The central lock is held, or the page is new.
    pub(crate) fn set_owner(&self, owner: *const Owner) {
        // Release: pairs with the acquire in `owner`.
        self.owner.store(owner.cast_mut(), Ordering::Release);
    }
}

/// Four MiB of an arena.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: Cell<*mut u8>,
    /// One bit a unit in use; the central lock's holder's.
    pub(crate) used: Cell<u64>,
    links: Links<Segment>,
    pub(crate) pages: [Page; UNITS],
}

// SAFETY: each field says who writes it; what several threads read is atomic or constant while they can reach it.
unsafe impl Sync for Segment {}

impl Segment {
    /// The page of an address inside the segment.
    #[inline(always)]
    pub(crate) fn page_at(&'static self, address: *const u8) -> &'static Page {
        let unit = (address.addr() / UNIT) % UNITS;
        let page = &self.pages[unit];
        &self.pages[(unit - usize::from(page.distance.get())) % UNITS]
    }

    /// Takes a run of free units, if the segment has one that long.
    pub(crate) fn take_run(&'static self, units: usize) -> Option<&'static Page> {
        let first = find_run(self.used.get(), units)?;
        self.used.set(self.used.get() | mask(first, units));
        for distance in 0..units {
            self.pages[first + distance].distance.set(distance as u8);
        }
        let page = &self.pages[first];
        page.units.set(units as u8);
        // SAFETY: unit `first` lies inside the segment.
        page.base.set(unsafe { self.base.get().add(first * UNIT) });
        Some(page)
    }

    /// Puts a run back.
    pub(crate) fn give_run(&self, page: &Page) {
        let first = (page.base.get().addr() - self.base.get().addr()) / UNIT;
        let units = usize::from(page.units.get());
        for unit in &self.pages[first..first + units] {
            unit.usage.set(Use::Free);
            unit.class_index.set(NO_CLASS);
            unit.distance.set(0);
        }
        self.used.set(self.used.get() & !mask(first, units));
    }
}

/// `units` ones from bit `first` on.
fn mask(first: usize, units: usize) -> u64 {
    (u64::MAX >> (UNITS - units)) << first
}

/// The first place with `units` zeros in a row.
fn find_run(used: u64, units: usize) -> Option<usize> {
    debug_assert!((1..=UNITS).contains(&units));
    // After each step a one means: a run of `length` free units starts here.
    let mut starts = !used;
    let mut length = 1;
    while length < units && starts != 0 {
        let step = length.min(units - length);
        starts &= starts >> step;
        length += step;
    }
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

/// Pages of one kind.
pub(crate) type PageList = List<Page>;

impl Linked for Page {
    fn links(&self) -> &Links<Page> {
        &self.links
    }
}

impl Linked for Segment {
    fn links(&self) -> &Links<Segment> {
        &self.links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plain way to find a run.
    fn find_run_slowly(used: u64, units: usize) -> Option<usize> {
        (0..=UNITS - units).find(|&first| used & mask(first, units) == 0)
    }

    #[test]
    fn runs_are_found_where_they_are() {
        let mut used = 0x0123_4567_89ab_cdef_u64;
        for _ in 0..2_000 {
            used = used.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            for bits in [used, used & (used << 7), used & (used >> 3) & (used << 11), 0, u64::MAX] {
                for units in 1..=UNITS {
                    assert_eq!(find_run(bits, units), find_run_slowly(bits, units), "{bits:#x} {units}");
                }
            }
        }
    }
}
