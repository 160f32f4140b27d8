//! The mappings that wait in the mapping pool: by address, so that neighbours are found, with the age of each.
//!
//! An entry is a mapping's record. One that is longer than a request is split, and neighbours are joined where a request
//! fits in none of them alone. The pool's lock guards them all.

use super::large_mappings::{Shape, describe, give_record, take_record};
use crate::factor::{align, purge};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page_map;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{constant, global};
use core::ptr;

/// Most mappings that wait.
pub(super) const ENTRIES_MAX: usize = 512;
/// Least bytes of a piece that stays here on its own. A shorter one stays with the object beside it.
const PIECE_BYTES_MIN: usize = 64 << 10;

global! {
    /// Bytes of the mappings that wait with memory. Changes only under the pool's lock. Relaxed: who reads it without the lock sees some
    /// earlier moment.
    static WAITING: AtomicUsize = AtomicUsize::new(0);
}

/// Bytes of the mappings that are kept with memory.
pub(super) fn waiting_bytes() -> usize {
    WAITING.load(Ordering::Relaxed)
}

/// A mapping that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The address of its first byte.
    pub(super) base: usize,
    pub(super) bytes: usize,
    pub(super) mapping: Option<&'static LargeMapping>,
    /// The purge epoch in which it was freed.
    pub(super) freed_at: u32,
    /// How many were freed before it. It wraps.
    order: u32,
    /// Whether its memory went back to the OS: it is zero.
    pub(super) is_empty: bool,
}

const NO_ENTRY: Entry = Entry { base: 0, bytes: 0, mapping: None, freed_at: 0, order: 0, is_empty: false };

/// All of them.
#[derive(Debug)]
pub(super) struct Entries {
    /// By address.
    entries: [Entry; ENTRIES_MAX],
    len: usize,
    /// Bytes of all, and of those that have memory.
    bytes: usize,
    held: usize,
    /// The number of the next mapping that is freed.
    order: u32,
}

/// A part of the pool that a request fits in: entries `first` to `last`, which are neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    pub(super) first: usize,
    pub(super) last: usize,
    /// Where the mapping of the request's shape starts.
    pub(super) start: usize,
    /// Bytes of the whole part. The fewest fit best.
    bytes: usize,
    /// How long ago its last entry was freed.
    age: u32,
}

impl Entry {
    pub(super) fn end(&self) -> usize {
        self.base + self.bytes
    }
}

/// A pointer to memory that was mapped.
pub(super) fn at(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

impl Entries {
    constant! {
        /// Nothing waits.
        pub(super) fn new() -> Entries {
            Entries { entries: [NO_ENTRY; ENTRIES_MAX], len: 0, bytes: 0, held: 0, order: 0 }
        }
    }

    /// Those that wait, by address.
    pub(super) fn all(&self) -> &[Entry] {
        &self.entries[..self.len]
    }

    /// Whether there is no room for another.
    pub(super) fn is_full(&self) -> bool {
        self.len == ENTRIES_MAX
    }

    /// Bytes of all, and of those that have memory.
    pub(super) fn bytes(&self) -> (usize, usize) {
        (self.bytes, self.held)
    }

    /// Enters a mapping that is freed now. There is room for it.
    pub(super) fn add(&mut self, mapping: &'static LargeMapping) {
        let order = self.order;
        self.order = order.wrapping_add(1);
        let (base, bytes) = (mapping.base.get().addr(), mapping.mapped.get());
        self.insert(Entry { base, bytes, mapping: Some(mapping), freed_at: purge::epoch(), order, is_empty: false });
    }

    /// Enters a mapping. There is room for it.
    pub(super) fn insert(&mut self, entry: Entry) {
        let place = self.entries[..self.len].partition_point(|other| other.base < entry.base);
        self.entries.copy_within(place..self.len, place + 1);
        self.entries[place] = entry;
        self.len += 1;
        self.bytes += entry.bytes;
        self.count();
    }

    /// Removes the entry in this place.
    pub(super) fn remove(&mut self, place: usize) -> Entry {
        let entry = self.entries[place];
        self.entries.copy_within(place + 1..self.len, place);
        self.len -= 1;
        self.bytes -= entry.bytes;
        self.count();
        entry
    }

    /// Counts the bytes with memory.
    fn count(&mut self) {
        self.held = self.entries[..self.len].iter().filter(|entry| !entry.is_empty).map(|entry| entry.bytes).sum();
        WAITING.store(self.held, Ordering::Relaxed);
    }

    pub(super) fn take_oldest(&mut self) -> Option<&'static LargeMapping> {
        self.oldest(|_| true).and_then(|oldest| self.remove(oldest).mapping)
    }

    /// The place of the oldest entry of these.
    pub(super) fn oldest(&self, is_meant: impl Fn(&Entry) -> bool) -> Option<usize> {
        (0..self.len).filter(|&place| is_meant(&self.entries[place])).max_by_key(|&place| self.age(place))
    }

    /// How many mappings were freed since this one.
    fn age(&self, place: usize) -> u32 {
        self.order.wrapping_sub(self.entries[place].order)
    }

    /// The last of the neighbours that begin with this entry.
    pub(super) fn last_neighbour(&self, first: usize) -> usize {
        let is_last =
            |&place: &usize| place + 1 == self.len || self.entries[place].end() != self.entries[place + 1].base;
        (first..self.len).find(is_last).unwrap_or(first)
    }

    /// Finds the part of the pool that fits best: the shortest, and of these the newest.
    pub(super) fn find(&self, shape: &Shape) -> Option<Fit> {
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

    /// Makes neighbours one entry, which is as old as the last of them.
    pub(super) fn join(&mut self, first: usize, last: usize) {
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
        let is_empty = self.entries[first..=last].iter().all(|entry| entry.is_empty);
        let joined = Entry { bytes: self.entries[last].end() - joined.base, is_empty, ..joined };
        self.entries[first] = joined;
        if let Some(mapping) = joined.mapping {
            mapping.mapped.set(joined.bytes);
            mapping.is_joined.set(true);
            mapping.is_huge.set(is_huge || mapping.is_huge.get());
        }
        self.entries.copy_within(last + 1..self.len, first + 1);
        self.len -= last - first;
        self.count();
    }

    /// Makes two neighbours of an entry, the second of which begins at the address. Returns `false`, and changes nothing,
    /// where one of them would be too short, or there is no room for another.
    pub(super) fn split(&mut self, place: usize, address: usize) -> bool {
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

    /// Takes what lies between two addresses, where all of that waits, and what is too short to stay behind it.
    pub(super) fn take_from(&mut self, start: usize, end: usize) -> Option<Entry> {
        let first = self.all().partition_point(|entry| entry.base < start);
        self.all().get(first).filter(|entry| entry.base == start)?;
        let mut neighbours = first..=self.last_neighbour(first);
        let last = neighbours.find(|&place| self.entries[place].end() >= end)?;
        self.join(first, last);
        self.split(first, end);
        Some(self.remove(first))
    }
}
