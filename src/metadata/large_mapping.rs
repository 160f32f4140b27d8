//! Large mappings: the records of mappings that hold one large object each.
//!
//! A record is kept apart from its mapping, for ever. Mapping and unmapping is left to the layer above.

use crate::metadata::shared_cell::SharedCell;
use crate::request::Request;
use core::cell::Cell;
use core::sync::atomic::{AtomicU8, Ordering};

/// A mapping that holds one large object, or did.
#[derive(Debug)]
pub(crate) struct LargeMapping {
    /// Start of the mapping.
    pub(crate) base: SharedCell<*mut u8>,
    /// Bytes mapped, a multiple of the OS page. The mapped length, not the user's: giving back less would leak an OS page.
    pub(crate) mapped: SharedCell<usize>,
    /// The object's address; the page map finds the record by it.
    pub(crate) user: SharedCell<*mut u8>,
    /// Call site that made it.
    pub(crate) site: Cell<usize>,
    /// The strategy that chose it; opaque here.
    pub(crate) strategy: Cell<u8>,
    /// Whether the mapping pool keeps it when it is freed.
    pub(crate) pooled: SharedCell<bool>,
    /// Whether it was mapped to be an object of a size class, so that a thread's slot list may keep it. A record in a slot
    /// list stays marked live.
    pub(crate) size_classed: SharedCell<bool>,
    /// The purge epoch in which the pool took it.
    pub(crate) freed_at: Cell<u32>,
    /// Whether an object lives in it, so that a second free is seen.
    live: AtomicU8,
    /// Next in the list that the mapping waits in.
    pub(crate) next: Cell<Option<&'static LargeMapping>>,
}

// SAFETY: the cells that are not shared are read and written by the one thread that holds the mapping: the one that allocates it, the one that frees it, or
// the holder of the lock of the list that it waits in. `live` decides between two threads that free it at once.
unsafe impl Sync for LargeMapping {}

impl LargeMapping {
    /// A mapping without a mapping; so are zeroes.
    #[cfg(test)]
    pub(crate) fn new() -> LargeMapping {
        LargeMapping {
            base: SharedCell::new(core::ptr::null_mut()),
            mapped: SharedCell::new(0),
            user: SharedCell::new(core::ptr::null_mut()),
            site: Cell::new(0),
            strategy: Cell::new(0),
            pooled: SharedCell::new(false),
            size_classed: SharedCell::new(false),
            freed_at: Cell::new(0),
            live: AtomicU8::new(0),
            next: Cell::new(None),
        }
    }

    /// Bytes from the user's address to the end of the mapping.
    pub(crate) fn usable(&self) -> usize {
        self.base.get().addr() + self.mapped.get() - self.user.get().addr()
    }

    /// Whether the mapping can hold an object for the request where its last one was.
    pub(crate) fn fits(&self, request: &Request) -> bool {
        self.usable() >= request.size && self.user.get().addr().is_multiple_of(request.align)
    }

    /// Marks the mapping as holding an object.
    pub(crate) fn mark_live(&self) {
        self.live.store(1, Ordering::Relaxed);
    }

    /// Marks the object as freed; `false` when it was already.
    pub(crate) fn mark_free(&self) -> bool {
        // Relaxed: only the order of this word's own values matters; one of two frees fails, either of them.
        self.live.swap(0, Ordering::Relaxed) == 1
    }

    /// Whether an object lives in the mapping.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 1
    }
}
