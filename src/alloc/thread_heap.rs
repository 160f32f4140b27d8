//! A thread's heap: its cache, the stacks of its slot lists, and the factors' state and counters.
//!
//! A heap outlives its thread: the objects in its cache go to the transfer cache or to their pages, and the record
//! waits for the next thread.
//!
//! How many objects a slot list may hold follows its use. It begins with a few. Each time that it overflows or runs
//! empty it may hold twice as many, up to [`Class::cache_slots`], as long as the heap's allowance lasts. Each heap has
//! [`ALLOWANCE_MIN`] bytes; all together share [`ALLOWANCE_SHARED`] more, so that many threads hold little each. The
//! purge takes lists that are not used back to their beginnings (`idle_caches.rs`).

use super::huge_pages::Policy;
use super::thread_cache::{FIRST_SLOTS, OUTBOX_SLOTS, RETURN_LISTS, ThreadCache};
use super::transfer_batch::{BATCH_SLOTS, OwnBatch};
use super::{central_free_list, transfer_cache};
use crate::class::{CLASSES, Class, OWNED_CLASSES, Owner, cache_slots};
use crate::factor::{self, free_check, owned_pages};
use crate::metadata::allocator;
use crate::metadata::range;
use crate::sync::{Lock, global};
use core::cell::{Cell, UnsafeCell};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Words of all first stacks, each a null and up to [`FIRST_SLOTS`] addresses, of the outboxes, and of the return lists.
const FIRST_WORDS: usize = {
    let (mut class, mut words) = (0, 0);
    while class < CLASSES {
        words += first_slots(class) + 1;
        class += 1;
    }
    words + (OWNED_CLASSES + RETURN_LISTS) * (OUTBOX_SLOTS + 1)
};

/// Slots of the first stack of the class with this index: four times as many small ones as its list may hold at first, so
/// that the stacks of classes that a thread uses little share OS pages.
const fn first_slots(class: usize) -> usize {
    let slots = FIRST_BYTES / Class::bytes_by_index(class);
    let slots = if slots < FIRST_SLOTS_MIN { FIRST_SLOTS_MIN } else { slots };
    let slots = if slots < FIRST_SLOTS { slots } else { FIRST_SLOTS };
    if slots < cache_slots(class) { slots } else { cache_slots(class) }
}

/// Bytes of the objects that a first stack takes, but at least so many objects.
const FIRST_BYTES: usize = 32 << 10;
const FIRST_SLOTS_MIN: usize = 4;

/// Refills until one takes half of what a list can hold at first.
const FIRST_REFILLS: u8 = 3;

/// Bytes that each heap may hold beyond the first objects of its lists.
const ALLOWANCE_MIN: usize = 512 << 10;
/// Bytes that all heaps together may hold besides, and of which a heap takes so many at a time.
const ALLOWANCE_SHARED: usize = 16 << 20;
const ALLOWANCE_STEP: usize = 64 << 10;

/// Bytes of [`ALLOWANCE_SHARED`] that may be taken before the purge has to look.
const ALLOWANCE_UNSEEN: usize = 8 << 20;
/// Bytes of objects that came to the lists of all heaps, after which the purge has to look, and in which steps a heap adds
/// to them. Fewer heaps than so many hold too little for that.
const CAME_UNSEEN: usize = 4 << 20;
const CAME_STEP: usize = 64 << 10;
const CAME_HEAPS: usize = 8;
/// How often a heap that may hold much has the purge look.
const LOOKS_EVERY: u32 = 32;

/// Bytes of objects that came to the lists of all heaps since the purge was last asked to look for that. Relaxed, as the
/// other numbers here: it orders nothing.
static CAME: AtomicUsize = AtomicUsize::new(0);

/// What is left of [`ALLOWANCE_SHARED`].
static ALLOWANCE_LEFT: AtomicUsize = AtomicUsize::new(ALLOWANCE_SHARED);

/// How many objects a slot list may hold at first: 8 KiB of small ones, at least 2. No large ones: two requests of a
/// size must meet before one waits for the next.
fn slots_at_first(class: Class) -> usize {
    if class.is_large() { 0 } else { ((8 << 10) / class.slot_bytes()).clamp(2, FIRST_SLOTS) }
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
    /// Which slot lists are open.
    open: Cell<OpenLists>,
    /// How often each list was refilled from pages since it was last narrow, up to [`FIRST_REFILLS`].
    refills: [Cell<u8>; CLASSES],
    /// Bytes of objects that the lists may hold beyond those that they may hold at first, and the most that they may.
    capacity: Cell<usize>,
    allowance: Cell<usize>,
    pub(super) search: Search,
    /// How often [`Heap::may_hold_much`] was asked while it may.
    asked: Cell<u32>,
    /// Bytes that came to the lists and are not in [`CAME`] yet.
    came: Cell<usize>,
    /// Held by the thread while it is past its cache, and by the purge while it empties the cache.
    pub(super) inside: Lock<()>,
    /// The words of the thread that the heap belongs to, as an address; 0 when it belongs to none, or must be left alone.
    /// Changes only while `inside` is held.
    pub(super) words: AtomicUsize,
    /// Positions of the stack pointers when [`Heap::is_unused_since_last_time`] last looked.
    last_positions: [Cell<usize>; CLASSES],
    /// What the purge knows of the lists; only the purge uses it.
    pub(super) watch: UnsafeCell<Watch>,
    /// The next in the list of all heaps.
    next_of_all: AtomicPtr<Heap>,
    /// The next in the list of heaps that wait for a thread.
    next_spare: Cell<Option<&'static Heap>>,
    /// The first stacks, last in the record: they are touched only as they fill.
    first: UnsafeCell<[*mut u8; FIRST_WORDS]>,
}

// SAFETY: everything but the atomics and `watch` is used only by the holder of `inside`, or by the holder of the lock that
// guards the heap of threads that have ended. The fast path of the thread that the heap belongs to uses the lists of the
// cache besides, while no thread holds the lock: the holder sees to that.
unsafe impl Sync for Heap {}

/// What the purge saw when it last looked at a heap.
#[derive(Debug)]
pub(super) struct Watch {
    /// Objects that the thread had allocated.
    pub(super) allocations: u64,
    /// Positions of the stack pointers, by class, and of all outboxes together.
    pub(super) positions: [usize; CLASSES],
    pub(super) outbox_position: usize,
    /// For how many looks each of them has not moved.
    pub(super) still: [u8; CLASSES],
}

/// How many heaps were made with owners of their own.
static MADE: AtomicUsize = AtomicUsize::new(0);
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

/// Most requests that pass between two searches.
const PASSES_MAX: u8 = 64;

/// When a heap searches again for memory that waits: `gather.rs` does.
#[derive(Debug)]
pub(super) struct Search {
    /// Requests that pass until then, and how many passed last time.
    left: Cell<u8>,
    passes: Cell<u8>,
}

impl Search {
    /// Whether this request searches.
    pub(super) fn is_due(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }

    /// Notes whether a search was worth it.
    pub(super) fn note(&self, has_found: bool) {
        self.passes.set(if has_found { 0 } else { (2 * self.passes.get()).clamp(1, PASSES_MAX) });
        self.left.set(self.passes.get());
    }
}

/// Which slot lists a heap opens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenLists {
    /// Those of small classes.
    pub(super) small: bool,
    /// Those of large classes.
    pub(super) large: bool,
    /// Whether small free slots get a mark, whether lists are open or not.
    pub(super) marked: bool,
    /// Whether the heap has an owner's number, so that it takes the smallest slots from pages of its own.
    pub(super) owned: bool,
}

/// Takes a heap for a thread: one that another thread left, or a new one. `None` when there is no memory.
pub(super) fn take(open: OpenLists) -> Option<&'static Heap> {
    let mut spare = SPARE.lock();
    if let Some(heap) = spare.first {
        spare.first = heap.next_spare.take();
        heap.count_thread(owned_pages::begin_thread);
        return Some(heap);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and all-zero bytes are a heap whose cache is not set up.
    let heap: &'static Heap = unsafe { allocator::allocate::<Heap>()?.as_ref() };
    range::reserve_once();
    let owner = if open.owned { Owner::of_heap(MADE.fetch_add(1, Ordering::Relaxed)) } else { Owner::ALL };
    if open.marked {
        free_check::begin_owner(owner);
    }
    heap.cache.set_up(owner);
    heap.open_lists(open);
    heap.count_thread(owned_pages::begin_thread);
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
        self.open.set(open);
        self.allowance.set(ALLOWANCE_MIN);
        let mut stack: *mut *mut u8 = self.first.get().cast();
        for class in Class::all() {
            let slots = first_slots(class.index());
            if self.is_open(class) {
                // SAFETY: the words from here on are this class's, one more than slots, and the record lives for ever.
                unsafe { self.cache.open(class, stack, slots_at_first(class)) };
            }
            // SAFETY: all classes together have as many words as there are.
            stack = unsafe { stack.add(slots + 1) };
        }
        if open.small && open.owned {
            // SAFETY: the last words are those of the outboxes and return lists.
            unsafe { self.cache.open_outboxes(stack) };
        }
    }

    /// Counts its thread among those of its owner, if it has one of its own, or no longer.
    pub(super) fn count_thread(&self, count: impl FnOnce(Owner)) {
        if self.open.get().owned {
            count(self.cache.owner());
        }
    }

    /// Whether the list of the class may hold objects.
    pub(super) fn is_open(&self, class: Class) -> bool {
        let open = self.open.get();
        if class.is_large() { open.large } else { open.small }
    }

    /// An object with a slot, after its slot list was found empty and no thread had left one: fills the list, if it is
    /// open, with slots of pages. Null when there is no memory.
    pub(super) fn refill(&self, policy: Policy, class: Class) -> *mut u8 {
        let mut slots = [ptr::null_mut(); BATCH_SLOTS];
        let wanted = if self.is_open(class) {
            // The first time tells nothing of how many the thread needs, and it takes few. Each time it takes twice as many,
            // up to half of what the list can hold, and then the list may hold more.
            let times = &self.refills[class.index()];
            if times.get() < FIRST_REFILLS {
                times.set(times.get() + 1);
            } else {
                self.widen(class);
            }
            let part = self.cache.limit(class) >> (1 + FIRST_REFILLS - times.get());
            transfer_cache::batch_of(class).min(part).max(1)
        } else {
            1
        };
        let (taken, _) =
            central_free_list::take(&self.counters, policy, class, self.cache.owner(), &mut slots[..wanted]);
        if self.open.get().marked && free_check::is_marked(class) {
            // SAFETY: the slots are ours alone.
            unsafe { free_check::admit(&self.counters.free_check, &slots[..taken]) };
        }
        // The last one comes out first, so that objects come out in the order of addresses.
        slots[..taken].reverse();
        self.keep(class, &slots[..taken])
    }

    /// An object, after its slot list was found empty: one of a batch that another thread left. Null when there is none,
    /// or the list is closed.
    pub(super) fn take_batch(&self, class: Class) -> *mut u8 {
        if !self.is_open(class) {
            return ptr::null_mut();
        }
        transfer_cache::pop(class, self.cache.owner()).map_or(ptr::null_mut(), |batch| self.keep_batch(class, batch))
    }

    /// Keeps the objects of a batch but one, which is returned. What the slot list has no room for goes back to the
    /// transfer cache.
    fn keep_batch(&self, class: Class, mut batch: OwnBatch) -> *mut u8 {
        while batch.objects().len() > self.cache.limit(class) + 1 && self.widen(class) {}
        let rest = batch.objects().len().saturating_sub(self.cache.limit(class) + 1);
        let object = self.keep(class, &batch.objects()[rest..]);
        if rest > 0 {
            batch.truncate(rest);
            transfer_cache::put_back(class, self.cache.owner(), batch);
        } else {
            batch.recycle();
        }
        object
    }

    /// Puts all of these into the slot list, which is empty and has room for them, but one, which is returned; null
    /// when there are none.
    fn keep(&self, class: Class, objects: &[*mut u8]) -> *mut u8 {
        self.cache.received.add(objects.len() as u64);
        self.came.set(self.came.get() + objects.len() * class.slot_bytes());
        let Some((&object, rest)) = objects.split_last() else {
            return ptr::null_mut();
        };
        let are_kept = self.cache.push_all(class, rest);
        debug_assert!(are_kept, "the callers pass no more than there is room for");
        object
    }

    /// Makes room in a full slot list: lets it hold more, or takes the newest objects out. Returns how many objects were
    /// taken out, to be passed on: the first ones in `objects`.
    pub(super) fn make_room(&self, class: Class, objects: &mut [*mut u8; BATCH_SLOTS]) -> usize {
        if self.widen(class) || self.cache.limit(class) == 0 {
            return 0;
        }
        let drains = if class.is_large() { &self.counters.bigcache.puts } else { &self.counters.thread_cache.drains };
        drains.add(1);
        // Half of the list, at most a batch, so that the next ones find room and the next requests find objects.
        let most = (self.cache.limit(class) / 2).max(1).min(transfer_cache::batch_of(class));
        self.drain(class, &mut objects[..most])
    }

    /// Takes the newest objects out of a slot list, as many as there is room for, the newest last. Returns how many.
    pub(super) fn drain(&self, class: Class, objects: &mut [*mut u8]) -> usize {
        self.cache.pop_all(class, objects)
    }

    /// Lets the slot list hold twice as many objects, if it is open, is not as long as it may be, and the allowance lasts.
    fn widen(&self, class: Class) -> bool {
        let limit = self.cache.limit(class);
        let slots = (2 * limit).clamp(1, class.cache_slots());
        if !self.is_open(class) || slots <= limit || !self.spend((slots - limit) * class.slot_bytes()) {
            return false;
        }
        let long = &self.long[class.index()];
        if slots <= first_slots(class.index()) || !long.get().is_null() {
            // SAFETY: the first stack has that many slots, and the long one has as many as the class wants.
            unsafe { self.cache.set_limit(class, slots) };
            return true;
        }
        let Some(stack) = allocator::allocate_words(class.cache_slots() + 1) else {
            self.save((slots - limit) * class.slot_bytes());
            return false;
        };
        long.set(stack.as_ptr().cast());
        // SAFETY: as long as the class wants, and this heap's for ever.
        unsafe { self.cache.open(class, long.get(), slots) };
        true
    }

    /// Takes so many bytes of the allowance, which may grow by what is left for all heaps.
    fn spend(&self, bytes: usize) -> bool {
        let needed = (self.capacity.get() + bytes).saturating_sub(self.allowance.get());
        if needed > 0 {
            let step = needed.next_multiple_of(ALLOWANCE_STEP);
            let take = |left: usize| left.checked_sub(step);
            // Relaxed: a number that orders nothing else.
            if ALLOWANCE_LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return false;
            }
            self.allowance.set(self.allowance.get() + step);
        }
        self.capacity.set(self.capacity.get() + bytes);
        self.came.set(self.came.get() + bytes);
        true
    }

    /// Gives back bytes of the allowance, and what the heap no longer needs of it.
    fn save(&self, bytes: usize) {
        self.capacity.set(self.capacity.get() - bytes);
        let needed = self.capacity.get().next_multiple_of(ALLOWANCE_STEP).max(ALLOWANCE_MIN);
        if needed < self.allowance.get() {
            ALLOWANCE_LEFT.fetch_add(self.allowance.replace(needed) - needed, Ordering::Relaxed);
        }
    }

    /// Lets an empty slot list hold as many objects as at first.
    pub(super) fn narrow(&self, class: Class) {
        let (limit, slots) = (self.cache.limit(class), slots_at_first(class));
        self.refills[class.index()].set(0);
        if self.cache.held(class) == 0 && slots < limit {
            // SAFETY: shorter than the stack is, and the list is empty.
            unsafe { self.cache.set_limit(class, slots) };
            self.save((limit - slots) * class.slot_bytes());
        }
    }

    /// Whether the lists may hold so much that the purge has to look at them: at once where all heaps together do, and
    /// else from time to time. To start its thread takes some 50 µs, which a short program would not earn back.
    pub(super) fn may_hold_much(&self) -> bool {
        if self.came.get() >= CAME_STEP {
            let came = CAME.fetch_add(self.came.take(), Ordering::Relaxed);
            if came >= CAME_UNSEEN {
                CAME.store(0, Ordering::Relaxed);
                return all().nth(CAME_HEAPS - 1).is_some();
            }
        }
        if self.capacity.get() < ALLOWANCE_MIN / 2 {
            return false;
        }
        let asked = self.asked.get().wrapping_add(1);
        self.asked.set(asked);
        asked.is_multiple_of(LOOKS_EVERY)
            || ALLOWANCE_LEFT.load(Ordering::Relaxed) + ALLOWANCE_UNSEEN < ALLOWANCE_SHARED
    }

    /// Bytes that the lists may hold beyond what they may hold at first.
    pub(super) fn capacity(&self) -> usize {
        self.capacity.get()
    }

    /// Whether no object came to the list of the class, or left it, since this was last asked.
    pub(super) fn is_unused_since_last_time(&self, class: Class) -> bool {
        let position = self.cache.position(class);
        self.last_positions[class.index()].replace(position) == position
    }

    /// Gives the record up, whose slot lists are empty: it waits for another thread.
    pub(super) fn recycle(&'static self) {
        Class::all().for_each(|class| self.narrow(class));
        self.count_thread(owned_pages::end_thread);
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
