//! Quarantine: freed objects wait before they can be handed out again, and how long is random. By default off.
//!
//! Each thread has two rings per size class. A freed object takes a random place of the first, and the object that was
//! there goes to the second, which is a queue; what that gives up is free. So an object waits for at least as many frees
//! of its class by the thread as a ring has places, and for how many more is random. Memory of objects beyond 56 KiB goes
//! back to the OS meanwhile. Objects without a class, beyond 4 MiB, do not wait.
//!
//! The random numbers are xorshift64*, from a secret per thread. It is no cipher: a program that sees many addresses can
//! compute the next.
//!
//! Costs up to 128 KiB of small objects per class and thread that wait, and 16 objects of larger ones; 74 KiB of records
//! per thread, as far as they are used; about twenty instructions and two cache lines per free. Nothing is reused while it
//! is in the processor's cache. It sees every request, so that none takes the fast path.

use crate::class::{CLASSES, Class};
use crate::metadata::allocator;
use crate::os;
use crate::sync::counters;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

counters! {
    /// Objects that began to wait.
    entered,
    /// Objects that waited long enough.
    left,
}

/// Most places of a ring.
const PLACES_MAX: usize = 64;
/// Fewest.
const PLACES_MIN: usize = 8;
/// Bytes of objects in a ring with more.
const RING_BYTES: usize = 64 << 10;
/// Words of a class: the queue's next place, and two rings.
const CLASS_WORDS: usize = 1 + 2 * PLACES_MAX;

/// Objects of each class that wait, in all threads. Changes only while rings fill. Relaxed: it orders nothing.
static WAITING: [AtomicU64; CLASSES] = [const { AtomicU64::new(0) }; CLASSES];

/// Objects of the class that wait.
pub(crate) fn waiting(class: Class) -> u64 {
    WAITING[class.index()].load(Ordering::Relaxed)
}

/// A thread's rings.
#[derive(Debug)]
pub(crate) struct Local {
    /// [`CLASS_WORDS`] for each class; null until the thread first frees something.
    words: *mut usize,
    random: u64,
}

/// Places of a ring of the class.
fn places(class: Class) -> usize {
    (RING_BYTES / class.slot_bytes()).clamp(PLACES_MIN, PLACES_MAX)
}

impl Local {
    /// Takes a free object in. Returns the one that leaves instead, if one does: this one, where there is no memory for
    /// the rings.
    pub(crate) fn exchange(&mut self, counters: &Counters, class: Class, object: *mut u8) -> Option<*mut u8> {
        if self.words.is_null() {
            match allocator::allocate_words(CLASSES * CLASS_WORDS) {
                Some(words) => self.words = words.as_ptr(),
                None => return Some(object),
            }
            self.random = os::random_word() ^ self.words.addr() as u64 | 1;
        }
        self.random = next(self.random);
        // SAFETY: each class has so many words, which live for ever, and the rings are the thread's.
        let words = unsafe { &mut *self.words.add(class.index() * CLASS_WORDS).cast::<[usize; CLASS_WORDS]>() };
        let places = places(class);
        let (queue_at, rings) = words.split_first_mut().expect("it is longer");
        let (shuffled, queue) = rings.split_at_mut(PLACES_MAX);
        counters.entered.add(1);
        // The high bits are the good ones.
        let place = ((u128::from(self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)) * places as u128) >> 64) as usize;
        let second = core::mem::replace(&mut shuffled[place], object.expose_provenance());
        if second == 0 {
            WAITING[class.index()].fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let left = core::mem::replace(&mut queue[*queue_at], second);
        *queue_at = (*queue_at + 1) % places;
        if left == 0 {
            WAITING[class.index()].fetch_add(1, Ordering::Relaxed);
            return None;
        }
        counters.left.add(1);
        Some(ptr::with_exposed_provenance_mut(left))
    }
}

/// The next state of xorshift64*. G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8:14, 2003.
fn next(state: u64) -> u64 {
    let state = state ^ state >> 12;
    let state = state ^ state << 25;
    state ^ state >> 27
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn objects_wait_for_at_least_a_ring_and_in_no_order() {
        for class in Class::all() {
            let counters = Counters::new();
            let mut local = Local { words: ptr::null_mut(), random: 0 };
            let count = 10_000;
            let mut left = Vec::new();
            for n in 1..=count {
                if let Some(object) = local.exchange(&counters, class, ptr::without_provenance_mut(n)) {
                    let waited = n - object.addr();
                    assert!(waited >= places(class), "{class:?}: {waited}");
                    left.push(object.addr());
                }
            }
            assert!(count - left.len() <= 2 * places(class), "what waits is bounded");
            assert_eq!(waiting(class), (count - left.len()) as u64);
            assert!(!left.is_sorted(), "the order is not that of the frees");
            assert_eq!((counters.entered.get(), counters.left.get()), (count as u64, left.len() as u64));
            left.sort_unstable();
            left.dedup();
            assert_eq!(left.len() as u64, counters.left.get(), "none leaves twice");
        }
    }
}
