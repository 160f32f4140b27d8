//! A thread's heap: its cache, the stacks of its slot lists, and the factors' state and counters.
//!
//! A heap outlives its thread: the objects in its cache go to the transfer cache or to their pages, and the record
//! waits for the next thread.

use super::huge_pages::Policy;
use super::thread_cache::{FIRST_SLOTS, ThreadCache};
use super::transfer_batch::{BATCH_SLOTS, OwnBatch};
use super::{central_free_list, transfer_cache};
use crate::class::{CLASSES, Class, cache_slots};
use crate::factor;
use crate::metadata::allocator;
use crate::metadata::range;
use crate::sync::{Lock, global, held_at_fork};
use core::cell::{Cell, UnsafeCell};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Words of all first stacks, each a null and up to [`FIRST_SLOTS`] addresses.
const FIRST_WORDS: usize = {
    let (mut class, mut words) = (0, 0);
    while class < CLASSES {
        words += first_slots(class) + 1;
        class += 1;
    }
    words
};

/// Slots of the first stack of the class with this index.
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
    /// The stacks of full length by class; null until one is needed.
    long: [Cell<*mut *mut u8>; CLASSES],
    /// The next in the list of all heaps.
    next_of_all: AtomicPtr<Heap>,
    /// The next in the list of heaps that wait for a thread.
    next_spare: Cell<Option<&'static Heap>>,
    /// The first stacks, last in the record: they are touched only as they fill.
    first: UnsafeCell<[*mut u8; FIRST_WORDS]>,
}

// SAFETY: everything but the counters and `next_of_all` is used only by the thread that the heap belongs to, or by the
// holder of the lock that guards the heap of threads that have ended.
unsafe impl Sync for Heap {}

/// The newest heap, from which the list of all heaps starts.
static NEWEST: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
global! {
    static SPARE: Lock<SpareHeaps> = Lock::new(SpareHeaps { first: None });
}

#[derive(Debug)]
struct SpareHeaps {
    first: Option<&'static Heap>,
}

// SAFETY: heaps in the list belong to no thread.
unsafe impl Send for SpareHeaps {}

/// Which slot lists a heap opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenLists {
    /// Those of small classes.
    pub(super) small: bool,
    /// Those of large classes.
    pub(super) large: bool,
}

/// Takes a heap for a thread: one that another thread left, or a new one. `None` when there is no memory.
pub(super) fn take(open: OpenLists) -> Option<&'static Heap> {
    let mut spare = SPARE.lock();
    if let Some(heap) = spare.first {
        spare.first = heap.next_spare.take();
        return Some(heap);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and all-zero bytes are a heap whose cache is not set up.
    let heap: &'static Heap = unsafe { allocator::allocate::<Heap>()?.as_ref() };
    range::reserve_once();
    heap.cache.set_up();
    heap.open_lists(open);
    let mut first = NEWEST.load(Ordering::Relaxed);
    loop {
        heap.next_of_all.store(first, Ordering::Relaxed);
        // Release: pairs with the acquire in `all`.
        let newest = ptr::from_ref(heap).cast_mut();
        match NEWEST.compare_exchange_weak(first, newest, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(heap),
            Err(newer) => first = newer,
        }
    }
}

/// Every heap made so far, newest first.
pub(crate) fn all() -> impl Iterator<Item = &'static Heap> {
    // SAFETY: heaps live for ever. Acquire: pairs with the release in `take`.
    let mut next: Option<&'static Heap> = unsafe { NEWEST.load(Ordering::Acquire).as_ref() };
    core::iter::from_fn(move || {
        let heap = next?;
        // SAFETY: as above; the link was written before the heap could be found.
        next = unsafe { heap.next_of_all.load(Ordering::Relaxed).as_ref() };
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

    /// Opens these slot lists with their first stacks.
    fn open_lists(&self, open: OpenLists) {
        let mut stack: *mut *mut u8 = self.first.get().cast();
        for class in Class::all() {
            let slots = first_slots(class.index());
            let wanted = if class.is_large() { open.large } else { open.small };
            if wanted {
                // SAFETY: the words from here on are this class's, one more than slots, and the record lives for ever.
                unsafe { self.cache.open(class, stack, slots) };
            }
            // SAFETY: all classes together have as many words as there are.
            stack = unsafe { stack.add(slots + 1) };
        }
    }

    /// An object with a slot, after its slot list was found empty: fills the list with a batch, if it is open. Null
    /// when there is no memory.
    pub(super) fn refill(&self, policy: Policy, class: Class) -> *mut u8 {
        let mut slots = [ptr::null_mut(); BATCH_SLOTS];
        let limit = self.cache.limit(class);
        if limit == 0 {
            let (taken, _) = central_free_list::take(&self.counters, policy, class, &mut slots[..1]);
            self.cache.received.add(taken as u64);
            return slots[0];
        }
        if let Some(batch) = transfer_cache::pop(class) {
            return self.keep_batch(class, batch);
        }
        // At most half of what the list can hold: a thread that needs few objects of a class takes few at first.
        let wanted = transfer_cache::batch_of(class).min(limit / 2);
        let (taken, _) = central_free_list::take(&self.counters, policy, class, &mut slots[..wanted]);
        // The last one comes out first, so that objects come out in the order of addresses.
        slots[..taken].reverse();
        self.keep(class, &slots[..taken])
    }

    /// A large object, after its slot list was found empty: one that another thread left. Null when there is none.
    pub(super) fn refill_large(&self, class: Class) -> *mut u8 {
        transfer_cache::pop(class).map_or(ptr::null_mut(), |batch| self.keep_batch(class, batch))
    }

    /// Keeps the objects of a batch but one, which is returned. What the slot list has no room for goes back to the
    /// transfer cache: where there is no memory for a longer stack.
    fn keep_batch(&self, class: Class, mut batch: OwnBatch) -> *mut u8 {
        let mut limit = self.cache.limit(class);
        if batch.objects().len() > limit && self.lengthen(class) {
            limit = self.cache.limit(class);
        }
        let rest = batch.objects().len().saturating_sub(limit + 1);
        let object = self.keep(class, &batch.objects()[rest..]);
        if rest > 0 {
            batch.truncate(rest);
            transfer_cache::put_back(class, batch);
        } else {
            batch.recycle();
        }
        object
    }

    /// Puts all of these into the slot list, which is empty and has room for them, but one, which is returned; null
    /// when there are none.
    fn keep(&self, class: Class, objects: &[*mut u8]) -> *mut u8 {
        self.cache.received.add(objects.len() as u64);
        let Some((&object, rest)) = objects.split_last() else {
            return ptr::null_mut();
        };
        for &object in rest {
            let kept = self.cache.push(class.slot_list(), object);
            debug_assert!(kept, "the callers pass no more than there is room for");
        }
        object
    }

    /// Makes room in a full slot list: gives it its stack of full length, or takes the newest objects out. Returns how
    /// many objects were taken out, to be passed on: the first ones in `objects`.
    pub(super) fn make_room(&self, class: Class, objects: &mut [*mut u8; BATCH_SLOTS]) -> usize {
        let limit = self.cache.limit(class);
        if limit == 0 || (limit < class.cache_slots() && self.lengthen(class)) {
            return 0;
        }
        let drains = if class.is_large() { &self.counters.bigcache.puts } else { &self.counters.thread_cache.drains };
        drains.add(1);
        self.drain(class, objects)
    }

    /// Takes the newest objects out of a slot list, at most a batch. Returns how many there are.
    pub(super) fn drain(&self, class: Class, objects: &mut [*mut u8; BATCH_SLOTS]) -> usize {
        let mut taken = 0;
        while taken < transfer_cache::batch_of(class).min(objects.len()) {
            let object = self.cache.pop(class.slot_list());
            if object.is_null() {
                break;
            }
            objects[taken] = object;
            taken += 1;
        }
        // The newest last, as they were in the list.
        objects[..taken].reverse();
        taken
    }

    /// Gives the slot list its stack of full length; `false` when there is no memory for it.
    fn lengthen(&self, class: Class) -> bool {
        let index = class.index();
        if self.long[index].get().is_null() {
            let words = class.cache_slots() + 1;
            let Some(stack) = allocator::allocate_words(words) else {
                return false;
            };
            self.long[index].set(stack.as_ptr().cast());
        }
        // SAFETY: as long as the class wants, and this heap's for ever.
        unsafe { self.cache.open(class, self.long[index].get(), class.cache_slots()) };
        true
    }

    /// Gives the record up, whose slot lists are empty: it waits for another thread.
    pub(super) fn recycle(&'static self) {
        let mut spare = SPARE.lock();
        self.next_spare.set(spare.first);
        spare.first = Some(self);
    }
}

/// Objects that users hold, from the counts of all caches; exact while no thread allocates or frees.
pub(crate) fn live_objects() -> u64 {
    let of =
        |cache: &ThreadCache| cache.received.get().wrapping_sub(cache.returned.get()).wrapping_sub(cache.held_all());
    all().fold(0, |sum, heap| sum.wrapping_add(of(&heap.cache)))
}

held_at_fork!(SPARE);
