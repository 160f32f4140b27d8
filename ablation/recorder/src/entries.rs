//! The C library's allocation functions. Each has an entry that knows its caller's address, and a body that passes the call
//! on. They do as the next allocator does, also where they fail.

use crate::arch::with_caller;
use crate::layout::{Asked, NO_ALIGN};
use crate::{bootstrap, next, record};
use core::ffi::{c_int, c_void};
use core::ptr;

with_caller! {
    malloc, "rsi", "x1" => malloc_at;
    calloc, "rdx", "x2" => calloc_at;
    realloc, "rdx", "x2" => realloc_at;
    reallocarray, "rcx", "x3" => reallocarray_at;
    aligned_alloc, "rdx", "x2" => aligned_alloc_at;
    memalign, "rdx", "x2" => memalign_at;
    posix_memalign, "rcx", "x3" => posix_memalign_at;
    valloc, "rsi", "x1" => valloc_at;
    pvalloc, "rsi", "x1" => pvalloc_at;
}

/// What a call asks for that has no alignment.
#[inline(always)]
pub(crate) fn plain(size: usize, site: usize) -> Asked {
    Asked { size: size as u64, align_log2: NO_ALIGN, zeroed: false, site: site as u64 }
}

/// What a call asks for that has an alignment.
#[inline(always)]
pub(crate) fn aligned(align: usize, size: usize, site: usize) -> Asked {
    Asked { align_log2: align.trailing_zeros().min(47) as u8, ..plain(size, site) }
}

#[inline(always)]
pub(crate) extern "C" fn malloc_at(size: usize, site: usize) -> *mut c_void {
    if !next::is_there() {
        return bootstrap::allocate(size, 0);
    }
    // SAFETY: it is there.
    let object = unsafe { next::malloc(size) };
    record::allocated(object, plain(size, site));
    object
}

extern "C" fn calloc_at(count: usize, size: usize, site: usize) -> *mut c_void {
    let bytes = count.wrapping_mul(size);
    if !next::is_there() {
        return bootstrap::allocate(bytes, 0);
    }
    // SAFETY: it is there.
    let object = unsafe { next::calloc(count, size) };
    record::allocated(object, Asked { zeroed: true, ..plain(bytes, site) });
    object
}

unsafe extern "C" fn realloc_at(object: *mut c_void, size: usize, site: usize) -> *mut c_void {
    if !next::is_there() || bootstrap::has(object) {
        return out_of_bootstrap(object, size, site);
    }
    if object.is_null() {
        // SAFETY: it is there.
        let object = unsafe { next::realloc(object, size) };
        record::allocated(object, plain(size, site));
        return object;
    }
    record::reallocating(object);
    // SAFETY: the caller's promise.
    let object = unsafe { next::realloc(object, size) };
    record::reallocated(object, plain(size, site));
    object
}

/// Moves an object of the loader's first calls.
#[cold]
fn out_of_bootstrap(object: *mut c_void, size: usize, site: usize) -> *mut c_void {
    let new = malloc_at(size, site);
    if !object.is_null() && !new.is_null() {
        let bytes = bootstrap::size_of(object).min(size);
        // SAFETY: both objects have so many bytes.
        unsafe { new.cast::<u8>().copy_from_nonoverlapping(object.cast(), bytes) };
    }
    new
}

unsafe extern "C" fn reallocarray_at(object: *mut c_void, count: usize, size: usize, site: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { realloc_at(object, bytes, site) },
        None => {
            // SAFETY: the calling thread's own word.
            unsafe { *libc::__errno_location() = libc::ENOMEM };
            ptr::null_mut()
        }
    }
}

/// Frees an object. Nothing for null.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free(object: *mut c_void) {
    if object.is_null() || bootstrap::has(object) || !next::is_there() {
        return;
    }
    record::freeing(object);
    // SAFETY: the caller's promise.
    unsafe { next::free(object) };
}

extern "C" fn aligned_alloc_at(align: usize, size: usize, site: usize) -> *mut c_void {
    if !next::is_there() {
        return bootstrap::allocate(size, align);
    }
    // SAFETY: it is there.
    let object = unsafe { next::aligned_alloc(align, size) };
    record::allocated(object, aligned(align, size, site));
    object
}

pub(crate) extern "C" fn memalign_at(align: usize, size: usize, site: usize) -> *mut c_void {
    if !next::is_there() {
        return bootstrap::allocate(size, align);
    }
    // SAFETY: it is there.
    let object = unsafe { next::memalign(align, size) };
    record::allocated(object, aligned(align, size, site));
    object
}

unsafe extern "C" fn posix_memalign_at(at: *mut *mut c_void, align: usize, size: usize, site: usize) -> c_int {
    if !next::is_there() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    let result = unsafe { next::posix_memalign(at, align, size) };
    if result == 0 {
        // SAFETY: the call wrote it.
        record::allocated(unsafe { *at }, aligned(align, size, site));
    }
    result
}

/// The alignment of `valloc`, and what `pvalloc` rounds to.
const PAGE: usize = 4096;

extern "C" fn valloc_at(size: usize, site: usize) -> *mut c_void {
    if !next::has_page_functions() {
        return memalign_at(PAGE, size, site);
    }
    // SAFETY: it is there.
    let object = unsafe { next::valloc(size) };
    record::allocated(object, aligned(PAGE, size, site));
    object
}

extern "C" fn pvalloc_at(size: usize, site: usize) -> *mut c_void {
    let bytes = size.checked_next_multiple_of(PAGE).unwrap_or(size);
    if !next::has_page_functions() {
        return memalign_at(PAGE, bytes, site);
    }
    // SAFETY: it is there.
    let object = unsafe { next::pvalloc(size) };
    record::allocated(object, aligned(PAGE, bytes, site));
    object
}
