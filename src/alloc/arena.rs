//! The arena: the range, handed out as segments and runs of blocks.
//!
//! Segments of small pages grow from the range's lower end, those of large objects from its upper end, so that the
//! advice on huge pages can differ and still covers few, long pieces. Where the range is full, or was refused, chunks
//! elsewhere take its place. What an address was used for stays known, so that looking one up needs no lock. The memory
//! of a free half segment goes back to the OS with `madvise`, when the factor `purge` says so.
//!
//! The lock is taken for a page of slots, or for a large object that neither a cache nor the transfer cache had.

use super::arena_growth::{Extent, Growth};
use super::huge_pages::{self, Halves, Placed, Policy};
use crate::class::{BLOCK, SEGMENT_BLOCKS, SlotListOffset};
use crate::factor::{self, free_check, purge};
use crate::metadata::list::List;
use crate::metadata::page::Page;
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::{FitClass, Kind, SEGMENT, Segment, half_mask, mask};
use crate::os::{self, HUGE_PAGE};
use crate::sync::{Lock, global};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of free blocks that wait, from which on the purge is due.
const PURGE_BYTES_MIN: usize = 4 << 20;
/// Most epochs that free blocks beside used ones wait, twice as long as a free half: with the epochs that pass before
/// batches come here, less than two seconds.
const PARTS_EPOCHS_MAX: u32 = 7;

global! {
    static ARENA: Lock<Arena> = Lock::new(Arena::new());
}

/// Bytes of runs that began in memory without contents, new or given back, and that no caller has asked about yet.
/// Relaxed: it orders nothing.
static GROWTH: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Arena {
    /// Where new segments come from.
    growth: Growth,
    /// Segments with a free block, by kind and fit class.
    segments: [[List<Segment>; FitClass::COUNT]; 2],
    /// What is known of how densely half segments are used.
    halves: Halves,
    /// Segments with a half to be purged, newest first.
    waiting: Option<&'static Segment>,
    /// Free blocks of all segments that were used since they were last known to be zero.
    waiting_blocks: usize,
    /// Blocks of all segments that are in use, and those that are not memory yet.
    used_blocks: usize,
}

// SAFETY: only the lock's holder uses what the pointers lead to.
unsafe impl Send for Arena {}

/// Takes a run of `blocks` blocks, at most a segment's, for objects of `object_bytes`. Returns its page, and whether
/// its memory is known to be zero.
pub(super) fn take_run(
    counters: &factor::Counters,
    policy: Policy,
    kind: Kind,
    blocks: usize,
    object_bytes: usize,
) -> Option<(&'static Page, bool)> {
    let mut arena = ARENA.lock();
    if let Some(run) = arena.take_from_lists(counters, policy, kind, blocks, object_bytes) {
        return Some(run);
    }
    if arena.turn_to(kind)
        && let Some(run) = arena.take_from_lists(counters, policy, kind, blocks, object_bytes)
    {
        return Some(run);
    }
    // A segment that is memory in part may be too short for the run, and is then extended.
    while arena.grow(counters, policy, kind) {
        if let Some(run) = arena.take_from_lists(counters, policy, kind, blocks, object_bytes) {
            return Some(run);
        }
    }
    // The last resort: memory of the other kind.
    let other = kind.other();
    loop {
        if kind == Kind::Small
            && let Some(segment) = arena.first_with(other, blocks)
            && !free_check::begin_small(segment.base.get(), SEGMENT)
        {
            return None;
        }
        let run = arena.take_from_lists(counters, policy, other, blocks, object_bytes);
        if run.is_some() || !arena.extend(counters, policy, other) {
            return run;
        }
    }
}

/// Whether a run of `blocks` blocks makes the arena grow.
pub(super) fn must_grow(kind: Kind, blocks: usize) -> bool {
    let arena = ARENA.lock();
    arena.first_with(kind, blocks).is_none() && arena.whole_of_other(kind).is_none()
}

/// Whether the next run of `blocks` blocks lies in memory without contents, new or given back: to write to it is to take
/// memory from the OS.
pub(super) fn is_next_untouched(kind: Kind, blocks: usize) -> bool {
    let arena = ARENA.lock();
    let next = arena.first_with(kind, blocks).or_else(|| arena.whole_of_other(kind));
    next.is_none_or(|segment| segment.is_next_untouched(blocks))
}

/// Where a run of a large object is to lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Blocks of which its start is to be a multiple: a power of two, up to a half segment's.
    pub(super) step: usize,
    /// Free blocks from its start on, at least its own.
    pub(super) room: usize,
}

/// As [`take_run`], for a large object that is to lie at a certain place.
pub(super) fn take_run_at(
    counters: &factor::Counters,
    policy: Policy,
    blocks: usize,
    place: Place,
    object_bytes: usize,
) -> Option<(&'static Page, bool)> {
    let mut arena = ARENA.lock();
    if let Some(run) = arena.take_at(counters, policy, blocks, place, object_bytes) {
        return Some(run);
    }
    // Room alone is no reason for new memory.
    if place.room > blocks && arena.first_with(Kind::Large, blocks).is_some() {
        return None;
    }
    // As in `take_run`.
    while arena.turn_to(Kind::Large) || arena.grow(counters, policy, Kind::Large) {
        if let Some(run) = arena.take_at(counters, policy, blocks, place, object_bytes) {
            return Some(run);
        }
    }
    None
}

/// Lengthens a run of a large object in its place. Returns `false` where the blocks behind it are not free.
pub(super) fn extend_run(page: &'static Page, blocks: usize) -> bool {
    let Some(segment) = page_map::segment_of(page.base.get()) else {
        return false;
    };
    let mut is_longer = false;
    ARENA.lock().change(segment, |segment| is_longer = segment.extend_run(page, blocks));
    is_longer
}

/// Puts a run back, in which no object is left. Returns whether the purge is due.
pub(super) fn give_run(page: &'static Page) -> bool {
    let Some(segment) = page_map::segment_of(page.base.get()) else {
        return false;
    };
    for block in 0..usize::from(page.blocks.get()) {
        range::set_slot_list(page.base.get().wrapping_add(block * BLOCK), SlotListOffset::NONE);
    }
    ARENA.lock().give(segment, |segment| segment.give_run(page))
}

/// Shortens a run of a large object in its place. Returns whether the purge is due.
pub(super) fn cut_run(page: &'static Page, blocks: usize) -> bool {
    let cut = |segment: &'static Segment| ARENA.lock().give(segment, |segment| segment.cut_run(page, blocks));
    page_map::segment_of(page.base.get()).is_some_and(cut)
}

/// Gives the memory of half segments that were free for `epochs` epochs of the purge back to the OS. With `parts` also
/// the memory of free blocks beside used ones, after twice as many epochs. No lock is held while the kernel works, and
/// `next` is called after each step: if it returns `false`, the rest is left for later. Returns whether anything waits.
pub(super) fn purge_older_than(
    counters: &factor::Counters,
    epochs: u32,
    parts: bool,
    mut next: impl FnMut() -> bool,
) -> bool {
    let mut young: Option<&'static Segment> = None;
    let mut goes_on = true;
    let mut arena = ARENA.lock();
    while goes_on && let Some(segment) = arena.waiting {
        arena.waiting = segment.next_waiting.take();
        // A free in the other half while the lock is not held lets the segment wait again.
        segment.waits.set(false);
        let mut is_young = false;
        for half in 0..2 {
            let blocks = segment.purgeable(half);
            let is_whole = blocks == half_mask(half);
            if blocks == 0 || !(is_whole || parts) {
                continue;
            }
            let age_min = if is_whole { epochs } else { (2 * epochs).min(PARTS_EPOCHS_MAX) };
            if !goes_on || epoch_age(segment, half) < age_min {
                is_young = true;
                continue;
            }
            // While the lock is not held, the blocks are marked as in use, so that no other thread takes them. So is the
            // other half where it is free and was not used lately: a segment that is half in use fits best, and would
            // draw requests away from the one that serves them, whose memory then lies unused.
            let other = half_mask(1 - half);
            let is_idle = epochs > 0
                && segment.used.get() & other == 0
                && (segment.dirty.get() & other == 0 || epoch_age(segment, 1 - half) >= epochs);
            let taken = if is_idle { blocks | other } else { blocks };
            arena.change(segment, |segment| segment.used.set(segment.used.get() | taken));
            if is_whole {
                arena.halves.forget(segment.base.get().wrapping_add(half * HUGE_PAGE));
            } else {
                huge_pages::refuse(&mut arena.halves, &counters.thp, segment);
            }
            drop(arena);
            // SAFETY: the blocks are free, and no other thread takes them.
            let gone = unsafe { decommit_blocks(counters, segment, blocks) };
            goes_on = next();
            arena = ARENA.lock();
            arena.change(segment, |segment| {
                segment.used.set(segment.used.get() & !taken);
                // If the kernel refuses, the half is tried again after its next use.
                if gone {
                    segment.dirty.set(segment.dirty.get() & !blocks);
                }
            });
            arena.demote(segment);
        }
        if is_young && !segment.waits.replace(true) {
            segment.next_waiting.set(young);
            young = Some(segment);
        }
    }
    // Those that are too young go on waiting.
    while let Some(segment) = young {
        young = segment.next_waiting.take();
        segment.waits.set(false);
        arena.wait(segment);
    }
    arena.waiting.is_some()
}

/// Free blocks of a segment that were used since they were last known to be zero.
fn free_dirty(segment: &Segment) -> usize {
    (segment.dirty.get() & !segment.used.get()).count_ones() as usize
}

/// Notes that a part of the memory of a page in use is given back to the OS, so that no huge page comes back there.
pub(super) fn give_parts_back(counters: &factor::Counters, page: &'static Page) {
    if let Some(segment) = page_map::segment_of(page.base.get()) {
        huge_pages::refuse(&mut ARENA.lock().halves, &counters.thp, segment);
    }
}

/// Epochs since blocks of a half were last freed.
fn epoch_age(segment: &Segment, half: usize) -> u32 {
    purge::epoch().wrapping_sub(segment.freed_at[half].get())
}

/// Gives the memory of blocks back to the OS, a run at a time. Returns `false` when the kernel refuses a part.
///
/// # Safety
/// - the blocks hold no object, and no other thread takes them.
unsafe fn decommit_blocks(counters: &factor::Counters, segment: &Segment, mut blocks: u64) -> bool {
    let mut gone = true;
    while blocks != 0 {
        let first = blocks.trailing_zeros() as usize;
        let run = (blocks >> first).trailing_ones() as usize;
        let start = segment.base.get().wrapping_add(first * BLOCK);
        // SAFETY: the caller's promise.
        gone &= unsafe { purge::decommit(&counters.purge, start, run * BLOCK) };
        blocks &= !mask(first, run);
    }
    gone
}

/// Unmaps the free segments of the range, where a limit on the process counts addresses: what the C library and others
/// map comes out of the same limit. Without `dirty` only those whose memory was given back.
pub(super) fn unmap_free(dirty: bool) {
    if !os::is_limited() {
        return;
    }
    let mut arena = ARENA.lock();
    for kind in 0..2 {
        let may_go = |segment: &&'static Segment| {
            (dirty || segment.dirty.get() == 0) && range::segment_of(segment.base.get()).is_some()
        };
        loop {
            let found = arena.segments[kind][FitClass::COUNT - 1].iter().find(may_go);
            // SAFETY: no block of the segment is in use, and the lock keeps it so.
            let gone = found.filter(|segment| unsafe { range::decommit(segment.base.get(), SEGMENT) });
            let Some(segment) = gone else { break };
            for half in 0..2 {
                arena.halves.forget(segment.base.get().wrapping_add(half * HUGE_PAGE));
            }
            arena.change(segment, |segment| segment.begin(0));
            // It counts again when it is entered.
            arena.used_blocks -= SEGMENT_BLOCKS;
            arena.growth.keep_unmapped(segment);
        }
    }
}

/// Bytes by which the memory in use has grown since the last call that returned some, in steps of a huge page.
pub(super) fn take_growth() -> usize {
    // The read alone is what nearly every call costs.
    if GROWTH.load(Ordering::Relaxed) < HUGE_PAGE { 0 } else { GROWTH.swap(0, Ordering::Relaxed) }
}

/// Bytes that are in use, and bytes that wait to be purged.
pub(super) fn usage() -> (usize, usize) {
    let arena = ARENA.lock();
    (arena.used_blocks * BLOCK, arena.waiting_blocks * BLOCK)
}

/// The arena's extent at this moment.
pub(super) fn extent() -> Extent {
    ARENA.lock().growth.extent()
}

/// Reads a segment under the arena's lock: no run is taken or put back meanwhile.
pub(super) fn look_at<T>(segment: &'static Segment, look: impl FnOnce(&'static Segment) -> T) -> T {
    let _arena = ARENA.lock();
    look(segment)
}

impl Arena {
    const fn new() -> Arena {
        Arena {
            growth: Growth::new(),
            segments: [const { [const { List::new() }; FitClass::COUNT] }; 2],
            halves: Halves::new(),
            waiting: None,
            waiting_blocks: 0,
            used_blocks: 0,
        }
    }

    fn take_from_lists(
        &mut self,
        counters: &factor::Counters,
        policy: Policy,
        kind: Kind,
        blocks: usize,
        object_bytes: usize,
    ) -> Option<(&'static Page, bool)> {
        let segment = self.first_with(kind, blocks)?;
        let (before, mut run) = (segment.dirty.get(), None);
        self.change(segment, |segment| run = segment.take_run(blocks));
        self.begin_run(counters, policy, segment, before, run?, object_bytes);
        run
    }

    /// Notes what a new run says of memory that went back, and gives the kernel the advice on the halves that it lies in,
    /// before which these blocks were dirty.
    fn begin_run(
        &mut self,
        counters: &factor::Counters,
        policy: Policy,
        segment: &'static Segment,
        dirty_before: u64,
        (page, is_clean): (&Page, bool),
        object_bytes: usize,
    ) {
        let run = segment.blocks_of(page);
        let half = usize::from(run & half_mask(0) == 0);
        if is_clean {
            GROWTH.fetch_add(run.count_ones() as usize * BLOCK, Ordering::Relaxed);
        }
        purge::note_use(segment.freed_at[half].get(), run.count_ones() as usize * BLOCK, is_clean);
        let placed =
            Placed { segment, dirty_before, run, object_bytes, bytes_before: self.growth.bytes_before(segment) };
        huge_pages::advise_halves(policy, &mut self.halves, &counters.thp, placed);
    }

    /// The segment that the next run of `blocks` blocks comes from, if one has room for it.
    fn first_with(&self, kind: Kind, blocks: usize) -> Option<&'static Segment> {
        let mut fit_classes = FitClass::for_blocks(blocks).index()..FitClass::COUNT;
        fit_classes.find_map(|fit| self.segments[kind as usize][fit].first())
    }

    /// A segment of the other kind that has no object.
    fn whole_of_other(&self, kind: Kind) -> Option<&'static Segment> {
        self.segments[kind.other() as usize][FitClass::COUNT - 1].first()
    }

    /// Makes a segment of the other kind that has no object one of this kind, before new memory is taken. Returns `false`
    /// when there is none.
    fn turn_to(&mut self, kind: Kind) -> bool {
        let Some(segment) = self.whole_of_other(kind) else {
            return false;
        };
        let base = segment.base.get();
        if kind == Kind::Small && !free_check::begin_small(base, SEGMENT) {
            return false;
        }
        self.segments[kind.other() as usize][FitClass::COUNT - 1].remove(segment);
        for half in 0..2 {
            self.halves.forget(segment.base.get().wrapping_add(half * HUGE_PAGE));
        }
        segment.kind.set(kind);
        self.segments[kind as usize][FitClass::COUNT - 1].push(segment);
        true
    }

    /// Gets memory for more blocks, in a segment that is memory in part or a new one. Returns `false` when there is none.
    fn grow(&mut self, counters: &factor::Counters, policy: Policy, kind: Kind) -> bool {
        if self.extend(counters, policy, kind) {
            return true;
        }
        let new = self.growth.new_segment(counters, policy, kind);
        self.enter(new)
    }

    /// As [`Arena::grow`], in a segment that is memory in part alone.
    fn extend(&mut self, counters: &factor::Counters, policy: Policy, kind: Kind) -> bool {
        let Some((segment, blocks)) = self.growth.extend(counters, policy, kind) else {
            return false;
        };
        self.change(segment, |segment| segment.extend(blocks));
        true
    }

    /// As `take_from_lists`, at a certain place of a segment of large objects.
    fn take_at(
        &mut self,
        counters: &factor::Counters,
        policy: Policy,
        blocks: usize,
        Place { step, room }: Place,
        object_bytes: usize,
    ) -> Option<(&'static Page, bool)> {
        let fit_classes = FitClass::for_aligned(room, step).index()..FitClass::COUNT;
        let segment = fit_classes.into_iter().find_map(|fit| self.segments[Kind::Large as usize][fit].first())?;
        let (before, mut run) = (segment.dirty.get(), None);
        self.change(segment, |segment| run = segment.take_run_by(blocks, step, room));
        self.begin_run(counters, policy, segment, before, run?, object_bytes);
        run
    }

    /// Has blocks put back, which wait for the purge then. Returns whether it is due.
    fn give(&mut self, segment: &'static Segment, give: impl FnOnce(&'static Segment) -> u64) -> bool {
        let mut given = 0;
        self.change(segment, |segment| given = give(segment));
        for half in 0..2 {
            if given & half_mask(half) != 0 {
                segment.freed_at[half].set(purge::epoch());
                self.wait(segment);
            }
        }
        self.waiting_blocks * BLOCK >= PURGE_BYTES_MIN
    }

    /// Changes which blocks are in use, and moves the segment to the list of its new fit class.
    fn change(&mut self, segment: &'static Segment, change: impl FnOnce(&'static Segment)) {
        let kind = segment.kind.get() as usize;
        let before = segment.fit_class();
        self.waiting_blocks -= free_dirty(segment);
        self.used_blocks -= segment.used.get().count_ones() as usize;
        change(segment);
        self.waiting_blocks += free_dirty(segment);
        self.used_blocks += segment.used.get().count_ones() as usize;
        let after = segment.fit_class();
        if before != after {
            if let Some(fit) = before {
                self.segments[kind][fit.index()].remove(segment);
            }
            if let Some(fit) = after {
                self.segments[kind][fit.index()].push(segment);
            }
        }
    }

    /// Puts a segment whose memory went back to the OS behind the newest of its fit class, so that the next request gets
    /// memory that is resident.
    fn demote(&self, segment: &'static Segment) {
        if let Some(fit) = segment.fit_class() {
            self.segments[segment.kind.get() as usize][fit.index()].demote(segment);
        }
    }

    /// Takes a new segment into the list of its fit class. Returns `false` when there is none.
    fn enter(&mut self, new: Option<&'static Segment>) -> bool {
        let Some(segment) = new else {
            return false;
        };
        let kind = segment.kind.get() as usize;
        self.used_blocks += segment.used.get().count_ones() as usize;
        if let Some(fit) = segment.fit_class() {
            self.segments[kind][fit.index()].push(segment);
        }
        true
    }

    /// Puts a segment into the list of those that wait for the purge, unless it is there.
    fn wait(&mut self, segment: &'static Segment) {
        if !segment.waits.replace(true) {
            segment.next_waiting.set(self.waiting.replace(segment));
        }
    }
}
