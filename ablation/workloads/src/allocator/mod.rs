//! The allocators that can be measured: the two calls that the timed loops make, and the witness of each allocator.
//!
//! Each allocator has a file of its own with a type and its `WITNESS`. [`crate::registry`] gives them names, the timed
//! loops are in [`crate::workload`], and [`crate::proof`] judges what the witnesses say.

pub(crate) mod floor;
pub(crate) mod hakmem;
#[cfg(feature = "jemalloc")]
pub(crate) mod jemalloc;
pub(crate) mod library;
#[cfg(feature = "mimalloc")]
pub(crate) mod mimalloc;
pub(crate) mod precomputed;
pub(crate) mod preloaded;
#[cfg(feature = "snmalloc")]
pub(crate) mod snmalloc;
pub(crate) mod system;

use ::hakmem::Site;
use std::alloc::Layout;

/// Alignment of every request, bytes: what `malloc` promises on 64-bit machines. No request is smaller.
pub(crate) const ALIGN: usize = 16;

/// An allocator as the timed loops see it. Both calls are always inlined, so that every allocator is measured in its
/// own copy of each loop.
pub(crate) trait Allocator: Copy + Send + Sync + 'static {
    /// Maps the memory in which a replay's precomputed addresses lie. Only [`precomputed`] has any.
    fn prepare_addresses(self, _bytes: u64) {}

    /// Tells a thread of a replay the addresses that were computed for it. Only [`precomputed`] has any.
    fn begin_thread(self, _addresses: &[u32]) {}

    /// Requests a block. Returns null when there is no memory.
    ///
    /// # Safety
    /// - `layout.size()` is not zero.
    unsafe fn alloc(self, layout: Layout, site: Site) -> *mut u8;

    /// Requests a block that is all zero. Returns null when there is no memory.
    ///
    /// # Safety
    /// - `layout.size()` is not zero.
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8;

    /// Gives a block another size; the block may move. Returns null when there is no memory, and the block is then as it was.
    ///
    /// # Safety
    /// - As for [`Allocator::dealloc`], and `size` is not zero. From now on the block's layout has that size.
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8;

    /// Frees a block.
    ///
    /// # Safety
    /// - `ptr` came from [`Allocator::alloc`] or another request of the same allocator with the same `layout`, and was not freed before.
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout);
}

/// Tells whether an allocator served a given block, by that allocator's own records.
#[derive(Clone, Copy)]
pub(crate) struct Witness {
    /// Name of the allocator.
    pub(crate) name: &'static str,
    /// Which call or record decides, for the sentence of the proof.
    pub(crate) by: &'static str,
    /// Reads the allocator's records before one request. The value is handed to `claims`.
    pub(crate) mark: fn() -> u64,
    /// Whether this allocator served the block of `size` bytes that was requested since `mark`.
    pub(crate) claims: fn(mark: u64, ptr: *const u8, size: usize) -> bool,
}

/// The mark of witnesses that need none.
fn no_mark() -> u64 {
    0
}

/// The layout of a request.
///
/// # Safety
/// - `size` is at least [`ALIGN`], as the script's sizes are. The compiler is told, because an adaptor that asks would
///   put a branch into its loop that a program with a fixed layout does not have.
#[inline(always)]
pub(crate) unsafe fn layout(size: usize) -> Layout {
    // SAFETY: the caller promises it.
    unsafe { std::hint::assert_unchecked(size >= ALIGN) };
    // SAFETY: ALIGN is a power of two, and sizes are far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(size, ALIGN) }
}

/// Ends the process: a run without memory measures nothing.
#[cold]
#[inline(never)]
pub(crate) fn out_of_memory(size: usize) -> ! {
    eprintln!(
        "error: the allocator returned null for {size} bytes: give it more memory, or measure a smaller scenario"
    );
    std::process::exit(1);
}
