//! Whether this process records, and its clock: one line of memory that every call reads.
//!
//! The line is in a page that the kernel wipes in the child of any fork, `vfork` apart, whose child shares it. So a child
//! never writes into the chunks of its parent, and no call has to ask for the process's number.

use crate::{arch, sys};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// No word of this process says yet whether it records.
pub(crate) const UNKNOWN: u64 = 0;
/// A thread is inside the recorder; never a process's generation.
pub(crate) const BUSY: u64 = 1;
/// This process does not record.
pub(crate) const OFF: u64 = u64::MAX;

const MADV_WIPEONFORK: i32 = 18;
const PAGE_BYTES: usize = 64 << 10;

/// The line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Line {
    /// [`UNKNOWN`], [`OFF`], or what the records of this process's threads must hold.
    generation: AtomicU64,
    /// The counter at the start; 0 where the clock is the system's.
    start_ticks: AtomicU64,
    /// The system's clock at the start.
    start_ns: AtomicU64,
    /// Ticks in which a call of a burst follows the one before.
    burst_ticks: AtomicU64,
    /// Whether there was a second thread: only then the order between threads must be right.
    has_threads: AtomicBool,
}

static UNTIL_THE_START: Line = Line {
    generation: AtomicU64::new(UNKNOWN),
    start_ticks: AtomicU64::new(0),
    start_ns: AtomicU64::new(0),
    burst_ticks: AtomicU64::new(0),
    has_threads: AtomicBool::new(false),
};

static LINE: AtomicPtr<Line> = AtomicPtr::new(ptr::from_ref(&UNTIL_THE_START).cast_mut());

#[inline(always)]
fn line() -> &'static Line {
    // SAFETY: one of both lines, which live for ever. Acquire: pairs with the release in `prepare`.
    unsafe { &*LINE.load(Ordering::Acquire) }
}

/// [`UNKNOWN`], [`OFF`], or the generation of this process.
#[inline(always)]
pub(crate) fn generation() -> u64 {
    line().generation.load(Ordering::Relaxed)
}

/// Ticks since the start, in their place between what came before and what others see of what follows.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    let line = line();
    match line.start_ticks.load(Ordering::Relaxed) {
        0 => since_start(line),
        // Waiting for what came before takes as long again as the counter itself.
        start if !line.has_threads.load(Ordering::Relaxed) => arch::counter().wrapping_sub(start),
        start => arch::counter_in_order().wrapping_sub(start),
    }
}

/// The same, or earlier by what was not done yet.
#[inline(always)]
pub(crate) fn ticks_at_most() -> u64 {
    let line = line();
    match line.start_ticks.load(Ordering::Relaxed) {
        0 => since_start(line),
        start => arch::counter().wrapping_sub(start),
    }
}

/// In how many ticks a call follows the one before, where calls come in bursts.
pub(crate) fn burst_ticks() -> u64 {
    line().burst_ticks.load(Ordering::Relaxed)
}

#[cold]
#[inline(never)]
fn since_start(line: &Line) -> u64 {
    sys::clock_ns(libc::CLOCK_MONOTONIC).wrapping_sub(line.start_ns.load(Ordering::Relaxed))
}

/// Nanoseconds since the start.
pub(crate) fn now_ns() -> u64 {
    since_start(line())
}

/// Makes the line that is wiped in children. `false` where the system cannot.
pub(crate) fn prepare() -> bool {
    if !ptr::eq(line(), &raw const UNTIL_THE_START) {
        return true;
    }
    let page = sys::map_memory(PAGE_BYTES);
    if page.is_null() {
        return false;
    }
    // SAFETY: the recorder's own mapping.
    if unsafe { libc::madvise(page.cast(), PAGE_BYTES, MADV_WIPEONFORK) } != 0 {
        return false;
    }
    // Release: pairs with the acquire in `line`.
    LINE.store(page.cast(), Ordering::Release);
    true
}

/// Sets the clock's start; gives what the head of the file keeps: ticks, or 0, and nanoseconds.
pub(crate) fn start_clock(by_counter: bool) -> (u64, u64) {
    let line = line();
    let start_ns = sys::clock_ns(libc::CLOCK_MONOTONIC);
    // 0 stands for the system's clock.
    let start_ticks = if by_counter { arch::counter_in_order().max(1) } else { 0 };
    line.start_ticks.store(start_ticks, Ordering::Relaxed);
    line.start_ns.store(start_ns, Ordering::Relaxed);
    line.burst_ticks.store(if by_counter { arch::burst_ticks() } else { 100 }, Ordering::Relaxed);
    (start_ticks, start_ns)
}

/// Whether there is, or was, a second thread.
#[inline(always)]
pub(crate) fn has_threads() -> bool {
    line().has_threads.load(Ordering::Relaxed)
}

/// Notes that a second thread is about to be, or is.
pub(crate) fn note_threads() {
    line().has_threads.store(true, Ordering::Relaxed);
}

/// Switches recording on, or off for good.
pub(crate) fn set(generation: u64) {
    // Relaxed: a thread that sees an older value records one event more, or one less.
    line().generation.store(generation, Ordering::Relaxed);
}
