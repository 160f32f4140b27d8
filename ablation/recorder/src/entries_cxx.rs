//! C++'s `new` and `delete`, so that the call site is theirs and not within the C++ library. An object of `new` is one of
//! `malloc`, as in that library. Where there is no memory, the library's own `new` is called, which knows the handler and
//! throws.

use crate::arch::{with_caller, with_caller_or_else};
use crate::entries::{free, malloc_at, memalign_at};
use crate::next;
use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

type OrElse = AtomicPtr<c_void>;

static NEW: OrElse = AtomicPtr::new(ptr::null_mut());
static NEW_ALIGNED: OrElse = AtomicPtr::new(ptr::null_mut());

with_caller_or_else! {
    _Znwm, "rsi", "x1" => new_at, NEW;
    _Znam, "rsi", "x1" => new_at, NEW;
    _ZnwmSt11align_val_t, "rdx", "x2" => new_aligned_at, NEW_ALIGNED;
    _ZnamSt11align_val_t, "rdx", "x2" => new_aligned_at, NEW_ALIGNED;
}

// Those that give null where there is no memory: their last argument says only that.
with_caller! {
    _ZnwmRKSt9nothrow_t, "rsi", "x1" => new_or_null_at;
    _ZnamRKSt9nothrow_t, "rsi", "x1" => new_or_null_at;
    _ZnwmSt11align_val_tRKSt9nothrow_t, "rdx", "x2" => new_aligned_or_null_at;
    _ZnamSt11align_val_tRKSt9nothrow_t, "rdx", "x2" => new_aligned_or_null_at;
}

extern "C" fn new_or_null_at(size: usize, site: usize) -> *mut c_void {
    malloc_at(size.max(1), site)
}

extern "C" fn new_aligned_or_null_at(size: usize, align: usize, site: usize) -> *mut c_void {
    memalign_at(align, size.max(1), site)
}

extern "C" fn new_at(size: usize, site: usize) -> *mut c_void {
    let object = new_or_null_at(size, site);
    if object.is_null() {
        find(&NEW, c"_Znwm");
    }
    object
}

extern "C" fn new_aligned_at(size: usize, align: usize, site: usize) -> *mut c_void {
    let object = new_aligned_or_null_at(size, align, site);
    if object.is_null() {
        find(&NEW_ALIGNED, c"_ZnwmSt11align_val_t");
    }
    object
}

/// Finds who throws. A program that calls `new` has a C++ library; without one, it ends.
#[cold]
fn find(or_else: &OrElse, name: &CStr) {
    let found = next::find(name);
    let found = if found.is_null() { libc::abort as *mut c_void } else { found };
    or_else.store(found, Ordering::Relaxed);
}

/// Defines forms of `delete`, whose further arguments are of no use here.
macro_rules! deletes {
    ($($name:ident)*) => { $(
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "C++ names are mangled")]
        unsafe extern "C" fn $name(object: *mut c_void) {
            // SAFETY: the caller's promise.
            unsafe { free(object) }
        }
    )* };
}

deletes! {
    _ZdlPv
    _ZdaPv
    _ZdlPvm
    _ZdaPvm
    _ZdlPvRKSt9nothrow_t
    _ZdaPvRKSt9nothrow_t
    _ZdlPvSt11align_val_t
    _ZdaPvSt11align_val_t
    _ZdlPvmSt11align_val_t
    _ZdaPvmSt11align_val_t
    _ZdlPvSt11align_val_tRKSt9nothrow_t
    _ZdaPvSt11align_val_tRKSt9nothrow_t
}
