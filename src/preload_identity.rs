//! The C library's calls that change what a process is: its namespaces, its user and its groups.
//!
//! The kernel refuses some of them to a process with several threads (`unshare`, `setns`), and the C library makes the
//! others in the threads that it knows. So the purge's thread ends first, and is started again afterwards, if something
//! waits: it then is what the caller has become.
//!
//! The calls that limit a process are here too: where addresses are limited, the allocator gives them back to the kernel,
//! and it does not ask for the limits again by itself.

use crate::alloc::purge;
use crate::os;
use core::ffi::{CStr, c_int};
use core::{mem, ptr};

/// Declares functions that stop the purge and call the function of their name that comes after this library.
macro_rules! without_the_purge {
    ($($name:ident($($argument:ident: $type:ty),+) called $text:literal;)+) => {$(
        #[doc = concat!("Stops the purge, and calls the `", stringify!($name), "` of the C library. `ENOSYS` where it has none.")]
        ///
        /// # Safety
        /// - as of that function.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),+) -> c_int {
            let Some(address) = next($text) else { return -1 };
            // The child of a `vfork` has one thread, and must leave those of its parent alone.
            let has_purge = os::thread_is_own();
            if has_purge {
                purge::pause();
            }
            // SAFETY: the C library's function of this name has this type.
            let call: unsafe extern "C" fn($($type),+) -> c_int = unsafe { mem::transmute(address) };
            // SAFETY: the caller's promise.
            let result = unsafe { call($($argument),+) };
            if has_purge {
                purge::resume();
            }
            result
        }
    )+};
}

without_the_purge! {
    unshare(flags: c_int) called c"unshare";
    setns(file: c_int, kind: c_int) called c"setns";
    setuid(user: libc::uid_t) called c"setuid";
    setgid(group: libc::gid_t) called c"setgid";
    seteuid(user: libc::uid_t) called c"seteuid";
    setegid(group: libc::gid_t) called c"setegid";
    setreuid(user: libc::uid_t, effective: libc::uid_t) called c"setreuid";
    setregid(group: libc::gid_t, effective: libc::gid_t) called c"setregid";
    setresuid(user: libc::uid_t, effective: libc::uid_t, saved: libc::uid_t) called c"setresuid";
    setresgid(group: libc::gid_t, effective: libc::gid_t, saved: libc::gid_t) called c"setresgid";
    setgroups(count: usize, groups: *const libc::gid_t) called c"setgroups";
}

/// Declares functions that set a limit of the calling process. By a system call: programs call them between `fork` and
/// `exec`, where a search for the next function may wait for ever.
macro_rules! set_limit {
    ($($name:ident)+) => {$(
        /// Sets a limit, and lets the allocator know.
        ///
        /// # Safety
        /// - as of the C library's function.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(resource: c_int, new: *const u64) -> c_int {
            // SAFETY: passed on: a limit is two words.
            result(unsafe { os::set_limit(0, resource, new, ptr::null_mut()) })
        }
    )+};
}

/// As [`set_limit`], for any process.
macro_rules! exchange_limit {
    ($($name:ident)+) => {$(
        /// Sets a limit, reads the old one, and lets the allocator know.
        ///
        /// # Safety
        /// - as of the C library's function.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(process: libc::pid_t, resource: c_int, new: *const u64, old: *mut u64) -> c_int {
            // SAFETY: passed on.
            result(unsafe { os::set_limit(process, resource, new, old) })
        }
    )+};
}

set_limit!(setrlimit setrlimit64);
exchange_limit!(prlimit prlimit64);

/// What a function of the C library returns; sets `errno`.
fn result(done: Result<(), i32>) -> c_int {
    let Err(error) = done else { return 0 };
    // SAFETY: the calling thread's own word.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// The function of this name in the libraries that come after this one. `None` and `ENOSYS` if there is none.
fn next(name: &CStr) -> Option<*mut libc::c_void> {
    // SAFETY: a name that ends with a zero.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if address.is_null() {
        // SAFETY: the calling thread's own word.
        unsafe { *libc::__errno_location() = libc::ENOSYS };
        return None;
    }
    Some(address)
}
