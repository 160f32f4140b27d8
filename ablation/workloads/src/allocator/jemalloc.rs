//! jemalloc 5 through `tikv-jemallocator`, as Rust programs use it.

use super::{Allocator, Witness};
use hakmem::Site;
use std::alloc::{GlobalAlloc, Layout};
use tikv_jemalloc_ctl::thread::allocatedp;
use tikv_jemallocator::Jemalloc;

/// jemalloc.
#[derive(Clone, Copy, Default)]
pub(crate) struct JemallocCrate;

impl Allocator for JemallocCrate {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { Jemalloc.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { Jemalloc.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a live block of this allocator with this layout, and a size that is not zero.
        unsafe { Jemalloc.realloc(ptr, layout, size) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { Jemalloc.dealloc(ptr, layout) }
    }
}

/// jemalloc cannot be asked about a foreign address, but it counts every byte that a thread requested.
pub(crate) const WITNESS: Witness = Witness {
    name: "jemalloc",
    by: "thread.allocated",
    mark: allocated,
    claims: |mark, _, size| allocated().saturating_sub(mark) >= size as u64,
};

/// Bytes that this thread ever requested; 0 when the counter cannot be read, which proves nothing.
fn allocated() -> u64 {
    allocatedp::read().map_or(0, |bytes| bytes.get())
}
