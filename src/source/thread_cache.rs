//! The per-thread front: free slots by class, taken and put back without a look at anybody else.
//!
//! A slot that is freed joins the list of the thread that frees it, whoever owns its page; the owner is asked only when
//! the list overflows. A cache whose limits are 0 is always empty and always full: threads that have no cache yet, or
//! no longer, or that must pass the factors' hooks at every request, point at [`EMPTY`], and the fast path needs no
//! test of its own for them.

use crate::class::{CLASSES, Class};
use crate::page::Object;
use crate::sync::Count;
use core::cell::Cell;
use core::ptr;

/// Free slots of one class.
#[derive(Debug)]
struct List {
    head: Cell<*mut Object>,
    count: Cell<u32>,
    limit: Cell<u32>,
}

/// One thread's free slots, and how often it was asked.
#[derive(Debug)]
pub(crate) struct ThreadCache {
    /// One list a class, and one more, never filled, for objects without a class.
    lists: [List; CLASSES + 1],
    pub(crate) allocations: Count,
    pub(crate) frees: Count,
}

/// The cache that holds nothing and takes nothing; nobody ever writes to it.
#[unsafe(export_name = "hakmem_0_1_empty_cache")]
pub(crate) static EMPTY: ThreadCache = ThreadCache::new();

// SAFETY: a cache is its thread's alone, except `EMPTY`, which is never written, and the counts, which are atomic.
unsafe impl Sync for ThreadCache {}

impl ThreadCache {
    /// Empty, and taking nothing; so are zeroes.
    pub(super) const fn new() -> ThreadCache {
        ThreadCache {
            lists: [const { List { head: Cell::new(ptr::null_mut()), count: Cell::new(0), limit: Cell::new(0) } };
                CLASSES + 1],
            allocations: Count::new(),
            frees: Count::new(),
        }
    }

    /// Lets the lists fill. Zeroes are a cache that takes nothing.
    pub(crate) fn open(&self) {
        for class in Class::all() {
            self.lists[class.index()].limit.set(class.cache_slots() as u32);
        }
    }

    /// Takes a slot.
    #[inline(always)]
    pub(crate) fn pop(&self, class: Class) -> Option<&'static Object> {
        let list = self.list(class.index());
        let head = list.head.get();
        // SAFETY: the list holds free slots, which are readable and linked by their first words.
        let object: &'static Object = unsafe { head.as_ref() }?;
        list.head.set(object.next.get());
        list.count.set(list.count.get() - 1);
        Some(object)
    }

    /// Puts a slot back; `false` when the list is at its limit.
    #[inline(always)]
    pub(crate) fn push(&self, class_index: u8, object: *mut Object) -> bool {
        let list = self.list(usize::from(class_index));
        let count = list.count.get();
        if count >= list.limit.get() {
            return false;
        }
        // SAFETY: the caller frees the slot, so its first word is ours; slots are aligned to 16 and never null.
        unsafe { (*object).next.set(list.head.get()) };
        list.head.set(object);
        list.count.set(count + 1);
        true
    }

    /// The list with an index that is a class's or [`crate::page::NO_CLASS`].
    #[inline(always)]
    fn list(&self, index: usize) -> &List {
        debug_assert!(index <= CLASSES);
        // SAFETY: pages have no other index, and the compiler cannot see that; a compare would be on every path.
        unsafe { self.lists.get_unchecked(index) }
    }

    /// How many slots a refill asks for, and an overflow drains: half the limit, at least one.
    pub(crate) fn batch(&self, class: Class) -> u32 {
        (self.lists[class.index()].limit.get() / 2).max(1)
    }
}
