//! The gate: no thread goes past its cache while the process forks.
//!
//! Every call that goes past a thread's cache holds a lock of its heap ([`super::thread`]) and then looks whether the
//! gate is open. A fork closes the gate and takes each of those locks once: afterwards no thread holds any lock of the
//! allocator, and all its structures are whole. The child gets them as they are.
//!
//! The gate is closed while code of others runs: handlers that other libraries registered for the fork, and the C
//! library's own preparations, which may wait for a thread that waits for memory. So no thread waits here for ever: the
//! forking one not at all, and others [`PATIENCE_MS`] in all. They are served by [`super::bypass`] then.
//!
//! A process may also fork without the C library (`clone`, `SYS_fork`), and no handler runs. A page that the kernel
//! zeroes in each child tells.

use crate::metadata::allocator;
use crate::os::{self, OS_PAGE};
use crate::sync::{Guard, Lock, Sleepers, atomic, global};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

const OPEN: u32 = 0;
const CLOSED: u32 = 1;
/// Closed, and a thread has waited in vain.
const IMPATIENT: u32 = 2;
/// Never opens again: the process was copied while another thread was past its cache.
const BROKEN: u32 = 3;

/// Milliseconds for which threads wait at a closed gate, before all of them are served otherwise.
const PATIENCE_MS: u32 = 10;

global! {
    static STATE: atomic::AtomicU32 = atomic::AtomicU32::new(OPEN);
}
global! {
    static SLEEPERS: Sleepers = Sleepers::new();
}
global! {
    /// The words of the thread that closed the gate, as an address; 0 while none did.
    static FORKER: atomic::AtomicUsize = atomic::AtomicUsize::new(0);
}
/// 1 once the page below was asked for.
static IS_MARKED: AtomicU32 = AtomicU32::new(0);
/// A page whose first word is 1, except in a child that no handler was called for; null until it is made.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// Takes a lock and goes through the gate. `None` when the caller must not wait for it.
pub(super) fn pass<T>(lock: &Lock<T>) -> Option<Guard<'_, T>> {
    loop {
        // Where the gate never opens again, a thread that does not exist may hold the lock.
        if STATE.load(Ordering::Relaxed) == BROKEN {
            return None;
        }
        let guard = lock.lock();
        // The lock orders a closed gate: a fork that took the lock before has closed the gate before that, and one that
        // comes later waits for this guard. Acquire: pairs with the release in `open`.
        if STATE.load(Ordering::Acquire) == OPEN {
            return Some(guard);
        }
        drop(guard);
        if !wait() {
            return None;
        }
    }
}

/// As [`pass`], for a caller that can wait as long as a fork takes. `None` when the gate never opens again.
pub(super) fn pass_in_the_end<T>(lock: &Lock<T>) -> Option<Guard<'_, T>> {
    while STATE.load(Ordering::Relaxed) != BROKEN {
        let guard = lock.lock();
        let state = STATE.load(Ordering::Acquire);
        if state == OPEN || FORKER.load(Ordering::Relaxed) == os::thread_number() {
            return Some(guard);
        }
        drop(guard);
        SLEEPERS.wait(&STATE, state);
    }
    None
}

/// Waits until the gate opens. Returns `false` when the caller must not wait.
fn wait() -> bool {
    if FORKER.load(Ordering::Relaxed) == os::thread_number() {
        return false;
    }
    match STATE.load(Ordering::Relaxed) {
        OPEN => true,
        CLOSED => {
            SLEEPERS.wait_ms(&STATE, CLOSED, PATIENCE_MS);
            // Still closed: no thread is to wait any more.
            STATE.compare_exchange(CLOSED, IMPATIENT, Ordering::Relaxed, Ordering::Relaxed).is_err()
        }
        _ => false,
    }
}

/// Closes the gate, in the thread that is about to fork. Waits while another one does, if the caller `may_wait`: the C
/// library calls the handlers of two forks at the same time. The other one may wait for a caller that is inside, which so
/// must not wait for it, and forks as it is.
pub(super) fn close(may_wait: bool) {
    // Acquire: pairs with the release in `open`.
    while FORKER.compare_exchange(0, os::thread_number(), Ordering::Acquire, Ordering::Relaxed).is_err() {
        if !may_wait {
            return;
        }
        os::yield_now();
    }
    // Only opened again by this thread, or by the child's copy of it.
    _ = STATE.compare_exchange(OPEN, CLOSED, Ordering::Relaxed, Ordering::Relaxed);
}

/// Opens the gate after a fork, in the process that forked, if this thread closed it.
pub(super) fn open() {
    if FORKER.load(Ordering::Relaxed) == os::thread_number() {
        open_in_child();
    }
}

/// Opens the gate in the child, whichever thread closed it: there is no other one.
pub(super) fn open_in_child() {
    if STATE.load(Ordering::Relaxed) != BROKEN {
        // Release: pairs with the acquires of those that go in. Before another thread may close the gate, which would find
        // it closed, and open a moment later.
        STATE.swap(OPEN, Ordering::Release);
    }
    // Release: pairs with the acquire in `close`.
    FORKER.store(0, Ordering::Release);
    SLEEPERS.wake_all(&STATE);
}

/// Closes the gate for ever.
pub(super) fn close_for_ever() {
    STATE.swap(BROKEN, Ordering::Relaxed);
}

/// Whether a fork is under way, in this process or, when it was copied, in its parent.
pub(super) fn is_closed() -> bool {
    STATE.load(Ordering::Relaxed) != OPEN
}

/// Whether the gate never opens again.
pub(super) fn is_broken() -> bool {
    STATE.load(Ordering::Relaxed) == BROKEN
}

/// Makes the page by which a child of an unannounced fork is found, once. Called before a second thread, which may be the
/// purge's, is past its cache for the first time: a process of one thread is whole whenever it forks.
pub(super) fn mark() {
    if IS_MARKED.swap(1, Ordering::Relaxed) != 0 {
        return;
    }
    let Some(page) = allocator::allocate_page() else { return };
    // SAFETY: the page is new. A kernel that does not zero it in children refuses, and no such child is found.
    if unsafe { os::zero_in_children(page.as_ptr(), OS_PAGE) } {
        let mark = page.cast::<AtomicU32>();
        // SAFETY: the page is ours, and all zeroes.
        unsafe { mark.as_ref() }.store(1, Ordering::Relaxed);
        MARK.store(mark.as_ptr(), Ordering::Release);
    }
}

/// Whether this is the child of a fork that no handler was called for, and was not found to be one before.
#[inline]
pub(super) fn is_unannounced_child() -> bool {
    // SAFETY: the page lives for ever.
    unsafe { MARK.load(Ordering::Acquire).as_ref() }.is_some_and(|mark| mark.load(Ordering::Relaxed) == 0)
}

/// Notes that the child knows what it is.
pub(super) fn mark_child() {
    // SAFETY: as above.
    if let Some(mark) = unsafe { MARK.load(Ordering::Acquire).as_ref() } {
        mark.store(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::model::check;
    use crate::sync::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// Once the gate is closed and each lock was taken, no thread is between its lock and its release, until the gate opens.
    #[test]
    fn loom_gate_lets_no_thread_in() {
        check(|| {
            let heaps = Arc::new([(Lock::new(()), UnsafeCell::new(0)), (Lock::new(()), UnsafeCell::new(0))]);
            let others: std::vec::Vec<_> = (0..2)
                .map(|n: usize| {
                    let heaps = heaps.clone();
                    thread::spawn(move || {
                        let (lock, work) = &heaps[n];
                        if let Some(_guard) = pass(lock) {
                            // SAFETY: the checker panics if the forking thread reads it meanwhile.
                            unsafe { *work.get() += 1 };
                        }
                    })
                })
                .collect();
            close(true);
            heaps.iter().for_each(|(lock, _)| drop(lock.lock()));
            // SAFETY: as above.
            heaps.iter().for_each(|(_, work)| assert!(unsafe { work.read() } <= 1));
            open();
            others.into_iter().for_each(|other| other.join().expect("no panic"));
        });
    }

    /// Two threads fork at once, and one of them goes in afterwards: no two of these share what the gate guards.
    #[test]
    fn loom_gate_is_closed_by_one_thread_at_a_time() {
        check(|| {
            let heap = Arc::new((Lock::new(()), UnsafeCell::new(0)));
            let work = |heap: &(Lock<()>, UnsafeCell<u32>)| {
                // SAFETY: the checker panics if another thread is at it.
                unsafe { *heap.1.get() += 1 };
            };
            let fork = move |heap: &(Lock<()>, UnsafeCell<u32>)| {
                close(true);
                drop(heap.0.lock());
                work(heap);
                open();
            };
            let other = thread::spawn({
                let heap = heap.clone();
                move || {
                    fork(&heap);
                    let guard = pass(&heap.0);
                    let is_in = guard.is_some();
                    if is_in {
                        work(&heap);
                    }
                    u32::from(is_in)
                }
            });
            fork(&heap);
            let used = other.join().expect("no panic");
            assert!(!is_closed());
            // SAFETY: the other thread has ended.
            assert_eq!(unsafe { heap.1.read() }, 2 + used);
        });
    }
}
