//! Free check: verifies with every free that the address is the start of a live object of the arena's.
//!
//! A double free would put an object on a stack twice, and two requests would get it; a free inside an object would hand
//! out the middle of it. With this factor both end the process at the free, whichever thread frees.
//!
//! - *Small objects*, up to 1,024 bytes. The last offset in each block that was ever handed out stands in a table with two
//!   bytes per block, and a multiplication tells whether the offset is a multiple of the slot's bytes. A free slot of a cache
//!   has a mark in its second word, made of its address and a secret; a request takes it away. An object whose mark is
//!   there is free already. Marks lie in memory that the program uses itself, or is about to.
//! - *Larger objects*. Their memory is not touched. A table has a byte for every KiB of the range: where in it a live
//!   object starts. One OS page of it is used for 4 MiB.
//!
//! A change of an object's size, and the question for its bytes, ask the same of the object.
//!
//! What it cannot know: a free of an object's old address after another request got it; and a double free of a small
//! object whose memory went back to the OS, which is found when the cache gives it up.
//!
//! Objects beyond 4 MiB, and what lies outside the range, are verified by their records, with and without this factor.
//! Costs 17 instructions per small object and no memory; about 40 instructions per larger one, and a 1,024th of its
//! addresses where it starts.

use crate::class::{BLOCK, Class, LISTS, Owner, SMALL_LISTS, SlotListOffset};
use crate::metadata::range::{self, BlockObjects};
use crate::os;
use crate::sync::counters;
use core::ptr;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

counters! {
    /// Free slots that were marked as they came to a cache.
    marked,
    /// Larger objects that no cache had, which the table notes as it does all others.
    noted,
}

/// Bytes of the largest objects that are marked.
pub(crate) const MARKED_BYTES_MAX: usize = 1024;
/// Bytes of the range for each byte of the table.
const GRANULE: usize = range::SIDE_GRANULE;
/// Larger objects start at multiples of this.
const LARGER_ALIGN: usize = 64;

/// Bytes per entry of [`MULTIPLIERS`]: those of a slot list, so that its offset is the entry's.
const STRIDE: usize = SlotListOffset::LIST_BYTES / size_of::<u32>();

/// For each slot list of marked objects 2^32 divided by the slot's bytes, rounded up; 0 for all others, and while the
/// factor is off. A word here is written before an object of the list is handed out.
static MULTIPLIERS: [AtomicU32; LISTS * STRIDE] = [const { AtomicU32::new(0) }; LISTS * STRIDE];
/// What marks are made of; 0 while the factor is off.
static SECRET: AtomicU64 = AtomicU64::new(0);
/// The table of larger objects.
static TABLE: Table = Table { last: AtomicUsize::new(0), granules: AtomicUsize::new(0) };

/// Where the table lies: behind the range, the bytes of its last addresses first. So a byte is as far behind the end of the
/// range as its granule lies before it, and one number tells both that an address is in the range and where its byte is.
struct Table {
    /// The last address of the range.
    last: AtomicUsize,
    /// Granules of the range; 0 while there is no table.
    granules: AtomicUsize,
}

impl Table {
    /// Calls `then` with the byte for an address; `otherwise` outside the range.
    #[inline(always)]
    fn with_byte<T>(&self, object: *mut u8, otherwise: T, then: impl FnOnce(&AtomicU8) -> T) -> T {
        let last = self.last.load(Ordering::Relaxed);
        let granule = last.wrapping_sub(object.addr()) / GRANULE;
        if granule >= self.granules.load(Ordering::Relaxed) {
            return otherwise;
        }
        // SAFETY: the table has a byte for every KiB of the range, which is usable where the memory is.
        then(unsafe { &*ptr::with_exposed_provenance(last + 1 + granule) })
    }
}

/// Whether the factor verifies frees.
pub(crate) fn is_on() -> bool {
    SECRET.load(Ordering::Relaxed) != 0
}

/// Begins to verify frees, before the first request. Without addresses for the table, larger objects are not verified.
pub(crate) fn begin() {
    range::reserve_once();
    range::use_last_offsets();
    if let Some(table) = range::side_table() {
        TABLE.last.store(table.expose_provenance() - 1, Ordering::Relaxed);
        TABLE.granules.store(range::bounds().1 / GRANULE, Ordering::Relaxed);
    }
    for class in Class::all().filter(|class| is_marked(*class) && !class.has_owners()) {
        set_multiplier(class, class.slot_list());
    }
    SECRET.store(os::random_word() | 1, Ordering::Relaxed);
}

/// Begins to verify frees of objects in an owner's pages, before it has any.
pub(crate) fn begin_owner(owner: Owner) {
    for class in Class::all().take_while(|class| class.has_owners()) {
        set_multiplier(class, class.slot_list().of_owner(owner));
    }
}

fn set_multiplier(class: Class, list: SlotListOffset) {
    let multiplier = (u64::from(u32::MAX) + 1).div_ceil(class.slot_bytes() as u64) as u32;
    MULTIPLIERS[list.index() * STRIDE].store(multiplier, Ordering::Relaxed);
}

/// Makes a part of the range memory, which begins with a segment, and where its segments are new what the tables have for
/// them. `is_small` says that the segments will have small pages. `false` when the kernel refuses.
///
/// # Safety
/// - `[start, start + bytes)` lies in the range and is not memory yet.
/// - `is_new` says that no part of its segments was memory before.
pub(crate) unsafe fn commit(start: *mut u8, bytes: usize, is_small: bool, is_new: bool) -> bool {
    if is_new && has_tables() {
        // SAFETY: passed on.
        return unsafe { range::commit_with_tables(start, bytes, is_small) };
    }
    // SAFETY: as above.
    unsafe { range::commit(start, bytes) }
}

/// Makes the table for small pages usable in a segment for large objects, which is to have some. `false` when the kernel
/// refuses.
pub(crate) fn begin_small(segment: *const u8, bytes: usize) -> bool {
    !has_tables() || range::commit_last_offsets(segment, bytes)
}

fn has_tables() -> bool {
    TABLE.granules.load(Ordering::Relaxed) != 0
}

/// Whether objects of the class are marked when they are free.
#[inline(always)]
pub(crate) fn is_marked(class: Class) -> bool {
    class.slot_bytes() <= MARKED_BYTES_MAX
}

/// The last list whose objects are marked.
const LAST_MARKED: SlotListOffset = SMALL_LISTS[SMALL_LISTS.len() - 1];

const _: () = assert!(SMALL_LISTS.len() * 16 == MARKED_BYTES_MAX);

/// Whether objects of the list are larger than those that are marked.
#[inline(always)]
pub(crate) fn is_list_of_larger(list: SlotListOffset) -> bool {
    list.0 > LAST_MARKED.0
}

/// Whether a marked slot of the list starts at this offset in its block: the offset is a multiple of the slot's bytes.
/// `false` for all other lists.
#[inline(always)]
pub(crate) fn is_start(list: SlotListOffset, offset: u32) -> bool {
    // By bytes, since the offsets are multiples of an entry's, which the compiler does not know.
    // SAFETY: the table has an entry for every slot list, at its offset.
    let multiplier = unsafe { &*MULTIPLIERS.as_ptr().byte_add(list.0 as usize) }.load(Ordering::Relaxed);
    // Exact for offsets below 2^16 and slots up to 1,024 bytes. D. Lemire, O. Kaser, N. Kurz, "Faster remainder by direct
    // computation", Software: Practice and Experience 49:6, 2019.
    offset.wrapping_mul(multiplier) < multiplier
}

/// Whether a marked slot that was ever handed out starts at an address of the block. `false` while the factor is off.
#[inline(always)]
pub(crate) fn was_handed_out(block: BlockObjects, address: *const u8) -> bool {
    let offset = address.addr() as u16;
    // SAFETY: a slot starts there, so that the block has a list of marked objects, and the factor is on.
    is_start(block.list(), u32::from(offset)) && unsafe { offset <= block.last_offset() }
}

/// Marks a small object as free. Returns `false`, and changes nothing, when it is marked.
///
/// # Safety
/// - a slot of 16 bytes or more lies at the address, in memory of the range.
#[inline(always)]
pub(crate) unsafe fn mark(object: *mut u8) -> bool {
    let word = mark_of(object);
    let mark = object.cast::<AtomicU64>().wrapping_add(1);
    // SAFETY: the caller's promise. Atomic, since another thread may free the same object at this moment.
    unsafe {
        if (*mark).load(Ordering::Relaxed) == word {
            return false;
        }
        (*mark).store(word, Ordering::Relaxed);
    }
    true
}

/// Takes a small object's mark away, as it is handed out.
///
/// # Safety
/// - the object is the caller's, and has 16 bytes or more.
#[inline(always)]
pub(crate) unsafe fn unmark(object: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { (*object.cast::<AtomicU64>().wrapping_add(1)).store(0, Ordering::Relaxed) };
}

/// Whether a small object has a mark.
///
/// # Safety
/// - a slot of 16 bytes or more lies at the address, in memory of the range.
#[inline(always)]
pub(crate) unsafe fn has_mark(object: *mut u8) -> bool {
    // SAFETY: the caller's promise. Atomic, as in `mark`.
    let word = unsafe { (*object.cast::<AtomicU64>().wrapping_add(1)).load(Ordering::Relaxed) };
    word == mark_of(object)
}

#[inline(always)]
fn mark_of(object: *mut u8) -> u64 {
    object.addr() as u64 ^ SECRET.load(Ordering::Relaxed)
}

/// Marks free slots that come to a cache from a page, by rising addresses, and notes how far the page's block was handed
/// out.
///
/// # Safety
/// - the slots are the caller's, of one page, whose class has marks.
pub(crate) unsafe fn admit(counters: &Counters, slots: &[*mut u8]) {
    counters.marked.add(slots.len() as u64);
    for &slot in slots {
        // SAFETY: the caller's promise.
        unsafe { (*slot.cast::<AtomicU64>().wrapping_add(1)).store(mark_of(slot), Ordering::Relaxed) };
    }
    if let Some(&last) = slots.last() {
        range::note_handed_out(last);
    }
}

/// Counts an object that no cache had.
pub(crate) fn note(counters: &Counters, class: Class) {
    counters.noted.add(u64::from(!is_marked(class)));
}

/// Notes that an object without a mark is handed out. Does nothing outside the range, where objects of a class may lie too.
#[inline(always)]
pub(crate) fn set_live(object: *mut u8) {
    TABLE.with_byte(object, (), |byte| byte.store(code_of(object), Ordering::Relaxed));
}

/// Whether such an object of the range starts at the address, and is live; `false` where there is no table.
#[inline(always)]
pub(crate) fn is_live(object: *mut u8) -> bool {
    TABLE.with_byte(object, false, |byte| is_start_of_live(object, byte))
}

/// Notes that such an object of the range is freed. Returns `false`, and changes nothing, where none starts that is live.
#[inline(always)]
pub(crate) fn set_free(object: *mut u8) -> bool {
    TABLE.with_byte(object, true, |byte| {
        let is_live = is_start_of_live(object, byte);
        if is_live {
            byte.store(0, Ordering::Relaxed);
        }
        is_live
    })
}

/// Whether an object of the class, which starts at the address, is known to be free. `false` while the factor is off.
///
/// # Safety
/// - a slot or run of the class starts there, in memory of the range.
pub(crate) unsafe fn is_free(object: *mut u8, class: Class) -> bool {
    if is_marked(class) {
        // SAFETY: the caller's promise.
        return is_on() && unsafe { has_mark(object) };
    }
    TABLE.with_byte(object, false, |byte| byte.load(Ordering::Relaxed) != code_of(object))
}

/// Whether the byte for the object's granule says that it is live.
#[inline(always)]
fn is_start_of_live(object: *mut u8, byte: &AtomicU8) -> bool {
    byte.load(Ordering::Relaxed) == code_of(object) && object.addr().is_multiple_of(LARGER_ALIGN)
}

/// Which of its granule's starts an object is at; never 0.
#[inline(always)]
fn code_of(object: *mut u8) -> u8 {
    const { assert!(GRANULE / LARGER_ALIGN < 0x80) };
    (object.addr() / LARGER_ALIGN) as u8 | 0x80
}

const _: () = assert!(BLOCK == 1 << 16, "an offset in a block is the low half of a word");

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn larger_objects_start_where_the_table_can_tell() {
        for class in Class::all().filter(|&class| !is_marked(class)) {
            assert!(class.slot_bytes() >= GRANULE && class.slot_bytes().is_multiple_of(LARGER_ALIGN), "{class:?}");
        }
        for class in Class::all().filter(|&class| is_marked(class)) {
            assert_eq!(class.blocks(), 1, "an offset in the block is one in the page: {class:?}");
        }
    }

    #[test]
    fn starts_are_multiples_of_the_slot() {
        begin();
        begin_owner(Owner::ALL);
        for class in Class::all() {
            let bytes = class.slot_bytes() as u32;
            for offset in 0..=u32::from(u16::MAX) {
                let expected = is_marked(class) && offset.is_multiple_of(bytes);
                let list = class.slot_list().of_owner(Owner::ALL);
                assert_eq!(is_start(list, offset), expected, "{class:?} {offset}");
            }
        }
        assert!((0..=u32::from(u16::MAX)).all(|offset| !is_start(SlotListOffset::NONE, offset)));
    }

    #[test]
    fn a_mark_is_found_once_it_is_there() {
        begin();
        let mut slot = [7_u64; 2];
        let object = (&raw mut slot).cast();
        // SAFETY: two words that are ours.
        unsafe {
            let class = Class::of(16).expect("a size with a class");
            assert!(!is_free(object, class));
            assert!(mark(object) && !mark(object) && is_free(object, class));
            unmark(object);
            assert!(!is_free(object, class) && mark(object));
        }
    }
}
