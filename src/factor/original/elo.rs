//! ELO as the original has it: a strategy is an mmap threshold, and one is drawn for every allocation.
//!
//! Requests of at least the threshold get a mapping of their own, smaller ones come from pages that stay. The strategy
//! is drawn *before* the allocation, by softmax over the ratings or epsilon-greedily. A request whose path depends on
//! it is measured: cycles of the call and of its free, new OS pages, which will fault, and bytes held beyond the
//! request. After every 1,024 measured requests the strategies with at least 50 samples are compared pair by pair and
//! rated by Elo's rule ([`crate::factor::elo::rating`]); after four such rounds the six best stay active.
//!
//! Costs 1 KiB; one random number and up to twelve adds and compares per allocation (estimated at 100 to 200 ns); two
//! reads of the cycle counter and four atomic adds per measured one. No system call. Different from the original: the
//! choice comes before the allocation, durations are measured (it passed 0, so that no rating ever moved), and equal
//! ratings do not make every draw the first strategy. Random numbers: xorshift64*, S. Vigna, ACM TOMS 42:4, 2016.

use crate::factor::elo::rating::{self, Mean, NEUTRAL, Ratings, START_RATING, STRATEGIES};
use crate::factor::elo::{Counters, FIXED_THRESHOLD};
use crate::sync::{Lock, global};
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The mmap thresholds in bytes, by strategy.
const THRESHOLDS: [usize; STRATEGIES] =
    [512 * KIB, 768 * KIB, MIB, 1536 * KIB, 2 * MIB, 3 * MIB, 4 * MIB, 6 * MIB, 8 * MIB, 12 * MIB, 16 * MIB, 32 * MIB];

const _: () = assert!(THRESHOLDS[NEUTRAL as usize] == FIXED_THRESHOLD);

/// Epsilon of the epsilon-greedy choice: 0.1, in units of 2^-16.
const EPSILON: u64 = 6554;
/// Measured requests in a round.
const ROUND_SAMPLES: u32 = 1024;

/// How strategies are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// With a probability that grows tenfold per 400 points.
    Softmax,
    /// The best one, or with probability 0.1 any active one.
    EpsilonGreedy,
}

/// Which strategy an allocation gets. The request path chooses by the mode of the factor `evolution`, where that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// Draw one.
    Learn,
    /// The one that was best when learning stopped, without a draw.
    Frozen,
    /// The second best, on trial.
    Candidate,
}

/// One of the twelve strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strategy(u8);

impl Strategy {
    /// The mmap threshold: requests of at least so many bytes get a mapping of their own.
    pub(crate) fn threshold(self) -> usize {
        THRESHOLDS[usize::from(self.0)]
    }

    /// The strategy's number, as an object's record has it.
    pub(crate) fn index(self) -> u8 {
        self.0
    }
}

/// What one measured request cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Cycles of the call.
    pub(crate) cycles: u64,
    /// New OS pages, which fault when they are touched.
    pub(crate) fresh_pages: u64,
    /// Bytes held beyond the request.
    pub(crate) spare_bytes: u64,
}

/// State of one thread.
#[derive(Debug)]
pub(crate) struct Local {
    random: u64,
}

/// Costs of one strategy since the round began.
struct Costs {
    samples: AtomicU32,
    cycles: AtomicU64,
    fresh_pages: AtomicU64,
    spare_bytes: AtomicU64,
}

/// What the choice reads: the weights of the strategies (bits of an `f64`, 0 when not active), and the best two.
/// Relaxed throughout: a choice by old ratings is as good as one made a moment earlier.
struct Board {
    weights: [AtomicU64; STRATEGIES],
    active: AtomicU16,
    best: AtomicU8,
    second: AtomicU8,
    frozen: AtomicU8,
    candidate: AtomicU8,
}

static BOARD: Board = Board {
    weights: [const { AtomicU64::new(1.0_f64.to_bits()) }; STRATEGIES],
    active: AtomicU16::new((1 << STRATEGIES) - 1),
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
            // The address differs from thread to thread, and the set bit makes it a seed, which must not be 0.
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

/// Adds the cost of an allocation by this strategy. Rates the strategies at the end of a round.
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
        publish(&ratings);
        counters.rounds.add(1);
    }
}

/// Adds the cycles of the free to what its strategy cost.
pub(crate) fn learn_free(strategy_index: u8, cycles: u64) {
    if let Some(costs) = COSTS.get(usize::from(strategy_index)) {
        costs.cycles.fetch_add(cycles, Ordering::Relaxed);
    }
}

/// Stops learning: the best strategy becomes the frozen one, the second best the candidate.
pub(crate) fn freeze() {
    BOARD.frozen.store(BOARD.best.load(Ordering::Relaxed), Ordering::Relaxed);
    BOARD.candidate.store(BOARD.second.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Makes the candidate the frozen strategy, and the frozen one the candidate.
pub(crate) fn adopt_candidate() {
    let frozen = BOARD.frozen.swap(BOARD.candidate.load(Ordering::Relaxed), Ordering::Relaxed);
    BOARD.candidate.store(frozen, Ordering::Relaxed);
}

/// The strategies' ratings in points, in the order of the thresholds.
pub(crate) fn ratings() -> [f64; STRATEGIES] {
    RATINGS.lock().points()
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

/// Writes what the choice reads.
fn publish(ratings: &Ratings) {
    let active = ratings.contenders();
    for (index, points) in ratings.points().into_iter().enumerate() {
        let weight = if active & (1 << index) != 0 { weight(points) } else { 0.0 };
        BOARD.weights[index].store(weight.to_bits(), Ordering::Relaxed);
    }
    BOARD.best.store(ratings.of_rank(0), Ordering::Relaxed);
    BOARD.second.store(ratings.of_rank(1), Ordering::Relaxed);
    BOARD.active.store(active, Ordering::Relaxed);
}

/// How often a strategy of this rating is drawn, relative to one at the start rating.
fn weight(rating: f64) -> f64 {
    rating::exp10((rating - START_RATING) / rating::SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Expected: 0.9, and a twelfth of 0.1.
        assert!((17_800..18_600).contains(&best), "{best}");
    }
}
