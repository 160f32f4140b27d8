//! How dense a huge page's worth of memory is used, as the kernel knows it.
//!
//! [`resident_share`] counts kernel pages that have memory: exact where the memory has ordinary pages, and always full
//! where a huge page backs it. [`written_samples`] looks inside huge pages: memory that was never written reads as zero.
//! The kernel finds huge pages that are hardly used by the same test (`shrink_underused` in its documentation of
//! transparent huge pages). The places are read by a system call. So a page that the program took the access from, or
//! unmapped, is an error and no fault, and a thread that writes meanwhile is not disturbed.

use super::residency::{self, Refusal};
use super::start::process;
use super::{HUGE_PAGE, OS_PAGE, arch, kernel_page};

/// Places that [`written_samples`] reads.
pub(crate) const SAMPLES: usize = 32;
/// Bytes of each.
const LINE: usize = 64;

/// What the kernel says of the pages of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// So many of so many have memory.
    Resident(usize, usize),
    /// A part is not mapped.
    Unmapped,
    /// The process may not ask.
    Refused,
}

/// Kernel pages of `[base, base + bytes)` that are resident. Both are multiples of the kernel's page.
pub(crate) fn resident_share(base: usize, bytes: usize) -> Share {
    let page = kernel_page();
    let (mut resident, mut states) = (0, [0_u8; HUGE_PAGE / OS_PAGE]);
    for at in (0..bytes).step_by(HUGE_PAGE) {
        let part = (bytes - at).min(HUGE_PAGE);
        match residency::ask(base + at, page, &mut states[..part / page]) {
            Ok(()) => resident += states[..part / page].iter().filter(|&&state| state & 1 != 0).count(),
            Err(Refusal::Unmapped) => return Share::Unmapped,
            Err(Refusal::NotAllowed) => return Share::Refused,
        }
    }
    Share::Resident(resident, bytes / page)
}

/// In how many of [`SAMPLES`] places of `[base, base + HUGE_PAGE)` something was written: the first cache lines of OS
/// pages, one in each 64 KiB. `None` where the kernel does not let a process read itself, or a place cannot be read.
pub(crate) fn written_samples(base: usize) -> Option<usize> {
    let mut lines = [[0_usize; LINE / size_of::<usize>()]; SAMPLES];
    let local = [lines.as_mut_ptr().expose_provenance(), size_of_val(&lines)];
    // Objects tend to begin at multiples of large powers of two, where a byte is written even if the rest is not. So
    // the places differ from sample to sample, and the first OS page of 64 KiB is never one.
    let remote: [[usize; 2]; SAMPLES] = core::array::from_fn(|sample| {
        let page = 16 * sample + 1 + (7 * sample) % 15;
        [base + page * OS_PAGE, LINE]
    });
    // SAFETY: writes `lines`, and reads memory of this process, which the kernel checks.
    let result = unsafe {
        let own = process() as usize;
        let (local, remote) = ((&raw const local).addr(), (&raw const remote).addr());
        arch::syscall6(arch::SYS_PROCESS_VM_READV, own, local, 1, remote, SAMPLES, 0)
    };
    let lines = core::hint::black_box(lines);
    (result == size_of_val(&lines)).then(|| lines.iter().filter(|line| line.iter().any(|&word| word != 0)).count())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{advise_huge, map, unmap};
    use super::*;

    /// Writes a byte of every `step`th OS page of a huge page's worth of memory, and returns what is known of it.
    fn known(huge: bool, step: usize) -> (Share, Option<usize>) {
        let mapping = map(2 * HUGE_PAGE);
        let base = mapping.wrapping_add(mapping.addr().next_multiple_of(HUGE_PAGE) - mapping.addr());
        // SAFETY: the memory is ours and that long.
        unsafe {
            advise_huge(base, HUGE_PAGE, huge);
            (0..HUGE_PAGE).step_by(step * OS_PAGE).for_each(|at| base.add(at).write_volatile(7));
            let known = (resident_share(base.addr(), HUGE_PAGE), written_samples(base.addr()));
            unmap(mapping, 2 * HUGE_PAGE);
            known
        }
    }

    #[test]
    fn ordinary_pages_are_counted() {
        let pages = HUGE_PAGE / kernel_page();
        assert_eq!(known(false, 1), (Share::Resident(pages, pages), Some(SAMPLES)));
        for step in [2, 5, 16, 512] {
            let touched = pages.div_ceil(step);
            assert_eq!(known(false, step).0, Share::Resident(touched, pages), "every {step}th");
        }
    }

    #[test]
    fn what_is_written_in_a_huge_page_is_seen() {
        assert_eq!(known(true, 1).1, Some(SAMPLES));
        // Objects of 64 KiB, and of 2 MiB, of which the first byte is written.
        assert_eq!((known(true, 16).1, known(true, 512).1), (Some(0), Some(0)));
        let half = known(true, 2).1.expect("a process may read itself");
        assert!((SAMPLES / 4..SAMPLES * 3 / 4).contains(&half), "{half} of {SAMPLES}");
    }

    #[test]
    fn memory_that_is_not_mapped_is_neither() {
        // No mapping lies so low.
        assert_eq!((resident_share(1 << 30, HUGE_PAGE), written_samples(1 << 30)), (Share::Unmapped, None));
    }
}
