//! The reserved range: one stretch of addresses for everything that has a size class, and the tables over it.
//!
//! Freeing needs one thing of an address: its bin. A word for each unit of the range says it, found by a subtraction, a
//! shift and a compare; the compare is also what tells a foreign address, before anything near it is read. What lies
//! outside (mappings of their own, and chunks where the range is full or could not be had) is found by [`crate::map`].
//! Who uses which part of the range is left to [`crate::source`].

use crate::class::{BinOffset, UNIT};
use crate::os;
use crate::page::{SEGMENT, Segment, UNITS};
use crate::sync::Lock;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Bytes reserved, tried in this order: address space costs nothing, but limits on it (`RLIMIT_AS`) and checkers
/// (Valgrind up to 16 GiB) refuse long ranges.
const LADDER: [usize; 7] = [RANGE_MAX, 64 << 30, 16 << 30, 4 << 30, 1 << 30, 256 << 20, 64 << 20];
const RANGE_MAX: usize = 256 << 30;

/// Where the range lies.
struct Range {
    /// The first address; 1 while there is no range.
    base: AtomicUsize,
    /// How many units there are.
    length_units: AtomicUsize,
    /// Whether somebody tried to reserve it.
    tried: Lock<bool>,
}

static RANGE: Range = Range { base: AtomicUsize::new(1), length_units: AtomicUsize::new(0), tried: Lock::new(false) };
/// The bin of each unit in which an object with a class may start. Relaxed: a word is written before the first address
/// of its unit is handed out, and whoever handed the address to another thread ordered the word as well. Words of 32 bits,
/// since x86-64 widens those by loading them.
static BINS: [AtomicU32; RANGE_MAX / UNIT] = [const { AtomicU32::new(0) }; RANGE_MAX / UNIT];
/// The records of the segments that were made. Release when one is, acquire on every look.
static SEGMENTS: [AtomicPtr<Segment>; RANGE_MAX / SEGMENT] =
    [const { AtomicPtr::new(ptr::null_mut()) }; RANGE_MAX / SEGMENT];

/// A thread's copy of where the range lies, which its fast path reads without a thought of others.
#[derive(Debug)]
pub(crate) struct View {
    base: Cell<usize>,
    length_units: Cell<usize>,
}

impl View {
    /// A view of no range.
    pub(crate) const fn new() -> View {
        View { base: Cell::new(0), length_units: Cell::new(0) }
    }

    /// Looks at the range, which was reserved before, if it could be.
    pub(crate) fn look(&self) {
        self.base.set(RANGE.base.load(Ordering::Relaxed));
        self.length_units.set(RANGE.length_units.load(Ordering::Relaxed));
    }

    /// The bin in which an object at the address is put when it is freed; `None` for what lies outside the range.
    #[inline(always)]
    pub(crate) fn bin_at(&self, address: *const u8) -> Option<BinOffset> {
        let unit = address.addr().wrapping_sub(self.base.get()) / UNIT;
        if unit >= self.length_units.get() {
            return None;
        }
        // SAFETY: the range is no longer than the table.
        let bin = unsafe { BINS.get_unchecked(unit) }.load(Ordering::Relaxed);
        Some(BinOffset(bin))
    }
}

/// The bin in which an object at the address is put when it is freed; [`BinOffset::NONE`] where that is not known.
pub(crate) fn bin_at(address: *const u8) -> BinOffset {
    let unit = address.addr().wrapping_sub(RANGE.base.load(Ordering::Relaxed)) / UNIT;
    if unit >= RANGE.length_units.load(Ordering::Relaxed) {
        return BinOffset::NONE;
    }
    BinOffset(BINS[unit].load(Ordering::Relaxed))
}

/// Says in which bin objects go that start in a unit.
pub(crate) fn set_bin(unit_address: *const u8, bin: BinOffset) {
    let unit = unit_address.addr().wrapping_sub(RANGE.base.load(Ordering::Relaxed)) / UNIT;
    if unit < RANGE.length_units.load(Ordering::Relaxed) {
        BINS[unit].store(bin.0, Ordering::Relaxed);
    }
}

/// The segment of an address in the range, if it was made.
pub(crate) fn segment_of(address: *const u8) -> Option<&'static Segment> {
    let unit = address.addr().wrapping_sub(RANGE.base.load(Ordering::Relaxed)) / UNIT;
    if unit >= RANGE.length_units.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: the words are null or addresses of segments, which live for ever.
    unsafe { SEGMENTS[unit / UNITS].load(Ordering::Acquire).as_ref() }
}

/// Enters a segment of the range.
pub(crate) fn enter_segment(segment: &'static Segment) {
    let index = (segment.base.get().addr() - RANGE.base.load(Ordering::Relaxed)) / SEGMENT;
    SEGMENTS[index].store(ptr::from_ref(segment).cast_mut(), Ordering::Release);
}

/// Reserves the range, if nobody has tried yet.
pub(crate) fn reserve_once() {
    let mut tried = RANGE.tried.lock();
    if core::mem::replace(&mut *tried, true) {
        return;
    }
    // A process that may have few addresses needs most of them for other things.
    let most = os::address_limit() / 2;
    for bytes in LADDER.into_iter().filter(|&bytes| bytes <= most) {
        // One segment more, to align; the ends stay without memory.
        let range = os::reserve(bytes + SEGMENT);
        if !range.is_null() {
            RANGE.base.store(range.addr().next_multiple_of(SEGMENT), Ordering::Relaxed);
            // Relaxed, both: a thread that sees only one of them finds an address outside, or a bin of no unit.
            RANGE.length_units.store(bytes / UNIT, Ordering::Relaxed);
            range.expose_provenance();
            return;
        }
    }
}

/// The first address of the range, and its bytes, whole segments; 0 when there is none.
pub(crate) fn bounds() -> (*mut u8, usize) {
    let bytes = RANGE.length_units.load(Ordering::Relaxed) * UNIT;
    (ptr::with_exposed_provenance_mut(RANGE.base.load(Ordering::Relaxed)), bytes)
}

/// The lock, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    RANGE.tried.acquire();
}

/// Frees the lock after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took it.
pub(crate) unsafe fn release_after_fork() {
    // SAFETY: passed on.
    unsafe { RANGE.tried.release() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_lies_in_a_range_that_is_not_there() {
        // Other tests of this binary reserve nothing.
        for address in [0, 1, UNIT, usize::MAX, usize::MAX - UNIT, 1 << 47] {
            let address = ptr::without_provenance(address);
            assert_eq!(bin_at(address), BinOffset::NONE);
            assert!(segment_of(address).is_none());
        }
    }
}
