//! The end of a process whose heap is corrupt, and what it says.

use super::thread::{alarm, is_on_stack, sleep_ms};

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        use super::model as arch;
    } else if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

/// Ends the process by SIGABRT.
pub(crate) fn abort() -> ! {
    let here = 0_u8;
    if is_on_stack((&raw const here).addr()) {
        abort_from_own_thread();
    }
    // SAFETY: does not return, and runs no code of the allocator.
    unsafe { libc::abort() }
}

/// Ends the process from the allocator's own thread. A handler of the signal would run without thread-local storage of its
/// own and on a short stack here: the signal goes to the process, of which another thread takes it.
#[cold]
fn abort_from_own_thread() -> ! {
    const SIGABRT: usize = 6;
    // SAFETY: the calls change no other memory; the zeroed words are the default action, without flags or a mask.
    unsafe {
        let process = arch::syscall6(arch::SYS_GETPID, 0, 0, 0, 0, 0, 0);
        let mut action = [0_u64; 4];
        arch::syscall6(arch::SYS_RT_SIGACTION, SIGABRT, 0, (&raw mut action).addr(), 8, 0, 0);
        arch::syscall6(arch::SYS_KILL, process, SIGABRT, 0, 0, 0, 0);
        // A handler may take its time; 0 and 1 are none. One that returns does not go on with a corrupt heap.
        let wait_s = if action[0] > 1 { 10 } else { 0 };
        (0..wait_s).for_each(|_| sleep_ms(999, alarm()));
        let default = [0_u64; 4];
        arch::syscall6(arch::SYS_RT_SIGACTION, SIGABRT, (&raw const default).addr(), 0, 8, 0, 0);
        arch::syscall6(arch::SYS_KILL, process, SIGABRT, 0, 0, 0, 0);
        // Every other thread has ended, or blocks the signal.
        sleep_ms(100, alarm());
        loop {
            arch::syscall6(arch::SYS_EXIT_GROUP, 127, 0, 0, 0, 0, 0);
        }
    }
}

/// Writes to standard error, once. A failure is ignored.
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: the kernel reads `text.len()` bytes of a live slice.
    unsafe {
        arch::syscall6(arch::SYS_WRITE, 2, text.as_ptr().addr(), text.len(), 0, 0, 0);
    }
}
