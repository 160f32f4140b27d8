//! The recorded time between operations, spent as work of the processor.

use crate::os::clock;
use std::arch::asm;

/// Steps of a calibration, and how many are taken; the fastest counts. They are short, so that some are undisturbed.
const STEPS: u64 = 100_000;
const CALIBRATIONS: usize = 100;
/// A gap from here on is slept through: a program that computes for so long without a request is as well described by one
/// that waits, and a processor that waits for input must be free for other threads.
const SLEEP_NS: f64 = 1e6;

/// How gaps are spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gaps {
    /// 0: not at all.
    scale: f64,
    steps_per_ns: f64,
}

impl Gaps {
    /// Calibrates the loop, unless the scale is 0.
    pub(super) fn new(scale: f64) -> Gaps {
        if scale == 0.0 {
            return Gaps { scale, steps_per_ns: 0.0 };
        }
        let calibrations = (0..CALIBRATIONS).map(|_| {
            let before = clock::now_ns();
            spin(STEPS);
            clock::now_ns() - before
        });
        let fastest = calibrations.min().unwrap_or(1).max(1);
        Gaps { scale, steps_per_ns: STEPS as f64 / fastest as f64 }
    }

    /// Whether any time is spent.
    #[inline(always)]
    pub(super) fn are_spent(&self) -> bool {
        self.scale > 0.0
    }

    /// Spends the time of a gap.
    pub(super) fn spend(&self, ns: u32) {
        let ns = f64::from(ns) * self.scale;
        if ns >= SLEEP_NS {
            clock::sleep_until_ns(clock::now_ns() + ns as u64);
        } else {
            spin((ns * self.steps_per_ns) as u64);
        }
    }
}

/// A loop of so many steps, each after the other.
#[inline(never)]
fn spin(steps: u64) {
    for _ in 0..steps {
        // SAFETY: no instruction; the compiler must keep the loop around it.
        unsafe { asm!("", options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_spent_where_gaps_are_asked_for() {
        assert!(!Gaps::new(0.0).are_spent());
        let gaps = Gaps::new(2.0);
        assert!(gaps.are_spent() && gaps.steps_per_ns > 0.0);
        let before = clock::now_ns();
        gaps.spend(100);
        // Slept through, which never takes less.
        gaps.spend(1_000_000);
        assert!(clock::now_ns() - before >= 2_000_000);
    }
}
