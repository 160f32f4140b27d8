//! The allocator for collections: `Allocator` of the crate `allocator-api2`, the stable mirror of the standard
//! library's unstable trait.

use crate::alloc::{allocate, free, reallocate};
use crate::global::Hakmem;
use allocator_api2::alloc::{AllocError, Allocator};
use core::alloc::Layout;
use core::ptr::NonNull;

// SAFETY: memory lives until it is deallocated, wherever the value moves: all values are one allocator. Non-empty
// objects come from the calls that `GlobalAlloc` makes; empty ones are dangling addresses, which no call reads, frees
// or passes on.
unsafe impl Allocator for Hakmem {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        object(allocate::allocate(layout.size(), layout.align(), None), layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        object(allocate::allocate_zeroed(layout.size(), layout.align()), layout)
    }

    #[inline]
    unsafe fn deallocate(&self, address: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: the caller's promise; a non-empty object came from `allocate`.
            unsafe { free::free(address.as_ptr()) }
        }
    }

    #[inline]
    unsafe fn grow(&self, address: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { resize(self, address, old, new) }
    }

    #[inline]
    unsafe fn grow_zeroed(&self, address: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        let grown = unsafe { resize(self, address, old, new) }?;
        // SAFETY: the object holds the new layout, whose size is at least the old one's.
        unsafe { grown.cast::<u8>().as_ptr().add(old.size()).write_bytes(0, new.size() - old.size()) };
        Ok(grown)
    }

    #[inline]
    unsafe fn shrink(&self, address: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { resize(self, address, old, new) }
    }
}

/// The address of an empty object.
fn empty(layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(layout.dangling_ptr(), 0)
}

/// The object of a layout at an address, or an error for null.
fn object(address: *mut u8, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
    NonNull::new(address).map(|address| NonNull::slice_from_raw_parts(address, layout.size())).ok_or(AllocError)
}

/// Gives an object another layout, longer or shorter, in its place or elsewhere.
///
/// # Errors
/// There is no memory; the object is then as it was.
///
/// # Safety
/// - the object is one of `allocator`'s with the layout `old`, and no other thread uses it.
unsafe fn resize(
    allocator: &Hakmem,
    address: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    if old.size() > 0 && new.size() > 0 && new.align() <= old.align() {
        // SAFETY: the caller's promise; the alignment that the object has is kept.
        let moved = unsafe { reallocate::reallocate(address.as_ptr(), old.size(), old.align(), new.size()) };
        return object(moved, new);
    }
    let other = allocator.allocate(new)?;
    let kept = old.size().min(new.size());
    // SAFETY: both objects have at least `kept` bytes, and a new object overlaps no other.
    unsafe { other.cast::<u8>().copy_from_nonoverlapping(address, kept) };
    // SAFETY: the caller gives the old object up.
    unsafe { allocator.deallocate(address, old) };
    Ok(other)
}
