//! How far objects are written, from a sample: one allocation in so many is watched until it is freed.
//!
//! A small object is filled with a pattern, and at its free the words count whose pattern has changed. One that was zeroed
//! must stay so: its words count that are not zero. A large one counts if none of its pages is resident when it is made, as
//! in a fresh mapping; at its free its resident pages count. Others are not watched.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Objects that are watched at once, by a hash of their address.
const PLACES: usize = 1024;
/// The largest object that is filled.
const FILLED_MAX: usize = 32 << 10;
/// The smallest object whose pages are counted, and the largest.
const PAGES_MIN: usize = 128 << 10;
const PAGES_MAX: usize = 1 << 32;
const PAGE: usize = 4096;
/// A pattern that programs hardly write by chance.
const PATTERN: u64 = 0xa5c3_96e7_5a1d_b48f;
/// A new object takes the place of a watched one only once in so many times, so that long-lived ones are seen too.
const PATIENCE: u32 = 16;

/// The addresses, which every free looks at; 0 for none, 1 for one that is being changed.
static KEYS: [AtomicUsize; PLACES] = [const { AtomicUsize::new(0) }; PLACES];

/// Of each watched object, its size and how it is watched.
struct Watched(UnsafeCell<[(usize, How); PLACES]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Pattern,
    Zeroes,
    Pages,
}

// SAFETY: a place is used by the one who has set its key to 1.
unsafe impl Sync for Watched {}

static WATCHED: Watched = Watched(UnsafeCell::new([(0, How::Pattern); PLACES]));
static REFUSED: AtomicU32 = AtomicU32::new(0);
/// One allocation in so many; 0 for none.
static ONE_IN: AtomicU64 = AtomicU64::new(0);

/// Sets how many are watched, and forgets those of a parent.
pub(crate) fn start(one_in: u32) {
    KEYS.iter().for_each(|key| key.store(0, Ordering::Relaxed));
    ONE_IN.store(one_in.into(), Ordering::Relaxed);
}

/// How many allocations come before the next one that is watched.
pub(crate) fn countdown() -> u32 {
    match ONE_IN.load(Ordering::Relaxed) {
        0 => u32::MAX,
        one_in => one_in as u32,
    }
}

#[inline(always)]
fn place(address: usize) -> usize {
    // The golden ratio's multiplicative hash (Knuth, The Art of Computer Programming 3, 6.4).
    ((address as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES.trailing_zeros())) as usize
}

/// Whether an object is watched.
#[inline(always)]
pub(crate) fn is_watched(address: usize) -> bool {
    KEYS[place(address)].load(Ordering::Relaxed) == address
}

/// Watches a new object, if there is a place for it.
#[cold]
#[inline(never)]
pub(crate) fn watch(address: usize, size: usize, zeroed: bool) {
    let how = match size {
        8..=FILLED_MAX if zeroed => How::Zeroes,
        8..=FILLED_MAX => How::Pattern,
        PAGES_MIN..=PAGES_MAX if resident(address, size) == Some(0) => How::Pages,
        _ => return,
    };
    if ONE_IN.load(Ordering::Relaxed) == 0 {
        return;
    }
    let at = place(address);
    let before = KEYS[at].load(Ordering::Relaxed);
    let is_full = before != 0 && !REFUSED.fetch_add(1, Ordering::Relaxed).is_multiple_of(PATIENCE);
    if before == 1 || is_full || KEYS[at].compare_exchange(before, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return;
    }
    // SAFETY: this thread has set the key to 1.
    unsafe { (*WATCHED.0.get())[at] = (size, how) };
    if how == How::Pattern {
        let object: *mut u64 = ptr::with_exposed_provenance_mut(address);
        for word in 0..size / 8 {
            // SAFETY: within the object, which its owner has not seen yet.
            unsafe { object.add(word).write_unaligned(PATTERN) };
        }
    }
    // Release: pairs with the acquire in `end`.
    KEYS[at].store(address, Ordering::Release);
}

/// What was seen of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    pub(crate) written: u64,
    pub(crate) by_pages: bool,
}

/// Ends the watch of an object, before it is freed or moved.
#[cold]
#[inline(never)]
pub(crate) fn end(address: usize) -> Option<Seen> {
    let at = place(address);
    // Acquire: pairs with the release in `watch`.
    KEYS[at].compare_exchange(address, 1, Ordering::Acquire, Ordering::Relaxed).ok()?;
    // SAFETY: this thread has set the key to 1.
    let (size, how) = unsafe { (*WATCHED.0.get())[at] };
    fence(Ordering::Release);
    KEYS[at].store(0, Ordering::Relaxed);
    let object: *const u64 = ptr::with_exposed_provenance(address);
    let changed = |untouched: u64| {
        // SAFETY: within the object, which is not freed yet.
        let is_changed = |word: &usize| unsafe { object.add(*word).read_unaligned() } != untouched;
        (0..size / 8).filter(is_changed).count() * 8
    };
    let written = match how {
        // The bytes behind the last whole word are as written as the others.
        How::Pattern => whole(changed(PATTERN), size),
        How::Zeroes => whole(changed(0), size),
        How::Pages => (resident(address, size)? * PAGE).min(size),
    };
    Some(Seen { size: size as u64, written: written as u64, by_pages: how == How::Pages })
}

/// Bytes of the object, where all of its whole words were written.
fn whole(written: usize, size: usize) -> usize {
    if written == size / 8 * 8 { size } else { written }
}

/// How many pages that lie within the object alone are resident. `None` where the system does not tell.
fn resident(address: usize, size: usize) -> Option<usize> {
    let (from, to) = (address.next_multiple_of(PAGE), (address + size) / PAGE * PAGE);
    let mut pages = [0_u8; 1024];
    let mut count = 0;
    let mut at = from;
    while at < to {
        let bytes = (to - at).min(pages.len() * PAGE);
        // SAFETY: the answer has a byte for each page; the system refuses addresses without a mapping.
        let refused = unsafe { libc::mincore(ptr::with_exposed_provenance_mut(at), bytes, pages.as_mut_ptr()) } != 0;
        if refused {
            return None;
        }
        count += pages[..bytes / PAGE].iter().filter(|page| **page & 1 == 1).count();
        at += bytes;
    }
    Some(count)
}
