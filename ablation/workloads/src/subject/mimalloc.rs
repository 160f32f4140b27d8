//! mimalloc v3 through the `mimalloc` crate, as Rust programs use it.

use super::{Engine, Subject, Witness, no_mark};
use hakmem::Site;
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};

/// mimalloc.
#[derive(Clone, Copy, Default)]
struct OfMimalloc;

impl Subject for OfMimalloc {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { MiMalloc.dealloc(ptr, layout) }
    }
}

/// mimalloc looks an address up in its page map.
pub(super) const ENGINE: Option<Engine> = Some(Engine::of::<OfMimalloc>(Witness {
    name: "mimalloc",
    by: "mi_is_in_heap_region",
    mark: no_mark,
    // SAFETY: any address may be asked about; mimalloc only reads its page map.
    claims: |_, ptr, _| unsafe { libmimalloc_sys::mi_is_in_heap_region(ptr.cast()) },
}));
