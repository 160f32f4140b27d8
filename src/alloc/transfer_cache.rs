//! The transfer cache: batches of free objects, passed from threads that have too many to threads that have none.
//!
//! Each size class has a stack of batches of up to 126 addresses. A thread whose slot list is full pushes one, a thread whose
//! slot list is empty pops one; neither looks at the objects or their pages, and neither takes a lock. So a free by another
//! thread than the one that allocated costs a 126th of two compare-and-swaps, and no write to memory that the allocating
//! thread uses.
//!
//! How many batches of a class may wait is bounded. What is beyond goes back to the pages, and so do batches that no thread
//! took from one epoch of the purge to the next.

use super::transfer_batch::{BATCH_SLOTS, OwnBatch, Stack};
use crate::class::{CLASSES, Class};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{constant, global};

/// Bytes of one class that may wait, if that is at least 8 batches and at most 256.
const CLASS_BYTES_MAX: usize = 32 << 20;
/// Bytes of one class from which on the purge is due: it looks whether threads still take them.
const PURGE_BYTES_MIN: usize = 1 << 20;

/// The batches of one class.
#[derive(Debug)]
#[repr(align(64))]
struct TransferCache {
    stack: Stack,
    /// How many batches there are, in the lower half, and how many objects they hold, in the upper: about, raised before a
    /// push and lowered after a pop.
    count: AtomicU64,
    /// The least that there were since the last epoch of the purge.
    least: AtomicU32,
}

impl TransferCache {
    constant! {
        fn new() -> TransferCache {
            TransferCache { stack: Stack::new(), count: AtomicU64::new(0), least: AtomicU32::new(0) }
        }
    }

    fn push(&self, most: u32, batch: OwnBatch) -> Result<u32, OwnBatch> {
        // Several may pass here at once and put in one more each, which is no harm.
        if self.batches() >= most {
            return Err(batch);
        }
        // Raised first: a count below zero would look like many.
        let count = self.count.fetch_add(one(&batch), Ordering::Relaxed) as u32 + 1;
        self.stack.push(batch);
        Ok(count)
    }

    fn pop(&self) -> Option<OwnBatch> {
        if self.batches() == 0 {
            return None;
        }
        let batch = self.stack.pop()?;
        let left = self.count.fetch_sub(one(&batch), Ordering::Relaxed) as u32 - 1;
        // Looked at first, since it is seldom lower.
        if left < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(left, Ordering::Relaxed);
        }
        Some(batch)
    }

    /// How many batches there are, about.
    fn batches(&self) -> u32 {
        self.count.load(Ordering::Relaxed) as u32
    }

    /// How many were there all the time since the last call; the watch begins anew.
    fn idle(&self) -> u32 {
        let count = self.batches();
        self.least.swap(count, Ordering::Relaxed).min(count)
    }
}

/// A batch and its objects, as the count has them.
fn one(batch: &OwnBatch) -> u64 {
    1 | (batch.objects().len() as u64) << 32
}

global! {
    static CACHES: [TransferCache; CLASSES] = each TransferCache::new();
}
/// How many objects of the class a batch has when a slot list of so many slots overflows or is filled.
pub(super) fn batch_of(class: Class) -> usize {
    (class.cache_slots() / 2).clamp(1, BATCH_SLOTS)
}

/// How many batches of the class may wait.
fn most(class: Class) -> u32 {
    (CLASS_BYTES_MAX / (batch_of(class) * class.slot_bytes())).clamp(8, 256) as u32
}

/// Leaves free objects for threads that need some. Returns whether the purge is due; `None` when enough objects wait already,
/// or there is no memory for a batch, and then nothing is taken.
pub(super) fn push(class: Class, objects: &[*mut u8]) -> Option<bool> {
    let mut batch = OwnBatch::take()?;
    batch.fill(objects);
    match CACHES[class.index()].push(most(class), batch) {
        Ok(count) => Some(count as usize * objects.len() * class.slot_bytes() >= PURGE_BYTES_MIN),
        Err(batch) => {
            batch.recycle();
            None
        }
    }
}

/// Puts the rest of a batch back, however many wait.
pub(super) fn put_back(class: Class, batch: OwnBatch) {
    let pushed = CACHES[class.index()].push(u32::MAX, batch);
    debug_assert!(pushed.is_ok(), "there is no such count");
}

/// How many objects of the class wait.
pub(super) fn objects(class: Class) -> u64 {
    CACHES[class.index()].count.load(Ordering::Relaxed) >> 32
}

/// Takes a batch that a thread left.
pub(super) fn pop(class: Class) -> Option<OwnBatch> {
    CACHES[class.index()].pop()
}

/// Hands batches to `release` that no thread took since the last call; and if not `keeps`, half of what there is, if that is
/// more. Returns whether anything is left.
pub(super) fn take_idle(keeps: bool, mut release: impl FnMut(Class, &[*mut u8])) -> bool {
    let mut left = false;
    for class in Class::all() {
        let cache = &CACHES[class.index()];
        let idle = cache.idle();
        let half = if keeps { 0 } else { cache.batches() / 2 };
        for _ in 0..idle.max(half) {
            let Some(batch) = cache.pop() else { break };
            release(class, batch.objects());
            batch.recycle();
        }
        left |= cache.batches() > 0;
    }
    left
}

/// Hands everything to `release`.
pub(super) fn drain(mut release: impl FnMut(Class, &[*mut u8])) {
    for class in Class::all() {
        while let Some(batch) = pop(class) {
            release(class, batch.objects());
            batch.recycle();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::transfer_batch::tests::batch;
    use super::*;

    #[test]
    fn it_is_bounded_and_knows_what_no_thread_takes() {
        let cache = TransferCache::new();
        for n in 1..=4 {
            assert_eq!(cache.push(4, batch(&[16 * n])).ok(), Some(n as u32));
        }
        assert!(cache.push(4, batch(&[160])).is_err());
        assert_eq!(cache.idle(), 0, "they have just come");
        for _ in 0..3 {
            let popped = cache.pop().expect("four are there");
            assert!(cache.push(4, popped).is_ok());
        }
        let (a, b) = (cache.pop().expect("there"), cache.pop().expect("there"));
        assert!(cache.push(4, a).is_ok() && cache.push(4, b).is_ok());
        assert_eq!(cache.idle(), 2, "two were there all the time");
        assert_eq!(cache.idle(), 4, "and now all");
        assert_eq!(cache.count.load(Ordering::Relaxed), 4 | 4 << 32, "four batches of one object each");
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::super::transfer_batch::models::{assert_all, batch};
    use super::*;
    use crate::model::check;
    use loom::sync::Arc;
    use loom::thread;
    use std::vec::Vec;

    /// Two threads take one and put it back, while a third asks how many no thread took.
    #[test]
    fn loom_transfer_cache_counts_what_is_there() {
        check(|| {
            let cache = Arc::new(TransferCache::new());
            for n in 1..=2 {
                assert!(cache.push(2, batch(16 * n)).is_ok());
            }
            let mover = thread::spawn({
                let cache = cache.clone();
                move || {
                    if let Some(batch) = cache.pop() {
                        assert!(cache.push(2, batch).is_ok(), "there was room for it");
                    }
                }
            });
            let watcher = thread::spawn({
                let cache = cache.clone();
                move || assert!(cache.idle() <= 2)
            });
            let held = cache.pop();
            mover.join().expect("no panic");
            watcher.join().expect("no panic");
            let left = 2 - held.iter().count();
            assert_eq!(cache.batches() as usize, left);
            assert!(cache.idle() as usize <= left);
            assert_all(&cache.stack, held.into_iter().collect(), 2);
        });
    }

    /// Two threads take what a third is putting in: a count below zero would look like many.
    #[test]
    fn loom_transfer_cache_never_counts_below_zero() {
        check(|| {
            let cache = Arc::new(TransferCache::new());
            assert!(cache.push(2, batch(16)).is_ok());
            let giver = thread::spawn({
                let (cache, batch) = (cache.clone(), batch(32));
                move || assert!(cache.push(2, batch).is_ok())
            });
            let taker = thread::spawn({
                let cache = cache.clone();
                move || cache.pop()
            });
            let mut held: Vec<OwnBatch> = cache.pop().into_iter().collect();
            assert!(cache.batches() <= 2);
            giver.join().expect("no panic");
            held.extend(taker.join().expect("no panic"));
            assert_eq!(cache.batches() as usize, 2 - held.len());
            assert_all(&cache.stack, held, 2);
        });
    }

    /// What any thread took out since the last epoch is not idle when it comes back.
    #[test]
    fn loom_transfer_cache_knows_what_two_threads_wanted() {
        check(|| {
            let cache = Arc::new(TransferCache::new());
            for n in 1..=3 {
                assert!(cache.push(3, batch(16 * n)).is_ok());
            }
            cache.idle();
            let other = thread::spawn({
                let cache = cache.clone();
                move || cache.pop()
            });
            let own = cache.pop();
            let other = other.join().expect("no panic");
            let taken: Vec<OwnBatch> = [own, other].into_iter().flatten().collect();
            let most = 3 - taken.len() as u32;
            taken.into_iter().for_each(|batch| assert!(cache.push(3, batch).is_ok()));
            assert_eq!(cache.idle(), most);
        });
    }

    /// Where one more may wait, two threads may each put one, and no more.
    #[test]
    fn loom_transfer_cache_is_bounded() {
        check(|| {
            let cache = Arc::new(TransferCache::new());
            let put = |cache: &TransferCache, n: usize| [n, n + 1].map(|n| cache.push(1, batch(n)).is_ok());
            let other = thread::spawn({
                let cache = cache.clone();
                move || put(&cache, 16)
            });
            let own = put(&cache, 32);
            let other = other.join().expect("no panic");
            let taken = own.into_iter().chain(other).filter(|&taken| taken).count();
            assert!((1..=2).contains(&taken));
            assert_eq!(cache.batches() as usize, taken);
            assert_eq!(core::iter::from_fn(|| cache.stack.pop()).count(), taken);
        });
    }
}
