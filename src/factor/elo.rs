//! ELO: chooses among twelve strategies, by ratings that measured costs move.
//!
//! As in the original, for every allocation: a strategy is a threshold. Requests of at least that size get a mapping of
//! their own, smaller ones come from pages that stay. The strategy is chosen *before* the allocation, by softmax over
//! the ratings or epsilon-greedily. Requests whose path it decides are measured: time of the call and of its free, OS
//! pages that are new and will fault, bytes held beyond the request. Every 1,024 measured requests the strategies with
//! at least 50 samples are compared pair by pair, and rated by Elo's rule ([`crate::rating`]); after four such rounds
//! the six best stay active.
//!
//! In the form `slow-path` a strategy is a [`Plan`] for memory that no cache had: from which size on huge pages back
//! it, how long it waits before it is purged, and how much of it. A plan is in force for a window of 64 runs, and costs
//! what the runs took, the page faults of the process meanwhile, and the bytes that waited unused at its end. Three
//! quarters of the windows belong to the best plan, the rest to each active one in turn, after which they are rated as
//! above. What caches serve is not looked at, and once learning stops nothing is.
//!
//! Costs 1 KiB, one random number and up to twelve adds and compares an allocation (estimated at 100 to 200 ns); two
//! reads of the cycle counter and four atomic adds a measured one. No system call. Different from the original: the
//! choice comes before the allocation, durations are measured (it passed 0, so that no rating ever moved), and equal
//! ratings do not make everything choose the first strategy. Random numbers: xorshift64*, S. Vigna, ACM TOMS 42:4, 2016.

use crate::os;
use crate::rating::{self, Mean, START_RATING};
use crate::request::Pick;
use crate::sync::{Lock, global, held_at_fork};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

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

/// Number of strategies.
pub(crate) const STRATEGIES: usize = 12;

const THRESHOLDS: [usize; STRATEGIES] =
    [512 * KIB, 768 * KIB, MIB, 1536 * KIB, 2 * MIB, 3 * MIB, 4 * MIB, 6 * MIB, 8 * MIB, 12 * MIB, 16 * MIB, 32 * MIB];

/// The threshold when nothing chooses.
pub(crate) const FIXED_THRESHOLD: usize = 2 * MIB;
/// The strategy that does as [`FIXED_THRESHOLD`] does: taken while no rating says otherwise.
const NEUTRAL: u8 = 4;
const _: () = assert!(THRESHOLDS[NEUTRAL as usize] == FIXED_THRESHOLD);

/// Epsilon of the epsilon-greedy choice, in 65,536ths: 0.1.
const EPSILON: u64 = 6554;
const SAMPLES_MIN: u32 = 50;
const ROUND_SAMPLES: u32 = 1024;
const ROUNDS_BEFORE_CUT: u32 = 4;
const SURVIVORS: u32 = 6;

/// How strategies are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// With a probability that grows tenfold with 400 points.
    Softmax,
    /// The best one, or with probability 0.1 any active one.
    EpsilonGreedy,
}

/// One of the twelve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strategy(u8);

impl Strategy {
    /// Requests of at least so many bytes are mapped.
    pub(crate) fn threshold(self) -> usize {
        THRESHOLDS[usize::from(self.0)]
    }

    /// The strategy as a number that travels with the object.
    pub(crate) fn index(self) -> u8 {
        self.0
    }
}

/// What one measured request cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Cycles of the call.
    pub(crate) cycles: u64,
    /// OS pages that are new, and fault when touched.
    pub(crate) fresh_pages: u64,
    /// Bytes held beyond the request.
    pub(crate) spare_bytes: u64,
}

/// State of one thread.
#[derive(Debug)]
pub(crate) struct Local {
    random: u64,
}

/// Costs since the round began, of one strategy.
struct Costs {
    samples: AtomicU32,
    cycles: AtomicU64,
    fresh_pages: AtomicU64,
    spare_bytes: AtomicU64,
}

/// What the choice reads: weights of the active strategies (bits of an `f64`, 0 when not active), and the best two.
/// Relaxed throughout: a choice by a rating that is just changing is as good as one a moment earlier.
struct Board {
    weights: [AtomicU64; STRATEGIES],
    active: AtomicU16,
    best: AtomicU8,
    second: AtomicU8,
    frozen: AtomicU8,
    candidate: AtomicU8,
}

const ALL_ACTIVE: u16 = (1 << STRATEGIES) - 1;

static BOARD: Board = Board {
    weights: [const { AtomicU64::new(1.0_f64.to_bits()) }; STRATEGIES],
    active: AtomicU16::new(ALL_ACTIVE),
    best: AtomicU8::new(NEUTRAL),
    second: AtomicU8::new(NEUTRAL + 1),
    frozen: AtomicU8::new(NEUTRAL),
    candidate: AtomicU8::new(NEUTRAL + 1),
};

static COSTS: [Costs; STRATEGIES] = [const {
    Costs {
        samples: AtomicU32::new(0),
        cycles: AtomicU64::new(0),
        fresh_pages: AtomicU64::new(0),
        spare_bytes: AtomicU64::new(0),
    }
}; STRATEGIES];
static ROUND_SAMPLES_SEEN: AtomicU32 = AtomicU32::new(0);
global! {
    static RATINGS: Lock<Ratings> = Lock::new(Ratings::new());
}

/// Chooses the strategy of an allocation.
#[inline]
pub(crate) fn choose(local: &mut Local, counters: &Counters, selection: Selection, pick: Pick) -> Strategy {
    counters.decisions.add(1);
    match pick {
        Pick::Frozen => Strategy(BOARD.frozen.load(Ordering::Relaxed)),
        Pick::Candidate => Strategy(BOARD.candidate.load(Ordering::Relaxed)),
        Pick::Learn => {
            counters.selections.add(1);
            match selection {
                Selection::Softmax => softmax(local.random()),
                Selection::EpsilonGreedy => epsilon_greedy(local.random()),
            }
        }
    }
}

impl Local {
    fn random(&mut self) -> u64 {
        if self.random == 0 {
            // The address differs from thread to thread; any odd constant makes it a seed.
            self.random = (&raw const *self).addr() as u64 | 1;
        }
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn softmax(random: u64) -> Strategy {
    let weights: [f64; STRATEGIES] =
        core::array::from_fn(|index| f64::from_bits(BOARD.weights[index].load(Ordering::Relaxed)));
    let total: f64 = weights.iter().sum();
    // 53 random bits: a fraction in [0, 1).
    let mut rest = (random >> 11) as f64 / (1_u64 << 53) as f64 * total;
    let mut last = NEUTRAL;
    for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = index as u8;
        rest -= weight;
        if rest < 0.0 {
            break;
        }
    }
    Strategy(last)
}

fn epsilon_greedy(random: u64) -> Strategy {
    if random >> 48 >= EPSILON {
        return Strategy(BOARD.best.load(Ordering::Relaxed));
    }
    let active = BOARD.active.load(Ordering::Relaxed);
    // The high half of a product maps 32 random bits to a number below the count.
    let nth = (((random & 0xffff_ffff) * u64::from(active.count_ones())) >> 32) as usize;
    let index = (0..STRATEGIES as u8).filter(|&index| active & (1 << index) != 0).nth(nth);
    Strategy(index.unwrap_or(NEUTRAL))
}

/// Takes note of what an allocation by this strategy cost; rates the strategies when the round is full.
pub(crate) fn learn(counters: &Counters, strategy: Strategy, cost: Cost) {
    counters.samples.add(1);
    let costs = &COSTS[usize::from(strategy.0)];
    costs.samples.fetch_add(1, Ordering::Relaxed);
    costs.cycles.fetch_add(cost.cycles, Ordering::Relaxed);
    costs.fresh_pages.fetch_add(cost.fresh_pages, Ordering::Relaxed);
    costs.spare_bytes.fetch_add(cost.spare_bytes, Ordering::Relaxed);
    if ROUND_SAMPLES_SEEN.fetch_add(1, Ordering::Relaxed) + 1 >= ROUND_SAMPLES
        && let Some(mut ratings) = RATINGS.try_lock()
        && ROUND_SAMPLES_SEEN.load(Ordering::Relaxed) >= ROUND_SAMPLES
    {
        ROUND_SAMPLES_SEEN.store(0, Ordering::Relaxed);
        ratings.round(&COSTS.each_ref().map(Costs::take));
        ratings.publish();
        counters.rounds.add(1);
    }
}

/// Adds the cycles of the free to what its strategy cost.
pub(crate) fn learn_free(strategy_index: u8, cycles: u64) {
    if let Some(costs) = COSTS.get(usize::from(strategy_index)) {
        costs.cycles.fetch_add(cycles, Ordering::Relaxed);
    }
}

/// What is done with memory that no cache had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Runs of so many bytes or more are backed by huge pages, where those are wanted.
    pub(crate) huge_bytes_min: usize,
    /// Ticks of the purge that half a segment waits.
    pub(crate) wait_ticks: u32,
    /// Whether the depot keeps what nobody asked for during one tick.
    pub(crate) keeps: bool,
}

impl Plan {
    /// What is done without ELO: the neutral strategy's.
    pub(crate) const DEFAULT: Plan = Plan::of(NEUTRAL);

    /// The plan of a strategy. The neutral one is what the factors do without ELO.
    const fn of(strategy: u8) -> Plan {
        Plan {
            huge_bytes_min: [64 * KIB, MIB, usize::MAX][strategy as usize / 4],
            wait_ticks: if strategy & 1 == 0 { 3 } else { 2 },
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
    let Some(mut ratings) = RATINGS.try_lock() else { return };
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
        fresh_pages: faults.saturating_sub(ratings.faults_before) as f64 / runs,
        spare_bytes: waiting_bytes() as f64,
    };
    WINDOW.runs.store(0, Ordering::Relaxed);
    ratings.faults_before = faults;
    counters.windows.add(1);
    let next = ratings.close_window(WINDOW.strategy.load(Ordering::Relaxed), mean, counters);
    WINDOW.strategy.store(next, Ordering::Relaxed);
}

/// Learning starts again.
pub(crate) fn relearn() {
    LEARNED.store(false, Ordering::Relaxed);
}

/// Learning stops: the best strategy becomes the frozen one, the second best the candidate.
pub(crate) fn freeze() {
    LEARNED.store(true, Ordering::Relaxed);
    WINDOW.strategy.store(BOARD.best.load(Ordering::Relaxed), Ordering::Relaxed);
    BOARD.frozen.store(BOARD.best.load(Ordering::Relaxed), Ordering::Relaxed);
    BOARD.candidate.store(BOARD.second.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// The candidate passed its trial: the two change places.
pub(crate) fn adopt_candidate() {
    let frozen = BOARD.frozen.swap(BOARD.candidate.load(Ordering::Relaxed), Ordering::Relaxed);
    BOARD.candidate.store(frozen, Ordering::Relaxed);
}

/// Ratings as they are now, in the order of the thresholds.
pub(crate) fn ratings() -> [f64; STRATEGIES] {
    RATINGS.lock().rating
}

impl Costs {
    fn take(&self) -> Mean {
        let samples = self.samples.swap(0, Ordering::Relaxed);
        let divisor = f64::from(samples.max(1));
        Mean {
            samples,
            cycles: self.cycles.swap(0, Ordering::Relaxed) as f64 / divisor,
            fresh_pages: self.fresh_pages.swap(0, Ordering::Relaxed) as f64 / divisor,
            spare_bytes: self.spare_bytes.swap(0, Ordering::Relaxed) as f64 / divisor,
        }
    }
}

#[derive(Debug)]
struct Ratings {
    rating: [f64; STRATEGIES],
    active: u16,
    rounds: u32,
    /// Of the round under way: what each plan cost, if it had its window.
    means: [Mean; STRATEGIES],
    /// Windows since the last round.
    windows: u32,
    /// Page faults of the process when the window began.
    faults_before: u64,
}

impl Ratings {
    const fn new() -> Ratings {
        Ratings {
            rating: [START_RATING; STRATEGIES],
            active: ALL_ACTIVE,
            rounds: 0,
            means: [Mean::NONE; STRATEGIES],
            windows: 0,
            faults_before: 0,
        }
    }

    /// A window of a plan is over; returns whose the next one is.
    fn close_window(&mut self, strategy: u8, mean: Mean, counters: &Counters) -> u8 {
        self.windows += 1;
        if self.windows > BEST_WINDOWS {
            self.means[usize::from(strategy)] = mean;
        } else if self.windows < BEST_WINDOWS {
            return strategy;
        }
        // Each active one in turn that has had no window yet.
        let next = (0..STRATEGIES as u8)
            .find(|&next| self.active & (1 << next) != 0 && self.means[usize::from(next)].samples == 0);
        if let Some(next) = next {
            return next;
        }
        let means = core::mem::replace(&mut self.means, [Mean::NONE; STRATEGIES]);
        self.round(&means);
        self.publish();
        counters.rounds.add(1);
        self.windows = 0;
        BOARD.best.load(Ordering::Relaxed)
    }

    /// Compares every pair with enough samples, then cuts the field once.
    fn round(&mut self, means: &[Mean; STRATEGIES]) {
        let plays = |index: &usize| means[*index].samples >= SAMPLES_MIN;
        for a in (0..STRATEGIES).filter(plays) {
            for b in (a + 1..STRATEGIES).filter(plays) {
                let step = rating::step(self.rating[a], self.rating[b], &means[a], &means[b]);
                self.rating[a] += step;
                self.rating[b] -= step;
            }
        }
        self.rounds += 1;
        if self.rounds == ROUNDS_BEFORE_CUT {
            self.active = (0..STRATEGIES).filter(|&index| self.rank(index) < SURVIVORS).fold(0, |set, i| set | 1 << i);
        }
    }

    /// How many strategies are better; of equals the one nearer to the neutral one is.
    fn rank(&self, index: usize) -> u32 {
        let distance =
            |index: usize| index.abs_diff(usize::from(NEUTRAL)) * 2 + usize::from(index > usize::from(NEUTRAL));
        let better = |other: usize| {
            self.rating[other] > self.rating[index]
                || (self.rating[other] == self.rating[index] && distance(other) < distance(index))
        };
        (0..STRATEGIES).filter(|&other| better(other)).count() as u32
    }

    /// Tells the choosers.
    fn publish(&self) {
        for index in 0..STRATEGIES {
            let active = self.active & (1 << index) != 0;
            let weight = if active { rating::weight(self.rating[index]) } else { 0.0 };
            BOARD.weights[index].store(weight.to_bits(), Ordering::Relaxed);
            match self.rank(index) {
                0 => BOARD.best.store(index as u8, Ordering::Relaxed),
                1 => BOARD.second.store(index as u8, Ordering::Relaxed),
                _ => {}
            }
        }
        BOARD.active.store(self.active, Ordering::Relaxed);
    }
}

held_at_fork!(RATINGS);

#[cfg(test)]
mod tests {
    use super::*;

    /// Strategy `index` costs `cycles(index)`; all else is equal.
    fn means(cycles: impl Fn(usize) -> f64) -> [Mean; STRATEGIES] {
        core::array::from_fn(|index| Mean { samples: 60, cycles: cycles(index), fresh_pages: 1.0, spare_bytes: 1.0 })
    }

    #[test]
    fn one_game_between_equals_moves_half_of_k_and_who_has_too_few_samples_does_not_play() {
        let mut ratings = Ratings::new();
        let mut means = [Mean::NONE; STRATEGIES];
        for (index, samples, cycles) in [(0, 50, 100.0), (1, 50, 300.0), (2, 49, 1.0)] {
            means[index] = Mean { samples, cycles, ..Mean::NONE };
        }
        ratings.round(&means);
        assert_eq!(ratings.rating[..4], [1516.0, 1484.0, 1500.0, 1500.0]);
    }

    #[test]
    fn cheap_strategies_rise_and_six_survive() {
        let mut ratings = Ratings::new();
        for _ in 0..ROUNDS_BEFORE_CUT {
            ratings.round(&means(|index| 100.0 + 50.0 * (STRATEGIES - index) as f64));
        }
        assert_eq!(ratings.rank(STRATEGIES - 1), 0);
        assert_eq!(ratings.active, 0b1111_1100_0000);
        let sum: f64 = ratings.rating.iter().sum();
        assert!((sum - START_RATING * STRATEGIES as f64).abs() < 1e-6, "points are only passed on");
    }

    #[test]
    fn equals_draw_and_the_neutral_one_leads() {
        let mut ratings = Ratings::new();
        ratings.round(&means(|_| 100.0));
        assert_eq!(ratings.rating, [START_RATING; STRATEGIES]);
        assert_eq!(ratings.rank(usize::from(NEUTRAL)), 0);
    }

    #[test]
    fn softmax_draws_every_strategy_when_all_are_equal() {
        let mut local = Local { random: 12345 };
        let mut seen = [0_u32; STRATEGIES];
        for _ in 0..12_000 {
            seen[usize::from(softmax(local.random()).0)] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
    }

    #[test]
    fn epsilon_greedy_takes_the_best_nine_times_of_ten() {
        let mut local = Local { random: 777 };
        let best = (0..20_000).filter(|_| epsilon_greedy(local.random()).0 == NEUTRAL).count();
        // 0.9 and a twelfth of 0.1.
        assert!((17_800..18_600).contains(&best), "{best}");
    }
}
