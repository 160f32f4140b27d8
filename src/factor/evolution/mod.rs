//! Evolution: decides when learning stops, and when it starts again. Off by default, as the learning is.
//!
//! The size of every allocation that no cache served (`slow-path`) enters a histogram, the latency of every 16th is
//! measured, and every 1,024th brings both to the shared state. A window closes after 10,000 allocations or 2 s, and
//! gives a p99 latency (P² estimator) and a size distribution.
//!
//! - LEARN → FROZEN: learning has lasted 180 s and the p99 of three windows in a row changed by at most 1 %.
//! - FROZEN → LEARN: three windows in a row are 20 % slower than the baseline, which is the window that froze, or the
//!   size distribution is farther than 0.25 from it (L1, 0 to 2).
//!
//! The numbers are the original's defaults; variables set them ([`Settings`]). The original's policies see every
//! allocation; its `auto` has a third mode, TRIAL ([`trial`]), and `learn` and `frozen` stay in one mode for ever. In
//! FROZEN no strategy is drawn, and so none is rated.
//!
//! Costs 0.5 KiB per thread; an increment and a shift per allocation that is seen, two reads of the cycle counter per
//! 16, a try of a lock and one `clock_gettime` per 1,024 (no system call where the vDSO serves it). Different from the
//! original: latencies are measured (it recorded 0), per thread and without a race, and the conditions that it left
//! open are those above.

mod quantile;
mod trial;

use crate::os;
use crate::sync::{Lock, counters, global};
use core::sync::atomic::{AtomicU8, Ordering};
use quantile::P2;
use trial::{Marks, Trial};

counters! {
    /// Allocations whose size was recorded.
    sizes,
    /// Allocations whose latency was measured.
    latencies,
    /// Times that a thread brought its records to the shared state.
    visits,
    /// Windows that closed.
    windows,
    /// Times that learning stopped.
    freezes,
    /// Times that learning started again.
    relearns,
    /// Trials that ended, whether the candidate was adopted or not.
    trials,
    /// Allocations in mode FROZEN, which use the frozen strategy without a draw.
    frozen_picks,
}

const VISIT_ALLOCATIONS: u32 = 1024;
const LATENCY_EVERY: u32 = 16;
const LATENCIES: usize = (VISIT_ALLOCATIONS / LATENCY_EVERY) as usize;
/// Buckets of the size distribution: one per power of two; the last one is open.
const BUCKETS: usize = 32;

/// The numbers of the lifecycle. Seconds are of the monotonic clock; fractions, epsilons and deltas are shares of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Least learning time, seconds.
    pub(crate) freeze_seconds: f64,
    /// Relative change of p99 that counts as converged.
    pub(crate) freeze_epsilon: f64,
    /// Converged windows in a row that stop learning.
    pub(crate) freeze_windows: u32,
    /// Relative worsening of p99 that counts as bad.
    pub(crate) relearn_delta: f64,
    /// Bad windows in a row that start learning again.
    pub(crate) relearn_windows: u32,
    /// L1 distance of size distributions, 0 to 2, that starts learning again.
    pub(crate) dist_delta: f64,
    /// Share of allocations that try the candidate.
    pub(crate) trial_fraction: f64,
    /// Allocations that close a window.
    pub(crate) window_ops: u32,
    /// Seconds that close a window.
    pub(crate) window_seconds: f64,
}

impl Settings {
    /// The original's values.
    pub(crate) const DEFAULT: Settings = Settings {
        freeze_seconds: 180.0,
        freeze_epsilon: 0.01,
        freeze_windows: 3,
        relearn_delta: 0.20,
        relearn_windows: 3,
        dist_delta: 0.25,
        trial_fraction: 0.05,
        window_ops: 10_000,
        window_seconds: 2.0,
    };
}

/// Which modes the lifecycle may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Auto,
    Learn,
    Frozen,
    /// As `Auto`, but without trials: the factor `elo` learns plans, which no single allocation can try.
    SlowPath,
}

/// The mode of the lifecycle, and of each allocation. While the lifecycle is in [`Mode::Trial`], most allocations are
/// in [`Mode::Frozen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// Strategies are compared: the allocation draws one.
    Learn = 0,
    /// Learning has stopped: the allocation uses the best one.
    Frozen = 1,
    /// Learning has stopped, and the allocation tries the second best one.
    Trial = 2,
}

/// What the factor `elo` must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Stop learning.
    Freeze,
    /// Start learning again.
    Relearn,
    /// Use the candidate, which was faster.
    Adopt,
}

/// State of one thread.
#[derive(Debug)]
pub(crate) struct Local {
    histogram: [u32; BUCKETS],
    latencies: [u32; LATENCIES],
    latency_count: u32,
    since_visit: u32,
    /// Which latencies were measured under trial.
    trials: Marks,
}

const _: () = assert!(LATENCIES <= Marks::MOST);

/// The lifecycle's mode, for the request path. Relaxed: an allocation may act on the mode of a moment ago.
static MODE: AtomicU8 = AtomicU8::new(Mode::Learn as u8);
global! {
    static LIFE: Lock<Life> = Lock::new(Life::new(Policy::Auto, Settings::DEFAULT));
}

/// Starts the lifecycle, before the first request.
pub(crate) fn begin(policy: Policy, settings: Settings) {
    let mut life = LIFE.lock();
    *life = Life::new(policy, settings);
    life.started_ns = os::now_ns();
    life.window_start_ns = life.started_ns;
    MODE.store(life.mode as u8, Ordering::Relaxed);
    trial::begin(settings.trial_fraction);
}

/// One allocation that is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// Cycles at the start; 0 when the latency is not measured.
    start: u64,
    /// The allocation's mode.
    pub(crate) mode: Mode,
}

/// Records the size of an allocation that begins.
#[inline]
pub(crate) fn enter(local: &mut Local, counters: &Counters, size: usize) -> Watch {
    counters.sizes.add(1);
    let bucket = (usize::BITS - size.leading_zeros()) as usize;
    local.histogram[bucket.min(BUCKETS - 1)] += 1;
    local.since_visit += 1;
    let mode = match MODE.load(Ordering::Relaxed) {
        mode if mode == Mode::Learn as u8 => Mode::Learn,
        mode if mode == Mode::Trial as u8 && local.trials.is_trial() => Mode::Trial,
        _ => {
            counters.frozen_picks.add(1);
            Mode::Frozen
        }
    };
    let start = if local.since_visit.is_multiple_of(LATENCY_EVERY) { os::cycles() } else { 0 };
    Watch { start, mode }
}

/// Records the latency of an allocation that is done, if it is measured. Returns what learning must do, which is rarely
/// anything.
#[inline]
pub(crate) fn leave(local: &mut Local, counters: &Counters, watch: Watch) -> Option<Event> {
    if watch.start == 0 {
        return None;
    }
    local.add_latency(os::cycles().saturating_sub(watch.start), watch.mode == Mode::Trial);
    counters.latencies.add(1);
    if local.since_visit >= VISIT_ALLOCATIONS { visit(local, counters) } else { None }
}

/// Brings what the thread recorded to the shared state, unless another thread holds the lock; then it keeps recording.
#[cold]
#[inline(never)]
fn visit(local: &mut Local, counters: &Counters) -> Option<Event> {
    local.since_visit = 0;
    let mut life = LIFE.try_lock()?;
    counters.visits.add(1);
    let event = life.visit(local, os::now_ns(), counters);
    MODE.store(life.mode as u8, Ordering::Relaxed);
    event
}

impl Local {
    fn add_latency(&mut self, cycles: u64, trial: bool) {
        // After a visit that failed, the newest latencies replace the oldest.
        let place = self.latency_count % LATENCIES as u32;
        self.latencies[place as usize] = u32::try_from(cycles).unwrap_or(u32::MAX);
        self.trials.mark(place, trial);
        self.latency_count += 1;
    }
}

/// A distribution of sizes: shares that sum to 1.
type Distribution = [f64; BUCKETS];

/// The shared state.
#[derive(Debug)]
struct Life {
    policy: Policy,
    settings: Settings,
    mode: Mode,
    started_ns: u64,
    window_start_ns: u64,
    window_ops: u32,
    histogram: [u32; BUCKETS],
    p99: P2,
    last_p99: f64,
    converged: u32,
    bad: u32,
    baseline_p99: f64,
    baseline: Distribution,
    trial: Trial,
}

impl Life {
    const fn new(policy: Policy, settings: Settings) -> Life {
        Life {
            policy,
            settings,
            mode: match policy {
                Policy::Frozen => Mode::Frozen,
                Policy::Auto | Policy::Learn | Policy::SlowPath => Mode::Learn,
            },
            started_ns: 0,
            window_start_ns: 0,
            window_ops: 0,
            histogram: [0; BUCKETS],
            p99: P2::new(0.99),
            last_p99: f64::INFINITY,
            converged: 0,
            bad: 0,
            baseline_p99: f64::INFINITY,
            baseline: [0.0; BUCKETS],
            trial: Trial::new(),
        }
    }

    fn visit(&mut self, local: &mut Local, now_ns: u64, counters: &Counters) -> Option<Event> {
        for (sum, count) in self.histogram.iter_mut().zip(&mut local.histogram) {
            self.window_ops = self.window_ops.saturating_add(*count);
            *sum = sum.saturating_add(core::mem::take(count));
        }
        for place in 0..(local.latency_count as usize).min(LATENCIES) {
            let estimator = if local.trials.is_marked(place as u32) { &mut self.trial.p99 } else { &mut self.p99 };
            estimator.add(f64::from(local.latencies[place]));
        }
        local.latency_count = 0;
        let seconds = now_ns.saturating_sub(self.window_start_ns) as f64 / 1e9;
        if self.window_ops < self.settings.window_ops && seconds < self.settings.window_seconds {
            return None;
        }
        counters.windows.add(1);
        let event = self.close_window(now_ns, counters);
        self.window_start_ns = now_ns;
        self.window_ops = 0;
        self.histogram = [0; BUCKETS];
        self.p99 = P2::new(0.99);
        self.trial.p99 = P2::new(0.99);
        event
    }

    fn close_window(&mut self, now_ns: u64, counters: &Counters) -> Option<Event> {
        if !matches!(self.policy, Policy::Auto | Policy::SlowPath) {
            return None;
        }
        let p99 = self.p99.value();
        let distribution = normalise(&self.histogram);
        match self.mode {
            Mode::Learn => {
                let change = (p99 - self.last_p99).abs() / self.last_p99;
                self.last_p99 = p99;
                // A change that is NaN compares false, and so does not count as converged.
                self.converged = if change <= self.settings.freeze_epsilon { self.converged + 1 } else { 0 };
                let learned = now_ns.saturating_sub(self.started_ns) as f64 / 1e9;
                if self.converged < self.settings.freeze_windows || learned < self.settings.freeze_seconds {
                    return None;
                }
                self.mode = Mode::Frozen;
                self.baseline_p99 = p99;
                self.baseline = distribution;
                (self.converged, self.bad, self.trial.quiet_windows) = (0, 0, 0);
                counters.freezes.add(1);
                Some(Event::Freeze)
            }
            Mode::Frozen => {
                let slow = p99 > self.baseline_p99 * (1.0 + self.settings.relearn_delta);
                self.bad = if slow { self.bad + 1 } else { 0 };
                let drifted = distance(&distribution, &self.baseline) > self.settings.dist_delta;
                if self.bad >= self.settings.relearn_windows || drifted {
                    self.mode = Mode::Learn;
                    self.started_ns = now_ns;
                    self.last_p99 = f64::INFINITY;
                    (self.bad, self.trial.quiet_windows) = (0, 0);
                    counters.relearns.add(1);
                    return Some(Event::Relearn);
                }
                if self.trial.is_due(slow) && self.policy == Policy::Auto {
                    self.mode = Mode::Trial;
                }
                None
            }
            Mode::Trial => {
                self.mode = Mode::Frozen;
                self.trial.quiet_windows = 0;
                counters.trials.add(1);
                self.trial.is_better(p99, self.settings.freeze_epsilon).then_some(Event::Adopt)
            }
        }
    }
}

fn normalise(histogram: &[u32; BUCKETS]) -> Distribution {
    let total: f64 = histogram.iter().map(|&count| f64::from(count)).sum();
    histogram.map(|count| if total > 0.0 { f64::from(count) / total } else { 0.0 })
}

/// L1 distance of two distributions, 0 to 2.
fn distance(a: &Distribution, b: &Distribution) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_run_from_0_to_2() {
        let mut a = [0; BUCKETS];
        let mut b = [0; BUCKETS];
        (a[3], b[9]) = (10, 70);
        assert_eq!(distance(&normalise(&a), &normalise(&a)), 0.0);
        assert_eq!(distance(&normalise(&a), &normalise(&b)), 2.0);
    }

    /// A thread that recorded one window: allocations of one size, latencies of one value.
    fn window(bucket: usize, cycles: u32) -> Local {
        let mut local = Local {
            histogram: [0; BUCKETS],
            latencies: [cycles; LATENCIES],
            latency_count: LATENCIES as u32,
            since_visit: 0,
            trials: Marks::default(),
        };
        local.histogram[bucket] = 20_000;
        local
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn learning_stops_after_three_steady_windows_and_180_s() {
        let counters = Counters::new();
        let mut life = Life::new(Policy::Auto, Settings::DEFAULT);
        for second in 1..=179 {
            assert_eq!(life.visit(&mut window(5, 100), second * SECOND, &counters), None);
        }
        assert_eq!(life.mode, Mode::Learn, "steady, but not long enough");
        assert_eq!(life.visit(&mut window(5, 100), 181 * SECOND, &counters), Some(Event::Freeze));
        assert_eq!((life.mode, counters.freezes.get(), counters.windows.get()), (Mode::Frozen, 1, 180));
    }

    /// A lifecycle that just froze at 100 cycles and bucket 5.
    fn frozen(counters: &Counters) -> Life {
        let mut life = Life::new(Policy::Auto, Settings { freeze_seconds: 0.0, ..Settings::DEFAULT });
        while life.mode == Mode::Learn {
            life.visit(&mut window(5, 100), SECOND, counters);
        }
        life
    }

    #[test]
    fn three_slow_windows_start_learning_again() {
        let counters = Counters::new();
        let mut life = frozen(&counters);
        for cycles in [130, 130, 110, 130, 130] {
            life.visit(&mut window(5, cycles), SECOND, &counters);
            assert_eq!(life.mode, Mode::Frozen, "not three in a row");
        }
        life.visit(&mut window(5, 130), SECOND, &counters);
        assert_eq!((life.mode, counters.relearns.get()), (Mode::Learn, 1));
    }

    #[test]
    fn another_size_distribution_starts_learning_again() {
        let counters = Counters::new();
        let mut life = frozen(&counters);
        life.visit(&mut window(6, 100), SECOND, &counters);
        assert_eq!((life.mode, counters.relearns.get()), (Mode::Learn, 1));
    }

    #[test]
    fn a_candidate_that_is_faster_is_adopted() {
        for (candidate_cycles, expected) in [(90, Some(Event::Adopt)), (100, None)] {
            let counters = Counters::new();
            let mut life = frozen(&counters);
            for _ in 0..trial::QUIET_WINDOWS {
                assert_eq!(life.mode, Mode::Frozen);
                life.visit(&mut window(5, 100), SECOND, &counters);
            }
            assert_eq!(life.mode, Mode::Trial);
            let mut trial = window(5, 100);
            for place in (0..LATENCIES).step_by(4) {
                trial.latencies[place] = candidate_cycles;
                trial.trials.mark(place as u32, true);
            }
            assert_eq!(life.visit(&mut trial, SECOND, &counters), expected);
            assert_eq!((life.mode, counters.trials.get()), (Mode::Frozen, 1));
        }
    }

    #[test]
    fn policies_hold_their_mode() {
        let counters = Counters::new();
        for (policy, mode) in [(Policy::Learn, Mode::Learn), (Policy::Frozen, Mode::Frozen)] {
            let mut life = Life::new(policy, Settings { freeze_seconds: 0.0, ..Settings::DEFAULT });
            for cycles in [100, 100, 100, 100, 200, 200, 200, 200] {
                assert_eq!(life.visit(&mut window(5, cycles), SECOND, &counters), None);
            }
            assert_eq!(life.mode, mode);
        }
    }
}
