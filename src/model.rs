//! Atomics and cells of the model checker (loom), in place of [`crate::sync`]'s; only its builds have this file.
//!
//! `just models` runs the tests named `loom_`. Each lies beside the code that it tests, and runs that code in every
//! schedule of its threads with up to three preemptions, and with every value that a load may see under the orderings
//! as written. Some run again under weaker orderings, and expect a failure: a model that passes without an ordering
//! proves nothing about it.
//!
//! Shuttle would add longer, random schedules, but only sequentially consistent ones. The stress test under
//! ThreadSanitizer covers long schedules, with the machine's own memory order.
//!
//! Loom treats `SeqCst` as `AcqRel`, so that code that relies on one total order would fail. None here does.

use core::sync::atomic::Ordering;
use loom::sync::{Condvar, Mutex};
use std::panic;

/// What a run takes away from the orderings, or from compare-and-exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing: the code as it is.
    None,
    /// Loads do not acquire.
    Acquire,
    /// Stores do not release.
    Release,
    /// Exchanges compare only these bits.
    Bits(usize),
}

/// Most preemptions per schedule.
const PREEMPTIONS: usize = 3;
/// Most steps of a run. A model that takes more waits in a loop for ever.
const STEPS: usize = 10_000;

/// Held by the model that runs: statics that are not the checker's are shared by all models.
static ONE_MODEL: std::sync::Mutex<()> = std::sync::Mutex::new(());
/// The loss of the model that runs.
static LOST: std::sync::RwLock<Loss> = std::sync::RwLock::new(Loss::None);

/// Runs a model in all its schedules. Panics in the first that fails.
pub(crate) fn check(model: impl Fn() + Sync + Send + 'static) {
    run(Loss::None, model);
}

/// Whether a model fails under a loss.
pub(crate) fn fails(loss: Loss, model: impl Fn() + Sync + Send + 'static) -> bool {
    panic::catch_unwind(panic::AssertUnwindSafe(|| run(loss, model))).is_err()
}

fn run(loss: Loss, model: impl Fn() + Sync + Send + 'static) {
    let _one = ONE_MODEL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *LOST.write().expect("no thread panics with it") = loss;
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = STEPS;
    builder.check(model);
}

fn lost() -> Loss {
    *LOST.read().expect("no thread panics with it")
}

/// An ordering after the loss.
fn left(order: Ordering) -> Ordering {
    match (lost(), order) {
        (Loss::Acquire, Ordering::Acquire) | (Loss::Release, Ordering::Release) => Ordering::Relaxed,
        (Loss::Acquire, Ordering::AcqRel) => Ordering::Release,
        (Loss::Release, Ordering::AcqRel) => Ordering::Acquire,
        (_, order) => order,
    }
}

/// Makes the checker treat loads of different threads as conflicting. It remembers only the last access: after a load,
/// and another thread's load and exchange, it would never try the exchange before the first load, since the other load
/// came between.
#[derive(Debug)]
struct Looks(loom::sync::atomic::AtomicUsize);

impl Looks {
    fn new() -> Looks {
        Looks(loom::sync::atomic::AtomicUsize::new(0))
    }

    fn look(&self) {
        // Relaxed: orders nothing.
        self.0.fetch_add(0, Ordering::Relaxed);
    }
}

/// Declares operations that write a value and return the old one.
macro_rules! exchanges {
    ($word:ty: $($operation:ident),+) => {
        $(
            #[track_caller]
            pub(crate) fn $operation(&self, value: $word, order: Ordering) -> $word {
                self.0.$operation(value, left(order))
            }
        )+
    };
}

macro_rules! atomics {
    ($($name:ident of $word:ty),+) => {
        $(
            /// The checker's atomic, under the orderings that the loss leaves.
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name, Looks);

            #[allow(dead_code, reason = "not every operation of every width is used")]
            impl $name {
                pub(crate) fn new(value: $word) -> $name {
                    $name(loom::sync::atomic::$name::new(value), Looks::new())
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $word {
                    self.1.look();
                    self.0.load(left(order))
                }

                #[track_caller]
                pub(crate) fn store(&self, value: $word, order: Ordering) {
                    self.0.store(value, left(order));
                }

                exchanges! { $word: swap, fetch_add, fetch_sub, fetch_and, fetch_min }

                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    known: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    let result = self.0.compare_exchange(known, new, left(success), left(failure));
                    match (lost(), result) {
                        (Loss::Bits(bits), Err(found)) if (found ^ known) & bits as $word == 0 => {
                            self.0.compare_exchange(found, new, left(success), left(failure))
                        }
                        _ => result,
                    }
                }

                /// Never fails spuriously here: the loops around it begin again either way.
                #[track_caller]
                pub(crate) fn compare_exchange_weak(
                    &self,
                    known: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    self.compare_exchange(known, new, success, failure)
                }
            }
        )+
    };
}

atomics!(AtomicU32 of u32, AtomicU64 of u64, AtomicUsize of usize);

/// A cell whose accesses must be ordered one after the other.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(loom::cell::UnsafeCell::new(value))
    }

    /// The address; panics when nothing orders this access after the last one.
    #[track_caller]
    pub(crate) fn get(&self) -> *mut T {
        self.0.with_mut(|value| value)
    }

    /// The value; panics when nothing orders this access after the last write.
    ///
    /// # Safety
    /// - no other thread changes the value meanwhile.
    #[track_caller]
    pub(crate) unsafe fn read(&self) -> T
    where
        T: Copy,
    {
        // SAFETY: the caller's promise.
        self.0.with(|value| unsafe { *value })
    }
}

/// The kernel's part of a lock: it compares the word and sleeps, or wakes one sleeper, in one step.
#[derive(Debug)]
pub(crate) struct Sleepers {
    queue: Mutex<()>,
    wake: Condvar,
}

impl Sleepers {
    pub(crate) fn new() -> Sleepers {
        Sleepers { queue: Mutex::new(()), wake: Condvar::new() }
    }

    pub(crate) fn wait(&self, word: &AtomicU32, expected: u32) {
        let queue = self.queue.lock().expect("no thread panics with it");
        if word.load(Ordering::Relaxed) == expected {
            drop(self.wake.wait(queue));
        }
    }

    /// The time is over at once, or after what other threads do first.
    pub(crate) fn wait_ms(&self, _: &AtomicU32, _: u32, _: u32) {
        loom::thread::yield_now();
    }

    pub(crate) fn wake(&self, _: &AtomicU32) {
        let _queue = self.queue.lock().expect("no thread panics with it");
        self.wake.notify_one();
    }

    pub(crate) fn wake_all(&self, _: &AtomicU32) {
        let _queue = self.queue.lock().expect("no thread panics with it");
        self.wake.notify_all();
    }
}
