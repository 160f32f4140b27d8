//! The timed loops: one for each lifetime pattern, the same for every allocator.
//!
//! A loop works through a slice of operations and does nothing else: no clock, no decision, no division, no bounds
//! check. Which slice it works through, and when, is left to [`crate::workload::script_runner`].

use crate::allocator::{Allocator, layout, out_of_memory};
use crate::workload::script::{Op, SLOTS, Script};
use crate::workload::touch::Use;

/// Live blocks of `--lifetime ring`.
pub(crate) const RING: usize = 16;

/// A live block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    /// Null when the place is empty.
    pub(crate) ptr: *mut u8,
    /// Bytes requested.
    pub(crate) size: u32,
}

impl Block {
    pub(crate) const NONE: Block = Block { ptr: std::ptr::null_mut(), size: 0 };
}

/// A running checksum of the work: sizes in order, and a byte read back from each block. No address enters it, so it is
/// equal for every allocator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checksum(pub(crate) u64);

impl Checksum {
    /// Adds one value; the order matters.
    #[inline(always)]
    pub(crate) fn add(&mut self, value: u64) {
        self.0 = self.0.rotate_left(1).wrapping_add(value);
    }
}

/// One timed loop, with the blocks that are live at the moment.
pub(crate) trait TimedLoop {
    /// Does the operations.
    ///
    /// # Safety
    /// - `ops` is the part of the script that follows the part of the last call, or its beginning after
    ///   [`TimedLoop::rewind`] (at first, and after the end).
    /// - `A` and `U` are the same in all calls, [`TimedLoop::drain`] included.
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]);

    /// Tells the loop that the script begins again.
    fn rewind(&mut self) {}

    /// Frees the blocks that are still live.
    ///
    /// # Safety
    /// - As for [`TimedLoop::run`], and it is not called again.
    unsafe fn drain<A: Allocator, U: Use>(&mut self, _a: A) {}

    /// The checksum of all work so far.
    fn checksum(&self) -> Checksum;
}

/// Every block is freed at once.
#[derive(Default)]
pub(crate) struct Lifo {
    sum: Checksum,
}

impl TimedLoop for Lifo {
    #[inline(never)]
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]) {
        let mut sum = self.sum;
        for op in ops {
            // SAFETY: the block is live until `release`, which comes once and with the same types.
            unsafe {
                let block = request::<A, U>(a, op, &mut sum);
                release::<A, U>(a, block, &mut sum);
            }
        }
        self.sum = sum;
    }

    fn checksum(&self) -> Checksum {
        self.sum
    }
}

/// 16 blocks are live; the oldest is freed before the next is requested.
pub(crate) struct Ring {
    blocks: [Block; RING],
    next: usize,
    sum: Checksum,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { blocks: [Block::NONE; RING], next: 0, sum: Checksum::default() }
    }
}

impl TimedLoop for Ring {
    #[inline(never)]
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]) {
        let (mut next, mut sum) = (self.next, self.sum);
        for op in ops {
            let place = &mut self.blocks[next % RING];
            next = next.wrapping_add(1);
            if !place.ptr.is_null() {
                // SAFETY: requested 16 operations ago, and overwritten below.
                unsafe { release::<A, U>(a, *place, &mut sum) };
            }
            // SAFETY: the block is kept until its turn, or `drain`.
            *place = unsafe { request::<A, U>(a, op, &mut sum) };
        }
        (self.next, self.sum) = (next, sum);
    }

    unsafe fn drain<A: Allocator, U: Use>(&mut self, a: A) {
        for i in 0..RING {
            let block = self.blocks[(self.next + i) % RING];
            if !block.ptr.is_null() {
                // SAFETY: live, and drained once.
                unsafe { release::<A, U>(a, block, &mut self.sum) };
            }
        }
    }

    fn checksum(&self) -> Checksum {
        self.sum
    }
}

/// A group is requested, then freed in the same order.
pub(crate) struct Group {
    /// One place for each block of a group.
    blocks: Vec<Block>,
    sum: Checksum,
}

impl Group {
    /// With places for groups of `group` blocks.
    pub(crate) fn new(group: usize) -> Group {
        Group { blocks: vec![Block::NONE; group], sum: Checksum::default() }
    }
}

impl TimedLoop for Group {
    #[inline(never)]
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]) {
        let mut sum = self.sum;
        let mut rest = ops;
        while !rest.is_empty() {
            // SAFETY: parts of the script are whole groups.
            let (group, after) = unsafe { rest.split_at_unchecked(self.blocks.len()) };
            rest = after;
            for (place, op) in self.blocks.iter_mut().zip(group) {
                // SAFETY: the block is kept until the loop below.
                *place = unsafe { request::<A, U>(a, op, &mut sum) };
            }
            for block in &self.blocks {
                // SAFETY: requested above, and every place is emptied once.
                unsafe { release::<A, U>(a, *block, &mut sum) };
            }
        }
        self.sum = sum;
    }

    fn checksum(&self) -> Checksum {
        self.sum
    }
}

/// A group is requested, then freed in the order that the script has for it.
pub(crate) struct ShuffledGroup<'s> {
    order: &'s [u16],
    /// How many entries of `order` are done.
    at: usize,
    /// One place for each block of a group.
    blocks: Vec<Block>,
    sum: Checksum,
}

impl<'s> ShuffledGroup<'s> {
    /// With places for groups of `group` blocks.
    pub(crate) fn new(script: &'s Script, group: usize) -> ShuffledGroup<'s> {
        ShuffledGroup { order: &script.order, at: 0, blocks: vec![Block::NONE; group], sum: Checksum::default() }
    }
}

impl TimedLoop for ShuffledGroup<'_> {
    #[inline(never)]
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]) {
        let (mut at, mut sum) = (self.at, self.sum);
        let mut rest = ops;
        while !rest.is_empty() {
            let next = at + self.blocks.len();
            // SAFETY: parts of the script are whole groups, and the script has an order for each between two rewinds.
            let ((group, after), order) =
                unsafe { (rest.split_at_unchecked(self.blocks.len()), self.order.get_unchecked(at..next)) };
            (rest, at) = (after, next);
            for (place, op) in self.blocks.iter_mut().zip(group) {
                // SAFETY: the block is kept until the loop below.
                *place = unsafe { request::<A, U>(a, op, &mut sum) };
            }
            for place in order {
                // SAFETY: requested above; the order of a group has each of its places once.
                unsafe { release::<A, U>(a, *self.blocks.get_unchecked(usize::from(*place)), &mut sum) };
            }
        }
        (self.at, self.sum) = (at, sum);
    }

    fn rewind(&mut self) {
        self.at = 0;
    }

    fn checksum(&self) -> Checksum {
        self.sum
    }
}

/// Random lifetimes in 64 slots, as drawn in the script.
pub(crate) struct Churn<'s> {
    frees: &'s [u8],
    next_free: usize,
    blocks: [Block; SLOTS],
    sum: Checksum,
}

impl<'s> Churn<'s> {
    /// All slots empty.
    pub(crate) fn new(script: &'s Script) -> Churn<'s> {
        Churn { frees: &script.frees, next_free: 0, blocks: [Block::NONE; SLOTS], sum: Checksum::default() }
    }
}

impl TimedLoop for Churn<'_> {
    #[inline(never)]
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]) {
        let (mut next_free, mut sum) = (self.next_free, self.sum);
        for op in ops {
            // SAFETY: the script names slots below SLOTS, and only empty ones to fill.
            unsafe { *self.blocks.get_unchecked_mut(usize::from(op.slot)) = request::<A, U>(a, op, &mut sum) };
            for _ in 0..op.frees {
                // SAFETY: the script has an entry for each free between two rewinds, and names only occupied slots.
                unsafe {
                    let slot = usize::from(*self.frees.get_unchecked(next_free));
                    let place = self.blocks.get_unchecked_mut(slot);
                    release::<A, U>(a, *place, &mut sum);
                    *place = Block::NONE;
                }
                next_free += 1;
            }
        }
        (self.next_free, self.sum) = (next_free, sum);
    }

    fn rewind(&mut self) {
        self.next_free = 0;
    }

    unsafe fn drain<A: Allocator, U: Use>(&mut self, a: A) {
        for block in self.blocks {
            if !block.ptr.is_null() {
                // SAFETY: live, and drained once.
                unsafe { release::<A, U>(a, block, &mut self.sum) };
            }
        }
    }

    fn checksum(&self) -> Checksum {
        self.sum
    }
}

/// First half of an operation: requests a block and writes it. Ends the process when there is no memory.
///
/// # Safety
/// - `op.size` is at least [`ALIGN`](crate::allocator::ALIGN).
#[inline(always)]
pub(crate) unsafe fn request<A: Allocator, U: Use>(a: A, op: &Op, sum: &mut Checksum) -> Block {
    let size = op.size as usize;
    // SAFETY: the caller promises the size; a block that is not null has that many bytes.
    let ptr = unsafe {
        let ptr = a.alloc(layout(size), op.site);
        if ptr.is_null() {
            out_of_memory(size);
        }
        U::write(ptr, size, op.byte);
        ptr
    };
    sum.add(size as u64);
    Block { ptr, size: op.size }
}

/// Second half of an operation: reads a byte back and frees the block.
///
/// # Safety
/// - `block` is live, from [`request`] with the same types.
#[inline(always)]
pub(crate) unsafe fn release<A: Allocator, U: Use>(a: A, block: Block, sum: &mut Checksum) {
    let size = block.size as usize;
    // SAFETY: the caller promises a live block, written in `request`.
    unsafe {
        sum.add(u64::from(U::read(block.ptr, size)));
        a.dealloc(block.ptr, layout(size));
    }
}
