//! One function for each unit cost: it repeats the operation many times and returns the cost of one.

use super::kinds::{
    MADVISE_PAGE, PAGE_FAULT_4K, PAGE_FAULT_HUGE, SYS_MADVISE, SYS_MMAP, SYS_MREMAP, SYS_MUNMAP, SYSCALL, UNMAP_HUGE,
    UNMAP_PAGE,
};
use super::mapping::{HUGE, Mapping, PAGE, page_faults};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Calls per measurement.
const CALLS: u32 = 64;

/// OS pages per measurement: as many as one page table maps.
const PAGES: usize = HUGE / PAGE;

/// Most page faults besides those of a measurement: of the stack and the heap.
const STRAY_FAULTS: u64 = 8;

/// Result of one round: kind and nanoseconds. A kind may occur several times or not at all.
pub(super) type Costs = Vec<(&'static str, f64)>;

/// One probe. Its argument is the reading of an empty stopwatch.
pub(super) type Probe = fn(clock: Duration) -> Costs;

/// Kinds whose readings include a call of another kind, with the number of OS pages that share it.
pub(super) const WITH_CALL: [(&str, &str, usize); 3] =
    [(MADVISE_PAGE, SYS_MADVISE, PAGES), (UNMAP_PAGE, SYS_MUNMAP, PAGES), (UNMAP_HUGE, SYS_MUNMAP, 1)];

/// Every probe, in the order in which a round runs them.
pub(super) const ALL: [Probe; 6] = [system_call, map_and_unmap, advise, remap, pages, huge_page];

/// The reading of an empty stopwatch: the median of several.
pub(super) fn clock() -> Duration {
    let mut empty: [Duration; 33] = std::array::from_fn(|_| timed(|| ()).0);
    empty.sort_unstable();
    empty[empty.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = black_box(work());
    (start.elapsed(), value)
}

/// Nanoseconds per item of `count` items that together took `time`, less `readings` readings of the clock.
fn per_item(time: Duration, clock: Duration, readings: u32, count: usize) -> f64 {
    (time.as_nanos() as f64 - f64::from(readings) * clock.as_nanos() as f64) / count as f64
}

fn system_call(clock: Duration) -> Costs {
    let (time, ()) = timed(|| {
        for _ in 0..CALLS {
            // SAFETY: takes nothing and changes nothing. By number, because a C library could cache `getppid`.
            black_box(unsafe { libc::syscall(libc::SYS_getppid) });
        }
    });
    vec![(SYSCALL, per_item(time, clock, 1, CALLS as usize))]
}

/// Maps and unmaps in turn, like an allocator that maps each request. Several maps in a row would only extend one
/// mapping.
fn map_and_unmap(clock: Duration) -> Costs {
    let (mut mapping, mut unmapping) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..CALLS {
        let (time, mapped) = timed(|| Mapping::new(HUGE));
        let Some(mapped) = mapped else { return Vec::new() };
        mapping += time;
        unmapping += timed(|| drop(mapped)).0;
    }
    vec![
        (SYS_MMAP, per_item(mapping, clock, CALLS, CALLS as usize)),
        (SYS_MUNMAP, per_item(unmapping, clock, CALLS, CALLS as usize)),
    ]
}

fn advise(clock: Duration) -> Costs {
    let Some(mapping) = Mapping::new(HUGE) else { return Vec::new() };
    let (time, done) = timed(|| (0..CALLS).all(|_| mapping.advise(libc::MADV_DONTNEED)));
    if !done {
        return Vec::new();
    }
    vec![(SYS_MADVISE, per_item(time, clock, 1, CALLS as usize))]
}

fn remap(clock: Duration) -> Costs {
    let Some(mut mapping) = Mapping::new(HUGE) else { return Vec::new() };
    let (time, done) = timed(|| (0..CALLS / 2).all(|_| mapping.resize(2 * HUGE) && mapping.resize(HUGE)));
    if !done {
        return Vec::new();
    }
    vec![(SYS_MREMAP, per_item(time, clock, 1, CALLS as usize))]
}

/// Touches 4 KiB pages, returns them by `madvise`, touches them again and unmaps them.
fn pages(clock: Duration) -> Costs {
    let bytes = PAGES * PAGE;
    let touched = || {
        let mapping = Mapping::new(bytes)?;
        // A kernel without huge pages refuses, and needs no advice.
        mapping.advise(libc::MADV_NOHUGEPAGE);
        let before = page_faults();
        let (time, ()) = timed(|| mapping.touch(0, bytes));
        let faults = page_faults() - before;
        let as_meant = (PAGES as u64..=PAGES as u64 + STRAY_FAULTS).contains(&faults);
        as_meant.then_some((mapping, per_item(time, clock, 1, PAGES)))
    };
    let mut costs = Costs::new();
    if let Some((mapping, fault)) = touched() {
        costs.push((PAGE_FAULT_4K, fault));
        let (time, done) = timed(|| mapping.advise(libc::MADV_DONTNEED));
        if done {
            costs.push((MADVISE_PAGE, per_item(time, clock, 1, PAGES)));
        }
    }
    if let Some((mapping, fault)) = touched() {
        let (time, ()) = timed(|| drop(mapping));
        costs.extend([(PAGE_FAULT_4K, fault), (UNMAP_PAGE, per_item(time, clock, 1, PAGES))]);
    }
    costs
}

/// Touches and unmaps one huge page. Empty when 2 MiB took more than one fault, because the memory was not a huge page.
fn huge_page(clock: Duration) -> Costs {
    let Some(mapping) = Mapping::new(2 * HUGE) else { return Vec::new() };
    if !mapping.advise(libc::MADV_HUGEPAGE) {
        return Vec::new();
    }
    let start = mapping.to_huge();
    let before = page_faults();
    let (touching, ()) = timed(|| mapping.touch(start, start + PAGE));
    mapping.touch(start, start + HUGE);
    let faults = page_faults() - before;
    if !(1..=1 + STRAY_FAULTS).contains(&faults) {
        return Vec::new();
    }
    let (unmapping, ()) = timed(|| drop(mapping));
    vec![(PAGE_FAULT_HUGE, per_item(touching, clock, 1, 1)), (UNMAP_HUGE, per_item(unmapping, clock, 1, 1))]
}
