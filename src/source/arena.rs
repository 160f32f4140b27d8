//! Arenas: address ranges reserved from the OS, handed out as segments.
//!
//! Ranges are never unmapped, so that an address that was once in a segment always is: looking one up needs no lock.
//! What an empty segment held goes back to the OS with `madvise` instead. The caller holds the central lock.

use crate::list::List;
use crate::map;
use crate::meta;
use crate::os;
use crate::page::{SEGMENT, Segment};

/// Bytes reserved at a time, tried in this order: many segments a system call, and still something where a limit on
/// address space (`RLIMIT_AS`) or a checker refuses long ranges.
const LADDER: [usize; 3] = [64 << 20, 16 << 20, SEGMENT];

/// How many empty segments keep their memory for the next request.
const KEPT_SEGMENTS: usize = 4;

/// The rest of the newest range, and the segments that came back.
#[derive(Debug)]
pub(super) struct Arena {
    next: *mut u8,
    left: usize,
    kept: List<Segment>,
    kept_count: usize,
    emptied: List<Segment>,
}

// SAFETY: the pointer leads to reserved memory that only the lock's holder hands out.
unsafe impl Send for Arena {}

impl Arena {
    pub(super) const fn new() -> Arena {
        Arena { next: core::ptr::null_mut(), left: 0, kept: List::new(), kept_count: 0, emptied: List::new() }
    }

    /// A segment with no unit in use.
    pub(super) fn take_segment(&mut self) -> Option<&'static Segment> {
        if let Some(segment) = self.kept.pop() {
            self.kept_count -= 1;
            return Some(segment);
        }
        if let Some(segment) = self.emptied.pop() {
            return Some(segment);
        }
        if self.left == 0 && !self.reserve() {
            return None;
        }
        // SAFETY: the record lives for ever, and all zeroes are a segment of free units.
        let segment: &'static Segment = unsafe { meta::allocate::<Segment>()?.as_ref() };
        segment.base.set(self.next);
        for page in &segment.pages {
            page.class_index.set(crate::page::NO_CLASS);
        }
        if !map::enter_segment(segment) {
            return None;
        }
        // SAFETY: `left` is a positive multiple of the segment size.
        self.next = unsafe { self.next.add(SEGMENT) };
        self.left -= SEGMENT;
        Some(segment)
    }

    /// Takes a segment back whose units are all free.
    pub(super) fn give_segment(&mut self, segment: &'static Segment) {
        if self.kept_count < KEPT_SEGMENTS {
            self.kept.push(segment);
            self.kept_count += 1;
        } else {
            // SAFETY: no unit of the segment is in use. A refusal only leaves the memory resident.
            unsafe { os::decommit(segment.base.get(), SEGMENT) };
            self.emptied.push(segment);
        }
    }

    fn reserve(&mut self) -> bool {
        for bytes in LADDER {
            // One segment more, to align; the ends stay reserved and untouched.
            let range = os::reserve(bytes + SEGMENT);
            if !range.is_null() {
                let skip = range.addr().next_multiple_of(SEGMENT) - range.addr();
                // SAFETY: `skip` is less than a segment.
                self.next = unsafe { range.add(skip) };
                self.left = bytes;
                return true;
            }
        }
        false
    }
}
