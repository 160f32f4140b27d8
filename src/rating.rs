//! Elo's rule: two strategies play a game by what they cost, and points go from the loser to the winner.
//!
//! A. E. Elo, *The Rating of Chessplayers*, 1978, §1.5 and §1.6.

/// Points of everybody at the start.
pub(crate) const START_RATING: f64 = 1500.0;
const K: f64 = 32.0;
/// Points of difference that make one side ten times as likely to win.
const SCALE: f64 = 400.0;
const WEIGHT_TIME: f64 = 0.40;
const WEIGHT_FAULTS: f64 = 0.30;
const WEIGHT_MEMORY: f64 = 0.30;
/// Shares of a pair's cost this close to one half are a draw.
const DRAW_BAND: f64 = 0.005;

/// Mean costs of one strategy in a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    pub(crate) samples: u32,
    pub(crate) cycles: f64,
    pub(crate) fresh_pages: f64,
    pub(crate) spare_bytes: f64,
}

impl Mean {
    pub(crate) const NONE: Mean = Mean { samples: 0, cycles: 0.0, fresh_pages: 0.0, spare_bytes: 0.0 };
}

/// Points that go from `b` to `a` after one game of the two, by their ratings and costs.
pub(crate) fn step(rating_a: f64, rating_b: f64, a: &Mean, b: &Mean) -> f64 {
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

/// How often one of this rating is drawn, in relation to one at the start.
pub(crate) fn weight(rating: f64) -> f64 {
    exp10((rating - START_RATING) / SCALE)
}

/// Share of the pair's cost that is `a`'s, from 0 (all is `b`'s) to 1.
fn share(a: &Mean, b: &Mean) -> f64 {
    let part = |a: f64, b: f64| if a + b > 0.0 { a / (a + b) } else { 0.5 };
    WEIGHT_TIME * part(a.cycles, b.cycles)
        + WEIGHT_FAULTS * part(a.fresh_pages, b.fresh_pages)
        + WEIGHT_MEMORY * part(a.spare_bytes, b.spare_bytes)
}

fn exp10(x: f64) -> f64 {
    libm::exp2(x * core::f64::consts::LOG2_10)
}
