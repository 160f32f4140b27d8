//! Transfer batches: free objects of one class that threads pass on together, and lock-free stacks of batches.
//!
//! A batch has one owner, which alone reads and writes it; a stack passes the whole batch to the next owner.

use super::treiber_stack::TreiberStack;
use crate::metadata::allocator;
use crate::sync::atomic::AtomicUsize;
use crate::sync::cell::UnsafeCell;
use crate::sync::{constant, global};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::Relaxed;

/// Addresses in a batch.
pub(super) const BATCH_SLOTS: usize = 126;

global! {
    /// Empty batches, for reuse.
    static SPARE: Stack = Stack::new();
}

/// Batches that are refused before the OS is asked again, after it refused memory for one: the objects have another place.
/// Threads that pass here at the same time may refuse some more, or fewer.
static PASSES: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
const PASSES_MAX: u32 = 64;

/// Free objects of one class.
#[derive(Debug)]
#[repr(C, align(1024))]
pub(super) struct Batch {
    /// The batch below in the stack, as an address, which the stack writes.
    below: AtomicUsize,
    len: UnsafeCell<usize>,
    slots: UnsafeCell<[*mut u8; BATCH_SLOTS]>,
}

// SAFETY: a batch in a stack belongs to the thread that pops it; `below` is atomic.
unsafe impl Sync for Batch {}

impl Batch {
    constant! {
        /// An empty batch, in no stack.
        fn new() -> Batch {
            Batch {
                below: AtomicUsize::new(0),
                len: UnsafeCell::new(0),
                slots: UnsafeCell::new([ptr::null_mut(); BATCH_SLOTS]),
            }
        }
    }
}

/// A batch, as its owner has it.
#[derive(Debug)]
pub(super) struct OwnBatch(&'static Batch);

impl OwnBatch {
    /// An empty batch: one for reuse, or a new one. `None` when there is no memory.
    pub(super) fn take() -> Option<OwnBatch> {
        SPARE.pop().or_else(|| {
            if PASSES.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                return None;
            }
            let Some(batch) = allocator::allocate::<Batch>() else {
                PASSES.store(PASSES_MAX, Relaxed);
                return None;
            };
            // SAFETY: no other thread has the record, which lives for ever.
            unsafe {
                batch.write(Batch::new());
                Some(OwnBatch(batch.as_ref()))
            }
        })
    }

    /// Replaces the objects by these, at most [`BATCH_SLOTS`].
    pub(super) fn fill(&mut self, objects: &[*mut u8]) {
        // SAFETY: the batch is ours alone.
        let (len, slots) = unsafe { (&mut *self.0.len.get(), &mut *self.0.slots.get()) };
        slots[..objects.len()].copy_from_slice(objects);
        *len = objects.len();
    }

    /// The objects.
    pub(super) fn objects(&self) -> &[*mut u8] {
        // SAFETY: the batch is ours alone.
        unsafe { &(&*self.0.slots.get())[..*self.0.len.get()] }
    }

    /// Keeps the first `len` objects.
    pub(super) fn truncate(&mut self, len: usize) {
        // SAFETY: the batch is ours alone.
        let known = unsafe { &mut *self.0.len.get() };
        *known = len.min(*known);
    }

    /// Gives the record back for the next [`OwnBatch::take`].
    pub(super) fn recycle(self) {
        SPARE.push(self);
    }
}

/// A lock-free stack of batches.
#[derive(Debug)]
pub(super) struct Stack(Blocks);

/// The stack, to which a batch is a block of memory whose first word is the link.
type Blocks = TreiberStack<{ align_of::<Batch>() }>;

const _: () = assert!(core::mem::offset_of!(Batch, below) == 0);

impl Stack {
    constant! {
        pub(super) fn new() -> Stack {
            Stack(Blocks::new())
        }
    }

    /// Puts a batch on top.
    pub(super) fn push(&self, OwnBatch(batch): OwnBatch) {
        // SAFETY: batches are aligned, begin with `below`, live for ever, and this one is ours.
        unsafe { self.0.push(ptr::from_ref(batch).cast_mut().cast()) };
    }

    /// Takes the batch on top.
    pub(super) fn pop(&self) -> Option<OwnBatch> {
        // SAFETY: the stack holds batches alone, and passes this one on to us.
        NonNull::new(self.0.pop()).map(|batch| OwnBatch(unsafe { batch.cast().as_ref() }))
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A new batch of these.
    pub(in crate::alloc) fn batch(objects: &[usize]) -> OwnBatch {
        // SAFETY: all-zero bytes are an empty batch.
        let mut batch = OwnBatch(Box::leak(unsafe { Box::<Batch>::new_zeroed().assume_init() }));
        let objects: Vec<*mut u8> = objects.iter().map(|&at| ptr::without_provenance_mut(at)).collect();
        batch.fill(&objects);
        batch
    }

    #[test]
    fn batches_come_back_whole_newest_first() {
        let stack = Stack::new();
        assert!(stack.pop().is_none());
        stack.push(batch(&[16, 32]));
        stack.push(batch(&[48]));
        for expected in [&[48][..], &[16, 32]] {
            let popped = stack.pop().expect("pushed");
            let addresses: Vec<usize> = popped.objects().iter().map(|object| object.addr()).collect();
            assert_eq!(addresses, expected);
        }
        assert!(stack.pop().is_none());
    }

    #[test]
    fn threads_pass_every_object_on_exactly_once() {
        static STACK: Stack = Stack::new();
        const EACH: usize = 20_000;
        for n in 0..8 {
            STACK.push(batch(&[16 * (n + 1)]));
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        if let Some(batch) = STACK.pop() {
                            STACK.push(batch);
                        }
                    }
                });
            }
        });
        let mut left: Vec<usize> = core::iter::from_fn(|| STACK.pop()).map(|batch| batch.objects()[0].addr()).collect();
        left.sort_unstable();
        assert_eq!(left, [16, 32, 48, 64, 80, 96, 112, 128]);
    }
}

#[cfg(all(test, loom))]
pub(super) mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    /// A batch of one object.
    pub(in crate::alloc) fn batch(object: usize) -> OwnBatch {
        let mut batch = OwnBatch::take().expect("records are there");
        batch.fill(&[ptr::without_provenance_mut(object)]);
        batch
    }

    /// Reads the object of a batch that a thread owns and writes it again: accesses that no other thread's may meet.
    fn use_object(batch: &mut OwnBatch) -> usize {
        let object = batch.objects()[0].addr();
        batch.fill(&[ptr::without_provenance_mut(object)]);
        object
    }

    /// Asserts that the stack and the threads together hold every batch once.
    pub(in crate::alloc) fn assert_all(stack: &Stack, held: Vec<OwnBatch>, count: usize) {
        let left = core::iter::from_fn(|| stack.pop());
        let mut all: Vec<usize> = left.chain(held).map(|batch| batch.objects()[0].addr()).collect();
        all.sort_unstable();
        let expected: Vec<usize> = (1..=count).map(|n| 16 * n).collect();
        assert_eq!(all, expected);
    }

    /// One thread pops, while another pops two and pushes the first one again. The first thread may find the batch that
    /// it read on top, but with another one below.
    fn sleeping_pop() {
        let stack = Arc::new(Stack::new());
        stack.push(batch(16));
        stack.push(batch(32));
        let sleeper = thread::spawn({
            let stack = stack.clone();
            move || {
                let mut held: Vec<OwnBatch> = stack.pop().into_iter().collect();
                held.iter_mut().for_each(|batch| _ = use_object(batch));
                held
            }
        });
        let mut held: Vec<OwnBatch> = [stack.pop(), stack.pop()].into_iter().flatten().collect();
        held.iter_mut().for_each(|batch| _ = use_object(batch));
        if !held.is_empty() {
            stack.push(held.remove(0));
        }
        held.extend(sleeper.join().expect("no panic"));
        assert_all(&stack, held, 2);
    }

    #[test]
    fn loom_stack_notices_that_the_top_went_and_came_back() {
        check(sleeping_pop);
    }

    #[test]
    fn loom_stack_needs_its_count_of_changes() {
        assert!(fails(Loss::Bits(Blocks::ADDRESS), sleeping_pop));
    }

    /// Three threads pop and push two batches.
    #[test]
    fn loom_stack_loses_and_doubles_nothing() {
        check(|| {
            let stack = Arc::new(Stack::new());
            stack.push(batch(16));
            stack.push(batch(32));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let stack = stack.clone();
                    thread::spawn(move || {
                        if let Some(mut batch) = stack.pop() {
                            use_object(&mut batch);
                            stack.push(batch);
                        }
                    })
                })
                .collect();
            let held = stack.pop().into_iter().collect();
            others.into_iter().for_each(|other| other.join().expect("no panic"));
            assert_all(&stack, held, 2);
        });
    }

    /// The thread that pops a batch sees what the thread that pushed it wrote.
    fn pass_on() {
        let stack = Arc::new(Stack::new());
        let giver = thread::spawn({
            let stack = stack.clone();
            let batch = batch(16);
            move || {
                let mut batch = batch;
                batch.fill(&[ptr::without_provenance_mut(32)]);
                stack.push(batch);
            }
        });
        if let Some(batch) = stack.pop() {
            assert_eq!(batch.objects()[0].addr(), 32);
        }
        giver.join().expect("no panic");
    }

    #[test]
    fn loom_stack_passes_contents_on() {
        check(pass_on);
    }

    #[test]
    fn loom_stack_needs_its_acquires() {
        assert!(fails(Loss::Acquire, pass_on));
    }

    #[test]
    fn loom_stack_needs_its_release() {
        assert!(fails(Loss::Release, pass_on));
    }
}
