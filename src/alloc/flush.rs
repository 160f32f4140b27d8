//! Gives back to the OS all memory that waits, when the program asks for it.

use super::{idle_caches, purge, thread};
use crate::config::active;

/// Gives back the objects in the threads' caches, and all memory that waits at other stations.
pub(crate) fn flush() {
    _ = thread::inside(|access| {
        let active = active();
        if let Some(heap) = access.own_heap() {
            // The background purge is not requested: the next call gives back all that waits.
            _ = thread::drain(active, heap, false);
        }
        let counters = access.counts().0;
        idle_caches::drain_all(active, counters);
        purge::reclaim(active, counters);
    });
}
