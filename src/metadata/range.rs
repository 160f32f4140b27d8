//! The reserved range: one stretch of addresses for everything that has a size class, and the tables over it.
//!
//! Freeing needs one thing of an address: its bin. A word for each unit of the range says it, found by a subtraction, a
//! shift and a compare; the compare is also what tells a foreign address, before anything near it is read. What lies
//! outside (mappings of their own, and chunks where the range is full or could not be had) is found by [`crate::metadata::page_map`].
//! Who uses which part of the range is left to [`crate::alloc`].

use crate::class::{BinOffset, UNIT, UNITS};
use crate::metadata::page::{SEGMENT, Segment};
use crate::os;
use crate::sync::atomic::AtomicUsize;
use crate::sync::{Once, constant, global, held_at_fork};
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Bytes reserved, tried in this order: address space costs nothing, but limits on it (`RLIMIT_AS`) and checkers
/// (Valgrind up to 16 GiB) refuse long ranges.
const LADDER: [usize; 6] = [RANGE_MAX, 16 << 30, 4 << 30, 1 << 30, 256 << 20, 64 << 20];
const RANGE_MAX: usize = 64 << 30;

global! {
    static BOUNDS: Bounds = Bounds::new();
}
global! {
    /// 1 when somebody has tried to reserve the range.
    static TRIED: Once = Once::new();
}
/// The bin of each unit in which an object with a class may start. Relaxed: a word is written before the first address
/// of its unit is handed out, and whoever handed the address to another thread ordered the word as well. Words of 32 bits,
/// since x86-64 widens those by loading them.
static BINS: [AtomicU32; RANGE_MAX / UNIT] = [const { AtomicU32::new(0) }; RANGE_MAX / UNIT];
/// The records of the segments that were made. Release when one is, acquire on every look.
static SEGMENTS: [AtomicPtr<Segment>; RANGE_MAX / SEGMENT] =
    [const { AtomicPtr::new(ptr::null_mut()) }; RANGE_MAX / SEGMENT];

/// Where the range lies.
#[derive(Debug)]
struct Bounds {
    /// The first address.
    base: AtomicUsize,
    /// How many units there are; none while there is no range, so that no address lies in it.
    length_units: AtomicUsize,
}

impl Bounds {
    constant! {
        fn new() -> Bounds {
            Bounds { base: AtomicUsize::new(0), length_units: AtomicUsize::new(0) }
        }
    }

    fn set(&self, base: usize, length_units: usize) {
        self.base.store(base, Ordering::Relaxed);
        // Release: pairs with the acquire in `get`.
        self.length_units.store(length_units, Ordering::Release);
    }

    /// The first address, and how many units there are: both, or no unit.
    fn get(&self) -> (usize, usize) {
        // Acquire: pairs with the release in `set`, so that the length comes with its base.
        let length_units = self.length_units.load(Ordering::Acquire);
        (self.base.load(Ordering::Relaxed), length_units)
    }

    /// The unit of an address, if it lies in the range.
    fn unit_of(&self, address: *const u8) -> Option<usize> {
        let (base, length_units) = self.get();
        let unit = address.addr().wrapping_sub(base) / UNIT;
        (unit < length_units).then_some(unit)
    }
}

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
        let (base, length_units) = BOUNDS.get();
        self.base.set(base);
        self.length_units.set(length_units);
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
    BOUNDS.unit_of(address).map_or(BinOffset::NONE, |unit| BinOffset(BINS[unit].load(Ordering::Relaxed)))
}

/// Says in which bin objects go that start in a unit.
pub(crate) fn set_bin(unit_address: *const u8, bin: BinOffset) {
    if let Some(unit) = BOUNDS.unit_of(unit_address) {
        BINS[unit].store(bin.0, Ordering::Relaxed);
    }
}

/// The segment of an address in the range, if it was made.
pub(crate) fn segment_of(address: *const u8) -> Option<&'static Segment> {
    let unit = BOUNDS.unit_of(address)?;
    // SAFETY: the words are null or addresses of segments, which live for ever.
    unsafe { SEGMENTS[unit / UNITS].load(Ordering::Acquire).as_ref() }
}

/// Enters a segment of the range.
pub(crate) fn enter_segment(segment: &'static Segment) {
    let index = (segment.base.get().addr() - BOUNDS.get().0) / SEGMENT;
    SEGMENTS[index].store(ptr::from_ref(segment).cast_mut(), Ordering::Release);
}

/// Reserves the range, if nobody has tried yet.
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
            BOUNDS.set(range.addr().next_multiple_of(SEGMENT), bytes / UNIT);
            range.expose_provenance();
            return;
        }
    }
}

/// The first address of the range, and its bytes, whole segments; 0 when there is none.
pub(crate) fn bounds() -> (*mut u8, usize) {
    let (base, length_units) = BOUNDS.get();
    (ptr::with_exposed_provenance_mut(base), length_units * UNIT)
}

held_at_fork!(TRIED);

#[cfg(all(test, not(loom)))]
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
                let view = View::new();
                view.look();
                assert_eq!(view.length_units.get(), LADDER[LADDER.len() - 1] / UNIT);
                assert!(view.base.get() > 0 && view.base.get().is_multiple_of(SEGMENT));
            };
            let others = [thread::spawn(want), thread::spawn(reserve_once)];
            let (base, bytes) = bounds();
            assert!(bytes == 0 || !base.is_null());
            assert_eq!(bin_at(ptr::without_provenance(UNIT)), BinOffset::NONE);
            want();
            others.into_iter().for_each(|other| other.join().expect("no panic"));
        });
    }

    /// A length without its base would take a foreign address for one of ours.
    fn look_early() {
        BOUNDS.get();
        let reserver = thread::spawn(reserve_once);
        let (base, length_units) = BOUNDS.get();
        assert!(length_units == 0 || base > 0);
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
