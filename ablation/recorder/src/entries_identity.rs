//! Calls that change the root folder or the user: after them the raw file may not be found, or not be opened. It is kept open
//! from then on.

use crate::switch::{self, OFF, UNKNOWN};
use crate::{chunks, next, sys};
use core::ffi::{CStr, c_char, c_int};
use core::mem::transmute;

fn before() {
    if ![OFF, UNKNOWN].contains(&switch::generation()) {
        sys::keeping_errno(chunks::keep_open);
    }
}

/// Defines functions that keep the file open, and call the next one of their name.
macro_rules! passes_on {
    ($($name:ident $text:literal ($($argument:ident: $type:ty),*);)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
            before();
            let name: &CStr = $text;
            let function = next::find(name);
            if function.is_null() {
                // SAFETY: the calling thread's own word.
                unsafe { *libc::__errno_location() = libc::ENOSYS };
                return -1;
            }
            // SAFETY: the C library's function of that name.
            let function = unsafe { transmute::<*mut core::ffi::c_void, unsafe extern "C" fn($($type),*) -> c_int>(function) };
            // SAFETY: the caller's promise.
            unsafe { function($($argument),*) }
        }
    )* };
}

passes_on! {
    chroot c"chroot" (path: *const c_char);
    setuid c"setuid" (user: libc::uid_t);
    seteuid c"seteuid" (user: libc::uid_t);
    setreuid c"setreuid" (real: libc::uid_t, effective: libc::uid_t);
    setresuid c"setresuid" (real: libc::uid_t, effective: libc::uid_t, saved: libc::uid_t);
    setgid c"setgid" (group: libc::gid_t);
    setegid c"setegid" (group: libc::gid_t);
    setregid c"setregid" (real: libc::gid_t, effective: libc::gid_t);
    setresgid c"setresgid" (real: libc::gid_t, effective: libc::gid_t, saved: libc::gid_t);
}
