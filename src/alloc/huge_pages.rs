//! Huge pages: for which new memory the kernel is advised to use them, or not to.
//!
//! [`advice_for`] is the whole decision. A huge page saves 511 of 512 page faults where 2 MiB are used, and holds 2 MiB
//! where one byte is touched. So large objects get them, and small ones get them once the program is large. A small
//! program holds no huge page for a few objects, and objects of 64 KiB that are touched here and there hold only their
//! OS pages.

use crate::factor::elo::{self, Plan};
use crate::factor::thp::{self, Advice};
use crate::metadata::segment::{Segment, half_mask};
use crate::os::HUGE_PAGE;

/// Bytes of small pages at the start of the range that get no advice.
pub(super) const PLAIN_SMALL: usize = 16 << 20;

/// What the factors say about huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Which advice the kernel gets; `None` leaves all memory to the system's policy.
    pub(super) advice: Option<Advice>,
    /// Whether the least bytes of an object on huge pages come from the plan in force; else from the default plan.
    pub(super) by_plan: bool,
}

impl Policy {
    /// The least bytes of an object whose half segment becomes a huge page.
    fn object_bytes_min(self) -> usize {
        if self.by_plan { elo::plan().huge_bytes_min } else { Plan::DEFAULT.huge_bytes_min }
    }
}

/// New memory, by what it will hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewMemory {
    /// A mapping of its own, for one large object or for a chunk of the arena.
    Mapping,
    /// A part of the range for small pages, `from_start` bytes from the range's start.
    Small { from_start: usize },
    /// A part of the range for large objects, whose sizes are not known yet.
    Large,
    /// Half a segment of large objects that held nothing; its first object has `object_bytes`.
    Half { object_bytes: usize },
}

/// The advice that the kernel gets on new memory, if any.
fn advice_for(policy: Policy, new: NewMemory) -> Option<Advice> {
    match (policy.advice?, new) {
        (advice, NewMemory::Mapping) => Some(advice),
        (_, NewMemory::Small { from_start }) if from_start < PLAIN_SMALL => None,
        (advice, NewMemory::Small { .. }) => Some(advice),
        // The first object of each half decides later.
        (Advice::Huge, NewMemory::Large) => None,
        (Advice::Small, NewMemory::Large) => Some(Advice::Small),
        (Advice::Huge, NewMemory::Half { object_bytes }) if object_bytes >= policy.object_bytes_min() => {
            Some(Advice::Huge)
        }
        // Huge pages under objects of 64 KiB that are touched here and there would hold all memory between them.
        (Advice::Huge, NewMemory::Half { .. }) => Some(Advice::Small),
        // The whole part of the range got this advice before.
        (Advice::Small, NewMemory::Half { .. }) => None,
    }
}

/// Gives the kernel the advice on new memory.
///
/// # Safety
/// - `[base, base + bytes)` is the allocator's.
pub(super) unsafe fn advise(policy: Policy, counters: &thp::Counters, new: NewMemory, base: *mut u8, bytes: usize) {
    if let Some(advice) = advice_for(policy, new) {
        // SAFETY: the caller's promise.
        unsafe { thp::advise(counters, advice, base, bytes) };
    }
}

/// Gives the kernel the advice on halves of a segment whose first object, of `object_bytes`, was placed, where it
/// differs from the last advice. Both halves of a segment that held nothing get it with one call.
///
/// The caller holds the arena's lock. `dirty_before` are the segment's dirty blocks before the object was placed.
pub(super) fn advise_halves(
    policy: Policy,
    counters: &thp::Counters,
    segment: &Segment,
    dirty_before: u64,
    object_bytes: usize,
) {
    let Some(advice) = advice_for(policy, NewMemory::Half { object_bytes }) else {
        return;
    };
    let is_new =
        |half| dirty_before & half_mask(half) == 0 && (dirty_before == 0 || segment.dirty.get() & half_mask(half) != 0);
    let known = segment.huge_halves.get();
    let differs = |half| is_new(half) && (advice == Advice::Huge) != (known & (1 << half) != 0);
    let (first, halves) = match (differs(0), differs(1)) {
        (true, true) => (0, 2),
        (true, false) => (0, 1),
        (false, true) => (1, 1),
        (false, false) => return,
    };
    segment.huge_halves.set(known ^ (((1 << halves) - 1) << first));
    let start = segment.base.get().wrapping_add(first * HUGE_PAGE);
    // SAFETY: the halves are the segment's.
    unsafe { thp::advise(counters, advice, start, halves * HUGE_PAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(advice: Option<Advice>, new: NewMemory, expected: Option<Advice>) {
        assert_eq!(advice_for(Policy { advice, by_plan: false }, new), expected, "{advice:?} {new:?}");
    }

    #[test]
    fn the_decision_is_the_table_of_the_documentation() {
        let (huge, small) = (Some(Advice::Huge), Some(Advice::Small));
        let long = NewMemory::Half { object_bytes: Plan::DEFAULT.huge_bytes_min };
        let short = NewMemory::Half { object_bytes: Plan::DEFAULT.huge_bytes_min - 1 };
        let first = NewMemory::Small { from_start: 0 };
        let later = NewMemory::Small { from_start: PLAIN_SMALL };
        for (new, with_huge, with_small) in [
            (NewMemory::Mapping, huge, small),
            (first, None, None),
            (later, huge, small),
            (NewMemory::Large, None, small),
            (long, huge, None),
            (short, small, None),
        ] {
            check(huge, new, with_huge);
            check(small, new, with_small);
            check(None, new, None);
        }
    }
}
