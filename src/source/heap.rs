//! A thread's heap: its cache, what its bins begin with, and the factors' state and counters.
//!
//! A heap outlives its thread: what its cache held goes to the depot or to the pages, and the record waits for the next
//! thread. It owns no memory of users.

use super::batch::BATCH_SLOTS;
use super::thread_cache::{FIRST_SLOTS, ThreadCache};
use super::{central, depot};
use crate::class::{CLASSES, Class, cache_slots};
use crate::config;
use crate::factor;
use crate::meta;
use crate::range;
use crate::sync::{Lock, global, held_at_fork};
use core::cell::{Cell, UnsafeCell};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Words of all first stacks: a null and up to [`FIRST_SLOTS`] addresses each.
const FIRST_WORDS: usize = {
    let (mut class, mut words) = (0, 0);
    while class < CLASSES {
        words += first_slots(class) + 1;
        class += 1;
    }
    words
};

const fn first_slots(class: usize) -> usize {
    let slots = cache_slots(class);
    if slots < FIRST_SLOTS { slots } else { FIRST_SLOTS }
}

/// One thread's heap.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Heap {
    pub(crate) cache: ThreadCache,
    pub(crate) counters: factor::Counters,
    locals: UnsafeCell<factor::Locals>,
    /// The stacks of full length, by class, once there was need for them.
    long: [Cell<*mut *mut u8>; CLASSES],
    /// Every heap that ever was.
    next_made: AtomicPtr<Heap>,
    /// Heaps that wait for a thread.
    next_spare: Cell<Option<&'static Heap>>,
    /// The first stacks, behind everything else: they are touched only as they fill.
    first: UnsafeCell<[*mut u8; FIRST_WORDS]>,
}

// SAFETY: everything but the counters and `next_made` is used only by the thread that the heap belongs to, or by the
// holder of the lock that guards the heap of threads that are gone.
unsafe impl Sync for Heap {}

static MADE: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
global! {
    static SPARE: Lock<SpareHeaps> = Lock::new(SpareHeaps { first: None });
}

#[derive(Debug)]
struct SpareHeaps {
    first: Option<&'static Heap>,
}

// SAFETY: heaps in the list belong to no thread.
unsafe impl Send for SpareHeaps {}

/// A heap for a thread: one that another thread left, or a new one.
pub(super) fn take() -> Option<&'static Heap> {
    let mut spare = SPARE.lock();
    if let Some(heap) = spare.first {
        spare.first = heap.next_spare.take();
        return Some(heap);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and zeroes are a heap whose cache is not set up.
    let heap: &'static Heap = unsafe { meta::allocate::<Heap>()?.as_ref() };
    range::reserve_once();
    heap.cache.set_up();
    heap.open_bins();
    let mut first = MADE.load(Ordering::Relaxed);
    loop {
        heap.next_made.store(first, Ordering::Relaxed);
        // Release: pairs with the acquire in `all`.
        match MADE.compare_exchange_weak(first, ptr::from_ref(heap).cast_mut(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(heap),
            Err(newer) => first = newer,
        }
    }
}

/// Every heap that was ever made.
pub(crate) fn all() -> impl Iterator<Item = &'static Heap> {
    // SAFETY: heaps live for ever. Acquire: pairs with the release in `take`.
    let mut next: Option<&'static Heap> = unsafe { MADE.load(Ordering::Acquire).as_ref() };
    core::iter::from_fn(move || {
        let heap = next?;
        // SAFETY: as above; the link was written before the heap could be found.
        next = unsafe { heap.next_made.load(Ordering::Relaxed).as_ref() };
        Some(heap)
    })
}

impl Heap {
    /// The factors' state of this thread.
    ///
    /// # Safety
    /// - the heap is the calling thread's, and no other reference to the state is alive.
    #[expect(clippy::mut_from_ref, reason = "one thread, one reference at a time, by the caller's promise")]
    pub(crate) unsafe fn locals(&self) -> &mut factor::Locals {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.locals.get() }
    }

    /// Opens the bins that the factors let a thread have, with their first stacks.
    fn open_bins(&self) {
        let active = config::active();
        let mut stack: *mut *mut u8 = self.first.get().cast();
        for class in Class::all() {
            let slots = first_slots(class.index());
            let wanted = if class.is_large() { active.bigcache_is_direct() } else { active.thread_cache() };
            if wanted {
                // SAFETY: the words from here on are this class's, one more than slots, and the record lives for ever.
                unsafe { self.cache.open(class, stack, slots) };
            }
            // SAFETY: all classes together have as many words as there are.
            stack = unsafe { stack.add(slots + 1) };
        }
    }

    /// A small object, after its bin was found empty: fills the bin with a batch, if it is open.
    pub(super) fn refill(&self, class: Class) -> *mut u8 {
        let mut slots = [ptr::null_mut(); BATCH_SLOTS];
        let limit = self.cache.limit(class);
        if limit == 0 {
            let (taken, _) = central::take(&self.counters, class, &mut slots[..1]);
            self.cache.received.add(taken as u64);
            return slots[0];
        }
        if let Some(batch) = depot::pop(class) {
            if batch.objects().len() > limit {
                self.lengthen(class);
            }
            let object = self.keep_all(class, batch.objects());
            batch.give();
            return object;
        }
        // A thread that needs few objects of a class begins with few.
        let wanted = depot::batch_of(class).min(limit / 2);
        let (taken, _) = central::take(&self.counters, class, &mut slots[..wanted]);
        // The newest comes out first: in the order of addresses.
        slots[..taken].reverse();
        self.keep_all(class, &slots[..taken])
    }

    /// Puts all of these into the bin, which is empty and open, but one, which is returned; null when there are none.
    fn keep_all(&self, class: Class, objects: &[*mut u8]) -> *mut u8 {
        self.cache.received.add(objects.len() as u64);
        let Some((&object, rest)) = objects.split_last() else {
            return ptr::null_mut();
        };
        for &object in rest {
            if !self.cache.push(class.bin(), object) {
                self.give_back(class, &[object]);
            }
        }
        object
    }

    /// A large object, after its bin was found empty: one that another thread left, if any.
    pub(super) fn refill_large(&self, class: Class) -> *mut u8 {
        match depot::pop(class) {
            Some(batch) => {
                let object = self.keep_all(class, batch.objects());
                batch.give();
                object
            }
            None => ptr::null_mut(),
        }
    }

    /// Frees an object whose bin did not take it: makes the bin longer, or empties a part of it, and keeps the object if
    /// the bin is open.
    #[cold]
    #[inline(never)]
    pub(super) fn overflow(&self, class: Class, object: *mut u8) {
        let limit = self.cache.limit(class);
        if limit > 0 {
            if limit == class.cache_slots() || !self.lengthen(class) {
                let count =
                    if class.is_large() { &self.counters.bigcache.puts } else { &self.counters.thread_cache.drains };
                count.add(1);
                self.drain(class, depot::batch_of(class));
            }
            if self.cache.push(class.bin(), object) {
                return;
            }
        }
        self.give_back(class, &[object]);
    }

    /// Gives the bin its stack of full length; `false` when there is no memory for it.
    fn lengthen(&self, class: Class) -> bool {
        let index = class.index();
        if self.long[index].get().is_null() {
            let words = class.cache_slots() + 1;
            let Some(stack) = meta::allocate_words(words) else {
                return false;
            };
            self.long[index].set(stack.as_ptr().cast());
        }
        // SAFETY: as long as the class wants, and this heap's for ever.
        unsafe { self.cache.open(class, self.long[index].get(), class.cache_slots()) };
        true
    }

    /// Empties the newest part of a bin, into the depot if it takes it.
    fn drain(&self, class: Class, most: usize) {
        let mut objects = [ptr::null_mut(); BATCH_SLOTS];
        let mut got = 0;
        while got < most.min(objects.len()) {
            let object = self.cache.pop(class.bin());
            if object.is_null() {
                break;
            }
            objects[got] = object;
            got += 1;
        }
        // The newest on top, as they were.
        objects[..got].reverse();
        self.give_back(class, &objects[..got]);
    }

    /// Passes objects on: to the depot, or to where they came from.
    fn give_back(&self, class: Class, objects: &[*mut u8]) {
        self.cache.returned.add(objects.len() as u64);
        // What no thread keeps, no thread asks the depot for.
        let waiting_bytes = if self.cache.limit(class) == 0 { None } else { depot::push(class, objects) };
        match waiting_bytes {
            Some(bytes) if bytes >= super::DEPOT_BYTES_WATCHED => super::keep_house(&self.counters),
            Some(_) => {}
            None => super::release(&self.counters, class, objects),
        }
    }

    /// Empties all bins.
    pub(super) fn drain_all(&self) {
        for class in Class::all() {
            while self.cache.held(class) > 0 {
                self.drain(class, depot::batch_of(class));
            }
        }
    }

    /// Gives up everything: the thread ends. The record waits for another thread.
    pub(super) fn retire(&'static self) {
        self.drain_all();
        let mut spare = SPARE.lock();
        self.next_spare.set(spare.first);
        spare.first = Some(self);
    }
}

held_at_fork!(SPARE);
