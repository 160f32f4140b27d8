//! Ratings of twelve strategies by Elo's rule: two strategies play a game by what they cost, and points go from the
//! loser to the winner.
//!
//! A. E. Elo, *The Rating of Chessplayers*, 1978, §1.5 and §1.6. Each form of the factor `elo` has its own strategies,
//! and decides when they play.

/// Number of strategies.
pub(crate) const STRATEGIES: usize = 12;
/// The strategy that does what is done without ratings. It ranks first while all ratings are equal.
pub(crate) const NEUTRAL: u8 = 4;
/// Least samples in a round with which a strategy plays.
pub(crate) const SAMPLES_MIN: u32 = 50;
/// Rounds after which the strategies are cut to [`SURVIVORS`].
const ROUNDS_BEFORE_CUT: u32 = 4;
/// Strategies that stay active after the cut.
const SURVIVORS: u32 = 6;

/// Points of every strategy at the start.
pub(crate) const START_RATING: f64 = 1500.0;
/// Most points that one game moves.
const K: f64 = 32.0;
/// Points of difference that make one side ten times as likely to win.
pub(crate) const SCALE: f64 = 400.0;
/// Weights of the three costs; they sum to 1.
const WEIGHT_TIME: f64 = 0.40;
const WEIGHT_FAULTS: f64 = 0.30;
const WEIGHT_MEMORY: f64 = 0.30;
/// A game is a draw when a strategy's share of the pair's cost is this close to one half.
const DRAW_BAND: f64 = 0.005;

/// Mean costs of one strategy in a round, per sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    /// How many samples there are; 0 for a strategy that was not used.
    pub(crate) samples: u32,
    /// Cycles of the cycle counter.
    pub(crate) cycles: f64,
    /// OS pages that fault, or will.
    pub(crate) fresh_pages: f64,
    /// Bytes held and not used.
    pub(crate) spare_bytes: f64,
}

impl Mean {
    pub(crate) const NONE: Mean = Mean { samples: 0, cycles: 0.0, fresh_pages: 0.0, spare_bytes: 0.0 };
}

/// The points of all strategies, and which of them are still active.
#[derive(Debug)]
pub(crate) struct Ratings {
    points: [f64; STRATEGIES],
    active: u16,
    rounds: u32,
}

impl Ratings {
    /// All equal, and all active.
    pub(crate) const fn new() -> Ratings {
        Ratings { points: [START_RATING; STRATEGIES], active: (1 << STRATEGIES) - 1, rounds: 0 }
    }

    /// Points by strategy.
    pub(crate) fn points(&self) -> [f64; STRATEGIES] {
        self.points
    }

    /// The active strategies, a bit each.
    pub(crate) fn contenders(&self) -> u16 {
        self.active
    }

    /// The strategy of a rank; the best one has rank 0.
    pub(crate) fn of_rank(&self, rank: u32) -> u8 {
        (0..STRATEGIES).find(|&index| self.rank(index) == rank).map_or(NEUTRAL, |index| index as u8)
    }

    /// Lets every pair of strategies with enough samples play a game. The fourth round leaves the best six active.
    pub(crate) fn round(&mut self, means: &[Mean; STRATEGIES]) {
        let plays = |index: &usize| means[*index].samples >= SAMPLES_MIN;
        for a in (0..STRATEGIES).filter(plays) {
            for b in (a + 1..STRATEGIES).filter(plays) {
                let step = step(self.points[a], self.points[b], &means[a], &means[b]);
                self.points[a] += step;
                self.points[b] -= step;
            }
        }
        self.rounds += 1;
        if self.rounds == ROUNDS_BEFORE_CUT {
            self.active = (0..STRATEGIES).filter(|&index| self.rank(index) < SURVIVORS).fold(0, |set, i| set | 1 << i);
        }
    }

    /// How many strategies rank higher. Of equal ratings the one nearer to the neutral strategy does.
    fn rank(&self, index: usize) -> u32 {
        let distance =
            |index: usize| index.abs_diff(usize::from(NEUTRAL)) * 2 + usize::from(index > usize::from(NEUTRAL));
        let better = |other: usize| {
            self.points[other] > self.points[index]
                || (self.points[other] == self.points[index] && distance(other) < distance(index))
        };
        (0..STRATEGIES).filter(|&other| better(other)).count() as u32
    }
}

/// Points that go from `b` to `a` after one game of the two, by their ratings and costs.
fn step(rating_a: f64, rating_b: f64, a: &Mean, b: &Mean) -> f64 {
    let share = share(a, b);
    let score = if (share - 0.5).abs() <= DRAW_BAND {
        0.5
    } else if share < 0.5 {
        1.0
    } else {
        0.0
    };
    let expected = 1.0 / (1.0 + exp10((rating_b - rating_a) / SCALE));
    K * (score - expected)
}

/// Share of the pair's cost that is `a`'s, from 0 (all is `b`'s) to 1.
fn share(a: &Mean, b: &Mean) -> f64 {
    let part = |a: f64, b: f64| if a + b > 0.0 { a / (a + b) } else { 0.5 };
    WEIGHT_TIME * part(a.cycles, b.cycles)
        + WEIGHT_FAULTS * part(a.fresh_pages, b.fresh_pages)
        + WEIGHT_MEMORY * part(a.spare_bytes, b.spare_bytes)
}

/// Ten to a power.
pub(crate) fn exp10(x: f64) -> f64 {
    libm::exp2(x * core::f64::consts::LOG2_10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strategy `index` costs `cycles(index)`; all else is equal.
    fn means(cycles: impl Fn(usize) -> f64) -> [Mean; STRATEGIES] {
        core::array::from_fn(|index| Mean { samples: 60, cycles: cycles(index), fresh_pages: 1.0, spare_bytes: 1.0 })
    }

    #[test]
    fn a_game_between_equals_moves_half_of_k_and_too_few_samples_do_not_play() {
        let mut ratings = Ratings::new();
        let mut means = [Mean::NONE; STRATEGIES];
        for (index, samples, cycles) in [(0, 50, 100.0), (1, 50, 300.0), (2, 49, 1.0)] {
            means[index] = Mean { samples, cycles, ..Mean::NONE };
        }
        ratings.round(&means);
        assert_eq!(ratings.points[..4], [1516.0, 1484.0, 1500.0, 1500.0]);
    }

    #[test]
    fn cheap_strategies_rise_and_six_survive() {
        let mut ratings = Ratings::new();
        for _ in 0..ROUNDS_BEFORE_CUT {
            ratings.round(&means(|index| 100.0 + 50.0 * (STRATEGIES - index) as f64));
        }
        assert_eq!(ratings.rank(STRATEGIES - 1), 0);
        assert_eq!(ratings.active, 0b1111_1100_0000);
        let sum: f64 = ratings.points.iter().sum();
        assert!((sum - START_RATING * STRATEGIES as f64).abs() < 1e-6, "points are only passed on");
    }

    #[test]
    fn equals_draw_and_the_neutral_one_leads() {
        let mut ratings = Ratings::new();
        ratings.round(&means(|_| 100.0));
        assert_eq!(ratings.points, [START_RATING; STRATEGIES]);
        assert_eq!(ratings.rank(usize::from(NEUTRAL)), 0);
    }
}
