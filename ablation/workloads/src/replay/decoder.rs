//! Operations to scripts: one for each thread, with everything that the timed loop would have to look up.
//!
//! The operations are read in one order of all threads in which they can have happened. Everything that a thread waits for in
//! the replay lies earlier in that order, so no replay waits for ever: the turn of an object, the start of threads in their
//! order, and, before a thread starts, the end of those that had ended by then. So there are never more threads than there were.

use super::entry::{Entry, Kind, OTHER_MAX, SIZE_MAX, alignment, byte_of};
use super::layout::{Layout, Place, UNIT};
use super::plan::{ReplayPlan, Touch};
use super::script::{Counts, Decoded, Spawn, ThreadScript};
use ablate_trace::{Action, Header, Object};
use std::collections::VecDeque;

/// Requests that the proof of the allocator makes: one more than it judges.
pub(super) const PROOF_REQUESTS: usize = crate::proof::BLOCKS + 1;

/// How many slots of shared objects rest after their free before one is taken again.
const RESTING: usize = 1 << 14;
/// Of an object whose id the trace does not have.
const NO_PLACE: &str = "its object has no place in the trace's table";

/// Why a step is refused.
pub(super) enum Wrong {
    Damaged(&'static str),
    TooLarge(String),
}

/// A live object.
#[derive(Debug, Clone, Copy)]
struct Live {
    slot: u32,
    size: u64,
    align: u64,
    /// `None` for shared objects, and where no addresses are computed.
    place: Option<Place>,
}

/// The scripts so far.
pub(super) struct Decoder {
    pub(super) counts: Counts,
    threads: Vec<ThreadScript>,
    spawns: Vec<Spawn>,
    ends: Vec<u32>,
    early: Vec<u32>,
    proof_sizes: Vec<u32>,
    preambles: Vec<u64>,
    /// Operations of each thread so far.
    pub(super) done: Vec<u64>,
    has_begun: Vec<bool>,
    is_started: Vec<bool>,
    has_ended: Vec<bool>,
    main: Option<u32>,
    /// The thread of the operation before.
    latest: u32,
    live: Vec<Option<Live>>,
    live_bytes: u64,
    layout: Option<Layout>,
    /// The operations of each shared slot so far, the slots that are free, and the slot of each of the trace's shared ids.
    turns: Vec<u32>,
    resting: VecDeque<u32>,
    shared_slots: Vec<u32>,
    /// Addresses of shared objects, which are known at the end: thread, place in its list, slot.
    shared_addresses: Vec<(u32, u32, u32)>,
    touch: Touch,
    keeps_gaps: bool,
    floor_ns: u64,
    /// Operations that are timed, how many of them were seen, and how many there are from one reading to the next.
    timed: u64,
    timed_seen: u64,
    samples: u64,
}

impl Decoder {
    pub(super) fn new(plan: &ReplayPlan, header: &Header) -> Decoder {
        let (count, shared) = (header.threads.len(), header.shared_objects as usize);
        let preambles: Vec<u64> = header.threads.iter().map(|thread| thread.preamble).collect();
        let known = header.touch.as_ref().is_some_and(|model| model.fraction(1).is_some());
        let touch = plan.touch.unwrap_or(if known { Touch::Recorded } else { Touch::Full });
        let timed = header.operations.saturating_sub(preambles.iter().sum());
        Decoder {
            counts: Counts {
                threads: count as u64,
                first_shared: header.first_shared().into(),
                touch: touch as u64,
                ..Counts::default()
            },
            threads: (0..count).map(|_| ThreadScript::default()).collect(),
            spawns: Vec::new(),
            ends: Vec::new(),
            early: Vec::new(),
            proof_sizes: Vec::new(),
            timed,
            preambles,
            done: vec![0; count],
            has_begun: vec![false; count],
            is_started: vec![false; count],
            has_ended: vec![false; count],
            main: None,
            latest: 0,
            live: vec![None; header.objects() as usize],
            live_bytes: 0,
            layout: plan.precomputed.then(|| Layout::new(count)),
            turns: Vec::new(),
            resting: VecDeque::new(),
            shared_slots: vec![0; shared],
            shared_addresses: Vec::new(),
            touch,
            keeps_gaps: plan.gaps > 0.0,
            floor_ns: header.floor_ns.unwrap_or_default(),
            timed_seen: 0,
            samples: u64::from(plan.samples).min(timed),
        }
    }

    /// Takes the next operation.
    pub(super) fn step(&mut self, thread: u32, gap_ns: u64, action: Action) -> Result<(), Wrong> {
        let at = thread as usize;
        let is_preamble = self.done[at] < self.preambles[at];
        if self.done[at] == self.preambles[at] {
            self.threads[at].preamble = self.threads[at].entries.len();
        }
        // The gap of the first operation lies before the thread.
        let gap_ns = if self.done[at] == 0 { 0 } else { gap_ns.saturating_sub(self.floor_ns) };
        self.done[at] += 1;
        let before = self.threads[at].entries.len();
        match action {
            Action::Begin => self.begin(thread),
            Action::End => self.end(thread),
            Action::Spawn { thread: other } => self.spawn(thread, other),
            Action::Join { thread: other } => {
                if self.has_ended[other as usize] {
                    self.push(thread, Entry::about(Kind::Join, other));
                }
            }
            Action::Allocate { object, size, align, zeroed, site } => {
                self.allocate(thread, object, (size, alignment(size, align)), zeroed, site)?;
            }
            Action::Reallocate { object, size, site } => self.reallocate(thread, object, size, site)?,
            Action::Free { object } => self.free(thread, object)?,
        }
        self.latest = thread;
        if is_preamble {
            self.counts.preamble += u64::from(action.object().is_some());
        } else {
            self.sample(thread);
        }
        if self.keeps_gaps {
            let script = &mut self.threads[at];
            // A thread may start others in the script of another thread, so that its list is behind.
            script.gaps_ns.resize(before, 0);
            if script.entries.len() > before {
                script.gaps_ns.push(u32::try_from(gap_ns).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }

    fn push(&mut self, thread: u32, entry: Entry) {
        self.threads[thread as usize].entries.push(entry);
    }

    /// A thread's first operation. One that no other has started is started by the thread of the operation before.
    fn begin(&mut self, thread: u32) {
        let at = thread as usize;
        self.has_begun[at] = true;
        if self.main.is_none() {
            self.main = Some(thread);
        } else if self.is_started[at] {
        } else if self.preambles[at] > 0 {
            self.is_started[at] = true;
            self.early.push(thread);
        } else {
            let latest_runs = !self.has_ended[self.latest as usize];
            let by = if latest_runs { Some(self.latest) } else { self.main };
            self.start(by.unwrap_or_default(), thread);
        }
    }

    fn spawn(&mut self, thread: u32, other: u32) {
        let at = other as usize;
        let is_there = self.has_begun[at] || self.is_started[at] || self.preambles[at] > 0;
        if !is_there && Some(other) != self.main {
            self.start(thread, other);
        }
    }

    fn start(&mut self, by: u32, other: u32) {
        self.is_started[other as usize] = true;
        let row = self.spawns.len() as u32;
        self.spawns.push(Spawn { thread: other, ends: self.ends.len() as u32 });
        self.push(by, Entry::about(Kind::Spawn, row));
    }

    fn end(&mut self, thread: u32) {
        // The first thread goes on: it waits for the others.
        if Some(thread) != self.main && !self.has_ended[thread as usize] {
            self.has_ended[thread as usize] = true;
            self.threads[thread as usize].ends = true;
            self.ends.push(thread);
        }
    }

    /// The slot of an object, and whether it is shared. Then an entry waits for its turn.
    ///
    /// Slots of shared objects are this program's own. A slot that became free rests for long, because the thread that takes
    /// it waits for the free, as no program does.
    fn slot(&mut self, thread: u32, object: Object, is_new: bool) -> Result<(u32, bool), Wrong> {
        self.counts.handovers += u64::from(object.handed_over);
        if object.turn.is_none() {
            return Ok((object.id, false));
        }
        let id = object.id.checked_sub(self.counts.first_shared as u32).map(|id| id as usize);
        let id = id.filter(|id| *id < self.shared_slots.len()).ok_or(Wrong::Damaged(NO_PLACE))?;
        if is_new {
            let rested = if self.resting.len() > RESTING { self.resting.pop_front() } else { None };
            self.shared_slots[id] = rested.unwrap_or_else(|| {
                self.turns.push(0);
                self.turns.len() as u32 - 1
            });
        }
        let shared = self.shared_slots[id];
        let turn = self.turns.get_mut(shared as usize).ok_or(Wrong::Damaged("its object is not live"))?;
        if *turn >= OTHER_MAX {
            return Err(Wrong::TooLarge(format!("one object has more than {turn} operations")));
        }
        let slot = self.counts.first_shared as u32 + shared;
        let wait = Entry::of(Kind::Wait, slot, (1, 1), *turn, true);
        *turn += 1;
        self.push(thread, wait);
        Ok((slot, true))
    }

    fn allocate(
        &mut self,
        thread: u32,
        object: Object,
        (size, align): (u64, u64),
        zeroed: bool,
        site: u32,
    ) -> Result<(), Wrong> {
        let size = checked_size(size, align)?;
        if self.live_mut(object)?.is_some() {
            return Err(Wrong::Damaged("its object is live already"));
        }
        let (slot, is_shared) = self.slot(thread, object, true)?;
        let place = self.place(thread, slot, is_shared, size, align);
        *self.live_mut(object)? = Some(Live { slot, size, align, place });
        self.counts.allocations += 1;
        self.grow(0, size);
        let kind = if zeroed { Kind::Zeroed } else { Kind::Allocate };
        self.work(thread, Entry::of(kind, slot, (size, align), site, is_shared));
        if self.proof_sizes.len() < PROOF_REQUESTS && u32::try_from(size).is_ok() {
            self.proof_sizes.push(size.max(UNIT) as u32);
        }
        Ok(())
    }

    fn reallocate(&mut self, thread: u32, object: Object, size: u64, site: u32) -> Result<(), Wrong> {
        let live = self.live_mut(object)?.ok_or(Wrong::Damaged("its object is not live"))?;
        let (slot, is_shared) = self.slot(thread, object, false)?;
        let size = checked_size(size, live.align)?;
        let place = match (live.place, &mut self.layout) {
            (Some(place), Some(layout)) => {
                let place = layout.resize(thread, place, size);
                self.address(thread, place.at)?;
                Some(place)
            }
            _ => self.place(thread, slot, is_shared, size, live.align),
        };
        *self.live_mut(object)? = Some(Live { size, place, ..live });
        self.counts.reallocations += 1;
        self.grow(live.size, size);
        self.work(thread, Entry::of(Kind::Reallocate, slot, (size, live.align), site, is_shared));
        self.push(thread, Entry::of(Kind::Before, slot, (live.size, live.align), 0, false));
        self.read_back(slot);
        Ok(())
    }

    fn free(&mut self, thread: u32, object: Object) -> Result<(), Wrong> {
        let live = self.live_mut(object)?.take().ok_or(Wrong::Damaged("its object is not live"))?;
        let (slot, is_shared) = self.slot(thread, object, false)?;
        if is_shared {
            self.resting.push_back(slot - self.counts.first_shared as u32);
        }
        if let (Some(place), Some(layout)) = (live.place, &mut self.layout) {
            layout.give(thread, place);
        }
        self.counts.frees += 1;
        self.live_bytes -= live.size;
        self.work(thread, Entry::of(Kind::Free, slot, (live.size, live.align), 0, is_shared));
        self.read_back(slot);
        Ok(())
    }

    fn live_mut(&mut self, object: Object) -> Result<&mut Option<Live>, Wrong> {
        self.live.get_mut(object.id as usize).ok_or(Wrong::Damaged(NO_PLACE))
    }

    fn grow(&mut self, before: u64, size: u64) {
        self.live_bytes = self.live_bytes - before + size;
        self.counts.live_peak_bytes = self.counts.live_peak_bytes.max(self.live_bytes);
    }

    /// An entry that is work of the allocator.
    fn work(&mut self, thread: u32, entry: Entry) {
        self.counts.evidence = self.counts.evidence.wrapping_add(entry.evidence());
        self.push(thread, entry);
    }

    /// A byte of the object is read back.
    fn read_back(&mut self, slot: u32) {
        if self.touch != Touch::None {
            self.counts.evidence = self.counts.evidence.wrapping_add(byte_of(slot).into());
        }
    }

    /// A new place for an object, where addresses are computed.
    fn place(&mut self, thread: u32, slot: u32, is_shared: bool, size: u64, align: u64) -> Option<Place> {
        let layout = self.layout.as_mut()?;
        let addresses = &mut self.threads[thread as usize].addresses;
        if is_shared {
            let shared = slot - self.counts.first_shared as u32;
            layout.shared(shared, size, align);
            self.shared_addresses.push((thread, addresses.len() as u32, shared));
            addresses.push(0);
            return None;
        }
        let place = layout.take(thread, size, align);
        // A layout that is too large is refused at the end.
        addresses.push((place.at / UNIT) as u32);
        Some(place)
    }

    fn address(&mut self, thread: u32, at: u64) -> Result<(), Wrong> {
        let unit = u32::try_from(at / UNIT).map_err(|_| Wrong::TooLarge(too_many_addresses()))?;
        self.threads[thread as usize].addresses.push(unit);
        Ok(())
    }

    /// A reading of resident memory, where the operation ends its part of the trace.
    fn sample(&mut self, thread: u32) {
        self.timed_seen += 1;
        let due = (u128::from(self.timed_seen) * u128::from(self.samples) / u128::from(self.timed.max(1))) as u64;
        if due > self.counts.samples {
            self.push(thread, Entry::about(Kind::Sample, self.counts.samples as u32));
            self.counts.samples = due;
        }
    }

    /// Ends the scripts.
    ///
    /// # Errors
    /// A sentence: what is too large.
    pub(super) fn finish(mut self, header: &Header) -> Result<Decoded, String> {
        for (at, script) in self.threads.iter_mut().enumerate() {
            // A thread that does nothing but its preamble.
            if self.done[at] <= self.preambles[at] {
                script.preamble = script.entries.len();
            }
            if self.keeps_gaps {
                script.gaps_ns.resize(script.entries.len(), 0);
            }
        }
        let (main, mut leftovers) = (self.main.unwrap_or_default(), Vec::new());
        for Live { slot, size, align, .. } in self.live.iter().flatten() {
            leftovers.push(Entry::of(Kind::Free, *slot, (*size, *align), 0, false));
        }
        for entry in &leftovers {
            self.counts.evidence = self.counts.evidence.wrapping_add(entry.evidence());
            if self.touch != Touch::None {
                self.counts.evidence = self.counts.evidence.wrapping_add(byte_of(entry.slot).into());
            }
        }
        if let Some(mut layout) = self.layout.take() {
            for size in self.proof_sizes.iter().cycle().take(PROOF_REQUESTS) {
                let place = layout.take(main, u64::from(*size), UNIT);
                self.threads[main as usize].addresses.push((place.at / UNIT) as u32);
            }
            let (places, bytes) = layout.finish();
            if bytes / UNIT > u32::MAX.into() {
                return Err(too_many_addresses());
            }
            for (thread, at, shared) in &self.shared_addresses {
                let unit = places[*shared as usize] / UNIT;
                self.threads[*thread as usize].addresses[*at as usize] = unit as u32;
            }
            self.counts.layout_bytes = bytes;
        }
        self.counts.main = main.into();
        self.counts.objects = self.counts.first_shared + self.turns.len() as u64;
        Ok(Decoded {
            counts: self.counts,
            threads: self.threads,
            spawns: self.spawns,
            ends: self.ends,
            early: self.early,
            leftovers,
            proof_sizes: self.proof_sizes,
            model: header.touch.clone(),
            program: header.about.program.join(" "),
        })
    }
}

fn too_many_addresses() -> String {
    format!("the objects need more than {} GiB of addresses", ((u64::from(u32::MAX) + 1) * UNIT) >> 30)
}

/// A size that is at least 1: every allocator here takes a layout, which has no size 0.
fn checked_size(size: u64, align: u64) -> Result<u64, Wrong> {
    if size > SIZE_MAX || align > SIZE_MAX {
        return Err(Wrong::TooLarge(format!("an object of {size} bytes, aligned to {align}")));
    }
    Ok(size.max(1))
}
