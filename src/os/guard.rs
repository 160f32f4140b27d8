//! Guard pages, and which OS pages of a range are touched.
//!
//! Linux 6.13 and later make an OS page trap by an entry in its tables (`MADV_GUARD_INSTALL`), without another mapping.
//! Before that, `mprotect` takes the access, which splits the mapping. Which of them works is found by the first guard.

use super::{PROT_NONE, PROT_READ_WRITE, arch, failed, kernel_page, residency};
use core::sync::atomic::{AtomicU8, Ordering};

const MADV_GUARD_INSTALL: usize = 102;
const MADV_GUARD_REMOVE: usize = 103;

/// How guards are made: not known yet, by advice, by protection. Relaxed: any thread may find out again.
static HOW: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const BY_ADVICE: u8 = 1;
const BY_PROTECTION: u8 = 2;

/// Makes whole OS pages trap; their contents are lost. Returns `false` when the kernel refuses.
///
/// # Safety
/// - `[base, base + len)` is mapped by us, and its contents are not needed.
pub(crate) unsafe fn install(base: *mut u8, len: usize) -> bool {
    // SAFETY: passed on.
    unsafe {
        if HOW.load(Ordering::Relaxed) != BY_PROTECTION {
            if advise(base, len, MADV_GUARD_INSTALL) {
                HOW.store(BY_ADVICE, Ordering::Relaxed);
                return true;
            }
            // Locked memory takes no guards by advice; other memory may.
            if HOW.load(Ordering::Relaxed) == UNKNOWN {
                HOW.store(BY_PROTECTION, Ordering::Relaxed);
            } else {
                return false;
            }
        }
        protect(base, len, PROT_NONE)
    }
}

/// Makes guards ordinary memory again, which is zero or what it was.
///
/// # Safety
/// - `[base, base + len)` is mapped by us, and was given to [`install`].
pub(crate) unsafe fn remove(base: *mut u8, len: usize) -> bool {
    // SAFETY: passed on.
    unsafe {
        match HOW.load(Ordering::Relaxed) {
            BY_PROTECTION => protect(base, len, PROT_READ_WRITE),
            _ => advise(base, len, MADV_GUARD_REMOVE),
        }
    }
}

unsafe fn advise(base: *mut u8, len: usize, advice: usize) -> bool {
    // SAFETY: the callers' promise.
    !failed(unsafe { arch::syscall6(arch::SYS_MADVISE, base.addr(), len, advice, 0, 0, 0) })
}

unsafe fn protect(base: *mut u8, len: usize, protection: usize) -> bool {
    // SAFETY: the callers' promise.
    !failed(unsafe { arch::syscall6(arch::SYS_MPROTECT, base.addr(), len, protection, 0, 0, 0) })
}

/// OS pages that one call of `mincore` is asked about.
const PAGES: usize = 512;

/// Calls back with each part of a range whose kernel page is resident, in pieces of at most a page. Where the kernel does
/// not tell, with all of them.
pub(crate) fn each_resident(base: *mut u8, len: usize, mut each: impl FnMut(*mut u8, usize)) {
    let page = kernel_page();
    let end = base.addr() + len;
    let mut at = base.addr() / page * page;
    while at < end {
        let asked = (end - at).min(PAGES * page);
        let mut states = [0_u8; PAGES];
        let is_told = residency::ask(at, page, &mut states[..asked.div_ceil(page)]).is_ok();
        for (n, state) in states[..asked.div_ceil(page)].iter().enumerate() {
            let from = (at + n * page).max(base.addr());
            let to = (at + (n + 1) * page).min(end);
            if !is_told || state & 1 != 0 {
                each(base.wrapping_add(from - base.addr()), to - from);
            }
        }
        at += asked;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{map, unmap};
    use super::*;

    #[test]
    fn resident_pages_are_those_that_were_touched() {
        let page = kernel_page();
        let base = map(1000 * page);
        let touched = [3, 511, 512, 600, 998];
        // SAFETY: the memory is ours.
        unsafe {
            super::super::advise_huge(base, 1000 * page, false);
            touched.iter().for_each(|n| base.add(n * page).write_volatile(1));
        }
        let mut found = std::vec::Vec::new();
        each_resident(base.wrapping_add(8), 999 * page, |start, bytes| {
            found.push((start.addr() - base.addr()) / page);
            assert!(bytes <= page && start.addr() + bytes <= base.addr() + 8 + 999 * page);
        });
        assert_eq!(found, touched);
        // SAFETY: mapped above.
        unsafe { unmap(base, 1000 * page) };
    }

    #[test]
    fn a_guard_holds_until_it_is_removed() {
        let page = kernel_page();
        let base = map(3 * page);
        // What the kernel may not read is no memory to a system call.
        let is_readable = |at: *mut u8| {
            // SAFETY: the kernel checks the address.
            let result = unsafe { arch::syscall6(arch::SYS_CHDIR, at.addr(), 0, 0, 0, 0, 0) };
            result != -14_isize as usize
        };
        // SAFETY: the memory is ours.
        unsafe {
            assert!(install(base.add(page), page));
            assert!(is_readable(base) && !is_readable(base.add(page)) && is_readable(base.add(2 * page)));
            assert!(remove(base.add(page), page));
            assert!(is_readable(base.add(page)));
            base.add(page).write_volatile(7);
            unmap(base, 3 * page);
        }
    }
}
