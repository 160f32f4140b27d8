//! The heap of threads that have ended: destructors that run after a thread gave its heap up may still allocate and free.

use super::thread_heap::{self, Heap, OpenLists};
use crate::sync::{Lock, global, held_at_fork};

global! {
    /// Made when the first thread needs it.
    static LATE: Lock<Option<&'static Heap>> = Lock::new(None);
}

/// Runs with the heap of ended threads, whose lock is held meanwhile; with none when there is no memory for it.
pub(super) fn with<T>(open: OpenLists, run: impl FnOnce(Option<&'static Heap>) -> T) -> T {
    let mut late = LATE.lock();
    if late.is_none() {
        *late = thread_heap::take(open);
    }
    run(*late)
}

held_at_fork!(LATE);
