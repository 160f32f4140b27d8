//! Which kernel pages of a range have memory.
//!
//! `mincore` tells it in a microsecond. But a filter of system calls (seccomp) may end the process for a call that it does
//! not know, and systemd's group `@system-service` lacks this one. So a process with a filter reads `/proc/self/pagemap`,
//! by calls that every program makes.

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        use super::model as arch;
    } else if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

/// Why the kernel did not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A part is not mapped.
    Unmapped,
    /// The process may not ask.
    NotAllowed,
}

/// Sets the lowest bit of a byte for each kernel page, of `page` bytes, from `base` on that has memory, also in the shared
/// page of zeroes. `base` is a multiple of `page`.
///
/// # Errors
/// The kernel does not tell. `/proc/self/pagemap` has no memory where nothing is mapped, and no error.
pub(super) fn ask(base: usize, page: usize, states: &mut [u8]) -> Result<(), Refusal> {
    const ENOMEM: isize = 12;
    if has_call_filter() {
        return if read_pagemap(base / page, states) { Ok(()) } else { Err(Refusal::NotAllowed) };
    }
    let bytes = states.len() * page;
    // SAFETY: writes a byte for each page, which the caller has.
    let result = unsafe { arch::syscall6(arch::SYS_MINCORE, base, bytes, states.as_mut_ptr().addr(), 0, 0, 0) };
    match result.cast_signed() {
        error if error == -ENOMEM => Err(Refusal::Unmapped),
        error if error < 0 => Err(Refusal::NotAllowed),
        _ => Ok(()),
    }
}

/// Whether the process has a filter of system calls at this moment. Takes 0.1 µs.
pub(super) fn has_call_filter() -> bool {
    const PR_GET_SECCOMP: usize = 21;
    const EINVAL: isize = 22;
    // SAFETY: changes no memory.
    let filter = unsafe { arch::syscall6(arch::SYS_PRCTL, PR_GET_SECCOMP, 0, 0, 0, 0, 0) }.cast_signed();
    // `EINVAL` comes from a kernel that has no filters.
    filter != 0 && filter != -EINVAL
}

cfg_if::cfg_if! {
    if #[cfg(loom)] {
        fn read_pagemap(_: usize, _: &mut [u8]) -> bool {
            false
        }
    } else {
        /// As [`ask`], from the page of this number on.
        fn read_pagemap(first: usize, states: &mut [u8]) -> bool {
            /// `PM_PRESENT` of `Documentation/admin-guide/mm/pagemap.rst` in Linux.
            const PRESENT: u64 = 1 << 63;
            let mut entries = [0_u64; 512];
            states.chunks_mut(entries.len()).enumerate().all(|(chunk, states)| {
                let entries = &mut entries[..states.len()];
                let offset = (first + chunk * 512) * size_of::<u64>();
                let is_read = super::file::read_at(c"/proc/self/pagemap", offset, entries);
                for (state, entry) in states.iter_mut().zip(entries) {
                    *state = u8::from(*entry & PRESENT != 0);
                }
                is_read
            })
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{OS_PAGE, kernel_page, map, unmap};
    use super::*;

    #[test]
    fn both_ways_tell_the_same() {
        let page = kernel_page();
        let pages = 1200;
        let base = map(pages * page);
        // SAFETY: the memory is ours and that long.
        (0..pages).step_by(7).for_each(|n| unsafe { base.add(n * page).write_volatile(1) });
        let (mut asked, mut read) = ([2_u8; 1200], [2_u8; 1200]);
        assert_eq!(ask(base.addr(), page, &mut asked), Ok(()));
        assert!(read_pagemap(base.addr() / page, &mut read));
        let expected = |n: usize| u8::from(n.is_multiple_of(7) || page > OS_PAGE && read[n] == 1);
        (0..pages).for_each(|n| assert_eq!((asked[n] & 1, read[n]), (read[n], expected(n)), "page {n}"));
        // SAFETY: ours.
        unsafe { unmap(base, pages * page) };
        assert_eq!(ask(base.addr(), page, &mut asked[..1]), Err(Refusal::Unmapped));
    }
}
