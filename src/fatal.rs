//! Ends a process whose heap is corrupt: one fixed sentence, then an abort.
//!
//! A program may handle SIGABRT, and its handler may allocate or fork. So the process is not ended where a fault is
//! found, which may be under a lock: [`note`] notes the fault, and the call that the program made ends the process by
//! [`abort_if_noted`], when it holds no lock any more.

use crate::os;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What is wrong, as a fixed sentence that tests compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Fault {
    /// The address lies in no memory of the allocator.
    Foreign = 1,
    /// The address lies in the allocator's memory, but no object starts there.
    Interior,
    /// The object was free already.
    DoubleFree,
    /// The header's magic value was overwritten.
    Header,
    /// Something was written behind the object.
    Behind,
    /// Something was written before the object: behind the one before it.
    Before,
    /// Something was written to memory that held no object.
    Freed,
}

/// Which call was given the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Call {
    /// A free, of whatever name.
    Free = 0,
    /// A change of an object's size.
    Realloc,
    /// The question how long an object is.
    UsableSize,
}

/// The sentence for each fault, in the order of [`Fault`], by call in the order of [`Call`].
const SENTENCES: [[&[u8]; 3]; 7] = [
    [
        b"hakmem: free of a pointer that hakmem did not allocate\n",
        b"hakmem: realloc of a pointer that hakmem did not allocate\n",
        b"hakmem: malloc_usable_size of a pointer that hakmem did not allocate\n",
    ],
    [
        b"hakmem: free of a pointer inside an object, not at its start\n",
        b"hakmem: realloc of a pointer inside an object, not at its start\n",
        b"hakmem: malloc_usable_size of a pointer inside an object, not at its start\n",
    ],
    [
        b"hakmem: double free\n",
        b"hakmem: realloc of a freed object\n",
        b"hakmem: malloc_usable_size of a freed object\n",
    ],
    [b"hakmem: allocation header overwritten (magic value does not match)\n"; 3],
    [b"hakmem: memory behind an object overwritten\n"; 3],
    [b"hakmem: memory before an object overwritten\n"; 3],
    [b"hakmem: freed memory overwritten\n"; 3],
];

/// The fault that was found: the number of the thread that found it, and above [`CODE_SHIFT`] which fault
/// and which call. 0 while there is none. Relaxed: the thread reads what it wrote itself.
static NOTED: AtomicUsize = AtomicUsize::new(0);

/// User addresses of both architectures end below.
const CODE_SHIFT: u32 = 56;

/// Notes that the call found a fault; the first one that a process finds counts. The caller leaves the object alone, and
/// the program's call ends the process before it returns.
#[cold]
#[inline(never)]
pub(crate) fn note(fault: Fault, call: Call) {
    let code = fault as usize * SENTENCES[0].len() + call as usize;
    let noted = os::thread_number() | code << CODE_SHIFT;
    // A failure means that another thread is about to end the process.
    _ = NOTED.compare_exchange(0, noted, Ordering::Relaxed, Ordering::Relaxed);
}

/// Writes the sentence of the fault that this thread noted, if it did, and aborts. The caller holds no lock.
#[inline(always)]
pub(crate) fn abort_if_noted() {
    if NOTED.load(Ordering::Relaxed) != 0 {
        abort_if_own();
    }
}

#[cold]
#[inline(never)]
fn abort_if_own() {
    let noted = NOTED.load(Ordering::Relaxed);
    if noted & ((1 << CODE_SHIFT) - 1) != os::thread_number() {
        return;
    }
    let code = (noted >> CODE_SHIFT) - Fault::Foreign as usize * SENTENCES[0].len();
    // The handler of the signal may use this allocator, and its faults are noted as this one was.
    NOTED.store(0, Ordering::Relaxed);
    os::write_stderr(SENTENCES[code / SENTENCES[0].len()][code % SENTENCES[0].len()]);
    os::abort()
}

/// As [`note`] and [`abort_if_noted`], for a caller that holds no lock. Returns where another thread is about to end the
/// process.
#[cold]
#[inline(never)]
pub(crate) fn abort_with(fault: Fault, call: Call) {
    note(fault, call);
    abort_if_noted();
}
