//! One function for each thing that is priced: it does a batch and says what one took.

use super::kinds::{
    MADVISE_PAGE, PAGE_FAULT_4K, PAGE_FAULT_HUGE, SYS_MADVISE, SYS_MMAP, SYS_MREMAP, SYS_MUNMAP, SYSCALL, UNMAP_HUGE,
    UNMAP_PAGE,
};
use super::mapping::{HUGE, Mapping, PAGE, page_faults};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Calls in a batch.
const CALLS: u32 = 64;

/// Pages in a batch: as many as one page table maps.
const PAGES: usize = HUGE / PAGE;

/// Faults that may come on top of those that a batch makes: the stack, the heap.
const STRAY_FAULTS: u64 = 8;

/// What one round found: kind and nanoseconds, several times the same kind or none at all.
pub(super) type Costs = Vec<(&'static str, f64)>;

/// One probe. It is given what an empty stopwatch reads.
pub(super) type Probe = fn(clock: Duration) -> Costs;

/// Kinds whose readings contain a call of another kind, with the pages that share it.
pub(super) const WITH_CALL: [(&str, &str, usize); 3] =
    [(MADVISE_PAGE, SYS_MADVISE, PAGES), (UNMAP_PAGE, SYS_MUNMAP, PAGES), (UNMAP_HUGE, SYS_MUNMAP, 1)];

/// Every probe, in the order in which they take turns.
pub(super) const ALL: [Probe; 6] = [system_call, map_and_unmap, advise, remap, pages, huge_page];

/// What the stopwatch reads when nothing is done: the median of several.
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

/// Nanoseconds of one of `count` that together took `time`, less `times` readings of the clock.
fn per_item(time: Duration, clock: Duration, readings: u32, count: usize) -> f64 {
    (time.as_nanos() as f64 - f64::from(readings) * clock.as_nanos() as f64) / count as f64
}

fn system_call(clock: Duration) -> Costs {
    let (time, ()) = timed(|| {
        for _ in 0..CALLS {
            // SAFETY: takes nothing and changes nothing. Not by `getppid`, which a C library could answer itself.
            black_box(unsafe { libc::syscall(libc::SYS_getppid) });
        }
    });
    vec![(SYSCALL, per_item(time, clock, 1, CALLS as usize))]
}

/// One after the other, as an allocator does that maps what it is asked for: mapped in a row, the kernel would only
/// extend one mapping.
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

/// Touches ordinary pages, gives them back by `madvise`, touches them again and unmaps them.
fn pages(clock: Duration) -> Costs {
    let bytes = PAGES * PAGE;
    let touched = || {
        let mapping = Mapping::new(bytes)?;
        // A kernel without huge pages refuses, and has none to keep away.
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

/// Nothing where 2 MiB take more than one fault: then they were no huge page.
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
