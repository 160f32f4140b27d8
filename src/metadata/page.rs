//! Pages: the records of runs of arena blocks, kept apart from the memory that they describe.
//!
//! A page holds either slots of one size class or one large object. A bitmap in the record says which slots are free,
//! so that a free slot's own memory is never read or written. The records live for ever, so `&'static Page` is always
//! readable; each field says which lock guards it. [`crate::metadata::page_map`] finds the page of an address.

use crate::class::{BLOCK, CLASSES, Class, SLOT_CLASSES};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::list::{Linked, Links, List};
use crate::metadata::shared_cell::{Shared, SharedCell};
use crate::os::OS_PAGE;
use core::cell::Cell;
use core::sync::atomic::{AtomicU8, Ordering};
use core::{ptr, slice};

/// The class index of pages that hold no slots.
pub(crate) const NO_CLASS: u8 = CLASSES as u8;

/// Words of a page's bitmap: one bit for each slot of 16 bytes in a block, the most slots that a page has.
const BITMAP_WORDS: usize = BLOCK / 16 / 64;

/// What a run of blocks is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Use {
    /// Nothing: no object lies there.
    Free = 0,
    /// Slots of one class.
    Slots,
    /// One large object.
    Large,
}

impl Shared for Use {
    type Atomic = AtomicU8;

    #[cfg(test)]
    fn atomic(self) -> AtomicU8 {
        AtomicU8::new(self as u8)
    }

    #[inline(always)]
    fn load(atomic: &AtomicU8) -> Use {
        match atomic.load(Ordering::Relaxed) {
            0 => Use::Free,
            1 => Use::Slots,
            _ => Use::Large,
        }
    }

    #[inline(always)]
    fn store(self, atomic: &AtomicU8) {
        atomic.store(self as u8, Ordering::Relaxed);
    }
}

/// Why a page does not take an address back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveError {
    /// No slot starts there.
    Interior,
    /// The slot is free already.
    DoubleFree,
}

/// A run of blocks.
#[derive(Debug)]
pub(crate) struct Page {
    // Written while the run is made, before another thread gets its address; constant while it is in use. Read for any
    // address (`hakmem::owns`) and by the statistics.
    /// The first address.
    pub(crate) base: SharedCell<*mut u8>,
    /// Bytes of a slot, or of the run that is a large object.
    pub(crate) slot_bytes: SharedCell<u32>,
    /// Number of slots; 1 for a large object.
    pub(crate) capacity: SharedCell<u32>,
    /// Class of the slots or of the run, or [`NO_CLASS`].
    pub(crate) class_index: SharedCell<u8>,
    pub(crate) usage: SharedCell<Use>,
    /// Arena blocks of the run.
    pub(crate) blocks: SharedCell<u8>,
    /// The large-mapping record that describes the run, if there is one.
    pub(crate) mapping: SharedCell<Option<&'static LargeMapping>>,
    /// The number of the strategy that chose this page for a large object; opaque here.
    pub(crate) strategy: Cell<u8>,
    // Guarded by the lock of the class.
    /// The first word of the bitmap that may have a bit set.
    first_word: Cell<u8>,
    /// Slots that are not in the bitmap: users or caches hold them.
    pub(crate) used: SharedCell<u32>,
    /// The slots from this one on were never handed out and are known to be zero.
    zeroed_from: Cell<u16>,
    /// The purge epoch in which the page began to wait for the purge, as its first slot came back, and that in which a slot
    /// was last taken: their low bytes. An age that wraps lets the page wait a little longer.
    pub(crate) freed_at: Cell<u8>,
    pub(crate) taken_at: Cell<u8>,
    /// Free slots that may hold memory: those that came back since the page last gave its memory to the OS. At most the
    /// free ones are counted.
    pub(crate) given: Cell<u16>,
    /// Whether the purge has the page: it is in no list, and no thread takes its slots.
    pub(crate) is_at_purge: Cell<bool>,
    /// Its links in the list of pages with free slots.
    links: Links<Page>,
    /// A bit for each free slot of a page of at most 64.
    few: Cell<u64>,
    /// What only some pages of slots use.
    parts: Cell<Option<&'static PageParts>>,
}

/// Parts of a page's record that lie apart from it, so that the records of a segment are few OS pages: a segment of large
/// objects touches none, nor do pages of few slots of which none came back. The lock of the class guards them.
#[derive(Debug)]
pub(crate) struct PageParts {
    /// The links in the list of pages that wait for the purge.
    waiting: Links<Page>,
    /// A bit for each free slot of a page of more than 64.
    free: [Cell<u64>; BITMAP_WORDS],
}

/// For each class of slots, 2^32 divided by the slot's bytes, rounded up: the multiplier that divides an offset by them.
static RECIPROCALS: [u32; SLOT_CLASSES] = {
    let mut table = [0; SLOT_CLASSES];
    let mut class = 0;
    while class < SLOT_CLASSES {
        table[class] = (1_u64 << u32::BITS).div_ceil(Class::bytes_by_index(class) as u64) as u32;
        class += 1;
    }
    table
};

impl Page {
    /// Makes all slots of a new page free; `zeroed` says that its memory is known to be zero. Its last `tail` bytes are left
    /// out.
    pub(crate) fn begin_slots(&self, class: Class, zeroed: bool, tail: usize) {
        let slot = class.slot_bytes() as u32;
        let capacity = (usize::from(self.blocks.get()) * BLOCK - tail) as u32 / slot;
        self.slot_bytes.set(slot);
        self.capacity.set(capacity);
        self.class_index.set(class.index() as u8);
        self.used.set(0);
        self.zeroed_from.set(if zeroed { 0 } else { capacity as u16 });
        self.first_word.set(0);
        // Memory that is not known to be zero was used before, and may be resident.
        self.given.set(if zeroed { 0 } else { capacity as u16 });
        let words = capacity.div_ceil(64) as usize;
        for (word, bits) in self.free()[..words].iter().enumerate() {
            let left = capacity as usize - word * 64;
            bits.set(if left >= 64 { u64::MAX } else { (1 << left) - 1 });
        }
        self.usage.set(Use::Slots);
    }

    /// Makes a new page one large object, of a size class or of none.
    pub(crate) fn begin_large(&self, class: Option<Class>) {
        self.slot_bytes.set((usize::from(self.blocks.get()) * BLOCK) as u32);
        self.capacity.set(1);
        self.class_index.set(class.map_or(NO_CLASS, |class| class.index() as u8));
        self.used.set(1);
        self.mapping.set(None);
        self.usage.set(Use::Large);
    }

    /// Gives the page the parts of its record that lie apart, with the run.
    pub(crate) fn set_parts(&self, parts: &'static PageParts) {
        self.parts.set(Some(parts));
    }

    /// The words of the bitmap.
    fn free(&self) -> &[Cell<u64>] {
        match self.parts.get() {
            Some(parts) if self.capacity.get() > u64::BITS => &parts.free,
            _ => slice::from_ref(&self.few),
        }
    }

    /// Whether all slots are handed out.
    pub(crate) fn is_full(&self) -> bool {
        self.used.get() == self.capacity.get()
    }

    /// Fills `slots` with free slots, lowest addresses first, as far as there are any. Returns how many, and whether
    /// the last of them is known to be zero.
    pub(crate) fn take(&self, slots: &mut [*mut u8]) -> (usize, bool) {
        let words = self.capacity.get().div_ceil(64) as usize;
        let (mut taken, mut last) = (0, 0);
        for (word, free) in self.free()[..words].iter().enumerate().skip(usize::from(self.first_word.get())) {
            self.first_word.set(word as u8);
            let mut bits = free.get();
            while bits != 0 && taken < slots.len() {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // SAFETY: the bitmap has bits for slots inside the page only.
                slots[taken] = unsafe { self.base.get().add(slot * self.slot_bytes.get() as usize) };
                taken += 1;
                last = slot as u32;
            }
            free.set(bits);
            if taken == slots.len() {
                break;
            }
        }
        self.used.set(self.used.get() + taken as u32);
        self.given.set(self.given.get().min((self.capacity.get() - self.used.get()) as u16));
        let zeroed = taken > 0 && last >= u32::from(self.zeroed_from.get());
        if zeroed {
            self.zeroed_from.set(last as u16 + 1);
        }
        (taken, zeroed)
    }

    /// Which slots are free at this moment, for [`Page::each_free_range`]. The page holds slots.
    pub(crate) fn free_slots(&self) -> FreeSlots {
        let free = self.free();
        FreeSlots(core::array::from_fn(|word| free.get(word).map_or(0, Cell::get)))
    }

    /// Calls `each` with start and bytes of every range of whole OS pages in which all slots are among `free`. Needs no
    /// lock as long as no thread takes a slot: those that come back meanwhile are not among them.
    pub(crate) fn each_free_range(&self, free: &FreeSlots, mut each: impl FnMut(*mut u8, usize)) {
        let slot_bytes = self.slot_bytes.get() as usize;
        let capacity = self.capacity.get() as usize;
        let end = usize::from(self.blocks.get()) * BLOCK;
        // Where the current free range began.
        let mut start = None;
        for at in (0..end).step_by(OS_PAGE) {
            let (first, last) = (at / slot_bytes, (at + OS_PAGE - 1) / slot_bytes);
            match (first >= capacity || free.has_all(first, last.min(capacity - 1)), start) {
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

    /// Puts slots back, up to the first one that lies in another page, or is refused. Returns how many that are.
    ///
    /// # Errors
    /// For a slot that is refused, which is the next one: no slot starts at the address, or the slot is free already.
    pub(crate) fn give(&self, addresses: &[*mut u8]) -> (usize, Result<(), GiveError>) {
        let (base, bytes) = (self.base.get().addr(), usize::from(self.blocks.get()) * BLOCK);
        let (free, slots) = (self.free(), self.slots());
        let (mut given, mut first_word, mut result) = (0, usize::from(self.first_word.get()), Ok(()));
        for address in addresses {
            let offset = address.addr().wrapping_sub(base);
            if offset >= bytes {
                break;
            }
            let Some(slot) = slots.at(offset) else {
                result = Err(GiveError::Interior);
                break;
            };
            let (word, bit) = (slot / 64, 1 << (slot % 64));
            let bits = free[word].get();
            if bits & bit != 0 {
                result = Err(GiveError::DoubleFree);
                break;
            }
            free[word].set(bits | bit);
            first_word = first_word.min(word);
            given += 1;
        }
        self.given.set(self.given.get() + given as u16);
        self.used.set(self.used.get() - given as u32);
        self.first_word.set(first_word as u8);
        (given, result)
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
        self.slots().at(address.addr() - self.base.get().addr())
    }

    /// How the page is divided into slots; none where it is not.
    fn slots(&self) -> Slots {
        let reciprocal = RECIPROCALS.get(usize::from(self.class_index.get())).copied();
        let capacity = if reciprocal.is_some() { self.capacity.get() } else { 0 };
        Slots { bytes: self.slot_bytes.get(), capacity, reciprocal: reciprocal.unwrap_or(0) }
    }
}

/// How a page is divided into slots.
#[derive(Clone, Copy, Debug)]
struct Slots {
    bytes: u32,
    capacity: u32,
    reciprocal: u32,
}

impl Slots {
    /// The slot that starts at an offset in the page.
    fn at(self, offset: usize) -> Option<usize> {
        // Exact for multiples of the slot's bytes; any other offset fails the check below. The rounding of the
        // reciprocal adds less than offset / 2^32 to a quotient. D. Lemire, O. Kaser, N. Kurz, "Faster remainder by
        // direct computation", Software: Practice and Experience 49:6, 2019.
        let slot = ((offset as u64 * u64::from(self.reciprocal)) >> u32::BITS) as u32;
        (slot < self.capacity && slot * self.bytes == offset as u32).then_some(slot as usize)
    }
}

/// A copy of a page's bitmap: one bit for each free slot.
#[derive(Debug)]
pub(crate) struct FreeSlots([u64; BITMAP_WORDS]);

impl FreeSlots {
    /// Whether all slots from `first` to `last` are free.
    fn has_all(&self, first: usize, last: usize) -> bool {
        (first / 64..=last / 64).all(|word| {
            let from = if word == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
            let to = if word == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
            !self.0[word] & from & to == 0
        })
    }
}

/// A list of pages.
pub(crate) type PageList = List<Page>;
/// A list of pages that wait for the purge. A page may be in a [`PageList`] as well.
pub(crate) type WaitingList = List<Page, 1>;

impl Linked for Page {
    fn links(&self) -> &Links<Page> {
        &self.links
    }
}

impl Linked<1> for Page {
    fn links(&self) -> &Links<Page> {
        // SAFETY: only pages of slots are in lists, and the segment set their parts when it made them.
        &unsafe { self.parts.get().unwrap_unchecked() }.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A page of the class over addresses that no test touches.
    fn page(class: Class) -> Box<Page> {
        // SAFETY: zeroes are a page that is not in use.
        let page: Box<Page> = unsafe { Box::<Page>::new_zeroed().assume_init() };
        page.base.set(ptr::without_provenance_mut(7 << 40));
        page.blocks.set(class.blocks() as u8);
        // SAFETY: zeroes are the parts of a page without free slots, in no list.
        page.set_parts(Box::leak(unsafe { Box::<PageParts>::new_zeroed().assume_init() }));
        page.begin_slots(class, true, 0);
        page
    }

    #[test]
    fn every_slot_is_handed_out_once_and_taken_back_once() {
        for class in Class::all().filter(|class| !class.is_run()) {
            let page = page(class);
            let capacity = page.capacity.get() as usize;
            assert_eq!(capacity, class.blocks() * BLOCK / class.slot_bytes());
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
                assert_eq!(page.give(&[slot.wrapping_add(1), slot]), (0, Err(GiveError::Interior)));
                assert_eq!(page.give(&[slot]), (1, Ok(())));
                assert_eq!(page.give(&[slot]), (0, Err(GiveError::DoubleFree)));
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
            // Every third slot comes back, and all of the second half.
            for (n, &slot) in slots.iter().enumerate() {
                if n % 3 == 0 || n > slots.len() / 2 {
                    assert_eq!(page.give(&[slot]), (1, Ok(())));
                }
            }
            let mut covered = std::vec![false; class.blocks() * BLOCK / OS_PAGE];
            page.each_free_range(&page.free_slots(), |start, bytes| {
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
    fn no_slot_starts_behind_the_last_one() {
        let slot_end = |class: Class| class.blocks() * BLOCK / class.slot_bytes() * class.slot_bytes();
        let has_tail = |class: &Class| !class.is_run() && slot_end(*class) < class.blocks() * BLOCK;
        assert!(Class::all().any(|class| has_tail(&class)));
        for class in Class::all().filter(has_tail) {
            let end = ptr::without_provenance::<u8>((7 << 40) + slot_end(class));
            assert!(!page(class).starts_at(end), "{class:?}");
        }
    }
}
