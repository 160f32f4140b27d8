//! State for threads that end: the C library's key, which calls back when a thread ends, and the heap that all of them
//! use after that. Destructors that run after a thread gave up its own heap may still allocate and free.

use super::gate;
use super::thread_heap::{self, Heap, OpenLists};
use crate::sync::{Lock, Once, global};

global! {
    /// The key plus 1.
    static KEY: Once = Once::new();
}
global! {
    /// The heap, made when the first thread needs it.
    static LATE_HEAP: Lock<Option<&'static Heap>> = Lock::new(None);
}

/// The key whose destructor is `at_end`, made by the first call; `None` when the C library has no more keys.
pub(super) fn key(at_end: unsafe extern "C" fn(*mut libc::c_void)) -> Option<libc::pthread_key_t> {
    let (key, _) = KEY.get_or_make(|| {
        let mut key = 0;
        // SAFETY: the call writes the key, which lives in this frame.
        let error = unsafe { libc::pthread_key_create(&raw mut key, Some(at_end)) };
        if error == 0 { u64::from(key) + 1 } else { 0 }
    });
    key.checked_sub(1).map(|key| key as libc::pthread_key_t)
}

/// Calls `run` with the heap of ended threads, under its lock; with `None` when there is no memory for it. Returns `None`,
/// and calls nothing, when the process forks.
pub(super) fn with_late_heap<T>(open: OpenLists, run: impl FnOnce(Option<&'static Heap>) -> T) -> Option<T> {
    let mut late = gate::pass(&LATE_HEAP)?;
    if late.is_none() {
        *late = thread_heap::take(open);
    }
    Some(run(*late))
}

/// Waits until no thread uses the heap of ended threads, after the gate was closed.
pub(super) fn wait_until_outside() {
    drop(LATE_HEAP.lock());
}

/// Whether a thread uses the heap of ended threads.
pub(super) fn is_inside() -> bool {
    LATE_HEAP.try_lock().is_none()
}
