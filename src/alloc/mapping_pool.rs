//! The mapping pool: freed large mappings that wait for the next request.
//!
//! A freed mapping stays here, whatever its length, until a request takes it or the purge finds that it has waited for
//! some epochs. A request takes the mapping that fits best. What is left before and behind the object stays in the pool
//! as a mapping with a record of its own, over the same mapping of the kernel's. Neighbours are joined when a request
//! fits in none of them alone, and only then: until that, each keeps its age, and the address by which a second free is
//! seen.
//!
//! **What it may hold.** Live and freed mappings together are never more than the most that was live within the last
//! epochs, and as much again, at most [`SPARE_BYTES`]. The oldest go back to the OS before a new mapping would exceed
//! that.
//!
//! Their memory is kept only as far as the program has shown to want it back. At first that is nothing: a freed mapping is
//! emptied, and holds addresses alone. Each emptied one that a request takes shows that as many bytes were wanted, and so
//! many wait from now on with what they hold; the oldest are emptied. A window of epochs without such a request begins
//! anew. So a program that frees and asks again finds its memory from the second time on, and one that does not holds no
//! more than it uses. As much as the arena grows by goes back, too. Where the purge does not work by time, [`SPARE_BYTES`]
//! wait: without their memory where it works at once, and else with it.
//!
//! Costs 16 KiB of `.bss`, touched as the pool fills, and one pass over its entries per request: 0.1 µs for ten, 1.3 µs
//! when it is full (measured), beside requests of more than 4 MiB.

use super::large_mappings::{self, Placement, Shape, describe, give_record};
pub(super) use super::pool_entries::waiting_bytes;
use super::pool_entries::{Entries, Entry, Fit, at};
use crate::factor::{self, purge};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page_map;
use crate::os::{HUGE_PAGE, OS_PAGE};
use crate::request::Request;
use crate::sync::{Guard, Lock, constant, global};

/// Bytes that may wait beyond what was live lately.
const SPARE_BYTES: usize = 128 << 20;
/// As many at least, where what was live lately is less.
const SPARE_BYTES_MIN: usize = 32 << 20;
/// Objects from this length on end at a multiple of a huge page, so that the piece behind them starts at one: at most
/// an eighth is lost.
const ROUNDED_BYTES_MIN: usize = 8 * HUGE_PAGE;
/// Epochs of each of the two windows in which the most live bytes are noted: as long as memory waits.
const WINDOW_EPOCHS: u32 = purge::WAIT_EPOCHS;

global! {
    table static POOL: Lock<Pool> = Lock::new(Pool::new());
}

#[derive(Debug)]
struct Pool {
    /// The mappings that wait.
    entries: Entries,
    /// Bytes that were wanted back, so that as many are kept with memory.
    wanted: usize,
    /// How many mappings were taken out. It wraps.
    reuses: u32,
    /// Bytes of the mappings that are live and come back here.
    live: usize,
    /// The most live bytes in the current window, and in the last one.
    peaks: [usize; 2],
    /// The epoch in which the current window began, and how many mappings had been taken out by then.
    window: u32,
    reuses_before: u32,
}

/// What is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// All for some epochs, but memory only as far as it was wanted back.
    Wanted,
    /// All for some epochs.
    ForEpochs,
    /// All for ever, but no memory.
    Addresses,
    /// All, for ever.
    ForEver,
}

/// Where a mapping for a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The OS: it is zero, and the kernel has the advice on it.
    Os,
    /// It waited here.
    Pool {
        /// Whether it was joined of several.
        is_joined: bool,
        /// How many were taken out before it and with it. It wraps.
        reuses: u32,
        /// Whether its memory had gone back to the OS: it is zero.
        is_empty: bool,
    },
}

/// Takes a mapping that waits, or else a new one, for which `evict` gets the oldest ones where too much would wait. The
/// pool takes the mapping when it is freed.
pub(super) fn take(
    counters: &factor::Counters,
    placement: Placement,
    request: &Request,
    keep: Keep,
    evict: impl FnMut(&'static LargeMapping),
) -> Option<(&'static LargeMapping, Origin)> {
    let shape = Shape::of(placement, request)?;
    let mut pool = POOL.lock();
    if let Some(taken) = pool.take(&shape, request) {
        return Some(taken);
    }
    // Where the next one ends at its start, they can be joined.
    let shape = if shape.bytes >= ROUNDED_BYTES_MIN { shape.rounded() } else { shape };
    pool.lend(shape.bytes);
    make_room(pool, counters, keep, evict);
    let Some(mapping) = large_mappings::map_shape(counters, placement, &shape, request) else {
        POOL.lock().live -= shape.bytes;
        return None;
    };
    mapping.pooled.set(true);
    Some((mapping, Origin::Os))
}

/// As [`take`], of mappings that wait alone.
pub(super) fn take_waiting(placement: Placement, request: &Request) -> Option<(&'static LargeMapping, Origin)> {
    let shape = Shape::of(placement, request)?;
    POOL.lock().take(&shape, request)
}

/// Keeps a freed mapping. `evict` gets the oldest ones where too much waits. Returns whether the purge is due, which it
/// is as soon as a mapping waits.
pub(super) fn give(
    counters: &factor::Counters,
    mapping: &'static LargeMapping,
    keep: Keep,
    mut evict: impl FnMut(&'static LargeMapping),
) -> bool {
    let mut pool = POOL.lock();
    while pool.entries.is_full()
        && let Some(oldest) = pool.entries.take_oldest()
    {
        // The callback may wait for the OS; other threads must not.
        drop(pool);
        evict(oldest);
        pool = POOL.lock();
    }
    pool.live -= mapping.mapped.get();
    pool.entries.add(mapping);
    make_room(pool, counters, keep, evict);
    true
}

/// Lengthens a live mapping of the pool's to `bytes` bytes by what waits behind it. Returns `false`, and changes nothing,
/// where that is not enough.
pub(super) fn extend(mapping: &'static LargeMapping, bytes: usize) -> bool {
    POOL.lock().extend(mapping, bytes)
}

/// Notes that a live mapping of the pool's became longer. `evict` gets the oldest ones where too much waits.
pub(super) fn note_growth(
    counters: &factor::Counters,
    bytes: usize,
    keep: Keep,
    evict: impl FnMut(&'static LargeMapping),
) {
    let mut pool = POOL.lock();
    pool.lend(bytes);
    make_room(pool, counters, keep, evict);
}

/// Notes that a live mapping of the pool's became shorter.
pub(super) fn note_cut(bytes: usize) {
    POOL.lock().live -= bytes;
}

/// Hands the oldest mappings with memory, and parts of them, to `evict`, so that about `bytes` bytes fewer wait: other
/// memory takes their place.
pub(super) fn give_way(bytes: usize, mut evict: impl FnMut(&'static LargeMapping)) {
    let mut left = bytes;
    while left > 0 {
        let mut pool = POOL.lock();
        let entries = &mut pool.entries;
        let Some(mut place) = entries.oldest(|entry| !entry.is_empty) else { return };
        // A whole one where it is not much longer.
        let whole = entries.all()[place];
        place += usize::from(whole.bytes > 2 * left && entries.split(place, whole.end() - left));
        let Entry { bytes, mapping: evicted, .. } = entries.remove(place);
        left = left.saturating_sub(bytes);
        drop(pool);
        evicted.into_iter().for_each(&mut evict);
    }
}

/// Hands mappings that have waited for `epochs` epochs of the purge to `evict`. Returns whether younger ones wait.
pub(super) fn evict_older_than(epochs: u32, mut evict: impl FnMut(&'static LargeMapping)) -> bool {
    loop {
        let mut pool = POOL.lock();
        pool.pass_time();
        let now = purge::epoch();
        let old = pool.entries.all().iter().position(|entry| now.wrapping_sub(entry.freed_at) >= epochs);
        let Some(mapping) = old.and_then(|old| pool.entries.remove(old).mapping) else {
            return !pool.entries.all().is_empty();
        };
        drop(pool);
        evict(mapping);
    }
}

/// Bytes of the mappings that are live, and of those that wait with memory.
pub(super) fn usage() -> (usize, usize) {
    let pool = POOL.lock();
    (pool.live, pool.entries.bytes().1)
}

/// Hands every mapping that is kept to `evict`.
pub(super) fn drain(mut evict: impl FnMut(&'static LargeMapping)) {
    loop {
        let Some(mapping) = POOL.lock().entries.take_oldest() else { return };
        evict(mapping);
    }
}

/// Hands the oldest mappings to `evict` until no more waits than may, and empties the oldest of the others until no more
/// memory waits than is wanted.
fn make_room(
    mut pool: Guard<'_, Pool>,
    counters: &factor::Counters,
    keep: Keep,
    mut evict: impl FnMut(&'static LargeMapping),
) {
    while pool.is_beyond(keep)
        && let Some(oldest) = pool.entries.take_oldest()
    {
        // The callback may wait for the OS; other threads must not.
        drop(pool);
        evict(oldest);
        pool = POOL.lock();
    }
    while pool.entries.bytes().1 > pool.held_max(keep)
        && let Some(place) = pool.entries.oldest(|entry| !entry.is_empty)
    {
        // Out of the pool, so that no request takes what is being emptied.
        let mut entry = pool.entries.remove(place);
        drop(pool);
        // SAFETY: the mapping holds no object, and no other thread can take it.
        entry.is_empty = unsafe { purge::decommit(&counters.purge, at(entry.base), entry.bytes) };
        pool = POOL.lock();
        if !entry.is_empty || pool.entries.is_full() {
            drop(pool);
            return entry.mapping.into_iter().for_each(evict);
        }
        pool.entries.insert(entry);
    }
}

impl Pool {
    constant! {
        /// Nothing waits.
        fn new() -> Pool {
            Pool {
                entries: Entries::new(),
                wanted: 0,
                reuses: 0,
                live: 0,
                peaks: [0; 2],
                window: 0,
                reuses_before: 0,
            }
        }
    }

    /// Whether more waits than may.
    fn is_beyond(&self, keep: Keep) -> bool {
        let (bytes, _) = self.entries.bytes();
        match keep {
            Keep::Addresses | Keep::ForEver => bytes > SPARE_BYTES,
            Keep::Wanted | Keep::ForEpochs => {
                let peak = self.peaks[0].max(self.peaks[1]);
                self.live + bytes > peak + peak.clamp(SPARE_BYTES_MIN, SPARE_BYTES)
            }
        }
    }

    /// Most bytes that may wait with memory.
    fn held_max(&self, keep: Keep) -> usize {
        match keep {
            Keep::Wanted => self.wanted,
            Keep::Addresses => 0,
            Keep::ForEpochs | Keep::ForEver => usize::MAX,
        }
    }

    /// Begins a new window where the current one is over.
    fn pass_time(&mut self) {
        let windows = purge::epoch().wrapping_sub(self.window) / WINDOW_EPOCHS;
        if windows > 0 {
            self.peaks = [self.live, if windows == 1 { self.peaks[0] } else { self.live }];
            self.window = purge::epoch();
            if core::mem::replace(&mut self.reuses_before, self.reuses) == self.reuses {
                self.wanted = 0;
            }
        }
    }

    /// Notes that so many bytes are live now.
    fn lend(&mut self, bytes: usize) {
        self.pass_time();
        self.live += bytes;
        self.peaks[0] = self.peaks[0].max(self.live);
    }

    /// Takes a mapping for a request out of the pool.
    fn take(&mut self, shape: &Shape, request: &Request) -> Option<(&'static LargeMapping, Origin)> {
        let entries = &mut self.entries;
        let Fit { first, last, start, .. } = entries.find(shape)?;
        let emptied = entries.all()[first..=last].iter().filter(|entry| entry.is_empty).map(|entry| entry.bytes).sum();
        entries.join(first, last);
        let user = shape.object_in(at(start));
        let mut end = start + shape.bytes;
        if shape.bytes >= ROUNDED_BYTES_MIN {
            end = end.next_multiple_of(HUGE_PAGE);
        }
        entries.split(first, end);
        let place = if entries.split(first, start) { first + 1 } else { first };
        let mapping = entries.all()[place].mapping?;
        let known = mapping.user.get();
        if !page_map::enter_mapping(user, mapping) {
            return None;
        }
        if known != user {
            page_map::remove_mapping(known, mapping);
            // Both may be on one OS page, whose word was removed with the first.
            page_map::enter_mapping(user, mapping);
        }
        let Entry { base, bytes, is_empty, .. } = entries.remove(place);
        describe(mapping, at(base), bytes, user, request.site.id());
        mapping.pooled.set(true);
        mapping.mark_live(request.size);
        self.reuses = self.reuses.wrapping_add(1);
        self.wanted = self.wanted.saturating_add(bytes.min(emptied));
        self.lend(bytes);
        Some((mapping, Origin::Pool { is_joined: first != last, reuses: self.reuses, is_empty }))
    }

    fn extend(&mut self, mapping: &'static LargeMapping, bytes: usize) -> bool {
        let end = mapping.base.get().addr() + mapping.mapped.get();
        let needed = (mapping.base.get().addr() + bytes).next_multiple_of(OS_PAGE);
        let Some(Entry { bytes, mapping: behind, .. }) = self.entries.take_from(end, needed) else { return false };
        if let Some(behind) = behind {
            mapping.is_huge.set(mapping.is_huge.get() || behind.is_huge.get());
            page_map::remove_mapping(behind.user.get(), behind);
            give_record(behind);
        }
        mapping.mapped.set(mapping.mapped.get() + bytes);
        mapping.is_joined.set(true);
        self.lend(bytes);
        true
    }
}
