//! Memory for the allocator's own records: pages, segments, spans, heaps, map nodes.
//!
//! Bump allocation from mappings of its own, apart from user memory, so that no overrun of an object reaches it and no
//! record spoils the alignment of user pages. Never returned to the OS: whoever frees a record keeps it for the next.

use crate::os;
use crate::sync::Lock;
use core::ptr;

/// Bytes mapped at a time; touched, and so resident, only as records are made.
const CHUNK: usize = 256 << 10;

#[derive(Debug)]
struct Bump {
    next: *mut u8,
    left: usize,
}

// SAFETY: the pointers lead to memory that only the lock's holder hands out.
unsafe impl Send for Bump {}

static BUMP: Lock<Bump> = Lock::new(Bump { next: ptr::null_mut(), left: 0 });

/// Zeroed memory for one `T` that lives as long as the process, or `None` when the OS refuses.
///
/// `T` must be valid when all its bytes are zero.
pub(crate) fn allocate<T>() -> Option<ptr::NonNull<T>> {
    // A line each: records of two threads never share one.
    let bytes = size_of::<T>().next_multiple_of(64);
    const { assert!(align_of::<T>() <= 64 && size_of::<T>() <= CHUNK) };
    let mut bump = BUMP.lock();
    if bump.left < bytes {
        let chunk = os::map(CHUNK);
        if chunk.is_null() {
            return None;
        }
        *bump = Bump { next: chunk, left: CHUNK };
    }
    let record = bump.next;
    // SAFETY: `bytes` are left in the chunk.
    bump.next = unsafe { record.add(bytes) };
    bump.left -= bytes;
    ptr::NonNull::new(record.cast())
}

/// The lock, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    BUMP.acquire();
}

/// Frees the lock after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took it.
pub(crate) unsafe fn release_after_fork() {
    // SAFETY: passed on.
    unsafe { BUMP.release() };
}
