//! From records to effects: what every source costs in every workload, and what that is of the gap to a peer.
//!
//! A pure function of a manifest and its records: it judges every run once more (see [`crate::prove`]), leaves out what
//! is not proven, and computes plain values. Formulas are in [`crate::stats`]; tables and files in [`crate::report`].
//! docs/methodology.md tells what is computed and why.

mod agreement;
mod canary;
mod counts;
mod crossed;
mod effects;
mod failures;
mod floors;
mod foreign;
mod index;
mod noise;
mod paths;
mod race;
mod ranking;
mod reading;
mod remarks;
mod summary;
mod table;
mod targets;
mod words;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_broken;

use crate::prove;
use ablate_format::{Arm, CellKind, MainResponse, Manifest, Record, StudyPlan, WorkloadPlan};
use ablate_stats::bootstrap::Drawn;
use index::Runs;
use serde::Serialize;
use std::collections::BTreeMap;

pub use canary::{Canaries, Keeping};
pub use counts::PerOperation;
pub use crossed::{Contrasted, Crossed, Interaction, Source, Step};
pub use failures::Failure;
pub use noise::{CellNoise, TwoSpeeds};
pub use paths::{FollowedPath, FollowedWorkload, GoalVerdict, JudgedGoal, PathStep};
pub use race::Group;
pub use ranking::{Candidate, Unjudged};
pub use reading::{Explained, Reading};
pub use table::{Masks, Row, Table};
pub use targets::{JudgedTarget, TargetRow, TargetVerdict};
pub use words::{Proof, Response, Verdict};

/// A value with its 95 % interval, when it has one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value itself.
    pub value: f64,
    /// Lower and upper end; `None` below [`ablate_stats::MIN_BLOCKS`] blocks.
    pub interval: Option<(f64, f64)>,
    /// Blocks behind it.
    pub blocks: usize,
}

impl Estimate {
    /// From a bootstrapped statistic; `None` when the value is no number.
    fn of(drawn: &Drawn) -> Option<Estimate> {
        drawn.point.is_finite().then(|| Estimate {
            value: drawn.point,
            interval: drawn.interval(),
            blocks: drawn.blocks,
        })
    }

    /// A ratio from what it is more than 1.
    pub fn plus_one(self) -> Estimate {
        let interval = self.interval.map(|(lo, hi)| (1.0 + lo, 1.0 + hi));
        Estimate { value: 1.0 + self.value, interval, ..self }
    }

    /// Whether the interval lies on one side of 0.
    pub fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
    }
}

/// One row of the effects: `plus − minus` of one contrast, workload and response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// Factor, or name of the treatment when several factors differ.
    pub factor: String,
    /// Kind of contrast, as in the plan.
    pub contrast: String,
    /// Arm, as in the plan.
    pub arm: Option<Arm>,
    /// What was measured.
    pub response: Response,
    /// Whether the row belongs to the attribution table.
    pub attribution: bool,
    /// The effect, in the unit of the response; `None` when nothing can be claimed.
    pub estimate: Option<f64>,
    /// Lower end of the interval.
    pub lo: Option<f64>,
    /// Upper end of the interval.
    pub hi: Option<f64>,
    /// Interval that holds together with those of the other sources, where the row belongs to the attribution table.
    pub together: Option<(f64, f64)>,
    /// The main response over all batches, where the row is over those that the canary kept.
    pub all_batches: Option<Estimate>,
    /// Blocks in which both cells were proven; for counts the number of repeats.
    pub blocks: usize,
    /// Smallest effect that the study finds four times in five.
    pub detectable: Option<f64>,
    /// Whether both cells did what they were run for.
    pub proof: Proof,
    /// What can be said.
    pub verdict: Verdict,
    /// Why, when the verdict is not `costs` or `saves`; empty otherwise.
    pub reason: String,
    /// Effect as a share of the gap to the reference peer; `None` unless the gap's interval lies above 0.
    pub share: Option<Estimate>,
}

impl Effect {
    /// Whether it is of taking one source away, whatever level that has: `on-off`, `fast-absent`.
    pub fn takes_away(&self) -> bool {
        self.attribution && (self.contrast.ends_with("-off") || self.contrast.ends_with("-absent"))
    }

    /// The effect with its interval, when something can be said.
    pub fn value(&self) -> Option<Estimate> {
        self.estimate.map(|value| Estimate { value, interval: self.lo.zip(self.hi), blocks: self.blocks })
    }
}

/// One cell in one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSummary {
    /// Cell id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it is compared as.
    pub kind: CellKind,
    /// Arm; `None` for baseline, placebo and peers.
    pub arm: Option<Arm>,
    /// Who serves it: the peer's name, or what the subject's runs are served by.
    pub allocator: String,
    /// `ok`, or how its runs ended when none was proven; `missing` without runs.
    pub status: &'static str,
    /// `ok`, `invalid 2/10`, `crashed 1/10`, `build-failed`; `None` without runs.
    pub proof: Option<String>,
    /// 10th percentile, nanoseconds per operation: median over blocks.
    pub latency_ns_p10: Option<Estimate>,
    /// Median, nanoseconds per operation: median over blocks.
    pub latency_ns_p50: Option<Estimate>,
    /// 99th percentile, nanoseconds per operation: median over blocks.
    pub latency_ns_p99: Option<Estimate>,
    /// Mean, nanoseconds per operation: median over blocks.
    pub latency_ns_mean: Option<Estimate>,
    /// Wall time of the process, nanoseconds per operation: median over blocks.
    pub wall_ns: Option<Estimate>,
    /// Processor time of the process, nanoseconds per operation: median over blocks.
    pub cpu_ns: Option<Estimate>,
    /// Most resident bytes of the process: median over blocks.
    pub rss_peak_bytes: Option<Estimate>,
    /// Numbers of the program's own by name: medians over blocks.
    pub values: BTreeMap<String, Estimate>,
    /// Every counted event by instrument name.
    pub counts: BTreeMap<String, PerOperation>,
    /// `this / peer − 1` for each peer of [`WorkloadAnalysis::gaps`], in that order.
    pub relative_to_peers: Vec<Option<f64>>,
}

impl CellSummary {
    /// Events per operation by instrument name, when counted.
    pub fn per_operation(&self, instrument: &str) -> Option<f64> {
        self.counts.get(instrument).map(|count| count.value)
    }

    /// The cell's value in a response, in the unit of its quantity.
    pub fn value(&self, response: MainResponse) -> Option<Estimate> {
        match response {
            MainResponse::P10 => self.latency_ns_p10,
            MainResponse::P50 => self.latency_ns_p50,
            MainResponse::P99 => self.latency_ns_p99,
            MainResponse::Mean => self.latency_ns_mean,
            MainResponse::Wall => self.wall_ns,
            MainResponse::Cpu => self.cpu_ns,
            MainResponse::RssPeak => self.rss_peak_bytes,
            MainResponse::Value(value) => self.values.get(value.name()).copied(),
        }
    }
}

/// The baseline against one peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// Cell id of the peer.
    pub id: String,
    /// Name of the peer.
    pub peer: String,
    /// Whether it is a competitor.
    pub compare: bool,
    /// Baseline − peer, in the unit of the response.
    pub gap_ns: Option<Estimate>,
    /// Baseline / peer − 1.
    pub gap_ratio: Option<Estimate>,
}

/// Everything about one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkloadAnalysis {
    /// Name.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// What its effects, gaps and noise floor are about.
    pub response: MainResponse,
    /// Cells in the order of the plan.
    pub cells: Vec<CellSummary>,
    /// Effects in the order of the plan's contrasts, responses within.
    pub effects: Vec<Effect>,
    /// Gaps, the reference peer first.
    pub gaps: Vec<Gap>,
    /// What the crossed cells say; `None` when the design does not cross factors.
    pub crossed: Option<Crossed>,
    /// Largest difference, in nanoseconds per operation, that baseline and placebo are compatible with.
    pub floor_ns: Option<f64>,
    /// The same for a placebo of dead code: the floor of effects between builds.
    pub layout_floor_ns: Option<f64>,
    /// What the canary kept; `None` when no program of this workload took one.
    pub keeping: Option<Keeping>,
    /// What disturbed each cell.
    pub noise: Vec<CellNoise>,
    /// The plan's reading; `None` without a reference peer.
    pub reading: Option<Reading>,
    /// Remarks about single values: repeats that do not agree, start-up that could not be subtracted.
    pub notes: Vec<String>,
}

impl WorkloadAnalysis {
    /// The effects of the main response.
    pub fn main_effects(&self) -> impl Iterator<Item = &Effect> {
        let main = Response::main(self.response);
        self.effects.iter().filter(move |effect| effect.response == main)
    }

    /// The same contrast in another response.
    pub fn sibling(&self, effect: &Effect, response: Response) -> Option<&Effect> {
        self.effects.iter().find(|other| {
            other.response == response
                && other.factor == effect.factor
                && other.contrast == effect.contrast
                && other.arm == effect.arm
        })
    }
}

/// A whole study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// Workloads in the order of the plan.
    pub workloads: Vec<WorkloadAnalysis>,
    /// Runs that do not count, by how they ended and why, most frequent first.
    pub failures: Vec<Failure>,
    /// Number of records.
    pub runs: usize,
    /// Records of workloads or cells that the plan does not have, and runs that were repeated.
    pub ignored: usize,
    /// What the contention canaries say.
    pub canaries: Canaries,
    /// Every bar of the study, judged.
    pub targets: Vec<JudgedTarget>,
    /// Ideas added in turn.
    pub paths: Vec<FollowedPath>,
    /// Workloads that targets take together.
    pub groups: Vec<Group>,
    /// What the study as a whole cannot show, or what disturbed it; one sentence each.
    pub remarks: Vec<String>,
    /// The cells of every workload with their draws, in the order of the workloads.
    #[serde(skip)]
    pub tables: Vec<Table>,
}

/// Computes everything that a report says, from records that are judged here.
pub fn analyse(manifest: &Manifest, records: &[Record]) -> Analysis {
    let mut records = records.to_vec();
    for record in &mut records {
        prove::prove(&manifest.plan, record);
    }
    prove::prove_together(&manifest.plan, &mut records);
    analyse_proven(manifest, &records)
}

/// [`analyse`] of records that were judged before, each and together.
pub fn analyse_proven(manifest: &Manifest, records: &[Record]) -> Analysis {
    let plan = &manifest.plan;
    let canaries = Canaries::of(records);
    let (runs, ignored) = index::index(plan, records, &canaries);
    let both = plan.workloads.iter().zip(&runs).map(|(w, runs)| workload(manifest, w, runs, &canaries));
    let (workloads, tables): (Vec<WorkloadAnalysis>, Vec<Table>) = both.unzip();
    let failures = failures::collect(manifest, records);
    let remarks = remarks::remarks(plan, &workloads, records);
    let field = race::Field { manifest, runs: &runs, tables: &tables };
    let (targets, groups) = (targets::judge(&field), race::groups(&field));
    let paths = paths::follow(&field, &workloads);
    Analysis { workloads, failures, runs: records.len(), ignored, canaries, targets, paths, groups, remarks, tables }
}

fn workload(manifest: &Manifest, plan: &WorkloadPlan, runs: &Runs, canaries: &Canaries) -> (WorkloadAnalysis, Table) {
    let mut notes = counts::Notes::default();
    let mut cells: Vec<CellSummary> =
        runs.cells.iter().map(|cell| summary::summary(manifest, cell, &mut notes)).collect();
    let peers = runs.peers(manifest.plan.reference_peer.as_deref());
    // One bootstrap for everything in the workload, so that effects, gaps and shares come from the same draws.
    let table = Table::new(manifest, plan, runs, &cells, canaries);
    for (summary, cell) in cells.iter_mut().zip(&runs.cells) {
        summary.relative_to_peers = peers.iter().map(|peer| reading::relative(&table, cell, peer)).collect();
    }
    let contrasts = effects::drawn(&manifest.plan, plan.response, runs, &table);
    let gaps = reading::drawn(&table, runs, &peers);

    let has_reference = manifest.plan.reference_peer.is_some() && !gaps.is_empty();
    // No share of a gap that is not told apart from 0, nor of an advantage.
    let is_gap = |gap: &&Drawn| Estimate::of(gap).and_then(|e| e.interval).is_some_and(|(lo, _)| lo > 0.0);
    let reference = gaps.first().filter(|gap| has_reference && is_gap(gap));
    let by_block = effects::differences_by_block(&manifest.plan, plan.response, runs);
    let all_batches = effects::over_all_batches(&manifest.plan, runs, &table);
    let evidence = effects::Evidence { drawn: &contrasts, by_block: &by_block, all_batches: &all_batches, reference };
    let (effects, floors) = effects::effects(manifest, plan.response, runs, &cells, &evidence);
    let floor = floors::floor_in_errors(&manifest.plan.contrasts, plan.response, &contrasts);
    let held = crossed::Held { reference, floor: (floor.first().copied().flatten(), floor.get(1).copied().flatten()) };
    let crossed = crossed::crossed(manifest, plan.response, runs, &table, &held);
    let reading = gaps
        .first()
        .filter(|_| has_reference)
        .map(|gap| reading::read(manifest, plan.response, peers[0], &cells, (gap, &contrasts), &effects));
    let keeping = canary::keeping(plan, runs, manifest.seed);
    let mut notes = notes.lines();
    if let Some(keeping) = &keeping {
        notes.extend(remarks(keeping, canaries));
    }
    let mut effects = effects;
    if !is_combined(&manifest.plan, plan) {
        effects.retain(|effect| effect.contrast != "main");
    }
    // A cell that this workload does not run has nothing to show; one that should have run and did not, has.
    cells.retain(|cell| plan.runs(&cell.id));
    let analysis = WorkloadAnalysis {
        name: plan.name.clone(),
        about: plan.about.clone(),
        response: plan.response,
        gaps: reading::gaps(&peers, &gaps),
        cells,
        effects,
        crossed,
        floor_ns: floors.switch_ns,
        layout_floor_ns: floors.layout_ns,
        keeping,
        noise: noise::noise(plan, runs),
        reading,
        notes,
    };
    (analysis, table)
}

/// Whether a workload runs all cells of a design that has main effects; without them a main effect would be that of
/// leaving one out, by another name.
fn is_combined(plan: &StudyPlan, workload: &WorkloadPlan) -> bool {
    let designs = ["factorial", "fractional", "plackett-burman"].into_iter();
    let mut combined = designs.filter_map(|design| plan.designs.get(design)).peekable();
    combined.peek().is_none() || combined.any(|ids| ids.iter().all(|id| workload.runs(id)))
}

/// What a reader must know before believing a table of kept batches.
fn remarks(keeping: &Keeping, canaries: &Canaries) -> Vec<String> {
    let mut out = Vec::new();
    if !canaries.applied {
        out.push("too few batches were undisturbed, so all of them count: run again on a quieter machine".to_owned());
    }
    if keeping.is_biased() {
        let p = keeping.p.unwrap_or_default();
        out.push(format!("which batches are kept depends on the cell (p = {p:.4}): effects may be of that choice"));
    }
    if keeping.contended > 0 {
        out.push(format!("{} runs are left out, because fewer than 8 of their batches were kept", keeping.contended));
    }
    out
}
