//! Size classes: from a size to its class, and from a class to its bytes.
//!
//! Small classes, slots in pages: 16 bytes apart up to 256, then eight per doubling up to 56 KiB, so that at most a ninth
//! of a slot is lost beyond 128 bytes. Large classes: a block apart up to 512 KiB, then four per doubling up to 4 MiB;
//! they lose address space, and memory only where huge pages back it. Objects above [`CLASS_BYTES_MAX`] have no class.
//!
//! If all large objects started at a multiple of 64 KiB, their first cache lines, and those of each of their OS pages,
//! would fall into the same few sets of every cache: sixteen of them in turn would miss in caches that could hold them
//! many times over. So each size up to 512 KiB has two classes. Objects of the coloured ones (J. Bonwick, "The slab
//! allocator", USENIX Summer 1994) are slots a cache line longer than whole blocks, so that each begins in another set
//! than its neighbour. Objects of the uncoloured ones, and all larger ones, are runs of blocks: for stricter alignment
//! than a line's, and where a coloured page does not fit.

/// Bytes of an arena block, into which segments are divided. A page of small slots is one block or eight.
pub(crate) const BLOCK: usize = 64 << 10;
/// Blocks of a segment, and of the longest page.
pub(crate) const SEGMENT_BLOCKS: usize = 64;
/// Number of size classes: small ones, coloured ones, runs.
pub(crate) const CLASSES: usize = SLOT_CLASSES + RUN_BLOCKS.len();
/// Number of classes whose objects are slots in pages.
pub(crate) const SLOT_CLASSES: usize = SMALL_CLASSES + COLOURED_CLASSES;
/// Number of small classes.
const SMALL_CLASSES: usize = 78;
/// Number of coloured classes: of one block to so many.
const COLOURED_CLASSES: usize = 8;
/// Bytes of the largest small object.
pub(crate) const SMALL_BYTES_MAX: usize = 56 << 10;
/// Bytes by which a coloured slot is longer than its blocks: a cache line.
const COLOUR: usize = 64;
/// Bytes of the largest object that has a class.
pub(crate) const CLASS_BYTES_MAX: usize = 4 << 20;

/// Number of classes that are 16 bytes apart.
const LINEAR_CLASSES: usize = 16;
/// Sizes in bytes up to here are looked up in a table.
const TABLE_BYTES: usize = 1024;
/// Blocks of the classes of runs.
const RUN_BLOCKS: [u8; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64];

/// A size class, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(u8);

/// Which threads take slots from a page: those whose heaps have this number. 0 is that of pages from which all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u8);

/// Number of owners, and the one that is none. The model checker has little room for what belongs to each.
pub(crate) const OWNERS: usize = if cfg!(loom) { 3 } else { 32 };

impl Owner {
    /// No owner.
    pub(crate) const NONE: Owner = Owner(0);
    /// The first one.
    pub(crate) const FIRST: Owner = Owner(1);
    /// The owner of all pages, where threads share them.
    pub(crate) const ALL: Owner = Owner(OWNERS as u8 - 1);

    /// The owner of the heap that was made as the `n`th. The first one's lists lie next to those that all heaps have.
    pub(crate) fn of_heap(n: usize) -> Owner {
        Owner((OWNERS - 1 - n % (OWNERS - 1)) as u8)
    }

    /// The owner of pages of the class that this one's heaps take slots from.
    pub(crate) fn of_class(self, class: Class) -> Owner {
        if class.has_owners() { self } else { Owner::NONE }
    }

    /// Every owner, but [`Owner::NONE`].
    pub(crate) fn all() -> impl Iterator<Item = Owner> {
        (1..OWNERS as u8).map(Owner)
    }

    /// The owner as an index below [`OWNERS`].
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a slot list lies in a thread cache, in bytes. At 0, the offset of addresses outside of pages, lies the slot list
/// that holds and takes nothing. Then come the lists of classes with owners, [`SPAN_BYTES`] for each owner, and those of
/// all other classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotListOffset(pub(crate) u32);

/// Number of classes whose pages have owners: the first ones, whose slots share cache lines.
pub(crate) const OWNED_CLASSES: usize = 7;
/// Bytes of the lists of one owner: a place without a list, and a list for each class.
pub(crate) const SPAN_BYTES: usize = (OWNED_CLASSES + 1) * SlotListOffset::LIST_BYTES;
/// Bytes of the lists of all owners.
const SPANS_BYTES: usize = OWNERS * SPAN_BYTES;

impl SlotListOffset {
    /// The slot list that holds and takes nothing.
    pub(crate) const NONE: SlotListOffset = SlotListOffset(0);
    /// The first outbox.
    pub(crate) const OUTBOXES: SlotListOffset = SlotListOffset::of_number(CLASSES - OWNED_CLASSES);
    /// Bytes of a slot list; the thread cache checks them.
    pub(crate) const LIST_BYTES: usize = 16;

    /// The list of this number, of those behind the owners'.
    const fn of_number(number: usize) -> SlotListOffset {
        SlotListOffset((SPANS_BYTES + number * SlotListOffset::LIST_BYTES) as u32)
    }

    /// The class whose slot list this is.
    pub(crate) fn class(self) -> Option<Class> {
        let offset = self.0 as usize;
        let index = match offset.checked_sub(SPANS_BYTES) {
            Some(behind) => OWNED_CLASSES + behind / SlotListOffset::LIST_BYTES,
            None => (offset % SPAN_BYTES / SlotListOffset::LIST_BYTES).checked_sub(1)?,
        };
        Class::from_index(index)
    }

    /// Whether this is a list of a class with owners, as [`Class::slot_list`] tells it: that of no owner.
    #[inline(always)]
    pub(crate) const fn is_of_own(self) -> bool {
        self.0 != 0 && (self.0 as usize) < SPAN_BYTES
    }

    /// The list of the same class in the lists of an owner, if the class has owners.
    #[inline(always)]
    pub(crate) const fn of_owner(self, owner: Owner) -> SlotListOffset {
        if self.is_of_own() { SlotListOffset(self.0 + (owner.index() * SPAN_BYTES) as u32) } else { self }
    }

    /// The owner in whose lists this is; [`Owner::NONE`] for all other lists.
    #[inline(always)]
    pub(crate) const fn owner(self) -> Owner {
        let owner = self.0 as usize / SPAN_BYTES;
        if owner < OWNERS { Owner(owner as u8) } else { Owner::NONE }
    }

    /// The outbox for objects of this list, whose class has owners.
    #[inline(always)]
    pub(crate) const fn outbox(self) -> SlotListOffset {
        let first = SlotListOffset::OUTBOXES.0 as usize - SlotListOffset::LIST_BYTES;
        SlotListOffset((first + self.0 as usize % SPAN_BYTES) as u32)
    }

    /// The number of the list among all that there are, for tables with an entry for each.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize / SlotListOffset::LIST_BYTES
    }
}

/// Number of [`SlotListOffset`]s that blocks may have.
pub(crate) const LISTS: usize = SlotListOffset::OUTBOXES.index();

/// Bytes of a slot or run, by class.
const SLOT_BYTES: [u32; CLASSES] = {
    let mut table = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        table[class] = if class < LINEAR_CLASSES {
            (class as u32 + 1) * 16
        } else if class < SMALL_CLASSES {
            let step = class - LINEAR_CLASSES;
            (9 + (step % 8) as u32) << (5 + step / 8)
        } else if class < SLOT_CLASSES {
            ((class - SMALL_CLASSES + 1) * BLOCK + COLOUR) as u32
        } else {
            RUN_BLOCKS[class - SLOT_CLASSES] as u32 * BLOCK as u32
        };
        class += 1;
    }
    table
};

/// Most blocks of a page of small slots.
const PAGE_BLOCKS_MAX: usize = 8;

/// Blocks of a page or run, by class. A page is as short as may be, so that a program with few objects of a class
/// leaves no gaps between those of others.
const PAGE_BLOCKS: [u8; CLASSES] = {
    let mut table = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let bytes = SLOT_BYTES[class] as usize;
        let blocks = if class < SMALL_CLASSES {
            let mut blocks = 1;
            while blocks < PAGE_BLOCKS_MAX && !is_page(blocks * BLOCK, bytes) {
                blocks += 1;
            }
            blocks
        } else if class < SLOT_CLASSES {
            // A sixteenth of the addresses is lost; up to an eighth, where the page is a whole segment.
            let blocks = bytes / BLOCK * 16;
            if blocks < SEGMENT_BLOCKS { blocks } else { SEGMENT_BLOCKS }
        } else {
            bytes / BLOCK
        };
        table[class] = blocks as u8;
        class += 1;
    }
    table
};

/// Whether a page so long holds enough slots, and little is left behind the last one: a sixteenth, or a tenth of a block.
const fn is_page(page_bytes: usize, slot_bytes: usize) -> bool {
    let left = page_bytes % slot_bytes;
    page_bytes / slot_bytes >= 7 && (left * 16 <= page_bytes || left * 10 <= BLOCK)
}

const _: () = assert!(SLOT_BYTES[LINEAR_CLASSES - 1] == 256 && SLOT_BYTES[LINEAR_CLASSES] == 288);
const _: () = assert!(SLOT_BYTES[SMALL_CLASSES - 1] as usize == SMALL_BYTES_MAX);
const _: () = assert!(SLOT_BYTES[CLASSES - 1] as usize == CLASS_BYTES_MAX);

/// The first class that holds `bytes`, by trying each, for the tables.
const fn search(bytes: usize) -> Class {
    let mut class = 0;
    while (SLOT_BYTES[class] as usize) < bytes {
        class += 1;
    }
    Class(class as u8)
}

/// Slot lists of small sizes: entry `n` is for the sizes from `16 n + 1` to `16 n + 16` bytes.
pub(crate) static SMALL_LISTS: [SlotListOffset; TABLE_BYTES / 16] = {
    let mut table = [SlotListOffset::NONE; TABLE_BYTES / 16];
    let mut entry = 0;
    while entry < table.len() {
        table[entry] = search((entry + 1) * 16).slot_list();
        entry += 1;
    }
    table
};

/// Slot lists of large sizes: entry `n` is for the sizes from `n` blocks and a byte to `n + 1` blocks.
static LARGE_LISTS: [SlotListOffset; CLASS_BYTES_MAX / BLOCK] = {
    let mut table = [SlotListOffset::NONE; CLASS_BYTES_MAX / BLOCK];
    let mut entry = 0;
    while entry < table.len() {
        table[entry] = search((entry + 1) * BLOCK).slot_list();
        entry += 1;
    }
    table
};

/// The slot list of a size from 1 to [`CLASS_BYTES_MAX`]; [`SlotListOffset::NONE`] for any other.
#[inline(always)]
pub(crate) fn slot_list_of(bytes: usize) -> SlotListOffset {
    // Size 0 wraps around, to a size beyond all tables.
    let last = bytes.wrapping_sub(1);
    if last < TABLE_BYTES {
        return SMALL_LISTS[last / 16];
    }
    if last < SMALL_BYTES_MAX {
        return geometric(last).slot_list();
    }
    match LARGE_LISTS.get(last / BLOCK) {
        Some(&list) => list,
        None => SlotListOffset::NONE,
    }
}

/// The slot list of a size of a class with owners, in an owner's lists. `last` is the size minus 1.
#[inline(always)]
pub(crate) fn own_list_of(last: usize) -> Option<SlotListOffset> {
    // Such classes are as many bytes apart as lists, which begin with the second place.
    let list = || (last & !(SlotListOffset::LIST_BYTES - 1)) + SlotListOffset::LIST_BYTES;
    (last < OWNED_CLASSES * SlotListOffset::LIST_BYTES).then(|| SlotListOffset(list() as u32))
}

/// The class of a size above 256 bytes and up to [`SMALL_BYTES_MAX`]. `last` is the size minus 1.
#[inline(always)]
fn geometric(last: usize) -> Class {
    // `log` is the power of two below the size; the three bits under the leading one choose one of eight classes.
    let log = usize::BITS - 1 - last.leading_zeros();
    let eighth = (last >> (log - 3)) & 7;
    Class((LINEAR_CLASSES + (log as usize - 8) * 8 + eighth) as u8)
}

/// How many objects of the class with this index a thread cache keeps at most: 1 MiB of small ones, at least 16 and at
/// most 1,024 of them; 4 MiB of large ones, at most 16 of them, and at least 4, or 2 above 2 MiB. In a program that
/// cycles through large objects of three sizes, the free objects of a class vary by one or two.
pub(crate) const fn cache_slots(class: usize) -> usize {
    let bytes = SLOT_BYTES[class] as usize;
    let (slots, least, most) = if class < SMALL_CLASSES {
        ((1 << 20) / bytes, 16, 1024)
    } else {
        ((4 << 20) / (bytes / BLOCK * BLOCK), if bytes <= 2 << 20 { 4 } else { 2 }, 16)
    };
    if slots < least {
        least
    } else if slots > most {
        most
    } else {
        slots
    }
}

impl Class {
    /// Every class, smallest first.
    pub(crate) fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }

    /// The smallest class whose slots hold `bytes`, for `bytes` in `1..=CLASS_BYTES_MAX`.
    #[inline]
    pub(crate) fn of(bytes: usize) -> Option<Class> {
        slot_list_of(bytes).class()
    }

    /// The first class that holds `bytes` and whose objects are all aligned to `align`; `None` where there is none.
    #[inline]
    pub(crate) fn aligned(bytes: usize, align: usize) -> Option<Class> {
        let first = Class::of(bytes)?;
        if align <= 16 {
            return Some(first);
        }
        if align > BLOCK {
            return None;
        }
        if first.is_large() {
            return Some(if align <= COLOUR { first } else { first.uncoloured() });
        }
        (first.0..CLASSES as u8).map(Class).find(|class| class.slot_bytes() & (align - 1) == 0)
    }

    /// The class of runs that hold `bytes`, for `bytes` up to [`CLASS_BYTES_MAX`]. Every run is aligned to a block, those
    /// of half a segment and more to a half; others only as the request that made them needed it.
    #[inline]
    pub(crate) fn of_run(bytes: usize) -> Option<Class> {
        Class::of(bytes.max(SMALL_BYTES_MAX + 1)).map(Class::uncoloured)
    }

    /// The class with this index, as a page's record has it; `None` for an index that is no class's.
    pub(crate) fn from_index(index: usize) -> Option<Class> {
        (index < CLASSES).then_some(Class(index as u8))
    }

    /// Bytes of a slot of the class with this index, for constants.
    pub(crate) const fn bytes_by_index(index: usize) -> usize {
        SLOT_BYTES[index] as usize
    }

    /// Bytes of a slot, or of a run.
    #[inline(always)]
    pub(crate) fn slot_bytes(self) -> usize {
        SLOT_BYTES[self.index()] as usize
    }

    /// Whether objects are larger than [`SMALL_BYTES_MAX`], so that BigCache keeps them.
    #[inline(always)]
    pub(crate) fn is_large(self) -> bool {
        self.index() >= SMALL_CLASSES
    }

    /// Whether objects are runs of blocks, not slots.
    pub(crate) fn is_run(self) -> bool {
        self.index() >= SLOT_CLASSES
    }

    /// The uncoloured class of as many blocks as a coloured one; any other class itself.
    pub(crate) fn uncoloured(self) -> Class {
        if self.is_large() && !self.is_run() { Class(self.0 + COLOURED_CLASSES as u8) } else { self }
    }

    /// Blocks of a page of this class, enough for at least seven slots, or of a run.
    #[inline]
    pub(crate) fn blocks(self) -> usize {
        usize::from(PAGE_BLOCKS[self.index()])
    }

    /// How many objects of the class a thread cache keeps at most.
    pub(crate) fn cache_slots(self) -> usize {
        cache_slots(self.index())
    }

    /// The class as an index below [`CLASSES`].
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether the pages of the class have owners.
    #[inline(always)]
    pub(crate) const fn has_owners(self) -> bool {
        self.index() < OWNED_CLASSES
    }

    /// Where the class's slot list lies in a thread cache; for a class with owners, where it lies in an owner's lists.
    #[inline(always)]
    pub(crate) const fn slot_list(self) -> SlotListOffset {
        match self.index().checked_sub(OWNED_CLASSES) {
            Some(number) => SlotListOffset::of_number(number),
            None => SlotListOffset(((self.index() + 1) * SlotListOffset::LIST_BYTES) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for bytes in 1..=CLASS_BYTES_MAX {
            let class = Class::of(bytes).expect("a class");
            assert!(class.slot_bytes() >= bytes, "{bytes}");
            if class.index() > 0 {
                // Between coloured slots the blocks decide.
                let below = SLOT_BYTES[class.index() - 1] as usize;
                let below = if class.is_large() { below / BLOCK * BLOCK } else { below };
                assert!(below < bytes, "{bytes} fits the class below");
            }
        }
        for bytes in 1..=2 * 128 {
            let own = Class::of(bytes).filter(|class| class.has_owners()).map(Class::slot_list);
            assert_eq!(own_list_of(bytes - 1), own, "{bytes}");
        }
        assert_eq!(own_list_of(0_usize.wrapping_sub(1)), None);
        for bytes in [0, CLASS_BYTES_MAX + 1, isize::MAX as usize, usize::MAX] {
            assert_eq!(Class::of(bytes), None, "{bytes}");
        }
    }

    #[test]
    fn slots_waste_at_most_a_ninth_beyond_128_bytes() {
        for bytes in 129..=SMALL_BYTES_MAX {
            let slot = Class::of(bytes).expect("a class").slot_bytes();
            assert!((slot - bytes) * 9 <= slot, "{bytes} in {slot}");
        }
    }

    #[test]
    fn aligned_classes_hold_and_align() {
        for log in 0..=16 {
            let align = 1 << log;
            for bytes in [1, 15, 16, 17, 100, 1000, 4096, 5000, 65536, 100_000, SMALL_BYTES_MAX, CLASS_BYTES_MAX] {
                let class = Class::aligned(bytes, align).expect("runs are whole blocks");
                assert!(class.slot_bytes() >= bytes);
                assert!(align <= 16 || class.slot_bytes().is_multiple_of(align));
            }
        }
        assert_eq!(Class::aligned(64, 2 * BLOCK), None);
    }

    #[test]
    fn every_size_has_a_class_of_runs() {
        for bytes in [1, 16, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, BLOCK, BLOCK + 1, 8 * BLOCK, CLASS_BYTES_MAX] {
            let class = Class::of_run(bytes).expect("a class");
            assert!(class.is_run() && class.slot_bytes() >= bytes, "{bytes}");
            assert_eq!(Class::aligned(bytes.max(BLOCK), BLOCK), Some(class), "{bytes}");
        }
        assert_eq!(Class::of_run(CLASS_BYTES_MAX + 1), None);
    }

    #[test]
    fn slot_lists_lead_back_to_their_classes() {
        assert_eq!(SlotListOffset::NONE.class(), None);
        assert_eq!(SlotListOffset::OUTBOXES.class(), None);
        assert_eq!((Owner::of_heap(0), Owner::of_heap(OWNERS - 1)), (Owner::ALL, Owner::ALL));
        for class in Class::all() {
            assert_eq!(class.slot_list().class(), Some(class));
            assert_eq!(Class::from_index(class.index()), Some(class));
            assert_eq!(class.slot_list().owner(), Owner::NONE);
            for owner in Owner::all() {
                let list = class.slot_list().of_owner(owner);
                assert_eq!(list.class(), Some(class));
                assert_eq!(list.owner(), if class.has_owners() { owner } else { Owner::NONE });
                let outbox = LISTS + class.index();
                assert!(!class.has_owners() || list.outbox().index() == outbox);
                assert!(list.index() < LISTS && u16::try_from(list.0).is_ok());
            }
        }
    }

    #[test]
    fn pages_hold_several_slots_and_runs_are_one_object() {
        for class in Class::all() {
            let slots = class.blocks() * BLOCK / class.slot_bytes();
            assert!(if class.is_run() { slots == 1 } else { slots >= 7 }, "{class:?}");
        }
    }

    #[test]
    fn coloured_classes_stand_for_the_runs_of_as_many_blocks() {
        for class in Class::all() {
            let plain = class.uncoloured();
            if class.is_large() && !class.is_run() {
                assert_eq!(plain.slot_bytes(), class.slot_bytes() - COLOUR);
                assert_eq!(Class::of(plain.slot_bytes()), Some(class));
                assert_eq!(Class::aligned(plain.slot_bytes(), COLOUR), Some(class));
                assert_eq!(Class::aligned(plain.slot_bytes(), 2 * COLOUR), Some(plain));
            } else {
                assert_eq!(plain, class);
            }
        }
    }
}
