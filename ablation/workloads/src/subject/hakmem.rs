//! hakmem through its own call, which takes the call site. Its four names differ only in the mode that is sealed.

use super::{Engine, Subject, Witness, no_mark};
use hakmem::{Hakmem, Site};
use std::alloc::{GlobalAlloc, Layout};

/// hakmem, whatever its mode.
#[derive(Clone, Copy, Default)]
struct OfHakmem;

impl Subject for OfHakmem {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { Hakmem.alloc_at(layout, site) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { Hakmem.dealloc(ptr, layout) }
    }
}

/// hakmem knows its own memory by address.
pub(super) const ENGINE: Engine = Engine::of::<OfHakmem>(Witness {
    name: "hakmem",
    by: "hakmem::owns",
    mark: no_mark,
    claims: |_, ptr, _| hakmem::owns(ptr),
});
