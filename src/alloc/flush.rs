//! Gives back to the OS all memory that waits, when the program asks for it.

use super::{purge, thread};
use crate::config::active;

/// Gives back what the caller's cache holds, and all that waits for other threads or for the purge. Other threads' caches keep
/// what they hold.
pub(crate) fn flush() {
    thread::with_heap_or_none(|heap, counters, _| {
        let active = active();
        if let Some(heap) = heap {
            // No request of the background purge: what waits is given back below, and nothing is left for it.
            _ = thread::drain(active, heap);
        }
        purge::reclaim(active, counters);
    });
}
