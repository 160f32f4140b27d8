//! Results of what was declared before the first run: targets and the workloads they take together, paths, hypotheses.

use super::estimate::Estimate;
use crate::path::Goal;
use crate::target::Target;
use serde::{Deserialize, Serialize};

/// The result of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetResult {
    /// The target as it was declared.
    #[serde(flatten)]
    pub target: Target,
    /// The response whose unit its numbers have; `None` for ratios and quotients, which have none.
    pub unit_of: Option<String>,
    /// `met`, `missed`, `open` or `not-judged`.
    pub verdict: String,
    /// Its numbers, the worst first.
    pub rows: Vec<TargetRow>,
    /// What was not measured. A target with anything missing is not met.
    pub missing: Vec<String>,
    /// Number of blocks that would probably decide an open target.
    pub blocks_needed: Option<usize>,
}

/// One number of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRow {
    /// The workload; `None` for a number of several.
    pub workload: Option<String>,
    /// The peer; `None` for the subject's own number and for one of several peers.
    pub peer: Option<String>,
    /// The number, with the interval that decides.
    pub value: Estimate,
    /// Its side of the limit, in the words of [`TargetResult::verdict`].
    pub verdict: String,
}

/// A set of workloads that targets take together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Names of the targets.
    pub targets: Vec<String>,
    /// The workloads.
    pub workloads: Vec<String>,
    /// Peer and geometric mean of subject / peer; `None` where the peer does not run with all of them.
    pub ratios: Vec<(String, Option<Estimate>)>,
}

/// The result of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathResult {
    /// Name of the path.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// The peer whose gap is followed.
    pub peer: String,
    /// Its workloads, in the order of the path.
    pub workloads: Vec<PathWorkload>,
}

/// A path in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathWorkload {
    /// The workload.
    pub workload: String,
    /// The response that it is judged by.
    pub response: String,
    /// Steps in their order.
    pub steps: Vec<PathStep>,
    /// Goals in the order of the path.
    pub goals: Vec<GoalResult>,
}

/// One step of a path in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStep {
    /// Name of the treatment, or `baseline`.
    pub step: String,
    /// Id of its cell.
    pub cell: String,
    /// Response of the cell, in its unit.
    pub value: Option<Estimate>,
    /// Difference from the step before, percent of that step; `None` for the first step.
    pub change_percent: Option<Estimate>,
    /// Difference from the peer, percent of the peer, with the interval that holds for all steps together.
    pub gap_percent: Option<Estimate>,
    /// Factors that the step changes and that are not exercised in this workload.
    pub not_exercised: Vec<String>,
}

/// The result of a goal in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoalResult {
    /// The goal as it was declared.
    #[serde(flatten)]
    pub goal: Goal,
    /// `reached`, `not-reached` or `open`.
    pub verdict: String,
    /// The first step that reaches it, else the step with the smallest gap.
    pub step: Option<String>,
    /// The gap at that step, percent of the peer.
    pub gap_percent: Option<Estimate>,
    /// Whether the last step reaches it too.
    pub holds_at_the_end: bool,
}

/// The result of a hypothesis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HypothesisResult {
    /// Name of the hypothesis.
    pub name: String,
    /// The claim in words.
    pub claim: String,
    /// The workload.
    pub workload: String,
    /// The range of values that supports it, as a formula for people.
    pub range: String,
    /// Unit of `value`: `share` (1 is the whole gap), `percent` (of the response of `minus`) or `ns`.
    pub unit: String,
    /// The measured value, with the interval at `confidence`.
    pub value: Option<Estimate>,
    /// Confidence of the interval, 0 to 1.
    pub confidence: f64,
    /// `supported`, `refuted`, `inconclusive` or `undecidable`.
    pub verdict: String,
    /// The reason for the verdict, for people.
    pub reason: String,
    /// Number of blocks that would probably decide it.
    pub blocks_needed: Option<usize>,
}
