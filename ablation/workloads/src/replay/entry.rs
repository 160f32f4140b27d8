//! One step of a thread's script, in 16 bytes: what the timed loop reads, one after another.

use crate::allocator::ALIGN;
use std::alloc::Layout;

/// Largest size of an object, bytes: what the entry has room for.
pub(super) const SIZE_MAX: u64 = (1 << 48) - 1;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A new object.
    Allocate,
    /// A new object of zeroes.
    Zeroed,
    /// Another size for an object. An entry with its [`Kind::Before`] follows.
    Reallocate,
    /// The size that the object of the entry before has had.
    Before,
    /// The end of an object.
    Free,
    /// Waits until the object of the next entry has had `other` operations.
    Wait,
    /// Starts a thread: `other` is a row of the spawns.
    Spawn,
    /// Waits for the end of the thread `other`.
    Join,
    /// A moment at which resident memory is read, where that is asked for: `other` is its number.
    Sample,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Entry {
    /// Place in the table of pointers.
    pub(super) slot: u32,
    size_low: u32,
    size_high: u16,
    align_log2: u8,
    /// Whether the object passes between threads, so that its turn is told when the operation is done.
    is_shared: bool,
    /// Call site, turn, row or thread, as [`Kind`] says; the highest four bits are the kind.
    other_and_kind: u32,
}

const OTHER_BITS: u32 = 28;
/// Largest value of [`Entry::other`].
pub(super) const OTHER_MAX: u32 = (1 << OTHER_BITS) - 1;

impl Entry {
    /// A step about an object.
    pub(super) fn of(kind: Kind, slot: u32, (size, align): (u64, u64), other: u32, is_shared: bool) -> Entry {
        Entry {
            slot,
            size_low: size as u32,
            size_high: (size >> 32) as u16,
            align_log2: align.trailing_zeros() as u8,
            is_shared,
            other_and_kind: other.min(OTHER_MAX) | (kind as u32) << OTHER_BITS,
        }
    }

    /// A step about no object.
    pub(super) fn about(kind: Kind, other: u32) -> Entry {
        Entry::of(kind, 0, (1, 1), other, false)
    }

    /// What it does.
    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        // SAFETY: only a `Kind` was put there.
        unsafe { std::mem::transmute::<u8, Kind>((self.other_and_kind >> OTHER_BITS) as u8) }
    }

    /// Call site, turn, row or thread.
    #[inline(always)]
    pub(super) fn other(self) -> u32 {
        self.other_and_kind & OTHER_MAX
    }

    /// Whether the object passes between threads.
    #[inline(always)]
    pub(super) fn is_shared(self) -> bool {
        self.is_shared
    }

    /// Bytes of the object; at least 1.
    #[inline(always)]
    pub(super) fn size(self) -> usize {
        self.size_low as usize | (self.size_high as usize) << 32
    }

    /// The object's layout.
    #[inline(always)]
    pub(super) fn layout(self) -> Layout {
        // SAFETY: the alignment is a power of two, and `decode` refuses sizes that are near to isize::MAX.
        unsafe { Layout::from_size_align_unchecked(self.size(), 1 << self.align_log2) }
    }

    /// What the step adds to the evidence of the work. The sum does not depend on the order of threads.
    #[inline(always)]
    pub(super) fn evidence(self) -> u64 {
        let kind = u64::from(self.other_and_kind >> OTHER_BITS);
        (self.size() as u64 ^ kind << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// The alignment of a request: what was asked for; else what `malloc` promises, which is that of any type that fits.
pub(super) fn alignment(size: u64, asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| (1 << size.max(1).ilog2()).min(ALIGN as u64))
}

/// The byte that is written into an object; never 0, which fresh memory contains anyway.
#[inline(always)]
pub(super) fn byte_of(slot: u32) -> u8 {
    1 + (slot % 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_what_it_was_made_of() {
        assert_eq!(size_of::<Entry>(), 16);
        for size in [1, 16, u64::from(u32::MAX) + 5, SIZE_MAX] {
            for (kind, other) in [(Kind::Allocate, 7), (Kind::Sample, OTHER_MAX), (Kind::Free, 0)] {
                let entry = Entry::of(kind, 9, (size, 4096), other, true);
                assert_eq!((entry.kind(), entry.size() as u64, entry.other()), (kind, size, other));
                assert_eq!((entry.layout().align(), entry.is_shared(), entry.slot), (4096, true, 9));
            }
        }
    }

    #[test]
    fn malloc_aligns_for_what_fits() {
        let cases = [(0, 1), (1, 1), (7, 4), (8, 8), (15, 8), (16, 16), (5000, 16)];
        assert!(cases.iter().all(|(size, align)| alignment(*size, None) == *align));
        assert_eq!(alignment(8, Some(64)), 64);
    }
}
