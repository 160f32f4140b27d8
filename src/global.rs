//! The allocator for Rust programs: [`GlobalAlloc`], and allocation with a call site.

use crate::alloc::{allocate, free, reallocate};
use crate::request::Site;
use core::alloc::{GlobalAlloc, Layout};

/// The allocator. All values share the one state of the process.
///
/// ```
/// use hakmem::Hakmem;
///
/// #[global_allocator]
/// static GLOBAL: Hakmem = Hakmem;
///
/// let words: Vec<u64> = (0..1000).collect();
/// assert!(hakmem::owns(words.as_ptr().cast()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Hakmem;

impl Hakmem {
    /// Allocates for a call site, by which the factor `bigcache` keeps freed objects in its form `ring`.
    /// [`site!`](crate::site!) is the site of the place where it is written. Objects are freed with
    /// [`GlobalAlloc::dealloc`].
    ///
    /// Returns null when there is no memory. A layout of size 0 is served like one of size 1.
    ///
    /// # Safety
    /// - none beyond what [`GlobalAlloc::alloc`] asks; size 0 is allowed.
    #[inline]
    pub unsafe fn alloc_at(&self, layout: Layout, site: Site) -> *mut u8 {
        allocate::allocate(layout.size(), layout.align(), Some(site))
    }
}

// SAFETY: objects do not overlap, hold their layout, and live until they are freed; no method unwinds. The tests in
// tests/contract.rs hold this at every level of every factor.
unsafe impl GlobalAlloc for Hakmem {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocate::allocate(layout.size(), layout.align(), None)
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, _layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { free::free(object) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocate::allocate_zeroed(layout.size(), layout.align())
    }

    #[inline]
    unsafe fn realloc(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { reallocate::reallocate(object, layout.size(), layout.align(), size) }
    }
}
