//! Frees that wait: objects that were freed where no lock may be waited for.
//!
//! The callers are those of [`super::bypass`]: signal handlers that interrupted the allocator, and code that runs while the
//! process forks. The objects wait in one lock-free stack, linked through their first words. The next free that passes
//! the gate takes all of them.
//!
//! An object's word holds the address of the next one, and in the bits that no such address uses a tag made of the
//! object's own address. The tag tells an object that may wait from all others, so that a second free of it is found.
//! User data may look like the tag, once in a million random words. So the stack is searched before that is believed.

use crate::fatal::{self, Call, Fault};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::global;
use core::ptr;

/// Objects begin at multiples of 2^this bytes.
const ALIGN_LOG: u32 = 4;
/// Bits of a word that are the address of the next object, without the low ones that are always 0.
const NEXT_BITS: u32 = 48 - ALIGN_LOG;

global! {
    /// The address of the object that was deferred last; 0 when none waits.
    static FIRST: AtomicUsize = AtomicUsize::new(0);
}

/// The word of an object that waits, or waited a moment ago.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(usize);

impl Word {
    fn new(object: usize, next: usize) -> Word {
        Word(tag_of(object) << NEXT_BITS | next >> ALIGN_LOG)
    }

    /// What is left in an object that was taken. It has no tag, so that one that is met twice is noticed.
    fn taken(object: usize) -> Word {
        Word(!Word::new(object, 0).0)
    }

    /// The next object's address, or 0; `None` where the word is no link of this object's.
    fn next(self, object: usize) -> Option<usize> {
        (self.0 >> NEXT_BITS == tag_of(object)).then_some((self.0 & ((1 << NEXT_BITS) - 1)) << ALIGN_LOG)
    }
}

/// 20 bits of an object's address, mixed (Fibonacci hashing).
fn tag_of(object: usize) -> usize {
    ((object as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> NEXT_BITS) as usize
}

/// The first word of an object.
///
/// # Safety
/// - the object waits, or is live and has 16 bytes at least.
unsafe fn word_at<'a>(object: usize) -> &'a AtomicUsize {
    // SAFETY: the caller's promise. Atomic, since another thread may search the stack.
    unsafe { &*ptr::with_exposed_provenance(object) }
}

/// Keeps an object of another station for a caller that may free it. Returns `false`, and changes nothing, where it waits
/// already.
///
/// # Safety
/// - the object is live, begins at a multiple of 16 bytes, has 16 at least, and the caller gives it up.
pub(super) unsafe fn defer(object: *mut u8) -> bool {
    // SAFETY: passed on.
    if unsafe { waits(object) } {
        return false;
    }
    push(object.expose_provenance());
    true
}

/// Whether an object waits to be freed.
///
/// # Safety
/// - the records know a live object that starts there, at a multiple of 16 bytes, and it has 16 at least.
pub(super) unsafe fn waits(object: *mut u8) -> bool {
    // The word may lie in memory that was never touched, and is not read without need.
    if FIRST.load(Ordering::Relaxed) == 0 {
        return false;
    }
    // SAFETY: the caller's promise.
    let word = Word(unsafe { word_at(object.addr()) }.load(Ordering::Relaxed));
    word.next(object.addr()).is_some() && is_in_stack(object.addr())
}

/// Puts an object on top.
fn push(object: usize) {
    // SAFETY: the object is the caller's.
    let word = unsafe { word_at(object) };
    let mut first = FIRST.load(Ordering::Relaxed);
    loop {
        word.store(Word::new(object, first).0, Ordering::Relaxed);
        // Release: pairs with the acquire in `take_all`.
        match FIRST.compare_exchange_weak(first, object, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(newer) => first = newer,
        }
    }
}

/// Whether an object is in the stack. No other thread finds what is in it meanwhile.
#[cold]
#[inline(never)]
fn is_in_stack(object: usize) -> bool {
    // Acquire: pairs with the release in `push`.
    let first = FIRST.swap(0, Ordering::Acquire);
    let mut at = first;
    let mut is_found = false;
    // The stack has a circle where two threads freed an object at the same moment. R. P. Brent, "An improved Monte Carlo
    // factorization algorithm", BIT 20, 1980.
    let (mut mark, mut steps, mut steps_max) = (0, 0, 1);
    while at != 0 {
        if at == mark {
            return true;
        }
        is_found |= at == object;
        if steps == steps_max {
            (mark, steps, steps_max) = (at, 0, 2 * steps_max);
        }
        steps += 1;
        // SAFETY: the object waits, and is in no other thread's reach.
        let Some(next) = Word(unsafe { word_at(at) }.load(Ordering::Relaxed)).next(at) else { return true };
        at = next;
    }
    put_back(first);
    is_found
}

/// Puts objects back of which the first one leads to the others.
fn put_back(first: usize) {
    let mut at = first;
    while at != 0 {
        // SAFETY: as in `is_in_stack`, where each had its link.
        let next = Word(unsafe { word_at(at) }.load(Ordering::Relaxed)).next(at);
        push(at);
        at = next.unwrap_or(0);
    }
}

/// Calls `free` with every object that was deferred so far. Notes a fault where one was freed twice or written to since.
pub(super) fn take_all(mut free: impl FnMut(*mut u8)) {
    if FIRST.load(Ordering::Relaxed) == 0 {
        return;
    }
    // Acquire: pairs with the release in `push`.
    let mut at = FIRST.swap(0, Ordering::Acquire);
    while at != 0 {
        // SAFETY: the object waits, and no other thread has it.
        let word = unsafe { word_at(at) };
        let found = Word(word.swap(Word::taken(at).0, Ordering::Relaxed));
        let Some(next) = found.next(at) else {
            let fault = if found == Word::taken(at) { Fault::DoubleFree } else { Fault::Freed };
            return fatal::note(fault, Call::Free);
        };
        free(ptr::with_exposed_provenance_mut(at));
        at = next;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    #[repr(C, align(16))]
    struct Object([usize; 2]);

    #[test]
    fn objects_come_back_once_and_wait_once() {
        let mut objects: Vec<Box<Object>> = (0..5).map(|_| Box::new(Object([7; 2]))).collect();
        let mut addresses: Vec<*mut u8> = objects.iter_mut().map(|object| (&raw mut **object).cast()).collect();
        for &object in &addresses {
            // SAFETY: two words that are ours.
            unsafe {
                assert!(!waits(object) && defer(object) && waits(object));
                assert!(!defer(addresses[0]) && !defer(object), "a second free");
            }
        }
        // Words that look like links of objects that do not wait.
        let mut other = Object([0; 2]);
        let address = (&raw mut other).cast::<u8>();
        // SAFETY: as above.
        unsafe {
            let word = Word::new(address.expose_provenance(), addresses[2].addr());
            address.cast::<usize>().write(word.0);
            assert!(!waits(address));
        }
        let mut found = Vec::new();
        take_all(|object| found.push(object));
        found.sort_unstable();
        addresses.sort_unstable();
        assert_eq!(found, addresses);
        take_all(|_| panic!("they came"));
        // SAFETY: as above.
        assert!(addresses.iter().all(|&object| !unsafe { waits(object) }));
    }

    #[test]
    fn words_keep_the_next_address_and_know_their_object() {
        for (object, next) in [(0x7fff_ffff_fff0, 0x10), (0x10, 0xffff_ffff_fff0), (0x5555_5550, 0)] {
            assert_eq!(Word::new(object, next).next(object), Some(next));
            assert_eq!(Word::taken(object).next(object), None);
            assert_eq!(Word::new(object, next).next(object ^ 0x1230), None);
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use crate::sync::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;
    use std::boxed::Box;
    use std::vec::Vec;

    /// An object that waits: its link, and what its user wrote last.
    #[repr(C, align(16))]
    struct Object {
        link: AtomicUsize,
        number: UnsafeCell<usize>,
    }

    fn address_of(object: &Object) -> *mut u8 {
        (&raw const *object).cast_mut().cast()
    }

    fn objects() -> &'static [Object; 2] {
        Box::leak(Box::new([7, 7].map(|n| Object { link: AtomicUsize::new(0), number: UnsafeCell::new(n) })))
    }

    /// Two threads defer an object each, while two take what was deferred.
    fn defer_and_take() {
        let objects = objects();
        let found: Arc<[UnsafeCell<usize>; 2]> = Arc::new([0, 0].map(UnsafeCell::new));
        let take = |found: &[UnsafeCell<usize>; 2]| {
            take_all(|address| {
                let is_it = |object: &Object| core::ptr::addr_eq(object, address);
                let place = objects.iter().position(is_it).expect("an object that was deferred");
                // SAFETY: the checker panics if another thread uses the object, or took it as well.
                unsafe {
                    assert_eq!(*objects[place].number.get(), place);
                    *found[place].get() += 1;
                }
            });
        };
        let others: Vec<_> = (0..2)
            .map(|n: usize| {
                let found = found.clone();
                thread::spawn(move || {
                    // SAFETY: the object is this thread's, which then gives it up.
                    unsafe {
                        *objects[n].number.get() = n;
                        assert!(defer(address_of(&objects[n])));
                    }
                    if n == 0 {
                        take(&found);
                    }
                })
            })
            .collect();
        take(&found);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        take(&found);
        // SAFETY: all other threads have ended.
        found.iter().for_each(|count| assert_eq!(unsafe { count.read() }, 1, "an object came back not once"));
    }

    #[test]
    fn loom_deferred_objects_come_back_once() {
        check(defer_and_take);
    }

    #[test]
    fn loom_deferred_objects_need_their_acquire() {
        assert!(fails(Loss::Acquire, defer_and_take));
    }

    #[test]
    fn loom_deferred_objects_need_their_release() {
        assert!(fails(Loss::Release, defer_and_take));
    }

    /// A thread searches the stack while another defers: none is lost, and the one that waited still does.
    #[test]
    fn loom_a_search_loses_no_deferred_object() {
        check(|| {
            let objects = objects();
            // SAFETY: the objects are ours.
            unsafe { assert!(defer(address_of(&objects[0]))) };
            // SAFETY: as above.
            let other = thread::spawn(move || unsafe { assert!(defer(address_of(&objects[1]))) });
            assert!(!is_in_stack(16));
            other.join().expect("no panic");
            let mut taken = 0;
            take_all(|_| taken += 1);
            assert_eq!(taken, 2);
        });
    }
}
