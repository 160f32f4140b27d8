//! Starts and ends of threads, and the unloading of libraries: what tells in which order threads run, and where code was.

use crate::layout::Sub;
use crate::switch::{self, OFF, UNKNOWN};
use crate::{maps, next, record, sys};
use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

type Create = unsafe extern "C" fn(*mut libc::pthread_t, *const c_void, *mut c_void, *mut c_void) -> c_int;
type Join = unsafe extern "C" fn(libc::pthread_t, *mut *mut c_void) -> c_int;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;

static CREATE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static JOIN: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static CLOSE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// The next function of a name, which is looked for once.
fn find(known: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let mut function = known.load(Ordering::Relaxed);
    if function.is_null() {
        function = next::find(name);
        known.store(function, Ordering::Relaxed);
    }
    function
}

fn records() -> bool {
    ![OFF, UNKNOWN].contains(&switch::generation())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const c_void,
    start: *mut c_void,
    argument: *mut c_void,
) -> c_int {
    let function = find(&CREATE, c"pthread_create");
    if function.is_null() {
        return libc::EAGAIN;
    }
    // SAFETY: the C library's function of that name.
    let function = unsafe { transmute::<*mut c_void, Create>(function) };
    if records() {
        switch::note_threads();
    }
    let before = switch::ticks();
    // SAFETY: the caller's promise.
    let result = unsafe { function(thread, attributes, start, argument) };
    if result == 0 && records() {
        // SAFETY: the call wrote it.
        record::note(Sub::Spawn, 0, before, unsafe { *thread });
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: libc::pthread_t, result: *mut *mut c_void) -> c_int {
    let function = find(&JOIN, c"pthread_join");
    if function.is_null() {
        return libc::ESRCH;
    }
    // SAFETY: the C library's function of that name.
    let function = unsafe { transmute::<*mut c_void, Join>(function) };
    // SAFETY: the caller's promise.
    let answer = unsafe { function(thread, result) };
    if answer == 0 && records() {
        record::note(Sub::Join, 0, switch::ticks(), thread);
    }
    answer
}

/// Notes where code lies before some of it goes away. The C library's function is not told who calls it, so it may be
/// called from here.
#[unsafe(no_mangle)]
unsafe extern "C" fn dlclose(library: *mut c_void) -> c_int {
    if records() {
        sys::keeping_errno(maps::note);
    }
    let function = find(&CLOSE, c"dlclose");
    if function.is_null() {
        return -1;
    }
    // SAFETY: the C library's function of that name.
    let function = unsafe { transmute::<*mut c_void, Close>(function) };
    // SAFETY: the caller's promise.
    unsafe { function(library) }
}
