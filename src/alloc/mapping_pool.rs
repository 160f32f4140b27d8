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
//! that, and as much of them as the arena grows by. So a program that frees and asks again finds its memory, and never
//! holds much more than it needed itself. Where the purge does not work by time, [`SPARE_BYTES`] are all that waits.
//!
//! Costs 16 KiB of `.bss`, touched as the pool fills, and one pass over its entries per request: 0.1 µs for ten, 1.3 µs
//! when it is full (measured), beside requests of more than 4 MiB.

use super::large_mappings::{self, Placement, Shape, describe, give_record, take_record};
use crate::factor::{self, align, purge};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page_map;
use crate::os::{HUGE_PAGE, OS_PAGE};
use crate::request::Request;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Guard, Lock, constant, global};
use core::ptr;

/// Bytes that may wait beyond what was live lately.
const SPARE_BYTES: usize = 128 << 20;
/// As many at least, where what was live lately is less.
const SPARE_BYTES_MIN: usize = 32 << 20;
/// Most mappings that wait.
const ENTRIES_MAX: usize = 512;
/// Least bytes of a piece that stays here on its own. A shorter one stays with the object beside it.
const PIECE_BYTES_MIN: usize = 64 << 10;
/// Objects from this length on end at a multiple of a huge page, so that the piece behind them starts at one: at most
/// an eighth is lost.
const ROUNDED_BYTES_MIN: usize = 8 * HUGE_PAGE;
/// Epochs of each of the two windows in which the most live bytes are noted: as long as memory waits.
const WINDOW_EPOCHS: u32 = purge::WAIT_EPOCHS;

global! {
    table static POOL: Lock<Pool> = Lock::new(Pool::new());
}

global! {
    /// Bytes of the mappings that wait. Changes only under the pool's lock. Relaxed: who reads it without the lock sees some
    /// earlier moment.
    static WAITING: AtomicUsize = AtomicUsize::new(0);
}

/// A mapping that waits.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The address of its first byte.
    base: usize,
    bytes: usize,
    mapping: Option<&'static LargeMapping>,
    /// The purge epoch in which it was freed.
    freed_at: u32,
    /// How many were freed before it. It wraps.
    order: u32,
}

const NO_ENTRY: Entry = Entry { base: 0, bytes: 0, mapping: None, freed_at: 0, order: 0 };

#[derive(Debug)]
struct Pool {
    /// The mappings that wait, by address.
    entries: [Entry; ENTRIES_MAX],
    len: usize,
    /// Their bytes.
    bytes: usize,
    /// The number of the next mapping that is freed.
    order: u32,
    /// How many mappings were taken out. It wraps.
    reuses: u32,
    /// Bytes of the mappings that are live and come back here.
    live: usize,
    /// The most live bytes in the current window, and in the last one.
    peaks: [usize; 2],
    /// The epoch in which the current window began.
    window: u32,
}

/// What the purge does with what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// It takes what has waited for some epochs.
    ForEpochs,
    /// It takes nothing.
    ForEver,
}

/// A part of the pool that a request fits in: entries `first` to `last`, which are neighbours.
#[derive(Clone, Copy, Debug)]
struct Fit {
    first: usize,
    last: usize,
    /// Where the mapping of the request's shape starts.
    start: usize,
    /// Bytes of the whole part. The fewest fit best.
    bytes: usize,
    /// How long ago its last entry was freed.
    age: u32,
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
    if let Some((mapping, is_joined)) = pool.take(&shape, request) {
        return Some((mapping, Origin::Pool { is_joined, reuses: pool.reuses }));
    }
    // Where the next one ends at its start, they can be joined.
    let shape = if shape.bytes >= ROUNDED_BYTES_MIN { shape.rounded() } else { shape };
    pool.lend(shape.bytes);
    make_room(pool, keep, evict);
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
    let mut pool = POOL.lock();
    let (mapping, is_joined) = pool.take(&shape, request)?;
    Some((mapping, Origin::Pool { is_joined, reuses: pool.reuses }))
}

/// Keeps a freed mapping. `evict` gets the oldest ones where too much waits. Returns whether the purge is due, which it
/// is as soon as a mapping waits.
pub(super) fn give(mapping: &'static LargeMapping, keep: Keep, mut evict: impl FnMut(&'static LargeMapping)) -> bool {
    let mut pool = POOL.lock();
    while pool.len == ENTRIES_MAX
        && let Some(oldest) = pool.take_oldest()
    {
        // The callback may wait for the OS; other threads must not.
        drop(pool);
        evict(oldest);
        pool = POOL.lock();
    }
    pool.live -= mapping.mapped.get();
    pool.insert(mapping);
    make_room(pool, keep, evict);
    true
}

/// Lengthens a live mapping of the pool's to `bytes` bytes by what waits behind it. Returns `false`, and changes nothing,
/// where that is not enough.
pub(super) fn extend(mapping: &'static LargeMapping, bytes: usize) -> bool {
    POOL.lock().extend(mapping, bytes)
}

/// Notes that a live mapping of the pool's became longer. `evict` gets the oldest ones where too much waits.
pub(super) fn note_growth(bytes: usize, keep: Keep, evict: impl FnMut(&'static LargeMapping)) {
    let mut pool = POOL.lock();
    pool.lend(bytes);
    make_room(pool, keep, evict);
}

/// Notes that a live mapping of the pool's became shorter.
pub(super) fn note_cut(bytes: usize) {
    POOL.lock().live -= bytes;
}

/// Hands the oldest mappings, and parts of them, to `evict`, so that about `bytes` bytes fewer wait: other memory takes
/// their place.
pub(super) fn give_way(bytes: usize, mut evict: impl FnMut(&'static LargeMapping)) {
    let mut left = bytes;
    while left > 0 {
        let mut pool = POOL.lock();
        let Some(mut place) = pool.oldest() else { return };
        // A whole one where it is not much longer.
        let end = pool.entries[place].end();
        place += usize::from(pool.entries[place].bytes > 2 * left && pool.split(place, end - left));
        left = left.saturating_sub(pool.entries[place].bytes);
        let evicted = pool.remove(place);
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
        let old = pool.entries[..pool.len].iter().position(|entry| now.wrapping_sub(entry.freed_at) >= epochs);
        let Some(mapping) = old.and_then(|old| pool.remove(old)) else { return pool.len > 0 };
        drop(pool);
        evict(mapping);
    }
}

/// Bytes of the mappings that are kept.
pub(super) fn waiting_bytes() -> usize {
    WAITING.load(Ordering::Relaxed)
}

/// Bytes of the mappings that are live, and of those that wait.
pub(super) fn usage() -> (usize, usize) {
    let pool = POOL.lock();
    (pool.live, pool.bytes)
}

/// Hands every mapping that is kept to `evict`.
pub(super) fn drain(mut evict: impl FnMut(&'static LargeMapping)) {
    loop {
        let Some(mapping) = POOL.lock().take_oldest() else { return };
        evict(mapping);
    }
}

/// Hands the oldest mappings to `evict` until no more waits than may.
fn make_room(mut pool: Guard<'_, Pool>, keep: Keep, mut evict: impl FnMut(&'static LargeMapping)) {
    while pool.is_beyond(keep)
        && let Some(oldest) = pool.take_oldest()
    {
        // The callback may wait for the OS; other threads must not.
        drop(pool);
        evict(oldest);
        pool = POOL.lock();
    }
}

impl Entry {
    fn end(&self) -> usize {
        self.base + self.bytes
    }
}

/// A pointer to memory that was mapped.
fn at(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

impl Pool {
    constant! {
        /// Nothing waits.
        fn new() -> Pool {
            Pool {
                entries: [NO_ENTRY; ENTRIES_MAX],
                len: 0,
                bytes: 0,
                order: 0,
                reuses: 0,
                live: 0,
                peaks: [0; 2],
                window: 0,
            }
        }
    }

    /// Whether more waits than may.
    fn is_beyond(&self, keep: Keep) -> bool {
        match keep {
            Keep::ForEver => self.bytes > SPARE_BYTES,
            Keep::ForEpochs => {
                let peak = self.peaks[0].max(self.peaks[1]);
                self.live + self.bytes > peak + peak.clamp(SPARE_BYTES_MIN, SPARE_BYTES)
            }
        }
    }

    /// Begins a new window where the current one is over.
    fn pass_time(&mut self) {
        let windows = purge::epoch().wrapping_sub(self.window) / WINDOW_EPOCHS;
        if windows > 0 {
            self.peaks = [self.live, if windows == 1 { self.peaks[0] } else { self.live }];
            self.window = purge::epoch();
        }
    }

    /// Notes that so many bytes are live now.
    fn lend(&mut self, bytes: usize) {
        self.pass_time();
        self.live += bytes;
        self.peaks[0] = self.peaks[0].max(self.live);
    }

    /// Enters a freed mapping. There is room for it.
    fn insert(&mut self, mapping: &'static LargeMapping) {
        let (base, bytes) = (mapping.base.get().addr(), mapping.mapped.get());
        let entry = Entry { base, bytes, mapping: Some(mapping), freed_at: purge::epoch(), order: self.order };
        let place = self.entries[..self.len].partition_point(|entry| entry.base < base);
        self.entries.copy_within(place..self.len, place + 1);
        self.entries[place] = entry;
        self.len += 1;
        self.bytes += bytes;
        WAITING.store(self.bytes, Ordering::Relaxed);
        self.order = self.order.wrapping_add(1);
    }

    /// Removes the entry in this place.
    fn remove(&mut self, place: usize) -> Option<&'static LargeMapping> {
        let entry = self.entries[place];
        self.entries.copy_within(place + 1..self.len, place);
        self.len -= 1;
        self.bytes -= entry.bytes;
        WAITING.store(self.bytes, Ordering::Relaxed);
        entry.mapping
    }

    fn take_oldest(&mut self) -> Option<&'static LargeMapping> {
        self.oldest().and_then(|oldest| self.remove(oldest))
    }

    fn oldest(&self) -> Option<usize> {
        (0..self.len).max_by_key(|&place| self.age(place))
    }

    /// How many mappings were freed since this one.
    fn age(&self, place: usize) -> u32 {
        self.order.wrapping_sub(self.entries[place].order)
    }

    /// The last of the neighbours that begin with this entry.
    fn last_neighbour(&self, first: usize) -> usize {
        let is_last =
            |&place: &usize| place + 1 == self.len || self.entries[place].end() != self.entries[place + 1].base;
        (first..self.len).find(is_last).unwrap_or(first)
    }

    /// Finds the part of the pool that fits best: the shortest, and of these the newest.
    fn find(&self, shape: &Shape) -> Option<Fit> {
        let mut best: Option<Fit> = None;
        let mut consider = |first: usize, last: usize| {
            let base = self.entries[first].base;
            let bytes = self.entries[last].end() - base;
            let age = self.age(last);
            if bytes >= shape.bytes
                && best.is_none_or(|best| (bytes, age) < (best.bytes, best.age))
                && let Some(start) = shape.start_in(base, bytes)
            {
                best = Some(Fit { first, last, start, bytes, age });
            }
        };
        let mut first = 0;
        while first < self.len {
            let last = self.last_neighbour(first);
            (first..=last).for_each(|place| consider(place, place));
            if first != last {
                consider(first, last);
            }
            first = last + 1;
        }
        let fit = best?;
        // Of neighbours, those that the mapping lies in.
        let holds = |address: usize| (fit.first..=fit.last).find(|&place| address < self.entries[place].end());
        Some(Fit { first: holds(fit.start)?, last: holds(fit.start + shape.bytes - 1)?, ..fit })
    }

    /// Takes a mapping for a request out of the pool. Also returns whether it was joined of several.
    fn take(&mut self, shape: &Shape, request: &Request) -> Option<(&'static LargeMapping, bool)> {
        let Fit { first, last, start, .. } = self.find(shape)?;
        self.join(first, last);
        let user = shape.object_in(at(start));
        let mut end = start + shape.bytes;
        if shape.bytes >= ROUNDED_BYTES_MIN {
            end = end.next_multiple_of(HUGE_PAGE);
        }
        self.split(first, end);
        let place = if self.split(first, start) { first + 1 } else { first };
        let mapping = self.entries[place].mapping?;
        let known = mapping.user.get();
        if !page_map::enter_mapping(user, mapping) {
            return None;
        }
        if known != user {
            page_map::remove_mapping(known, mapping);
            // Both may be on one OS page, whose word was removed with the first.
            page_map::enter_mapping(user, mapping);
        }
        let Entry { base, bytes, .. } = self.entries[place];
        self.remove(place);
        describe(mapping, at(base), bytes, user, request.site.id());
        mapping.pooled.set(true);
        mapping.mark_live(request.size);
        self.reuses = self.reuses.wrapping_add(1);
        self.lend(bytes);
        Some((mapping, first != last))
    }

    /// Makes neighbours one entry, which is as old as the last of them.
    fn join(&mut self, first: usize, last: usize) {
        if first == last {
            return;
        }
        let mut is_huge = false;
        for entry in &self.entries[first + 1..=last] {
            if let Some(mapping) = entry.mapping {
                is_huge |= mapping.is_huge.get();
                page_map::remove_mapping(mapping.user.get(), mapping);
                give_record(mapping);
            }
        }
        let joined =
            Entry { base: self.entries[first].base, mapping: self.entries[first].mapping, ..self.entries[last] };
        let joined = Entry { bytes: self.entries[last].end() - joined.base, ..joined };
        self.entries[first] = joined;
        if let Some(mapping) = joined.mapping {
            mapping.mapped.set(joined.bytes);
            mapping.is_joined.set(true);
            mapping.is_huge.set(is_huge || mapping.is_huge.get());
        }
        self.entries.copy_within(last + 1..self.len, first + 1);
        self.len -= last - first;
    }

    /// Makes two neighbours of an entry, the second of which begins at the address. Returns `false`, and changes nothing,
    /// where one of them would be too short, or there is no room for another.
    fn split(&mut self, place: usize, address: usize) -> bool {
        let whole = self.entries[place];
        let Some(mapping) = whole.mapping else { return false };
        if !align::can_cut()
            || self.len == ENTRIES_MAX
            || address < whole.base + PIECE_BYTES_MIN
            || address + PIECE_BYTES_MIN > whole.end()
            // The address that the page map knows must lie in the first.
            || mapping.user.get().addr() >= address
        {
            return false;
        }
        let Some(second) = take_record() else { return false };
        if !page_map::enter_mapping(at(address), second) {
            give_record(second);
            return false;
        }
        let bytes = whole.end() - address;
        describe(second, at(address), bytes, at(address), mapping.site.get());
        second.pooled.set(true);
        second.is_joined.set(mapping.is_joined.get());
        second.is_huge.set(mapping.is_huge.get());
        mapping.mapped.set(address - whole.base);
        self.entries[place].bytes = address - whole.base;
        self.entries.copy_within(place + 1..self.len, place + 2);
        self.entries[place + 1] = Entry { base: address, bytes, mapping: Some(second), ..whole };
        self.len += 1;
        true
    }

    fn extend(&mut self, mapping: &'static LargeMapping, bytes: usize) -> bool {
        let end = mapping.base.get().addr() + mapping.mapped.get();
        let needed = (mapping.base.get().addr() + bytes).next_multiple_of(OS_PAGE);
        let first = self.entries[..self.len].partition_point(|entry| entry.base < end);
        if first == self.len || self.entries[first].base != end {
            return false;
        }
        let neighbours = first..=self.last_neighbour(first);
        let Some(last) = neighbours.into_iter().find(|&place| self.entries[place].end() >= needed) else {
            return false;
        };
        self.join(first, last);
        self.split(first, needed);
        let bytes = self.entries[first].bytes;
        if let Some(behind) = self.remove(first) {
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
