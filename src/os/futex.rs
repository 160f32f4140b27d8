//! Sleeping in the kernel until a word changes.

use core::sync::atomic::AtomicU32;

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        use super::model as arch;
    } else if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

const FUTEX_WAIT_PRIVATE: usize = 128;
const FUTEX_WAKE_PRIVATE: usize = 129;

/// Sleeps while `*word == expected`, or returns at once; wakes spuriously.
pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    // SAFETY: the word outlives the call; a null timeout means no limit.
    unsafe {
        arch::syscall6(arch::SYS_FUTEX, word.as_ptr().addr(), FUTEX_WAIT_PRIVATE, expected as usize, 0, 0, 0);
    }
}

/// Wakes one sleeper of [`wait`].
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: the kernel only compares the address.
    unsafe {
        arch::syscall6(arch::SYS_FUTEX, word.as_ptr().addr(), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
}

/// As [`wait`], for at most `ms` milliseconds, below 1,000.
pub(crate) fn wait_ms(word: &AtomicU32, expected: u32, ms: u32) {
    let time = [0_u64, u64::from(ms) * 1_000_000];
    // SAFETY: the word outlives the call, which reads a `struct timespec`.
    unsafe {
        let (word, time) = (word.as_ptr().addr(), (&raw const time).addr());
        arch::syscall6(arch::SYS_FUTEX, word, FUTEX_WAIT_PRIVATE, expected as usize, time, 0, 0);
    }
}

/// Wakes all sleepers of [`wait`] and [`wait_ms`].
pub(crate) fn wake_all(word: &AtomicU32) {
    // SAFETY: the kernel only compares the address.
    unsafe {
        arch::syscall6(arch::SYS_FUTEX, word.as_ptr().addr(), FUTEX_WAKE_PRIVATE, i32::MAX as usize, 0, 0, 0);
    }
}
