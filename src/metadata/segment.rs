//! Segments: the records of 4 MiB pieces of the arena, aligned to their size, in 64 arena blocks each.
//!
//! A segment's record has a bit per block that is in use, a bit per block that may not be zero, and the records of the
//! pages that begin in its blocks. Its fit class says how long a run of blocks it can give; the arena has one list per
//! fit class.

use crate::class::{BLOCK, SEGMENT_BLOCKS};
use crate::metadata::list::{Linked, Links};
use crate::metadata::page::{NO_CLASS, Page, PageParts, Use};
use crate::metadata::shared_cell::SharedCell;
use crate::os::OS_PAGE;
use core::cell::Cell;

/// Bytes of a segment, and its alignment.
pub(crate) const SEGMENT: usize = SEGMENT_BLOCKS * BLOCK;
/// Blocks of half a segment, which one huge page backs.
pub(crate) const HALF_BLOCKS: usize = SEGMENT_BLOCKS / 2;

const _: () = assert!(align_of::<Segment>() == OS_PAGE);
const _: () = assert!(
    core::mem::offset_of!(Segment, pages) + (SEGMENT_BLOCKS - 12) * size_of::<Page>() <= OS_PAGE,
    "the records of runs of ten blocks or more share one OS page"
);
const _: () = assert!(SEGMENT_BLOCKS == u64::BITS as usize, "a word has a bit for each block");

/// What a segment's memory is meant for, which decides what backs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Pages of slots: OS pages at first.
    #[default]
    Small = 0,
    /// Large objects: huge pages, where they are wanted.
    Large,
}

impl Kind {
    /// The other one.
    pub(crate) fn other(self) -> Kind {
        match self {
            Kind::Small => Kind::Large,
            Kind::Large => Kind::Small,
        }
    }
}

/// Four MiB of the arena. The arena's lock guards all fields, except pages in use. The first fields share an OS page
/// with the records of all but the last blocks, so that a segment of large objects makes one OS page of records resident.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(crate) struct Segment {
    /// The first address.
    pub(crate) base: Cell<*mut u8>,
    /// One bit per block in use; blocks that are no memory yet count as in use.
    pub(crate) used: Cell<u64>,
    /// One bit per block that was used since it was last known to be zero.
    pub(crate) dirty: Cell<u64>,
    pub(crate) kind: Cell<Kind>,
    /// Blocks that are memory: the first ones.
    pub(crate) memory_blocks: Cell<u8>,
    /// The purge epoch in which each half was last in use.
    pub(crate) freed_at: [Cell<u32>; 2],
    /// One bit per half for which the kernel was advised to use huge pages.
    pub(crate) huge_halves: Cell<u8>,
    /// Whether the kernel may be advised on huge pages here at all.
    pub(crate) is_advised: Cell<bool>,
    /// Whether the kernel was advised against huge pages because a part of a half was given back.
    pub(crate) is_refused: Cell<bool>,
    /// Whether the segment is in the arena's list of segments to be purged.
    pub(crate) waits: Cell<bool>,
    /// Next in that list.
    pub(crate) next_waiting: Cell<Option<&'static Segment>>,
    links: Links<Segment>,
    /// Distance of each block from the first block of its run, in blocks.
    distances: [SharedCell<u8>; SEGMENT_BLOCKS],
    /// The page that begins in each block, if one does.
    pages: [Page; SEGMENT_BLOCKS],
    /// The other parts of the page's record.
    parts: [PageParts; SEGMENT_BLOCKS],
}

// SAFETY: the arena's lock guards the plain cells; other threads read shared cells, and pages as their fields allow.
unsafe impl Sync for Segment {}

impl Segment {
    /// The page of an address inside the segment.
    pub(crate) fn page_at(&'static self, address: *const u8) -> &'static Page {
        let block = (address.addr() / BLOCK) % SEGMENT_BLOCKS;
        &self.pages[(block - usize::from(self.distances[block].get())) % SEGMENT_BLOCKS]
    }

    /// Takes a run of `blocks` free blocks, if the segment has one. Runs of half a segment or more start at a half.
    /// Returns the run's page, and whether its memory is known to be zero.
    pub(crate) fn take_run(&'static self, blocks: usize) -> Option<(&'static Page, bool)> {
        find_run(self.used.get(), blocks).map(|first| self.take_run_at(first, blocks))
    }

    /// Whether the run that [`Segment::take_run`] would take has no memory: it was not used since the OS gave it, and lies
    /// on no huge page of which another part was.
    pub(crate) fn is_next_untouched(&self, blocks: usize) -> bool {
        let Some(first) = find_run(self.used.get(), blocks) else { return true };
        let is_huge =
            |half: &usize| self.huge_halves.get() & (1 << half) != 0 && mask(first, blocks) & half_mask(*half) != 0;
        let comes_along = (0..2).filter(is_huge).fold(0, |blocks, half| blocks | half_mask(half));
        self.dirty.get() & (mask(first, blocks) | comes_along) == 0
    }

    /// As [`Segment::take_run`], for a run that starts at a multiple of `step` blocks, a power of two, and has `room`
    /// free blocks from its start, at least its own.
    pub(crate) fn take_run_by(&'static self, blocks: usize, step: usize, room: usize) -> Option<(&'static Page, bool)> {
        let starts = starts(self.used.get(), room) & multiples(step);
        (starts != 0).then(|| self.take_run_at(starts.trailing_zeros() as usize, blocks))
    }

    fn take_run_at(&'static self, first: usize, blocks: usize) -> (&'static Page, bool) {
        let run = mask(first, blocks);
        let zeroed = self.dirty.get() & run == 0;
        self.used.set(self.used.get() | run);
        self.dirty.set(self.dirty.get() | run);
        for (distance, block) in self.distances[first..first + blocks].iter().enumerate() {
            block.set(distance as u8);
        }
        let page = &self.pages[first];
        page.set_parts(&self.parts[first]);
        page.blocks.set(blocks as u8);
        // SAFETY: block `first` lies inside the segment.
        page.base.set(unsafe { self.base.get().add(first * BLOCK) });
        (page, zeroed)
    }

    /// Lengthens a run in use to `blocks` blocks, if those behind it are free. Returns whether they were.
    pub(crate) fn extend_run(&self, page: &Page, blocks: usize) -> bool {
        let (first, have) = self.extent(page);
        if first + blocks > SEGMENT_BLOCKS {
            return false;
        }
        let more = mask(first, blocks) & !mask(first, have);
        if self.used.get() & more != 0 {
            return false;
        }
        self.used.set(self.used.get() | more);
        self.dirty.set(self.dirty.get() | more);
        (have..blocks).for_each(|distance| self.distances[first + distance].set(distance as u8));
        page.blocks.set(blocks as u8);
        true
    }

    /// Shortens a run in use to `blocks` blocks, at least one. Returns the blocks that became free, one bit each.
    pub(crate) fn cut_run(&self, page: &Page, blocks: usize) -> u64 {
        let (first, have) = self.extent(page);
        let rest = mask(first, have) & !mask(first, blocks);
        self.distances[first + blocks..first + have].iter().for_each(|block| block.set(0));
        self.used.set(self.used.get() & !rest);
        page.blocks.set(blocks as u8);
        rest
    }

    /// The first block of a run, and how many it has.
    fn extent(&self, page: &Page) -> (usize, usize) {
        ((page.base.get().addr() - self.base.get().addr()) / BLOCK, usize::from(page.blocks.get()))
    }

    /// The blocks that are memory, one bit each.
    pub(crate) fn memory(&self) -> u64 {
        u64::MAX.checked_shr(SEGMENT_BLOCKS as u32 - u32::from(self.memory_blocks.get())).unwrap_or(0)
    }

    /// Notes how many blocks of a segment without objects are memory, and zero; the others wait for [`Segment::extend`].
    pub(crate) fn begin(&self, memory_blocks: usize) {
        self.memory_blocks.set(memory_blocks as u8);
        self.used.set(!self.memory());
        self.dirty.set(0);
        self.huge_halves.set(0);
        self.is_refused.set(false);
    }

    /// Notes that so many blocks more are memory, and have had no advice on huge pages.
    pub(crate) fn extend(&self, blocks: usize) {
        let known = usize::from(self.memory_blocks.get());
        self.memory_blocks.set((known + blocks) as u8);
        self.used.set(self.used.get() & !mask(known, blocks));
        self.huge_halves.set(self.huge_halves.get() & !u8::from(known >= HALF_BLOCKS) << 1);
    }

    /// The pages of the blocks that are in use. A block that is marked in use while the purge gives its memory back, or
    /// while a run is made of it, comes as a page that is [`Use::Free`]. The caller holds the arena's lock.
    pub(crate) fn runs(&'static self) -> impl Iterator<Item = &'static Page> {
        let mut block = 0;
        core::iter::from_fn(move || {
            let used = (self.used.get() & self.memory()).checked_shr(block).unwrap_or(0);
            if used == 0 {
                return None;
            }
            let first = block + used.trailing_zeros();
            let page = &self.pages[first as usize];
            block = first + if page.usage.get() == Use::Free { 1 } else { u32::from(page.blocks.get()) };
            Some(page)
        })
    }

    /// The blocks of a page of the segment, one bit each.
    pub(crate) fn blocks_of(&self, page: &Page) -> u64 {
        let first = (page.base.get().addr() - self.base.get().addr()) / BLOCK;
        mask(first, usize::from(page.blocks.get()))
    }

    /// Puts a run back. Returns its blocks, one bit each.
    pub(crate) fn give_run(&self, page: &Page) -> u64 {
        let run = self.blocks_of(page);
        page.usage.set(Use::Free);
        page.class_index.set(NO_CLASS);
        page.mapping.set(None);
        let first = run.trailing_zeros() as usize;
        self.distances[first..first + run.count_ones() as usize].iter().for_each(|block| block.set(0));
        self.used.set(self.used.get() & !run);
        run
    }

    /// The fit class of the longest run that the segment can give; `None` when it has no free block.
    pub(crate) fn fit_class(&self) -> Option<FitClass> {
        FitClass::of(!self.used.get())
    }

    /// The blocks of a half that are free and dirty; all its blocks, when none is in use and one is dirty.
    pub(crate) fn purgeable(&self, half: usize) -> u64 {
        let free = self.dirty.get() & !self.used.get() & half_mask(half);
        if free != 0 && self.used.get() & half_mask(half) == 0 { half_mask(half) } else { free }
    }
}

/// The blocks of a half.
pub(crate) fn half_mask(half: usize) -> u64 {
    mask(half * HALF_BLOCKS, HALF_BLOCKS)
}

/// Blocks of the run that a segment of each fit class has somewhere, but for the last two fit classes. The lengths of size
/// classes are among them: with powers of two alone a segment would take two runs of 20 blocks, or five of 10, where it
/// has room for three, or six.
const FIT_BLOCKS: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32];

/// How long a run a segment can give: an index of [`FIT_BLOCKS`], or above those a whole half, and the whole segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FitClass(u8);

impl FitClass {
    const HALF: FitClass = FitClass(FIT_BLOCKS.len() as u8);
    const WHOLE: FitClass = FitClass(FIT_BLOCKS.len() as u8 + 1);
    /// Number of values.
    pub(crate) const COUNT: usize = FIT_BLOCKS.len() + 2;

    /// The fit class of these free blocks; `None` when there are none.
    fn of(free: u64) -> Option<FitClass> {
        if free == u64::MAX {
            return Some(FitClass::WHOLE);
        }
        if free & half_mask(0) == half_mask(0) || free & half_mask(1) == half_mask(1) {
            return Some(FitClass::HALF);
        }
        let longest = longest_run(free);
        FIT_BLOCKS.iter().rposition(|&blocks| u32::from(blocks) <= longest).map(|index| FitClass(index as u8))
    }

    /// The least fit class whose segments all have a run of `blocks` blocks.
    pub(crate) fn for_blocks(blocks: usize) -> FitClass {
        match blocks {
            0..HALF_BLOCKS => FitClass(FIT_BLOCKS.iter().take_while(|&&fit| usize::from(fit) < blocks).count() as u8),
            HALF_BLOCKS => FitClass::HALF,
            _ => FitClass::WHOLE,
        }
    }

    /// The least fit class whose segments all have `blocks` free blocks in a row from a multiple of `step` on, where a
    /// half has.
    pub(crate) fn for_aligned(blocks: usize, step: usize) -> FitClass {
        match blocks + step - 1 {
            enough if enough > HALF_BLOCKS && blocks <= HALF_BLOCKS && step <= HALF_BLOCKS => FitClass::HALF,
            enough => FitClass::for_blocks(enough.min(SEGMENT_BLOCKS)),
        }
    }

    /// The value as an index below [`FitClass::COUNT`].
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The number of ones in the longest row of ones, below 64.
fn longest_run(ones: u64) -> u32 {
    // `starts[n]` has a one where 2^n ones in a row begin.
    let mut starts = [0; 6];
    let (mut found, mut count) = (ones, 0);
    while found != 0 && count < starts.len() {
        starts[count] = found;
        found &= found >> (1 << count);
        count += 1;
    }
    // Then bit by bit: where `length` ones in a row begin, do 2^n more follow?
    let (mut begins, mut length) = (u64::MAX, 0);
    for n in (0..count).rev() {
        let longer = begins & (starts[n] >> length);
        if longer != 0 {
            (begins, length) = (longer, length + (1 << n));
        }
    }
    length
}

/// `blocks` ones from bit `first` on.
pub(crate) fn mask(first: usize, blocks: usize) -> u64 {
    (u64::MAX >> (SEGMENT_BLOCKS - blocks)) << first
}

/// The first place with `blocks` zeros in a row; for half a segment or more, the first half that begins with them.
fn find_run(used: u64, blocks: usize) -> Option<usize> {
    debug_assert!((1..=SEGMENT_BLOCKS).contains(&blocks));
    if blocks >= HALF_BLOCKS {
        return [0, HALF_BLOCKS]
            .into_iter()
            .find(|&first| first + blocks <= SEGMENT_BLOCKS && used & mask(first, blocks) == 0);
    }
    let starts = starts(used, blocks);
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

/// The blocks, one bit each, where `blocks` free ones in a row start.
fn starts(used: u64, blocks: usize) -> u64 {
    // After each step a one means: a run of `length` free blocks starts here.
    let mut starts = !used;
    let mut length = 1;
    while length < blocks && starts != 0 {
        let step = length.min(blocks - length);
        starts &= starts >> step;
        length += step;
    }
    starts
}

/// Every `step`-th block, one bit each, for a power of two up to a segment's.
fn multiples(step: usize) -> u64 {
    (0..SEGMENT_BLOCKS).step_by(step).fold(0, |blocks, block| blocks | 1 << block)
}

impl Linked for Segment {
    fn links(&self) -> &Links<Segment> {
        &self.links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds a run by trying every place.
    fn find_run_slowly(used: u64, blocks: usize) -> Option<usize> {
        let step = if blocks >= HALF_BLOCKS { HALF_BLOCKS } else { 1 };
        (0..=SEGMENT_BLOCKS - blocks).step_by(step).find(|&first| used & mask(first, blocks) == 0)
    }

    fn words() -> impl Iterator<Item = u64> {
        let mut word = 0x0123_4567_89ab_cdef_u64;
        (0..2_000).flat_map(move |_| {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            [word, word & (word << 7), word & (word >> 3) & (word << 11), word << 32, word >> 32, 0, u64::MAX]
        })
    }

    #[test]
    fn runs_are_found_where_they_are() {
        for bits in words() {
            for blocks in 1..=SEGMENT_BLOCKS {
                assert_eq!(find_run(bits, blocks), find_run_slowly(bits, blocks), "{bits:#x} {blocks}");
            }
        }
    }

    #[test]
    fn aligned_runs_are_found_where_they_are() {
        for bits in words() {
            let class = FitClass::of(!bits);
            for (blocks, log) in
                [1, 2, 3, 7, 16, 31, 32, 40, 64].into_iter().flat_map(|n| (0..6).map(move |log| (n, log)))
            {
                let step = 1 << log;
                let slowly = (0..=SEGMENT_BLOCKS - blocks).step_by(step).find(|&first| bits & mask(first, blocks) == 0);
                let found = starts(bits, blocks) & multiples(step);
                assert_eq!((found != 0).then(|| found.trailing_zeros() as usize), slowly, "{bits:#x} {blocks} {step}");
                if class.is_some_and(|class| class >= FitClass::for_aligned(blocks, step)) {
                    assert!(slowly.is_some(), "{bits:#x} {blocks} {step}");
                }
            }
        }
    }

    #[test]
    fn the_longest_run_is_found() {
        for bits in words().filter(|&bits| bits != u64::MAX) {
            let (mut longest, mut row) = (0, 0);
            for bit in 0..64 {
                row = if bits & (1 << bit) != 0 { row + 1 } else { 0 };
                longest = longest.max(row);
            }
            assert_eq!(longest_run(bits), longest, "{bits:#x}");
        }
    }

    #[test]
    fn a_segment_takes_as_many_runs_of_a_length_as_it_has_room_for() {
        for blocks in 1..=SEGMENT_BLOCKS {
            let (mut used, mut runs) = (0_u64, 0);
            while FitClass::of(!used).is_some_and(|class| class >= FitClass::for_blocks(blocks)) {
                let first = find_run(used, blocks).expect("the fit class promises it");
                used |= mask(first, blocks);
                runs += 1;
            }
            let room = if blocks > HALF_BLOCKS { 1 } else { SEGMENT_BLOCKS / blocks };
            // Lengths between those of the size classes may lose one.
            let is_exact = blocks <= 8 || FIT_BLOCKS.contains(&(blocks as u8)) || blocks >= HALF_BLOCKS;
            assert!(runs == room || (!is_exact && runs + 1 == room), "{runs} runs of {blocks}");
        }
    }

    #[test]
    fn a_segment_of_a_fit_class_has_the_run() {
        for bits in words() {
            let class = FitClass::of(!bits);
            assert_eq!(class.is_none(), bits == u64::MAX);
            for blocks in 1..=SEGMENT_BLOCKS {
                if class.is_some_and(|class| class >= FitClass::for_blocks(blocks)) {
                    assert!(find_run(bits, blocks).is_some(), "{bits:#x} {blocks}");
                }
            }
        }
    }
}
