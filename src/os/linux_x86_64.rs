//! Linux on x86-64: system calls, the time-stamp counter and thread-local storage.

use core::arch::{asm, global_asm};

pub(super) const SYS_READ: usize = 0;
pub(super) const SYS_PREAD64: usize = 17;
pub(super) const SYS_WRITE: usize = 1;
pub(super) const SYS_CLOSE: usize = 3;
pub(super) const SYS_FSTAT: usize = 5;
pub(super) const SYS_MMAP: usize = 9;
pub(super) const SYS_MPROTECT: usize = 10;
pub(super) const SYS_MUNMAP: usize = 11;
pub(super) const SYS_RT_SIGACTION: usize = 13;
pub(super) const SYS_RT_SIGPROCMASK: usize = 14;
pub(super) const SYS_SCHED_YIELD: usize = 24;
pub(super) const SYS_MREMAP: usize = 25;
pub(super) const SYS_MINCORE: usize = 27;
pub(super) const SYS_MADVISE: usize = 28;
pub(super) const SYS_GETPID: usize = 39;
pub(super) const SYS_KILL: usize = 62;
pub(super) const SYS_FCNTL: usize = 72;
pub(super) const SYS_CHDIR: usize = 80;
pub(super) const SYS_GETRUSAGE: usize = 98;
pub(super) const SYS_CAPGET: usize = 125;
pub(super) const SYS_CAPSET: usize = 126;
pub(super) const SYS_PRCTL: usize = 157;
pub(super) const SYS_FUTEX: usize = 202;
pub(super) const SYS_EXIT_GROUP: usize = 231;
pub(super) const SYS_SCHED_SETAFFINITY: usize = 203;
pub(super) const SYS_SCHED_GETAFFINITY: usize = 204;
pub(super) const SYS_CLOCK_GETTIME: usize = 228;
pub(super) const SYS_TGKILL: usize = 234;
pub(super) const SYS_OPENAT: usize = 257;
pub(super) const SYS_PRLIMIT: usize = 302;
pub(super) const SYS_PROCESS_VM_READV: usize = 310;
pub(super) const SYS_MEMBARRIER: usize = 324;

/// Makes one system call and returns the kernel's result unchecked.
///
/// # Safety
/// - the call changes only memory that its caller owns.
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

/// Starts a thread that has a stack and nothing else: it shares the caller's thread-local storage, and the C library
/// does not know it. It calls `work` and ends. Returns the kernel's result unchecked.
///
/// # Safety
/// - `stack_top` is the end of memory that is the thread's until the kernel has cleared `id`.
/// - `work` touches no thread-local storage and does not unwind.
pub(super) unsafe fn clone_thread(flags: usize, stack_top: *mut u8, id: *mut u32, work: extern "C" fn()) -> usize {
    let result;
    // SAFETY: the child continues after the system call with an empty stack, calls `work`, and never returns here:
    // 60 is `exit`, which ends the one thread. The parent goes on as after any system call.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "call r12",
            "xor edi, edi",
            "mov eax, 60",
            "syscall",
            "2:",
            inlateout("rax") 56_usize => result,
            in("rdi") flags,
            in("rsi") stack_top,
            in("rdx") id,
            in("r10") id,
            in("r8") 0_usize,
            in("r12") work,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// Whether Valgrind runs the program: it ends the process at a thread that the C library did not start.
pub(super) fn is_under_valgrind() -> bool {
    /// `VG_USERREQ__RUNNING_ON_VALGRIND` (`valgrind/valgrind.h`), and its arguments, which are not used.
    static REQUEST: [usize; 6] = [0x1001, 0, 0, 0, 0, 0];
    let mut answer = 0_usize;
    // SAFETY: rotations by 128 bits in all and an exchange of a register with itself change nothing. Valgrind knows the
    // sequence, reads the request at rax, and answers in rdx.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const REQUEST,
            inlateout("rdx") answer,
            options(nostack),
        );
    }
    answer != 0
}

/// Instructions that load a symbol's address from the global offset table.
macro_rules! load_from_got {
    ($name:literal) => {
        concat!("mov {0}, qword ptr [rip + ", $name, "@GOTPCREL]")
    };
}
pub(super) use load_from_got;

/// The body of a naked function with two arguments. Passes the second to `$choose`, which returns a function and another
/// second argument, and jumps there: to the function it is as if the caller had called it.
#[allow(unused_macros, reason = "only the C interface uses it")]
macro_rules! jump_to_next {
    ($choose:path) => {
        core::arch::naked_asm!(
            "push rdi",
            "push rsi",
            "sub rsp, 8",
            "mov edi, esi",
            "call {choose}",
            "add rsp, 8",
            "pop rsi",
            "pop rdi",
            "mov esi, edx",
            "jmp rax",
            choose = sym $choose,
        )
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use jump_to_next;

/// Reads the time-stamp counter: a monotonic count at a constant rate, not ordered with the code around it.
#[inline]
pub(crate) fn cycles() -> u64 {
    // SAFETY: every x86-64 has the instruction, and Linux does not forbid it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

// Four words of initial-exec thread-local storage. `thread_local!` would do in a program, but in a shared library it
// calls `__tls_get_addr`, which may allocate. The first two start as the address of a cache that is always empty. The
// last is written and never read: `stacks_x86_64.rs` says why.
global_asm!(
    ".hidden hakmem_0_1_empty_cache",
    ".pushsection .tdata.hakmem_0_1_slots,\"awT\",@progbits",
    ".hidden hakmem_0_1_slots",
    ".globl hakmem_0_1_slots",
    ".type hakmem_0_1_slots,@object",
    ".size hakmem_0_1_slots,32",
    ".p2align 4",
    "hakmem_0_1_slots:",
    ".quad hakmem_0_1_empty_cache",
    ".quad hakmem_0_1_empty_cache",
    ".quad 0",
    ".quad 0",
    ".popsection",
);

/// The first three of the calling thread's words.
#[inline(always)]
pub(crate) fn thread_slots() -> *mut [usize; 3] {
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
