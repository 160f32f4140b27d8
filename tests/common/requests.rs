//! Requests of a program, in short.

use super::kernel::virtual_pages;
use super::{KIB, MIB, PAGE};
use hakmem::{Hakmem, Site};
use std::alloc::{GlobalAlloc, Layout};

pub(crate) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("far from overflow")
}

pub(crate) fn allocate_at(size: usize, site: usize) -> *mut u8 {
    // SAFETY: any layout is allowed.
    let object = unsafe { Hakmem.alloc_at(layout(size), Site::new(site)) };
    assert!(!object.is_null());
    object
}

pub(crate) fn allocate(size: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    let object = unsafe { Hakmem.alloc(layout(size)) };
    assert!(!object.is_null());
    object
}

pub(crate) fn free(object: *mut u8, size: usize) {
    // SAFETY: the callers made it with this size, and free it once.
    unsafe { Hakmem.dealloc(object, layout(size)) };
}

pub(crate) fn reallocate(object: *mut u8, old_size: usize, size: usize) -> *mut u8 {
    // SAFETY: the callers made it with this size.
    let object = unsafe { Hakmem.realloc(object, layout(old_size), size) };
    assert!(!object.is_null());
    object
}

pub(crate) fn use_once(size: usize) {
    free(allocate(size), size);
}

/// So many requests, each freed at once.
pub(crate) fn requests(size: usize, count: usize) {
    for _ in 0..count {
        use_once(size);
    }
}

/// So many requests that no cache serves: no run is aligned to more than half a segment.
pub(crate) fn slow_requests(size: usize, count: usize) {
    let layout = Layout::from_size_align(size, 4 * MIB).expect("far from overflow");
    for _ in 0..count {
        // SAFETY: the size is not 0, and the object is freed once, with its layout.
        unsafe {
            let object = Hakmem.alloc(layout);
            assert!(!object.is_null());
            Hakmem.dealloc(object, layout);
        }
    }
}

/// Writes a byte into each OS page, and the last.
pub(crate) fn touch(object: *mut u8, size: usize) {
    for at in (0..size).step_by(PAGE).chain([size - 1]) {
        // SAFETY: the object is that long. Volatile, because no code reads it.
        unsafe { object.add(at).write_volatile(1) };
    }
}

/// Whether a large object has a mapping of its own: inside one of those, hakmem owns no address but the object's.
pub(crate) fn has_own_mapping(object: *mut u8) -> bool {
    assert!(hakmem::owns(object));
    !hakmem::owns(object.wrapping_add(64 * KIB))
}

/// How many of `count` requests of this size get mappings of their own.
pub(crate) fn own_mappings(size: usize, count: usize) -> usize {
    (0..count)
        .filter(|_| {
            let object = allocate(size);
            let own = has_own_mapping(object);
            free(object, size);
            own
        })
        .count()
}

/// OS pages that an object of 2 MiB maps, and how far into its first page it starts.
pub(crate) fn pages_of_two_mib() -> (usize, usize) {
    use_once(2 * MIB);
    let before = virtual_pages();
    let object = allocate(2 * MIB);
    let after = virtual_pages();
    free(object, 2 * MIB);
    (after - before, object.addr() % PAGE)
}
