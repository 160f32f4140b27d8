//! mimalloc through the `mimalloc` crate, as Rust programs use it: v3, or v2 with the feature `mimalloc-v2`. A build has
//! one of them, because the crate compiles one.

use super::{Allocator, Witness, no_mark};
use hakmem::Site;
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};

/// Major version that the crate's features ask for.
pub(crate) const VERSION: i32 = if cfg!(feature = "mimalloc-v2") { 2 } else { 3 };

/// mimalloc.
#[derive(Clone, Copy, Default)]
pub(crate) struct MimallocCrate;

impl Allocator for MimallocCrate {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a live block of this allocator with this layout, and a size that is not zero.
        unsafe { MiMalloc.realloc(ptr, layout, size) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { MiMalloc.dealloc(ptr, layout) }
    }
}

/// mimalloc looks an address up in its map of pages or segments, and reports its own version.
pub(crate) const WITNESS: Witness = Witness {
    name: if VERSION == 2 { "mimalloc-v2" } else { "mimalloc" },
    by: "mi_version and mi_is_in_heap_region",
    mark: no_mark,
    // SAFETY: any address may be asked about; mimalloc only reads its map.
    claims: |_, ptr, _| version() == VERSION && unsafe { libmimalloc_sys::mi_is_in_heap_region(ptr.cast()) },
};

/// Major version of the library.
fn version() -> i32 {
    // SAFETY: returns a constant: major, two digits minor, two digits patch.
    unsafe { libmimalloc_sys::mi_version() / 10_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_was_asked_for() {
        assert_eq!(version(), VERSION);
    }
}
