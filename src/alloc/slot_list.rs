//! The slot list: a stack of addresses of free objects, and how many it may hold.
//!
//! What the fast path changes in a restartable sequence ([`crate::os::pop`]) is changed here by all other code. At the base
//! of the stack lies a null, which an empty list returns.

use crate::class::SlotListOffset;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// One place of a stack.
pub(super) type Slot = Cell<*mut u8>;

/// The stack of one class: its stack pointer and its limit.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SlotList {
    /// The stack pointer: the newest object's place, or that of the null at the base. Atomic, because the statistics
    /// read it; only the thread writes it.
    pub(super) pointer: AtomicPtr<Slot>,
    /// The last place of the stack.
    pub(super) limit: Cell<*mut Slot>,
}

const _: () = assert!(size_of::<SlotList>() == SlotListOffset::LIST_BYTES);

impl SlotList {
    /// Always empty and always full.
    pub(super) const fn closed() -> SlotList {
        SlotList { pointer: AtomicPtr::new(null()), limit: Cell::new(null()) }
    }

    /// What lies in the places of other owners' lists.
    pub(super) fn make_foreign(&self) {
        self.pointer.store(ptr::null_mut(), Ordering::Relaxed);
        self.limit.set(ptr::null_mut());
    }

    /// Makes it always empty and always full.
    pub(super) fn close(&self) {
        let SlotList { pointer, limit } = SlotList::closed();
        self.pointer.store(pointer.into_inner(), Ordering::Relaxed);
        self.limit.set(limit.get());
    }

    /// Gives it a stack that holds `held` objects and has room for `slots`.
    ///
    /// # Safety
    /// - the stack is that long.
    pub(super) unsafe fn open(&self, stack: *mut Slot, held: usize, slots: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.limit.set(stack.add(slots));
            self.pointer.store(stack.add(held), Ordering::Relaxed);
        }
    }

    /// How many objects lie above the base.
    pub(super) fn held(&self, base: &AtomicPtr<Slot>) -> usize {
        let pointer = self.pointer.load(Ordering::Relaxed);
        pointer.addr().wrapping_sub(base.load(Ordering::Relaxed).addr()) / size_of::<Slot>()
    }

    /// Takes an object; null when the slot list is empty.
    pub(super) fn pop(&self) -> *mut u8 {
        // SAFETY: the pointer is a place of the stack.
        let object = unsafe { (*self.pointer.load(Ordering::Relaxed)).get() };
        if !object.is_null() {
            // The place holds an object, so it is not the base.
            self.move_pointer(-1);
        }
        object
    }

    /// Puts an object back; `false` when the slot list is full.
    pub(super) fn push(&self, object: *mut u8) -> bool {
        let pointer = self.pointer.load(Ordering::Relaxed);
        if pointer == self.limit.get() {
            return false;
        }
        // SAFETY: the pointer is below the limit, which is a place of the stack.
        unsafe { (*pointer.add(1)).set(object) };
        self.move_pointer(1);
        true
    }

    /// Takes the newest objects, as many as there are and have room in `objects`, the newest last. Returns how many.
    pub(super) fn pop_all(&self, base: &AtomicPtr<Slot>, objects: &mut [*mut u8]) -> usize {
        let count = self.held(base).min(objects.len());
        let above = self.pointer.load(Ordering::Relaxed).wrapping_add(1).cast::<*mut u8>();
        // SAFETY: the last places of the stack hold so many objects.
        unsafe { ptr::copy_nonoverlapping(above.sub(count), objects.as_mut_ptr(), count) };
        self.move_pointer(-count.cast_signed());
        count
    }

    /// Puts objects back, the last one to come out first; none, and `false`, where there is no room for all.
    pub(super) fn push_all(&self, objects: &[*mut u8]) -> bool {
        let pointer = self.pointer.load(Ordering::Relaxed);
        let room = (self.limit.get().addr() - pointer.addr()) / size_of::<Slot>();
        if room < objects.len() {
            return false;
        }
        // SAFETY: the places above the pointer, up to the limit, are the stack's.
        unsafe { ptr::copy_nonoverlapping(objects.as_ptr(), pointer.add(1).cast(), objects.len()) };
        self.move_pointer(objects.len().cast_signed());
        true
    }

    /// Moves the stack pointer.
    fn move_pointer(&self, places: isize) {
        self.pointer.store(self.pointer.load(Ordering::Relaxed).wrapping_offset(places), Ordering::Relaxed);
    }
}

/// The stack of all closed slot lists: base, stack pointer and limit in one.
struct Null(Slot);

// SAFETY: never written.
unsafe impl Sync for Null {}

static NULL: Null = Null(Cell::new(ptr::null_mut()));

/// Base, stack pointer and limit of a closed list.
pub(super) const fn null() -> *mut Slot {
    (&raw const NULL.0).cast_mut()
}
