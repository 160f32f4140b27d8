//! Spans: the records of mappings that hold one large object each.
//!
//! Kept apart from the mapping, in [`crate::metadata::allocator`], for ever. Who maps and unmaps is left to [`crate::alloc`].

use crate::request::Request;
use core::cell::Cell;
use core::sync::atomic::{AtomicU8, Ordering};

/// A mapping that holds one large object, or did.
#[derive(Debug)]
pub(crate) struct Span {
    /// Start of the mapping.
    pub(crate) base: Cell<*mut u8>,
    /// Bytes mapped, a multiple of the OS page. The mapped length, not the user's: giving back less would leak a page.
    pub(crate) mapped: Cell<usize>,
    /// What the user holds; the map knows the span by it.
    pub(crate) user: Cell<*mut u8>,
    /// Call site that made it.
    pub(crate) site: Cell<usize>,
    /// The strategy that chose it; opaque here.
    pub(crate) strategy: Cell<u8>,
    /// Whether the pool keeps it when it is freed.
    pub(crate) kept: Cell<bool>,
    /// Whether it was mapped to be an object of a size class, so that a thread's bin may keep it; whether it is live is
    /// then not known.
    pub(crate) classed: Cell<bool>,
    /// When the pool took it, in ticks of the purge.
    pub(crate) freed_at: Cell<u32>,
    /// Whether an object lives in it, so that a second free is seen.
    live: AtomicU8,
    /// Next in the list that the span waits in.
    pub(crate) next: Cell<Option<&'static Span>>,
}

// SAFETY: the cells are written by the one thread that holds the span: its allocator, its freer, or whoever has the
// lock of the list that it waits in. `live` decides between two that both think so.
unsafe impl Sync for Span {}

impl Span {
    /// A span without a mapping; so are zeroes.
    #[cfg(test)]
    pub(crate) const fn new() -> Span {
        Span {
            base: Cell::new(core::ptr::null_mut()),
            mapped: Cell::new(0),
            user: Cell::new(core::ptr::null_mut()),
            site: Cell::new(0),
            strategy: Cell::new(0),
            kept: Cell::new(false),
            classed: Cell::new(false),
            freed_at: Cell::new(0),
            live: AtomicU8::new(0),
            next: Cell::new(None),
        }
    }

    /// Bytes from the user's address to the end of the mapping.
    pub(crate) fn usable(&self) -> usize {
        self.base.get().addr() + self.mapped.get() - self.user.get().addr()
    }

    /// Whether the span can hold an object for the request where its last one was.
    pub(crate) fn fits(&self, request: &Request) -> bool {
        self.usable() >= request.size && self.user.get().addr().is_multiple_of(request.align)
    }

    /// Marks the span as holding an object.
    pub(crate) fn revive(&self) {
        self.live.store(1, Ordering::Relaxed);
    }

    /// Marks the object as freed; `false` when it was already.
    pub(crate) fn retire(&self) -> bool {
        // Relaxed: only the order of this word's own values matters; a program that frees twice is told, whoever wins.
        self.live.swap(0, Ordering::Relaxed) == 1
    }

    /// Whether an object lives in the span.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 1
    }
}
