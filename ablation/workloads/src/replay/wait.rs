//! Waiting for another thread: for a little while on the processor, then after yielding it, then asleep in the kernel. So a
//! trace with more threads than processors goes on.

use crate::os::own_memory::Zeroable;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Looks before the processor is yielded, some microseconds, and before the kernel is asked to wake the thread.
const SPINS: u32 = 100;
const YIELDS: u32 = 8;
/// The bit of a number that says that a thread sleeps until it changes.
const ASLEEP: u32 = 1 << 31;

/// A number that one thread sets and others wait for, below 2^31. 0 at first.
#[repr(transparent)]
pub(super) struct Number(AtomicU32);

// SAFETY: 0 is a number, and it has no `Drop`.
unsafe impl Zeroable for Number {}

impl Number {
    /// A number that is 0.
    pub(super) const fn new() -> Number {
        Number(AtomicU32::new(0))
    }

    /// The number. What was written before it was set is seen.
    #[inline(always)]
    pub(super) fn get(&self) -> u32 {
        // Pairs with `set` and `add`.
        self.0.load(Acquire) & !ASLEEP
    }

    /// Sets the number, and wakes those who wait for it.
    #[inline(always)]
    pub(super) fn set(&self, value: u32) {
        // Pairs with `get`.
        if self.0.swap(value, AcqRel) & ASLEEP != 0 {
            self.wake();
        }
    }

    /// Adds 1, and wakes those who wait.
    pub(super) fn add(&self) {
        // Pairs with `get`.
        if self.0.fetch_add(1, AcqRel) & ASLEEP != 0 {
            self.wake();
        }
    }

    /// Sets it from 0 to 1; whether this call did that.
    pub(super) fn claim(&self) -> bool {
        self.0.compare_exchange(0, 1, AcqRel, Relaxed).is_ok()
    }

    /// Sets it to 0 while no other thread uses it.
    pub(super) fn reset(&self) {
        self.0.store(0, Relaxed);
    }

    /// Waits until it is `value`.
    #[inline(always)]
    pub(super) fn wait_for(&self, value: u32) {
        if self.get() != value {
            self.wait_slow(|now| now == value);
        }
    }

    /// Waits until it is at least `value`.
    pub(super) fn wait_for_least(&self, value: u32) {
        if self.get() < value {
            self.wait_slow(|now| now >= value);
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_slow(&self, is_enough: impl Fn(u32) -> bool) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if is_enough(self.get()) {
                return;
            }
        }
        for _ in 0..YIELDS {
            std::thread::yield_now();
            if is_enough(self.get()) {
                return;
            }
        }
        loop {
            let now = self.0.load(Acquire);
            if is_enough(now & !ASLEEP) {
                return;
            }
            // Where another thread changed it meanwhile, it is looked at again.
            if now & ASLEEP != 0 || self.0.compare_exchange(now, now | ASLEEP, AcqRel, Relaxed).is_ok() {
                self.sleep(now | ASLEEP);
            }
        }
    }

    /// Sleeps while the number is still `seen`; may return early.
    fn sleep(&self, seen: u32) {
        let (call, forever) = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, std::ptr::null::<libc::timespec>());
        // SAFETY: the address is that of a number which outlives the call.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), call, seen, forever) };
    }

    #[cold]
    #[inline(never)]
    fn wake(&self) {
        let call = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the address is that of a number which outlives the call.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), call, i32::MAX) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns_however_many_there_are() {
        const THREADS: u32 = 16;
        let (turn, sum) = (Number::new(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (turn, sum) = (&turn, &sum);
                scope.spawn(move || {
                    for round in 0..50 {
                        let mine = round * THREADS + thread;
                        turn.wait_for(mine);
                        assert_eq!(sum.load(Relaxed), mine);
                        sum.store(mine + 1, Relaxed);
                        turn.set(mine + 1);
                    }
                });
            }
        });
        assert_eq!(turn.get(), 50 * THREADS);
    }

    #[test]
    fn a_sleeping_thread_is_woken_by_a_count() {
        let count = Number::new();
        std::thread::scope(|scope| {
            scope.spawn(|| count.wait_for_least(3));
            for _ in 0..3 {
                std::thread::sleep(std::time::Duration::from_millis(5));
                count.add();
            }
        });
        assert_eq!(count.get(), 3);
    }
}
