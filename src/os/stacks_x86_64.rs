//! The calling thread's stacks of objects, changed by restartable sequences (`rseq(2)`).
//!
//! A stack is a word that points to its newest object's place, and a second word with the last place; at its base lies
//! a null. The stacks of a thread lie at constant offsets from the address in the thread's first word, or in its second.
//!
//! A sequence reads that address, reads the stack, and ends with the one store that takes or puts the object. If the
//! kernel preempts the thread in between, or delivers a signal, or another thread calls [`super::restart_sequences`],
//! the sequence begins anew. So a signal handler may take and put objects at any moment, and a thread that changes the
//! first two words of another one and then restarts its sequences knows that no sequence still uses the old addresses.
//!
//! The kernel finds a sequence by its descriptor, whose address the sequence writes to the thread's registration with
//! the kernel, which the C library made (glibc 2.35). Where there is none, [`REGISTRATION`] leads to a word that is
//! never read, and sequences are not restarted. Costs three instructions per change.

use super::linux_x86_64::thread_slots;
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

global_asm!(".weak __rseq_offset", ".weak __rseq_size");

/// Where the address of the descriptor is written, from the thread's first word on. At first that is the fourth word.
static REGISTRATION: AtomicIsize = AtomicIsize::new(24);

/// Whether [`use_registrations`] has found that there are some. Relaxed: a word is written before it says so.
static ARE_USED: AtomicBool = AtomicBool::new(false);

/// Whether the threads' registrations are used, so that sequences are restarted. Touches no thread-local storage.
pub(crate) fn are_restarted() -> bool {
    ARE_USED.load(Ordering::Relaxed)
}

/// Offset of the descriptor's address in a registration (`struct rseq`, `linux/rseq.h`).
const DESCRIPTOR: isize = 8;

/// Uses the threads' registrations with the kernel, if the C library made any.
pub(crate) fn use_registrations() {
    let (offset, size): (*const isize, *const u32);
    // SAFETY: reads the addresses of two symbols of the C library, null where it has none.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + __rseq_offset@GOTPCREL]",
            "mov {1}, qword ptr [rip + __rseq_size@GOTPCREL]",
            out(reg) offset,
            out(reg) size,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    // SAFETY: the C library's constants, if there are any.
    match unsafe { (offset.as_ref(), size.as_ref()) } {
        // The size is 0 where the kernel refused the registration.
        (Some(&offset), Some(&size)) if size != 0 => {
            let pointer: usize;
            // SAFETY: reads the thread pointer: `fs:0` holds its own address.
            unsafe {
                asm!("mov {0}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags))
            };
            let words = thread_slots().addr().wrapping_sub(pointer).cast_signed();
            REGISTRATION.store(offset - words + DESCRIPTOR, Ordering::Relaxed);
            ARE_USED.store(true, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// One sequence: announces itself, loads the address in a word of the thread's to `{cache}`, and runs the steps, of
/// which the last may be the store. What follows 774 is no part of it. The steps change no input, and none of what
/// stands `apart` is part of the sequence either.
macro_rules! sequence {
    (word: $word:expr, steps: [$($step:literal),+], apart: [$($apart:literal),*], $($operands:tt)*) => {
        asm!(
            // The descriptor: version and flags, start, length, and where to go on after an interruption.
            ".pushsection .data.rel.ro.hakmem_rseq,\"aw\",@progbits",
            ".p2align 5",
            "771:",
            ".long 0, 0",
            ".quad 773f, 774f - 773f, 775f",
            ".popsection",
            "772:",
            "lea {one}, [rip + 771b]",
            "mov {two}, qword ptr [rip + hakmem_0_1_slots@GOTTPOFF]",
            "mov {cache}, qword ptr [rip + {registration}]",
            "mov qword ptr fs:[{two} + {cache}], {one}",
            "773:",
            "mov {cache}, qword ptr fs:[{two} + {word}]",
            $($step,)+
            "774:",
            // The kernel goes on only behind these four bytes, the signature that the C library registered. The three
            // before them make an undefined instruction of all seven.
            ".pushsection .text.hakmem_rseq,\"ax\",@progbits",
            ".byte 0x0f, 0xb9, 0x3d",
            ".long 0x53053053",
            "775:",
            "jmp 772b",
            $($apart,)*
            ".popsection",
            registration = sym REGISTRATION,
            word = const 8 * $word,
            $($operands)*
            options(nostack),
        )
    };
}

/// Takes the newest object of the stack at this offset from the address in the thread's word `WORD`, 0 or 1; null when it
/// is empty. Also returns that address.
///
/// # Safety
/// - at the offset lies a stack, for every address that the word ever has.
#[inline(always)]
pub(crate) unsafe fn pop<const WORD: usize>(stack: usize) -> (*mut u8, usize) {
    let (object, cache);
    // SAFETY: the caller's promise; only the object's place is left, by the last step.
    unsafe {
        sequence!(
            // The stack's address is in one register: the caller says why.
            word: WORD,
            steps: [
                "lea {one}, [{cache} + {stack}]",
                "mov {two}, qword ptr [{one}]",
                "mov {two}, qword ptr [{two}]",
                "test {two}, {two}",
                "jz 774f",
                "add qword ptr [{one}], -8"
            ],
            apart: [],
            stack = in(reg) stack,
            one = out(reg) _,
            two = out(reg) object,
            cache = out(reg) cache,
        );
    }
    (object, cache)
}

/// As [`pop`] by the first word, from the stack whose address is in the place `index` of a table at offset `TABLE`.
///
/// # Safety
/// - there are such a table and such a stack, for every address that the first word ever has.
#[inline(always)]
#[allow(dead_code, reason = "only the C interface calls it")]
pub(crate) unsafe fn pop_of_table<const TABLE: usize>(index: usize) -> (*mut u8, usize) {
    let (object, cache);
    // SAFETY: as in `pop`.
    unsafe {
        sequence!(
            word: 0,
            steps: [
                "mov {one}, qword ptr [{cache} + 8 * {index} + {table}]",
                "mov {two}, qword ptr [{one}]",
                "mov {two}, qword ptr [{two}]",
                "test {two}, {two}",
                "jz 774f",
                "add qword ptr [{one}], -8"
            ],
            apart: [],
            index = in(reg) index,
            table = const TABLE,
            one = out(reg) _,
            two = out(reg) object,
            cache = out(reg) cache,
        );
    }
    (object, cache)
}

/// Puts an object on the stack at this offset from the address in the first word; `false` when it is full, or where two
/// equal words lie instead of a stack.
///
/// # Safety
/// - at the offset lies a stack, or two equal words, for every address that the first word ever has.
#[inline(always)]
pub(crate) unsafe fn push(stack: usize, object: *mut u8) -> bool {
    let place: usize;
    // SAFETY: the caller's promise; the place above the newest object's is the stack's, and free.
    unsafe {
        sequence!(
            word: 0,
            steps: [
                "add {cache}, {stack}",
                "mov {two}, qword ptr [{cache}]",
                "cmp {two}, qword ptr [{cache} + 8]",
                "je 776f",
                "mov qword ptr [{two} + 8], {object}",
                "add qword ptr [{cache}], 8"
            ],
            // A full stack: 0 in the place of the stack pointer.
            apart: ["776:", "xor {two:e}, {two:e}", "jmp 774b"],
            stack = in(reg) stack,
            object = in(reg) object,
            one = out(reg) _,
            two = out(reg) place,
            cache = out(reg) _,
        );
    }
    place != 0
}
