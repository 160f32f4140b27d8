//! The kernel of the models: addresses without memory, calls that do nothing, and a record of which blocks were
//! written.
//!
//! Only the model checker's builds have this file. A model never reads or writes what the allocator hands out, so
//! addresses are enough; records live in the metadata allocator's first chunk. A model calls [`touch`] where a program
//! would use its memory, and the checker finds a touch that is not ordered after one decommit and before the next.

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};

pub(super) const SYS_WRITE: usize = 1;
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
pub(super) const SYS_CHDIR: usize = 80;
pub(super) const SYS_GETRUSAGE: usize = 98;
pub(super) const SYS_CAPGET: usize = 125;
pub(super) const SYS_CAPSET: usize = 126;
pub(super) const SYS_PRCTL: usize = 157;
pub(super) const SYS_FUTEX: usize = 202;
pub(super) const SYS_EXIT_GROUP: usize = 231;
pub(super) const SYS_SCHED_SETAFFINITY: usize = 203;
pub(super) const SYS_CLOCK_GETTIME: usize = 228;
pub(super) const SYS_TGKILL: usize = 234;
pub(super) const SYS_PRLIMIT: usize = 302;
pub(super) const SYS_PROCESS_VM_READV: usize = 310;
pub(super) const SYS_MEMBARRIER: usize = 324;

/// The advice that gives memory back.
const MADV_DONTNEED: usize = 4;
const REFUSED: usize = -12_isize as usize;
/// Where mappings begin: a multiple of every alignment that is asked for.
const FIRST: usize = 1 << 40;
/// The shortest range that `metadata::range` tries, and about what it maps besides: its tables, and a segment to align.
const RANGE: usize = 64 << 20;
const RANGE_MAPPED_MAX: usize = RANGE + 2 * SEGMENT;
const SEGMENT: usize = 4 << 20;
const BLOCK: usize = 64 << 10;
/// Blocks that are watched, from both ends of the range: two segments each.
const WATCHED: usize = 2 * SEGMENT / BLOCK;

loom::lazy_static! {
    /// The next mapping.
    static ref NEXT: AtomicUsize = AtomicUsize::new(FIRST);
    /// Held in a restartable sequence, and by the call that restarts all of them: each sequence is over before it, or
    /// begins after it.
    static ref SEQUENCES: Mutex<()> = Mutex::new(());
    /// For each block, whether it was written and not given back since.
    static ref WRITTEN: [[UnsafeCell<bool>; WATCHED]; 2] =
        core::array::from_fn(|_| core::array::from_fn(|_| UnsafeCell::new(false)));
}

fn written(address: usize) -> Option<&'static UnsafeCell<bool>> {
    let block = (address - FIRST) / BLOCK;
    let last = RANGE / BLOCK - 1;
    WRITTEN[0].get(block).or_else(|| WRITTEN[1].get(last.checked_sub(block)?))
}

/// Writes to memory of the arena, as a program would. Returns whether the block was written before and not given back.
#[track_caller]
pub(crate) fn touch(address: *mut u8) -> bool {
    // SAFETY: the checker panics on an access that is not ordered with this one.
    written(address.addr()).expect("a watched block").with_mut(|written| unsafe { written.replace(true) })
}

pub(super) unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, _: usize, _: usize, _: usize) -> usize {
    match number {
        SYS_MMAP if b > RANGE_MAPPED_MAX => REFUSED,
        SYS_MMAP => NEXT.fetch_add(b.next_multiple_of(SEGMENT), Ordering::Relaxed),
        SYS_MADVISE if c == MADV_DONTNEED => {
            loom::thread::yield_now();
            for written in (a..a + b).step_by(BLOCK).filter_map(written) {
                // SAFETY: as in `touch`.
                written.with_mut(|written| unsafe { *written = false });
            }
            0
        }
        SYS_FUTEX | SYS_SCHED_YIELD => {
            loom::thread::yield_now();
            0
        }
        SYS_WRITE => {
            // SAFETY: the caller's text.
            let text = unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(b), c) };
            std::eprintln!("{}", std::string::String::from_utf8_lossy(text));
            c
        }
        SYS_MEMBARRIER => sequence(|| 0),
        SYS_MUNMAP | SYS_MREMAP | SYS_MINCORE | SYS_PROCESS_VM_READV | SYS_GETRUSAGE | SYS_RT_SIGPROCMASK => REFUSED,
        _ => 0,
    }
}

/// Refuses: models start the purge thread themselves, or do without.
pub(super) unsafe fn clone_thread(_: usize, _: *mut u8, _: *mut u32, _: extern "C" fn()) -> usize {
    REFUSED
}

/// Models run without it.
pub(super) fn is_under_valgrind() -> bool {
    false
}

pub(crate) fn cycles() -> u64 {
    0
}

loom::thread_local! {
    static SLOTS: UnsafeCell<[usize; 3]> = UnsafeCell::new([0; 3]);
}

/// Runs a restartable sequence.
pub(crate) fn sequence<T>(run: impl FnOnce() -> T) -> T {
    let _sequence = SEQUENCES.lock().expect("no thread panics with it");
    run()
}

/// No thread has a cache of its own unless the model gives it one.
pub(super) fn thread_word(index: usize) -> usize {
    // SAFETY: the calling thread's.
    unsafe { (*thread_slots())[index] }
}

pub(crate) fn thread_slots() -> *mut [usize; 3] {
    SLOTS.with(|slots| slots.with_mut(|slots| slots))
}
