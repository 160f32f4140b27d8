//! Evolution's trials, which the original's policy `auto` has: some allocations try another strategy.
//!
//! - FROZEN → TRIAL: ten windows in a row were not slow; 5 % of the allocations then use the second-best strategy for
//!   one window.
//! - TRIAL → FROZEN, after that window: the strategy is adopted if the p99 of its allocations is at least 1 % better
//!   than the others'.
//!
//! Only a form that sees every allocation can do this. The default form's plans hold for all allocations at once, and
//! its policy `slow-path` never begins a trial. A trial is a mode of the lifecycle in [`super`], so its state is here
//! and not beside the original's forms.
//!
//! Costs a multiplication and a division per allocation under trial, 12 bytes per thread.

use super::quantile::P2;
use core::sync::atomic::{AtomicU32, Ordering};

/// Quiet windows in FROZEN before a trial.
pub(crate) const QUIET_WINDOWS: u32 = 10;

/// One allocation in so many tries the candidate.
static TRIAL_EVERY: AtomicU32 = AtomicU32::new(20);

/// Sets the share of allocations that try the candidate, from 0 to 1.
pub(crate) fn begin(fraction: f64) {
    let every = if fraction > 0.0 { 1.0 / fraction } else { f64::from(u32::MAX) };
    TRIAL_EVERY.store(every as u32, Ordering::Relaxed);
}

/// Which of a thread's latencies were measured under trial.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Bit `n` is for latency `n`.
    bits: u64,
    /// Random state that picks the trials.
    random: u32,
}

impl Marks {
    /// Most latencies that can be marked.
    pub(crate) const MOST: usize = u64::BITS as usize;

    /// Whether the allocation that begins is a trial.
    pub(crate) fn is_trial(&mut self) -> bool {
        // A linear congruential step, whose high bits are random enough. A plain count could keep step with the
        // latencies, so that a thread never measured a trial. Constants: Numerical Recipes, 2nd ed., §7.1.
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.random >> 8).is_multiple_of(TRIAL_EVERY.load(Ordering::Relaxed))
    }

    /// Notes whether the latency at this place was measured under trial.
    pub(crate) fn mark(&mut self, place: u32, trial: bool) {
        self.bits = (self.bits & !(1 << place)) | (u64::from(trial) << place);
    }

    /// Whether the latency at this place was measured under trial.
    pub(crate) fn is_marked(&self, place: u32) -> bool {
        self.bits & (1 << place) != 0
    }
}

/// The shared state of trials.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Of the allocations under trial in this window, in cycles.
    pub(crate) p99: P2,
    /// Windows in a row that were not slow.
    pub(crate) quiet_windows: u32,
}

impl Trial {
    pub(crate) const fn new() -> Trial {
        Trial { p99: P2::new(0.99), quiet_windows: 0 }
    }

    /// Notes a window in FROZEN. Returns whether a trial may begin.
    pub(crate) fn is_due(&mut self, slow: bool) -> bool {
        self.quiet_windows = if slow { 0 } else { self.quiet_windows + 1 };
        self.quiet_windows >= QUIET_WINDOWS
    }

    /// Whether the candidate was faster than the others, whose p99 is given, by at least a share of it.
    pub(crate) fn is_better(&self, others_p99: f64, share: f64) -> bool {
        self.p99.value() <= others_p99 * (1.0 - share)
    }
}
