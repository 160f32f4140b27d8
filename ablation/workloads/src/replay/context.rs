//! What the threads of a pass share, in memory that no allocator served.

use super::call_times::CallTimes;
use super::gaps::Gaps;
use super::image::Image;
use super::wait::Number;
use crate::os::own_memory::{OwnMemory, Zeroable};
use crate::os::usage;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64};

/// What a thread of a pass knows.
pub(super) struct Context<'c, A, P> {
    /// The allocator.
    pub(super) a: A,
    /// The scripts.
    pub(super) image: &'c Image,
    /// What changes.
    pub(super) tables: &'c Tables,
    /// How gaps are spent.
    pub(super) gaps: Gaps,
    /// Starts the thread of a row of the spawns.
    pub(super) start: fn(&Context<'_, A, P>, u32),
    /// What the pass is for.
    pub(super) purpose: PhantomData<P>,
}

/// A place for a pointer, which one thread at a time uses.
struct Slot(UnsafeCell<*mut u8>);

// SAFETY: null, and no `Drop`.
unsafe impl Zeroable for Slot {}

/// One thread of a pass, on cache lines of its own.
#[repr(align(128))]
pub(super) struct ThreadState {
    /// 1: it was created, and its handle is known.
    pub(super) created: Number,
    /// 1: a thread waits for its end; 2: it has ended.
    pub(super) joined: Number,
    /// Its number.
    pub(super) number: AtomicU32,
    /// The [`Context`] that it begins with.
    pub(super) context: AtomicPtr<c_void>,
    /// Its handle.
    pub(super) handle: AtomicU64,
    /// What its steps added up to.
    pub(super) sum: AtomicU64,
    /// Live bytes that it requested, less those that it freed.
    live_bytes: AtomicI64,
}

// SAFETY: numbers and a null pointer, and no `Drop`.
unsafe impl Zeroable for ThreadState {}

/// One reading of resident memory.
struct Sample {
    resident_bytes: AtomicU64,
    live_bytes: AtomicI64,
}

// SAFETY: numbers, and no `Drop`.
unsafe impl Zeroable for Sample {}

/// Everything that changes during a pass.
pub(super) struct Tables {
    slots: OwnMemory<Slot>,
    turns: OwnMemory<Number>,
    threads: OwnMemory<ThreadState>,
    times: OwnMemory<CallTimes>,
    samples: OwnMemory<Sample>,
    /// Resident bytes of these tables.
    own_bytes: u64,
    /// How many threads were started by others.
    pub(super) started: Number,
    /// How many of the early threads have done their preamble.
    pub(super) ready: Number,
    /// 1: the timed part begins.
    pub(super) begin: Number,
    /// How many threads have done their steps, but for the first.
    pub(super) finished: Number,
    /// 1: the pass is over.
    pub(super) release: Number,
}

// SAFETY: a slot is used by one thread at a time, as the trace's turns say; so are the times of a thread. The rest is atomic.
unsafe impl Sync for Tables {}

impl Tables {
    /// Tables for a trace; with times of calls where they are wanted.
    pub(super) fn new(image: &Image, with_times: bool) -> Tables {
        let counts = &image.counts;
        let threads = counts.threads as usize;
        let (slots, turns) = (counts.objects as usize, (counts.objects - counts.first_shared) as usize);
        let (times, samples) = (if with_times { threads } else { 0 }, counts.samples as usize);
        Tables {
            slots: OwnMemory::new(slots),
            turns: OwnMemory::new(turns),
            threads: OwnMemory::new(threads),
            times: OwnMemory::new(times),
            samples: OwnMemory::new(samples),
            own_bytes: Self::bytes(image, with_times),
            started: Number::new(),
            ready: Number::new(),
            begin: Number::new(),
            finished: Number::new(),
            release: Number::new(),
        }
    }

    /// Resident bytes of the tables for a trace.
    pub(super) fn bytes(image: &Image, with_times: bool) -> u64 {
        let counts = &image.counts;
        let threads = counts.threads as usize;
        let bytes = OwnMemory::<Slot>::bytes_of(counts.objects as usize)
            + OwnMemory::<Number>::bytes_of((counts.objects - counts.first_shared) as usize)
            + OwnMemory::<ThreadState>::bytes_of(threads)
            + OwnMemory::<CallTimes>::bytes_of(if with_times { threads } else { 0 })
            + OwnMemory::<Sample>::bytes_of(counts.samples as usize);
        bytes as u64
    }

    /// Sets everything to its beginning while no other thread runs.
    pub(super) fn reset(&self) {
        self.turns.iter().for_each(Number::reset);
        for state in self.threads.iter() {
            state.created.reset();
            state.joined.reset();
            state.sum.store(0, Relaxed);
            state.live_bytes.store(0, Relaxed);
        }
        for number in [&self.started, &self.ready, &self.begin, &self.finished, &self.release] {
            number.reset();
        }
    }

    /// The place of an object's pointer.
    #[inline(always)]
    pub(super) fn slot(&self, slot: u32) -> *mut *mut u8 {
        debug_assert!((slot as usize) < self.slots.len());
        // SAFETY: slots are below the number of objects: `decoder` looks each of them up in a table of that size.
        unsafe { self.slots.get_unchecked(slot as usize) }.0.get()
    }

    /// How many operations a shared object has had.
    #[inline(always)]
    pub(super) fn turn(&self, slot: u32, image: &Image) -> &Number {
        &self.turns[slot as usize - image.counts.first_shared as usize]
    }

    /// A thread.
    pub(super) fn thread(&self, thread: u32) -> &ThreadState {
        &self.threads[thread as usize]
    }

    /// Waits until a thread has ended, with all that its allocator does then.
    pub(super) fn join(&self, thread: u32) {
        let state = self.thread(thread);
        state.created.wait_for(1);
        if state.joined.claim() {
            // SAFETY: the handle of a thread that was created and that no other thread joins.
            unsafe { libc::pthread_join(state.handle.load(Relaxed), std::ptr::null_mut()) };
            state.joined.set(2);
        } else {
            state.joined.wait_for(2);
        }
    }

    /// What all threads added up to.
    pub(super) fn sum(&self) -> u64 {
        self.threads.iter().fold(0, |sum, state| sum.wrapping_add(state.sum.load(Relaxed)))
    }

    /// The times of a thread's calls.
    ///
    /// # Safety
    /// - No other thread uses them, and no other reference to them is live.
    #[expect(clippy::mut_from_ref, reason = "each thread has its own, as the caller promises")]
    pub(super) unsafe fn times(&self, thread: usize) -> &mut CallTimes {
        let times: *const CallTimes = &raw const self.times[thread];
        // SAFETY: within writable memory, and the caller promises that it is used by nothing else.
        unsafe { &mut *times.cast_mut() }
    }

    /// The times of all calls, once the pass is over.
    pub(super) fn all_times(&self) -> &[CallTimes] {
        &self.times
    }

    /// Counts live bytes of a thread.
    #[inline(always)]
    pub(super) fn count_live(&self, thread: usize, bytes: i64) {
        let live = &self.threads[thread].live_bytes;
        // Only this thread writes it.
        live.store(live.load(Relaxed) + bytes, Relaxed);
    }

    /// Resident bytes that are of no file, without the program's own tables; `None` where the kernel does not tell.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let [_, anonymous] = usage::resident_and_anonymous_bytes()?;
        Some(anonymous.saturating_sub(self.own_bytes))
    }

    /// The most of it that there ever was, once the pass is over: of all resident bytes the kernel knows the most, and those
    /// of files do not become fewer.
    pub(super) fn resident_peak_bytes(&self) -> Option<u64> {
        let ([now, anonymous], peak) = (usage::resident_and_anonymous_bytes()?, usage::resident_peak_bytes()?);
        let most = peak.saturating_sub(now - anonymous).saturating_sub(self.own_bytes);
        self.samples().map(|(resident, _)| resident).chain([most]).max()
    }

    /// Reads resident memory, and how much is live.
    #[cold]
    #[inline(never)]
    pub(super) fn sample(&self, number: u32) {
        let live = self.threads.iter().map(|state| state.live_bytes.load(Relaxed)).sum();
        self.samples[number as usize].live_bytes.store(live, Relaxed);
        self.samples[number as usize].resident_bytes.store(self.resident_bytes().unwrap_or_default(), Relaxed);
    }

    /// The readings: resident bytes and live bytes.
    pub(super) fn samples(&self) -> impl Iterator<Item = (u64, i64)> + '_ {
        self.samples.iter().map(|sample| (sample.resident_bytes.load(Relaxed), sample.live_bytes.load(Relaxed)))
    }
}
