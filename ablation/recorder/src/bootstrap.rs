//! Memory for the loader, while it is asked for the next allocator.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

const BYTES: usize = 64 << 10;
/// Before each object: its size.
const BEFORE: usize = 16;

#[repr(align(64))]
struct Memory(UnsafeCell<[u8; BYTES]>);

// SAFETY: each object is given out once.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; BYTES]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// A zeroed object that is never freed. Null where there is no more memory.
pub(crate) fn allocate(size: usize, align: usize) -> *mut c_void {
    let align = align.clamp(BEFORE, 4096);
    let Some(bytes) = size.checked_add(align + BEFORE) else { return ptr::null_mut() };
    let from = USED.fetch_add(bytes.next_multiple_of(BEFORE), Ordering::Relaxed);
    if from.checked_add(bytes).is_none_or(|end| end > BYTES) {
        return ptr::null_mut();
    }
    let start = MEMORY.0.get().cast::<u8>();
    let at = (start.addr() + from + BEFORE).next_multiple_of(align) - start.addr();
    // SAFETY: within the memory, and of this object alone.
    unsafe { start.add(at - BEFORE).cast::<usize>().write(size) };
    // SAFETY: as above.
    unsafe { start.add(at).cast() }
}

/// Whether an object is of here: it is neither freed nor passed on.
#[inline(always)]
pub(crate) fn has(object: *mut c_void) -> bool {
    object.addr().wrapping_sub(MEMORY.0.get().addr()) < BYTES
}

/// The size of an object of here.
pub(crate) fn size_of(object: *mut c_void) -> usize {
    // SAFETY: `allocate` wrote it before the object.
    unsafe { object.cast::<u8>().sub(BEFORE).cast::<usize>().read() }
}
