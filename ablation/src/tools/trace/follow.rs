//! Follows objects through the events of a raw file: addresses to objects, in the order of time over all threads.

use super::error::TraceToolError;
use super::raw::{Raw, Stretch};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use trace_recorder::layout::{Asked, Event, Reader, Sub, Timed};

/// What happened to an object or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A new object. Objects are numbered in the order of their allocations.
    Allocate { object: u64, asked: Asked },
    /// Another size. `from_other` tells that the object is of another thread.
    Reallocate { object: u64, asked: Asked, from_other: bool },
    /// The end.
    Free { object: u64, from_other: bool },
    /// The thread starts the one with this handle. The call began at these ticks.
    Spawn { handle: u64, before: u64 },
    /// The thread has waited for the one with this handle.
    Join { handle: u64 },
    /// The thread ends.
    End,
}

/// What was found on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Objects.
    pub(super) objects: u64,
    /// Frees and reallocations of unknown objects.
    pub(super) unknown: u64,
}

/// Calls `sink` with each step: the thread, the ticks, and what happened. Steps come in the order in which they happened on
/// each object and in each thread. Times within a thread do not go back.
///
/// # Errors
/// The system's, and those of `sink`.
pub(super) fn follow(
    raw: &Raw,
    mut sink: impl FnMut(u32, u64, Step) -> Result<(), TraceToolError>,
) -> Result<Found, TraceToolError> {
    let mut objects = Objects::default();
    let mut lanes = Lanes::new(raw)?;
    while let Some(Next { thread, own, shown: ticks, event }) = lanes.next()? {
        let mut give = |step| sink(thread, ticks, step);
        match event {
            Event::Allocate { address, asked } => objects.allocate(thread, ticks, address, asked, &mut give)?,
            Event::Free { address } => objects.free(thread, ticks, address, &mut give)?,
            Event::ReallocateBegin { address } => objects.reallocate_begin(thread, address),
            Event::ReallocateEnd { address, asked } => {
                objects.reallocate_end(thread, ticks, address, asked, &mut give)?;
            }
            Event::Other { sub, second: handle, .. } => match sub {
                _ if sub == Sub::Spawn as u8 => give(Step::Spawn { handle, before: own })?,
                _ if sub == Sub::Join as u8 => give(Step::Join { handle })?,
                _ if sub == Sub::End as u8 => give(Step::End)?,
                _ => {}
            },
        }
    }
    Ok(objects.found)
}

type Give<'a> = &'a mut dyn FnMut(Step) -> Result<(), TraceToolError>;

/// The objects that are live, by address.
#[derive(Debug, Default)]
struct Objects {
    live: HashMap<u64, Live, BuildHasherDefault<Mix>>,
    /// Open reallocations of each thread: where the object was, and what is known of it.
    open: HashMap<u32, Vec<(u64, Option<Live>)>>,
    /// Addresses that were given out again before their free was seen.
    late: HashMap<u64, Late>,
    found: Found,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    object: u64,
    owner: u32,
}

/// An address that was given out again before its free was seen.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// When it was given out.
    since: u64,
    /// Whether a free was taken for that of the earlier object.
    has_come: bool,
}

/// A free that comes so many ticks after its address was given out again is one of clocks that disagree, and no new one.
const LATE_TICKS: u64 = 1 << 22;

impl Objects {
    fn allocate(
        &mut self,
        thread: u32,
        ticks: u64,
        address: u64,
        asked: Asked,
        give: Give<'_>,
    ) -> Result<(), TraceToolError> {
        let object = self.found.objects;
        self.found.objects += 1;
        self.place(thread, ticks, address, Live { object, owner: thread }, give)?;
        give(Step::Allocate { object, asked })
    }

    /// Notes where an object is. One that was there has been freed, though it was not seen yet.
    fn place(
        &mut self,
        thread: u32,
        ticks: u64,
        address: u64,
        live: Live,
        give: Give<'_>,
    ) -> Result<(), TraceToolError> {
        match self.live.insert(address, live) {
            None => Ok(()),
            Some(before) => {
                // A free that was taken for an earlier one was of the object that is here.
                if self.late.remove(&address).is_none_or(|late| !late.has_come) {
                    self.late.insert(address, Late { since: ticks, has_come: false });
                }
                give(Step::Free { object: before.object, from_other: before.owner != thread })
            }
        }
    }

    fn free(&mut self, thread: u32, ticks: u64, address: u64, give: Give<'_>) -> Result<(), TraceToolError> {
        if !self.late.is_empty() {
            match self.late.get_mut(&address) {
                Some(late) if !late.has_come && ticks < late.since + LATE_TICKS => {
                    late.has_come = true;
                    return Ok(());
                }
                Some(_) => drop(self.late.remove(&address)),
                None => {}
            }
        }
        match self.live.remove(&address) {
            Some(Live { object, owner }) => give(Step::Free { object, from_other: owner != thread }),
            None => {
                self.found.unknown += 1;
                Ok(())
            }
        }
    }

    fn reallocate_begin(&mut self, thread: u32, address: u64) {
        let live = self.live.remove(&address);
        self.found.unknown += u64::from(live.is_none());
        self.open.entry(thread).or_default().push((address, live));
    }

    fn reallocate_end(
        &mut self,
        thread: u32,
        ticks: u64,
        address: u64,
        asked: Asked,
        give: Give<'_>,
    ) -> Result<(), TraceToolError> {
        let open = self.open.get_mut(&thread).and_then(Vec::pop);
        match (open, address) {
            // A failed one leaves the object where it is; one to nothing frees it.
            (Some((from, Some(live))), 0) if asked.size > 0 => self.place(thread, ticks, from, live, give),
            (Some((_, Some(live))), 0) => give(Step::Free { object: live.object, from_other: live.owner != thread }),
            (_, 0) => Ok(()),
            (Some((_, Some(live))), _) => {
                self.place(thread, ticks, address, live, give)?;
                give(Step::Reallocate { object: live.object, asked, from_other: live.owner != thread })
            }
            (_, _) => self.allocate(thread, ticks, address, asked, give),
        }
    }
}

/// The next event of all.
struct Next {
    thread: u32,
    /// The time that it was written with.
    own: u64,
    /// When it was, as far as is known.
    shown: u64,
    event: Event,
}

/// The stretches of all threads, merged by time. Stretches of one thread overlap where a signal's handler came between.
struct Lanes<'a> {
    raw: &'a Raw,
    /// Stretches that have not begun, the earliest last.
    waiting: Vec<Stretch>,
    open: Vec<Option<Lane>>,
    /// The next time of each open one, then how many began before it, and its place.
    next: BinaryHeap<Reverse<(u64, usize, usize)>>,
    /// How each thread's times go on in its next stretch.
    paces: HashMap<u32, Pace>,
}

struct Lane {
    thread: u32,
    order: usize,
    words: Vec<u64>,
    at: usize,
    reader: Box<Reader>,
    /// The next event.
    next: Timed,
}

/// Times of a thread's events, of which only some were read from the clock.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// The last time that was read, and the last that was given.
    read: u64,
    shown: u64,
    /// Events since it was read.
    events: u64,
    /// Ticks from one event to the next: where the time was read last, and from there on.
    before: u64,
    step: u64,
}

/// So many times as long as before is no pace, but a pause.
const PAUSE: u64 = 4;

impl Pace {
    /// The time of an event: that which was read, or so long after the one before as the next reading tells. Where the
    /// program paused between two readings, the pause is taken to be before the second.
    fn of(&mut self, ticks: u64, has_time: bool, following: impl FnOnce() -> (u64, Option<u64>)) -> u64 {
        if has_time {
            self.before = ticks.saturating_sub(self.read) / (self.events + 1);
            (self.read, self.events) = (ticks, 0);
            self.step = match following() {
                (events, Some(next)) => match (next - ticks) / (events + 1) {
                    mean if mean > PAUSE * self.before => self.before,
                    mean => mean,
                },
                (_, None) => 0,
            };
            self.shown = self.shown.max(ticks);
        } else {
            self.events += 1;
            self.shown = self.shown.max(ticks).saturating_add(self.step);
        }
        self.shown
    }
}

impl<'a> Lanes<'a> {
    fn new(raw: &'a Raw) -> Result<Lanes<'a>, TraceToolError> {
        let mut waiting = raw.stretches.clone();
        waiting.sort_by_key(|stretch| Reverse((stretch.first, stretch.thread, stretch.from)));
        let mut lanes = Lanes { raw, waiting, open: Vec::new(), next: BinaryHeap::new(), paces: HashMap::new() };
        lanes.begin_due()?;
        Ok(lanes)
    }

    /// Begins the stretches that come before everything that is open.
    fn begin_due(&mut self) -> Result<(), TraceToolError> {
        while let Some(stretch) = self.waiting.last() {
            if self.next.peek().is_some_and(|Reverse((time, ..))| *time < stretch.first) {
                return Ok(());
            }
            let Some(stretch) = self.waiting.pop() else { return Ok(()) };
            let words = self.raw.words(stretch.from, stretch.words)?;
            let order = self.raw.stretches.len() - self.waiting.len();
            let mut reader = Box::new(Reader::default());
            let Some(next) = reader.read(&words) else { continue };
            let place = self.open.iter().position(Option::is_none).unwrap_or_else(|| {
                self.open.push(None);
                self.open.len() - 1
            });
            self.next.push(Reverse((next.ticks, order, place)));
            self.open[place] = Some(Lane { thread: stretch.thread, order, words, at: next.words, reader, next });
        }
        Ok(())
    }

    /// The next event of all.
    fn next(&mut self) -> Result<Option<Next>, TraceToolError> {
        loop {
            let Some(Reverse((_, _, place))) = self.next.pop() else { return Ok(None) };
            let Some(lane) = &mut self.open[place] else { continue };
            let Timed { event, ticks, own, has_time, .. } = lane.next;
            let rest = &lane.words[lane.at..];
            let pace = self.paces.entry(lane.thread).or_default();
            let shown = pace.of(ticks, has_time, || lane.reader.until_next_time(rest));
            let thread = lane.thread;
            match lane.reader.read(rest) {
                Some(next) => {
                    (lane.at, lane.next) = (lane.at + next.words, next);
                    self.next.push(Reverse((next.ticks, lane.order, place)));
                }
                None => self.open[place] = None,
            }
            self.begin_due()?;
            return Ok(Some(Next { thread, own, shown, event }));
        }
    }
}

/// A hash of an address: one multiplication by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
#[derive(Debug, Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
