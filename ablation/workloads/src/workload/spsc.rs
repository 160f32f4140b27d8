//! A bounded queue with a single producer and a single consumer: it passes blocks to the thread that frees them.
//!
//! The queue must cost little, because the allocator is to be measured. It requests no memory after its creation, and its
//! only system call is `sched_yield`, when the other side is slow. Each side publishes its count once per group of values:
//! if it published every value, the faster side would fetch a cache line from the other for each.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Places in the queue; a power of two.
const CAPACITY: usize = 256;
/// Values or free places that one side publishes together. Before it waits, a side publishes all.
const GROUP: usize = 32;
/// Checks before a waiting side yields: both sides may share one processor.
const SPINS: u32 = 64;

/// On cache lines of its own, so that a write of one side does not slow the other. (Two lines, because processors fetch
/// pairs.)
#[repr(align(128))]
struct Padded<T>(T);

/// The queue; split it with [`Queue::split`].
pub(crate) struct Queue<T> {
    places: [UnsafeCell<MaybeUninit<T>>; CAPACITY],
    /// Values pushed so far, as published to the consumer. Stored with release after the places are written, loaded with
    /// acquire by the consumer.
    pushed: Padded<AtomicUsize>,
    /// Values popped so far, as published to the producer. Stored with release after the places are read, loaded with
    /// acquire by the producer.
    popped: Padded<AtomicUsize>,
    /// Set with release after the last push; loaded with acquire by the consumer, which then checks `pushed` once more.
    closed: AtomicBool,
}

// SAFETY: a place is written by the producer only while `pushed - popped < CAPACITY`, and read by the consumer only
// while `popped < pushed`; there is one of each, because `split` borrows the queue mutably.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T: Copy> Queue<T> {
    /// An empty queue. Dropping it drops no values (`T: Copy`).
    pub(crate) fn new() -> Queue<T> {
        Queue {
            places: [const { UnsafeCell::new(MaybeUninit::uninit()) }; CAPACITY],
            pushed: Padded(AtomicUsize::new(0)),
            popped: Padded(AtomicUsize::new(0)),
            closed: AtomicBool::new(false),
        }
    }

    /// The two ends.
    pub(crate) fn split(&mut self) -> (Producer<'_, T>, Consumer<'_, T>) {
        let queue = &*self;
        (Producer { queue, pushed: 0, popped_seen: 0 }, Consumer { queue, popped: 0, pushed_seen: 0 })
    }

    fn place(&self, count: usize) -> *mut MaybeUninit<T> {
        self.places[count % CAPACITY].get()
    }
}

/// The end that pushes. Dropping it closes the queue.
pub(crate) struct Producer<'q, T: Copy> {
    queue: &'q Queue<T>,
    pushed: usize,
    popped_seen: usize,
}

impl<T: Copy> Producer<'_, T> {
    /// Pushes a value, after waiting for a place if there is none.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) {
        if self.pushed - self.popped_seen == CAPACITY {
            self.wait_for_place();
        }
        // SAFETY: the place is free: fewer than CAPACITY values are between the two counts.
        unsafe { (*self.queue.place(self.pushed)).write(value) };
        self.pushed += 1;
        if self.pushed.is_multiple_of(GROUP) {
            self.publish();
        }
    }

    fn publish(&self) {
        self.queue.pushed.0.store(self.pushed, Ordering::Release);
    }

    #[cold]
    fn wait_for_place(&mut self) {
        self.publish();
        let mut checks = 0;
        while self.pushed - self.popped_seen == CAPACITY {
            self.popped_seen = self.queue.popped.0.load(Ordering::Acquire);
            pause(&mut checks);
        }
    }
}

impl<T: Copy> Drop for Producer<'_, T> {
    fn drop(&mut self) {
        self.publish();
        self.queue.closed.store(true, Ordering::Release);
    }
}

/// The end that pops.
pub(crate) struct Consumer<'q, T: Copy> {
    queue: &'q Queue<T>,
    popped: usize,
    pushed_seen: usize,
}

impl<T: Copy> Consumer<'_, T> {
    /// Pops the oldest value, after waiting for one; `None` when the queue is closed and empty.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.popped == self.pushed_seen && !self.wait_for_value() {
            return None;
        }
        // SAFETY: the place was written: `popped` is below `pushed`.
        let value = unsafe { (*self.queue.place(self.popped)).assume_init() };
        self.popped += 1;
        if self.popped.is_multiple_of(GROUP) {
            self.publish();
        }
        Some(value)
    }

    fn publish(&self) {
        self.queue.popped.0.store(self.popped, Ordering::Release);
    }

    #[cold]
    fn wait_for_value(&mut self) -> bool {
        self.publish();
        let mut checks = 0;
        loop {
            // `closed` is read before `pushed`: if it is set, all values are published.
            let closed = self.queue.closed.load(Ordering::Acquire);
            self.pushed_seen = self.queue.pushed.0.load(Ordering::Acquire);
            if self.popped != self.pushed_seen {
                return true;
            }
            if closed {
                return false;
            }
            pause(&mut checks);
        }
    }
}

/// Waits a moment; yields the processor after every [`SPINS`] checks.
fn pause(checks: &mut u32) {
    *checks += 1;
    if checks.is_multiple_of(SPINS) { std::thread::yield_now() } else { std::hint::spin_loop() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_once_and_in_order() {
        const COUNT: usize = 200_000;
        let mut queue = Queue::new();
        let (mut producer, mut consumer) = queue.split();
        std::thread::scope(|scope| {
            scope.spawn(move || (0..COUNT).for_each(|i| producer.push(i)));
            for expected in 0..COUNT {
                assert_eq!(consumer.pop(), Some(expected));
            }
            assert_eq!(consumer.pop(), None);
        });
    }

    #[test]
    fn what_was_pushed_before_the_closing_is_still_there() {
        let mut queue = Queue::new();
        let (mut producer, mut consumer) = queue.split();
        (0..CAPACITY).for_each(|i| producer.push(i));
        drop(producer);
        assert_eq!(std::iter::from_fn(|| consumer.pop()).count(), CAPACITY);
    }
}
