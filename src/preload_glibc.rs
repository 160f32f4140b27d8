//! What of glibc's interface goes beyond its allocation functions, for the library of the feature `preload`: glibc's
//! inner names of them, functions that must reach the program's own ones, and `dlopen`.
//!
//! A program may define some allocation functions of its own, and the loader then prefers them to this library's. Such
//! programs build them on `__libc_malloc` and its like, and expect `reallocarray` to call their `realloc`, as glibc's does.
//! All other calls inside this library stay inside: it is linked so.

use crate::os;
use crate::preload::{calloc, fail, free, malloc, memalign, posix_memalign, pvalloc, realloc, valloc};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem;
use core::sync::atomic::{AtomicPtr, Ordering};

/// As [`malloc`], which a program may define itself.
#[unsafe(no_mangle)]
extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc(size)
}

/// As [`free`].
///
/// # Safety
/// - as for [`free`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_free(object: *mut c_void) {
    // SAFETY: passed on.
    unsafe { free(object) }
}

/// As [`calloc`].
#[unsafe(no_mangle)]
extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    calloc(count, size)
}

/// As [`realloc`].
///
/// # Safety
/// - as for [`realloc`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_realloc(object: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: passed on.
    unsafe { realloc(object, size) }
}

/// As [`memalign`].
#[unsafe(no_mangle)]
extern "C" fn __libc_memalign(align: usize, size: usize) -> *mut c_void {
    memalign(align, size)
}

/// As [`valloc`].
#[unsafe(no_mangle)]
extern "C" fn __libc_valloc(size: usize) -> *mut c_void {
    valloc(size)
}

/// As [`pvalloc`].
#[unsafe(no_mangle)]
extern "C" fn __libc_pvalloc(size: usize) -> *mut c_void {
    pvalloc(size)
}

/// As [`posix_memalign`].
///
/// # Safety
/// - as for [`posix_memalign`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // SAFETY: passed on.
    unsafe { posix_memalign(out, align, size) }
}

type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);

/// The process's `realloc` and `free`: the program's, or else this library's. Null before the first use. Relaxed: a
/// function is code that was there before.
static REALLOC: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
static FREE: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// The process's function of this name, which stands in `known` from the first call on. The program is searched first.
/// `RTLD_DEFAULT` would begin with this library, because it binds its own names to itself.
pub(crate) fn find_in_process(known: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let mut function = known.load(Ordering::Relaxed);
    if function.is_null() {
        let Some(dlopen) = next_dlopen() else {
            return core::ptr::null_mut();
        };
        // SAFETY: null is the program, which is open already; the reference that is taken does no harm.
        let program = unsafe { dlopen(core::ptr::null(), libc::RTLD_LAZY) };
        // SAFETY: a handle, and a name that at least this library has.
        function = unsafe { libc::dlsym(program, name.as_ptr()) };
        known.store(function, Ordering::Relaxed);
    }
    function
}

/// As the process's `realloc`, to `count` times `size` bytes. Null and `ENOMEM` also when the product overflows.
///
/// # Safety
/// - as for [`realloc`].
#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(object: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else {
        return fail(libc::ENOMEM);
    };
    // SAFETY: null, or a function of that name and signature.
    let found: Option<Realloc> = unsafe { mem::transmute(find_in_process(&REALLOC, c"realloc")) };
    // SAFETY: passed on.
    unsafe { found.unwrap_or(realloc)(object, bytes) }
}

/// As the process's `free`. glibc no longer declares it, but old programs call it.
///
/// # Safety
/// - as for [`free`].
#[unsafe(no_mangle)]
unsafe extern "C" fn cfree(object: *mut c_void) {
    // SAFETY: null, or a function of that name and signature.
    let found: Option<Free> = unsafe { mem::transmute(find_in_process(&FREE, c"free")) };
    // SAFETY: passed on.
    unsafe { found.unwrap_or(free)(object) }
}

/// As the process's `free`; the size is not needed and not verified.
///
/// # Safety
/// - as for [`free`].
#[unsafe(no_mangle)]
unsafe extern "C" fn free_sized(object: *mut c_void, _size: usize) {
    // SAFETY: passed on.
    unsafe { cfree(object) }
}

/// As the process's `free`; alignment and size are not needed and not verified.
///
/// # Safety
/// - as for [`free`].
#[unsafe(no_mangle)]
unsafe extern "C" fn free_aligned_sized(object: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: passed on.
    unsafe { cfree(object) }
}

/// Opens a library, by the C library's function and as if the caller had called that, but without `RTLD_DEEPBIND`. With
/// it, the library's own `free` would be glibc's, and its `strdup` would still allocate here: the loader binds the C
/// library's inner calls to the process's allocator. Both sanitizers and language runtimes leave the flag out likewise.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn dlopen() {
    os::jump_to_next!(without_deepbind)
}

type Dlopen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;

/// The C library's `dlopen`, or that of a library that comes between; `None` where an old C library has it apart.
fn next_dlopen() -> Option<Dlopen> {
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
    let mut function = NEXT.load(Ordering::Relaxed);
    if function.is_null() {
        // SAFETY: a name that the C library has.
        function = unsafe { libc::dlsym(libc::RTLD_NEXT, c"dlopen".as_ptr()) };
        NEXT.store(function, Ordering::Relaxed);
    }
    // SAFETY: null, or the function of that name and signature.
    unsafe { mem::transmute(function) }
}

/// A function to go on with, and the mode to call it with.
#[repr(C)]
struct Next {
    function: Option<Dlopen>,
    mode: usize,
}

/// Where [`dlopen`] goes on.
extern "C" fn without_deepbind(mode: c_int) -> Next {
    Next { function: next_dlopen(), mode: (mode & !libc::RTLD_DEEPBIND) as usize }
}
