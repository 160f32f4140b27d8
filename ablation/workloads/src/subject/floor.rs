//! The floor: no allocator, but what one costs at least that keeps memory. For each size a stack of blocks that are
//! mapped, faulted in and never returned; a request takes the top, a return puts it back, and nothing is checked.
//!
//! What a touched block costs here is the memory's price, which no allocator can go below. The stacks are filled before
//! the run with as many blocks as will live at once, so only runs for which that number is known can be served
//! ([`serves`]), by one thread.

use super::{Engine, Subject, Witness, no_mark};
use crate::plan::{Plan, Way};
use crate::proof;
use crate::scenario::Sizes;
use crate::script::{OS_PAGE, Op};
use crate::{drive, lifetime};
use hakmem::Site;
use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::sync::Mutex;

/// One stack for each power of two that a size is not below.
const STACKS: usize = 32;
/// Places of a stack: the ring's blocks and the proof's.
const PLACES: usize = lifetime::RING + proof::BLOCKS + 1;
/// Blocks share none of these.
const CACHE_LINE: usize = 64;
/// A huge page.
const HUGE: usize = 2 << 20;

/// All stacks, for one thread.
struct Stacks {
    /// Above the top block of each stack.
    above: [UnsafeCell<*mut *mut u8>; STACKS],
    places: UnsafeCell<[[*mut u8; PLACES]; STACKS]>,
}

// SAFETY: one thread runs a plan, prepares it before and proves it after; the tests each take a size of their own.
unsafe impl Sync for Stacks {}

static ALL: Stacks = Stacks {
    above: [const { UnsafeCell::new(std::ptr::null_mut()) }; STACKS],
    places: UnsafeCell::new([[std::ptr::null_mut(); PLACES]; STACKS]),
};

/// Start and end of every piece of memory that blocks were cut from.
static MAPPED: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Mapped memory.
#[derive(Clone, Copy, Default)]
struct Floor;

impl Subject for Floor {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // Volatile, as the compiler would cancel a request against the return that follows it.
        // SAFETY: sizes are below 4 GiB, and the stack has a block: `prepare` knew how many live at once.
        unsafe {
            let above = ALL.above.get_unchecked(stack(layout.size())).get();
            let top = above.read_volatile().sub(1);
            above.write_volatile(top);
            top.read_volatile()
        }
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

/// The floor knows what it mapped.
pub(super) const ENGINE: Engine = Engine {
    drive: |plan| {
        prepare(plan);
        drive::drive::<Floor>(plan)
    },
    verify: |ops, witnesses| {
        sizes_of(ops).into_iter().for_each(|size| fill(size, proof::blocks(ops) + 1, false));
        proof::verify::<Floor>(ops, witnesses)
    },
    serves: Some(serves),
    ..Engine::of::<Floor>(Witness {
        name: "floor",
        by: "the ranges that it mapped",
        mark: no_mark,
        claims: |_, ptr, _| {
            let mapped = MAPPED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            mapped.iter().any(|(start, end)| (*start..*end).contains(&(ptr as usize)))
        },
    })
};

/// Whether the blocks that live at once are known, of sizes with a stack each.
fn serves(plan: &Plan) -> bool {
    matches!(plan.way, Way::Lifo | Way::Ring) && matches!(plan.scenario.sizes, Sizes::Each(_) | Sizes::Given)
}

#[inline(always)]
fn stack(size: usize) -> usize {
    size.ilog2() as usize
}

/// Fills the stacks for a plan that [`serves`] allows.
fn prepare(plan: &Plan) {
    let live = if plan.way == Way::Ring { lifetime::RING } else { 1 };
    match plan.scenario.sizes {
        Sizes::Each(sizes) => sizes.iter().for_each(|size| fill(*size, live, true)),
        Sizes::Given => fill(plan.bytes, live, true),
        Sizes::Octaves { .. } | Sizes::Pages { .. } => {}
    }
}

/// The sizes that occur.
fn sizes_of(ops: &[Op]) -> Vec<u32> {
    let mut sizes: Vec<u32> = ops.iter().map(|op| op.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Maps memory for `count` blocks and puts them on the size's stack; with `fault_in` in huge pages, if the kernel has
/// any, and all there before the first request.
fn fill(size: u32, count: usize, fault_in: bool) {
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
    // SAFETY: nobody else is at this stack now, see `Stacks`; at most PLACES blocks are ever put on it.
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
        lifetime::out_of_memory(bytes);
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
    use crate::plan::Lifetime;
    use crate::scenario::SCENARIOS;

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
            let claims = ENGINE.witness.claims;
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

    #[test]
    fn every_listed_size_has_a_stack_of_its_own() {
        for scenario in SCENARIOS {
            if let Sizes::Each(sizes) = scenario.sizes {
                let mut stacks: Vec<_> = sizes.iter().map(|size| stack(*size as usize)).collect();
                stacks.dedup();
                assert_eq!(stacks.len(), sizes.len(), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn only_known_numbers_of_blocks_are_served() {
        let check = |scenario, lifetime| serves(&Plan::of_test(scenario, lifetime));
        for scenario in ["json", "mir", "vm", "mixed", "fixed"] {
            assert!(check(scenario, None) && check(scenario, Some(Lifetime::Ring)));
            assert!(!check(scenario, Some(Lifetime::Batch)) && !check(scenario, Some(Lifetime::Handoff)));
        }
        for scenario in ["small", "churn", "threads", "parallel", "handback"] {
            assert!(!check(scenario, None), "{scenario}");
        }
    }
}
