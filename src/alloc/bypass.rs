//! The bypass: memory for callers that must not wait for a lock.
//!
//! They are a signal handler that interrupted the allocator, code that runs while the process forks, and the child of a
//! fork that no handler was called for. They are rare, so the bypass is simple: blocks of powers of two, in which a header
//! lies before the object. Free ones are kept for reuse in one lock-free stack ([`super::treiber_stack`]) per length.
//! Everything here may be interrupted at any instruction and called again: no step waits for another.
//!
//! | blocks | made of | free ones are kept | when the memory goes back to the OS |
//! |---|---|---|---|
//! | shorter than a chunk | a chunk, cut | here, linked in themselves | beyond the first OS page when it is freed; with its chunk |
//! | of a chunk, 64 KiB, and more | a run of chunks | in [`super::bypass_chunks`] | when it is freed |
//!
//! That file also finds the chunks of which all blocks are free, at the moments that this one chooses ([`give_back_idle`]).
//! A request that comes meanwhile finds fewer free blocks, and takes a new chunk.
//!
//! Objects of the other stations that such callers free wait in [`super::deferred_frees`].

use super::bypass_chunks::{self, CHUNK, CHUNK_LOG, LOG_MAX};
use super::treiber_stack::TreiberStack;
use crate::os::{self, OS_PAGE};
use crate::sync::global;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

pub(super) use super::bypass_chunks::owns;

/// The shortest block, of 2^5 bytes: a header and an object of 16.
const LOG_MIN: u32 = 5;
/// Bytes of freed blocks that are worth a look for chunks that are free as a whole.
const DUE_BYTES: usize = 1 << 20;

/// Requests served, objects freed, and bytes of the blocks of the live ones. Only the statistics read them.
static SERVED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Bytes of blocks shorter than a chunk that were freed since [`give_back`] last looked at them.
static FRESH_BYTES: AtomicUsize = AtomicUsize::new(0);
/// [`FREED`] at the last epoch of the purge.
static SEEN: AtomicUsize = AtomicUsize::new(0);
global! {
    /// Free blocks shorter than a chunk, by length.
    static FREE: [FreeBlocks; (CHUNK_LOG - LOG_MIN) as usize] = each FreeBlocks::new();
}

/// Free blocks of one length, each linked in its first word.
type FreeBlocks = TreiberStack<{ 1 << LOG_MIN }>;

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
    let block = if log < CHUNK_LOG { take_block(log) } else { bypass_chunks::take(log) };
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
    let (bytes, log) = (1_usize << log, log as u32);
    FREED.fetch_add(1, Ordering::Relaxed);
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    // SAFETY: the block is ours alone until it is pushed, and is never unmapped. A shorter one's link lies in its first
    // page, which stays.
    unsafe {
        if log >= CHUNK_LOG {
            bypass_chunks::put(log, block);
        } else {
            if bytes > OS_PAGE {
                os::decommit(block.add(OS_PAGE), bytes - OS_PAGE);
            }
            FRESH_BYTES.fetch_add(bytes, Ordering::Relaxed);
            free_blocks(log).push(block);
        }
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
    if fresh == 0 && !bypass_chunks::has_dirty() {
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
pub(super) fn give_back(give: impl FnMut(*mut u8, usize) -> bool) -> bool {
    if FRESH_BYTES.swap(0, Ordering::Relaxed) > 0 {
        for log in LOG_MIN..CHUNK_LOG {
            // SAFETY: `take_block` cuts a chunk into blocks of one length. One thread at a time calls this.
            unsafe { bypass_chunks::gather(free_blocks(log), log) };
        }
    }
    bypass_chunks::give_back(give)
}

/// The header of a live object, and its block's length.
fn header_of(object: *mut u8) -> Option<(*const Header, usize)> {
    let (base, bytes) = bypass_chunks::used();
    let offset = object.addr().wrapping_sub(base);
    if offset >= bytes || offset < HEADER || !object.addr().is_multiple_of(HEADER) {
        return None;
    }
    let header: *const Header = object.cast::<Header>().wrapping_sub(1);
    // SAFETY: the chunks that were taken are readable, but for what another thread is about to commit, in which no live
    // object lies.
    let (block, log) = unsafe { ((*header).block.addr(), (*header).log.load(Ordering::Relaxed)) };
    let is_length = (LOG_MIN as usize..=LOG_MAX as usize).contains(&log);
    (is_length && owns(ptr::without_provenance(block)) && block < object.addr() && object.addr() - block < 1 << log)
        .then_some((header, log))
}

/// The free blocks of a length.
fn free_blocks(log: u32) -> &'static FreeBlocks {
    &FREE[(log - LOG_MIN) as usize]
}

/// Takes a block shorter than a chunk, of a new chunk where none is free; null when there is no memory.
fn take_block(log: u32) -> *mut u8 {
    let block = free_blocks(log).pop();
    if !block.is_null() {
        return block;
    }
    let chunk = bypass_chunks::take(CHUNK_LOG);
    if chunk.is_null() {
        return chunk;
    }
    for rest in (1_usize << log..CHUNK).step_by(1 << log) {
        // SAFETY: inside the chunk, ours alone, and never unmapped.
        unsafe { free_blocks(log).push(chunk.add(rest)) };
    }
    chunk
}

/// What the statistics say of the bypass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// What the range has in memory.
    extent: bypass_chunks::Extent,
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
        self.extent.bytes().saturating_sub(self.live_bytes)
    }

    /// Resident bytes of all that is mapped here.
    pub(super) fn resident_bytes(&self) -> usize {
        self.extent.resident_bytes()
    }

    pub(crate) fn live_objects(&self) -> u64 {
        self.allocations.saturating_sub(self.frees)
    }
}

/// The statistics' numbers.
pub(super) fn usage() -> Usage {
    Usage {
        extent: bypass_chunks::extent(),
        // The frees first: they are never more than the allocations.
        frees: FREED.load(Ordering::Relaxed) as u64,
        allocations: SERVED.load(Ordering::Relaxed) as u64,
        live_bytes: LIVE_BYTES.load(Ordering::Relaxed),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::bypass_chunks::tests::alone;
    use super::*;

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
