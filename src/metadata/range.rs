//! The range: one stretch of addresses for everything that has a size class, and the tables over it.
//!
//! A free needs to know one thing about an address: its slot list. A table has a word for each block of the range,
//! found by a subtraction, a shift and a compare. The compare also rejects a foreign address, before anything near it
//! is read. The page map covers what lies outside: mappings of their own, and chunks where the range is full or was
//! refused. The arena decides which part of the range is used for what.
//!
//! The range is not mapped. Its addresses lie where the kernel maps nothing by itself, and a part is mapped when it becomes
//! memory; where another mapping came first, that is refused, and the arena goes elsewhere. So no limit (`RLIMIT_AS`,
//! `RLIMIT_MEMLOCK`) and no core dump counts what is not used yet.

use crate::class::{BLOCK, SEGMENT_BLOCKS, SMALL_LISTS, SlotListOffset};
use crate::metadata::allocator;
use crate::metadata::segment::{SEGMENT, Segment};
use crate::os::{self, OS_PAGE};
use crate::sync::atomic::AtomicUsize;
use crate::sync::{Once, constant, global};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicU64, Ordering};

/// Bytes of the range, tried in this order where the range must be mapped: addresses cost no memory, but a limit on them
/// (`RLIMIT_AS`) or a checker (Valgrind above 16 GiB) refuses long ranges.
const RANGE_BYTES: [usize; 6] = [RANGE_BYTES_MAX, 16 << 30, 4 << 30, 1 << 30, 256 << 20, 64 << 20];
const RANGE_BYTES_MAX: usize = 64 << 30;

global! {
    static BOUNDS: Bounds = Bounds::new();
}
global! {
    /// 1 once the range was reserved, or refused.
    static TRIED: Once = Once::new();
}
/// The slot list of each block in which an object with a class may start. Relaxed: a word is written before the first
/// address of its block is handed out, and whatever passes the address to another thread orders the word as well.
#[unsafe(link_section = ".bss.hakmem_tables")]
static LISTS: [AtomicU16; RANGE_BYTES_MAX / BLOCK] = [const { AtomicU16::new(0) }; RANGE_BYTES_MAX / BLOCK];
/// The segments made so far, from the last of the range to the first: the words of the first segment of large objects, here
/// and at the end of [`LISTS`], are likely to share an OS page. Stores release and loads acquire.
#[unsafe(link_section = ".bss.hakmem_tables")]
static SEGMENTS: [AtomicPtr<Segment>; RANGE_BYTES_MAX / SEGMENT] =
    [const { AtomicPtr::new(ptr::null_mut()) }; RANGE_BYTES_MAX / SEGMENT];

/// The table of last offsets: a word for each block of the range, behind the side table; null while it is not used. It is
/// no part of the program, since a process would be charged for all of it. Only segments that have small pages need it. Relaxed, as
/// [`LISTS`].
static LAST_OFFSETS: AtomicPtr<AtomicU16> = AtomicPtr::new(ptr::null_mut());
/// Bytes of the range for which an OS page of that table serves.
const LAST_GRANULE: usize = OS_PAGE / size_of::<AtomicU16>() * BLOCK;
/// A bit for each OS page of that table that is memory. Changes only under the arena's lock.
static LAST_PAGES: [AtomicU64; RANGE_BYTES_MAX / LAST_GRANULE / 64] =
    [const { AtomicU64::new(0) }; RANGE_BYTES_MAX / LAST_GRANULE / 64];

/// Whether the range is a mapping without access; else nothing is mapped there. Relaxed: written before the bounds.
static IS_MAPPED: AtomicBool = AtomicBool::new(false);

/// Where the range lies.
#[derive(Debug)]
struct Bounds {
    /// The first address.
    base: AtomicUsize,
    /// Length in blocks; 0 while there is no range, so that no address lies in it.
    length_blocks: AtomicUsize,
}

impl Bounds {
    constant! {
        fn new() -> Bounds {
            Bounds { base: AtomicUsize::new(0), length_blocks: AtomicUsize::new(0) }
        }
    }

    fn set(&self, base: usize, length_blocks: usize) {
        self.base.store(base, Ordering::Relaxed);
        // Release: pairs with the acquire in `get`.
        self.length_blocks.store(length_blocks, Ordering::Release);
    }

    /// The first address and the length in blocks; the length is 0 unless the address is valid.
    fn get(&self) -> (usize, usize) {
        // Acquire: pairs with the release in `set`, so that the length comes with its base.
        let length_blocks = self.length_blocks.load(Ordering::Acquire);
        (self.base.load(Ordering::Relaxed), length_blocks)
    }

    /// The index of an address's block; `None` outside the range.
    fn block_of(&self, address: *const u8) -> Option<usize> {
        let (base, length_blocks) = self.get();
        let block = address.addr().wrapping_sub(base) / BLOCK;
        (block < length_blocks).then_some(block)
    }
}

/// What is known of the objects in a block of the range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockObjects {
    list: u16,
    block: usize,
}

/// Bytes of the largest objects in lists of [`SMALL_LISTS`].
const SMALL_BYTES: usize = 16 * SMALL_LISTS.len();

const _: () = assert!(BLOCK == 1 << 16, "an offset in a block has 16 bits");

impl BlockObjects {
    /// The slot list that takes them when they are freed.
    #[inline(always)]
    pub(crate) fn list(self) -> SlotListOffset {
        SlotListOffset(u32::from(self.list))
    }

    /// The last offset that was noted as handed out.
    ///
    /// # Safety
    /// - [`use_last_offsets`] was called, and the block has a slot list of [`SMALL_LISTS`].
    #[inline(always)]
    pub(crate) unsafe fn last_offset(self) -> u16 {
        // SAFETY: the table is memory for every segment with small pages, before a block there has a list.
        unsafe { &*LAST_OFFSETS.load(Ordering::Relaxed).add(self.block) }.load(Ordering::Relaxed)
    }
}

/// What is known of the objects in the address's block; `None` outside the range.
#[inline(always)]
pub(crate) fn block_objects(address: *const u8) -> Option<BlockObjects> {
    // Relaxed: the range is reserved before an object in it is handed out. With a length that comes before its base, an
    // address of user space is beyond the range.
    let block = address.addr().wrapping_sub(BOUNDS.base.load(Ordering::Relaxed)) / BLOCK;
    if block >= BOUNDS.length_blocks.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: the range is no longer than the table.
    let list = unsafe { LISTS.get_unchecked(block) }.load(Ordering::Relaxed);
    Some(BlockObjects { list, block })
}

/// Notes that an object at the address is handed out, whose block has a slot list of [`SMALL_LISTS`]. Only after
/// [`use_last_offsets`].
pub(crate) fn note_handed_out(address: *const u8) {
    if let Some(last) = BOUNDS.block_of(address).and_then(last_offset_of) {
        let offset = address.addr() as u16;
        if offset > last.load(Ordering::Relaxed) {
            last.fetch_max(offset, Ordering::Relaxed);
        }
    }
}

/// The last offset's word of a block with a slot list of [`SMALL_LISTS`]; `None` while there are none.
fn last_offset_of(block: usize) -> Option<&'static AtomicU16> {
    let table = LAST_OFFSETS.load(Ordering::Relaxed);
    // SAFETY: as in `BlockObjects::last_offset`.
    (!table.is_null()).then(|| unsafe { &*table.add(block) })
}

/// The slot list that takes an object at the address when it is freed; [`SlotListOffset::NONE`] where there is none.
pub(crate) fn slot_list_at(address: *const u8) -> SlotListOffset {
    block_objects(address).map_or(SlotListOffset::NONE, BlockObjects::list)
}

/// Sets the slot list of objects that start in a block, of which none was handed out; does nothing outside the range.
pub(crate) fn set_slot_list(block_address: *const u8, list: SlotListOffset) {
    if let Some(block) = BOUNDS.block_of(block_address) {
        if list.class().is_some_and(|class| class.slot_bytes() <= SMALL_BYTES)
            && let Some(last) = last_offset_of(block)
        {
            last.store(0, Ordering::Relaxed);
        }
        LISTS[block].store(list.0 as u16, Ordering::Relaxed);
    }
}

/// Sets the slot list of objects in a block whose page changes its owner; does nothing outside the range.
pub(crate) fn change_owner(block_address: *const u8, list: SlotListOffset) {
    if let Some(block) = BOUNDS.block_of(block_address) {
        LISTS[block].store(list.0 as u16, Ordering::Relaxed);
    }
}

/// The segment of an address in the range; `None` where none was made.
pub(crate) fn segment_of(address: *const u8) -> Option<&'static Segment> {
    let block = BOUNDS.block_of(address)?;
    // SAFETY: the words are null or addresses of segments, which live for ever.
    unsafe { SEGMENTS[segment_index(block)].load(Ordering::Acquire).as_ref() }
}

/// The index in [`SEGMENTS`] of the segment that a block of the range lies in.
fn segment_index(block: usize) -> usize {
    (BOUNDS.get().1 - 1 - block) / SEGMENT_BLOCKS
}

/// Enters a segment of the range.
pub(crate) fn enter_segment(segment: &'static Segment) {
    let block = (segment.base.get().addr() - BOUNDS.get().0) / BLOCK;
    SEGMENTS[segment_index(block)].store(ptr::from_ref(segment).cast_mut(), Ordering::Release);
}

/// Finds addresses for the range, unless that was tried before.
pub(crate) fn reserve_once() {
    TRIED.get_or_make(|| {
        reserve();
        1
    });
}

fn reserve() {
    if cfg!(loom) {
        // One model runs at a time, and the memory of its last run is gone with it.
        SEGMENTS.iter().for_each(|segment| segment.store(ptr::null_mut(), Ordering::Relaxed));
        LAST_PAGES.iter().for_each(|bits| bits.store(0, Ordering::Relaxed));
    }
    if let Some(base) = os::free_addresses(with_tables(RANGE_BYTES_MAX), SEGMENT) {
        BOUNDS.set(base.addr(), RANGE_BYTES_MAX / BLOCK);
        return;
    }
    IS_MAPPED.store(true, Ordering::Relaxed);
    // At most half of a limit: the process needs addresses for other things.
    let most = os::address_limit() / 2;
    for bytes in RANGE_BYTES.into_iter().filter(|&bytes| bytes <= most) {
        // One segment more, to align; the ends stay without memory.
        let range = os::reserve(with_tables(bytes) + SEGMENT);
        if !range.is_null() {
            BOUNDS.set(range.addr().next_multiple_of(SEGMENT), bytes / BLOCK);
            range.expose_provenance();
            return;
        }
    }
}

/// Bytes of the range for each byte of the side table, which lies behind the range, its last byte first. A segment has an
/// OS page of it.
///
/// So the side table's part for the last segment lies right behind that segment, and the part for the first one right
/// before the first last offsets: each is memory with one call.
pub(crate) const SIDE_GRANULE: usize = SEGMENT / OS_PAGE;

/// Bytes of a range with the two tables behind it.
const fn with_tables(bytes: usize) -> usize {
    bytes + bytes / SIDE_GRANULE + bytes.div_ceil(LAST_GRANULE) * OS_PAGE
}

/// The address of the side table's first byte, which is for the range's last [`SIDE_GRANULE`] bytes; `None` where there is
/// no range.
pub(crate) fn side_table() -> Option<*mut u8> {
    let (base, bytes) = bounds();
    (bytes > 0).then(|| base.wrapping_add(bytes))
}

/// The address of the first last offset; `None` where there is no range.
fn last_offsets() -> Option<*mut u8> {
    side_table().map(|side| side.wrapping_add(bounds().1 / SIDE_GRANULE))
}

/// Begins to note the last offset of each block that is handed out, before the first request.
pub(crate) fn use_last_offsets() {
    // In a model the range has no memory.
    if let Some(table) = last_offsets().filter(|_| !cfg!(loom)) {
        LAST_OFFSETS.store(table.cast(), Ordering::Relaxed);
    }
}

/// Makes a part of the range memory, as [`commit`], and what the tables have for it. Returns `false` when the kernel
/// refuses. Called under the arena's lock.
///
/// # Safety
/// - `[start, start + bytes)` begins with a segment, lies in the range and is not memory yet.
/// - the tables have no memory for its segments yet. `is_small` says that they will have small pages.
pub(crate) unsafe fn commit_with_tables(start: *mut u8, bytes: usize, is_small: bool) -> bool {
    let Some(side) = side_table() else { return false };
    let covered = bytes.next_multiple_of(SEGMENT);
    let part = side.wrapping_add((side.addr() - start.addr() - covered) / SIDE_GRANULE);
    let side_bytes = covered / SIDE_GRANULE;
    if start.wrapping_add(bytes) == part && !is_small {
        // SAFETY: the caller's promise.
        let is_done = unsafe { commit(start, bytes + side_bytes) };
        if is_done {
            allocator::note_pages(side_bytes / OS_PAGE);
        }
        return is_done;
    }
    // SAFETY: the caller's promise.
    if !unsafe { commit(start, bytes) } {
        return false;
    }
    let first = last_offsets().filter(|&last| is_small && part.wrapping_add(side_bytes) == last && !is_last_page(0));
    // SAFETY: the parts are the tables', and not used yet.
    let is_done = unsafe {
        match first {
            Some(_) => commit_table(part, side_bytes + OS_PAGE) && note_last_page(0),
            None => (!is_small || commit_last_offsets(start, covered)) && commit_table(part, side_bytes),
        }
    };
    if !is_done {
        // SAFETY: the part is not used.
        unsafe { decommit(start, bytes) };
    }
    is_done
}

/// Makes last offsets memory for segments that will have small pages; those outside the range need none. Returns `false`
/// when the kernel refuses. Called under the arena's lock.
pub(crate) fn commit_last_offsets(start: *const u8, bytes: usize) -> bool {
    let (Some(block), Some(last)) = (BOUNDS.block_of(start), last_offsets()) else { return true };
    let from = block * BLOCK;
    let mut pages = from / LAST_GRANULE..(from + bytes).div_ceil(LAST_GRANULE);
    pages.all(|page| {
        // SAFETY: the page is ours, and was not used.
        is_last_page(page)
            || unsafe { commit_table(last.wrapping_add(page * OS_PAGE), OS_PAGE) } && note_last_page(page)
    })
}

/// Whether this OS page of last offsets is memory.
fn is_last_page(page: usize) -> bool {
    LAST_PAGES[page / 64].load(Ordering::Relaxed) & (1 << (page % 64)) != 0
}

/// Notes that this OS page of last offsets is memory. Returns `true`.
fn note_last_page(page: usize) -> bool {
    LAST_PAGES[page / 64].fetch_or(1 << (page % 64), Ordering::Relaxed);
    true
}

/// Makes a part of a table memory.
///
/// # Safety
/// - the part belongs to a table of the range, and is no memory yet.
unsafe fn commit_table(part: *mut u8, bytes: usize) -> bool {
    let is_done = if IS_MAPPED.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise.
        unsafe { os::commit(part, bytes) }
    } else {
        os::map_at(part, bytes)
    };
    if is_done {
        allocator::note_pages(bytes / OS_PAGE);
    }
    is_done
}

/// Makes a part of the range memory: readable, writable and zero. Returns `false` when the kernel refuses, or something
/// else is mapped there.
///
/// # Safety
/// - `[base, base + bytes)` lies in the range and is not memory yet.
pub(crate) unsafe fn commit(base: *mut u8, bytes: usize) -> bool {
    if IS_MAPPED.load(Ordering::Relaxed) {
        // The kernel checked `RLIMIT_AS` when the range was mapped. A limit that was set since then is checked here.
        // SAFETY: the caller's promise.
        os::mapped().bytes + bytes <= os::address_limit() && unsafe { os::commit(base, bytes) }
    } else {
        os::map_at(base, bytes)
    }
}

/// Makes a part of the range no memory again. Returns `false` when the kernel refuses, and where that would save no
/// addresses.
///
/// # Safety
/// - [`commit`] made `[base, base + bytes)` memory, and it is not used any more.
pub(crate) unsafe fn decommit(base: *mut u8, bytes: usize) -> bool {
    // SAFETY: the caller's promise.
    !IS_MAPPED.load(Ordering::Relaxed) && unsafe { os::unmap_part(base, bytes) }
}

/// The first address of the range, and its bytes, a multiple of a segment's; 0 bytes when there is none.
pub(crate) fn bounds() -> (*mut u8, usize) {
    let (base, length_blocks) = BOUNDS.get();
    (ptr::with_exposed_provenance_mut(base), length_blocks * BLOCK)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_decide_which_addresses_lie_in_the_range() {
        reserve_once();
        let (base, bytes) = bounds();
        assert!(bytes > 0 && bytes.is_multiple_of(SEGMENT) && base.addr().is_multiple_of(SEGMENT));
        let (base, end) = (base.addr(), base.addr() + bytes);
        let block_of = |address| BOUNDS.block_of(ptr::without_provenance(address));
        assert_eq!([base, end - 1].map(block_of), [Some(0), Some(bytes / BLOCK - 1)]);
        for address in [0, 1, BLOCK, base - 1, end, usize::MAX, usize::MAX - BLOCK, 1 << 47] {
            assert_eq!(block_of(address), None, "{address:#x}");
            let address = ptr::without_provenance(address);
            assert_eq!(slot_list_at(address), SlotListOffset::NONE);
            assert!(segment_of(address).is_none());
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use loom::thread;

    /// A thread that has called `reserve_once` sees the range; any other sees the range or none.
    #[test]
    fn loom_range_is_seen_whole_by_all() {
        check(|| {
            let want = || {
                reserve_once();
                let (base, length_blocks) = BOUNDS.get();
                assert_eq!(length_blocks, RANGE_BYTES[RANGE_BYTES.len() - 1] / BLOCK);
                assert!(base > 0 && base.is_multiple_of(SEGMENT));
            };
            let others = [thread::spawn(want), thread::spawn(reserve_once)];
            let (base, bytes) = bounds();
            assert!(bytes == 0 || !base.is_null());
            assert_eq!(slot_list_at(ptr::without_provenance(BLOCK)), SlotListOffset::NONE);
            want();
            others.into_iter().for_each(|other| other.join().expect("no panic"));
        });
    }

    /// A length that is seen without its base would make a foreign address one of the range's.
    fn look_early() {
        BOUNDS.get();
        let reserver = thread::spawn(reserve_once);
        let (base, length_blocks) = BOUNDS.get();
        assert!(length_blocks == 0 || base > 0);
        reserver.join().expect("no panic");
    }

    #[test]
    fn loom_range_is_never_seen_in_half() {
        check(look_early);
    }

    #[test]
    fn loom_range_needs_its_acquire() {
        assert!(fails(Loss::Acquire, look_early));
    }

    #[test]
    fn loom_range_needs_its_release() {
        assert!(fails(Loss::Release, look_early));
    }
}
