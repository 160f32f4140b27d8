//! The metadata allocator: memory for the allocator's own records (segments with their pages, large mappings, heaps,
//! transfer batches, nodes of the page map).
//!
//! It bumps a pointer through mappings of its own, apart from user memory, so that no overrun of an object reaches a
//! record and no record spoils the alignment of user pages. Records never go back to the OS. Each user of this file
//! keeps the records that it needs no more for reuse.

use crate::os::{self, OS_PAGE};
use crate::sync::{Lock, constant, global};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Bytes mapped at a time. They become resident only as records are made.
const CHUNK: usize = 256 << 10;

/// The first chunk: part of the program, so that a process that allocates little maps nothing for records. It is
/// aligned to an OS page, so that the first records lie on as few OS pages as possible.
#[repr(align(4096))]
struct First(UnsafeCell<[u8; CHUNK]>);

// SAFETY: only the holder of the lock `BUMP` hands out parts of it.
unsafe impl Sync for First {}

const _: () = assert!(align_of::<First>() == OS_PAGE);

#[unsafe(link_section = ".bss.hakmem_tables")]
static FIRST: First = First(UnsafeCell::new([0; CHUNK]));

#[derive(Debug)]
struct Bump {
    next: *mut u8,
    left: usize,
    /// Chunks mapped so far, without the first.
    chunks: usize,
    /// Pages mapped so far besides.
    pages: usize,
}

/// Mapped chunks whose addresses are noted: 1 GiB of records.
const KNOWN_CHUNKS: usize = 4096;

/// Where the mapped chunks lie, for the statistics. Stores release and loads acquire.
#[unsafe(link_section = ".bss.hakmem_tables")]
static CHUNKS: [AtomicPtr<u8>; KNOWN_CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; KNOWN_CHUNKS];

// SAFETY: the pointers lead to memory that only the lock's holder hands out.
unsafe impl Send for Bump {}

impl Bump {
    constant! {
        /// The whole first chunk. Each run of a model starts with the chunk zeroed and unused.
        fn first() -> Bump {
            let chunk: *mut u8 = FIRST.0.get().cast();
            if cfg!(loom) {
                // SAFETY: one model runs at a time, and the records of its last run are gone with it.
                unsafe { chunk.write_bytes(0, CHUNK) };
            }
            Bump { next: chunk, left: CHUNK, chunks: 0, pages: 0 }
        }
    }
}

global! {
    static BUMP: Lock<Bump> = Lock::new(Bump::first());
}

/// Zeroed memory for one `T`, which lives as long as the process; `None` when the OS refuses.
///
/// All-zero bytes must be a valid `T`.
pub(crate) fn allocate<T>() -> Option<ptr::NonNull<T>> {
    const { assert!(size_of::<T>() <= CHUNK) };
    allocate_bytes(size_of::<T>(), align_of::<T>()).map(ptr::NonNull::cast)
}

/// As [`allocate`], for an array of `words` words, at most a chunk's.
pub(crate) fn allocate_words(words: usize) -> Option<ptr::NonNull<usize>> {
    allocate_bytes(words * size_of::<usize>(), align_of::<usize>()).map(ptr::NonNull::cast)
}

/// An OS page mapped for one record alone, zeroed, for as long as the process lives; `None` when the OS refuses.
pub(crate) fn allocate_page() -> Option<ptr::NonNull<u8>> {
    let page = ptr::NonNull::new(os::map(OS_PAGE))?;
    BUMP.lock().pages += 1;
    Some(page)
}

/// Counts OS pages of records that others map.
pub(crate) fn note_pages(pages: usize) {
    BUMP.lock().pages += pages;
}

/// `bytes` is at most [`CHUNK`].
fn allocate_bytes(bytes: usize, align: usize) -> Option<ptr::NonNull<u8>> {
    // Whole cache lines, so that two threads' records never share one.
    let bytes = bytes.next_multiple_of(64);
    let mut bump = BUMP.lock();
    let mut skip = bump.next.addr().next_multiple_of(align) - bump.next.addr();
    if bump.left < bytes + skip {
        let chunk = os::map(CHUNK);
        if chunk.is_null() {
            return None;
        }
        if let Some(known) = CHUNKS.get(bump.chunks) {
            known.store(chunk, Ordering::Release);
        }
        *bump = Bump { next: chunk, left: CHUNK, chunks: bump.chunks + 1, pages: bump.pages };
        skip = 0;
    }
    let record = bump.next.wrapping_add(skip);
    bump.next = record.wrapping_add(bytes);
    bump.left -= bytes + skip;
    ptr::NonNull::new(record)
}

/// Bytes of the allocator's records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Bytes of all chunks, [`PROGRAM_BYTES`] and those that were mapped, and of pages besides.
    pub(crate) bytes: usize,
    /// Bytes of them that no record has yet. What is left of an older chunk does not count.
    pub(crate) free_bytes: usize,
}

/// Bytes of the first chunk, which is part of the program and so not mapped.
pub(crate) const PROGRAM_BYTES: usize = CHUNK;

/// Counts the bytes of chunks.
pub(crate) fn usage() -> Usage {
    let bump = BUMP.lock();
    Usage { bytes: PROGRAM_BYTES + bump.chunks * CHUNK + bump.pages * OS_PAGE, free_bytes: bump.left }
}

/// Resident bytes of all chunks and pages. Pages, and chunks beyond [`KNOWN_CHUNKS`], count as wholly resident.
pub(crate) fn resident_bytes() -> usize {
    let (chunks, pages) = {
        let bump = BUMP.lock();
        (bump.chunks, bump.pages)
    };
    let known = CHUNKS.iter().take(chunks).map(|chunk| os::resident_bytes(chunk.load(Ordering::Acquire), CHUNK));
    let unknown = chunks.saturating_sub(KNOWN_CHUNKS) * CHUNK;
    os::resident_bytes(FIRST.0.get().cast(), CHUNK) + known.sum::<usize>() + unknown + pages * OS_PAGE
}
