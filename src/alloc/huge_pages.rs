//! Huge pages: for which new memory the kernel is advised to use them, or not to.
//!
//! A huge page saves 511 of 512 page faults where 2 MiB are used, and holds 2 MiB where one byte is touched. So by
//! default memory gets huge pages where earlier memory of its sort was used densely ([`super::density`]). [`at_commit`]
//! and [`halves_wanted`] are the whole decision. The sorts are: small pages; large objects that share 2 MiB; large
//! objects that cover 2 MiB, by their length; and mappings of their own, by the power of two of theirs, which are judged
//! again when they are used again.
//!
//! Where a part of 2 MiB was given back, the kernel is advised against huge pages ([`refuse`]). Else its collapse
//! thread (khugepaged) would fill the holes within minutes: it makes a huge page of 2 MiB in which one page is used.

use super::density::{DENSE, Predictor, Probe, SharedPredictor, Start, look};
use crate::class::{BLOCK, SEGMENT_BLOCKS};
use crate::factor::elo;
use crate::factor::thp::{self, Advice, Rule};
use crate::metadata::segment::{HALF_BLOCKS, Kind, SEGMENT, Segment, half_mask};
use crate::os::HUGE_PAGE;
use crate::sync::global;

/// Bytes at each end of the range that get no huge page where several objects share it: a small program has few objects
/// of each class, and would hold 2 MiB for them. Nor are they looked at, so that a program starts as fast as without.
pub(super) const PLAIN_BYTES: usize = 4 << 20;

/// From so many bytes of small pages on, this many sixteenths of the newest 2 MiB are enough for huge pages on the next:
/// what is left unused of one is little then beside the rest. A gawk that holds 36 MiB of hashes takes 4 % less time.
const MANY_BYTES: usize = 16 << 20;
const ENOUGH_OF_MANY: u8 = 12;

/// What the factors say about huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// By which rule the kernel is advised; `None` leaves all memory to the system's policy.
    pub(super) advice: Option<Rule>,
    /// Whether the least bytes of an object on huge pages come from the plan in force; else from the rule.
    pub(super) by_plan: bool,
}

impl Policy {
    /// Whether memory gets huge pages where its like was used densely.
    pub(super) fn is_by_density(self) -> bool {
        self.advice == Some(Rule::Dense)
    }

    /// The least bytes of a large object whose half segment may become a huge page.
    fn object_bytes_min(self) -> usize {
        match self.advice {
            _ if self.by_plan => elo::plan().huge_bytes_min,
            Some(Rule::Dense) => 0,
            _ => elo::Plan::DEFAULT.huge_bytes_min,
        }
    }
}

/// New memory, by what it will hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewMemory {
    /// A mapping of its own, for one large object.
    Mapping,
    /// A chunk of the arena outside the range.
    Chunk,
    /// A part of the range for small pages, `from_start` bytes from the range's start.
    Small { from_start: usize },
    /// A part of the range for large objects.
    Large,
}

/// The advice that the kernel gets on memory as a whole, before the arena hands out parts of it.
fn at_commit(rule: Rule, new: NewMemory) -> Option<Advice> {
    match (rule, new) {
        (_, NewMemory::Small { from_start }) if from_start < PLAIN_BYTES => None,
        (Rule::Never, _) => Some(Advice::Small),
        (Rule::Always, NewMemory::Large) | (Rule::Dense, _) => None,
        (Rule::Always, _) => Some(Advice::Huge),
    }
}

/// Gives the kernel the advice on new memory.
///
/// # Safety
/// - `[base, base + bytes)` is the allocator's.
pub(super) unsafe fn advise(policy: Policy, counters: &thp::Counters, new: NewMemory, base: *mut u8, bytes: usize) {
    if let Some(advice) = policy.advice.and_then(|rule| at_commit(rule, new)) {
        // SAFETY: the caller's promise.
        unsafe { thp::advise(counters, advice, base, bytes) };
    }
}

/// Gives the kernel the advice on a mapping of its own, new or used again, where it differs from the last advice on all
/// of it: `was_huge`, or `None` where parts of it had different advice. Returns whether it is for huge pages, by density.
///
/// # Safety
/// - `[base, base + bytes)` is the allocator's.
pub(super) unsafe fn advise_mapping(
    policy: Policy,
    counters: &thp::Counters,
    base: *mut u8,
    bytes: usize,
    was_huge: Option<bool>,
) -> bool {
    if !policy.is_by_density() {
        // SAFETY: the caller's promise.
        unsafe { advise(policy, counters, NewMemory::Mapping, base, bytes) };
        return false;
    }
    let is_huge = is_mapping_dense(base.addr(), bytes);
    if was_huge != Some(is_huge) {
        let advice = if is_huge { Advice::Huge } else { Advice::Small };
        // SAFETY: as above.
        unsafe { thp::advise(counters, advice, base, bytes) };
    }
    is_huge
}

global! {
    /// The predictors of mappings, by the power of two of their bytes.
    static MAPPINGS: [SharedPredictor; usize::BITS as usize] = each SharedPredictor::new(Start::Huge);
}

/// Whether a mapping shall have huge pages. Judged by an earlier one of about its length.
fn is_mapping_dense(base: usize, bytes: usize) -> bool {
    let first = base.next_multiple_of(HUGE_PAGE);
    if first + HUGE_PAGE > base + bytes {
        return false;
    }
    let bytes = base + bytes - first;
    let power = 1 << bytes.ilog2();
    let more = (bytes - power) / (power / 128);
    let look = |probe: Probe| look_along(probe, (power + usize::from(probe.more) * (power / 128)) / HUGE_PAGE);
    MAPPINGS[bytes.ilog2() as usize].judge(first, more as u8, look)
}

/// Most of a mapping's pieces of 2 MiB that are looked at.
const LOOKS_MAX: usize = 128;

/// As [`look`], of so many pieces of 2 MiB in a row: how densely the first one that is touched is used. Nearly always that
/// is the first piece. The last one tells little: the object may end in it.
fn look_along(probe: Probe, pieces: usize) -> Option<u8> {
    let pieces = pieces.max(1);
    let looks = pieces.min(LOOKS_MAX);
    (0..looks).find_map(|place| look(Probe { base: probe.base + place * pieces / looks * HUGE_PAGE, ..probe }))
}

/// Lengths of runs, in steps of 8 blocks, that cover half a segment: those of the size classes from 2 to 4 MiB.
const LENGTHS: usize = 5;

/// The predictors of half segments. The arena's lock guards them.
#[derive(Debug)]
pub(super) struct Halves {
    small: Predictor,
    /// Of large objects that share the half, or cover it in part; the second one of second halves of segments that runs of
    /// their length do not fill.
    shared: [Predictor; 2],
    /// Of large objects that cover the half, by their length, for their first and second half.
    covered: [[Predictor; 2]; LENGTHS],
}

impl Halves {
    pub(super) const fn new() -> Halves {
        Halves {
            small: Predictor::new(Start::Ordinary),
            shared: [Predictor::new(Start::Ordinary); 2],
            covered: [[Predictor::new(Start::OneHuge); 2]; LENGTHS],
        }
    }

    /// Forgets what was to be looked at in the 2 MiB from `base`.
    pub(super) fn forget(&mut self, base: *mut u8) {
        let large = self.shared.iter_mut().chain(self.covered.as_flattened_mut());
        large.chain([&mut self.small]).for_each(|judge| judge.forget(base.addr()));
    }
}

/// A run of blocks that was placed in a segment, for objects of `object_bytes`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) segment: &'a Segment,
    /// The segment's dirty blocks before.
    pub(super) dirty_before: u64,
    /// The blocks of the run.
    pub(super) run: u64,
    pub(super) object_bytes: usize,
    /// Bytes of its kind's part of the range before the segment; `usize::MAX` outside the range.
    pub(super) bytes_before: usize,
}

/// Which halves of a segment shall have huge pages, after a run was placed; `None` for a half to which nothing changes:
/// it held something before, or nothing came to it.
fn halves_wanted(
    policy: Policy,
    halves: &mut Halves,
    placed: Placed<'_>,
    look: impl Fn(Probe) -> Option<u8> + Copy,
) -> [Option<bool>; 2] {
    let Placed { segment, dirty_before, run, object_bytes, bytes_before } = placed;
    let is_first = bytes_before < PLAIN_BYTES;
    let is_large = segment.kind.get() == Kind::Large;
    let is_refused = if is_large { object_bytes < policy.object_bytes_min() } else { is_first };
    let is_new = |half| dirty_before & half_mask(half) == 0 && (dirty_before == 0 || run & half_mask(half) != 0);
    if policy.advice == Some(Rule::Always) {
        // The halves of a segment that held nothing are advised on together.
        return [0, 1].map(|half| is_new(half).then_some(!is_refused));
    }
    let start = |half| segment.base.get().addr() + half * HUGE_PAGE;
    let covers =
        |half| is_large && object_bytes.div_ceil(BLOCK) >= HALF_BLOCKS && run & half_mask(half) == half_mask(half);
    // Runs of this length fill a segment but for a sixteenth. Else its second half has what is left, and is judged apart.
    let fills = SEGMENT_BLOCKS % run.count_ones() as usize <= SEGMENT_BLOCKS / 16;
    let mut wanted = [None; 2];
    for half in (0..2).filter(|&half| is_new(half)) {
        if covers(half) {
            let length = (object_bytes.div_ceil(BLOCK) - HALF_BLOCKS).div_ceil(8).min(LENGTHS - 1);
            let part = if run & half_mask(0) == 0 { 0 } else { half };
            wanted[half] = Some(!is_refused && halves.covered[length][part].judge(start(half), look));
            continue;
        }
        let sort = match is_large {
            true => &mut halves.shared[usize::from(half == 1 && !fills)],
            false => &mut halves.small,
        };
        wanted[half] = match wanted[0] {
            // One judgement for a segment that held nothing: when the next is needed, the first half is full.
            Some(first) if half == 1 && !covers(0) && fills => Some(first),
            _ if run & half_mask(half) == 0 && (half == 0 || covers(0)) => None,
            _ if is_refused || is_first => {
                sort.skip(start(half));
                Some(false)
            }
            _ => {
                let enough = if is_large || bytes_before < MANY_BYTES { DENSE } else { ENOUGH_OF_MANY };
                Some(sort.judge_by(enough, start(half), look))
            }
        };
    }
    // The next half is likely to get the same; one call for both keeps the kernel's list of mappings short.
    if dirty_before == 0 && wanted == [Some(true), None] && (fills || covers(0)) {
        wanted[1] = Some(true);
    }
    wanted
}

/// Gives the kernel the advice on halves of a segment that held nothing before a run was placed, where it differs from
/// the last advice: with one call, where it is the same for both. The caller holds the arena's lock.
pub(super) fn advise_halves(policy: Policy, halves: &mut Halves, counters: &thp::Counters, placed: Placed<'_>) {
    if !matches!(policy.advice, Some(Rule::Always | Rule::Dense)) {
        return;
    }
    let segment = placed.segment;
    if segment.is_refused.get() {
        if placed.dirty_before != 0 {
            return;
        }
        segment.is_refused.set(false);
    }
    let known = segment.huge_halves.get();
    let wanted = halves_wanted(policy, halves, placed, look);
    let differs = |half: usize| wanted[half].filter(|&is_huge| is_huge != (known & (1 << half) != 0));
    let give = |first: usize, count: usize, is_huge: bool| {
        let bits = ((1 << count) - 1) << first;
        segment.huge_halves.set(if is_huge {
            segment.huge_halves.get() | bits
        } else {
            segment.huge_halves.get() & !bits
        });
        let start = segment.base.get().wrapping_add(first * HUGE_PAGE);
        let advice = if is_huge { Advice::Huge } else { Advice::Small };
        // SAFETY: the halves are the segment's.
        unsafe { thp::advise(counters, advice, start, count * HUGE_PAGE) };
    };
    match (differs(0), differs(1)) {
        (Some(first), Some(second)) if first == second => give(0, 2, first),
        (first, second) => {
            first.into_iter().for_each(|is_huge| give(0, 1, is_huge));
            second.into_iter().for_each(|is_huge| give(1, 1, is_huge));
        }
    }
}

/// Notes the advice that a new segment's memory, a part of `new`, got at its commit.
pub(super) fn begin_segment(policy: Policy, segment: &Segment, new: NewMemory) {
    let Some(rule) = policy.advice else { return };
    segment.is_advised.set(rule != Rule::Never);
    if at_commit(rule, new) == Some(Advice::Huge) {
        segment.huge_halves.set(0b11);
    }
}

/// Advises the kernel against huge pages in a segment of which a part of a half is given back, once until all of it is
/// given back. For the segment as a whole, so that the kernel's list of mappings stays short. The caller holds the
/// arena's lock.
pub(super) fn refuse(halves: &mut Halves, counters: &thp::Counters, segment: &Segment) {
    if segment.is_refused.get() || !segment.is_advised.get() {
        return;
    }
    segment.is_refused.set(true);
    segment.huge_halves.set(0);
    let base = segment.base.get();
    halves.forget(base);
    halves.forget(base.wrapping_add(HUGE_PAGE));
    // SAFETY: the memory is the segment's.
    unsafe { thp::advise(counters, Advice::Small, base, SEGMENT) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::segment::mask;
    use std::boxed::Box;

    const MIB: usize = 1 << 20;
    const DENSE: Option<u8> = Some(16);
    const SPARSE: Option<u8> = Some(3);

    fn policy(rule: Rule) -> Policy {
        Policy { advice: Some(rule), by_plan: false }
    }

    fn segment(kind: Kind) -> Box<Segment> {
        // SAFETY: zeroes are a segment that holds nothing.
        let segment: Box<Segment> = unsafe { Box::<Segment>::new_zeroed().assume_init() };
        segment.kind.set(kind);
        segment.base.set(core::ptr::without_provenance_mut(7 << 40));
        segment
    }

    #[test]
    fn the_advice_at_commit_is_the_table_of_the_documentation() {
        let (huge, small) = (Some(Advice::Huge), Some(Advice::Small));
        for (new, always, never) in [
            (NewMemory::Chunk, huge, small),
            (NewMemory::Mapping, huge, small),
            (NewMemory::Small { from_start: 0 }, None, None),
            (NewMemory::Small { from_start: PLAIN_BYTES }, huge, small),
            (NewMemory::Large, None, small),
        ] {
            assert_eq!(at_commit(Rule::Always, new), always, "{new:?}");
            assert_eq!(at_commit(Rule::Never, new), never, "{new:?}");
            assert_eq!(at_commit(Rule::Dense, new), None, "{new:?}");
        }
    }

    /// Asks for advice on a segment that held nothing, after earlier memory of every sort was found to be `like`.
    #[track_caller]
    fn check(
        rule: Rule,
        like: Option<u8>,
        kind: Kind,
        blocks: usize,
        object_bytes: usize,
        expected: [Option<bool>; 2],
    ) {
        let (segment, mut halves) = (segment(kind), Halves::new());
        let placed =
            Placed { segment: &segment, dirty_before: 0, run: mask(0, blocks), object_bytes, bytes_before: usize::MAX };
        halves_wanted(policy(rule), &mut halves, placed, |_| like);
        let wanted = halves_wanted(policy(rule), &mut halves, placed, |_| like);
        assert_eq!(wanted, expected, "{rule:?} {like:?} {kind:?} {blocks} {object_bytes}");
    }

    #[test]
    fn halves_get_huge_pages_where_their_like_was_dense() {
        let (yes, no) = (Some(true), Some(false));
        for (like, is_dense) in [(DENSE, yes), (SPARSE, no)] {
            for (kind, blocks, object_bytes) in [
                (Kind::Small, 1, 64),
                (Kind::Small, 8, 20 << 10),
                (Kind::Large, 16, (64 << 10) + 64),
                (Kind::Large, SEGMENT_BLOCKS, (512 << 10) + 64),
                (Kind::Large, 20, MIB + 1),
                (Kind::Large, 64, 4 * MIB),
            ] {
                check(Rule::Dense, like, kind, blocks, object_bytes, [is_dense; 2]);
            }
            // What the object does not cover is judged again with its own first object.
            let second = if is_dense == yes { yes } else { None };
            check(Rule::Dense, like, Kind::Large, 32, 2 * MIB, [is_dense, second]);
            // What it covers in part is judged as what objects share.
            check(Rule::Dense, like, Kind::Large, 40, 5 * MIB / 2, [is_dense, is_dense]);
            check(Rule::Always, like, Kind::Large, 16, MIB, [yes; 2]);
            check(Rule::Always, like, Kind::Large, 15, MIB - 1, [no; 2]);
        }
    }

    #[test]
    fn each_length_is_judged_by_itself_and_the_first_small_pages_get_none() {
        let (segment, mut halves) = (segment(Kind::Large), Halves::new());
        let two = Placed {
            segment: &segment,
            dirty_before: 0,
            run: half_mask(0),
            object_bytes: 2 * MIB,
            bytes_before: usize::MAX,
        };
        let four = Placed { run: u64::MAX, object_bytes: 4 * MIB, ..two };
        let policy = policy(Rule::Dense);
        for _ in 0..3 {
            halves_wanted(policy, &mut halves, two, |_| DENSE);
            halves_wanted(policy, &mut halves, four, |_| SPARSE);
        }
        assert_eq!(halves_wanted(policy, &mut halves, two, |_| DENSE)[0], Some(true));
        assert_eq!(halves_wanted(policy, &mut halves, four, |_| SPARSE), [Some(false); 2]);

        let small = self::segment(Kind::Small);
        let first = Placed { segment: &small, run: 1, object_bytes: 64, bytes_before: 0, ..two };
        for _ in 0..3 {
            assert_eq!(halves_wanted(policy, &mut halves, first, |_| DENSE), [Some(false); 2]);
        }
        let later = Placed { bytes_before: PLAIN_BYTES, ..first };
        assert_eq!(halves_wanted(policy, &mut halves, later, |_| DENSE), [Some(true); 2]);
        let used = Placed { dirty_before: half_mask(0), ..later };
        assert_eq!(halves_wanted(policy, &mut halves, used, |_| DENSE), [None; 2], "it holds something");
        let second = Placed { dirty_before: half_mask(0), run: mask(HALF_BLOCKS, 1), ..later };
        assert_eq!(halves_wanted(policy, &mut halves, second, |_| DENSE), [None, Some(true)]);
    }
}
