//! snmalloc 2 through `snmalloc-rs`, as Rust programs use it.

use super::{Allocator, Witness, no_mark};
use hakmem::Site;
use snmalloc_rs::SnMalloc;
use std::alloc::{GlobalAlloc, Layout};

/// snmalloc.
#[derive(Clone, Copy, Default)]
pub(crate) struct SnmallocCrate;

impl Allocator for SnmallocCrate {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { SnMalloc.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { SnMalloc.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a live block of this allocator with this layout, and a size that is not zero.
        unsafe { SnMalloc.realloc(ptr, layout, size) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { SnMalloc.dealloc(ptr, layout) }
    }
}

/// snmalloc reads the size of a block from its page map, which has no size for addresses that are not its own.
pub(crate) const WITNESS: Witness = Witness {
    name: "snmalloc",
    by: "sn_rust_usable_size",
    mark: no_mark,
    claims: |_, ptr, size| snmalloc_is_up() && SnMalloc.usable_size(ptr).is_some_and(|usable| usable >= size),
};

/// Makes snmalloc reserve its page map, which must exist before an address is looked up.
fn snmalloc_is_up() -> bool {
    static UP: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *UP.get_or_init(|| {
        let layout = Layout::new::<u128>();
        // SAFETY: the size is not zero.
        let ptr = unsafe { SnMalloc.alloc(layout) };
        if !ptr.is_null() {
            // SAFETY: just requested with this layout.
            unsafe { SnMalloc.dealloc(ptr, layout) };
        }
        !ptr.is_null()
    })
}
