//! Addresses for an allocator that costs nothing: computed from the trace before anything is timed.
//!
//! A thread reuses the memory of the objects that it freed itself, the last one first, by classes of sizes. Objects that pass
//! between threads have a place for each slot, which is as large as the largest of them: a slot is reused only after a free,
//! so no thread takes memory that another still uses. The bound knows the future in no other way.

use std::collections::HashMap;

/// Bytes of a unit of addresses: what every object is aligned to.
pub(crate) const UNIT: u64 = 16;
/// Bytes that a thread takes at once, so that small objects of several threads share no cache line.
const CHUNK: u64 = 64 << 10;

/// A place: bytes from the beginning, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    size: u64,
    align: u64,
}

/// What one thread has.
#[derive(Debug, Default)]
struct Own {
    free: HashMap<(u64, u64), Vec<u64>>,
    next: u64,
    end: u64,
}

/// The layout so far.
#[derive(Debug, Default)]
pub(super) struct Layout {
    threads: Vec<Own>,
    /// Of each shared slot, the most bytes and the largest alignment.
    shared: Vec<(u64, u64)>,
    end: u64,
}

impl Layout {
    /// For so many threads.
    pub(super) fn new(threads: usize) -> Layout {
        Layout { threads: (0..threads).map(|_| Own::default()).collect(), shared: Vec::new(), end: 0 }
    }

    /// A place for an object of a thread's own.
    pub(super) fn take(&mut self, thread: u32, size: u64, align: u64) -> Place {
        let (size, align) = (class(size).next_multiple_of(align.max(UNIT)), align.max(UNIT));
        let own = &mut self.threads[thread as usize];
        let reused = own.free.get_mut(&(size, align)).and_then(Vec::pop);
        let at = reused.unwrap_or_else(|| {
            let at = own.next.next_multiple_of(align);
            if at + size <= own.end && own.end > 0 {
                own.next = at + size;
                return at;
            }
            let at = self.end.next_multiple_of(align.max(64));
            let room = if size >= CHUNK / 4 { size } else { CHUNK };
            self.end = at + room;
            if size < CHUNK / 4 {
                (own.next, own.end) = (at + size, at + room);
            }
            at
        });
        Place { at, size, align }
    }

    /// Another size: the same place where it has room and is not far too large, else another.
    pub(super) fn resize(&mut self, thread: u32, place: Place, size: u64) -> Place {
        if class(size).next_multiple_of(place.align) == place.size {
            return place;
        }
        let new = self.take(thread, size, place.align);
        self.give(thread, place);
        new
    }

    /// The place is free.
    pub(super) fn give(&mut self, thread: u32, place: Place) {
        self.threads[thread as usize].free.entry((place.size, place.align)).or_default().push(place.at);
    }

    /// A shared slot has an object of this size.
    pub(super) fn shared(&mut self, slot: u32, size: u64, align: u64) {
        if self.shared.len() <= slot as usize {
            self.shared.resize(slot as usize + 1, (0, 1));
        }
        let most = &mut self.shared[slot as usize];
        *most = (most.0.max(size), most.1.max(align));
    }

    /// The places of the shared slots, and the bytes of everything.
    pub(super) fn finish(mut self) -> (Vec<u64>, u64) {
        let places = self.shared.iter().map(|(size, align)| {
            let at = self.end.next_multiple_of((*align).max(64));
            self.end = at + size;
            at
        });
        let places = places.collect();
        (places, self.end)
    }
}

/// The size of the class: steps of a unit, and from 1 KiB on eight for each doubling.
fn class(size: u64) -> u64 {
    let step = if size <= 1024 { UNIT } else { (size - 1).next_power_of_two() / 16 };
    size.max(1).next_multiple_of(step.max(UNIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_last_comes_first_and_nothing_overlaps() {
        let mut layout = Layout::new(2);
        let (first, second) = (layout.take(0, 100, 1), layout.take(0, 100, 1));
        let other = layout.take(1, 100, 1);
        layout.give(0, first);
        layout.give(0, second);
        assert_eq!((layout.take(0, 101, 1), layout.take(0, 112, 8)), (second, first));
        assert_ne!(layout.take(0, 100, 1), other);
        let mut places: Vec<Place> =
            (0..2000).map(|i| layout.take(i % 2, u64::from(i) * 7 + 1, 1 << (i % 13))).collect();
        assert!(places.iter().enumerate().all(|(i, place)| place.at.is_multiple_of(1 << (i % 13))));
        places.sort_by_key(|place| place.at);
        assert!(places.windows(2).all(|two| two[0].at + two[0].size <= two[1].at), "two places overlap");
    }

    #[test]
    fn an_object_moves_only_when_its_class_changes() {
        let mut layout = Layout::new(1);
        let place = layout.take(0, 100, 16);
        assert_eq!(layout.resize(0, place, 112), place);
        let grown = layout.resize(0, place, 500);
        assert_ne!(grown.at, place.at);
        assert_eq!(layout.take(0, 100, 16), place);
    }

    #[test]
    fn a_shared_slot_has_room_for_the_largest() {
        let mut layout = Layout::new(1);
        layout.shared(0, 10, 1);
        layout.shared(0, 1000, 16);
        layout.shared(2, 50, 4096);
        let (places, end) = layout.finish();
        assert!(places[1] >= places[0] + 1000 && places[2].is_multiple_of(4096) && end == places[2] + 50);
    }

    #[test]
    fn classes_waste_an_eighth_at_most() {
        for size in (1..100_000).step_by(7) {
            let class = class(size);
            assert!(class >= size && class.is_multiple_of(16) && class - size <= (size / 8).max(15), "{size}: {class}");
        }
    }
}
