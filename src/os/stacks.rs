//! The calling thread's stacks of objects, where sequences cannot be restarted; the twin file for x86-64 says what they
//! are. A signal handler must not take or put objects here, and no thread may change another one's words.

use core::cell::Cell;
use core::ptr;

cfg_if::cfg_if! {
    if #[cfg(loom)] {
        use super::model::thread_word;
    } else {
        use super::linux_aarch64::thread_word;
    }
}

/// Places of a stack: the newest object's, and the last one.
type Stack = [Cell<*mut Cell<*mut u8>>; 2];

/// There are none.
pub(crate) fn use_registrations() {}

/// None are.
pub(crate) fn are_restarted() -> bool {
    false
}

/// As its twin.
///
/// # Safety
/// - as its twin's.
#[inline(always)]
pub(crate) unsafe fn pop<const WORD: usize>(stack: usize) -> (*mut u8, usize) {
    let cache = thread_word(WORD);
    // SAFETY: the caller's promise.
    (unsafe { pop_at(ptr::with_exposed_provenance(cache + stack)) }, cache)
}

/// As its twin.
///
/// # Safety
/// - as its twin's.
#[inline(always)]
#[allow(dead_code, reason = "only the C interface calls it")]
pub(crate) unsafe fn pop_of_table<const TABLE: usize>(index: usize) -> (*mut u8, usize) {
    let cache = thread_word(0);
    let place: *const *const Stack = ptr::with_exposed_provenance(cache + TABLE + 8 * index);
    // SAFETY: the caller's promise.
    (unsafe { pop_at(place.read()) }, cache)
}

/// As its twin.
///
/// # Safety
/// - as its twin's.
#[inline(always)]
pub(crate) unsafe fn push(stack: usize, object: *mut u8) -> bool {
    // SAFETY: the caller's promise.
    let [pointer, last] = unsafe { &*ptr::with_exposed_provenance::<Stack>(thread_word(0) + stack) };
    if pointer.get() == last.get() {
        return false;
    }
    let place = pointer.get().wrapping_add(1);
    // SAFETY: below the last place.
    unsafe { (*place).set(object) };
    pointer.set(place);
    true
}

/// # Safety
/// - the address is a stack's.
#[inline(always)]
unsafe fn pop_at(stack: *const Stack) -> *mut u8 {
    // SAFETY: the caller's promise; the stack pointer is a place of the stack.
    unsafe {
        let pointer = &(*stack)[0];
        let object = (*pointer.get()).get();
        if !object.is_null() {
            pointer.set(pointer.get().wrapping_sub(1));
        }
        object
    }
}
