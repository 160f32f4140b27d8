//! Results of the crossed cells of a workload: the cost of each factor in combination, and the interactions.

use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// Results of the crossed cells of one workload, in the unit of its response where the field names no other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossedResult {
    /// The workload.
    pub workload: String,
    /// All factors on, minus none.
    pub total: Option<Estimate>,
    /// One entry for each factor, in the order of the config; empty when cells are missing.
    pub factors: Vec<CrossedFactor>,
    /// All pairs of factors, the strongest interaction first.
    pub interactions: Vec<Interaction>,
    /// p value against "no factor's effect depends on another's level".
    pub additive_p: Option<f64>,
    /// The factors in the order that takes away the one that saves most at each step, from all to none.
    pub greedy: Vec<GreedyStep>,
    /// Sets of factors without a proven cell, each joined by `+`; `none` is the empty set.
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
    /// Why there is no claim or no proof; empty otherwise.
    pub reason: String,
}

/// A contrast of crossed cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrasted {
    /// The value with the interval of this row alone.
    pub alone: Estimate,
    /// Simultaneous 95 % interval over all factors.
    pub together: Option<(f64, f64)>,
    /// Smallest true value that a study of this size finds with a probability of 80 %.
    pub detectable: Option<f64>,
    /// The claim that `together` allows, in the words of [`EffectRow::verdict`](super::EffectRow::verdict).
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
    /// p after the correction for all pairs (Benjamini and Hochberg).
    pub q: Option<f64>,
    /// Whether q is at most 5 %.
    pub found: bool,
}

/// One step of the greedy order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GreedyStep {
    /// The factor that is taken away.
    pub factor: String,
    /// Its cost at this step.
    pub saving: Estimate,
}
