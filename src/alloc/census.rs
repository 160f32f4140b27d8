//! The census: how many objects and bytes each station holds, for the statistics.
//!
//! Requests do no counting for it. The census reads the records: pages and segments, the page map, the slot lists of
//! all threads, and the counts of the transfer cache. It allocates nothing, and takes the arena's lock for one segment
//! at a time. It is exact while no thread allocates or frees; else each number was true a moment ago. As all that takes
//! locks, it is taken inside: where the calling thread must not be, it has the bypass alone.

use super::{arena, arena_growth, bypass, thread, thread_heap, transfer_cache};
use crate::class::{BLOCK, CLASSES, Class, SEGMENT_BLOCKS};
use crate::config::ActiveConfig;
use crate::factor::{elo, madvise_batch, original, quarantine};
use crate::metadata::allocator;
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::{Page, Use};
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::{SEGMENT, Segment};
use crate::os;

/// Objects, and the bytes that they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amount {
    /// Number of objects.
    pub objects: u64,
    /// Bytes of their slots, runs and mappings, which may be more than was requested.
    pub bytes: u64,
}

impl Amount {
    /// `objects` objects of `each` bytes.
    pub(crate) fn of(objects: u64, each: usize) -> Amount {
        Amount { objects, bytes: objects * each as u64 }
    }

    /// Adds another amount.
    pub(crate) fn add(&mut self, other: Amount) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// Objects of one class.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClassCensus {
    /// Slots, runs and mappings that users or caches hold.
    pub(crate) handed_out: u64,
    /// Of those handed out, the ones in slot lists, and those that the factor `quarantine` lets wait.
    pub(crate) in_threads: u64,
    /// Of those handed out, the ones in the transfer cache.
    pub(crate) in_transfer: u64,
    /// Free slots in pages.
    pub(crate) free_slots: u64,
}

/// What each station holds.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    /// By class.
    pub(crate) classes: [ClassCensus; CLASSES],
    /// Live objects without a class.
    pub(crate) unclassed: Amount,
    /// What the bypass has.
    pub(crate) bypass: bypass::Usage,
    /// Mappings of their own, of a class or of none, that are live or in a cache.
    pub(crate) own_mappings: Amount,
    /// Free mappings in the mapping pool.
    pub(crate) pool: Amount,
    /// Free mappings in BigCache's ring.
    pub(crate) ring: Amount,
    /// Mappings in the madvise batch.
    pub(crate) batch: Amount,
    /// Bytes after the last slot of each page.
    pub(crate) tail_bytes: u64,
    /// Bytes of blocks that no page has.
    pub(crate) free_block_bytes: u64,
    /// Of those, bytes of blocks that were used since they last went back to the OS.
    pub(crate) dirty_block_bytes: u64,
    /// Bytes that the arena has mapped and that no segment has yet.
    pub(crate) reserve_bytes: u64,
    /// Resident bytes, of all that is mapped and of the records in the program.
    pub(crate) resident_bytes: u64,
    /// The allocator's records.
    pub(crate) records: allocator::Usage,
    /// Ratings of the plans, or of the mmap thresholds.
    pub(crate) elo_ratings: [f64; 12],
}

impl Census {
    /// Takes the census, or only that of the bypass: in a signal handler that interrupted the allocator, and in a thread that
    /// forks.
    pub(crate) fn take(active: ActiveConfig) -> Census {
        thread::inside(|_| Census::count(active)).unwrap_or_else(Census::of_bypass)
    }

    /// Only what the bypass has.
    fn of_bypass() -> Census {
        let bypass = bypass::usage();
        Census {
            classes: [ClassCensus::default(); CLASSES],
            bypass,
            unclassed: Amount { objects: bypass.live_objects(), bytes: bypass.live_bytes as u64 },
            own_mappings: Amount::default(),
            pool: Amount::default(),
            ring: Amount::default(),
            batch: Amount::default(),
            tail_bytes: 0,
            free_block_bytes: 0,
            dirty_block_bytes: 0,
            reserve_bytes: 0,
            resident_bytes: bypass.resident_bytes() as u64,
            records: allocator::Usage::default(),
            elo_ratings: [0.0; 12],
        }
    }

    fn count(active: ActiveConfig) -> Census {
        let mut census = Census::of_bypass();
        census.resident_bytes += allocator::resident_bytes() as u64;
        census.records = allocator::usage();
        census.elo_ratings = if active.elo_plans() { elo::ratings() } else { original::elo::ratings() };
        census.count_caches();
        let segments = census.count_range() + census.count_page_map();
        let arena_growth::Extent { low, high, chunk_bytes } = arena::extent();
        census.reserve_bytes = ((low.2 + high.2 + chunk_bytes) as u64).saturating_sub(segments * SEGMENT as u64);
        let (mappings, bytes, resident) = madvise_batch::waiting();
        census.batch = Amount { objects: mappings as u64, bytes: bytes as u64 };
        census.resident_bytes += resident as u64;
        census
    }

    fn count_caches(&mut self) {
        for class in Class::all() {
            let held = |heap: &thread_heap::Heap| {
                (settled(|| heap.cache.held(class), class.cache_slots()) + heap.cache.held_in_outbox(class)) as u64
            };
            let counts = &mut self.classes[class.index()];
            counts.in_threads = thread_heap::all().map(held).sum::<u64>() + quarantine::waiting(class);
            counts.in_transfer = transfer_cache::objects(class);
        }
    }

    /// Counts segments of the range. Returns how many there are.
    fn count_range(&mut self) -> u64 {
        let arena_growth::Extent { low, high, .. } = arena::extent();
        let mut segments = 0;
        for (base, bytes, _) in [low, high] {
            for at in (0..bytes).step_by(SEGMENT) {
                if let Some(segment) = range::segment_of(base.wrapping_add(at)) {
                    segments += 1;
                    self.count_segment(segment);
                }
            }
        }
        // Memory that is in no segment yet counts too: it is resident where the program locks its memory.
        for (base, bytes) in [(low.0, low.2), (high.0.wrapping_sub(high.2.saturating_sub(high.1)), high.2)] {
            self.resident_bytes += os::resident_bytes(base, bytes) as u64;
        }
        segments
    }

    /// Counts segments outside the range, and large mappings. Returns how many segments there are.
    fn count_page_map(&mut self) -> u64 {
        let census = core::cell::RefCell::new(self);
        let mut segments = 0;
        page_map::each(
            |segment| {
                segments += 1;
                let mut census = census.borrow_mut();
                census.count_segment(segment);
                census.resident_bytes += os::resident_bytes(segment.base.get(), SEGMENT) as u64;
            },
            |mapping| {
                let mut census = census.borrow_mut();
                census.count_own_mapping(mapping);
                census.resident_bytes += os::resident_bytes(mapping.base.get(), mapping.mapped.get()) as u64;
            },
        );
        segments
    }

    fn count_segment(&mut self, segment: &'static Segment) {
        let (used, dirty) = arena::look_at(segment, |segment| {
            segment.runs().for_each(|page| self.count_page(page));
            (segment.used.get(), segment.dirty.get())
        });
        // Blocks that are no memory yet count as used.
        let free = SEGMENT_BLOCKS as u32 - used.count_ones();
        self.free_block_bytes += u64::from(free) * BLOCK as u64;
        self.dirty_block_bytes += u64::from((dirty & !used).count_ones()) * BLOCK as u64;
    }

    fn count_page(&mut self, page: &Page) {
        let bytes = u64::from(page.blocks.get()) * BLOCK as u64;
        let class = Class::from_index(usize::from(page.class_index.get()));
        match (page.usage.get(), class) {
            (Use::Slots, Some(class)) => {
                let (capacity, used) = (page.capacity.get(), page.used.get());
                let counts = &mut self.classes[class.index()];
                counts.handed_out += u64::from(used);
                counts.free_slots += u64::from(capacity.saturating_sub(used));
                self.tail_bytes += bytes.saturating_sub(u64::from(capacity) * class.slot_bytes() as u64);
            }
            (Use::Large, Some(class)) => self.classes[class.index()].handed_out += 1,
            (Use::Large, None) => match page.mapping.get() {
                Some(mapping) => self.count_by_state(mapping, bytes),
                None => self.unclassed.add(Amount { objects: 1, bytes }),
            },
            // Blocks that the purge has marked as in use, or a page that another thread makes at this moment.
            _ => self.free_block_bytes += BLOCK as u64,
        }
    }

    fn count_own_mapping(&mut self, mapping: &LargeMapping) {
        let own = Amount { objects: 1, bytes: mapping.mapped.get() as u64 };
        if mapping.is_live() {
            self.own_mappings.add(own);
        }
        match Class::of(mapping.mapped.get()).filter(|_| mapping.size_classed.get()) {
            Some(class) => self.classes[class.uncoloured().index()].handed_out += 1,
            None => self.count_by_state(mapping, own.bytes),
        }
    }

    /// Counts a mapping without a class: as live, or where it waits.
    fn count_by_state(&mut self, mapping: &LargeMapping, bytes: u64) {
        let amount = Amount { objects: 1, bytes };
        if mapping.is_live() {
            self.unclassed.add(amount);
        } else if mapping.pooled.get() {
            self.pool.add(amount);
        } else {
            self.ring.add(amount);
        }
    }
}

/// A count of at most `most` that another thread changes: it is read again while it is impossible, and is 0 if it stays
/// so.
fn settled(mut read: impl FnMut() -> usize, most: usize) -> usize {
    (0..4).map(|_| read()).find(|&count| count <= most).unwrap_or(0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn impossible_counts_are_read_again() {
        let read = |counts: &[usize]| {
            let mut next = counts.iter().copied();
            settled(|| next.next().unwrap_or(usize::MAX), 64)
        };
        assert_eq!(read(&[64]), 64);
        assert_eq!(read(&[usize::MAX / 8, 65, 5]), 5);
        assert_eq!(read(&[]), 0);
    }
}
