//! Pages and segments: the records that describe memory, kept apart from it.
//!
//! A segment is 4 MiB of an arena, aligned to its size, in 64 units. A page is a run of units: either slots of one size
//! class, or one large object. Which slots are free says a bitmap in the record, so that a free slot's own memory is
//! never read or written. The records live in [`crate::metadata::allocator`] for ever, so `&'static Page` is always readable; who may
//! write what is said at each field. How pages are found from addresses is left to [`crate::metadata::page_map`], where they come from
//! to [`crate::alloc`].

use crate::class::{CLASSES, Class, UNIT, UNITS};
use crate::metadata::large_mapping::Span;
use crate::metadata::list::{Linked, Links, List};
use crate::os::OS_PAGE;
use core::cell::Cell;
use core::ptr;

/// Bytes of a segment, and its alignment.
pub(crate) const SEGMENT: usize = UNITS * UNIT;
/// Units of half a segment, which is what one huge page backs.
pub(crate) const HALF_UNITS: usize = UNITS / 2;

/// The class index of pages that hold no slots.
pub(crate) const NO_CLASS: u8 = CLASSES as u8;

const _: () = assert!(align_of::<Segment>() == OS_PAGE);
const _: () = assert!(UNITS == u64::BITS as usize, "a word has a bit for each unit");

/// Words of a page's bitmap: a bit for each slot of 16 bytes in a unit.
const BITMAP_WORDS: usize = UNIT / 16 / 64;

/// What a run of units is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Use {
    /// Nothing; its addresses are nobody's.
    Free = 0,
    /// Slots of one class.
    Slots,
    /// One large object.
    Large,
}

/// Why an address cannot be given back to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// No slot starts there.
    Interior,
    /// The slot is free already.
    Free,
}

/// A run of units.
#[derive(Debug)]
pub(crate) struct Page {
    // Written while the run is made, before its address is given to anyone; constant while it is in use.
    pub(crate) base: Cell<*mut u8>,
    pub(crate) slot_bytes: Cell<u32>,
    pub(crate) capacity: Cell<u32>,
    /// 2^32 divided by the slot's bytes, rounded up, with which an offset is divided.
    reciprocal: Cell<u32>,
    /// Class of the slots or of the run, or [`NO_CLASS`].
    pub(crate) class_index: Cell<u8>,
    pub(crate) usage: Cell<Use>,
    pub(crate) units: Cell<u8>,
    /// The span that describes the run, where one does.
    pub(crate) span: Cell<Option<&'static Span>>,
    /// The strategy that chose this page for a large object; opaque here.
    pub(crate) strategy: Cell<u8>,
    // The holder's of the class's lock.
    /// The first word of the bitmap that may have a bit.
    first_word: Cell<u8>,
    /// Slots that are not in the bitmap: with users, or in caches.
    pub(crate) used: Cell<u32>,
    /// The slots from here on were never handed out, and the memory was zero when the page was made.
    zeroed_from: Cell<u32>,
    /// When the last slot came back, in ticks of the purge.
    pub(crate) freed_at: Cell<u32>,
    /// Whether free slots have given their memory back, and none was handed out since.
    pub(crate) is_purged: Cell<bool>,
    links: Links<Page>,
    /// A bit for each free slot.
    free: [Cell<u64>; BITMAP_WORDS],
}

impl Page {
    /// Makes the page ready to hand out slots; `zeroed` says that its memory is known to be zero.
    pub(crate) fn begin_slots(&self, class: Class, zeroed: bool) {
        let slot = class.slot_bytes() as u32;
        let capacity = (usize::from(self.units.get()) * UNIT) as u32 / slot;
        self.slot_bytes.set(slot);
        self.capacity.set(capacity);
        self.reciprocal.set((u64::from(u32::MAX) + 1).div_ceil(u64::from(slot)) as u32);
        self.class_index.set(class.index() as u8);
        self.used.set(0);
        self.zeroed_from.set(if zeroed { 0 } else { capacity });
        self.first_word.set(0);
        self.is_purged.set(false);
        let words = capacity.div_ceil(64) as usize;
        for (word, bits) in self.free[..words].iter().enumerate() {
            let left = capacity as usize - word * 64;
            bits.set(if left >= 64 { u64::MAX } else { (1 << left) - 1 });
        }
        self.usage.set(Use::Slots);
    }

    /// Makes the page one large object, of a class or of none.
    pub(crate) fn begin_large(&self, class: Option<Class>) {
        self.slot_bytes.set((usize::from(self.units.get()) * UNIT) as u32);
        self.capacity.set(1);
        self.class_index.set(class.map_or(NO_CLASS, |class| class.index() as u8));
        self.used.set(1);
        self.span.set(None);
        self.usage.set(Use::Large);
    }

    /// Whether all slots are handed out.
    pub(crate) fn is_full(&self) -> bool {
        self.used.get() == self.capacity.get()
    }

    /// Takes as many free slots as there are, and as fit, lowest addresses first; returns how many, and whether the last of
    /// them is known to be zero.
    pub(crate) fn take(&self, slots: &mut [*mut u8]) -> (usize, bool) {
        let words = self.capacity.get().div_ceil(64) as usize;
        let (mut taken, mut last) = (0, 0);
        for word in usize::from(self.first_word.get())..words {
            self.first_word.set(word as u8);
            let mut bits = self.free[word].get();
            while bits != 0 && taken < slots.len() {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // SAFETY: the bitmap has bits for slots inside the page only.
                slots[taken] = unsafe { self.base.get().add(slot * self.slot_bytes.get() as usize) };
                taken += 1;
                last = slot as u32;
            }
            self.free[word].set(bits);
            if taken == slots.len() {
                break;
            }
        }
        self.used.set(self.used.get() + taken as u32);
        self.is_purged.set(false);
        let zeroed = taken > 0 && last >= self.zeroed_from.get();
        if zeroed {
            self.zeroed_from.set(last + 1);
        }
        (taken, zeroed)
    }

    /// Calls with the start and the bytes of each range of whole OS pages in which all slots are free. The page is in use.
    pub(crate) fn each_free_range(&self, mut each: impl FnMut(*mut u8, usize)) {
        let slot_bytes = self.slot_bytes.get() as usize;
        let capacity = self.capacity.get() as usize;
        let is_free = |slot: usize| slot >= capacity || self.free[slot / 64].get() & (1 << (slot % 64)) != 0;
        let end = usize::from(self.units.get()) * UNIT;
        // Where the free range began that is not over yet.
        let mut start = None;
        for at in (0..end).step_by(OS_PAGE) {
            let (first, last) = (at / slot_bytes, (at + OS_PAGE - 1) / slot_bytes);
            match ((first..=last).all(is_free), start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    each(self.base.get().wrapping_add(from), at - from);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            each(self.base.get().wrapping_add(from), end - from);
        }
    }

    /// Puts a slot back.
    ///
    /// # Errors
    /// Why the address is not that of a slot to be put back.
    pub(crate) fn give(&self, address: *const u8) -> Result<(), Misfit> {
        let slot = self.slot_at(address).ok_or(Misfit::Interior)?;
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        let bits = self.free[word].get();
        if bits & bit != 0 {
            return Err(Misfit::Free);
        }
        self.free[word].set(bits | bit);
        self.used.set(self.used.get() - 1);
        self.first_word.set(self.first_word.get().min(word as u8));
        Ok(())
    }

    /// Whether a slot, or the large object, starts at the address. The address lies in the page.
    pub(crate) fn starts_at(&self, address: *const u8) -> bool {
        match self.usage.get() {
            Use::Free => false,
            Use::Slots => self.slot_at(address).is_some(),
            Use::Large => ptr::eq(address, self.base.get()),
        }
    }

    /// The slot that starts at the address, which lies in the page.
    fn slot_at(&self, address: *const u8) -> Option<usize> {
        let offset = (address.addr() - self.base.get().addr()) as u32;
        // Exact for multiples, which is all that is asked: what the rounded reciprocal adds to a whole quotient is below
        // offset / 2^32. D. Lemire, O. Kaser, N. Kurz, "Faster remainder by direct computation", Software: Practice and
        // Experience 49:6, 2019.
        let slot = ((u64::from(offset) * u64::from(self.reciprocal.get())) >> 32) as u32;
        (slot * self.slot_bytes.get() == offset && slot < self.capacity.get()).then_some(slot as usize)
    }
}

/// What a segment's memory is meant for, which decides what backs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Pages of slots: OS pages at first.
    #[default]
    Small = 0,
    /// Large objects: huge pages, where they are wanted.
    Large,
}

/// Four MiB of an arena. All fields are the holder's of the arena's lock, except pages in use. The first of them share one OS
/// page with the records of the first units.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Segment {
    pub(crate) base: Cell<*mut u8>,
    /// One bit a unit in use.
    pub(crate) used: Cell<u64>,
    /// One bit a unit that was in use since it was last known to be zero.
    pub(crate) dirty: Cell<u64>,
    pub(crate) kind: Cell<Kind>,
    /// When each half was last in use, in ticks of the purge.
    pub(crate) freed_at: [Cell<u32>; 2],
    /// A bit for each half for which huge pages are wanted.
    pub(crate) huge_halves: Cell<u8>,
    /// Whether the segment waits to be purged.
    pub(crate) waits: Cell<bool>,
    /// Next in the list of those that wait.
    pub(crate) next_waiting: Cell<Option<&'static Segment>>,
    links: Links<Segment>,
    /// Distance of each unit from the first one of its run.
    distances: [Cell<u8>; UNITS],
    /// The page that begins in each unit, if one does.
    pages: [Page; UNITS],
}

// SAFETY: each field says who writes it; what several threads read is constant while they can reach it.
unsafe impl Sync for Segment {}

impl Segment {
    /// The page of an address inside the segment.
    pub(crate) fn page_at(&'static self, address: *const u8) -> &'static Page {
        let unit = (address.addr() / UNIT) % UNITS;
        &self.pages[(unit - usize::from(self.distances[unit].get())) % UNITS]
    }

    /// Takes a run of free units, if the segment has one that long. Runs of half a segment or more start at a half.
    /// Says whether its memory is known to be zero.
    pub(crate) fn take_run(&'static self, units: usize) -> Option<(&'static Page, bool)> {
        let first = find_run(self.used.get(), units)?;
        let run = mask(first, units);
        let zeroed = self.dirty.get() & run == 0;
        self.used.set(self.used.get() | run);
        self.dirty.set(self.dirty.get() | run);
        for (distance, unit) in self.distances[first..first + units].iter().enumerate() {
            unit.set(distance as u8);
        }
        let page = &self.pages[first];
        page.units.set(units as u8);
        // SAFETY: unit `first` lies inside the segment.
        page.base.set(unsafe { self.base.get().add(first * UNIT) });
        Some((page, zeroed))
    }

    /// Puts a run back; returns its units, a bit each.
    pub(crate) fn give_run(&self, page: &Page) -> u64 {
        let first = (page.base.get().addr() - self.base.get().addr()) / UNIT;
        let units = usize::from(page.units.get());
        page.usage.set(Use::Free);
        page.class_index.set(NO_CLASS);
        page.span.set(None);
        self.distances[first..first + units].iter().for_each(|unit| unit.set(0));
        let run = mask(first, units);
        self.used.set(self.used.get() & !run);
        run
    }

    /// Which list of segments this one belongs to as it is: by the longest run that it can certainly give, or `None`
    /// when it has no free unit.
    pub(crate) fn room(&self) -> Option<Room> {
        Room::of(!self.used.get())
    }

    /// Units of a half that are free and were used. All units of a half of which none is in use, if one was.
    pub(crate) fn purgeable(&self, half: usize) -> u64 {
        let free = self.dirty.get() & !self.used.get() & half_mask(half);
        if free != 0 && self.used.get() & half_mask(half) == 0 { half_mask(half) } else { free }
    }
}

/// The units of a half.
pub(crate) fn half_mask(half: usize) -> u64 {
    mask(half * HALF_UNITS, HALF_UNITS)
}

/// How long a run a segment can give: entry `n` below 6 is `2^n` units, then a whole half, then all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Room(u8);

impl Room {
    /// Number of values.
    pub(crate) const COUNT: usize = 8;

    /// The room among these free units, if there is any.
    fn of(free: u64) -> Option<Room> {
        if free == u64::MAX {
            return Some(Room(7));
        }
        if free & half_mask(0) == half_mask(0) || free & half_mask(1) == half_mask(1) {
            return Some(Room(6));
        }
        // After step `n` a bit means: a run of 2^(n+1) free units starts here.
        let (mut starts, mut log) = (free, 0);
        while starts != 0 {
            starts &= starts >> (1 << log);
            log += 1;
        }
        (log as u8).checked_sub(1).map(Room)
    }

    /// The least room that surely has a run of so many units.
    pub(crate) fn for_units(units: usize) -> Room {
        Room(match units {
            0..HALF_UNITS => units.next_power_of_two().trailing_zeros() as u8,
            HALF_UNITS => 6,
            _ => 7,
        })
    }

    /// The value as an index below [`Room::COUNT`].
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// `units` ones from bit `first` on.
pub(crate) fn mask(first: usize, units: usize) -> u64 {
    (u64::MAX >> (UNITS - units)) << first
}

/// The first place with `units` zeros in a row; from half a segment on, the first half that begins with them.
fn find_run(used: u64, units: usize) -> Option<usize> {
    debug_assert!((1..=UNITS).contains(&units));
    if units >= HALF_UNITS {
        return [0, HALF_UNITS].into_iter().find(|&first| first + units <= UNITS && used & mask(first, units) == 0);
    }
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
    use std::boxed::Box;
    use std::vec::Vec;

    /// The plain way to find a run.
    fn find_run_slowly(used: u64, units: usize) -> Option<usize> {
        let step = if units >= HALF_UNITS { HALF_UNITS } else { 1 };
        (0..=UNITS - units).step_by(step).find(|&first| used & mask(first, units) == 0)
    }

    fn words() -> impl Iterator<Item = u64> {
        let mut word = 0x0123_4567_89ab_cdef_u64;
        (0..2_000).flat_map(move |_| {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            [word, word & (word << 7), word & (word >> 3) & (word << 11), word << 32, word >> 32, 0, u64::MAX]
        })
    }

    #[test]
    fn runs_are_found_where_they_are() {
        for bits in words() {
            for units in 1..=UNITS {
                assert_eq!(find_run(bits, units), find_run_slowly(bits, units), "{bits:#x} {units}");
            }
        }
    }

    #[test]
    fn a_segment_with_room_for_a_run_has_it() {
        for bits in words() {
            let room = Room::of(!bits);
            assert_eq!(room.is_none(), bits == u64::MAX);
            for units in 1..=UNITS {
                if room.is_some_and(|room| room >= Room::for_units(units)) {
                    assert!(find_run(bits, units).is_some(), "{bits:#x} {units}");
                }
            }
        }
    }

    /// A page of the class over addresses that nobody touches.
    fn page(class: Class) -> Box<Page> {
        // SAFETY: zeroes are a page that is not in use.
        let page: Box<Page> = unsafe { Box::<Page>::new_zeroed().assume_init() };
        page.base.set(ptr::without_provenance_mut(7 << 40));
        page.units.set(class.units() as u8);
        page.begin_slots(class, true);
        page
    }

    #[test]
    fn every_slot_is_handed_out_once_and_taken_back_once() {
        for class in Class::all().filter(|class| !class.is_run()) {
            let page = page(class);
            let capacity = page.capacity.get() as usize;
            assert_eq!(capacity, class.units() * UNIT / class.slot_bytes());
            let mut slots = std::vec![ptr::null_mut(); capacity + 1];
            let first = capacity / 2;
            assert_eq!(page.take(&mut slots[..first]), (first, true));
            assert_eq!(page.take(&mut slots[first..]), (capacity - first, true));
            assert!(page.is_full());
            let mut sorted: Vec<usize> = slots[..capacity].iter().map(|slot| slot.addr()).collect();
            sorted.sort_unstable();
            let expected = |n: usize| (7 << 40) + n * class.slot_bytes();
            assert!(sorted.iter().enumerate().all(|(n, &at)| at == expected(n)), "{class:?}");
            for &slot in slots[..capacity].iter().rev() {
                assert_eq!(page.give(slot.wrapping_add(1)), Err(Misfit::Interior));
                assert_eq!(page.give(slot), Ok(()));
                assert_eq!(page.give(slot), Err(Misfit::Free));
            }
            assert_eq!(page.used.get(), 0);
            assert_eq!(page.take(&mut slots), (capacity, false), "all of them are there again");
        }
    }

    #[test]
    fn free_ranges_are_the_os_pages_without_a_used_slot() {
        for class in Class::all().filter(|class| !class.is_run()) {
            let page = page(class);
            let mut slots = std::vec![ptr::null_mut(); page.capacity.get() as usize];
            page.take(&mut slots);
            // Every third comes back, and all of the second half.
            for (n, &slot) in slots.iter().enumerate() {
                if n % 3 == 0 || n > slots.len() / 2 {
                    page.give(slot).expect("was taken");
                }
            }
            let mut covered = std::vec![false; class.units() * UNIT / OS_PAGE];
            page.each_free_range(|start, bytes| {
                let first = (start.addr() - (7 << 40)) / OS_PAGE;
                assert_eq!((start.addr() % OS_PAGE, bytes % OS_PAGE), (0, 0));
                covered[first..first + bytes / OS_PAGE].iter_mut().for_each(|page| *page = true);
            });
            for (n, &covered) in covered.iter().enumerate() {
                let (from, to) = ((7 << 40) + n * OS_PAGE, (7 << 40) + (n + 1) * OS_PAGE);
                let is_used = slots.iter().enumerate().any(|(n, slot)| {
                    let used = !(n % 3 == 0 || n > slots.len() / 2);
                    used && slot.addr() < to && slot.addr() + class.slot_bytes() > from
                });
                assert_eq!(covered, !is_used, "{class:?} OS page {n}");
            }
        }
    }

    #[test]
    fn what_lies_behind_the_last_slot_is_no_slot() {
        for class in Class::all().filter(|class| !class.is_run()) {
            let page = page(class);
            let end = ptr::without_provenance::<u8>((7 << 40) + page.capacity.get() as usize * class.slot_bytes());
            if end.addr() < (7 << 40) + class.units() * UNIT {
                assert!(!page.starts_at(end), "{class:?}");
            }
        }
    }
}
