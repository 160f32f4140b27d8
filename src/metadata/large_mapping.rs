//! Large mappings: the records of mappings that hold one large object each.
//!
//! A record lies apart from its mapping and lives for ever. The layer above maps and unmaps.

use crate::metadata::shared_cell::SharedCell;
use crate::request::Request;
use core::cell::Cell;
use core::sync::atomic::{AtomicU8, Ordering};

/// A mapping that holds one large object, or did: a mapping of the kernel's, or a part of one.
#[derive(Debug)]
pub(crate) struct LargeMapping {
    /// Start of the mapping.
    pub(crate) base: SharedCell<*mut u8>,
    /// Bytes mapped, a multiple of the OS page. Not the user's length: unmapping less would leak an OS page.
    pub(crate) mapped: SharedCell<usize>,
    /// The object's address, by which the page map finds the record.
    pub(crate) user: SharedCell<*mut u8>,
    /// Bytes of the live object, as it was last asked for.
    pub(crate) size: Cell<usize>,
    /// The number of the call site that allocated the object ([`Site::id`](crate::request::Site::id)).
    pub(crate) site: Cell<usize>,
    /// The number of the strategy that chose the mapping; opaque here.
    pub(crate) strategy: Cell<u8>,
    /// Whether the mapping pool takes it when it is freed.
    pub(crate) pooled: SharedCell<bool>,
    /// Whether it was mapped as an object of a size class, so that a thread's slot list may take it. It stays marked
    /// live while its object is in a slot list.
    pub(crate) size_classed: SharedCell<bool>,
    /// Whether it was joined of neighbours, which may be several mappings of the kernel's: it cannot be moved as one.
    pub(crate) is_joined: Cell<bool>,
    /// Whether the kernel was advised to use huge pages in it, or in a part of it.
    pub(crate) is_huge: Cell<bool>,
    /// 1 while the object is live, so that a double free is seen; else 0.
    live: AtomicU8,
    /// Next in the list of records that describe no mapping.
    pub(crate) next: Cell<Option<&'static LargeMapping>>,
}

// SAFETY: the plain cells are used by one thread at a time: the one that allocates the mapping, the one that frees it,
// or the holder of the lock of the list that it waits in. `live` decides between two threads that free it at once.
unsafe impl Sync for LargeMapping {}

impl LargeMapping {
    /// A record that describes no mapping, as all-zero bytes do.
    #[cfg(test)]
    pub(crate) fn new() -> LargeMapping {
        LargeMapping {
            base: SharedCell::new(core::ptr::null_mut()),
            mapped: SharedCell::new(0),
            user: SharedCell::new(core::ptr::null_mut()),
            size: Cell::new(0),
            site: Cell::new(0),
            strategy: Cell::new(0),
            pooled: SharedCell::new(false),
            size_classed: SharedCell::new(false),
            is_joined: Cell::new(false),
            is_huge: Cell::new(false),
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

    /// Marks the mapping as holding an object of `size` bytes.
    pub(crate) fn mark_live(&self, size: usize) {
        self.size.set(size);
        self.live.store(1, Ordering::Relaxed);
    }

    /// Marks the object as freed. Returns `false` when it was freed already.
    pub(crate) fn mark_free(&self) -> bool {
        // Relaxed: of two concurrent frees exactly one sees 1, whatever else is ordered.
        self.live.swap(0, Ordering::Relaxed) == 1
    }

    /// Whether an object lives in the mapping.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 1
    }
}
