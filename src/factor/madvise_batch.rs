//! madvise batching: freed large mappings wait, and go back to the OS together.
//!
//! The batch is full at 256 mappings or 4 MiB. Then it is sorted by address, neighbours are joined, and each joined
//! range is unmapped with one call. Off, every mapping is unmapped when it is freed. Either way this is the last
//! station of a large mapping: mappings that caches evict come here.
//!
//! Costs 4 KiB, and up to 4 MiB of memory that waits; a lock and two stores per freed mapping; one `munmap` per joined
//! range instead of one per mapping. Different from the original: there is no `madvise` before the `munmap`, which
//! would drop the same OS pages twice, and no mapping in the batch is unmapped elsewhere meanwhile (the original did
//! that, so that its batch saved nothing).

use crate::os;
use crate::sync::{Lock, counters, global};

counters! {
    /// Mappings that were added.
    adds,
    /// Times that the batch was unmapped.
    flushes,
    /// Ranges that were unmapped: joined neighbours count once.
    unmapped_ranges,
}

/// Mappings at which the batch is unmapped.
const MAPPINGS_MAX: usize = 256;
/// Bytes at which the batch is unmapped.
const FLUSH_BYTES: usize = 4 << 20;

/// A mapping that is not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    base: *mut u8,
    bytes: usize,
}

const NO_RANGE: Range = Range { base: core::ptr::null_mut(), bytes: 0 };

#[derive(Debug)]
struct Batch {
    ranges: [Range; MAPPINGS_MAX],
    len: usize,
    bytes: usize,
}

// SAFETY: the batch alone owns the mappings in it.
unsafe impl Send for Batch {}

global! {
    table static BATCH: Lock<Batch> = Lock::new(Batch { ranges: [NO_RANGE; MAPPINGS_MAX], len: 0, bytes: 0 });
}

/// Adds a mapping, and unmaps the batch when it is full.
///
/// # Safety
/// - `[base, base + bytes)` is a mapping of the allocator's that is not used, in no page map and no cache.
pub(crate) unsafe fn add(counters: &Counters, base: *mut u8, bytes: usize) {
    counters.adds.add(1);
    let mut batch = BATCH.lock();
    let place = batch.len;
    batch.ranges[place] = Range { base, bytes };
    batch.len += 1;
    batch.bytes += bytes;
    if batch.len == MAPPINGS_MAX || batch.bytes >= FLUSH_BYTES {
        flush_slow(counters, batch);
    }
}

/// Unmaps what waits, full or not.
pub(crate) fn flush(counters: &Counters) {
    let batch = BATCH.lock();
    if batch.len > 0 {
        flush_slow(counters, batch);
    }
}

#[cold]
#[inline(never)]
fn flush_slow(counters: &Counters, mut batch: crate::sync::Guard<'_, Batch>) {
    // The lock is free before the system calls, whose time grows with the memory.
    let mut ranges = batch.ranges;
    let len = core::mem::take(&mut batch.len);
    batch.bytes = 0;
    drop(batch);
    let len = coalesce(&mut ranges[..len]);
    counters.flushes.add(1);
    counters.unmapped_ranges.add(len as u64);
    for range in &ranges[..len] {
        // SAFETY: the caller of `add` gave the range up.
        unsafe { os::unmap(range.base, range.bytes) };
    }
}

/// How many mappings wait, their bytes, and how many of those bytes are resident.
pub(crate) fn waiting() -> (usize, usize, usize) {
    let batch = BATCH.lock();
    let (ranges, len, bytes) = (batch.ranges, batch.len, batch.bytes);
    // The lock is free before the system calls.
    drop(batch);
    let resident = ranges[..len].iter().map(|range| os::resident_bytes(range.base, range.bytes)).sum();
    (len, bytes, resident)
}

/// Sorts by address and joins neighbours; returns how many ranges are left, at the front.
fn coalesce(ranges: &mut [Range]) -> usize {
    ranges.sort_unstable_by_key(|range| range.base.addr());
    let mut last = 0;
    for next in 1..ranges.len() {
        let range = ranges[next];
        if ranges[last].base.addr() + ranges[last].bytes == range.base.addr() {
            ranges[last].bytes += range.bytes;
        } else {
            last += 1;
            ranges[last] = range;
        }
    }
    ranges.len().min(last + 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn check(input: &[(usize, usize)], expected: &[(usize, usize)]) {
        let mut ranges: Vec<Range> =
            input.iter().map(|&(at, bytes)| Range { base: core::ptr::without_provenance_mut(at), bytes }).collect();
        let len = coalesce(&mut ranges);
        let joined: Vec<(usize, usize)> = ranges[..len].iter().map(|range| (range.base.addr(), range.bytes)).collect();
        assert_eq!(joined, expected);
    }

    #[test]
    fn neighbours_are_joined_in_any_order() {
        check(&[], &[]);
        check(&[(1000, 10)], &[(1000, 10)]);
        check(&[(1010, 10), (1000, 10)], &[(1000, 20)]);
        check(&[(1000, 10), (1020, 5), (1010, 10)], &[(1000, 25)]);
        check(&[(1000, 10), (2000, 10), (1011, 5)], &[(1000, 10), (1011, 5), (2000, 10)]);
    }
}
