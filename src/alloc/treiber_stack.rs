//! A lock-free stack of blocks of memory, linked through their first words (R. K. Treiber, IBM RJ 5118, 1986).
//!
//! The head is the address of the newest block and, in the bits that no such address uses, a count of changes: a thread
//! that read the head and then finds the same block on top of different ones must notice (the ABA problem). Blocks are
//! never unmapped, so that a thread may read one that another thread has popped.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::constant;
use core::ptr;

/// Bits of an address.
const ADDRESS_BITS: u32 = 48;

/// A stack of blocks that begin at multiples of `ALIGN` bytes, a power of two.
#[derive(Debug)]
pub(super) struct TreiberStack<const ALIGN: usize>(AtomicUsize);

impl<const ALIGN: usize> TreiberStack<ALIGN> {
    /// Bits below an address: with the 16 above it they count the changes.
    const LOW_BITS: u32 = ALIGN.trailing_zeros();
    /// The bits of the head that are an address.
    pub(super) const ADDRESS: usize = ((1 << ADDRESS_BITS) - 1) & !(ALIGN - 1);

    constant! {
        pub(super) fn new() -> TreiberStack<ALIGN> {
            TreiberStack(AtomicUsize::new(0))
        }
    }

    /// The head with another block on top, and the count raised by one.
    fn head_with(old: usize, top: usize) -> usize {
        // The count's low part is in the low bits; its carry goes to the high part.
        let low = (old & (ALIGN - 1)) + 1;
        let high = (old >> ADDRESS_BITS) + (low >> Self::LOW_BITS);
        top | (low & (ALIGN - 1)) | (high << ADDRESS_BITS)
    }

    /// Puts a block on top.
    ///
    /// # Safety
    /// - the block begins at a multiple of `ALIGN`, with a word that other threads access as an atomic only;
    /// - it is the caller's alone, and is never unmapped.
    pub(super) unsafe fn push(&self, block: *mut u8) {
        // SAFETY: passed on.
        unsafe { self.push_all(block, block) };
    }

    /// Puts blocks on top, of which each but the last is linked to the next one ([`Self::link`]).
    ///
    /// # Safety
    /// - as [`Self::push`], for each of them.
    pub(super) unsafe fn push_all(&self, first: *mut u8, last: *mut u8) {
        // SAFETY: the caller's promise.
        let link = unsafe { &*last.cast::<AtomicUsize>() };
        let address = first.expose_provenance();
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            link.store(head & Self::ADDRESS, Ordering::Relaxed);
            // Release: pairs with the acquires in `pop` and `take_all`: the thread that takes the blocks sees what is in
            // them.
            let new = Self::head_with(head, address);
            match self.0.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }

    /// Takes all blocks: the newest one, which leads to the others by [`Self::next`]; null when there is none.
    pub(super) fn take_all(&self) -> *mut u8 {
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            if head & Self::ADDRESS == 0 {
                return ptr::null_mut();
            }
            // Acquire: pairs with the release in `push_all`.
            match self.0.compare_exchange_weak(head, Self::head_with(head, 0), Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return ptr::with_exposed_provenance_mut(head & Self::ADDRESS),
                Err(newer) => head = newer,
            }
        }
    }

    /// The block below one that was taken by [`Self::take_all`]; null below the oldest.
    ///
    /// # Safety
    /// - the block is the caller's, and came from there.
    pub(super) unsafe fn next(block: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise.
        let word = unsafe { (*block.cast::<AtomicUsize>()).load(Ordering::Relaxed) };
        ptr::with_exposed_provenance_mut(word & Self::ADDRESS)
    }

    /// Links a block to the one that shall lie below it, for [`Self::push_all`].
    ///
    /// # Safety
    /// - as [`Self::push`].
    pub(super) unsafe fn link(block: *mut u8, below: *mut u8) {
        // SAFETY: the caller's promise. Atomic, since a thread in `pop` may read it.
        unsafe { (*block.cast::<AtomicUsize>()).store(below.expose_provenance(), Ordering::Relaxed) };
    }

    /// Whether there is no block.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) & Self::ADDRESS == 0
    }

    /// Takes the newest block; null when there is none.
    pub(super) fn pop(&self) -> *mut u8 {
        // Acquire, here and below: pairs with the release in `push_all`.
        let mut head = self.0.load(Ordering::Acquire);
        loop {
            let block: *mut u8 = ptr::with_exposed_provenance_mut(head & Self::ADDRESS);
            if block.is_null() {
                return block;
            }
            // SAFETY: blocks are never unmapped. If another thread has popped the block meanwhile, this may be any word,
            // and the exchange fails.
            let below = unsafe { (*block.cast::<AtomicUsize>()).load(Ordering::Relaxed) } & Self::ADDRESS;
            let new = Self::head_with(head, below);
            match self.0.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return block,
                Err(newer) => head = newer,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn assert_counts<const ALIGN: usize>() {
        let top = 0x7abc_def0_1400;
        let mut head = 0x7fff_ffff_fc00;
        for change in 1..200_000_usize {
            head = TreiberStack::<ALIGN>::head_with(head, top);
            assert_eq!(head & TreiberStack::<ALIGN>::ADDRESS, top);
            let low_bits = TreiberStack::<ALIGN>::LOW_BITS;
            let count = (head & !(usize::MAX << low_bits)) | (head >> ADDRESS_BITS << low_bits);
            assert_eq!(count, change);
        }
    }

    #[test]
    fn the_count_of_changes_never_touches_the_address() {
        assert_counts::<1024>();
        assert_counts::<32>();
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use crate::sync::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    type Stack = TreiberStack<{ align_of::<Block>() }>;

    /// A block: its link, and what a user writes to it, which no other thread may meet.
    #[repr(C, align(64))]
    struct Block {
        link: AtomicUsize,
        number: UnsafeCell<usize>,
    }

    /// Blocks with these numbers, by address.
    fn blocks<const COUNT: usize>() -> Arc<[Block; COUNT]> {
        Arc::new(core::array::from_fn(|n| Block { link: AtomicUsize::new(0), number: UnsafeCell::new(n) }))
    }

    fn push(stack: &Stack, block: &Block) {
        // SAFETY: the block is the caller's, and begins with its link.
        unsafe { stack.push((&raw const block.link).cast_mut().cast()) };
    }

    /// Pops a block, reads its number and writes it again.
    fn pop<'a, const COUNT: usize>(stack: &Stack, blocks: &'a [Block; COUNT]) -> Option<&'a Block> {
        let address = stack.pop().cast_const().cast();
        let block = blocks.iter().find(|block| core::ptr::eq(&raw const block.link, address))?;
        // SAFETY: the checker panics if another thread has the block.
        unsafe { *block.number.get() += 0 };
        Some(block)
    }

    /// Asserts that the stack and the threads together hold every block once.
    fn assert_all<const COUNT: usize>(stack: &Stack, blocks: &[Block; COUNT], held: Vec<&Block>) {
        let left = core::iter::from_fn(|| pop(stack, blocks));
        // SAFETY: all other threads have ended.
        let mut all: Vec<usize> = held.into_iter().chain(left).map(|block| unsafe { block.number.read() }).collect();
        all.sort_unstable();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
    }

    /// One thread pops, while another pops two and pushes the first one again: the first thread may find the block that it
    /// read on top, but with another one below.
    fn sleeping_pop() {
        let (stack, blocks) = (Arc::new(Stack::new()), blocks::<2>());
        blocks.iter().for_each(|block| push(&stack, block));
        let sleeper = thread::spawn({
            let (stack, blocks) = (stack.clone(), blocks.clone());
            move || pop(&stack, &blocks).map(|block| core::ptr::from_ref(block).addr())
        });
        let mut held: Vec<&Block> = [pop(&stack, &blocks), pop(&stack, &blocks)].into_iter().flatten().collect();
        if !held.is_empty() {
            push(&stack, held.remove(0));
        }
        let popped = sleeper.join().expect("no panic");
        held.extend(blocks.iter().filter(|&block| popped == Some(core::ptr::from_ref(block).addr())));
        assert_all(&stack, &blocks, held);
    }

    #[test]
    fn loom_treiber_stack_notices_that_the_top_went_and_came_back() {
        check(sleeping_pop);
    }

    #[test]
    fn loom_treiber_stack_needs_its_count_of_changes() {
        assert!(fails(Loss::Bits(Stack::ADDRESS), sleeping_pop));
    }

    /// Two threads pass blocks on, each sees what the last one wrote.
    fn pass_on() {
        let (stack, blocks) = (Arc::new(Stack::new()), blocks::<2>());
        push(&stack, &blocks[0]);
        let other = thread::spawn({
            let (stack, blocks) = (stack.clone(), blocks.clone());
            move || {
                // SAFETY: the block is this thread's.
                unsafe { *blocks[1].number.get() = 1 };
                push(&stack, &blocks[1]);
                if let Some(block) = pop(&stack, &blocks) {
                    push(&stack, block);
                }
            }
        });
        if let Some(block) = pop(&stack, &blocks) {
            push(&stack, block);
        }
        other.join().expect("no panic");
        assert_all(&stack, &blocks, Vec::new());
    }

    #[test]
    fn loom_treiber_stack_loses_and_doubles_no_block() {
        check(pass_on);
    }

    /// One thread takes all blocks and puts them back linked anew, as another pops one and pushes it.
    fn take_all() {
        let (stack, blocks) = (Arc::new(Stack::new()), blocks::<3>());
        blocks.iter().for_each(|block| push(&stack, block));
        let other = thread::spawn({
            let (stack, blocks) = (stack.clone(), blocks.clone());
            move || {
                if let Some(block) = pop(&stack, &blocks) {
                    push(&stack, block);
                }
            }
        });
        let first = stack.take_all();
        let (mut block, mut kept) = (first, core::ptr::null_mut());
        while !block.is_null() {
            // SAFETY: the blocks are ours; the checker panics if another thread has one.
            unsafe {
                let place = blocks.iter().position(|other| core::ptr::addr_eq(&raw const other.link, block));
                *blocks[place.expect("a block")].number.get() += 0;
                let next = Stack::next(block);
                Stack::link(block, kept);
                (kept, block) = (block, next);
            }
        }
        if !kept.is_null() {
            // SAFETY: as above: the one that was first is the last now.
            unsafe { stack.push_all(kept, first) };
        }
        other.join().expect("no panic");
        assert_all(&stack, &blocks, Vec::new());
    }

    #[test]
    fn loom_treiber_stack_gives_and_takes_all_blocks() {
        check(take_all);
    }

    #[test]
    fn loom_treiber_stack_needs_its_acquires() {
        assert!(fails(Loss::Acquire, pass_on));
    }

    #[test]
    fn loom_treiber_stack_needs_its_release() {
        assert!(fails(Loss::Release, pass_on));
    }
}
