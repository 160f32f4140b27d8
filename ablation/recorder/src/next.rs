//! The allocator that calls are passed on to.

use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

type Function = AtomicPtr<c_void>;

const fn none() -> Function {
    AtomicPtr::new(ptr::null_mut())
}

static MALLOC: Function = none();
static CALLOC: Function = none();
static REALLOC: Function = none();
static FREE: Function = none();
static MEMALIGN: Function = none();
static ALIGNED_ALLOC: Function = none();
static POSIX_MEMALIGN: Function = none();
static VALLOC: Function = none();
static PVALLOC: Function = none();

/// 0 before the first call, 1 while the loader is asked, 2 after.
static STATE: AtomicU8 = AtomicU8::new(0);

/// The next definition of a name. Null where there is none.
pub(crate) fn find(name: &CStr) -> *mut c_void {
    // SAFETY: a name with its end.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

/// Whether calls can be passed on. `false` while the loader is asked for the functions, which may allocate itself.
#[inline(always)]
pub(crate) fn is_there() -> bool {
    // Acquire: pairs with the release in `look`.
    STATE.load(Ordering::Acquire) == 2 || look()
}

#[cold]
#[inline(never)]
fn look() -> bool {
    // The first call comes while the process has one thread: the loader itself allocates before any other.
    if STATE.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return STATE.load(Ordering::Acquire) == 2;
    }
    let functions: [(&Function, &CStr); 9] = [
        (&FREE, c"free"),
        (&MALLOC, c"malloc"),
        (&CALLOC, c"calloc"),
        (&REALLOC, c"realloc"),
        (&MEMALIGN, c"memalign"),
        (&ALIGNED_ALLOC, c"aligned_alloc"),
        (&POSIX_MEMALIGN, c"posix_memalign"),
        (&VALLOC, c"valloc"),
        (&PVALLOC, c"pvalloc"),
    ];
    for (function, name) in functions {
        function.store(find(name), Ordering::Relaxed);
    }
    // Release: pairs with the acquire in `is_there`.
    STATE.store(2, Ordering::Release);
    true
}

/// An address within the allocator, by which its file is found.
pub(crate) fn an_address() -> *const c_void {
    MALLOC.load(Ordering::Relaxed)
}

/// Defines a function that calls the next one of its name.
macro_rules! passes_on {
    ($($(#[$about:meta])* $name:ident: $function:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => { $(
        $(#[$about])*
        #[inline(always)]
        pub(crate) unsafe fn $name($($argument: $type),*) $(-> $result)? {
            type Signature = unsafe extern "C" fn($($type),*) $(-> $result)?;
            let function = $function.load(Ordering::Relaxed);
            // SAFETY: the next function of that name and signature; the C library has them all.
            let function = unsafe { transmute::<*mut c_void, Signature>(function) };
            // SAFETY: the caller's promise is the function's own.
            unsafe { function($($argument),*) }
        }
    )* };
}

passes_on! {
    /// # Safety
    /// - [`is_there`].
    malloc: MALLOC(size: usize) -> *mut c_void;
    /// # Safety
    /// - as the function's, and [`is_there`].
    free: FREE(object: *mut c_void);
    /// # Safety
    /// - [`is_there`].
    calloc: CALLOC(count: usize, size: usize) -> *mut c_void;
    /// # Safety
    /// - as the function's, and [`is_there`].
    realloc: REALLOC(object: *mut c_void, size: usize) -> *mut c_void;
    /// # Safety
    /// - [`is_there`].
    memalign: MEMALIGN(align: usize, size: usize) -> *mut c_void;
    /// # Safety
    /// - [`is_there`].
    aligned_alloc: ALIGNED_ALLOC(align: usize, size: usize) -> *mut c_void;
    /// # Safety
    /// - as the function's, and [`is_there`].
    posix_memalign: POSIX_MEMALIGN(at: *mut *mut c_void, align: usize, size: usize) -> c_int;
    /// # Safety
    /// - [`has_page_functions`].
    valloc: VALLOC(size: usize) -> *mut c_void;
    /// # Safety
    /// - [`has_page_functions`].
    pvalloc: PVALLOC(size: usize) -> *mut c_void;
}

/// Whether there are `valloc` and `pvalloc`, which are glibc's.
pub(crate) fn has_page_functions() -> bool {
    is_there() && ![&VALLOC, &PVALLOC].iter().any(|function| function.load(Ordering::Relaxed).is_null())
}
