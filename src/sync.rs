//! The one lock of the allocator, and the counts that each thread keeps for itself.
//!
//! The lock is a word in user space; contended waiters sleep in the kernel. It has no poisoning, allocates nothing and
//! knows no thread identity, so that it works in the first moments of a process, at thread exit and in the child of a
//! fork.

use atomic::{AtomicU32, AtomicU64, Ordering};
use cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// Atomics by which threads hand memory to each other: the real ones, or the model checker's.
pub(crate) mod atomic {
    cfg_if::cfg_if! {
        if #[cfg(loom)] {
            pub(crate) use crate::model::{AtomicU32, AtomicU64, AtomicUsize};
        } else {
            pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};
        }
    }
    pub(crate) use core::sync::atomic::Ordering;
}

/// Cells of such memory: the model checker's panic on an access that nothing orders after the last one.
pub(crate) mod cell {
    cfg_if::cfg_if! {
        if #[cfg(loom)] {
            pub(crate) use crate::model::UnsafeCell;
        } else {
            pub(crate) use core::cell::UnsafeCell;
        }
    }
}

cfg_if::cfg_if! {
    if #[cfg(loom)] {
        pub(crate) use crate::model::Sleepers;
    } else {
        /// Threads that sleep until a word changes.
        #[derive(Debug)]
        pub(crate) struct Sleepers;

        impl Sleepers {
            pub(crate) const fn new() -> Sleepers {
                Sleepers
            }

            /// Sleeps while `*word == expected`, or returns at once; wakes spuriously.
            pub(crate) fn wait(&self, word: &AtomicU32, expected: u32) {
                crate::os::wait(word, expected);
            }

            /// As [`Sleepers::wait`], for at most `ms` milliseconds, below 1,000.
            pub(crate) fn wait_ms(&self, word: &AtomicU32, expected: u32, ms: u32) {
                crate::os::wait_ms(word, expected, ms);
            }

            /// Wakes one sleeper.
            pub(crate) fn wake(&self, word: &AtomicU32) {
                crate::os::wake(word);
            }

            /// Wakes all sleepers.
            pub(crate) fn wake_all(&self, word: &AtomicU32) {
                crate::os::wake_all(word);
            }
        }
    }
}

/// Declares a constructor of a value with atomics: `const`, except for the model checker, whose atomics cannot be
/// constants.
macro_rules! constant {
    ($(#[$about:meta])* $visible:vis fn $name:ident($($given:ident: $of:ty),*) -> $type:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$about])* $visible const fn $name($($given: $of),*) -> $type $body

        #[cfg(loom)]
        $(#[$about])* $visible fn $name($($given: $of),*) -> $type $body
    };
}
pub(crate) use constant;

/// Declares a static with locks and atomics, or an array with a new value in `each` place. The model checker makes it
/// anew for each run of a model. A `table`, which is long and zero at first, lies with the others of its kind: so what is
/// short lies together, and the first request of a process touches few OS pages.
macro_rules! global {
    ($(#[$about:meta])* table static $($rest:tt)*) => {
        #[cfg(not(loom))]
        $crate::sync::global! {
            $(#[$about])*
            #[unsafe(link_section = ".bss.hakmem_tables")]
            static $($rest)*
        }

        #[cfg(loom)]
        $crate::sync::global! { $(#[$about])* static $($rest)* }
    };
    ($(#[$about:meta])* static $name:ident: [$type:ty; $len:expr] = each $make:expr;) => {
        #[cfg(not(loom))]
        $(#[$about])* static $name: [$type; $len] = [const { $make }; $len];

        #[cfg(loom)]
        loom::lazy_static! {
            // Not an array: the checker's threads have short stacks.
            $(#[$about])* static ref $name: std::boxed::Box<[$type]> = (0..$len).map(|_| $make).collect();
        }
    };
    ($(#[$about:meta])* static $name:ident: $type:ty = $make:expr;) => {
        #[cfg(not(loom))]
        $(#[$about])* static $name: $type = $make;

        #[cfg(loom)]
        loom::lazy_static! {
            $(#[$about])* static ref $name: $type = $make;
        }
    };
}
pub(crate) use global;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// Spins before sleeping: about as long as the sections that these locks guard. For a model one spin is as good as
/// many.
const SPINS: u32 = if cfg!(loom) { 1 } else { 64 };

/// A value that one thread at a time may use.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    state: AtomicU32,
    sleepers: Sleepers,
    value: UnsafeCell<T>,
}

// SAFETY: the state word admits one thread at a time to the value.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    constant! {
        /// A free lock around a value.
        pub(crate) fn new(value: T) -> Lock<T> {
            Lock { state: AtomicU32::new(FREE), sleepers: Sleepers::new(), value: UnsafeCell::new(value) }
        }
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
        // A thread that gets the lock this way leaves it marked contended, since others may still sleep.
        // Acquire: pairs with the release in `release`.
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            self.sleepers.wait(&self.state, CONTENDED);
        }
    }

    /// Frees the lock.
    ///
    /// # Safety
    /// - the caller holds it, by a guard that is not used any more.
    #[inline]
    unsafe fn release(&self) {
        // Release: pairs with the acquires of the next holder.
        if self.state.swap(FREE, Ordering::Release) == CONTENDED {
            self.sleepers.wake(&self.state);
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

/// A word that the first caller makes; 0 until then.
#[derive(Debug)]
pub(crate) struct Once {
    word: AtomicU64,
    making: Lock<()>,
}

impl Once {
    constant! {
        /// Not made yet.
        pub(crate) fn new() -> Once {
            Once { word: AtomicU64::new(0), making: Lock::new(()) }
        }
    }

    /// The word, made by `make` if it was not made before, and whether this call made it. A `make` that returns 0
    /// leaves it unmade. A thread that has the word sees what `make` wrote.
    #[inline]
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> u64) -> (u64, bool) {
        // Acquire: pairs with the release in `make_slow`.
        match self.word.load(Ordering::Acquire) {
            0 => self.make_slow(make),
            word => (word, false),
        }
    }

    #[cold]
    fn make_slow(&self, make: impl FnOnce() -> u64) -> (u64, bool) {
        let _making = self.making.lock();
        // Relaxed: it was stored under the lock.
        let known = self.word.load(Ordering::Relaxed);
        if known != 0 {
            return (known, false);
        }
        let word = make();
        // Release: pairs with the acquire in `get_or_make`.
        self.word.store(word, Ordering::Release);
        (word, word != 0)
    }

    /// The word, loaded without ordering: what `make` wrote need not be visible yet. 0 if it is not made, or if another
    /// thread has only just made it.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }
}

/// A count that one thread raises and any thread may read.
#[derive(Debug, Default)]
pub(crate) struct Count(core::sync::atomic::AtomicU64);

impl Count {
    /// Zero, as all-zero bytes are.
    pub(crate) const fn new() -> Count {
        Count(core::sync::atomic::AtomicU64::new(0))
    }

    /// Adds `n`; only the thread that owns the count may. A load and a store, which are one instruction without a lock
    /// prefix.
    #[inline(always)]
    pub(crate) fn add(&self, n: u64) {
        // Relaxed: readers want the number alone.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a factor's counters: a struct of [`Count`]s, and their names.
macro_rules! counters {
    ($($(#[$about:meta])* $name:ident),+ $(,)?) => {
        /// Activity counters of one thread.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $($(#[$about])* pub(crate) $name: $crate::sync::Count,)+
        }

        impl Counters {
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            pub(crate) const fn new() -> Counters {
                Counters { $($name: $crate::sync::Count::new()),+ }
            }

            pub(crate) fn read(&self, index: usize) -> u64 {
                [$(&self.$name),+][index].get()
            }
        }
    };
}
pub(crate) use counters;

#[cfg(all(test, not(loom)))]
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

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::{Loss, check, fails};
    use loom::sync::Arc;
    use loom::thread;

    /// The model's own thread raises a number once, and all others raise it twice each.
    fn count(threads: u32) {
        let lock = Arc::new(Lock::new(0));
        let others = (1..threads).map(|_| {
            let lock = lock.clone();
            thread::spawn(move || {
                *lock.lock() += 1;
                *lock.lock() += 1;
            })
        });
        let others: std::vec::Vec<_> = others.collect();
        *lock.lock() += 1;
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(*lock.lock(), 2 * threads - 1);
    }

    /// One holder at a time, which sees what the last one wrote. A sleeper that no thread wakes would be a deadlock.
    #[test]
    fn loom_lock_admits_one_at_a_time_and_wakes_all() {
        check(|| count(3));
    }

    #[test]
    fn loom_lock_needs_its_acquires() {
        assert!(fails(Loss::Acquire, || count(2)));
    }

    #[test]
    fn loom_lock_needs_its_releases() {
        assert!(fails(Loss::Release, || count(2)));
    }

    #[test]
    fn loom_lock_tried_is_held_or_left() {
        check(|| {
            let lock = Arc::new(Lock::new(0));
            let other = thread::spawn({
                let lock = lock.clone();
                move || {
                    let Some(mut value) = lock.try_lock() else { return 0 };
                    *value += 1;
                    1
                }
            });
            let own = lock.try_lock().map_or(0, |mut value| {
                *value += 1;
                1
            });
            *lock.lock() += 1;
            let other = other.join().expect("no panic");
            assert_eq!(*lock.lock(), own + other + 1);
        });
    }

    /// Two threads get the word; making it writes a value that both then read.
    fn make_once() {
        let shared = Arc::new((Once::new(), UnsafeCell::new(0), atomic::AtomicU32::new(0)));
        let want = |shared: &(Once, UnsafeCell<u32>, AtomicU32)| {
            let (once, settings, made) = shared;
            let (word, is_own) = once.get_or_make(|| {
                // SAFETY: no thread reads the value before the word is stored.
                unsafe { *settings.get() = 7 };
                made.fetch_add(1, Ordering::Relaxed);
                5
            });
            assert_eq!(word, 5);
            assert_eq!(once.peek(), 5);
            is_own
        };
        let other = thread::spawn({
            let shared = shared.clone();
            move || want(&shared)
        });
        let own = want(&shared);
        // SAFETY: written before the word was stored, and never again.
        assert_eq!(unsafe { shared.1.read() }, 7);
        let other = other.join().expect("no panic");
        assert!(own != other, "one of the two made it");
        assert_eq!(shared.2.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn loom_once_is_made_once_and_seen_whole() {
        check(make_once);
    }

    #[test]
    fn loom_once_needs_its_acquires() {
        assert!(fails(Loss::Acquire, make_once));
    }

    #[test]
    fn loom_once_needs_its_releases() {
        assert!(fails(Loss::Release, make_once));
    }

    /// A `make` that fails leaves the word to the next caller.
    #[test]
    fn loom_once_is_tried_again_after_a_failure() {
        check(|| {
            let once = Arc::new(Once::new());
            let other = thread::spawn({
                let once = once.clone();
                move || once.get_or_make(|| 0)
            });
            let own = once.get_or_make(|| 3);
            assert_eq!(own, (3, true));
            assert!([(0, false), (3, false)].contains(&other.join().expect("no panic")));
        });
    }
}
