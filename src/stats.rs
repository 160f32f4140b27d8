//! Statistics: one snapshot of what the allocator holds, where, and what the factors did. Its parts sum to the whole.
//!
//! A call reads the numbers from the allocator's records. Requests do no counting for them, except for the factors'
//! counters and each thread's numbers of objects.

use crate::alloc::census::{Amount, Census};
use crate::alloc::{purge, thread_heap};
use crate::class::{CLASSES, Class};
use crate::config::{self, FACTORS, FactorId, Level, REGISTRY};
use crate::metadata::allocator;
use crate::{factor, os};
use core::fmt;

/// Objects and bytes of the process at one moment, summed over all threads; docs/stats.md explains every number.
///
/// Exact while no thread allocates or frees. While threads do, each number was true a moment ago, and the sums below
/// may be off by what moved meanwhile. Displays as a table.
///
/// Three sums hold:
/// - `mapped_bytes`, counted at the system calls, is the sum of [`Stats::parts`], counted from the records.
/// - `allocations − frees`, counted by the threads, is `live.objects`, counted from the records.
/// - `live`, `thread_caches`, `transfer_cache` and `free_slots` are each the sum over [`Stats::classes`] and, of live
///   ones, over [`Stats::unclassed`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Objects handed out since the process began.
    pub allocations: u64,
    /// Objects taken back since the process began.
    pub frees: u64,
    /// Objects in use.
    pub live: Amount,
    /// Live objects that have no size class: above 4 MiB, with a large alignment, by an mmap threshold,
    /// or requested by a signal handler or during a fork.
    pub unclassed: Amount,
    /// Objects that have a mapping of their own, live or in a thread's or the transfer cache. Those parts count them
    /// too.
    pub own_mappings: Amount,
    /// Free objects in the slot lists of threads.
    pub thread_caches: Amount,
    /// Free objects that wait for another thread.
    pub transfer_cache: Amount,
    /// Free slots in slab pages.
    pub free_slots: Amount,
    /// Free large mappings that wait for a request of similar size.
    pub mapping_pool: Amount,
    /// Free large mappings in BigCache's ring.
    pub bigcache_ring: Amount,
    /// Large mappings that wait to be unmapped together.
    pub madvise_batch: Amount,
    /// Bytes after the last slot of each slab page.
    pub page_tail_bytes: u64,
    /// Bytes of arena blocks that no page has.
    pub free_block_bytes: u64,
    /// Of those, bytes of blocks that were used since they last went back to the OS: a purge would give them back.
    pub dirty_block_bytes: u64,
    /// Bytes that the arena has mapped and that no segment has yet.
    pub reserve_bytes: u64,
    /// Bytes for the allocator's own records, including [`Stats::metadata_free_bytes`], and free blocks of those
    /// that serve signal handlers and code that runs during a fork.
    pub metadata_bytes: u64,
    /// Bytes for records that no record has yet.
    pub metadata_free_bytes: u64,
    /// Bytes that are unused and that the kernel refused to unmap. Usually 0.
    pub lost_bytes: u64,
    /// Bytes of memory that the allocator has from the OS, touched or not, and 256 KiB for records that are part of the
    /// program. Addresses that are only reserved do not count.
    pub mapped_bytes: u64,
    /// The highest `mapped_bytes` so far.
    pub mapped_bytes_max: u64,
    /// Bytes of `mapped_bytes` that the kernel backs with memory, in whole pages of the kernel, as `mincore` reports.
    pub resident_bytes: u64,
    classes: [ClassStats; CLASSES],
    factors: [FactorStats; FACTORS],
    ticks: u64,
    elo_ratings: [f64; 12],
}

/// Objects of one size class.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of an object's slot, run or mapping.
    pub object_bytes: usize,
    /// Objects in use.
    pub live: Amount,
    /// Free objects in the slot lists of threads.
    pub thread_caches: Amount,
    /// Free objects that wait for another thread.
    pub transfer_cache: Amount,
    /// Free slots in slab pages.
    pub free_slots: Amount,
}

/// Level and activity of one factor.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FactorStats {
    /// Which factor.
    pub id: FactorId,
    /// Its level in this process.
    pub level: Level,
    values: [u64; COUNTERS_MAX],
}

/// Most counters of one factor.
const COUNTERS_MAX: usize = 8;

impl FactorStats {
    /// The factor's name in the registry.
    pub fn name(&self) -> &'static str {
        self.id.name()
    }

    /// Names and values of the factor's activity counters, each a number of events since the process began.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        REGISTRY[self.id as usize].counters.iter().copied().zip(self.values)
    }

    /// One counter; `None` when the factor has none of that name.
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// The statistics as they are now. Seals the levels if nothing has sealed them yet.
///
/// Allocates nothing, and costs requests nothing. The call reads the record of every slab page and large object, and
/// asks the kernel which memory is resident with one `mincore` per 16 MiB: some milliseconds per GiB. In a signal handler
/// that interrupted the allocator, and in a handler of `fork`, the records must not be read: what they say is then 0.
///
/// ```
/// # #[global_allocator] static GLOBAL: hakmem::Hakmem = hakmem::Hakmem;
/// let before = hakmem::stats();
/// let object = vec![1_u8; 100_000];
/// let after = hakmem::stats();
/// assert!(after.live.bytes >= before.live.bytes + 100_000);
/// assert_eq!(after.mapped_bytes, after.parts().iter().map(|part| part.1).sum::<u64>());
/// println!("{after}");
/// # drop(object);
/// ```
pub fn stats() -> Stats {
    config::seal_once();
    let allocations: u64 = thread_heap::all().map(|heap| heap.cache.allocations()).sum();
    let frees = frees(allocations, thread_heap::live_objects());
    let census = Census::take(config::active());
    let records = census.records;
    let mapped = os::mapped();
    let mut stats = Stats {
        allocations: allocations + census.bypass.allocations,
        frees: frees + census.bypass.frees,
        live: census.unclassed,
        unclassed: census.unclassed,
        own_mappings: census.own_mappings,
        thread_caches: Amount::default(),
        transfer_cache: Amount::default(),
        free_slots: Amount::default(),
        mapping_pool: census.pool,
        bigcache_ring: census.ring,
        madvise_batch: census.batch,
        page_tail_bytes: census.tail_bytes,
        free_block_bytes: census.free_block_bytes,
        dirty_block_bytes: census.dirty_block_bytes,
        reserve_bytes: census.reserve_bytes,
        metadata_bytes: (records.bytes + census.bypass.free_bytes()) as u64,
        metadata_free_bytes: records.free_bytes as u64,
        lost_bytes: mapped.lost_bytes as u64,
        mapped_bytes: (mapped.bytes + allocator::PROGRAM_BYTES) as u64,
        mapped_bytes_max: (mapped.bytes_max + allocator::PROGRAM_BYTES) as u64,
        resident_bytes: census.resident_bytes,
        classes: [ClassStats::default(); CLASSES],
        factors: factors(),
        ticks: factor::tick::total(),
        elo_ratings: census.elo_ratings,
    };
    for class in Class::all() {
        let counts = census.classes[class.index()];
        let amount = |objects| Amount::of(objects, class.slot_bytes());
        let live = counts.handed_out.saturating_sub(counts.in_threads + counts.in_transfer);
        let of_class = ClassStats {
            object_bytes: class.slot_bytes(),
            live: amount(live),
            thread_caches: amount(counts.in_threads),
            transfer_cache: amount(counts.in_transfer),
            free_slots: amount(counts.free_slots),
        };
        stats.live.add(of_class.live);
        stats.thread_caches.add(of_class.thread_caches);
        stats.transfer_cache.add(of_class.transfer_cache);
        stats.free_slots.add(of_class.free_slots);
        stats.classes[class.index()] = of_class;
    }
    stats
}

/// Frees, from the allocations and from the live objects, which are counted a moment later by counts that wrap: while
/// threads allocate and free there may seem to be fewer than none, or more than were allocated.
fn frees(allocations: u64, live_objects: u64) -> u64 {
    allocations.saturating_sub(if live_objects > u64::MAX / 2 { 0 } else { live_objects })
}

/// Level and counters of each factor, summed over all threads.
fn factors() -> [FactorStats; FACTORS] {
    let active = config::active();
    FactorId::ALL.map(|id| {
        let index = id as usize;
        let mut values = [0; COUNTERS_MAX];
        for (counter, value) in values.iter_mut().enumerate().take(REGISTRY[index].counters.len()) {
            let all = thread_heap::all().map(|heap| &heap.counters).chain([purge::counters()]);
            *value = all.map(|counters| counters.read(index, counter)).sum();
        }
        FactorStats { id, level: active.level(index), values }
    })
}

impl Stats {
    /// Names and bytes of the parts of `mapped_bytes`. Each byte is in exactly one part.
    pub fn parts(&self) -> [(&'static str, u64); 12] {
        [
            ("live", self.live.bytes),
            ("thread caches", self.thread_caches.bytes),
            ("transfer cache", self.transfer_cache.bytes),
            ("free slots", self.free_slots.bytes),
            ("page tails", self.page_tail_bytes),
            ("free blocks", self.free_block_bytes),
            ("arena reserve", self.reserve_bytes),
            ("mapping pool", self.mapping_pool.bytes),
            ("BigCache ring", self.bigcache_ring.bytes),
            ("madvise batch", self.madvise_batch.bytes),
            ("metadata", self.metadata_bytes),
            ("lost", self.lost_bytes),
        ]
    }

    /// Bytes of `mapped_bytes` that the kernel does not back with memory: given back, never touched, or swapped out.
    pub fn returned_bytes(&self) -> u64 {
        self.mapped_bytes.saturating_sub(self.resident_bytes)
    }

    /// Every size class, in the allocator's order: small classes, large classes of slots, and large classes of runs. A
    /// class of slots and one of runs may have nearly the same size.
    pub fn classes(&self) -> &[ClassStats] {
        &self.classes
    }

    /// One entry per factor, in the order of the registry.
    pub fn factors(&self) -> &[FactorStats] {
        &self.factors
    }

    /// The entry of one factor.
    pub fn factor(&self, id: FactorId) -> &FactorStats {
        &self.factors[id as usize]
    }

    /// The shared count of allocations that the factor `tick` keeps.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Elo ratings in points, all 1500 before the first round: of the twelve plans where the factor `elo` is at its
    /// level `slow-path`, else of the twelve mmap thresholds, smallest threshold first.
    pub fn elo_ratings(&self) -> &[f64; 12] {
        &self.elo_ratings
    }

    /// Objects in each of [`Stats::parts`]; `None` for a part that has bytes alone.
    fn part_objects(&self) -> [Option<u64>; 12] {
        let objects = |amount: Amount| Some(amount.objects);
        [
            objects(self.live),
            objects(self.thread_caches),
            objects(self.transfer_cache),
            objects(self.free_slots),
            None,
            None,
            None,
            objects(self.mapping_pool),
            objects(self.bigcache_ring),
            objects(self.madvise_batch),
            None,
            None,
        ]
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "hakmem {}: {} allocations, {} frees", env!("CARGO_PKG_VERSION"), self.allocations, self.frees)?;
        writeln!(f, "{:<24} {:>14} {:>18}", "", "objects", "bytes")?;
        for ((name, bytes), objects) in self.parts().into_iter().zip(self.part_objects()) {
            match objects {
                Some(objects) => writeln!(f, "{name:<24} {objects:>14} {bytes:>18}")?,
                None => writeln!(f, "{name:<24} {:>14} {bytes:>18}", "")?,
            }
        }
        for (name, bytes) in [
            ("mapped, the sum", self.mapped_bytes),
            ("  at most so far", self.mapped_bytes_max),
            ("  resident", self.resident_bytes),
            ("  returned or untouched", self.returned_bytes()),
        ] {
            writeln!(f, "{name:<24} {:>14} {bytes:>18}", "")?;
        }
        writeln!(f, "{:>12} {:>12} {:>12} {:>12} {:>12}", "class bytes", "live", "in threads", "in transfer", "free")?;
        let is_used = |class: &&ClassStats| {
            [class.live, class.thread_caches, class.transfer_cache, class.free_slots]
                .iter()
                .any(|part| part.objects > 0)
        };
        for class in self.classes.iter().filter(is_used) {
            writeln!(
                f,
                "{:>12} {:>12} {:>12} {:>12} {:>12}",
                class.object_bytes,
                class.live.objects,
                class.thread_caches.objects,
                class.transfer_cache.objects,
                class.free_slots.objects
            )?;
        }
        for factor in &self.factors {
            write!(f, "{:<14} {:<14}", factor.name(), factor.level.as_str())?;
            for (name, count) in factor.counters().filter(|(_, count)| *count > 0) {
                write!(f, " {name} {count}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn frees_are_never_more_than_allocations() {
        assert_eq!(frees(10, 3), 7);
        assert_eq!(frees(10, 11), 0);
        assert_eq!(frees(10, 0_u64.wrapping_sub(2)), 10);
    }
}
