//! An allocator that costs nothing: every address was computed before the run, and a request reads the next one.
//!
//! What a replay takes with it is the replay itself and the use of the memory, so it bounds what any allocator could win. The
//! addresses belong to one trace; each thread reads its own list, in the order of its requests.

use super::{Allocator, Witness, no_mark, out_of_memory};
use hakmem::Site;
use std::alloc::Layout;
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a unit of addresses.
const UNIT: usize = 16;

/// Where the memory lies that addresses are counted from, and its bytes. Set before any thread reads it.
static START: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The next address of the thread.
    static NEXT: Cell<*const u32> = const { Cell::new(std::ptr::null()) };
}

/// The lists of addresses as an allocator.
#[derive(Clone, Copy, Default)]
pub(crate) struct Precomputed;

impl Precomputed {
    #[inline(always)]
    fn next() -> *mut u8 {
        NEXT.with(|next| {
            let at = next.get();
            // SAFETY: the list has an address for each request of the thread.
            let unit = unsafe { *at } as usize;
            // SAFETY: within the list, or just past it.
            next.set(unsafe { at.add(1) });
            (START.load(Relaxed) + unit * UNIT) as *mut u8
        })
    }
}

impl Allocator for Precomputed {
    fn prepare_addresses(self, bytes: u64) {
        map(bytes as usize);
    }

    fn begin_thread(self, addresses: &[u32]) {
        NEXT.with(|next| next.set(addresses.as_ptr()));
    }

    #[inline(always)]
    unsafe fn alloc(self, _layout: Layout, _site: Site) -> *mut u8 {
        Self::next()
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        let ptr = Self::next();
        // SAFETY: the layout of addresses has room for the object.
        unsafe { ptr.write_bytes(0, layout.size()) };
        ptr
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Self::next();
        if new != ptr {
            // SAFETY: both places have room for so much, and the new one has no live object.
            unsafe { std::ptr::copy_nonoverlapping(ptr, new, layout.size().min(size)) };
        }
        new
    }

    #[inline(always)]
    unsafe fn dealloc(self, _ptr: *mut u8, _layout: Layout) {}
}

/// It knows the memory that it mapped.
pub(crate) const WITNESS: Witness = Witness {
    name: "floor",
    by: "the memory that it mapped",
    mark: no_mark,
    claims: |_, ptr, _| {
        let start = START.load(Relaxed);
        (start..start + BYTES.load(Relaxed)).contains(&(ptr as usize))
    },
};

/// Maps the memory that addresses are counted from, all of it resident, in huge pages if the kernel has any.
fn map(bytes: usize) {
    const HUGE: usize = 2 << 20;
    let room = bytes.next_multiple_of(HUGE) + HUGE;
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping anywhere.
    let whole = unsafe { libc::mmap(std::ptr::null_mut(), room, access, flags, -1, 0) };
    if whole == libc::MAP_FAILED {
        out_of_memory(bytes);
    }
    let start = (whole as usize).next_multiple_of(HUGE);
    // SAFETY: within the mapping, which is writable; the advice may be refused.
    unsafe {
        libc::madvise(start as *mut _, room - HUGE, libc::MADV_HUGEPAGE);
        for page in (start..start + room - HUGE).step_by(4096) {
            (page as *mut u8).write_volatile(0);
        }
    }
    START.store(start, Relaxed);
    BYTES.store(bytes, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_take_the_list_from_its_beginning() {
        map(1 << 20);
        Precomputed.begin_thread(&[4, 0, 4, 100]);
        let layout = Layout::from_size_align(64, 16).expect("a layout");
        // SAFETY: the list has four addresses, of objects that do not overlap.
        unsafe {
            let first = Precomputed.alloc(layout, hakmem::site!());
            let second = Precomputed.alloc_zeroed(layout);
            assert_eq!(first.offset_from(second), 64);
            first.write(7);
            assert_eq!(Precomputed.realloc(first, layout, 60), first);
            assert_eq!(Precomputed.realloc(first, layout, 100).read(), 7);
            assert!((WITNESS.claims)(0, first, 64) && !(WITNESS.claims)(0, std::ptr::null(), 64));
        }
    }
}
