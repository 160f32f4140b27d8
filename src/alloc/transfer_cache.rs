//! The transfer cache: passes batches of free objects from threads that have too many to threads that have none.
//!
//! Each size class has a stack of batches of up to 126 addresses; one for each owner, where its pages have owners. A thread whose slot list is full pushes one, a thread
//! whose slot list is empty pops one. Neither reads the objects or their pages, and neither takes a lock. So a free by
//! another thread than the one that allocated costs a 126th of two compare-and-swaps, and no write to memory that the
//! allocating thread uses.
//!
//! The number of batches per class is bounded, and so are the bytes of all classes together. Objects beyond go back to
//! their pages, and so do batches that no thread took from one epoch of the purge to the next.

use super::transfer_batch::{BATCH_SLOTS, OwnBatch, Stack};
use crate::class::{CLASSES, Class, OWNED_CLASSES, OWNERS, Owner};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{constant, global};

/// Most bytes that wait, of all classes together and of each.
const BYTES_MAX: usize = 32 << 20;
/// Batches of a class that may wait, however long they are; and the most, however short.
const BATCHES_MIN: usize = 8;
const BATCHES_MAX: usize = 256;
/// Bytes that wait, from which on the purge is due.
const PURGE_BYTES_MIN: usize = 1 << 20;

/// The batches of one class.
#[derive(Debug)]
#[repr(align(64))]
struct TransferCache {
    stack: Stack,
    /// How many batches there are (lower half) and how many objects they hold (upper half). Raised before a push and
    /// lowered after a pop, so never too low.
    count: AtomicU64,
    /// The lowest number of batches since the last epoch of the purge.
    least: AtomicU32,
}

impl TransferCache {
    constant! {
        fn new() -> TransferCache {
            TransferCache { stack: Stack::new(), count: AtomicU64::new(0), least: AtomicU32::new(0) }
        }
    }

    fn push(&self, most: u32, batch: OwnBatch) -> Result<u32, OwnBatch> {
        // Threads that pass here at the same time may exceed the bound by one batch each.
        if self.batches() >= most {
            return Err(batch);
        }
        // Raised first: a count below zero would wrap to a large one.
        let count = self.count.fetch_add(count_of(&batch), Ordering::Relaxed) as u32 + 1;
        self.stack.push(batch);
        Ok(count)
    }

    fn pop(&self) -> Option<OwnBatch> {
        if self.batches() == 0 {
            return None;
        }
        let batch = self.stack.pop()?;
        let left = self.count.fetch_sub(count_of(&batch), Ordering::Relaxed) as u32 - 1;
        // Read first, since the minimum seldom changes.
        if left < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(left, Ordering::Relaxed);
        }
        Some(batch)
    }

    /// How many batches there are; no fewer than in the stack, and more while a thread pushes or pops.
    fn batches(&self) -> u32 {
        self.count.load(Ordering::Relaxed) as u32
    }

    /// How many batches no thread took since the last call: the lowest number since then.
    fn idle(&self) -> u32 {
        let count = self.batches();
        self.least.swap(count, Ordering::Relaxed).min(count)
    }
}

/// What a batch adds to [`TransferCache::count`].
fn count_of(batch: &OwnBatch) -> u64 {
    1 | (batch.objects().len() as u64) << 32
}

/// Bytes of all batches. Raised before a push and lowered after a pop. Relaxed: it orders nothing.
static WAITING: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);

/// Bytes that wait, of all classes together.
pub(super) fn waiting_bytes() -> usize {
    WAITING.load(Ordering::Relaxed)
}

global! {
    table static CACHES: [TransferCache; CLASSES - OWNED_CLASSES] = each TransferCache::new();
}
global! {
    /// Those of classes with owners, all of an owner's in a row.
    table static OWNED: [TransferCache; OWNERS * OWNED_CLASSES] = each TransferCache::new();
}

/// The transfer cache of a class, in which batches for an owner wait.
fn cache_of(class: Class, owner: Owner) -> &'static TransferCache {
    match class.index().checked_sub(OWNED_CLASSES) {
        Some(place) => &CACHES[place],
        None => &OWNED[owner.index() * OWNED_CLASSES + class.index()],
    }
}

/// Every class, and each of its owners.
fn all() -> impl Iterator<Item = (Class, Owner)> {
    let owners = |class: Class| Owner::all().take_while(move |&owner| class.has_owners() || owner == Owner::FIRST);
    Class::all().flat_map(move |class| owners(class).map(move |owner| (class, owner)))
}

/// How many objects of the class a full slot list gives up, or an empty one gets: half of the list, at most a batch.
pub(super) fn batch_of(class: Class) -> usize {
    (class.cache_slots() / 2).clamp(1, BATCH_SLOTS)
}

/// How many batches of the class may wait.
fn batches_max(class: Class) -> u32 {
    (BYTES_MAX / (batch_of(class) * class.slot_bytes())).clamp(BATCHES_MIN, BATCHES_MAX) as u32
}

/// Pushes free objects, at most a batch, for threads that need some. Returns whether the purge is due. `None` when the
/// bound is reached, or there is no memory for a batch: the objects are then still the caller's.
pub(super) fn push(class: Class, owner: Owner, objects: &[*mut u8]) -> Option<bool> {
    let bytes = objects.len() * class.slot_bytes();
    let waiting = WAITING.fetch_add(bytes, Ordering::Relaxed) + bytes;
    let pushed = OwnBatch::take().and_then(|mut batch| {
        batch.fill(objects);
        // Beyond the bound of all classes, a class has half of what it may have on its own, at least: those that are used
        // are not starved by those that were.
        let most = if waiting > BYTES_MAX { BATCHES_MIN as u32 / 2 } else { batches_max(class) };
        cache_of(class, owner).push(most, batch).map_err(OwnBatch::recycle).ok()
    });
    if pushed.is_none() {
        WAITING.fetch_sub(bytes, Ordering::Relaxed);
    }
    pushed.map(|_| waiting >= PURGE_BYTES_MIN)
}

/// Pushes the rest of a batch that was popped, even beyond the bound.
pub(super) fn put_back(class: Class, owner: Owner, batch: OwnBatch) {
    WAITING.fetch_add(batch.objects().len() * class.slot_bytes(), Ordering::Relaxed);
    let pushed = cache_of(class, owner).push(u32::MAX, batch);
    debug_assert!(pushed.is_ok(), "the bound is never reached");
}

/// How many objects of the class wait.
pub(super) fn objects(class: Class) -> u64 {
    let of_owner = |(_, owner)| cache_of(class, owner).count.load(Ordering::Relaxed) >> 32;
    all().filter(|&(other, _)| other == class).map(of_owner).sum()
}

/// Pops a batch.
pub(super) fn pop(class: Class, owner: Owner) -> Option<OwnBatch> {
    // A program of one thread has nothing here, and need not touch the table.
    if waiting_bytes() == 0 {
        return None;
    }
    let batch = cache_of(class, owner).pop()?;
    WAITING.fetch_sub(batch.objects().len() * class.slot_bytes(), Ordering::Relaxed);
    Some(batch)
}

/// Hands the batches that no thread took since the last call to `release`. Without `keeps`, at least half of all
/// batches. Returns whether any batch is left.
pub(super) fn take_idle(keeps: bool, mut release: impl FnMut(Class, Owner, &[*mut u8])) -> bool {
    let mut left = false;
    if waiting_bytes() == 0 {
        return left;
    }
    for (class, owner) in all() {
        let cache = cache_of(class, owner);
        let idle = cache.idle();
        let half = if keeps { 0 } else { cache.batches() / 2 };
        for _ in 0..idle.max(half) {
            let Some(batch) = pop(class, owner) else { break };
            release(class, owner, batch.objects());
            batch.recycle();
        }
        left |= cache.batches() > 0;
    }
    left
}

/// Hands all batches to `release`.
pub(super) fn drain(mut release: impl FnMut(Class, &[*mut u8])) {
    for (class, owner) in all() {
        while let Some(batch) = pop(class, owner) {
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
    fn batches_are_bounded_and_idle_ones_are_counted() {
        let cache = TransferCache::new();
        for n in 1..=4 {
            assert_eq!(cache.push(4, batch(&[16 * n])).ok(), Some(n as u32));
        }
        assert!(cache.push(4, batch(&[160])).is_err());
        assert_eq!(cache.idle(), 0, "all were pushed since the cache was made");
        for _ in 0..3 {
            let popped = cache.pop().expect("four are there");
            assert!(cache.push(4, popped).is_ok());
        }
        let (a, b) = (cache.pop().expect("there"), cache.pop().expect("there"));
        assert!(cache.push(4, a).is_ok() && cache.push(4, b).is_ok());
        assert_eq!(cache.idle(), 2, "two stayed since the last call");
        assert_eq!(cache.idle(), 4, "no thread took one since");
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

    /// One thread pops a batch and pushes it again, another pops one, and a third counts idle ones.
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

    /// Two threads pop while a third pushes: a count below zero would wrap to a large one.
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

    /// A batch that a thread popped since the last epoch is not idle after it was pushed again.
    #[test]
    fn loom_transfer_cache_does_not_count_popped_batches_as_idle() {
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

    /// Where one more batch may wait, two threads may push one each, and no more.
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
