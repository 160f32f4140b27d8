//! Huge pages: which new memory the kernel is told to back with them, or not to.
//!
//! [`advice_for`] is the whole decision. A huge page saves 511 of 512 page faults where 2 MiB are used, and holds 2 MiB
//! where one byte is touched. So large objects get them, and so do small ones once the program is large. A small program
//! holds no huge page for a few objects, and objects of 64 KiB that are touched here and there hold their OS pages alone.

use crate::factor::elo::{self, Plan};
use crate::factor::thp::{self, Advice};
use crate::metadata::segment::{Segment, half_mask};
use crate::os::HUGE_PAGE;

/// The first bytes of small pages that stay on OS pages.
pub(super) const PLAIN_SMALL: usize = 16 << 20;

/// What the factors say of huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Which advice the kernel gets; `None` leaves all memory to the system's policy.
    pub(super) advice: Option<Advice>,
    /// Whether the plan in force says how long an object must be, and not the default.
    pub(super) by_plan: bool,
}

impl Policy {
    /// The least bytes of an object whose half segment is to be a huge page.
    fn object_bytes_min(self) -> usize {
        if self.by_plan { elo::plan().huge_bytes_min } else { Plan::DEFAULT.huge_bytes_min }
    }
}

/// Memory that is new to its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum New {
    /// A mapping of its own, for one large object or for a chunk of the arena.
    Mapping,
    /// A part of the range for small pages, so many bytes from the range's start.
    Small { from_start: usize },
    /// A part of the range for large objects, before it is known which.
    Large,
    /// Half a segment of large objects that held nothing, and its first object of so many bytes.
    Half { object_bytes: usize },
}

/// What the kernel is told about new memory, if anything.
fn advice_for(policy: Policy, new: New) -> Option<Advice> {
    match (policy.advice?, new) {
        (advice, New::Mapping) => Some(advice),
        (_, New::Small { from_start }) if from_start < PLAIN_SMALL => None,
        (advice, New::Small { .. }) => Some(advice),
        // Where huge pages are wanted, the first object of each half decides.
        (Advice::Huge, New::Large) => None,
        (Advice::Small, New::Large) => Some(Advice::Small),
        (Advice::Huge, New::Half { object_bytes }) if object_bytes >= policy.object_bytes_min() => Some(Advice::Huge),
        // Under many objects of 64 KiB that are touched here and there, huge pages would hold all between them.
        (Advice::Huge, New::Half { .. }) => Some(Advice::Small),
        // The whole part of the range was told before.
        (Advice::Small, New::Half { .. }) => None,
    }
}

/// Tells the kernel about new memory.
///
/// # Safety
/// - `[base, base + bytes)` is ours.
pub(super) unsafe fn advise(policy: Policy, counters: &thp::Counters, new: New, base: *mut u8, bytes: usize) {
    if let Some(advice) = advice_for(policy, new) {
        // SAFETY: the caller's promise.
        unsafe { thp::advise(counters, advice, base, bytes) };
    }
}

/// Tells the kernel about halves of a segment in which the first object was placed, of so many bytes: where the advice
/// differs from what it knows. Both halves of a segment that held nothing at all are told at once.
///
/// The arena's lock is held. `dirty_before` are the segment's dirty blocks before the object was placed.
pub(super) fn advise_halves(
    policy: Policy,
    counters: &thp::Counters,
    segment: &Segment,
    dirty_before: u64,
    object_bytes: usize,
) {
    let Some(advice) = advice_for(policy, New::Half { object_bytes }) else {
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

    fn check(advice: Option<Advice>, new: New, expected: Option<Advice>) {
        assert_eq!(advice_for(Policy { advice, by_plan: false }, new), expected, "{advice:?} {new:?}");
    }

    #[test]
    fn the_decision_is_the_table_of_the_documentation() {
        let (huge, small) = (Some(Advice::Huge), Some(Advice::Small));
        let long = New::Half { object_bytes: Plan::DEFAULT.huge_bytes_min };
        let short = New::Half { object_bytes: Plan::DEFAULT.huge_bytes_min - 1 };
        let first = New::Small { from_start: 0 };
        let later = New::Small { from_start: PLAIN_SMALL };
        for (new, with_huge, with_small) in [
            (New::Mapping, huge, small),
            (first, None, None),
            (later, huge, small),
            (New::Large, None, small),
            (long, huge, None),
            (short, small, None),
        ] {
            check(huge, new, with_huge);
            check(small, new, with_small);
            check(None, new, None);
        }
    }
}
