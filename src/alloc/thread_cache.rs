//! The thread cache: one thread's free objects by class, taken and put back without a lock or a locked instruction.
//!
//! A slot list is a stack of addresses, apart from the objects: taking and putting back touches neither the object nor
//! its page, so that untouched memory stays untouched, and a large object costs no more than a small one. At the base
//! of each stack lies a null, which an empty slot list returns.
//!
//! A freed object joins the stack of the thread that frees it, wherever it came from; other stations are asked only
//! when the stack is full or empty. A closed slot list is always empty and always full. Threads that have no cache yet,
//! or no longer, that are past their cache at this moment, or that must pass the factors' hooks at every request, use
//! [`EMPTY`], all of whose slot lists are closed: the fast path needs no test of its own for them.
//!
//! The fast path finds the cache by the thread's first word and changes a stack in a restartable sequence
//! ([`crate::os::pop`]). All other code uses [`ThreadCache::pop`] and [`ThreadCache::push`], while the first word is
//! [`EMPTY`]'s address.

use crate::class::{CLASSES, Class, SMALL_LISTS, SlotListOffset};
use crate::os;
use crate::sync::Count;
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Most slots of a slot list's first stack. A list that needs more gets the stack of full length.
pub(crate) const FIRST_SLOTS: usize = 64;

/// One place of a stack.
type Slot = Cell<*mut u8>;

/// The stack of one class: its stack pointer and its limit.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SlotList {
    /// The stack pointer: the newest object's place, or that of the null at the base. Atomic, because the statistics
    /// read it; only the thread writes it.
    pointer: AtomicPtr<Slot>,
    /// The last place of the stack.
    limit: Cell<*mut Slot>,
}

const _: () = assert!(size_of::<SlotList>() == SlotListOffset::LIST_BYTES);

impl SlotList {
    /// Always empty and always full.
    const fn closed() -> SlotList {
        let null = (&raw const NULL.0).cast_mut();
        SlotList { pointer: AtomicPtr::new(null), limit: Cell::new(null) }
    }

    /// Takes an object; null when the slot list is empty.
    fn pop(&self) -> *mut u8 {
        // SAFETY: the pointer is a place of the stack.
        let object = unsafe { (*self.pointer.load(Ordering::Relaxed)).get() };
        if !object.is_null() {
            // The place holds an object, so it is not the base.
            self.move_pointer(-1);
        }
        object
    }

    /// Puts an object back; `false` when the slot list is full.
    fn push(&self, object: *mut u8) -> bool {
        let pointer = self.pointer.load(Ordering::Relaxed);
        if pointer == self.limit.get() {
            return false;
        }
        // SAFETY: the pointer is below the limit, which is a place of the stack.
        unsafe { (*pointer.add(1)).set(object) };
        self.move_pointer(1);
        true
    }

    /// Moves the stack pointer.
    fn move_pointer(&self, places: isize) {
        self.pointer.store(self.pointer.load(Ordering::Relaxed).wrapping_offset(places), Ordering::Relaxed);
    }
}

/// Takes an object from a slot list of the calling thread's cache. Returns null when it is empty, and the cache.
///
/// A free and the request after it pass the stack pointer to each other through memory, and some processors forward it
/// without a wait only where one register is the whole address; the sequences see to that (ARCHITECTURE.md has the
/// numbers).
#[inline(always)]
pub(super) fn take(list: SlotListOffset) -> (*mut u8, &'static ThreadCache) {
    // SAFETY: the first word is always the address of a cache, of the empty one or of a heap's, which lives for ever;
    // at every offset lies a slot list, which is a stack.
    unsafe {
        let (object, cache) = os::pop(list.0 as usize);
        (object, &*ptr::with_exposed_provenance(cache))
    }
}

/// As [`take`], for a size from 1 to 1,024 that is no constant; `None` for all other sizes.
#[inline(always)]
#[allow(dead_code, reason = "only the C interface calls it")]
pub(super) fn take_small(bytes: usize) -> Option<(*mut u8, &'static ThreadCache)> {
    // Size 0 wraps around, to a place beyond the table.
    let index = bytes.wrapping_sub(1) / 16;
    // SAFETY: as in `take`; the places of the table are addresses of slot lists.
    (index < SMALL_LISTS.len()).then(|| unsafe {
        let (object, cache) = os::pop_of_table::<{ offset_of!(ThreadCache, small_lists) }>(index);
        (object, &*ptr::with_exposed_provenance(cache))
    })
}

/// Puts an object into a slot list of the calling thread's cache; `false` when the list is full.
#[inline(always)]
pub(super) fn put(list: SlotListOffset, object: *mut u8) -> bool {
    // SAFETY: as in `take`.
    unsafe { os::push(list.0 as usize, object) }
}

/// One thread's free objects, and counts of what came and went.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct ThreadCache {
    /// One slot list that is never opened, for sizes without a class, then one per class. [`SlotListOffset`]s lead
    /// here.
    lists: [SlotList; CLASSES + 1],
    /// Objects that this thread has allocated.
    pub(crate) allocations: Count,
    /// Objects that came from other stations, and those that went back to them. The difference is what users and the
    /// cache hold.
    pub(crate) received: Count,
    pub(crate) returned: Count,
    /// The slot lists of sizes up to 1,024, one per 16 bytes, for code that knows no constant size.
    small_lists: [Cell<*const SlotList>; SMALL_LISTS.len()],
    /// Where the null of each stack lies.
    bases: [AtomicPtr<Slot>; CLASSES + 1],
}

/// The stack of all closed slot lists: base, stack pointer and limit in one.
struct Null(Slot);

// SAFETY: never written.
unsafe impl Sync for Null {}

static NULL: Null = Null(Cell::new(ptr::null_mut()));

/// The slot list of every small size in [`EMPTY`].
struct Closed(SlotList);

// SAFETY: never written.
unsafe impl Sync for Closed {}

static CLOSED: Closed = Closed(SlotList::closed());

/// The cache that holds nothing and takes nothing. It is never written.
#[unsafe(export_name = "hakmem_0_1_empty_cache")]
pub(crate) static EMPTY: ThreadCache = ThreadCache::new();

// SAFETY: only its thread uses a cache, except for the atomics, and for `EMPTY`, which is never written.
unsafe impl Sync for ThreadCache {}

impl ThreadCache {
    /// All slot lists closed.
    pub(crate) const fn new() -> ThreadCache {
        ThreadCache {
            lists: [const { SlotList::closed() }; CLASSES + 1],
            allocations: Count::new(),
            received: Count::new(),
            returned: Count::new(),
            small_lists: [const { Cell::new(&raw const CLOSED.0) }; SMALL_LISTS.len()],
            bases: [const { AtomicPtr::new((&raw const NULL.0).cast_mut()) }; CLASSES + 1],
        }
    }

    /// Sets up a cache of all-zero bytes: closes all slot lists.
    pub(super) fn set_up(&self) {
        self.small_lists.iter().zip(&SMALL_LISTS).for_each(|(own, &list)| own.set(self.slot_list(list)));
        let null: *mut Slot = (&raw const NULL.0).cast_mut();
        for (list, base) in self.lists.iter().zip(&self.bases) {
            list.pointer.store(null, Ordering::Relaxed);
            list.limit.set(null);
            base.store(null, Ordering::Relaxed);
        }
    }

    /// Opens a slot list, or gives it a longer stack. Its objects stay in it.
    ///
    /// # Safety
    /// - `stack` has room for `slots` addresses and one more, begins with a null, and belongs to this slot list alone
    ///   for as long as the cache lives.
    /// - the slot list holds at most `slots` objects.
    pub(super) unsafe fn open(&self, class: Class, stack: *mut *mut u8, slots: usize) {
        let index = class.index() + 1;
        let held = self.held(class);
        let stack: *mut Slot = stack.cast();
        if held > 0 {
            let old = self.bases[index].load(Ordering::Relaxed);
            // SAFETY: both are at least as long as what is copied, by the caller's promise. Nothing is written to the
            // stack of an empty list, which stays untouched until an object comes.
            unsafe { ptr::copy_nonoverlapping(old.add(1), stack.add(1), held) };
        }
        self.bases[index].store(stack, Ordering::Relaxed);
        // SAFETY: inside the stack.
        unsafe {
            self.lists[index].limit.set(stack.add(slots));
            self.lists[index].pointer.store(stack.add(held), Ordering::Relaxed);
        }
    }

    /// Takes an object; null when the slot list is empty.
    pub(crate) fn pop(&self, list: SlotListOffset) -> *mut u8 {
        self.slot_list(list).pop()
    }

    /// Puts an object back; `false` when the slot list is full.
    pub(crate) fn push(&self, list: SlotListOffset, object: *mut u8) -> bool {
        self.slot_list(list).push(object)
    }

    /// How many objects of the class the cache holds. Another thread may read any number, more than there is room for,
    /// while the slot list gets a longer stack: the pointer of one stack and the base of the other.
    pub(crate) fn held(&self, class: Class) -> usize {
        let index = class.index() + 1;
        let pointer = self.lists[index].pointer.load(Ordering::Relaxed);
        pointer.addr().wrapping_sub(self.bases[index].load(Ordering::Relaxed).addr()) / size_of::<Slot>()
    }

    /// How many objects of the class the slot list can hold; 0 when it is closed.
    pub(crate) fn limit(&self, class: Class) -> usize {
        let index = class.index() + 1;
        (self.lists[index].limit.get().addr() - self.bases[index].load(Ordering::Relaxed).addr()) / size_of::<Slot>()
    }

    /// How many objects the cache holds: exact in its own thread, else a moment old.
    pub(crate) fn held_all(&self) -> u64 {
        // Bounded: a slot list that gets a longer stack at this moment may seem to hold any number.
        Class::all().map(|class| self.held(class).min(class.cache_slots()) as u64).sum()
    }

    /// Sets how many objects of the class the slot list can hold, in the stack that it has.
    ///
    /// # Safety
    /// - the list is open, its stack has room for `slots` addresses, and it holds no more objects than that.
    pub(super) unsafe fn set_limit(&self, class: Class, slots: usize) {
        let index = class.index() + 1;
        let base = self.bases[index].load(Ordering::Relaxed);
        // SAFETY: inside the stack.
        self.lists[index].limit.set(unsafe { base.add(slots) });
    }

    /// The stack pointer of the class, as a number that changes with every object that comes or goes.
    pub(super) fn position(&self, class: Class) -> usize {
        self.lists[class.index() + 1].pointer.load(Ordering::Relaxed).addr()
    }

    /// The slot list at an offset.
    fn slot_list(&self, list: SlotListOffset) -> &SlotList {
        &self.lists[list.0 as usize / SlotListOffset::LIST_BYTES]
    }
}
