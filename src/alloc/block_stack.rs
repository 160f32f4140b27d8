//! A lock-free stack of free blocks, linked through their first words (R. K. Treiber, IBM RJ 5118, 1986).
//!
//! The head is the address of the newest block and, in the bits that no such address uses, a count of changes: a caller
//! that read the head and then finds the same block on top of different ones must notice.

use crate::sync::{atomic, constant};
use core::ptr;
use core::sync::atomic::Ordering;

/// Blocks begin at multiples of so many bytes.
pub(super) const ALIGN: usize = 32;

/// The stack, which is its head.
#[derive(Debug)]
pub(super) struct BlockStack(atomic::AtomicUsize);

/// Bits of an address.
const ADDRESS_BITS: u32 = 48;
const ADDRESS: usize = ((1 << ADDRESS_BITS) - 1) & !(ALIGN - 1);

impl BlockStack {
    constant! {
        pub(super) fn new() -> BlockStack {
            BlockStack(atomic::AtomicUsize::new(0))
        }
    }

    /// The head with another block on top. The count is what is left of the address: its carry goes around.
    fn head_with(old: usize, block: usize) -> usize {
        let low = (old & (ALIGN - 1)) + 1;
        let high = (old >> ADDRESS_BITS) + (low >> ALIGN.trailing_zeros());
        block | (low & (ALIGN - 1)) | (high << ADDRESS_BITS)
    }

    /// # Safety
    /// - the block is the caller's alone, and below all objects in it that are still used.
    pub(super) unsafe fn push(&self, block: *mut u8) {
        // SAFETY: blocks hold a word at their aligned start.
        let link = unsafe { &*block.cast::<atomic::AtomicUsize>() };
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            link.store(head & ADDRESS, Ordering::Relaxed);
            let new = BlockStack::head_with(head, block.expose_provenance());
            // Release: pairs with the acquires in `pop`.
            match self.0.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }

    /// The newest block; null when there is none.
    pub(super) fn pop(&self) -> *mut u8 {
        // Acquire, here and below: pairs with the release in `push`.
        let mut head = self.0.load(Ordering::Acquire);
        loop {
            let block: *mut u8 = ptr::with_exposed_provenance_mut(head & ADDRESS);
            if block.is_null() {
                return block;
            }
            // SAFETY: blocks are never unmapped. If another caller has the block by now, this may be any word, and the
            // exchange fails.
            let below = unsafe { (*block.cast::<atomic::AtomicUsize>()).load(Ordering::Relaxed) } & ADDRESS;
            let new = BlockStack::head_with(head, below);
            match self.0.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return block,
                Err(newer) => head = newer,
            }
        }
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

    /// A block: its link, and what a user writes to it, which no other thread may meet.
    #[repr(C, align(64))]
    struct Block {
        link: atomic::AtomicUsize,
        number: UnsafeCell<usize>,
    }

    /// Blocks with these numbers, by address.
    fn blocks<const COUNT: usize>() -> Arc<[Block; COUNT]> {
        Arc::new(core::array::from_fn(|n| Block { link: atomic::AtomicUsize::new(0), number: UnsafeCell::new(n) }))
    }

    fn push(stack: &BlockStack, block: &Block) {
        // SAFETY: the block is the caller's, and begins with its link.
        unsafe { stack.push((&raw const block.link).cast_mut().cast()) };
    }

    /// Pops a block, reads its number and writes it again.
    fn pop<'a, const COUNT: usize>(stack: &BlockStack, blocks: &'a [Block; COUNT]) -> Option<&'a Block> {
        let address = stack.pop().cast_const().cast();
        let block = blocks.iter().find(|block| core::ptr::eq(&raw const block.link, address))?;
        // SAFETY: the checker panics if another thread has the block.
        unsafe { *block.number.get() += 0 };
        Some(block)
    }

    /// Asserts that the stack and the threads together hold every block once.
    fn assert_all<const COUNT: usize>(stack: &BlockStack, blocks: &[Block; COUNT], held: Vec<&Block>) {
        let left = core::iter::from_fn(|| pop(stack, blocks));
        // SAFETY: all other threads have ended.
        let mut all: Vec<usize> = held.into_iter().chain(left).map(|block| unsafe { block.number.read() }).collect();
        all.sort_unstable();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
    }

    /// One thread pops, while another pops two and pushes the first one again: the first thread may find the block that it
    /// read on top, but with another one below.
    fn sleeping_pop() {
        let (stack, blocks) = (Arc::new(BlockStack::new()), blocks::<2>());
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
    fn loom_block_stack_notices_that_the_top_went_and_came_back() {
        check(sleeping_pop);
    }

    #[test]
    fn loom_block_stack_needs_its_count_of_changes() {
        assert!(fails(Loss::Bits(ADDRESS), sleeping_pop));
    }

    /// Two threads pass blocks on, each sees what the last one wrote.
    fn pass_on() {
        let (stack, blocks) = (Arc::new(BlockStack::new()), blocks::<2>());
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
    fn loom_block_stack_loses_and_doubles_no_block() {
        check(pass_on);
    }

    #[test]
    fn loom_block_stack_needs_its_acquires() {
        assert!(fails(Loss::Acquire, pass_on));
    }

    #[test]
    fn loom_block_stack_needs_its_release() {
        assert!(fails(Loss::Release, pass_on));
    }
}
