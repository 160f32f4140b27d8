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

/// Maps `bytes` bytes of zeroed memory, a multiple of the OS page, or returns null. The address `boundary` bytes in, a
/// multiple of the OS page as well, is a multiple of 2 MiB when a huge page fits behind it.
pub(crate) fn map(counters: &Counters, bytes: usize, boundary: usize) -> *mut u8 {
    if bytes - boundary < HUGE_PAGE {
        return os::map(bytes);
    }
    // Where the kernel's pages are longer than `OS_PAGE`, so are its huge pages, and a mapping cannot be cut at every
    // `OS_PAGE`.
    let can_cut = os::kernel_page() == OS_PAGE;
    let base = if can_cut { map_aligned(counters, bytes, boundary) } else { core::ptr::null_mut() };
    if base.is_null() {
        counters.refusals.add(1);
        return os::map(bytes);
    }
    counters.placed.add(1);
    base
}

fn map_aligned(counters: &Counters, bytes: usize, boundary: usize) -> *mut u8 {
    // The kernel aligns a mapping whose length is a multiple of 2 MiB. A boundary further in needs a huge page more
    // before it.
    let enough = (boundary.next_multiple_of(HUGE_PAGE) + bytes - boundary).checked_next_multiple_of(HUGE_PAGE);
    let Some(enough) = enough else {
        return core::ptr::null_mut();
    };
    let base = os::map(enough);
    if base.is_null() || distance(base, boundary) + bytes <= enough {
        return trim(counters, base, enough, bytes, boundary);
    }
    counters.retries.add(1);
    // SAFETY: the mapping is new, and no other code knows its address.
    unsafe { os::unmap(base, enough) };
    // Wherever this mapping lies, less than a huge page has to be skipped.
    let Some(enough) = bytes.checked_add(HUGE_PAGE - OS_PAGE) else {
        return core::ptr::null_mut();
    };
    trim(counters, os::map(enough), enough, bytes, boundary)
}

/// Bytes to skip from `base`, so that what lies `boundary` bytes further is a multiple of 2 MiB.
fn distance(base: *mut u8, boundary: usize) -> usize {
    let at = base.addr() + boundary;
    at.next_multiple_of(HUGE_PAGE) - at
}

/// Gives back the ends of a mapping, which may be null, and returns the start of what is left.
fn trim(counters: &Counters, base: *mut u8, mapped: usize, bytes: usize, boundary: usize) -> *mut u8 {
    if base.is_null() {
        return base;
    }
    let skip = distance(base, boundary);
    // SAFETY: the callers mapped enough for skip and bytes.
    let (start, end) = unsafe { (base.add(skip), base.add(skip + bytes)) };
    for (at, len) in [(base, skip), (end, mapped - skip - bytes)] {
        if len > 0 {
            counters.trims.add(1);
            // SAFETY: the end is part of the mapping, which is new and known here alone.
            unsafe { os::unmap(at, len) };
        }
    }
    start
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
            let base = map(&counters, bytes, boundary);
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
    fn what_no_huge_page_fits_in_is_left_alone() {
        let counters = Counters::new();
        for (bytes, boundary) in [(HUGE_PAGE - OS_PAGE, 0), (HUGE_PAGE, OS_PAGE)] {
            let base = map(&counters, bytes, boundary);
            assert!(!base.is_null());
            // SAFETY: the mapping is ours and that long.
            unsafe { os::unmap(base, bytes) };
        }
        assert_eq!((counters.placed.get(), counters.refusals.get(), counters.trims.get()), (0, 0, 0));
    }

    #[test]
    fn what_does_not_fit_is_null_and_counted() {
        let counters = Counters::new();
        assert!(map(&counters, (isize::MAX as usize) & !(OS_PAGE - 1), 0).is_null());
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
