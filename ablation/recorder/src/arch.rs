//! What is written in assembly: the calling thread's word, the processor's counter, and entries that know their caller.

use core::arch::{asm, global_asm};

// One word of initial-exec thread-local storage: the record of the calling thread. `thread_local!` would call
// `__tls_get_addr`, which may allocate.
global_asm!(
    ".pushsection .tbss.ablate_recorder_thread,\"awT\",@nobits",
    ".hidden ablate_recorder_thread",
    ".globl ablate_recorder_thread",
    ".type ablate_recorder_thread,@object",
    ".size ablate_recorder_thread,8",
    ".p2align 3",
    "ablate_recorder_thread:",
    ".zero 8",
    ".popsection",
);

/// Where the calling thread's word is.
#[inline(always)]
pub(crate) fn thread_word() -> *mut usize {
    let word;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads the thread pointer (fs:0 holds its own address) and a constant offset.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + ablate_recorder_thread@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) word,
            options(pure, readonly, nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads the thread pointer and a constant offset.
    unsafe {
        asm!(
            "adrp {1}, :gottprel:ablate_recorder_thread",
            "ldr {1}, [{1}, :gottprel_lo12:ablate_recorder_thread]",
            "mrs {0}, tpidr_el0",
            "add {0}, {0}, {1}",
            out(reg) word,
            out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    word
}

/// What the calling thread's word holds.
#[inline(always)]
pub(crate) fn thread_word_value() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let value;
        // SAFETY: reads a constant offset from the thread pointer.
        unsafe {
            asm!(
                "mov {0}, qword ptr [rip + ablate_recorder_thread@GOTTPOFF]",
                "mov {0}, qword ptr fs:[{0}]",
                out(reg) value,
                options(readonly, nostack, preserves_flags),
            );
        }
        value
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the calling thread's own word.
    unsafe {
        *thread_word()
    }
}

/// The processor's counter, before others see what follows. It may be read before what came before has ended.
#[inline(always)]
pub(crate) fn counter() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it was checked that its count is the time.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks;
        // SAFETY: Linux lets programs read the register.
        unsafe { asm!("mrs {0}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
}

/// The processor's counter, after what came before has read all that it reads. Without the order, the time of an allocation
/// can be before that of the free by another thread that made the place for it, and the time of a free before that of the
/// allocation by the thread that the address is from.
#[inline(always)]
pub(crate) fn counter_in_order() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86-64 has the instruction. On both makers' processors it waits for all that came before.
        unsafe { core::arch::x86_64::_mm_lfence() };
        counter()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks;
        // SAFETY: Linux lets programs read the register.
        unsafe { asm!("isb", "mrs {0}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
}

/// How many ticks of the counter are about 100 ns.
pub(crate) fn burst_ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // Two to four in a nanosecond.
        300
    }
    #[cfg(target_arch = "aarch64")]
    {
        let in_a_second: u64;
        // SAFETY: Linux lets programs read the register.
        unsafe { asm!("mrs {0}, cntfrq_el0", out(reg) in_a_second, options(nomem, nostack)) };
        in_a_second.div_ceil(10_000_000)
    }
}

/// Whether the counter runs at one rate and is the same on all processors.
pub(crate) fn counter_is_time() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let leaf = core::arch::x86_64::__cpuid(0x8000_0000).eax;
        // The invariant counter.
        leaf >= 0x8000_0007 && core::arch::x86_64::__cpuid(0x8000_0007).edx & (1 << 8) != 0
    }
    #[cfg(target_arch = "aarch64")]
    true
}

/// Defines exported functions that pass their caller's address on as one argument more, and leave the rest to a Rust function.
/// `rsi` and `x1` are the registers of the second argument, and so on.
macro_rules! with_caller {
    ($($name:ident, $x86:literal, $aarch64:literal => $to:path;)*) => { $(
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        #[allow(non_snake_case, reason = "C++ names are mangled")]
        unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(concat!("mov ", $x86, ", qword ptr [rsp]"), "jmp {to}", to = sym $to);
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!(concat!("mov ", $aarch64, ", x30"), "b {to}", to = sym $to);
        }
    )* };
}
pub(crate) use with_caller;

/// The same for functions that throw: where the Rust function gives null, the function whose address it left at `$or_else`
/// is called as if by the caller, with up to two arguments.
macro_rules! with_caller_or_else {
    ($($name:ident, $x86:literal, $aarch64:literal => $to:path, $or_else:path;)*) => { $(
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        #[allow(non_snake_case, reason = "C++ names are mangled")]
        unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            core::arch::naked_asm!(
                "push rdi",
                "push rsi",
                "sub rsp, 8",
                concat!("mov ", $x86, ", qword ptr [rsp + 24]"),
                "call {to}",
                "add rsp, 8",
                "pop rsi",
                "pop rdi",
                "test rax, rax",
                "je 2f",
                "ret",
                "2:",
                "jmp qword ptr [rip + {or_else}]",
                to = sym $to,
                or_else = sym $or_else,
            );
            #[cfg(target_arch = "aarch64")]
            core::arch::naked_asm!(
                "stp x29, x30, [sp, #-32]!",
                "stp x0, x1, [sp, #16]",
                concat!("mov ", $aarch64, ", x30"),
                "bl {to}",
                "cbz x0, 2f",
                "ldp x29, x30, [sp], #32",
                "ret",
                "2:",
                "ldp x0, x1, [sp, #16]",
                "ldp x29, x30, [sp], #32",
                "adrp x16, {or_else}",
                "ldr x16, [x16, :lo12:{or_else}]",
                "br x16",
                to = sym $to,
                or_else = sym $or_else,
            );
        }
    )* };
}
pub(crate) use with_caller_or_else;
