//! The timed loop: the steps of one thread, one after another.

use super::call_times::CallTimes;
use super::context::Context;
use super::entry::{Entry, Kind, byte_of};
use crate::allocator::{Allocator, out_of_memory};
use crate::os::clock;
use hakmem::Site;

/// What a pass is for: it decides what is done around each call.
pub(super) trait Purpose: Copy + Send + Sync + 'static {
    /// Whether each call is timed.
    const TIMES_CALLS: bool;
    /// Whether resident memory is read, and live bytes are counted for it.
    const READS_MEMORY: bool;
}

/// The whole pass is timed.
#[derive(Clone, Copy)]
pub(super) struct Timed;
/// Each call is timed.
#[derive(Clone, Copy)]
pub(super) struct EachCall;
/// Resident memory is read.
#[derive(Clone, Copy)]
pub(super) struct Memory;

impl Purpose for Timed {
    const TIMES_CALLS: bool = false;
    const READS_MEMORY: bool = false;
}

impl Purpose for EachCall {
    const TIMES_CALLS: bool = true;
    const READS_MEMORY: bool = false;
}

impl Purpose for Memory {
    const TIMES_CALLS: bool = false;
    const READS_MEMORY: bool = true;
}

/// One thread's place in the loop.
pub(super) struct Worker<'c, A, P> {
    context: &'c Context<'c, A, P>,
    thread: usize,
    sum: u64,
    times: Option<&'c mut CallTimes>,
}

impl<'c, A: Allocator, P: Purpose> Worker<'c, A, P> {
    /// For a thread. No other worker may have its number now.
    pub(super) fn new(context: &'c Context<'c, A, P>, thread: usize) -> Worker<'c, A, P> {
        // SAFETY: the caller has this number alone.
        let times = P::TIMES_CALLS.then(|| unsafe { context.tables.times(thread) });
        Worker { context, thread, sum: 0, times }
    }

    /// What the steps so far add up to.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Does the steps, and spends the gaps before them where there are any.
    ///
    /// # Safety
    /// - The steps are those that follow the last ones of this thread, and the whole pass is replayed.
    pub(super) unsafe fn run(&mut self, entries: &[Entry], gaps_ns: &[u32]) {
        let (a, touching) = (self.context.a, self.context.image.touching);
        let has_gaps = self.context.gaps.are_spent() && gaps_ns.len() == entries.len();
        let mut turn = 0;
        let mut at = 0;
        while at < entries.len() {
            let entry = entries[at];
            if has_gaps && gaps_ns[at] > 0 {
                self.context.gaps.spend(gaps_ns[at]);
            }
            let (size, byte) = (entry.size(), byte_of(entry.slot));
            match entry.kind() {
                Kind::Allocate => {
                    let site = Site::new(entry.other() as usize);
                    // SAFETY: no size is 0.
                    let ptr = self.call(|| unsafe { a.alloc(entry.layout(), site) });
                    check(ptr, size);
                    // SAFETY: just requested with this size.
                    unsafe { touching.write(ptr, size, byte) };
                    self.put(entry, ptr);
                    self.count_live(size as i64);
                    self.done(entry, turn);
                }
                Kind::Free => {
                    let ptr = self.take(entry);
                    // SAFETY: a live object, which was written as its size says.
                    self.add(entry, unsafe { touching.read(ptr) });
                    // SAFETY: a live object with this layout, freed once.
                    self.call(|| unsafe { a.dealloc(ptr, entry.layout()) });
                    self.count_live(-(size as i64));
                    self.done_freeing(entry, turn);
                }
                Kind::Wait => {
                    turn = entry.other();
                    self.context.tables.turn(entry.slot, self.context.image).wait_for(turn);
                }
                Kind::Zeroed => {
                    // SAFETY: no size is 0.
                    let ptr = self.call(|| unsafe { a.alloc_zeroed(entry.layout()) });
                    check(ptr, size);
                    // SAFETY: just requested with this size.
                    let before = unsafe { touching.write_zeroed(ptr, size, byte) };
                    self.sum = self.sum.wrapping_add(before.into());
                    self.put(entry, ptr);
                    self.count_live(size as i64);
                    self.done(entry, turn);
                }
                Kind::Reallocate => {
                    at += 1;
                    let before = entries[at];
                    let ptr = self.take(entry);
                    // SAFETY: a live object with the layout that it had; no size is 0.
                    let ptr = self.call(|| unsafe { a.realloc(ptr, before.layout(), size) });
                    check(ptr, size);
                    // SAFETY: it was written with its former size, and has this one now.
                    let kept = unsafe { touching.rewrite(ptr, before.size(), size, byte) };
                    self.sum = self.sum.wrapping_add(kept.into());
                    self.put(entry, ptr);
                    self.count_live(size as i64 - before.size() as i64);
                    self.done(entry, turn);
                }
                Kind::Before => {}
                Kind::Spawn => (self.context.start)(self.context, entry.other()),
                Kind::Join => self.context.tables.join(entry.other()),
                Kind::Sample => {
                    if P::READS_MEMORY {
                        self.context.tables.sample(entry.other());
                    }
                }
            }
            at += 1;
        }
    }

    /// Frees an object that the trace never frees.
    ///
    /// # Safety
    /// - All steps of the pass are done.
    pub(super) unsafe fn free_leftover(&mut self, entry: Entry) {
        let ptr = self.take(entry);
        // SAFETY: a live object, which was written as its size says.
        self.add(entry, unsafe { self.context.image.touching.read(ptr) });
        // SAFETY: a live object with this layout, freed once.
        unsafe { self.context.a.dealloc(ptr, entry.layout()) };
    }

    /// One call of the allocator.
    #[inline(always)]
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let Some(times) = &mut self.times else { return call() };
        let before = clock::now_ns();
        let result = call();
        times.add(clock::now_ns() - before);
        result
    }

    #[inline(always)]
    fn put(&self, entry: Entry, ptr: *mut u8) {
        // SAFETY: `decode` gave a slot of the table, which is this thread's until its turn is told.
        unsafe { self.context.tables.slot(entry.slot).write(ptr) };
    }

    #[inline(always)]
    fn take(&self, entry: Entry) -> *mut u8 {
        // SAFETY: as in `put`.
        unsafe { self.context.tables.slot(entry.slot).read() }
    }

    #[inline(always)]
    fn add(&mut self, entry: Entry, byte: u8) {
        self.sum = self.sum.wrapping_add(entry.evidence()).wrapping_add(byte.into());
    }

    /// After an operation that leaves the object live.
    #[inline(always)]
    fn done(&mut self, entry: Entry, turn: u32) {
        self.sum = self.sum.wrapping_add(entry.evidence());
        self.done_freeing(entry, turn);
    }

    /// Tells the threads that wait for a shared object that its turn is over.
    #[inline(always)]
    fn done_freeing(&self, entry: Entry, turn: u32) {
        if entry.is_shared() {
            self.context.tables.turn(entry.slot, self.context.image).set(turn + 1);
        }
    }

    #[inline(always)]
    fn count_live(&self, bytes: i64) {
        if P::READS_MEMORY {
            self.context.tables.count_live(self.thread, bytes);
        }
    }
}

#[inline(always)]
fn check(ptr: *mut u8, size: usize) {
    if ptr.is_null() {
        out_of_memory(size);
    }
}
