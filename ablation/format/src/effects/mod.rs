//! `effects.json`: the results of a study for programs.
//!
//! A value that is not known is `None` (`null`), never 0. Verdicts, proofs and kinds are words in kebab case. They are
//! text and not enums, because a later version may add one. docs/format.md lists them.

mod breakdown;
mod claims;
mod crossed;
mod curves;
mod estimate;
mod machines;
mod noise;
mod rows;

pub use breakdown::{Breakdown, BreakdownRow, CrossCheck, FittedCost};
pub use claims::{GoalResult, Group, HypothesisResult, PathResult, PathStep, PathWorkload, TargetResult, TargetRow};
pub use crossed::{Contrasted, CrossedFactor, CrossedResult, GreedyStep, Interaction};
pub use curves::{At, ByFaults, CurveCell, CurveGap, CurveResult};
pub use estimate::Estimate;
pub use machines::{EffectOnMachine, EffectOverMachines};
pub use noise::{Contention, Noise, Retention, TwoSpeeds};
pub use rows::{CellRow, EffectRow, GapRow};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of `effects.json`.
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
    /// One entry for each target of the config, in its order.
    pub targets: Vec<TargetResult>,
    /// One entry for each path of the config, in its order.
    pub paths: Vec<PathResult>,
    /// Sets of workloads that targets take together.
    pub groups: Vec<Group>,
    /// One entry for each workload that crosses factors.
    pub crossed: Vec<CrossedResult>,
    /// Which timed batches were retained, for each workload with contention probes.
    pub retention: Vec<Retention>,
    /// What disturbed each cell.
    pub noise: Vec<Noise>,
    /// What the contention probes say about the study as a whole.
    pub contention: Contention,
    /// Sentences about the study as a whole, for people.
    pub remarks: Vec<String>,
    /// What the gaps to the peers are made of.
    pub explained: Explained,
}

/// What the gaps of a study are made of. Numbers are nanoseconds per operation where the field names no other unit.
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
