//! Keeps the allocator's code in the process when the library that holds it is closed.
//!
//! A library may bring hakmem as its own allocator, and a program may load, use and close it. After that, threads that
//! end call back into the allocator, its own thread may run, and objects may live on. The library of the feature
//! `preload` is without this file: it is linked so that it stays (build.rs).

use crate::os;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::{mem, ptr};

type Dladdr = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int;
type Dlopen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;

/// Makes the loader keep the library that this code is in for as long as the process lives; does nothing in a program.
/// The loader has mapped the library when its constructors run, allows them calls of its own, and allocates by the
/// allocator of the process, which is another one.
extern "C" fn keep_loaded() {
    let (dladdr, dlopen) = os::loader();
    if dladdr == 0 || dlopen == 0 {
        return;
    }
    // SAFETY: addresses of the functions of these names, with these signatures.
    let (dladdr, dlopen) =
        unsafe { (mem::transmute::<usize, Dladdr>(dladdr), mem::transmute::<usize, Dlopen>(dlopen)) };
    let object_of = |address: *const c_void| {
        // SAFETY: zeroes are pointers and null.
        let mut object: libc::Dl_info = unsafe { mem::zeroed() };
        // SAFETY: writes the struct, and reads nothing at the address.
        let is_known = unsafe { dladdr(address, &raw mut object) } != 0 && !object.dli_fname.is_null();
        is_known.then_some(object)
    };
    // SAFETY: reads a word of the auxiliary vector: where the headers of the program lie.
    let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    let own = object_of(keep_loaded as *const () as *const c_void);
    let program = object_of(ptr::without_provenance(program));
    let Some(own) = own.filter(|own| program.is_none_or(|program| program.dli_fbase != own.dli_fbase)) else {
        return;
    };
    // SAFETY: the loader's own name of the object, a string that lives as long as the object.
    if unsafe { CStr::from_ptr(own.dli_fname) }.is_empty() {
        return;
    }
    // The object is found by its name among those that are loaded: no file is opened. The reference is never dropped.
    // SAFETY: as above; no constructor runs, since the object is loaded.
    unsafe { dlopen(own.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
}

#[used]
#[unsafe(link_section = ".init_array")]
static KEEP_LOADED: extern "C" fn() = keep_loaded;
