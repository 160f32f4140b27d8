//! The one lock of the allocator, and the counts that each thread keeps for itself.
//!
//! The lock is a word in user space; contended waiters sleep in the kernel. No poisoning, no allocation, no thread identity, so that
//! it works in the first moments of a process, at thread exit and in the child of a fork.

use crate::os;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Atomics of the lock-free parts: the real ones, or those of the model checker.
pub(crate) mod atomic {
    cfg_if::cfg_if! {
        if #[cfg(loom)] {
            pub(crate) use loom::sync::atomic::{AtomicU32, AtomicUsize};
        } else {
            pub(crate) use core::sync::atomic::{AtomicU32, AtomicUsize};
        }
    }
    pub(crate) use core::sync::atomic::Ordering;
}

/// A function that makes a value of atomics: a constant one, but for the model checker, whose atomics are none.
macro_rules! constant {
    ($(#[$about:meta])* $visible:vis fn $name:ident() -> $type:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$about])* $visible const fn $name() -> $type $body

        #[cfg(loom)]
        $(#[$about])* $visible fn $name() -> $type $body
    };
}
pub(crate) use constant;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// Spins before sleeping: about the length of the sections that these locks guard.
const SPINS: u32 = 64;

/// A value that one thread at a time may use.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the state word admits one thread at a time to the value.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock around a value.
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits until the value is free.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        // Acquire: pairs with the release in `release`.
        if self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow();
        }
        Guard { lock: self }
    }

    /// Takes the value if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        // Acquire: pairs with the release in `release`.
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| Guard { lock: self })
    }

    #[cold]
    #[inline(never)]
    fn lock_slow(&self) {
        for _ in 0..SPINS {
            core::hint::spin_loop();
            // Acquire: pairs with the release in `release`.
            if self.state.load(Ordering::Relaxed) == FREE
                && self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
        }
        // Whoever gets the lock this way leaves it marked contended, since others may still sleep.
        // Acquire: pairs with the release in `release`.
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            os::wait(&self.state, CONTENDED);
        }
    }

    /// Takes the lock and keeps it without a guard, for the handlers around a fork.
    pub(crate) fn acquire(&self) {
        core::mem::forget(self.lock());
    }

    /// Frees the lock.
    ///
    /// # Safety
    /// - the caller holds it, by [`Lock::acquire`] or a forgotten guard, possibly taken before a fork.
    #[inline]
    pub(crate) unsafe fn release(&self) {
        // Release: pairs with the acquires of the next holder.
        if self.state.swap(FREE, Ordering::Release) == CONTENDED {
            os::wake(&self.state);
        }
    }
}

/// Access to the value of a [`Lock`]; frees it when dropped.
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard exists only while its thread holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists only while its thread holds the lock, and it is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the guard's thread holds the lock.
        unsafe { self.lock.release() };
    }
}

/// A count that one thread keeps and any may read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Zero; so are zeroes.
    pub(crate) const fn new() -> Count {
        Count(AtomicU64::new(0))
    }

    /// Adds; only the thread that keeps the count may. A load and a store, not a locked operation: one instruction.
    #[inline(always)]
    pub(crate) fn add(&self, n: u64) {
        // Relaxed: readers want a number, not an order.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_one_at_a_time() {
        static COUNT: Lock<u64> = Lock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        *COUNT.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*COUNT.lock(), 200_000);
    }

    #[test]
    fn try_lock_fails_while_held() {
        let lock = Lock::new(());
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert!(lock.try_lock().is_some());
    }
}
