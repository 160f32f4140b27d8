//! Ends a process whose heap is corrupt: writes one fixed sentence, then aborts.

use crate::os;

/// What is wrong, as a fixed sentence that tests compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The address lies in no memory of the allocator.
    Foreign,
    /// The address lies in the allocator's memory, but no object starts there.
    Interior,
    /// The object was free already.
    DoubleFree,
    /// The header's magic value was overwritten.
    Header,
}

impl Fault {
    fn sentence(self) -> &'static [u8] {
        match self {
            Fault::Foreign => b"hakmem: free of a pointer that hakmem did not allocate\n",
            Fault::Interior => b"hakmem: free of a pointer inside an object, not at its start\n",
            Fault::DoubleFree => b"hakmem: double free\n",
            Fault::Header => b"hakmem: allocation header overwritten (magic value does not match)\n",
        }
    }
}

/// Writes the sentence and aborts.
#[cold]
#[inline(never)]
pub(crate) fn abort_with(fault: Fault) -> ! {
    os::write_stderr(fault.sentence());
    // SAFETY: does not return, and runs no code of the allocator.
    unsafe { libc::abort() }
}
