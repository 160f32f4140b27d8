//! Everything that an analysis says about one workload.

use super::crossed::Crossed;
use super::gaps::ReferenceGap;
use super::retention::Retention;
use super::values::{CellSummary, Effect, Gap};
use super::words::Response;
use crate::prove::Outputs;
use ablate_format::MainResponse;
use ablate_format::effects::Noise;

/// Everything about one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorkloadAnalysis {
    /// Name.
    pub(crate) name: String,
    /// One line for people.
    pub(crate) about: String,
    /// What its effects, gaps and noise floor are about.
    pub(crate) response: MainResponse,
    /// Whether the process as a whole is one operation, because the program reports none.
    pub(crate) is_per_run: bool,
    /// What the outputs of its runs can prove.
    pub(crate) outputs: Outputs,
    /// Cells in the order of the plan.
    pub(crate) cells: Vec<CellSummary>,
    /// Effects in the order of the plan's contrasts, responses within.
    pub(crate) effects: Vec<Effect>,
    /// Gaps, the reference peer first.
    pub(crate) gaps: Vec<Gap>,
    /// What the crossed cells say; `None` when the design does not cross factors.
    pub(crate) crossed: Option<Crossed>,
    /// Largest difference, in nanoseconds per operation, that baseline and placebo are compatible with.
    pub(crate) floor_ns: Option<f64>,
    /// The same for a placebo of dead code: the floor of effects between builds.
    pub(crate) layout_floor_ns: Option<f64>,
    /// Standard deviations of effects between builds: between code layouts, and between blocks of one layout, in the unit
    /// of the response. `None` where builds have one layout, or no layout has two blocks.
    pub(crate) layouts: Option<(f64, f64)>,
    /// What the contention probe retained; `None` when no program of this workload took one.
    pub(crate) retention: Option<Retention>,
    /// What disturbed each cell.
    pub(crate) noise: Vec<Noise>,
    /// The gap to the reference peer, and what the factors explain of it; `None` without a reference peer.
    pub(crate) reference_gap: Option<ReferenceGap>,
    /// Remarks about single values: repeats that do not agree, start-up that could not be subtracted.
    pub(crate) notes: Vec<String>,
}

impl WorkloadAnalysis {
    /// The effects of the main response.
    pub(crate) fn main_effects(&self) -> impl Iterator<Item = &Effect> {
        let main = Response::main(self.response);
        self.effects.iter().filter(move |effect| effect.response == main)
    }

    /// The same contrast in another response.
    pub(crate) fn sibling(&self, effect: &Effect, response: Response) -> Option<&Effect> {
        self.effects.iter().find(|other| {
            other.response == response
                && other.factor == effect.factor
                && other.contrast == effect.contrast
                && other.arm == effect.arm
        })
    }
}
