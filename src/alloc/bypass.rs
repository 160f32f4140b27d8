//! The bypass: memory for callers that must not wait for a lock.
//!
//! They are a signal handler that interrupted the allocator, code that runs while the process forks, and the child of a
//! fork that no handler was called for. They are rare, so the bypass is simple: blocks of powers of two, each after a
//! header, taken from a range of addresses of its own and kept for reuse in one lock-free stack ([`super::treiber_stack`])
//! per length. Everything here may be interrupted at any instruction and called again: no step waits for another.
//!
//! Objects of the other stations that such callers free wait in [`super::deferred_frees`].
//!
//! | blocks | made of | where the link of a free one lies | when the memory goes back to the OS |
//! |---|---|---|---|
//! | shorter than a chunk | a chunk, cut | in the block | beyond the first OS page when it is freed; with its chunk |
//! | of a chunk, 64 KiB, and more | the range | in the chunk's record | when it is freed |
//!
//! The purge looks for chunks of which all blocks are free ([`gather_chunks`]). They lose their length, and their memory,
//! and may be cut for any other length then. A request that comes meanwhile finds fewer free blocks, and takes a new chunk.

use super::treiber_stack::TreiberStack;
use crate::os::{self, OS_PAGE};
use crate::sync::global;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Lengths of the range as powers of two, tried in this order.
const RANGE_LOGS: [usize; 4] = [36, 32, 28, 24];
/// The shortest block, of 2^5 bytes: a header and an object of 16.
const LOG_MIN: u32 = 5;
/// The longest block.
const LOG_MAX: u32 = 36;
/// Bytes of a chunk: what the range is counted in. Shorter blocks are made so many bytes at a time.
const CHUNK: usize = 1 << CHUNK_LOG;
const CHUNK_LOG: u32 = 16;
/// Bytes of freed blocks that are worth a look for chunks that are free as a whole.
const DUE_BYTES: usize = 1 << 20;

/// The first address of the range, and in its low bits the length's power of two; 0 until it is reserved.
static RANGE: AtomicUsize = AtomicUsize::new(0);
/// Bytes of the range that blocks have.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Requests served, objects freed, and bytes of the blocks of the live ones. Only the statistics read them.
static SERVED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Bytes of blocks shorter than a chunk that were freed since [`gather_chunks`] last began.
static FRESH_BYTES: AtomicUsize = AtomicUsize::new(0);
/// [`FREED`] at the last epoch of the purge.
static SEEN: AtomicUsize = AtomicUsize::new(0);
/// Which parts of the records, of [`RECORDS_STEP`] bytes each, are memory: a bit for each.
static HAS_RECORDS: [AtomicUsize; RECORD_STEPS.div_ceil(usize::BITS as usize)] =
    [const { AtomicUsize::new(0) }; RECORD_STEPS.div_ceil(usize::BITS as usize)];
global! {
    /// Free blocks shorter than a chunk, by length.
    static FREE: [FreeBlocks; (CHUNK_LOG - LOG_MIN) as usize] = each FreeBlocks::new();
}
global! {
    /// Free blocks of a chunk and more, by length: the records of their first chunks. Their memory went back to the OS.
    static FREE_LARGE: [FreeChunks; (LOG_MAX - CHUNK_LOG + 1) as usize] = each FreeChunks::new();
}
global! {
    /// Chunks of which all blocks were free, and that still hold memory: their records.
    static USED_CHUNKS: FreeChunks = FreeChunks::new();
}

/// Free blocks of one length, each linked in its first word.
type FreeBlocks = TreiberStack<{ 1 << LOG_MIN }>;
/// The same, each linked in the record of its first chunk.
type FreeChunks = TreiberStack<{ size_of::<Record>() }>;

/// What is known of a chunk. The records lie at the end of the range, and become memory as the chunks before them do.
#[derive(Debug)]
#[repr(C, align(16))]
struct Record {
    /// For the stacks.
    link: AtomicUsize,
    /// Free blocks that [`gather_chunks`] has counted so far; 0 otherwise.
    free: AtomicUsize,
}

/// Bytes of records that become memory at a time: those of 256 MiB of the range.
const RECORDS_STEP: usize = 64 << 10;
/// Such parts in the longest range.
const RECORD_STEPS: usize = ((1 << RANGE_LOGS[0]) / CHUNK * size_of::<Record>()).div_ceil(RECORDS_STEP);

/// What lies before each object.
#[derive(Debug)]
#[repr(C, align(16))]
struct Header {
    /// Where the block begins.
    block: *mut u8,
    /// The block has 2^`log` bytes; 0 when the object is free.
    log: AtomicUsize,
}

const HEADER: usize = size_of::<Header>();

/// Serves a request; null when there is no memory. The memory is not zeroed.
pub(super) fn allocate(size: usize, align: usize) -> *mut u8 {
    // Blocks begin at multiples of 32 bytes; stricter alignments move the object up inside its block.
    let slack = if align > HEADER { align } else { 0 };
    let Some(bytes) = size.checked_add(HEADER + slack).and_then(usize::checked_next_power_of_two) else {
        return ptr::null_mut();
    };
    let log = bytes.trailing_zeros().max(LOG_MIN);
    if log > LOG_MAX {
        return ptr::null_mut();
    }
    let block = pop(log);
    let block = if block.is_null() { new_block(log) } else { block };
    if block.is_null() {
        return block;
    }
    let object = block.wrapping_add((block.addr() + HEADER).next_multiple_of(align.max(HEADER)) - block.addr());
    // SAFETY: the block is ours alone, and a header's bytes lie between its start and the object.
    unsafe { object.cast::<Header>().sub(1).write(Header { block, log: AtomicUsize::new(log as usize) }) };
    SERVED.fetch_add(1, Ordering::Relaxed);
    LIVE_BYTES.fetch_add(1 << log, Ordering::Relaxed);
    object
}

/// Whether an address lies in the bypass's range.
pub(super) fn owns(address: *const u8) -> bool {
    // Relaxed: the range is reserved before an address in it is handed out.
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    address.addr().wrapping_sub(base) < bytes
}

/// Bytes that an object may use; `None` where no live object of the bypass starts.
pub(super) fn usable_bytes(object: *mut u8) -> Option<usize> {
    let (header, log) = header_of(object)?;
    // SAFETY: a live object's header.
    let block = unsafe { (*header).block };
    Some((1 << log) - (object.addr() - block.addr()))
}

/// Frees an object; `false` where no live object of the bypass starts.
///
/// # Safety
/// - the caller gives the object up.
pub(super) unsafe fn free(object: *mut u8) -> bool {
    let Some((header, log)) = header_of(object) else {
        return false;
    };
    // SAFETY: a live object's header. One of two threads that free the object finds it live.
    let block = unsafe {
        if (*header).log.compare_exchange(log, 0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        (*header).block
    };
    let bytes = 1_usize << log;
    FREED.fetch_add(1, Ordering::Relaxed);
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    // SAFETY: the block is ours alone until it is pushed. A shorter one's link lies in its first page, which stays.
    unsafe {
        if log >= CHUNK_LOG as usize {
            os::decommit(block, bytes);
        } else {
            if bytes > OS_PAGE {
                os::decommit(block.add(OS_PAGE), bytes - OS_PAGE);
            }
            FRESH_BYTES.fetch_add(bytes, Ordering::Relaxed);
        }
        push(log as u32, block);
    }
    true
}

/// Whether so much was freed that the purge is due.
pub(super) fn is_due() -> bool {
    FRESH_BYTES.load(Ordering::Relaxed) >= DUE_BYTES
}

/// Gives back chunks of which all blocks are free, once no block was freed for an epoch of the purge, or many were. `give`
/// gives memory back, and returns whether to go on. Returns whether anything waits. One thread at a time calls this, or
/// [`give_back`].
pub(super) fn give_back_idle(give: impl FnMut(*mut u8, usize) -> bool) -> bool {
    let fresh = FRESH_BYTES.load(Ordering::Relaxed);
    if fresh == 0 && USED_CHUNKS.is_empty() {
        return false;
    }
    let freed = FREED.load(Ordering::Relaxed);
    // A look takes as long as there are free blocks, and is made where a part of them is new.
    if SEEN.swap(freed, Ordering::Relaxed) != freed && fresh < usage().free_bytes() / 4 {
        return true;
    }
    give_back(give)
}

/// As [`give_back_idle`], of all chunks whose blocks are free now.
pub(super) fn give_back(mut give: impl FnMut(*mut u8, usize) -> bool) -> bool {
    if FRESH_BYTES.swap(0, Ordering::Relaxed) > 0 {
        (LOG_MIN..CHUNK_LOG).for_each(gather_chunks);
    }
    loop {
        let record = USED_CHUNKS.pop();
        if record.is_null() {
            return false;
        }
        let goes_on = give(chunk_of(record), CHUNK);
        // SAFETY: the chunk is ours alone, and so is its record.
        unsafe { free_chunks(CHUNK_LOG).push(record) };
        if !goes_on {
            return !USED_CHUNKS.is_empty();
        }
    }
}

/// Takes the chunks of which all blocks of one length are free out of the stack of those.
fn gather_chunks(log: u32) {
    let first = free_blocks(log).take_all();
    let each = |first: *mut u8, act: &mut dyn FnMut(*mut u8)| {
        let mut block = first;
        while !block.is_null() {
            // SAFETY: the blocks are ours alone. Their links are read before they change.
            let next = unsafe { FreeBlocks::next(block) };
            act(block);
            block = next;
        }
    };
    each(first, &mut |block| _ = record_of(block).free.fetch_add(1, Ordering::Relaxed));
    let (mut kept, mut kept_last): (*mut u8, *mut u8) = (ptr::null_mut(), ptr::null_mut());
    let mut chunks: *mut u8 = ptr::null_mut();
    each(first, &mut |block| {
        let record = record_of(block);
        if record.free.load(Ordering::Relaxed) < CHUNK >> log {
            kept_last = if kept_last.is_null() { block } else { kept_last };
            // SAFETY: as above.
            unsafe { FreeBlocks::link(block, kept) };
            kept = block;
        } else if block.addr().is_multiple_of(CHUNK) {
            let record = ptr::from_ref(record).cast_mut().cast();
            // SAFETY: the record of a chunk that is ours alone.
            unsafe { FreeChunks::link(record, chunks) };
            chunks = record;
        }
    });
    each(kept, &mut |block| record_of(block).free.store(0, Ordering::Relaxed));
    // SAFETY: the blocks and the chunks are ours alone, and linked.
    unsafe {
        if !kept.is_null() {
            free_blocks(log).push_all(kept, kept_last);
        }
        while !chunks.is_null() {
            let next = FreeChunks::next(chunks);
            (*chunks.cast::<Record>()).free.store(0, Ordering::Relaxed);
            USED_CHUNKS.push(chunks);
            chunks = next;
        }
    }
}

/// The header of a live object, and its block's length.
fn header_of(object: *mut u8) -> Option<(*const Header, usize)> {
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    let offset = object.addr().wrapping_sub(base);
    if offset >= bytes.min(USED.load(Ordering::Relaxed)) || offset < HEADER || !object.addr().is_multiple_of(HEADER) {
        return None;
    }
    let header: *const Header = object.cast::<Header>().wrapping_sub(1);
    // SAFETY: the part of the range that blocks have is readable, but for what another thread is about to commit, in
    // which no live object lies.
    let (block, log) = unsafe { ((*header).block.addr(), (*header).log.load(Ordering::Relaxed)) };
    let is_length = (LOG_MIN as usize..=LOG_MAX as usize).contains(&log);
    (is_length && owns(ptr::without_provenance(block)) && block < object.addr() && object.addr() - block < 1 << log)
        .then_some((header, log))
}

/// The free blocks shorter than a chunk.
fn free_blocks(log: u32) -> &'static FreeBlocks {
    &FREE[(log - LOG_MIN) as usize]
}

/// The free blocks of a chunk and more.
fn free_chunks(log: u32) -> &'static FreeChunks {
    &FREE_LARGE[(log - CHUNK_LOG) as usize]
}

/// Takes a free block; null when there is none.
fn pop(log: u32) -> *mut u8 {
    if log < CHUNK_LOG {
        return free_blocks(log).pop();
    }
    // One that holds memory, if there is one.
    let record = if log == CHUNK_LOG { USED_CHUNKS.pop() } else { ptr::null_mut() };
    let record = if record.is_null() { free_chunks(log).pop() } else { record };
    if record.is_null() { record } else { chunk_of(record) }
}

/// Puts a free block back.
///
/// # Safety
/// - the block is the caller's alone, and has this length.
unsafe fn push(log: u32, block: *mut u8) {
    // SAFETY: the caller's promise. Blocks and records are never unmapped, and aligned as the stacks' links have to be.
    unsafe {
        if log < CHUNK_LOG {
            free_blocks(log).push(block);
        } else {
            free_chunks(log).push(ptr::from_ref(record_of(block)).cast_mut().cast());
        }
    }
}

/// Where the records begin: behind the last byte that blocks may have.
fn records() -> *mut u8 {
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    ptr::with_exposed_provenance_mut(base + bytes)
}

/// The record of the chunk that a block lies in, or begins with.
fn record_of(block: *mut u8) -> &'static Record {
    let (base, _) = unpack(RANGE.load(Ordering::Relaxed));
    // SAFETY: a block has addresses of the range, and `cover` was called for its first chunk.
    unsafe { &*records().cast::<Record>().add((block.addr() - base) / CHUNK) }
}

/// The chunk of a record.
fn chunk_of(record: *mut u8) -> *mut u8 {
    let (base, _) = unpack(RANGE.load(Ordering::Relaxed));
    ptr::with_exposed_provenance_mut(base + (record.addr() - records().addr()) / size_of::<Record>() * CHUNK)
}

/// Makes the record of the chunk at an offset in the range memory. Returns `false` when the kernel refuses.
fn cover(offset: usize) -> bool {
    let step = offset / CHUNK * size_of::<Record>() / RECORDS_STEP;
    let (word, bit) = (&HAS_RECORDS[step / usize::BITS as usize], 1 << (step % usize::BITS as usize));
    if word.load(Ordering::Acquire) & bit != 0 {
        return true;
    }
    // Two threads may do it at once, which changes nothing but the count of what is mapped.
    // SAFETY: behind the blocks, in the range. The part is as long as the range has room for.
    let is_done = unsafe { os::commit(records().add(step * RECORDS_STEP), RECORDS_STEP) };
    if is_done {
        // Release: pairs with the acquire above.
        word.fetch_or(bit, Ordering::Release);
    }
    is_done
}

/// What the statistics say of the bypass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Where the range begins.
    pub(super) start: *mut u8,
    /// Bytes of it that blocks have.
    pub(super) bytes: usize,
    /// Bytes of the records.
    record_bytes: usize,
    /// Requests served so far.
    pub(crate) allocations: u64,
    /// Objects freed so far.
    pub(crate) frees: u64,
    /// Bytes of the blocks of the live objects.
    pub(crate) live_bytes: usize,
}

impl Usage {
    /// Bytes of blocks that no live object has, and of the records.
    pub(crate) fn free_bytes(&self) -> usize {
        (self.bytes + self.record_bytes).saturating_sub(self.live_bytes)
    }

    /// Resident bytes of all that is mapped here.
    pub(super) fn resident_bytes(&self) -> usize {
        os::resident_bytes(self.start, self.bytes) + os::resident_bytes(records(), self.record_bytes)
    }

    pub(crate) fn live_objects(&self) -> u64 {
        self.allocations.saturating_sub(self.frees)
    }
}

/// The statistics' numbers.
pub(super) fn usage() -> Usage {
    let (base, bytes) = unpack(RANGE.load(Ordering::Relaxed));
    Usage {
        start: ptr::with_exposed_provenance_mut(base),
        bytes: bytes.min(USED.load(Ordering::Relaxed)),
        record_bytes: HAS_RECORDS.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum::<usize>()
            * RECORDS_STEP,
        // The frees first: they are never more than the allocations.
        frees: FREED.load(Ordering::Relaxed) as u64,
        allocations: SERVED.load(Ordering::Relaxed) as u64,
        live_bytes: LIVE_BYTES.load(Ordering::Relaxed),
    }
}

/// Makes a new block; null when there is no memory.
fn new_block(log: u32) -> *mut u8 {
    if log >= CHUNK_LOG {
        return take_range(1 << log);
    }
    let chunk = pop(CHUNK_LOG);
    let chunk = if chunk.is_null() { take_range(CHUNK) } else { chunk };
    if chunk.is_null() {
        return chunk;
    }
    for rest in (1_usize << log..CHUNK).step_by(1 << log) {
        // SAFETY: inside the chunk, and ours alone.
        unsafe { push(log, chunk.add(rest)) };
    }
    chunk
}

/// Takes memory for whole chunks from the range; null when there is none.
fn take_range(taken: usize) -> *mut u8 {
    let (base, bytes) = range();
    let take = |used: usize| used.checked_add(taken).filter(|&after| after <= bytes);
    let Ok(start) = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
        return ptr::null_mut();
    };
    let chunk: *mut u8 = ptr::with_exposed_provenance_mut(base + start);
    // SAFETY: the addresses are ours alone since the exchange.
    if cover(start) && unsafe { os::commit(chunk, taken) } { chunk } else { ptr::null_mut() }
}

/// First address of a range, and bytes of it that blocks may have; none while there is no range.
fn unpack(range: usize) -> (usize, usize) {
    let log = range % OS_PAGE;
    let records = ((1 << log) / CHUNK * size_of::<Record>()).next_multiple_of(RECORDS_STEP);
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
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Held by each test here: they share the range.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn objects_hold_their_bytes_and_come_back() {
        let _alone = alone();
        for log in 0..22 {
            for align in [1, 16, 64, 4096, 1 << 20] {
                let size = 3 << log;
                let object = allocate(size, align);
                assert!(!object.is_null() && object.addr().is_multiple_of(align) && owns(object));
                assert!(usable_bytes(object).is_some_and(|usable| usable >= size), "{size} at {align}");
                // SAFETY: the object is ours and that long; it is freed once, and then once more.
                unsafe {
                    object.write_bytes(7, size);
                    assert_eq!(usable_bytes(object.add(16)), None, "inside the object");
                    object.write_bytes(0, size);
                    assert!(free(object));
                    assert!(!free(object), "a double free");
                }
                assert_eq!(usable_bytes(object), None);
            }
        }
        assert!(allocate(usize::MAX, 16).is_null() && allocate(1 << 40, 16).is_null());
        assert!(!owns(ptr::from_ref(&0).cast()));
    }

    #[test]
    fn chunks_without_a_live_object_go_back() {
        let _alone = alone();
        let objects: std::vec::Vec<*mut u8> = (0..10_000).map(|_| allocate(300, 16)).collect();
        let chunk_of = |object: &*mut u8| object.addr() / CHUNK;
        let (live, dead) = (objects[5000], chunk_of(&objects[5000]));
        for &object in objects.iter().filter(|&&object| object != live) {
            // SAFETY: the object is ours.
            assert!(unsafe { free(object) });
        }
        let mut given = std::vec::Vec::new();
        assert!(!give_back(|chunk, bytes| {
            assert_eq!(bytes, CHUNK);
            given.push(chunk.addr() / CHUNK);
            true
        }));
        assert!(!given.contains(&dead), "a live object lies there");
        // At the ends others' objects may lie.
        let whole = objects[500..9500].iter().map(chunk_of).filter(|&chunk| chunk != dead);
        assert!(whole.clone().count() > 1000 && whole.clone().all(|chunk| given.contains(&chunk)));
        assert!(usable_bytes(live).is_some());
        // They serve another length.
        let object = allocate(CHUNK / 4, 16);
        assert!(given.contains(&(object.addr() / CHUNK)));
        // SAFETY: the objects are ours.
        assert!(unsafe { free(object) && free(live) });
    }

    #[test]
    fn live_objects_never_overlap() {
        let _alone = alone();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                scope.spawn(move || {
                    let mut held = std::collections::VecDeque::new();
                    for n in 0..20_000_usize {
                        let size = 1 + n * 37 % 3000;
                        let object = allocate(size, 16);
                        // SAFETY: the object is ours and that long.
                        unsafe { object.write_bytes(thread, size) };
                        held.push_back((object, size));
                        if held.len() > 50 {
                            let (object, size): (*mut u8, usize) = held.pop_front().expect("held");
                            // SAFETY: as above.
                            unsafe {
                                let bytes = core::slice::from_raw_parts(object, size);
                                assert!(bytes.iter().all(|&byte| byte == thread));
                                assert!(free(object));
                            }
                        }
                    }
                });
            }
        });
    }
}
