//! The floor: no allocator, but the least that one can cost that keeps freed memory. Each size has a stack of blocks that
//! are mapped, faulted in and never returned. A request takes the top block, a free puts it back, and nothing is checked.
//!
//! What a touched block costs here is the cost of the memory itself, which no allocator can go below. The stacks must be
//! [filled](fill) before the run with as many blocks as will live at once. So the floor runs only workloads for which that
//! number is known, in one thread; [`crate::registry`] decides which.

use super::{Allocator, Witness, no_mark, out_of_memory};
use crate::os::OS_PAGE;
use hakmem::Site;
use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::sync::Mutex;

/// One stack for each power of two that a size is not below.
const STACKS: usize = 32;
/// Most blocks of a stack.
pub(crate) const PLACES: usize = 145;
/// Bytes of a cache line; no two blocks share one.
const CACHE_LINE: usize = 64;
/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// All stacks, for one thread.
struct Stacks {
    /// Above the top block of each stack.
    above: [UnsafeCell<*mut *mut u8>; STACKS],
    places: UnsafeCell<[[*mut u8; PLACES]; STACKS]>,
}

// SAFETY: one thread fills the stacks, runs the plan and proves it; the tests take a size each.
unsafe impl Sync for Stacks {}

static ALL: Stacks = Stacks {
    above: [const { UnsafeCell::new(std::ptr::null_mut()) }; STACKS],
    places: UnsafeCell::new([[std::ptr::null_mut(); PLACES]; STACKS]),
};

/// Start and end of every piece of memory that blocks were cut from.
static MAPPED: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// The stacks as an allocator.
#[derive(Clone, Copy, Default)]
pub(crate) struct Floor;

impl Allocator for Floor {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // Volatile, as the compiler would cancel a request against the return that follows it.
        // SAFETY: sizes are below 4 GiB, and the stack has a block: it was filled with as many as live at once.
        unsafe {
            let above = ALL.above.get_unchecked(stack(layout.size())).get();
            let top = above.read_volatile().sub(1);
            above.write_volatile(top);
            top.read_volatile()
        }
    }

    // No plan that the floor runs has these two calls, and null ends the process.
    unsafe fn alloc_zeroed(self, _layout: Layout) -> *mut u8 {
        std::ptr::null_mut()
    }

    unsafe fn realloc(self, _ptr: *mut u8, _layout: Layout, _size: usize) -> *mut u8 {
        std::ptr::null_mut()
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: sizes are below 4 GiB, and the block's place is free since it was requested.
        unsafe {
            let above = ALL.above.get_unchecked(stack(layout.size())).get();
            let top = above.read_volatile();
            top.write_volatile(ptr);
            above.write_volatile(top.add(1));
        }
    }
}

/// The floor knows the ranges that it mapped.
pub(crate) const WITNESS: Witness = Witness {
    name: "floor",
    by: "the ranges that it mapped",
    mark: no_mark,
    claims: |_, ptr, _| {
        let mapped = MAPPED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        mapped.iter().any(|(start, end)| (*start..*end).contains(&(ptr as usize)))
    },
};

/// Which stack has the blocks of a size.
#[inline(always)]
pub(crate) fn stack(size: usize) -> usize {
    size.ilog2() as usize
}

/// Maps memory for `count` blocks of `size` bytes and puts them on the size's stack. With `fault_in`, all of it is
/// resident before the first request, in huge pages if the kernel has any.
///
/// # Panics
/// When the stack has more than [`PLACES`] blocks.
pub(crate) fn fill(size: u32, count: usize, fault_in: bool) {
    let each = (size as usize).next_multiple_of(CACHE_LINE);
    let bytes = (each * count).next_multiple_of(HUGE);
    let start = map(bytes);
    if fault_in {
        // SAFETY: the whole range was just mapped, and is writable. Both pieces of advice may be refused.
        unsafe {
            libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE);
            for page in (0..bytes).step_by(OS_PAGE as usize) {
                start.add(page).write_volatile(0);
            }
            libc::madvise(start.cast(), bytes, libc::MADV_COLLAPSE);
        }
    }
    let index = stack(size as usize);
    // SAFETY: no other thread uses this stack now, see `Stacks`; the assertion keeps it below PLACES blocks.
    unsafe {
        let above = ALL.above[index].get();
        let bottom: *mut *mut u8 = (*ALL.places.get())[index].as_mut_ptr();
        if (*above).is_null() {
            *above = bottom;
        }
        for i in 0..count {
            assert!(*above < bottom.add(PLACES), "more blocks than a stack has places for");
            **above = start.add(i * each);
            *above = (*above).add(1);
        }
    }
}

/// Maps `bytes` at a multiple of a huge page, for good.
fn map(bytes: usize) -> *mut u8 {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a new mapping anywhere.
    let whole = unsafe { libc::mmap(std::ptr::null_mut(), bytes + HUGE, access, flags, -1, 0) };
    if whole == libc::MAP_FAILED {
        out_of_memory(bytes);
    }
    let whole: *mut u8 = whole.cast();
    // SAFETY: less than HUGE further on, which was mapped in addition.
    let start = unsafe { whole.add(whole.align_offset(HUGE)) };
    let range = (start as usize, start as usize + bytes);
    MAPPED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(range);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_that_was_given_back_comes_again() {
        fill(100, 3, true);
        let layout = Layout::from_size_align(100, 16).expect("a layout");
        // SAFETY: three blocks are there and two are requested; no other test takes this stack.
        unsafe {
            let (first, second) = (Floor.alloc(layout, hakmem::site!()), Floor.alloc(layout, hakmem::site!()));
            assert!((first as usize).abs_diff(second as usize) >= 100);
            Floor.dealloc(first, layout);
            assert_eq!(Floor.alloc(layout, hakmem::site!()), first);
            let claims = WITNESS.claims;
            assert!(claims(0, first, 100) && claims(0, second, 100) && !claims(0, std::ptr::null(), 100));
        }
    }

    #[test]
    fn blocks_of_2_mib_lie_on_huge_pages() {
        fill(2 << 20, 2, true);
        let layout = Layout::from_size_align(2 << 20, 16).expect("a layout");
        // SAFETY: two blocks are there and one is requested; no other test takes this stack.
        let ptr = unsafe { Floor.alloc(layout, hakmem::site!()) };
        assert!((ptr as usize).is_multiple_of(HUGE));
    }
}
