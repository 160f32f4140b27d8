//! What the crossed cells of a workload say: what each factor costs in company, and which depend on each other.

use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// What the crossed cells of one workload say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossedResult {
    /// The workload.
    pub workload: String,
    /// All factors on minus none, in the unit of the response.
    pub total: Option<Estimate>,
    /// One entry for each factor, in the order of the config; empty when cells are missing.
    pub factors: Vec<CrossedFactor>,
    /// All pairs of factors, the strongest interaction first.
    pub interactions: Vec<Interaction>,
    /// Probability of interactions this large if effects simply added up.
    pub additive_p: Option<f64>,
    /// The order that always takes away the factor that saves most, from all to none.
    pub greedy: Vec<GreedyStep>,
    /// Sets of factors without a proven cell, joined by `+`, or `none`.
    pub missing: Vec<String>,
}

/// One crossed factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossedFactor {
    /// The factor.
    pub factor: String,
    /// Its effect averaged over all orders of adding the factors; the values sum to [`CrossedResult::total`].
    pub shapley: Contrasted,
    /// All factors on, minus all but this one.
    pub leave_one_out: Contrasted,
    /// This factor alone, minus none.
    pub add_one_in: Contrasted,
    /// Mean over all sets of the other factors.
    pub main: Contrasted,
    /// Shapley value over the gap to the reference peer; 1 is the whole gap.
    pub share: Option<Estimate>,
    /// Shapley value of the page faults per operation.
    pub page_faults: Option<f64>,
    /// Shapley value of the system calls per operation.
    pub syscalls: Option<f64>,
    /// Whether the factor is proven, in the words of [`EffectRow::proof`](super::EffectRow::proof).
    pub proof: String,
    /// Why nothing is claimed or proven; empty otherwise.
    pub reason: String,
}

/// A contrast of crossed cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrasted {
    /// The value with the interval of this row alone.
    pub alone: Estimate,
    /// Interval that holds together with those of the other factors.
    pub together: Option<(f64, f64)>,
    /// Smallest true value that is found four times in five.
    pub detectable: Option<f64>,
    /// What can be said, by the interval that holds together.
    pub verdict: String,
}

/// How far the effect of one factor depends on another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// The two factors.
    pub pair: (String, String),
    /// What both cost together beyond the sum of each.
    pub value: Estimate,
    /// Two-sided p value.
    pub p: Option<f64>,
    /// The same after the correction for all pairs (Benjamini and Hochberg).
    pub q: Option<f64>,
    /// Whether q is at most 5 %.
    pub found: bool,
}

/// One step of the greedy order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GreedyStep {
    /// The factor taken away.
    pub factor: String,
    /// What that saves.
    pub saving: Estimate,
}
