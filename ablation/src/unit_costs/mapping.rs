//! Private anonymous memory that is unmapped when it is dropped, and the page faults of touching it.

use std::ptr::{self, NonNull};

/// Bytes of an OS page.
pub(super) const PAGE: usize = 4 << 10;

/// Bytes of a huge page.
pub(super) const HUGE: usize = 2 << 20;

/// One mapping of this process.
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Maps `bytes`, a multiple of the page size; `None` when the system refuses.
    pub(super) fn new(bytes: usize) -> Option<Mapping> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        Some(Mapping { start: NonNull::new(start.cast())?, bytes })
    }

    /// Gives `advice` on all of it; false when the system refuses.
    pub(super) fn advise(&self, advice: libc::c_int) -> bool {
        // SAFETY: the range is this mapping's, and nothing refers to what is in it.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.bytes, advice) == 0 }
    }

    /// Changes its length to `bytes`, and its address when needed; false when the system refuses and nothing changed.
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        // SAFETY: the range is this mapping's, and nothing refers to it while it moves.
        let moved = unsafe { libc::mremap(self.start.as_ptr().cast(), self.bytes, bytes, libc::MREMAP_MAYMOVE) };
        match NonNull::new(moved.cast()) {
            Some(start) if moved != libc::MAP_FAILED => {
                (self.start, self.bytes) = (start, bytes);
                true
            }
            _ => false,
        }
    }

    /// Distance from its start to the first address that is a multiple of [`HUGE`].
    pub(super) fn to_huge(&self) -> usize {
        self.start.as_ptr().addr().wrapping_neg() % HUGE
    }

    /// Writes the first byte of every page in the bytes `from..to`.
    ///
    /// # Panics
    /// When `to` is beyond the end of the mapping.
    pub(super) fn touch(&self, from: usize, to: usize) {
        assert!(to <= self.bytes, "{to} is beyond the end of the mapping");
        for at in (from..to).step_by(PAGE) {
            // SAFETY: `at` is within the mapping, which is writable.
            unsafe { self.start.as_ptr().add(at).write_volatile(1) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's, and it is not used again. After a refusal the mapping stays, which is
        // harmless.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Page faults of this thread so far.
pub(super) fn page_faults() -> u64 {
    // SAFETY: all zero is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is writable, and the call cannot fail for the calling thread.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    (usage.ru_minflt + usage.ru_majflt).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_touched_resized_and_advised() {
        let mut mapping = Mapping::new(2 * HUGE).expect("maps");
        assert!(mapping.to_huge() < HUGE && (mapping.start.as_ptr().addr() + mapping.to_huge()).is_multiple_of(HUGE));
        assert!(mapping.advise(libc::MADV_NOHUGEPAGE));
        let before = page_faults();
        mapping.touch(0, 64 * PAGE);
        assert!(page_faults() - before >= 64);
        assert!(mapping.resize(4 * HUGE));
        mapping.touch(4 * HUGE - PAGE, 4 * HUGE);
        assert!(!mapping.advise(-1));
    }

    #[test]
    #[should_panic(expected = "beyond the end")]
    fn nothing_is_touched_beyond_the_end() {
        Mapping::new(PAGE).expect("maps").touch(0, 2 * PAGE);
    }
}
