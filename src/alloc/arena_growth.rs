//! Where the arena's segments come from: both ends of the range, or chunks outside of it.
//!
//! A segment becomes memory when it is made, and the first of small pages piece by piece. Under a limit on addresses a
//! segment may be memory in part, and free ones are unmapped and wait here to be mapped again. Their records stay.

use super::huge_pages::{self, NewMemory, PLAIN_BYTES, Policy};
use crate::class::{BLOCK, SEGMENT_BLOCKS};
use crate::factor::{self, free_check};
use crate::metadata::allocator;
use crate::metadata::list::List;
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::{HALF_BLOCKS, Kind, SEGMENT, Segment};
use crate::os;

/// Most bytes that become memory in one step. A step doubles the memory at its end of the range, as far as limits
/// allow, so that a small program is charged little (`RLIMIT_AS`, `RLIMIT_DATA`, `RLIMIT_MEMLOCK`) and a large one makes few
/// calls.
const COMMIT_MAX: usize = 64 << 20;
/// Blocks of the first step at the end of small pages. The rest of the segment follows when it is needed.
const FIRST_BLOCKS: usize = if cfg!(loom) { SEGMENT_BLOCKS } else { 16 };
/// Least blocks of a step, by kind, where limits refuse more: huge pages back halves of segments of large objects.
const LEAST_BLOCKS: [usize; 2] = [4, HALF_BLOCKS];
/// Bytes of chunks outside the range, tried in this order.
const CHUNKS: [usize; 3] = [64 << 20, 16 << 20, SEGMENT];
/// How far the arena has grown, and what is left of its last steps.
#[derive(Debug)]
pub(super) struct Growth {
    /// What is left of the range: small pages grow up from `low`, large objects grow down from `high`.
    low: *mut u8,
    high: *mut u8,
    /// How far the range is memory, from each end; segments that are so in part count as if they were whole.
    low_committed: *mut u8,
    high_committed: *mut u8,
    /// The range's first address.
    base: *mut u8,
    /// Whether the fields above are set.
    has_range: bool,
    /// The segment of each kind of which only the first blocks are memory.
    partial: [Option<&'static Segment>; 2],
    /// Segments of the range that are no memory any more, by kind.
    unmapped: [List<Segment>; 2],
    /// The rest of the newest chunk.
    chunk: *mut u8,
    chunk_left: usize,
    /// Bytes of all chunks, with what was mapped to align them.
    chunk_bytes: usize,
    /// A record that was made when no memory was left for its segment; the next segment gets it.
    spare_record: Option<&'static Segment>,
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

impl Growth {
    pub(super) const fn new() -> Growth {
        Growth {
            low: core::ptr::null_mut(),
            high: core::ptr::null_mut(),
            low_committed: core::ptr::null_mut(),
            high_committed: core::ptr::null_mut(),
            base: core::ptr::null_mut(),
            has_range: false,
            partial: [None; 2],
            unmapped: [const { List::new() }; 2],
            chunk: core::ptr::null_mut(),
            chunk_left: 0,
            chunk_bytes: 0,
            spare_record: None,
        }
    }

    /// The extent at this moment.
    pub(super) fn extent(&self) -> Extent {
        let end = self.base.addr() + if self.has_range { range::bounds().1 } else { 0 };
        Extent {
            low: (self.base, self.low.addr() - self.base.addr(), self.low_committed.addr() - self.base.addr()),
            high: (self.high, end - self.high.addr(), end - self.high_committed.addr()),
            chunk_bytes: self.chunk_bytes,
        }
    }

    /// Bytes between a segment and the end of the range from which segments of its kind grow; `usize::MAX` outside the range.
    pub(super) fn bytes_before(&self, segment: &Segment) -> usize {
        let from_start = segment.base.get().addr().wrapping_sub(self.base.addr());
        match segment.kind.get() {
            _ if !self.has_range => usize::MAX,
            Kind::Small => from_start,
            Kind::Large => range::bounds().1.wrapping_sub(from_start).wrapping_sub(SEGMENT),
        }
    }

    /// What the memory of a segment of the range is, for the advice on huge pages.
    fn new_memory(&self, segment: &Segment) -> NewMemory {
        match segment.kind.get() {
            Kind::Small => NewMemory::Small { from_start: segment.base.get().addr() - self.base.addr() },
            Kind::Large => NewMemory::Large,
        }
    }

    /// A segment without objects, of the range or else of a chunk. `None` when there is no memory.
    pub(super) fn new_segment(
        &mut self,
        counters: &factor::Counters,
        policy: Policy,
        kind: Kind,
    ) -> Option<&'static Segment> {
        if let Some(segment) = self.map_again(counters, policy, kind) {
            return Some(segment);
        }
        let segment = match self.spare_record.take() {
            Some(segment) => segment,
            // SAFETY: the record lives for ever, and all zeroes are a segment without memory.
            None => unsafe { allocator::allocate::<Segment>()?.as_ref() },
        };
        segment.kind.set(kind);
        if let Some((base, blocks)) = self.next_of_range(counters, policy, kind) {
            segment.base.set(base);
            segment.begin(blocks);
            huge_pages::begin_segment(policy, segment, self.new_memory(segment));
            range::enter_segment(segment);
        } else if let Some(base) = self.next_of_chunk(counters, policy) {
            segment.base.set(base);
            segment.begin(SEGMENT_BLOCKS);
            huge_pages::begin_segment(policy, segment, NewMemory::Chunk);
            if !page_map::enter_segment(segment) {
                return None;
            }
        } else {
            self.spare_record = Some(segment);
            return None;
        }
        self.note_partial(segment);
        Some(segment)
    }

    fn note_partial(&mut self, segment: &'static Segment) {
        if segment.memory() != u64::MAX {
            self.partial[segment.kind.get() as usize] = Some(segment);
        }
    }

    /// Keeps a segment of the range that is no memory any more.
    pub(super) fn keep_unmapped(&mut self, segment: &'static Segment) {
        self.unmapped[segment.kind.get() as usize].push(segment);
    }

    /// Makes a segment that was unmapped memory again. `None` when there is none, or no memory.
    fn map_again(&mut self, counters: &factor::Counters, policy: Policy, kind: Kind) -> Option<&'static Segment> {
        let segment = self.unmapped[kind as usize].first()?;
        let bytes = self.commit(kind, |_| segment.base.get(), SEGMENT, SEGMENT, false)?;
        self.unmapped[kind as usize].remove(segment);
        segment.begin(bytes / BLOCK);
        huge_pages::begin_segment(policy, segment, self.new_memory(segment));
        self.note_partial(segment);
        self.advise_new(counters, policy, kind, segment.base.get(), bytes);
        Some(segment)
    }

    /// Makes more blocks memory of the segment of the kind that is so in part: as many as it has, or fewer where that is
    /// refused. Returns the segment, which is to be extended by so many blocks. `None` when there is no such segment, or no
    /// memory.
    pub(super) fn extend(
        &mut self,
        counters: &factor::Counters,
        policy: Policy,
        kind: Kind,
    ) -> Option<(&'static Segment, usize)> {
        let segment = self.partial[kind as usize]?;
        let known = usize::from(segment.memory_blocks.get());
        let (left, least) = (SEGMENT_BLOCKS - known, LEAST_BLOCKS[kind as usize]);
        let start = segment.base.get().wrapping_add(known * BLOCK);
        let steps = [known.min(left), least.min(left)];
        // SAFETY: these blocks of the segment are no memory yet.
        let blocks = steps.into_iter().find(|step| unsafe { range::commit(start, step * BLOCK) })?;
        if blocks == left {
            self.partial[kind as usize] = None;
        }
        self.advise_new(counters, policy, kind, start, blocks * BLOCK);
        Some((segment, blocks))
    }

    /// Gives the advice on new memory of the range.
    fn advise_new(&self, counters: &factor::Counters, policy: Policy, kind: Kind, start: *mut u8, bytes: usize) {
        if kind == Kind::Large {
            // SAFETY: the arena's own, and new.
            return unsafe { huge_pages::advise(policy, &counters.thp, NewMemory::Large, start, bytes) };
        }
        // Only the memory beyond the first `PLAIN_BYTES` bytes gets advice.
        let advised = self.base.wrapping_add(PLAIN_BYTES).max(start);
        if let Some(bytes) = (start.addr() + bytes).checked_sub(advised.addr()).filter(|&bytes| bytes > 0) {
            let new = NewMemory::Small { from_start: advised.addr() - self.base.addr() };
            // SAFETY: as above.
            unsafe { huge_pages::advise(policy, &counters.thp, new, advised, bytes) };
        }
    }

    /// Takes the next 4 MiB of the range for a segment. Returns also how many of its blocks are memory.
    fn next_of_range(&mut self, counters: &factor::Counters, policy: Policy, kind: Kind) -> Option<(*mut u8, usize)> {
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
        let mut blocks = SEGMENT_BLOCKS;
        match kind {
            Kind::Small => {
                if self.low == self.low_committed {
                    let known = self.low.addr() - self.base.addr();
                    let most = self.high_committed.addr() - self.low.addr();
                    let bytes = self.commit(kind, |_| self.low, known, most, true)?;
                    self.low_committed = self.low.wrapping_add(bytes.max(SEGMENT));
                    self.advise_new(counters, policy, kind, self.low, bytes);
                    blocks = blocks.min(bytes / BLOCK);
                }
                let base = self.low;
                self.low = base.wrapping_add(SEGMENT);
                Some((base, blocks))
            }
            Kind::Large => {
                if self.high == self.high_committed {
                    let end = self.base.addr() + range::bounds().1;
                    let known = end - self.high.addr();
                    let most = self.high.addr() - self.low_committed.addr();
                    let start = |bytes: usize| self.high.wrapping_sub(bytes.max(SEGMENT));
                    let bytes = self.commit(kind, start, known, most, true)?;
                    self.high_committed = start(bytes);
                    self.advise_new(counters, policy, kind, self.high_committed, bytes);
                    blocks = blocks.min(bytes / BLOCK);
                }
                self.high = self.high.wrapping_sub(SEGMENT);
                Some((self.high, blocks))
            }
        }
    }

    /// Makes a part of the range memory, at an end where `known` bytes are and `most` bytes are left: as much again, or a
    /// segment where that is refused, or the first blocks of one. Returns how many bytes. `start` returns where the part
    /// begins, by its bytes. `is_new` says that its segments were never memory.
    fn commit(
        &self,
        kind: Kind,
        start: impl Fn(usize) -> *mut u8,
        known: usize,
        most: usize,
        is_new: bool,
    ) -> Option<usize> {
        let first = match known {
            0 if kind == Kind::Small => FIRST_BLOCKS * BLOCK,
            _ => known.clamp(SEGMENT, commit_max()).min(most),
        };
        // One segment of a kind may be memory in part.
        let last = if self.partial[kind as usize].is_none() { LEAST_BLOCKS[kind as usize] * BLOCK } else { SEGMENT };
        let steps = [first, SEGMENT, last].into_iter().filter(|&bytes| bytes <= first && SEGMENT <= most);
        // SAFETY: the callers name a part of the range that is not used yet.
        { steps }.find(|&bytes| unsafe { free_check::commit(start(bytes), bytes, kind == Kind::Small, is_new) })
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
                    unsafe { huge_pages::advise(policy, &counters.thp, NewMemory::Chunk, self.chunk, bytes) };
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

/// Most bytes that become memory in one step: under a limit a small part of it, whole segments.
fn commit_max() -> usize {
    (os::known_limit() / 64).clamp(SEGMENT, COMMIT_MAX) / SEGMENT * SEGMENT
}
