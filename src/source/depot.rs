//! The depot: batches of free objects, passed from threads that have too many to threads that have none.
//!
//! For each class a stack of batches, a batch being up to 62 addresses. A thread whose bin is full pushes one, a thread
//! whose bin is empty pops one; neither looks at the objects or their pages, and neither takes a lock. An object that is
//! freed by another thread than allocated it so costs a 62nd of two compare-and-swaps, and no write to memory that the
//! allocating thread uses.
//!
//! How many batches may wait is bounded by class. What is beyond, and what nobody asked for during two ticks of the
//! purge, goes back to the pages.

use crate::class::{CLASSES, Class};
use crate::meta;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::sync::cell::UnsafeCell;
use crate::sync::{constant, global};
use core::ptr::{self, NonNull};

/// Addresses in a batch.
pub(super) const BATCH_SLOTS: usize = 62;
/// Bytes of one class that may wait, if that is at least 8 batches and at most 256.
const CLASS_BYTES_MAX: usize = 32 << 20;

/// Free objects of one class.
#[derive(Debug)]
#[repr(C, align(512))]
pub(super) struct Batch {
    /// The batch below in the stack, as an address.
    below: AtomicUsize,
    len: UnsafeCell<usize>,
    slots: UnsafeCell<[*mut u8; BATCH_SLOTS]>,
}

// SAFETY: a batch in a stack belongs to whoever pops it; `below` is atomic.
unsafe impl Sync for Batch {}

impl Batch {
    constant! {
        /// An empty one, in no stack.
        fn new() -> Batch {
            Batch {
                below: AtomicUsize::new(0),
                len: UnsafeCell::new(0),
                slots: UnsafeCell::new([ptr::null_mut(); BATCH_SLOTS]),
            }
        }
    }
}

/// A batch that nobody else has.
#[derive(Debug)]
pub(super) struct OwnBatch(&'static Batch);

impl OwnBatch {
    /// An empty one: one that was used before, or a new one. `None` when there is no memory.
    pub(super) fn take() -> Option<OwnBatch> {
        SPARE.pop().or_else(|| {
            let batch = meta::allocate::<Batch>()?;
            // SAFETY: the record is ours alone, and lives for ever.
            unsafe {
                batch.write(Batch::new());
                Some(OwnBatch(batch.as_ref()))
            }
        })
    }

    /// Makes the batch hold these, at most [`BATCH_SLOTS`].
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

    /// Gives the record up for the next one who takes one.
    pub(super) fn give(self) {
        SPARE.push(self);
    }
}

/// A stack of batches. The head is an address and, in the bits that addresses of batches have no use for, a count of
/// changes: a thread that read the head, slept, and finds the same batch on top of another stack must notice. Batches are
/// never unmapped, so that one that was popped by somebody else meanwhile can still be read.
#[derive(Debug)]
struct Stack(AtomicUsize);

/// Addresses end here and batches are aligned to 512: 9 bits below and 16 above count 2^25 changes.
const ADDRESS_BITS: u32 = 48;
const LOW_BITS: u32 = align_of::<Batch>().trailing_zeros();
const ADDRESS: usize = ((1 << ADDRESS_BITS) - 1) & !((1 << LOW_BITS) - 1);

/// The head with another batch on top, and the count one further.
fn head_with(old: usize, top: usize) -> usize {
    // The count's low part is in the low bits; its carry goes to the high part.
    let low = (old & !ADDRESS & ((1 << LOW_BITS) - 1)) + 1;
    let high = (old >> ADDRESS_BITS) + (low >> LOW_BITS);
    top | (low & ((1 << LOW_BITS) - 1)) | (high << ADDRESS_BITS)
}

impl Stack {
    constant! {
        fn new() -> Stack {
            Stack(AtomicUsize::new(0))
        }
    }

    fn push(&self, OwnBatch(batch): OwnBatch) {
        let address = ptr::from_ref(batch).expose_provenance();
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            batch.below.store(head & ADDRESS, Ordering::Relaxed);
            // Release: pairs with the acquires in `pop`; whoever takes the batch sees what is in it.
            match self.0.compare_exchange_weak(head, head_with(head, address), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }

    fn pop(&self) -> Option<OwnBatch> {
        // Acquire: pairs with the release in `push`, here and below.
        let mut head = self.0.load(Ordering::Acquire);
        loop {
            let batch = NonNull::new(ptr::with_exposed_provenance_mut::<Batch>(head & ADDRESS))?;
            // SAFETY: batches live for ever.
            let batch: &'static Batch = unsafe { batch.as_ref() };
            // When another thread popped it meanwhile this is anything, and the exchange fails.
            let below = batch.below.load(Ordering::Relaxed);
            match self.0.compare_exchange_weak(head, head_with(head, below), Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(OwnBatch(batch)),
                Err(newer) => head = newer,
            }
        }
    }
}

/// The batches of one class.
#[derive(Debug)]
#[repr(align(64))]
struct Shelf {
    stack: Stack,
    /// How many there are, about: raised after a push, lowered after a pop.
    count: AtomicU32,
    /// The least that there were since the last tick.
    least: AtomicU32,
}

impl Shelf {
    constant! {
        fn new() -> Shelf {
            Shelf { stack: Stack::new(), count: AtomicU32::new(0), least: AtomicU32::new(0) }
        }
    }

    fn push(&self, most: u32, batch: OwnBatch) -> Result<u32, OwnBatch> {
        // Several may pass here at once and put in one more each, which is no harm.
        if self.count.load(Ordering::Relaxed) >= most {
            return Err(batch);
        }
        // Raised first: a count below zero would look like many.
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        self.stack.push(batch);
        Ok(count)
    }

    fn pop(&self) -> Option<OwnBatch> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let batch = self.stack.pop()?;
        let left = self.count.fetch_sub(1, Ordering::Relaxed) - 1;
        // Looked at first, since it is seldom lower.
        if left < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(left, Ordering::Relaxed);
        }
        Some(batch)
    }

    /// How many were there all the time since the last call; the watch begins anew.
    fn idle(&self) -> u32 {
        let count = self.count.load(Ordering::Relaxed);
        self.least.swap(count, Ordering::Relaxed).min(count)
    }
}

global! {
    static SHELVES: [Shelf; CLASSES] = each Shelf::new();
}
global! {
    static SPARE: Stack = Stack::new();
}

/// How many objects of the class a batch has when a bin of so many slots overflows or is filled.
pub(super) fn batch_of(class: Class) -> usize {
    (class.cache_slots() / 2).clamp(1, BATCH_SLOTS)
}

/// How many batches of the class may wait.
fn most(class: Class) -> u32 {
    (CLASS_BYTES_MAX / (batch_of(class) * class.slot_bytes())).clamp(8, 256) as u32
}

/// Leaves free objects for whoever needs some; returns how many bytes of the class wait now. When enough wait already,
/// or there is no memory for a batch, nothing is taken.
pub(super) fn push(class: Class, objects: &[*mut u8]) -> Option<usize> {
    let mut batch = OwnBatch::take()?;
    batch.fill(objects);
    match SHELVES[class.index()].push(most(class), batch) {
        Ok(count) => Some(count as usize * objects.len() * class.slot_bytes()),
        Err(batch) => {
            batch.give();
            None
        }
    }
}

/// Takes what a thread left.
pub(super) fn pop(class: Class) -> Option<OwnBatch> {
    SHELVES[class.index()].pop()
}

/// Takes out what nobody asked for since the last call, or half of what there is, if that is more and `keeps` is not said;
/// and hands it to `release`. Returns whether anything is left.
pub(super) fn take_idle(keeps: bool, mut release: impl FnMut(Class, &[*mut u8])) -> bool {
    let mut left = false;
    for class in Class::all() {
        let shelf = &SHELVES[class.index()];
        let idle = shelf.idle();
        let half = if keeps { 0 } else { shelf.count.load(Ordering::Relaxed) / 2 };
        for _ in 0..idle.max(half) {
            let Some(batch) = shelf.pop() else { break };
            release(class, batch.objects());
            batch.give();
        }
        left |= shelf.count.load(Ordering::Relaxed) > 0;
    }
    left
}

/// Takes everything out, and hands it to `release`.
pub(super) fn drain(mut release: impl FnMut(Class, &[*mut u8])) {
    for class in Class::all() {
        while let Some(batch) = pop(class) {
            release(class, batch.objects());
            batch.give();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    fn batch(objects: &[usize]) -> OwnBatch {
        // SAFETY: zeroes are an empty batch.
        let mut batch = OwnBatch(Box::leak(unsafe { Box::<Batch>::new_zeroed().assume_init() }));
        let objects: Vec<*mut u8> = objects.iter().map(|&at| ptr::without_provenance_mut(at)).collect();
        batch.fill(&objects);
        batch
    }

    #[test]
    fn the_count_of_changes_never_touches_the_address() {
        let mut head = 0x7fff_ffff_fe00;
        for change in 1..200_000_usize {
            head = head_with(head, 0x7abc_def0_1200);
            assert_eq!(head & ADDRESS, 0x7abc_def0_1200);
            let count = (head & 511) | (head >> ADDRESS_BITS << LOW_BITS);
            assert_eq!(count, change);
        }
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
    fn a_shelf_is_bounded_and_knows_what_nobody_wants() {
        let shelf = Shelf::new();
        for n in 1..=4 {
            assert_eq!(shelf.push(4, batch(&[16 * n])).ok(), Some(n as u32));
        }
        assert!(shelf.push(4, batch(&[160])).is_err());
        assert_eq!(shelf.idle(), 0, "they have just come");
        for _ in 0..3 {
            let popped = shelf.pop().expect("four are there");
            assert!(shelf.push(4, popped).is_ok());
        }
        let (a, b) = (shelf.pop().expect("there"), shelf.pop().expect("there"));
        assert!(shelf.push(4, a).is_ok() && shelf.push(4, b).is_ok());
        assert_eq!(shelf.idle(), 2, "two were there all the time");
        assert_eq!(shelf.idle(), 4, "and now all");
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
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    fn batch(object: usize) -> OwnBatch {
        let mut batch = OwnBatch::take().expect("records are there");
        batch.fill(&[ptr::without_provenance_mut(object)]);
        batch
    }

    /// The object in a batch that a thread holds, and puts another in the place of.
    fn exchange(batch: &mut OwnBatch) -> usize {
        let object = batch.objects()[0].addr();
        batch.fill(&[ptr::without_provenance_mut(object)]);
        object
    }

    /// What is left in a stack, and what threads hold: every batch once.
    fn assert_all(stack: &Stack, held: Vec<OwnBatch>, count: usize) {
        let left = core::iter::from_fn(|| stack.pop());
        let mut all: Vec<usize> = left.chain(held).map(|batch| batch.objects()[0].addr()).collect();
        all.sort_unstable();
        let expected: Vec<usize> = (1..=count).map(|n| 16 * n).collect();
        assert_eq!(all, expected);
    }

    /// One thread pops, while another pops two and puts the first one back: the first thread may find the batch that it
    /// read on top of another stack than it read.
    fn sleeping_pop() {
        let stack = Arc::new(Stack::new());
        stack.push(batch(16));
        stack.push(batch(32));
        let sleeper = thread::spawn({
            let stack = stack.clone();
            move || {
                let mut held: Vec<OwnBatch> = stack.pop().into_iter().collect();
                held.iter_mut().for_each(|batch| _ = exchange(batch));
                held
            }
        });
        let mut held: Vec<OwnBatch> = [stack.pop(), stack.pop()].into_iter().flatten().collect();
        held.iter_mut().for_each(|batch| _ = exchange(batch));
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
        assert!(fails(Loss::Bits(ADDRESS), sleeping_pop));
    }

    /// Three threads move two batches.
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
                            exchange(&mut batch);
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

    /// What is in a batch comes along.
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

    /// Two threads take one and put it back, while a third asks how many nobody wanted.
    #[test]
    fn loom_shelf_counts_what_is_there() {
        check(|| {
            let shelf = Arc::new(Shelf::new());
            for n in 1..=2 {
                assert!(shelf.push(2, batch(16 * n)).is_ok());
            }
            let mover = thread::spawn({
                let shelf = shelf.clone();
                move || {
                    if let Some(batch) = shelf.pop() {
                        assert!(shelf.push(2, batch).is_ok(), "there was room for it");
                    }
                }
            });
            let watcher = thread::spawn({
                let shelf = shelf.clone();
                move || assert!(shelf.idle() <= 2)
            });
            let held = shelf.pop();
            mover.join().expect("no panic");
            watcher.join().expect("no panic");
            let left = 2 - held.iter().count();
            assert_eq!(shelf.count.load(Ordering::Relaxed) as usize, left);
            assert!(shelf.idle() as usize <= left);
            assert_all(&shelf.stack, held.into_iter().collect(), 2);
        });
    }

    /// Two threads take what a third is putting in: a count below zero would look like many.
    #[test]
    fn loom_shelf_never_counts_below_zero() {
        check(|| {
            let shelf = Arc::new(Shelf::new());
            assert!(shelf.push(2, batch(16)).is_ok());
            let giver = thread::spawn({
                let (shelf, batch) = (shelf.clone(), batch(32));
                move || assert!(shelf.push(2, batch).is_ok())
            });
            let taker = thread::spawn({
                let shelf = shelf.clone();
                move || shelf.pop()
            });
            let mut held: Vec<OwnBatch> = shelf.pop().into_iter().collect();
            assert!(shelf.count.load(Ordering::Relaxed) <= 2);
            giver.join().expect("no panic");
            held.extend(taker.join().expect("no panic"));
            assert_eq!(shelf.count.load(Ordering::Relaxed) as usize, 2 - held.len());
            assert_all(&shelf.stack, held, 2);
        });
    }

    /// What threads took out since the last tick is not idle when it comes back, whoever took it.
    #[test]
    fn loom_shelf_knows_what_two_threads_wanted() {
        check(|| {
            let shelf = Arc::new(Shelf::new());
            for n in 1..=3 {
                assert!(shelf.push(3, batch(16 * n)).is_ok());
            }
            shelf.idle();
            let other = thread::spawn({
                let shelf = shelf.clone();
                move || shelf.pop()
            });
            let own = shelf.pop();
            let other = other.join().expect("no panic");
            let taken: Vec<OwnBatch> = [own, other].into_iter().flatten().collect();
            let most = 3 - taken.len() as u32;
            taken.into_iter().for_each(|batch| assert!(shelf.push(3, batch).is_ok()));
            assert_eq!(shelf.idle(), most);
        });
    }

    /// Where one more may wait, two threads may each put one, and no more.
    #[test]
    fn loom_shelf_is_bounded() {
        check(|| {
            let shelf = Arc::new(Shelf::new());
            let put = |shelf: &Shelf, n: usize| [n, n + 1].map(|n| shelf.push(1, batch(n)).is_ok());
            let other = thread::spawn({
                let shelf = shelf.clone();
                move || put(&shelf, 16)
            });
            let own = put(&shelf, 32);
            let other = other.join().expect("no panic");
            let taken = own.into_iter().chain(other).filter(|&taken| taken).count();
            assert!((1..=2).contains(&taken));
            assert_eq!(shelf.count.load(Ordering::Relaxed) as usize, taken);
            assert_eq!(core::iter::from_fn(|| shelf.stack.pop()).count(), taken);
        });
    }
}
