//! The bypass's chunks: 64 KiB each, which of them are free, and how their memory goes back to the OS.
//!
//! [`super::bypass`] takes runs of chunks from a range of addresses, and puts them back. It cuts single chunks into blocks,
//! and keeps those itself. [`gather`] finds the chunks of which all blocks are free again, which then serve any length.
//!
//! | free chunks | kept in | their memory |
//! |---|---|---|
//! | runs that were put back | [`FREE`], by length | went back to the OS at once |
//! | cut ones, of which all blocks are free | [`DIRTY`] | goes back when the purge calls [`give_back`], or is used again |
//!
//! Each chunk has a record. The stacks link records, so that a free chunk needs no memory.

use super::treiber_stack::TreiberStack;
use crate::os::{self, OS_PAGE};
use crate::sync::global;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Lengths of the range as powers of two, tried in this order.
const RANGE_LOGS: [usize; 4] = [36, 32, 28, 24];
/// Bytes of a chunk: what the range is counted in.
pub(super) const CHUNK: usize = 1 << CHUNK_LOG;
pub(super) const CHUNK_LOG: u32 = 16;
/// The longest run of chunks.
pub(super) const LOG_MAX: u32 = 36;

/// The first address of the range, and in its low bits the length's power of two; 0 until it is reserved.
static RANGE: AtomicUsize = AtomicUsize::new(0);
/// Bytes of the range that were taken so far.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Which parts of the records, of [`RECORDS_STEP`] bytes each, are memory: a bit for each.
static HAS_RECORDS: [AtomicUsize; RECORD_STEPS.div_ceil(usize::BITS as usize)] =
    [const { AtomicUsize::new(0) }; RECORD_STEPS.div_ceil(usize::BITS as usize)];
global! {
    /// Free runs of chunks, by length: the records of their first chunks.
    static FREE: [FreeChunks; (LOG_MAX - CHUNK_LOG + 1) as usize] = each FreeChunks::new();
}
global! {
    /// Free chunks that still hold memory: their records.
    static DIRTY: FreeChunks = FreeChunks::new();
}

/// Free chunks, each linked in its record.
type FreeChunks = TreiberStack<RECORD>;

/// What is known of a chunk. The records lie at the end of the range, and become memory as the chunks before them do.
#[derive(Debug)]
#[repr(C, align(16))]
struct Record {
    /// For the stacks.
    link: AtomicUsize,
    /// Free blocks that [`gather`] has counted so far; 0 otherwise.
    free: AtomicUsize,
}

const RECORD: usize = size_of::<Record>();
/// Bytes of records that become memory at a time: those of 256 MiB of the range.
const RECORDS_STEP: usize = 64 << 10;
/// Such parts in the longest range.
const RECORD_STEPS: usize = ((1 << RANGE_LOGS[0]) / CHUNK * RECORD).div_ceil(RECORDS_STEP);

/// Takes a run of chunks of 2^`log` bytes; null when there is no memory. The memory is not zeroed.
pub(super) fn take(log: u32) -> *mut u8 {
    // One that holds memory, if there is one.
    let record = if log == CHUNK_LOG { DIRTY.pop() } else { ptr::null_mut() };
    let record = if record.is_null() { free_runs(log).pop() } else { record };
    if record.is_null() { take_new(1 << log) } else { chunk_of(record) }
}

/// Puts a run of chunks back, and gives its memory back to the OS.
///
/// # Safety
/// - the run came from [`take`] with this `log`, and the caller gives it up.
pub(super) unsafe fn put(log: u32, run: *mut u8) {
    // SAFETY: the caller's promise. Records are never unmapped, and aligned as the stacks' links have to be.
    unsafe {
        os::decommit(run, 1 << log);
        free_runs(log).push(record_of(run).address());
    }
}

/// Takes the blocks of those chunks of which all are free out of a stack. The chunks are free and dirty then.
///
/// # Safety
/// - the stack's blocks have 2^`log` bytes, and are parts of single chunks that [`take`] gave and that were cut into such
///   blocks alone;
/// - one thread at a time calls this.
pub(super) unsafe fn gather<const ALIGN: usize>(stack: &TreiberStack<ALIGN>, log: u32) {
    let first = stack.take_all();
    // SAFETY: the blocks are ours alone, as the stack linked them.
    for block in unsafe { list::<ALIGN>(first) } {
        record_of(block).free.fetch_add(1, Ordering::Relaxed);
    }
    let (mut kept, mut kept_last): (*mut u8, *mut u8) = (ptr::null_mut(), ptr::null_mut());
    let mut whole: *mut u8 = ptr::null_mut();
    // SAFETY: as above.
    for block in unsafe { list::<ALIGN>(first) } {
        let record = record_of(block);
        if record.free.load(Ordering::Relaxed) < CHUNK >> log {
            kept_last = if kept_last.is_null() { block } else { kept_last };
            // SAFETY: as above.
            unsafe { TreiberStack::<ALIGN>::link(block, kept) };
            kept = block;
        } else if block.addr().is_multiple_of(CHUNK) {
            // SAFETY: the record of a chunk that is ours alone.
            unsafe { FreeChunks::link(record.address(), whole) };
            whole = record.address();
        }
    }
    // SAFETY: the blocks are ours alone, and linked.
    unsafe {
        list::<ALIGN>(kept).for_each(|block| record_of(block).free.store(0, Ordering::Relaxed));
        if !kept.is_null() {
            stack.push_all(kept, kept_last);
        }
    }
    // Last, since another thread may then take the chunk, and write to blocks that the list above leads through.
    // SAFETY: the chunks are ours alone, and their records linked.
    for record in unsafe { list::<RECORD>(whole) } {
        // SAFETY: as above.
        unsafe {
            (*record.cast::<Record>()).free.store(0, Ordering::Relaxed);
            DIRTY.push(record);
        }
    }
}

/// Whether a free chunk holds memory.
pub(super) fn has_dirty() -> bool {
    !DIRTY.is_empty()
}

/// Gives the memory of free chunks back: `give` does, and returns whether to go on. Returns whether some is left.
pub(super) fn give_back(mut give: impl FnMut(*mut u8, usize) -> bool) -> bool {
    loop {
        let record = DIRTY.pop();
        if record.is_null() {
            return false;
        }
        let goes_on = give(chunk_of(record), CHUNK);
        // SAFETY: the chunk is ours alone, and so is its record.
        unsafe { free_runs(CHUNK_LOG).push(record) };
        if !goes_on {
            return has_dirty();
        }
    }
}

/// Whether an address lies in the part of the range that is for chunks.
pub(super) fn owns(address: *const u8) -> bool {
    // Relaxed: the range is reserved before an address in it is handed out.
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    address.addr().wrapping_sub(base) < bytes
}

/// Where the chunks begin, and bytes of those that were taken so far.
pub(super) fn used() -> (usize, usize) {
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    (base, bytes.min(USED.load(Ordering::Relaxed)))
}

/// What the range has in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    start: *mut u8,
    /// Bytes of the chunks that were taken so far.
    chunk_bytes: usize,
    /// Bytes of the records, behind [`records`].
    record_bytes: usize,
}

impl Extent {
    /// Bytes of chunks and records.
    pub(super) fn bytes(&self) -> usize {
        self.chunk_bytes + self.record_bytes
    }

    /// Those that are resident.
    pub(super) fn resident_bytes(&self) -> usize {
        os::resident_bytes(self.start, self.chunk_bytes) + os::resident_bytes(records(), self.record_bytes)
    }
}

/// What the range has in memory now.
pub(super) fn extent() -> Extent {
    let (base, chunk_bytes) = used();
    let steps: u32 = HAS_RECORDS.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
    Extent { start: ptr::with_exposed_provenance_mut(base), chunk_bytes, record_bytes: steps as usize * RECORDS_STEP }
}

/// The blocks of a list that a stack gave, or that was linked for one. A block's link is read before the block comes, so
/// that the caller may change it then.
///
/// # Safety
/// - each block is the caller's until it has come.
unsafe fn list<const ALIGN: usize>(first: *mut u8) -> impl Iterator<Item = *mut u8> {
    let some = |block: *mut u8| (!block.is_null()).then_some(block);
    // SAFETY: the caller's promise.
    core::iter::successors(some(first), move |&block| some(unsafe { TreiberStack::<ALIGN>::next(block) }))
}

/// The free runs of a length.
fn free_runs(log: u32) -> &'static FreeChunks {
    &FREE[(log - CHUNK_LOG) as usize]
}

impl Record {
    /// Where it lies: what the stacks link.
    fn address(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// Where the records begin: behind the last byte that chunks may have.
fn records() -> *mut u8 {
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    ptr::with_exposed_provenance_mut(base + bytes)
}

/// The record of the chunk that a block lies in, or of the first one of a run.
fn record_of(block: *mut u8) -> &'static Record {
    let (base, _) = unpack(RANGE.load(Ordering::Relaxed));
    // SAFETY: a block has addresses of the range, and `cover` was called for its chunk.
    unsafe { &*records().cast::<Record>().add((block.addr() - base) / CHUNK) }
}

/// The chunk of a record.
fn chunk_of(record: *mut u8) -> *mut u8 {
    let (base, _) = unpack(RANGE.load(Ordering::Relaxed));
    ptr::with_exposed_provenance_mut(base + (record.addr() - records().addr()) / RECORD * CHUNK)
}

/// Takes chunks that were never used; null when there is no memory.
#[cold]
#[inline(never)]
fn take_new(taken: usize) -> *mut u8 {
    let (base, bytes) = range();
    let take = |used: usize| used.checked_add(taken).filter(|&after| after <= bytes);
    let Ok(start) = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
        return ptr::null_mut();
    };
    let run: *mut u8 = ptr::with_exposed_provenance_mut(base + start);
    // SAFETY: the addresses are ours alone since the exchange.
    if cover(start) && unsafe { os::commit(run, taken) } { run } else { ptr::null_mut() }
}

/// Makes the record of the chunk at an offset in the range memory. Returns `false` when the kernel refuses.
fn cover(offset: usize) -> bool {
    let step = offset / CHUNK * RECORD / RECORDS_STEP;
    let (word, bit) = (&HAS_RECORDS[step / usize::BITS as usize], 1 << (step % usize::BITS as usize));
    if word.load(Ordering::Acquire) & bit != 0 {
        return true;
    }
    // Two threads may do it at once, which changes nothing but the count of what is mapped.
    // SAFETY: behind the chunks, in the range. The part is as long as the range has room for.
    let is_done = unsafe { os::commit(records().add(step * RECORDS_STEP), RECORDS_STEP) };
    if is_done {
        // Release: pairs with the acquire above.
        word.fetch_or(bit, Ordering::Release);
    }
    is_done
}

/// First address of a range, and bytes of it that chunks may have; none while there is no range.
fn unpack(range: usize) -> (usize, usize) {
    let log = range % OS_PAGE;
    let records = ((1 << log) / CHUNK * RECORD).next_multiple_of(RECORDS_STEP);
    (range - log, if log == 0 { 0 } else { (1 << log) - records })
}

/// First address and bytes of the range, which the first caller reserves; no bytes where the kernel refuses.
fn range() -> (usize, usize) {
    let known = RANGE.load(Ordering::Relaxed);
    if known != 0 {
        return unpack(known);
    }
    for log in RANGE_LOGS {
        let start = os::reserve(1 << log);
        if start.is_null() {
            continue;
        }
        return match RANGE.compare_exchange(0, start.expose_provenance() + log, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => unpack(start.addr() + log),
            Err(known) => {
                // SAFETY: no other caller has seen this range.
                unsafe { os::unreserve(start, 1 << log) };
                unpack(known)
            }
        };
    }
    (0, 0)
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::vec::Vec;

    /// Held by each test here and of the bypass: they share the range.
    pub(in crate::alloc) fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn runs_come_back_empty_for_their_length() {
        let _alone = alone();
        for log in CHUNK_LOG..CHUNK_LOG + 5 {
            let run = take(log);
            assert!(owns(run) && run.addr().is_multiple_of(CHUNK) && chunk_of(record_of(run).address()) == run);
            // SAFETY: the run is ours and that long.
            unsafe {
                run.write_bytes(7, 1 << log);
                put(log, run);
            }
            assert_eq!(os::resident_bytes(run, 1 << log), 0);
            assert!(has_dirty() || take(log) == run);
        }
    }

    #[test]
    fn chunks_of_which_all_blocks_are_free_are_gathered() {
        const LOG: u32 = CHUNK_LOG - 2;
        let _alone = alone();
        let stack = TreiberStack::<32>::new();
        let chunks: Vec<*mut u8> = (0..10).map(|_| take(CHUNK_LOG)).collect();
        // Of the last chunk a block is live.
        let blocks = (0..4).flat_map(|part| chunks.iter().map(move |&chunk| chunk.wrapping_add(part << LOG)));
        let mut blocks: Vec<*mut u8> = blocks.collect();
        let live = blocks.pop();
        // SAFETY: the blocks are ours, parts of chunks, and that long.
        unsafe {
            blocks.iter().for_each(|&block| stack.push(block));
            gather(&stack, LOG);
        }
        // SAFETY: the stack is ours.
        let left: Vec<*mut u8> = unsafe { list::<32>(stack.take_all()) }.collect();
        assert!(left.len() == 3 && left.iter().all(|block| chunks[9] == block.wrapping_sub(block.addr() % CHUNK)));
        assert!(!left.contains(&live.expect("the last block")));
        assert!(has_dirty() && chunks.iter().all(|&chunk| record_of(chunk).free.load(Ordering::Relaxed) == 0));
        // The newest is given alone, then all others.
        let mut given = Vec::new();
        let mut goes_on = false;
        while give_back(|chunk, bytes| {
            assert_eq!(bytes, CHUNK);
            given.push(chunk);
            goes_on
        }) {
            assert!(given.len() == 1 && chunks[..9].contains(&given[0]));
            goes_on = true;
        }
        assert!(!has_dirty() && !given.contains(&chunks[9]) && chunks[..9].iter().all(|chunk| given.contains(chunk)));
    }
}
