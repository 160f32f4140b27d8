//! Linux on x86-64: system calls, the time-stamp counter and thread-local storage.

use core::arch::{asm, global_asm};

pub(super) const SYS_WRITE: usize = 1;
pub(super) const SYS_MMAP: usize = 9;
pub(super) const SYS_MUNMAP: usize = 11;
pub(super) const SYS_MREMAP: usize = 25;
pub(super) const SYS_MADVISE: usize = 28;
pub(super) const SYS_FUTEX: usize = 202;

/// Makes one system call and returns the kernel's answer unread.
///
/// # Safety
/// - the call does to memory only what its caller may do.
#[inline]
pub(super) unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    let result;
    // SAFETY: the kernel's calling convention: arguments in rdi, rsi, rdx, r10, r8, r9; rcx and r11 are lost.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Reads the time-stamp counter: a monotonic count at a constant rate, not ordered with the code around it.
#[inline]
pub(crate) fn cycles() -> u64 {
    // SAFETY: every x86-64 has the instruction, and Linux does not forbid it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

// Two words of initial-exec thread-local storage. `thread_local!` would do in a program, but in a shared library it
// calls `__tls_get_addr`, which may allocate. The first word starts as the address of a cache that is always empty.
global_asm!(
    ".hidden hakmem_0_1_empty_cache",
    ".pushsection .tdata.hakmem_0_1_slots,\"awT\",@progbits",
    ".hidden hakmem_0_1_slots",
    ".globl hakmem_0_1_slots",
    ".type hakmem_0_1_slots,@object",
    ".size hakmem_0_1_slots,16",
    ".p2align 4",
    "hakmem_0_1_slots:",
    ".quad hakmem_0_1_empty_cache",
    ".quad 0",
    ".popsection",
);

/// The calling thread's two words.
#[inline(always)]
pub(crate) fn thread_slots() -> *mut [usize; 2] {
    let slots;
    // SAFETY: reads the thread pointer (fs:0 holds its own address) and a constant offset.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + hakmem_0_1_slots@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) slots,
            options(pure, readonly, nostack),
        );
    }
    slots
}
