//! The reserved range: one stretch of addresses for everything that has a size class, and the tables over it.
//!
//! Freeing needs one thing of an address: its slot list. A table has a word for each block of the range, found by a
//! subtraction, a shift and a compare. The compare also tells a foreign address, before anything near it is read. What lies
//! outside (mappings of their own, and chunks where the range is full or could not be had) the page map finds. Which part of
//! the range is used for what is left to the arena.

use crate::class::{BLOCK, SEGMENT_BLOCKS, SlotListOffset};
use crate::metadata::segment::{SEGMENT, Segment};
use crate::os;
use crate::sync::atomic::AtomicUsize;
use crate::sync::{Once, constant, global, held_at_fork};
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Bytes reserved, tried in this order: addresses cost no memory, but a limit on them (`RLIMIT_AS`) or a checker (Valgrind
/// above 16 GiB) refuses long ranges.
const LADDER: [usize; 6] = [RANGE_MAX, 16 << 30, 4 << 30, 1 << 30, 256 << 20, 64 << 20];
const RANGE_MAX: usize = 64 << 30;

global! {
    static BOUNDS: Bounds = Bounds::new();
}
global! {
    /// 1 when reserving the range was tried.
    static TRIED: Once = Once::new();
}
/// The slot list of each block in which an object with a class may start. Relaxed: a word is written before the first address
/// of its block is handed out, and what hands the address to another thread orders the word as well. Words of 32 bits, since
/// x86-64 widens those by loading them.
static LISTS: [AtomicU32; RANGE_MAX / BLOCK] = [const { AtomicU32::new(0) }; RANGE_MAX / BLOCK];
/// The records of the segments that were made. Release when one is, acquire on every look.
static SEGMENTS: [AtomicPtr<Segment>; RANGE_MAX / SEGMENT] =
    [const { AtomicPtr::new(ptr::null_mut()) }; RANGE_MAX / SEGMENT];

/// Where the range lies.
#[derive(Debug)]
struct Bounds {
    /// The first address.
    base: AtomicUsize,
    /// How many blocks there are; none while there is no range, so that no address lies in it.
    length_blocks: AtomicUsize,
}

impl Bounds {
    constant! {
        fn new() -> Bounds {
            Bounds { base: AtomicUsize::new(0), length_blocks: AtomicUsize::new(0) }
        }
    }

    fn set(&self, base: usize, length_blocks: usize) {
        self.base.store(base, Ordering::Relaxed);
        // Release: pairs with the acquire in `get`.
        self.length_blocks.store(length_blocks, Ordering::Release);
    }

    /// The first address, and how many blocks there are: both, or no block.
    fn get(&self) -> (usize, usize) {
        // Acquire: pairs with the release in `set`, so that the length comes with its base.
        let length_blocks = self.length_blocks.load(Ordering::Acquire);
        (self.base.load(Ordering::Relaxed), length_blocks)
    }

    /// The block of an address, if it lies in the range.
    fn block_of(&self, address: *const u8) -> Option<usize> {
        let (base, length_blocks) = self.get();
        let block = address.addr().wrapping_sub(base) / BLOCK;
        (block < length_blocks).then_some(block)
    }
}

/// A thread's copy of where the range lies, which its fast path reads without an atomic operation.
#[derive(Debug)]
pub(crate) struct CachedBounds {
    base: Cell<usize>,
    length_blocks: Cell<usize>,
}

impl CachedBounds {
    /// The bounds of no range.
    pub(crate) const fn new() -> CachedBounds {
        CachedBounds { base: Cell::new(0), length_blocks: Cell::new(0) }
    }

    /// Copies the bounds of the range, which was reserved before, if it could be.
    pub(crate) fn read(&self) {
        let (base, length_blocks) = BOUNDS.get();
        self.base.set(base);
        self.length_blocks.set(length_blocks);
    }

    /// The slot list that takes an object at the address when it is freed; `None` for what lies outside the range.
    #[inline(always)]
    pub(crate) fn slot_list_at(&self, address: *const u8) -> Option<SlotListOffset> {
        let block = address.addr().wrapping_sub(self.base.get()) / BLOCK;
        if block >= self.length_blocks.get() {
            return None;
        }
        // SAFETY: the range is no longer than the table.
        let list = unsafe { LISTS.get_unchecked(block) }.load(Ordering::Relaxed);
        Some(SlotListOffset(list))
    }
}

/// The slot list that takes an object at the address when it is freed; [`SlotListOffset::NONE`] where that is not known.
pub(crate) fn slot_list_at(address: *const u8) -> SlotListOffset {
    BOUNDS.block_of(address).map_or(SlotListOffset::NONE, |block| SlotListOffset(LISTS[block].load(Ordering::Relaxed)))
}

/// Enters the slot list of objects that start in a block.
pub(crate) fn set_slot_list(block_address: *const u8, list: SlotListOffset) {
    if let Some(block) = BOUNDS.block_of(block_address) {
        LISTS[block].store(list.0, Ordering::Relaxed);
    }
}

/// The segment of an address in the range, if it was made.
pub(crate) fn segment_of(address: *const u8) -> Option<&'static Segment> {
    let block = BOUNDS.block_of(address)?;
    // SAFETY: the words are null or addresses of segments, which live for ever.
    unsafe { SEGMENTS[block / SEGMENT_BLOCKS].load(Ordering::Acquire).as_ref() }
}

/// Enters a segment of the range.
pub(crate) fn enter_segment(segment: &'static Segment) {
    let index = (segment.base.get().addr() - BOUNDS.get().0) / SEGMENT;
    SEGMENTS[index].store(ptr::from_ref(segment).cast_mut(), Ordering::Release);
}

/// Reserves the range, if that was not tried yet.
pub(crate) fn reserve_once() {
    TRIED.get_or_make(|| {
        reserve();
        1
    });
}

fn reserve() {
    // A process that may have few addresses needs most of them for other things.
    let most = os::address_limit() / 2;
    for bytes in LADDER.into_iter().filter(|&bytes| bytes <= most) {
        // One segment more, to align; the ends stay without memory.
        let range = os::reserve(bytes + SEGMENT);
        if !range.is_null() {
            BOUNDS.set(range.addr().next_multiple_of(SEGMENT), bytes / BLOCK);
            range.expose_provenance();
            return;
        }
    }
}

/// The first address of the range, and its bytes, whole segments; 0 when there is none.
pub(crate) fn bounds() -> (*mut u8, usize) {
    let (base, length_blocks) = BOUNDS.get();
    (ptr::with_exposed_provenance_mut(base), length_blocks * BLOCK)
}

held_at_fork!(TRIED);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_address_lies_in_a_range_that_is_not_there() {
        // Other tests of this binary reserve nothing.
        for address in [0, 1, BLOCK, usize::MAX, usize::MAX - BLOCK, 1 << 47] {
            let address = ptr::without_provenance(address);
            assert_eq!(slot_list_at(address), SlotListOffset::NONE);
            assert!(segment_of(address).is_none());
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use loom::thread;

    /// A thread that waited for the range sees where it lies; one that did not sees that, or that there is none.
    #[test]
    fn loom_range_is_seen_whole_by_all() {
        check(|| {
            let want = || {
                reserve_once();
                let cached = CachedBounds::new();
                cached.read();
                assert_eq!(cached.length_blocks.get(), LADDER[LADDER.len() - 1] / BLOCK);
                assert!(cached.base.get() > 0 && cached.base.get().is_multiple_of(SEGMENT));
            };
            let others = [thread::spawn(want), thread::spawn(reserve_once)];
            let (base, bytes) = bounds();
            assert!(bytes == 0 || !base.is_null());
            assert_eq!(slot_list_at(ptr::without_provenance(BLOCK)), SlotListOffset::NONE);
            want();
            others.into_iter().for_each(|other| other.join().expect("no panic"));
        });
    }

    /// A length without its base would take a foreign address for one of ours.
    fn look_early() {
        BOUNDS.get();
        let reserver = thread::spawn(reserve_once);
        let (base, length_blocks) = BOUNDS.get();
        assert!(length_blocks == 0 || base > 0);
        reserver.join().expect("no panic");
    }

    #[test]
    fn loom_range_is_never_seen_in_half() {
        check(look_early);
    }

    #[test]
    fn loom_range_needs_its_acquire() {
        assert!(fails(Loss::Acquire, look_early));
    }

    #[test]
    fn loom_range_needs_its_release() {
        assert!(fails(Loss::Release, look_early));
    }
}
