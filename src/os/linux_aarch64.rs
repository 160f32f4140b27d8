//! Linux on aarch64: system calls, the virtual counter and thread-local storage.

use core::arch::{asm, global_asm};

pub(super) const SYS_FCNTL: usize = 25;
pub(super) const SYS_CHDIR: usize = 49;
pub(super) const SYS_OPENAT: usize = 56;
pub(super) const SYS_CLOSE: usize = 57;
pub(super) const SYS_READ: usize = 63;
pub(super) const SYS_PREAD64: usize = 67;
pub(super) const SYS_WRITE: usize = 64;
pub(super) const SYS_FSTAT: usize = 80;
pub(super) const SYS_EXIT_GROUP: usize = 94;
pub(super) const SYS_CAPGET: usize = 90;
pub(super) const SYS_CAPSET: usize = 91;
pub(super) const SYS_FUTEX: usize = 98;
pub(super) const SYS_CLOCK_GETTIME: usize = 113;
pub(super) const SYS_SCHED_SETAFFINITY: usize = 122;
pub(super) const SYS_SCHED_GETAFFINITY: usize = 123;
pub(super) const SYS_SCHED_YIELD: usize = 124;
pub(super) const SYS_KILL: usize = 129;
pub(super) const SYS_RT_SIGACTION: usize = 134;
pub(super) const SYS_RT_SIGPROCMASK: usize = 135;
pub(super) const SYS_GETRUSAGE: usize = 165;
pub(super) const SYS_TGKILL: usize = 131;
pub(super) const SYS_PRCTL: usize = 167;
pub(super) const SYS_GETPID: usize = 172;
pub(super) const SYS_MUNMAP: usize = 215;
pub(super) const SYS_MREMAP: usize = 216;
pub(super) const SYS_MMAP: usize = 222;
pub(super) const SYS_MPROTECT: usize = 226;
pub(super) const SYS_MINCORE: usize = 232;
pub(super) const SYS_MADVISE: usize = 233;
pub(super) const SYS_PRLIMIT: usize = 261;
pub(super) const SYS_PROCESS_VM_READV: usize = 270;
pub(super) const SYS_MEMBARRIER: usize = 283;

/// Makes one system call and returns the kernel's result unchecked.
///
/// # Safety
/// - the call changes only memory that its caller owns.
#[inline]
pub(super) unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    let result;
    // SAFETY: the kernel's calling convention: number in x8, arguments and result in x0 to x5.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}

/// Starts a thread that has a stack and nothing else; the twin file for x86-64 says more. Returns the kernel's result
/// unchecked.
///
/// # Safety
/// - `stack_top` is the end of memory that is the thread's until the kernel has cleared `id`.
/// - `work` touches no thread-local storage and does not unwind.
pub(super) unsafe fn clone_thread(flags: usize, stack_top: *mut u8, id: *mut u32, work: extern "C" fn()) -> usize {
    let result;
    // SAFETY: the child continues after the system call with an empty stack, calls `work`, and never returns here: 93
    // is `exit`. The parent goes on as after any system call.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "blr x9",
            "mov x0, xzr",
            "mov x8, #93",
            "svc #0",
            "2:",
            in("x8") 220_usize,
            inlateout("x0") flags => result,
            in("x1") stack_top,
            in("x2") id,
            in("x3") 0_usize,
            in("x4") id,
            in("x9") work,
        );
    }
    result
}

/// Instructions that load a symbol's address from the global offset table.
macro_rules! load_from_got {
    ($name:literal) => {
        concat!("adrp {0}, :got:", $name, "\nldr {0}, [{0}, :got_lo12:", $name, "]")
    };
}
pub(super) use load_from_got;

/// The body of a naked function with two arguments. Passes the second to `$choose`, which returns a function and another
/// second argument, and jumps there: to the function it is as if the caller had called it.
#[allow(unused_macros, reason = "only the C interface uses it")]
macro_rules! jump_to_next {
    ($choose:path) => {
        core::arch::naked_asm!(
            "stp x29, x30, [sp, #-32]!",
            "str x0, [sp, #16]",
            "mov w0, w1",
            "bl {choose}",
            "mov x16, x0",
            "ldr x0, [sp, #16]",
            "ldp x29, x30, [sp], #32",
            "br x16",
            choose = sym $choose,
        )
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use jump_to_next;

/// Whether Valgrind runs the program, as its twin.
pub(super) fn is_under_valgrind() -> bool {
    static REQUEST: [usize; 6] = [0x1001, 0, 0, 0, 0, 0];
    let mut answer = 0_usize;
    // SAFETY: as its twin's, with the request at x4 and the answer in x3.
    unsafe {
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") &raw const REQUEST,
            inlateout("x3") answer,
            options(nostack),
        );
    }
    answer != 0
}

/// Reads the virtual counter: a monotonic count at a constant rate, not ordered with the code around it.
#[inline]
pub(crate) fn cycles() -> u64 {
    let count;
    // SAFETY: Linux lets user space read it.
    unsafe { asm!("mrs {0}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
    count
}

// Three words of initial-exec thread-local storage; the twin file for x86-64 says why.
global_asm!(
    ".hidden hakmem_0_1_empty_cache",
    ".pushsection .tdata.hakmem_0_1_slots,\"awT\",@progbits",
    ".hidden hakmem_0_1_slots",
    ".globl hakmem_0_1_slots",
    ".type hakmem_0_1_slots,@object",
    ".size hakmem_0_1_slots,24",
    ".p2align 4",
    "hakmem_0_1_slots:",
    ".xword hakmem_0_1_empty_cache",
    ".xword hakmem_0_1_empty_cache",
    ".xword 0",
    ".popsection",
);

/// One of the calling thread's words.
#[inline(always)]
pub(super) fn thread_word(index: usize) -> usize {
    // SAFETY: the calling thread's words.
    unsafe { (*thread_slots())[index] }
}

/// The calling thread's three words.
#[inline(always)]
pub(crate) fn thread_slots() -> *mut [usize; 3] {
    let slots;
    // SAFETY: reads the thread pointer and a constant offset.
    unsafe {
        asm!(
            "mrs {0}, tpidr_el0",
            "adrp {1}, :gottprel:hakmem_0_1_slots",
            "ldr {1}, [{1}, :gottprel_lo12:hakmem_0_1_slots]",
            "add {0}, {0}, {1}",
            out(reg) slots,
            out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    slots
}
