//! The arena: the reserved range, handed out as segments and runs of blocks.
//!
//! Segments of small pages grow from the range's lower end, those of large objects from its upper end, so that the
//! advice on huge pages can differ and still covers few, long pieces. Where the range is full, or was refused, chunks
//! elsewhere take its place. Addresses are never unmapped, so that looking one up needs no lock. The memory of a free
//! half segment goes back to the OS with `madvise`, when the factor `purge` says so.
//!
//! The lock is taken for a page of slots, or for a large object that neither a cache nor the transfer cache had.

use super::huge_pages::{self, NewMemory, PLAIN_SMALL, Policy};
use crate::class::{BLOCK, SlotListOffset};
use crate::factor::{self, purge};
use crate::metadata::allocator;
use crate::metadata::list::List;
use crate::metadata::page::Page;
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::{FitClass, Kind, SEGMENT, Segment, half_mask, mask};
use crate::os;
use crate::sync::{Lock, global, held_at_fork};

/// Most bytes that become memory in one step. A step doubles the memory at its end of the range, as far as limits
/// allow, so that a small program is charged little (`RLIMIT_DATA`) and a large one makes few calls.
const COMMIT_MAX: usize = 64 << 20;
/// Bytes of chunks outside the range, tried in this order.
const CHUNKS: [usize; 3] = [64 << 20, 16 << 20, SEGMENT];
/// Bytes of free blocks that wait, from which on the purge is due.
const PURGE_BYTES_MIN: usize = 4 << 20;
/// Most epochs that free blocks beside used ones wait, twice as long as a free half: with the epochs that pass before
/// batches come here, less than two seconds.
const PARTS_EPOCHS_MAX: u32 = 7;

global! {
    static ARENA: Lock<Arena> = Lock::new(Arena::new());
}

#[derive(Debug)]
struct Arena {
    /// What is left of the range: small pages grow up from `low`, large objects grow down from `high`.
    low: *mut u8,
    high: *mut u8,
    /// How far the range is memory, from each end.
    low_committed: *mut u8,
    high_committed: *mut u8,
    /// The range's first address.
    base: *mut u8,
    /// Whether the fields above are set.
    has_range: bool,
    /// The rest of the newest chunk.
    chunk: *mut u8,
    chunk_left: usize,
    /// Bytes of all chunks, with what was mapped to align them.
    chunk_bytes: usize,
    /// Segments with a free block, by kind and fit class.
    segments: [[List<Segment>; FitClass::COUNT]; 2],
    /// A record that was made when no memory was left for its segment; the next segment gets it.
    spare_record: Option<&'static Segment>,
    /// Segments with a half to be purged, newest first.
    waiting: Option<&'static Segment>,
    /// Free blocks of all segments that were used since they were last known to be zero.
    waiting_blocks: usize,
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
    if let Some(segment) = arena.new_segment(counters, policy, kind) {
        arena.segments[kind as usize][FitClass::COUNT - 1].push(segment);
    } else {
        // The last resort: memory of the other kind.
        let other = if kind == Kind::Small { Kind::Large } else { Kind::Small };
        return arena.take_from_lists(counters, policy, other, blocks, object_bytes);
    }
    arena.take_from_lists(counters, policy, kind, blocks, object_bytes)
}

/// Puts a run back, in which no object is left. Returns whether the purge is due.
pub(super) fn give_run(page: &'static Page) -> bool {
    let Some(segment) = page_map::segment_of(page.base.get()) else {
        return false;
    };
    for block in 0..usize::from(page.blocks.get()) {
        range::set_slot_list(page.base.get().wrapping_add(block * BLOCK), SlotListOffset::NONE);
    }
    let mut arena = ARENA.lock();
    let mut given = 0;
    arena.change(segment, |segment| given = segment.give_run(page));
    for half in 0..2 {
        if given & half_mask(half) != 0 {
            segment.freed_at[half].set(purge::epoch());
            arena.wait(segment);
        }
    }
    arena.waiting_blocks * BLOCK >= PURGE_BYTES_MIN
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

/// Bytes that wait to be purged.
pub(super) fn waiting_bytes() -> usize {
    ARENA.lock().waiting_blocks * BLOCK
}

/// How far the arena has grown, in the range and outside of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Segments of small pages: their first address, their bytes, and the bytes from there on that are memory.
    pub(super) low: (*mut u8, usize, usize),
    /// Segments of large objects: as above, but the memory ends where the segments end and begins before them.
    pub(super) high: (*mut u8, usize, usize),
    /// Bytes of chunks outside the range.
    pub(super) chunk_bytes: usize,
}

/// The arena's extent at this moment.
pub(super) fn extent() -> Extent {
    let arena = ARENA.lock();
    let end = arena.base.addr() + if arena.has_range { range::bounds().1 } else { 0 };
    Extent {
        low: (arena.base, arena.low.addr() - arena.base.addr(), arena.low_committed.addr() - arena.base.addr()),
        high: (arena.high, end - arena.high.addr(), end - arena.high_committed.addr()),
        chunk_bytes: arena.chunk_bytes,
    }
}

/// Reads a segment under the arena's lock: no run is taken or put back meanwhile.
pub(super) fn look_at<T>(segment: &'static Segment, look: impl FnOnce(&'static Segment) -> T) -> T {
    let _arena = ARENA.lock();
    look(segment)
}

impl Arena {
    const fn new() -> Arena {
        Arena {
            low: core::ptr::null_mut(),
            high: core::ptr::null_mut(),
            low_committed: core::ptr::null_mut(),
            high_committed: core::ptr::null_mut(),
            base: core::ptr::null_mut(),
            has_range: false,
            chunk: core::ptr::null_mut(),
            chunk_left: 0,
            chunk_bytes: 0,
            segments: [const { [const { List::new() }; FitClass::COUNT] }; 2],
            spare_record: None,
            waiting: None,
            waiting_blocks: 0,
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
        let fit_classes = FitClass::for_blocks(blocks).index()..FitClass::COUNT;
        let segment = fit_classes.into_iter().find_map(|fit| self.segments[kind as usize][fit].first())?;
        let (before, mut run) = (segment.dirty.get(), None);
        self.change(segment, |segment| run = segment.take_run(blocks));
        if let Some((page, is_clean)) = run {
            let half = usize::from(page.base.get().addr() % SEGMENT >= SEGMENT / 2);
            purge::note_use(segment.freed_at[half].get(), blocks * BLOCK, is_clean);
        }
        if kind == Kind::Large {
            huge_pages::advise_halves(policy, &counters.thp, segment, before, object_bytes);
        }
        run
    }

    /// Changes which blocks are in use, and moves the segment to the list of its new fit class.
    fn change(&mut self, segment: &'static Segment, change: impl FnOnce(&'static Segment)) {
        let kind = segment.kind.get() as usize;
        let before = segment.fit_class();
        self.waiting_blocks -= free_dirty(segment);
        change(segment);
        self.waiting_blocks += free_dirty(segment);
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

    /// Puts a segment into the list of those that wait for the purge, unless it is there.
    fn wait(&mut self, segment: &'static Segment) {
        if !segment.waits.replace(true) {
            segment.next_waiting.set(self.waiting.replace(segment));
        }
    }

    /// A new segment, of the range or else of a chunk. `None` when there is no memory.
    fn new_segment(&mut self, counters: &factor::Counters, policy: Policy, kind: Kind) -> Option<&'static Segment> {
        let segment = match self.spare_record.take() {
            Some(segment) => segment,
            // SAFETY: the record lives for ever, and all zeroes are a segment of free blocks.
            None => unsafe { allocator::allocate::<Segment>()?.as_ref() },
        };
        segment.kind.set(kind);
        if let Some(base) = self.next_of_range(counters, policy, kind) {
            segment.base.set(base);
            range::enter_segment(segment);
            return Some(segment);
        }
        let Some(base) = self.next_of_chunk(counters, policy) else {
            self.spare_record = Some(segment);
            return None;
        };
        segment.base.set(base);
        page_map::enter_segment(segment).then_some(segment)
    }

    /// Takes the next 4 MiB of the range for a segment.
    fn next_of_range(&mut self, counters: &factor::Counters, policy: Policy, kind: Kind) -> Option<*mut u8> {
        if !self.has_range {
            self.has_range = true;
            let (base, bytes) = range::bounds();
            (self.base, self.low, self.low_committed) = (base, base, base);
            self.high = base.wrapping_add(bytes);
            self.high_committed = self.high;
        }
        if self.high.addr() - self.low.addr() < SEGMENT {
            return None;
        }
        match kind {
            Kind::Small => {
                if self.low == self.low_committed {
                    let step = (self.low.addr() - self.base.addr()).clamp(SEGMENT, COMMIT_MAX);
                    let most = self.high_committed.addr() - self.low.addr();
                    let bytes = self.commit(|_| self.low, step.min(most))?;
                    self.low_committed = self.low.wrapping_add(bytes);
                    // Only the memory beyond the first `PLAIN_SMALL` bytes gets advice.
                    let start = self.base.wrapping_add(PLAIN_SMALL).max(self.low);
                    if start < self.low_committed {
                        let new = NewMemory::Small { from_start: start.addr() - self.base.addr() };
                        let bytes = self.low_committed.addr() - start.addr();
                        // SAFETY: the arena's own, and new.
                        unsafe { huge_pages::advise(policy, &counters.thp, new, start, bytes) };
                    }
                }
                let base = self.low;
                self.low = base.wrapping_add(SEGMENT);
                Some(base)
            }
            Kind::Large => {
                if self.high == self.high_committed {
                    let end = self.base.addr() + range::bounds().1;
                    let step = (end - self.high.addr()).clamp(SEGMENT, COMMIT_MAX);
                    let most = self.high.addr() - self.low_committed.addr();
                    let bytes = self.commit(|bytes| self.high.wrapping_sub(bytes), step.min(most))?;
                    self.high_committed = self.high.wrapping_sub(bytes);
                    // SAFETY: the arena's own, and new.
                    unsafe { huge_pages::advise(policy, &counters.thp, NewMemory::Large, self.high_committed, bytes) };
                }
                self.high = self.high.wrapping_sub(SEGMENT);
                Some(self.high)
            }
        }
    }

    /// Makes a part of the range memory: `most` bytes, or a segment's where that is refused. Returns how many bytes.
    /// `start` returns where the part begins, by its bytes.
    fn commit(&self, start: impl Fn(usize) -> *mut u8, most: usize) -> Option<usize> {
        // The kernel checks `RLIMIT_AS` when the range is reserved and not at a commit. A limit that was set since then
        // is checked here.
        let limit = if self.committed() == 0 { usize::MAX } else { os::address_limit() };
        [most, SEGMENT].into_iter().find(|&bytes| {
            // SAFETY: the callers name a part of the range that is not used yet.
            (SEGMENT..=most).contains(&bytes)
                && self.committed() + bytes <= limit
                && unsafe { os::commit(start(bytes), bytes) }
        })
    }

    /// Bytes of the range that are memory.
    fn committed(&self) -> usize {
        let end = self.base.addr() + range::bounds().1;
        self.low_committed.addr() - self.base.addr() + end - self.high_committed.addr()
    }

    /// Takes the next 4 MiB of a chunk outside the range for a segment.
    fn next_of_chunk(&mut self, counters: &factor::Counters, policy: Policy) -> Option<*mut u8> {
        if self.chunk_left == 0 {
            for bytes in CHUNKS {
                // One segment more, to align; the ends stay untouched.
                let chunk = os::map(bytes + SEGMENT);
                if !chunk.is_null() {
                    self.chunk = chunk.wrapping_add(chunk.addr().next_multiple_of(SEGMENT) - chunk.addr());
                    self.chunk_left = bytes;
                    self.chunk_bytes += bytes + SEGMENT;
                    // SAFETY: the arena's own, and new.
                    unsafe { huge_pages::advise(policy, &counters.thp, NewMemory::Mapping, self.chunk, bytes) };
                    break;
                }
            }
        }
        self.chunk_left = self.chunk_left.checked_sub(SEGMENT)?;
        let base = self.chunk;
        self.chunk = base.wrapping_add(SEGMENT);
        Some(base)
    }
}

held_at_fork!(ARENA);
