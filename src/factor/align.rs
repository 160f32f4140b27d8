//! Align: large mappings of a huge page or more start at a multiple of 2 MiB, so that huge pages can back them.
//!
//! The kernel backs only whole, aligned 2 MiB pieces of a mapping with a huge page, and it aligns by itself (since
//! Linux 6.7) only mappings whose length is a multiple of 2 MiB. With a header an object of 2 MiB takes 513 OS pages,
//! lies anywhere, and holds no aligned piece. Here either the mapping starts at a multiple (the header is inside the
//! huge page, and the object's last 32 bytes lie on an OS page after it), or, in the form `user`, the object does (the
//! header is on an OS page before it). Off, the kernel chooses.
//!
//! Costs other requests nothing. A mapping takes one `munmap` more, for the end that was mapped too long, and where the
//! kernel does not align, one `mmap` and up to two `munmap` more; in the form `user` also up to one OS page. The
//! kernel's policy and advice decide whether a huge page then comes.

use crate::os::{self, HUGE_PAGE, OS_PAGE};
use crate::sync::counters;

counters! {
    /// Mappings that start, or whose objects start, at a multiple of 2 MiB.
    placed,
    /// Mappings that did not fit where the kernel placed them first.
    retries,
    /// Ends of mappings that were given back.
    trims,
    /// Mappings that lie where the kernel placed them, because no longer mapping could be made.
    refusals,
}

/// What is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The mapping.
    Mapping,
    /// The object.
    User,
}

/// Bytes from the start of the mapping to the object, and to the address that is to be a multiple of 2 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) object: usize,
    pub(crate) boundary: usize,
}

/// Where an object of `size` bytes with `prefix` bytes before it starts.
pub(crate) fn lead(start: Start, size: usize, prefix: usize) -> Lead {
    match start {
        // A mapping starts at an OS page, so the object must start at one to be aligned.
        Start::User if size >= HUGE_PAGE => {
            let object = prefix.next_multiple_of(OS_PAGE);
            Lead { object, boundary: object }
        }
        _ => Lead { object: prefix, boundary: 0 },
    }
}

/// Maps `bytes` bytes of zeroed memory, a multiple of the OS page, or returns null. The address `at` bytes in, a
/// multiple of the OS page as well, is a multiple of `multiple`, which is 2 MiB or more, when a huge page fits behind it.
pub(crate) fn map(counters: &Counters, bytes: usize, at: usize, multiple: usize) -> *mut u8 {
    if bytes - at < HUGE_PAGE {
        return os::map(bytes);
    }
    let Placed { base, trims, retries } = if can_cut() { map_at(bytes, at, multiple) } else { Placed::NONE };
    counters.trims.add(trims);
    counters.retries.add(retries);
    if base.is_null() {
        counters.refusals.add(1);
        return os::map(bytes);
    }
    counters.placed.add(1);
    base
}

/// Whether a mapping can be cut at every `OS_PAGE`. Where the kernel's pages are longer, it cannot, and the kernel's
/// huge pages are longer too.
pub(crate) fn can_cut() -> bool {
    os::kernel_page() == OS_PAGE
}

/// A mapping that was cut to its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// Its start; null when there is no memory.
    pub(crate) base: *mut u8,
    /// Ends that were given back.
    trims: u64,
    /// Mappings that did not fit where the kernel placed them.
    retries: u64,
}

impl Placed {
    /// No memory.
    const NONE: Placed = Placed { base: core::ptr::null_mut(), trims: 0, retries: 0 };
}

/// Maps `bytes` bytes of zeroed memory, a multiple of the OS page, so that the address `at` bytes in is a multiple of
/// `multiple`. What had to be mapped to find such an address is unmapped again. [`can_cut`] must be true.
pub(crate) fn map_at(bytes: usize, at: usize, multiple: usize) -> Placed {
    let mut retries = 0;
    if multiple == HUGE_PAGE {
        // The kernel aligns a mapping whose length is a multiple of 2 MiB. A boundary further in needs a huge page more
        // before it.
        let enough = (at.next_multiple_of(HUGE_PAGE) + bytes - at).checked_next_multiple_of(HUGE_PAGE);
        let Some(enough) = enough else {
            return Placed::NONE;
        };
        let base = os::map(enough);
        if base.is_null() || distance(base, at, multiple) + bytes <= enough {
            return trim(base, enough, bytes, at, multiple);
        }
        retries = 1;
        // SAFETY: the mapping is new, and no other code knows its address.
        unsafe { os::unmap(base, enough) };
    }
    // Wherever this mapping lies, less than the multiple has to be skipped.
    let Some(enough) = bytes.checked_add(multiple - OS_PAGE) else {
        return Placed::NONE;
    };
    Placed { retries, ..trim(os::map(enough), enough, bytes, at, multiple) }
}

/// Bytes to skip from `base`, so that what lies `at` bytes further is a multiple of `multiple`.
fn distance(base: *mut u8, at: usize, multiple: usize) -> usize {
    let at = base.addr() + at;
    at.next_multiple_of(multiple) - at
}

/// Gives back the ends of a mapping, which may be null, and returns what is left.
fn trim(base: *mut u8, mapped: usize, bytes: usize, at: usize, multiple: usize) -> Placed {
    if base.is_null() {
        return Placed::NONE;
    }
    let skip = distance(base, at, multiple);
    let mut trims = 0;
    // SAFETY: the callers mapped enough for skip and bytes.
    let (start, end) = unsafe { (base.add(skip), base.add(skip + bytes)) };
    for (at, len) in [(base, skip), (end, mapped - skip - bytes)] {
        if len > 0 {
            trims += 1;
            // SAFETY: the end is part of the mapping, which is new and known here alone.
            unsafe { os::unmap(at, len) };
        }
    }
    Placed { base: start, trims, retries: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_aligned_and_nothing_is_left_over() {
        for (bytes, boundary) in [
            (HUGE_PAGE, 0),
            (HUGE_PAGE + OS_PAGE, 0),
            (HUGE_PAGE + OS_PAGE, OS_PAGE),
            (3 * HUGE_PAGE, OS_PAGE),
            (5 * HUGE_PAGE + 7 * OS_PAGE, HUGE_PAGE),
        ] {
            let counters = Counters::new();
            let base = map(&counters, bytes, boundary, HUGE_PAGE);
            assert!((base.addr() + boundary).is_multiple_of(HUGE_PAGE), "{bytes} at {boundary}");
            assert_eq!((counters.placed.get(), counters.refusals.get()), (1, 0));
            assert!(counters.trims.get() <= 2);
            // SAFETY: the mapping is ours and that long.
            unsafe {
                base.write(1);
                base.add(bytes - 1).write(1);
                os::unmap(base, bytes);
            }
        }
    }

    #[test]
    fn any_multiple_is_met_and_nothing_is_left_over() {
        for multiple in [2 * OS_PAGE, 64 << 10, HUGE_PAGE, 32 << 20, 1 << 30] {
            for (bytes, at) in [(OS_PAGE, 0), (3 * OS_PAGE, OS_PAGE), (HUGE_PAGE + OS_PAGE, OS_PAGE)] {
                let base = map_at(bytes, at, multiple).base;
                assert!((base.addr() + at).is_multiple_of(multiple), "{bytes} at {at} by {multiple}");
                // SAFETY: the mapping is ours and that long.
                unsafe {
                    base.write(1);
                    base.add(bytes - 1).write(1);
                    os::unmap(base, bytes);
                }
            }
        }
    }

    #[test]
    fn what_no_huge_page_fits_in_is_left_alone() {
        let counters = Counters::new();
        for (bytes, boundary) in [(HUGE_PAGE - OS_PAGE, 0), (HUGE_PAGE, OS_PAGE)] {
            let base = map(&counters, bytes, boundary, HUGE_PAGE);
            assert!(!base.is_null());
            // SAFETY: the mapping is ours and that long.
            unsafe { os::unmap(base, bytes) };
        }
        assert_eq!((counters.placed.get(), counters.refusals.get(), counters.trims.get()), (0, 0, 0));
    }

    #[test]
    fn what_does_not_fit_is_null_and_counted() {
        let counters = Counters::new();
        assert!(map(&counters, (isize::MAX as usize) & !(OS_PAGE - 1), 0, HUGE_PAGE).is_null());
        assert_eq!((counters.placed.get(), counters.refusals.get()), (0, 1));
    }

    #[test]
    fn the_header_is_inside_or_before_the_huge_page() {
        assert_eq!(lead(Start::Mapping, HUGE_PAGE, 32), Lead { object: 32, boundary: 0 });
        assert_eq!(lead(Start::User, HUGE_PAGE, 32), Lead { object: OS_PAGE, boundary: OS_PAGE });
        assert_eq!(lead(Start::User, HUGE_PAGE, 0), Lead { object: 0, boundary: 0 });
        assert_eq!(lead(Start::User, HUGE_PAGE - 1, 32), Lead { object: 32, boundary: 0 });
    }
}
