//! What the kernel is asked as the process begins: a filter of system calls that the program installs later may end the
//! process for the question.
//!
//! | known from the start | asked again |
//! |---|---|
//! | the processors | never |
//! | the process's number | when it is first needed in the child of a fork |
//! | the process's limits | after a call that sets them, and after memory was refused |

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        use super::model as arch;
    } else if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

/// The processors that the process was started with, one bit each; zeroes if there are more than these.
pub(super) static PROCESSORS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];
/// The process's number; 0 while it is not known.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// Bytes of addresses, or of private memory, that the process may have: what is less; 0 while that is not known.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// Asks before the program can bind its threads to some of the processors, or filter its calls.
#[cfg(not(loom))]
#[used]
#[unsafe(link_section = ".init_array")]
static ASK: extern "C" fn() = {
    extern "C" fn ask() {
        let (len, mask) = (size_of_val(&PROCESSORS), PROCESSORS.as_ptr().addr());
        // SAFETY: writes at most as many bytes as the static has, before another thread reads them.
        unsafe { arch::syscall6(arch::SYS_SCHED_GETAFFINITY, 0, len, mask, 0, 0, 0) };
        process();
        known_limit();
    }
    ask
};

/// The calling process's number. In the child of a fork that no handler was called for it may be the parent's.
pub(super) fn process() -> u32 {
    match PROCESS.load(Ordering::Relaxed) {
        0 => ask_process(),
        known => known,
    }
}

/// The calling process's number, as the kernel knows it. The child of a `vfork` does not note it, since it shares the memory.
pub(super) fn process_now() -> u32 {
    // SAFETY: only returns a number.
    unsafe { arch::syscall6(arch::SYS_GETPID, 0, 0, 0, 0, 0, 0) as u32 }
}

fn ask_process() -> u32 {
    let process = process_now();
    PROCESS.store(process, Ordering::Relaxed);
    process
}

/// Forgets the process's number, in the child of a fork.
pub(super) fn forget_process() {
    PROCESS.store(0, Ordering::Relaxed);
}

/// Bytes of addresses, or of private memory, that the process may have, as it was last asked for; `usize::MAX` without a
/// limit.
pub(crate) fn known_limit() -> usize {
    const RLIMIT_DATA: usize = 2;
    match LIMIT.load(Ordering::Relaxed) {
        0 => {
            let least = address_limit().min(limit(RLIMIT_DATA)).max(1);
            LIMIT.store(least, Ordering::Relaxed);
            least
        }
        known => known,
    }
}

/// Whether the process may have only so many addresses, or so much private memory.
pub(crate) fn is_limited() -> bool {
    known_limit() < usize::MAX
}

/// Lets the kernel be asked for the limits again: they were set, or memory was refused.
pub(super) fn forget_limits() {
    LIMIT.store(0, Ordering::Relaxed);
}

/// Sets a limit of a process, and reads the old one, as `prlimit` of the C library does.
///
/// # Errors
/// The kernel's error number.
///
/// # Safety
/// - each address is null or that of two words.
#[allow(dead_code, reason = "only the C interface calls it")]
pub(crate) unsafe fn set_limit(process: i32, resource: i32, new: *const u64, old: *mut u64) -> Result<(), i32> {
    let (process, resource) = (process as usize, resource as usize);
    // SAFETY: passed on.
    let result = unsafe { arch::syscall6(arch::SYS_PRLIMIT, process, resource, new.addr(), old.addr(), 0, 0) };
    if !new.is_null() {
        forget_limits();
    }
    // Results below 0 are error numbers.
    if result.cast_signed() < 0 { Err(result.wrapping_neg() as i32) } else { Ok(()) }
}

/// Bytes of addresses that the process may have now (`RLIMIT_AS`); `usize::MAX` without a limit.
pub(crate) fn address_limit() -> usize {
    const RLIMIT_AS: usize = 9;
    limit(RLIMIT_AS)
}

fn limit(resource: usize) -> usize {
    let mut limit = [u64::MAX; 2];
    // SAFETY: writes the two words of the limit of the calling process.
    unsafe { arch::syscall6(arch::SYS_PRLIMIT, 0, resource, 0, (&raw mut limit).addr(), 0, 0) };
    limit[0] as usize
}
