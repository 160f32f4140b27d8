//! Pages of memory that do not exist until they are touched, and how many page faults the process had.

/// Anonymous memory. Its first OS page exists, the others do not yet.
pub(super) struct Pages {
    start: *mut u8,
    len: usize,
    /// The next OS page that does not exist yet.
    next: usize,
}

/// Bytes of a page.
const PAGE: usize = 4096;

impl Pages {
    /// Maps this many pages.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn map(pages: usize) -> std::io::Result<Pages> {
        let len = pages * PAGE;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping anywhere; nothing of this process is changed.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        // The counted page faults show whether the kernel follows the advice: huge pages would make them fewer.
        // SAFETY: the mapping is new, and of this length.
        unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
        let mut pages = Pages { start: start.cast(), len, next: 0 };
        pages.touch(true);
        Ok(pages)
    }

    /// Writes a byte of the first page, or of the next one that does not exist yet.
    ///
    /// # Panics
    /// When every page exists.
    pub(super) fn touch(&mut self, is_fresh: bool) {
        let page = if is_fresh { self.next } else { 0 };
        assert!(page * PAGE < self.len, "no fresh page is left");
        self.next += usize::from(is_fresh);
        // SAFETY: within the mapping, which is writable and ours.
        unsafe { self.start.add(page * PAGE).write_volatile(1) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and no reference into it is left.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// Minor and major page faults of the process so far.
pub(super) fn page_faults() -> u64 {
    // SAFETY: all zeros is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the result is live; asking about oneself does not fail.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    u64::try_from(usage.ru_minflt.saturating_add(usage.ru_majflt)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_page_is_one_fault_and_an_old_one_none() {
        let faults = |_| {
            let mut pages = Pages::map(65).expect("maps");
            let before = page_faults();
            (0..64).for_each(|_| pages.touch(false));
            let between = page_faults();
            (0..64).for_each(|_| pages.touch(true));
            (between - before, page_faults() - between)
        };
        // Other tests of this process have faults of their own, but not each time.
        let all: Vec<(u64, u64)> = (0..100).map(faults).collect();
        assert!(all.iter().all(|(_, fresh)| *fresh >= 64) && all.iter().any(|(old, _)| *old < 64), "{all:?}");
    }

    #[test]
    #[should_panic(expected = "no fresh page is left")]
    fn more_pages_than_there_are_is_a_mistake() {
        let mut pages = Pages::map(2).expect("maps");
        (0..2).for_each(|_| pages.touch(true));
    }
}
