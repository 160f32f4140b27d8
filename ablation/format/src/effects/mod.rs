//! `effects.json`: the results of a study for programs.
//!
//! A value that could not be had is `None` (`null`), never 0. Verdicts, proofs and kinds are words in kebab case; they
//! stay text here, because a later version may add one. docs/format.md lists them.

mod breakdown;
mod claims;
mod crossed;
mod curves;
mod estimate;
mod noise;
mod rows;

pub use breakdown::{Breakdown, BreakdownRow, CrossCheck, FittedCost};
pub use claims::{GoalResult, Group, HypothesisResult, PathResult, PathStep, PathWorkload, TargetResult, TargetRow};
pub use crossed::{Contrasted, CrossedFactor, CrossedResult, GreedyStep, Interaction};
pub use curves::{At, ByFaults, CurveCell, CurveGap, CurveResult};
pub use estimate::Estimate;
pub use noise::{Contention, Noise, Retention, TwoSpeeds};
pub use rows::{CellRow, EffectRow, GapRow};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectsFile {
    /// Version of the file ([`crate::FORMAT`]).
    pub format: u32,
    /// Name of the study.
    pub study: String,
    /// One row for each workload, contrast and response.
    pub effects: Vec<EffectRow>,
    /// One row for each workload and cell.
    pub cells: Vec<CellRow>,
    /// One row for each workload and peer.
    pub gaps: Vec<GapRow>,
    /// Every target, judged.
    pub targets: Vec<TargetResult>,
    /// Every path, followed.
    pub paths: Vec<PathResult>,
    /// Workloads that targets take together.
    pub groups: Vec<Group>,
    /// One entry for each workload that crosses factors.
    pub crossed: Vec<CrossedResult>,
    /// Which timed batches were retained, for each workload with contention probes.
    pub retention: Vec<Retention>,
    /// What disturbed each cell.
    pub noise: Vec<Noise>,
    /// What the contention probes say about the study as a whole.
    pub contention: Contention,
    /// Sentences about the study as a whole.
    pub remarks: Vec<String>,
    /// What the gaps are made of.
    pub explained: Explained,
}

/// What the gaps of a study are made of. Numbers are nanoseconds per operation where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Kind of event → nanoseconds per event.
    pub unit_costs_ns: BTreeMap<String, Estimate>,
    /// One for each workload and peer, the reference peer first.
    pub breakdowns: Vec<Breakdown>,
    /// One for each curve of the config.
    pub curves: Vec<CurveResult>,
    /// One for each hypothesis of the config, in its order.
    pub hypotheses: Vec<HypothesisResult>,
}
