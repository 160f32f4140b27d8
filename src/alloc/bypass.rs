//! The bypass: memory for callers that must not wait for a lock.
//!
//! They are a signal handler that interrupted the allocator, code that runs while the process forks, and the child of a
//! fork that no handler was called for. They are rare, so the bypass is simple: blocks of powers of two, each after a
//! header, taken from a range of addresses of its own and kept for reuse in one lock-free stack ([`super::treiber_stack`])
//! per length. Everything
//! here may be interrupted at any instruction and called again: no step waits for another.
//!
//! Objects of the other stations that such callers free wait in [`super::deferred_frees`].
//!
//! A block of an OS page or more gives its memory back to the OS when it is freed.

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
/// Blocks shorter than this are made so many bytes at a time.
const CHUNK: usize = 64 << 10;

/// The first address of the range, and in its low bits the length's power of two; 0 until it is reserved.
static RANGE: AtomicUsize = AtomicUsize::new(0);
/// Bytes of the range that blocks have.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Requests served, objects freed, and bytes of the blocks of the live ones. Only the statistics read them.
static SERVED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
global! {
    /// Free blocks by length.
    static FREE: [FreeBlocks; (LOG_MAX - LOG_MIN + 1) as usize] = each FreeBlocks::new();
}

/// Free blocks of one length.
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
    let block = free_blocks(log).pop();
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
    if bytes > OS_PAGE {
        // The first page stays: the block's link lies there.
        // SAFETY: the block is ours alone until it is pushed.
        unsafe { os::decommit(block.add(OS_PAGE), bytes - OS_PAGE) };
    }
    // SAFETY: as above.
    unsafe { free_blocks(log as u32).push(block) };
    true
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

fn free_blocks(log: u32) -> &'static FreeBlocks {
    &FREE[(log - LOG_MIN) as usize]
}

/// What the statistics say of the bypass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Where the range begins.
    pub(super) start: *mut u8,
    /// Bytes of it that blocks have.
    pub(super) bytes: usize,
    /// Requests served so far.
    pub(crate) allocations: u64,
    /// Objects freed so far.
    pub(crate) frees: u64,
    /// Bytes of the blocks of the live objects.
    pub(crate) live_bytes: usize,
}

impl Usage {
    /// Bytes of blocks that no live object has.
    pub(crate) fn free_bytes(&self) -> usize {
        self.bytes.saturating_sub(self.live_bytes)
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
        // The frees first: they are never more than the allocations.
        frees: FREED.load(Ordering::Relaxed) as u64,
        allocations: SERVED.load(Ordering::Relaxed) as u64,
        live_bytes: LIVE_BYTES.load(Ordering::Relaxed),
    }
}

/// Takes a new block from the range; null when there is none.
fn new_block(log: u32) -> *mut u8 {
    let block_bytes = 1 << log;
    let (base, bytes) = range();
    let taken = block_bytes.max(CHUNK);
    let take = |used: usize| used.checked_add(taken).filter(|&after| after <= bytes);
    let Ok(start) = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
        return ptr::null_mut();
    };
    let chunk: *mut u8 = ptr::with_exposed_provenance_mut(base + start);
    // SAFETY: the addresses are ours alone since the exchange.
    if !unsafe { os::commit(chunk, taken) } {
        return ptr::null_mut();
    }
    for rest in (block_bytes..taken).step_by(block_bytes) {
        // SAFETY: inside the chunk, and ours alone.
        unsafe { free_blocks(log).push(chunk.add(rest)) };
    }
    chunk
}

/// First address and bytes of a range; no bytes while there is none.
fn unpack(range: usize) -> (usize, usize) {
    let log = range % OS_PAGE;
    (range - log, if log == 0 { 0 } else { 1 << log })
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

    #[test]
    fn objects_hold_their_bytes_and_come_back() {
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
    fn live_objects_never_overlap() {
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
