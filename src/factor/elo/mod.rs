//! ELO: chooses by Elo ratings of measured costs. The form `slow-path` chooses among twelve plans for large memory that no
//! cache had. It is off by default: a plan that is tried costs what it costs, and some hold many times the memory.
//!
//! A [`Plan`] says from which size on huge pages back an object, how many epochs memory waits before it is purged, and
//! whether the purge takes half of the batches in the transfer cache, or only idle ones. It is in force for a window of
//! 64 steps: a step takes large memory past the caches, or gives it back. A window costs the cycles of its steps, the
//! page faults of the process meanwhile, and the bytes that wait for the purge at its end. The best plan has 36
//! windows, then each active plan has one; then the plans are compared pair by pair and rated by Elo's rule
//! ([`rating`]). After four such rounds the six best stay active. Requests that caches serve are not measured, and once
//! learning stops no request is.
//!
//! Costs nothing per allocation; two reads of the cycle counter and two atomic adds per step, one `getrusage` per 64
//! steps. The original's form draws an mmap threshold for every allocation: [`crate::factor::original::elo`].

pub(crate) mod rating;

use crate::os;
use crate::sync::{Lock, counters, global};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use rating::{Mean, NEUTRAL, Ratings, SAMPLES_MIN, STRATEGIES};

counters! {
    /// Allocations for which a threshold was chosen.
    decisions,
    /// Thresholds that were drawn; the others were those of the frozen strategy or the candidate.
    selections,
    /// Measured steps, or in the original's forms measured allocations.
    samples,
    /// Rounds of comparisons, each of which moved ratings.
    rounds,
    /// Windows that ended.
    windows,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The mmap threshold in bytes where none is drawn: requests of at least this size get a mapping of their own, unless
/// the arena serves them.
pub(crate) const FIXED_THRESHOLD: usize = 2 * MIB;

/// What is done with large memory that no cache had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Least bytes of an object that huge pages may back, where they are wanted.
    pub(crate) huge_bytes_min: usize,
    /// Purge epochs for which free memory waits.
    pub(crate) wait_epochs: u32,
    /// Whether the purge leaves all batches in the transfer cache that are not idle. Else it takes half of all batches,
    /// if that is more than the idle ones.
    pub(crate) keeps: bool,
}

impl Plan {
    /// The plan without ELO: the neutral strategy's.
    pub(crate) const DEFAULT: Plan = Plan::of(NEUTRAL);

    /// The plan of a strategy.
    const fn of(strategy: u8) -> Plan {
        Plan {
            huge_bytes_min: [64 * KIB, MIB, usize::MAX][strategy as usize / 4],
            wait_epochs: if strategy & 1 == 0 { 3 } else { 2 },
            keeps: strategy & 2 == 0,
        }
    }
}

const _: () = assert!(Plan::DEFAULT.huge_bytes_min == MIB && Plan::DEFAULT.keeps);

/// Steps in a window.
const WINDOW_STEPS: u32 = 64;
const _: () = assert!(WINDOW_STEPS >= SAMPLES_MIN);
/// Windows of the best plan in a round, before each active plan has one.
const BEST_WINDOWS: u32 = 36;

/// The plan in force, and its costs since its window began. Relaxed: a step may as well count in the next window.
struct Window {
    strategy: AtomicU8,
    steps: AtomicU32,
    cycles: AtomicU64,
}

static WINDOW: Window =
    Window { strategy: AtomicU8::new(NEUTRAL), steps: AtomicU32::new(0), cycles: AtomicU64::new(0) };
/// The best plan of the last round.
static BEST: AtomicU8 = AtomicU8::new(NEUTRAL);
/// Whether learning has stopped: then there are no more windows.
static LEARNED: AtomicBool = AtomicBool::new(false);

/// The plan in force.
pub(crate) fn plan() -> Plan {
    Plan::of(WINDOW.strategy.load(Ordering::Relaxed))
}

/// Whether steps are to be measured.
pub(crate) fn is_learning() -> bool {
    !LEARNED.load(Ordering::Relaxed)
}

/// Adds the cycles of one step to the cost of the plan in force. At the end of a window, notes the plan's cost and
/// chooses the plan of the next. `waiting_bytes` returns the bytes that wait for the purge.
pub(crate) fn learn_plan(counters: &Counters, cycles: u64, waiting_bytes: impl FnOnce() -> usize) {
    counters.samples.add(1);
    WINDOW.cycles.fetch_add(cycles, Ordering::Relaxed);
    if WINDOW.steps.fetch_add(1, Ordering::Relaxed) + 1 < WINDOW_STEPS {
        return;
    }
    let Some(mut contest) = CONTEST.try_lock() else { return };
    let samples = WINDOW.steps.load(Ordering::Relaxed);
    // Another thread may have closed the window meanwhile.
    if samples < WINDOW_STEPS {
        return;
    }
    let faults = os::minor_faults();
    let steps = f64::from(samples);
    let mean = Mean {
        samples,
        cycles: WINDOW.cycles.swap(0, Ordering::Relaxed) as f64 / steps,
        fresh_pages: faults.saturating_sub(contest.faults_before) as f64 / steps,
        spare_bytes: waiting_bytes() as f64,
    };
    WINDOW.steps.store(0, Ordering::Relaxed);
    contest.faults_before = faults;
    counters.windows.add(1);
    let next = contest.close_window(WINDOW.strategy.load(Ordering::Relaxed), mean, counters);
    WINDOW.strategy.store(next, Ordering::Relaxed);
}

/// Starts learning again.
pub(crate) fn relearn() {
    LEARNED.store(false, Ordering::Relaxed);
}

/// Stops learning: the best plan stays in force.
pub(crate) fn freeze() {
    LEARNED.store(true, Ordering::Relaxed);
    WINDOW.strategy.store(BEST.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// The plans' ratings in points, in the order of the strategies.
pub(crate) fn ratings() -> [f64; STRATEGIES] {
    CONTEST.lock().ratings.points()
}

/// The plans' ratings, and the round under way.
#[derive(Debug)]
struct Contest {
    ratings: Ratings,
    /// What each plan cost in its window of this round, if it had one.
    means: [Mean; STRATEGIES],
    /// Windows since the last round.
    windows: u32,
    /// Page faults of the process when the window began.
    faults_before: u64,
}

global! {
    static CONTEST: Lock<Contest> = Lock::new(Contest::new());
}

impl Contest {
    const fn new() -> Contest {
        Contest { ratings: Ratings::new(), means: [Mean::NONE; STRATEGIES], windows: 0, faults_before: 0 }
    }

    /// Notes the end of a window of a plan. Returns the strategy of the next window.
    fn close_window(&mut self, strategy: u8, mean: Mean, counters: &Counters) -> u8 {
        self.windows += 1;
        if self.windows > BEST_WINDOWS {
            self.means[usize::from(strategy)] = mean;
        } else if self.windows < BEST_WINDOWS {
            return strategy;
        }
        // Each active strategy in turn that has had no window yet.
        let next = (0..STRATEGIES as u8)
            .find(|&next| self.ratings.contenders() & (1 << next) != 0 && self.means[usize::from(next)].samples == 0);
        if let Some(next) = next {
            return next;
        }
        let means = core::mem::replace(&mut self.means, [Mean::NONE; STRATEGIES]);
        self.ratings.round(&means);
        BEST.store(self.ratings.of_rank(0), Ordering::Relaxed);
        counters.rounds.add(1);
        self.windows = 0;
        BEST.load(Ordering::Relaxed)
    }
}
