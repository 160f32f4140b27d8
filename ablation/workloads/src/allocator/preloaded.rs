//! `malloc` and `free` as the dynamic linker resolved them: of a library given by `LD_PRELOAD`, else of the C library.
//!
//! The program's own memory comes from the same allocator, as with `system`. All of it is requested before the measured
//! part, so no measured operation is the program's own. The heap is not empty when the measured part begins.

use super::library::library_of;
use super::{Allocator, Witness, no_mark};
use hakmem::Site;
use std::alloc::Layout;
use std::ffi::c_void;
use std::sync::OnceLock;

/// The `malloc` and `free` that the symbols resolve to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Preloaded;

/// What every `malloc` aligns to.
const MALLOC_ALIGN: usize = 16;

impl Allocator for Preloaded {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: any size may be asked for.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        let mut ptr = std::ptr::null_mut();
        // SAFETY: `ptr` is writable; the alignment is a power of two and a multiple of a pointer's size.
        match unsafe { libc::posix_memalign(&raw mut ptr, layout.align(), layout.size()) } {
            0 => ptr.cast(),
            _ => std::ptr::null_mut(),
        }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: any size may be asked for.
            return unsafe { libc::calloc(1, layout.size()) }.cast();
        }
        // C has no call for both.
        // SAFETY: the caller promises a size that is not zero.
        let ptr = unsafe { self.alloc(layout, hakmem::site!()) };
        if !ptr.is_null() {
            // SAFETY: just requested with this size.
            unsafe { ptr.write_bytes(0, layout.size()) };
        }
        ptr
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: the caller promises a live block of this allocator, and a size that is not zero.
            return unsafe { libc::realloc(ptr.cast(), size) }.cast();
        }
        // `realloc` of C keeps no alignment.
        // SAFETY: the size is not zero, and the alignment is one of a layout.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align()), hakmem::site!()) };
        if !new.is_null() {
            // SAFETY: both blocks have this many bytes; the old one is live and freed once.
            unsafe {
                std::ptr::copy_nonoverlapping(ptr, new, layout.size().min(size));
                self.dealloc(ptr, layout);
            }
        }
        new
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, _layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator.
        unsafe { libc::free(ptr.cast()) }
    }
}

/// May be asked about blocks of `malloc` only, because `malloc_usable_size` is undefined for others.
pub(crate) const WITNESS: Witness = Witness {
    name: "preloaded",
    by: "malloc_usable_size",
    mark: no_mark,
    claims: |_, ptr, size| usable_size(ptr).is_none_or(|usable| usable >= size),
};

/// Usable bytes of a block of `malloc`. `None` when the library behind `malloc` has no `malloc_usable_size`: the C
/// library's would then be asked about a block that is not its own.
fn usable_size(ptr: *const u8) -> Option<usize> {
    static SAME: OnceLock<bool> = OnceLock::new();
    let same = *SAME.get_or_init(|| {
        library_of(libc::malloc as *const c_void) == library_of(libc::malloc_usable_size as *const c_void)
    });
    // SAFETY: a live block of `malloc`, asked of the library that served it.
    same.then(|| unsafe { libc::malloc_usable_size(ptr.cast_mut().cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_alignments_are_served() {
        for align in [8, 16, 64, 4096] {
            let layout = Layout::from_size_align(100, align).expect("a layout");
            // SAFETY: the size is not zero.
            let ptr = unsafe { Preloaded.alloc(layout, hakmem::site!()) };
            assert!(!ptr.is_null() && (ptr as usize).is_multiple_of(align), "{align}");
            assert!(usable_size(ptr).is_none_or(|usable| usable >= 100));
            // SAFETY: just requested with this layout.
            unsafe { Preloaded.dealloc(ptr, layout) };
        }
    }
}
