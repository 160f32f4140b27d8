//! ELO: chooses by ratings that measured costs move. By default among twelve plans for memory that no cache had.
//!
//! A [`Plan`] says from which size on huge pages back the memory, how long it waits before it is purged, and how much of
//! it. A plan is in force for a window of 64 runs, and costs what the runs took, the page faults of the process
//! meanwhile, and the bytes that waited unused at its end. Three quarters of the windows belong to the best plan, the
//! rest to each active one in turn; then the plans are compared pair by pair, and rated by Elo's rule
//! ([`rating`]). After four such rounds the six best stay active. What caches serve is not looked at, and once
//! learning stops nothing is.
//!
//! Costs nothing per allocation; two reads of the cycle counter and two atomic adds per run, one `getrusage` per 64 runs.
//! The original's form, thresholds that are drawn for every allocation, is [`crate::factor::original::elo`].

pub(crate) mod rating;

use crate::os;
use crate::sync::{Lock, counters, global, held_at_fork};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use rating::{Mean, NEUTRAL, Ratings, SAMPLES_MIN, STRATEGIES};

counters! {
    /// Allocations whose threshold came from here.
    decisions,
    /// Decisions drawn by rating; the others were frozen.
    selections,
    /// Measured requests.
    samples,
    /// Rounds of comparisons, each of which moved ratings.
    rounds,
    /// Windows in which a plan was in force.
    windows,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Requests of at least so many bytes get a mapping of their own where no threshold is drawn and no arena serves them.
pub(crate) const FIXED_THRESHOLD: usize = 2 * MIB;

/// What is done with memory that no cache had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Runs of so many bytes or more are backed by huge pages, where those are wanted.
    pub(crate) huge_bytes_min: usize,
    /// Purge epochs that half a segment waits.
    pub(crate) wait_epochs: u32,
    /// Whether the transfer cache keeps what no thread took during one purge epoch.
    pub(crate) keeps: bool,
}

impl Plan {
    /// What is done without ELO: the neutral strategy's.
    pub(crate) const DEFAULT: Plan = Plan::of(NEUTRAL);

    /// The plan of a strategy. The neutral one is what the factors do without ELO.
    const fn of(strategy: u8) -> Plan {
        Plan {
            huge_bytes_min: [64 * KIB, MIB, usize::MAX][strategy as usize / 4],
            wait_epochs: if strategy & 1 == 0 { 3 } else { 2 },
            keeps: strategy & 2 == 0,
        }
    }
}

const _: () = assert!(Plan::DEFAULT.huge_bytes_min == MIB && Plan::DEFAULT.keeps);

/// Runs in a window.
const WINDOW_RUNS: u32 = 64;
const _: () = assert!(WINDOW_RUNS >= SAMPLES_MIN);
/// Windows of the best plan, after which each active plan has one.
const BEST_WINDOWS: u32 = 36;

/// The plan in force, and its costs since its window began. Relaxed: a run may as well be counted in the next window.
struct Window {
    strategy: AtomicU8,
    runs: AtomicU32,
    cycles: AtomicU64,
}

static WINDOW: Window = Window { strategy: AtomicU8::new(NEUTRAL), runs: AtomicU32::new(0), cycles: AtomicU64::new(0) };
/// The best plan of the last round.
static BEST: AtomicU8 = AtomicU8::new(NEUTRAL);
/// Learning has stopped: no more windows.
static LEARNED: AtomicBool = AtomicBool::new(false);

/// The plan in force.
pub(crate) fn plan() -> Plan {
    Plan::of(WINDOW.strategy.load(Ordering::Relaxed))
}

/// Whether runs are to be measured.
pub(crate) fn is_learning() -> bool {
    !LEARNED.load(Ordering::Relaxed)
}

/// Takes note of what one run took; at the end of a window, of all that its plan cost, and chooses the next.
/// `waiting_bytes` tells what waits unused.
pub(crate) fn learn_plan(counters: &Counters, cycles: u64, waiting_bytes: impl FnOnce() -> usize) {
    counters.samples.add(1);
    WINDOW.cycles.fetch_add(cycles, Ordering::Relaxed);
    if WINDOW.runs.fetch_add(1, Ordering::Relaxed) + 1 < WINDOW_RUNS {
        return;
    }
    let Some(mut contest) = CONTEST.try_lock() else { return };
    let samples = WINDOW.runs.load(Ordering::Relaxed);
    // Another thread may have closed it meanwhile.
    if samples < WINDOW_RUNS {
        return;
    }
    let faults = os::minor_faults();
    let runs = f64::from(samples);
    let mean = Mean {
        samples,
        cycles: WINDOW.cycles.swap(0, Ordering::Relaxed) as f64 / runs,
        fresh_pages: faults.saturating_sub(contest.faults_before) as f64 / runs,
        spare_bytes: waiting_bytes() as f64,
    };
    WINDOW.runs.store(0, Ordering::Relaxed);
    contest.faults_before = faults;
    counters.windows.add(1);
    let next = contest.close_window(WINDOW.strategy.load(Ordering::Relaxed), mean, counters);
    WINDOW.strategy.store(next, Ordering::Relaxed);
}

/// Learning starts again.
pub(crate) fn relearn() {
    LEARNED.store(false, Ordering::Relaxed);
}

/// Learning stops: the best plan stays in force.
pub(crate) fn freeze() {
    LEARNED.store(true, Ordering::Relaxed);
    WINDOW.strategy.store(BEST.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Ratings of the plans as they are now, in points.
pub(crate) fn ratings() -> [f64; STRATEGIES] {
    CONTEST.lock().ratings.points()
}

/// The plans' ratings, and the round under way.
#[derive(Debug)]
struct Contest {
    ratings: Ratings,
    /// What each plan cost, if it had its window.
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

    /// A window of a plan is over; returns the strategy of the next one.
    fn close_window(&mut self, strategy: u8, mean: Mean, counters: &Counters) -> u8 {
        self.windows += 1;
        if self.windows > BEST_WINDOWS {
            self.means[usize::from(strategy)] = mean;
        } else if self.windows < BEST_WINDOWS {
            return strategy;
        }
        // Each active one in turn that has had no window yet.
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

held_at_fork!(CONTEST);
