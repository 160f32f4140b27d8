//! hakmem through its own call, which takes the call site. Its four names differ only in the preset that is sealed.

use super::{Allocator, Witness, no_mark};
use hakmem::{Hakmem, Site};
use std::alloc::{GlobalAlloc, Layout};

/// hakmem, with any preset.
#[derive(Clone, Copy, Default)]
pub(crate) struct HakmemCrate;

impl Allocator for HakmemCrate {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { Hakmem.alloc_at(layout, site) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { Hakmem.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a live block of this allocator with this layout, and a size that is not zero.
        unsafe { Hakmem.realloc(ptr, layout, size) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { Hakmem.dealloc(ptr, layout) }
    }
}

/// hakmem knows its own memory by address.
pub(crate) const WITNESS: Witness =
    Witness { name: "hakmem", by: "hakmem::owns", mark: no_mark, claims: |_, ptr, _| hakmem::owns(ptr) };
