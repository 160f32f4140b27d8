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
mod foreign;
mod index;
mod ranking;
mod reading;
mod remarks;
mod summary;
mod table;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_broken;

use crate::prove;
use crate::record::{Arm, CellKind, LatencyResponse, Manifest, Record, WorkloadPlan};
use crate::stats::bootstrap::Drawn;
use index::Runs;
use serde::Serialize;
use std::collections::BTreeMap;

pub use canary::{Canaries, Keeping};
pub use counts::PerOperation;
pub use crossed::{Contrasted, Crossed, Interaction, Source, Step};
pub use failures::Failure;
pub use ranking::{Candidate, Unjudged};
pub use reading::{Explained, Reading};
pub use table::{Masks, Row, Table};

/// A measured quantity that effects are computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// 10th percentile of a process, nanoseconds per operation: the main response by default.
    LatencyNsP10,
    /// Median of a process, nanoseconds per operation: must agree with the 10th percentile.
    LatencyNsP50,
    /// Mean of a process, nanoseconds per operation: the main response where the config says so.
    LatencyNsMean,
    /// Wall time of the process, nanoseconds per operation: for programs that report nothing.
    WallNs,
    /// Processor time of the process, nanoseconds per operation: for programs that report nothing.
    CpuNs,
    /// Instructions per operation, from the counting passes.
    InstructionsPerOp,
    /// Page faults per operation, from the counting passes.
    PageFaultsPerOp,
    /// System calls per operation, from the counting passes.
    SyscallsPerOp,
}

impl Response {
    /// The responses that are counted, with the name of their instrument.
    pub const COUNTED: [(Response, &'static str); 3] = [
        (Response::InstructionsPerOp, "instructions"),
        (Response::PageFaultsPerOp, "page-faults"),
        (Response::SyscallsPerOp, "syscalls"),
    ];

    /// The response that a workload is judged by.
    pub fn main(of: LatencyResponse) -> Response {
        match of {
            LatencyResponse::P10 => Response::LatencyNsP10,
            LatencyResponse::Mean => Response::LatencyNsMean,
            LatencyResponse::Wall => Response::WallNs,
            LatencyResponse::Cpu => Response::CpuNs,
        }
    }

    /// Whether it comes from the counting passes.
    pub fn is_counted(self) -> bool {
        Response::COUNTED.iter().any(|(counted, _)| *counted == self)
    }

    /// Name in `effects.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Response::LatencyNsP10 => "latency_ns_p10",
            Response::LatencyNsP50 => "latency_ns_p50",
            Response::LatencyNsMean => "latency_ns_mean",
            Response::WallNs => "wall_ns",
            Response::CpuNs => "cpu_ns",
            Response::InstructionsPerOp => "instructions_per_op",
            Response::PageFaultsPerOp => "page_faults_per_op",
            Response::SyscallsPerOp => "syscalls_per_op",
        }
    }
}

/// What can be said about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Detected, positive: the source costs. For latency by two readings that agree (docs/methodology.md).
    Costs,
    /// Detected, negative: the source saves.
    Saves,
    /// The interval contains 0 and the effect is smaller than what the study could have found.
    NotDetected,
    /// Detected, but not larger than the difference between the baseline and its placebo.
    BelowFloor,
    /// The source did nothing in this workload; no effect is claimed.
    NotExercised,
    /// No proven run in one of the two cells.
    Void,
    /// Too few blocks, or the evidence does not agree.
    Inconclusive,
    /// One of the two cells could not be built.
    BuildFailed,
}

impl Verdict {
    /// Name in `effects.json` and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Costs => "costs",
            Verdict::Saves => "saves",
            Verdict::NotDetected => "not-detected",
            Verdict::BelowFloor => "below-floor",
            Verdict::NotExercised => "not-exercised",
            Verdict::Void => "void",
            Verdict::Inconclusive => "inconclusive",
            Verdict::BuildFailed => "build-failed",
        }
    }
}

/// Whether the two cells of an effect did what they were run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Both cells have proven runs, and the source did its work where it was on.
    Proven,
    /// Both cells have proven runs, but the source had nothing to do in this workload.
    NotExercised,
    /// One of the cells has no proven run, for whatever reason; or the levels are the same thing under two names.
    Void,
    /// The factor has no counters, and nothing that was counted tells its levels apart.
    Unproven,
}

impl Proof {
    /// Name in `effects.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::Proven => "proven",
            Proof::NotExercised => "not-exercised",
            Proof::Void => "void",
            Proof::Unproven => "unproven",
        }
    }
}

/// A value with its 95 % interval, when it has one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value itself.
    pub value: f64,
    /// Lower and upper end; `None` below [`crate::stats::MIN_BLOCKS`] blocks.
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
    /// `ok`, `void 2/10`, `crashed 1/10`, `build-failed`; `None` without runs.
    pub proof: Option<String>,
    /// 10th percentile, nanoseconds per operation: median over blocks.
    pub latency_ns_p10: Option<Estimate>,
    /// Median, nanoseconds per operation: median over blocks.
    pub latency_ns_p50: Option<Estimate>,
    /// Mean, nanoseconds per operation: median over blocks.
    pub latency_ns_mean: Option<Estimate>,
    /// Wall time of the process, nanoseconds per operation: median over blocks.
    pub wall_ns: Option<Estimate>,
    /// Processor time of the process, nanoseconds per operation: median over blocks.
    pub cpu_ns: Option<Estimate>,
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

    /// The latency that a workload is judged by.
    pub fn latency(&self, response: LatencyResponse) -> Option<Estimate> {
        match response {
            LatencyResponse::P10 => self.latency_ns_p10,
            LatencyResponse::Mean => self.latency_ns_mean,
            LatencyResponse::Wall => self.wall_ns,
            LatencyResponse::Cpu => self.cpu_ns,
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
    /// Baseline − peer, nanoseconds per operation.
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
    pub response: LatencyResponse,
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
    let remarks = remarks::remarks(&workloads, records);
    Analysis { workloads, failures, runs: records.len(), ignored, canaries, remarks, tables }
}

fn workload(manifest: &Manifest, plan: &WorkloadPlan, runs: &Runs, canaries: &Canaries) -> (WorkloadAnalysis, Table) {
    let mut notes = counts::Notes::default();
    let mut cells: Vec<CellSummary> =
        runs.cells.iter().map(|cell| summary::summary(manifest, cell, &mut notes)).collect();
    let peers = runs.peers(manifest.plan.reference_peer.as_deref());
    // One bootstrap for everything in the workload, so that effects, gaps and shares come from the same draws.
    let table = Table::new(manifest, plan, runs, &cells);
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
    let evidence = effects::Evidence { drawn: &contrasts, by_block: &by_block, reference };
    let (effects, floors) = effects::effects(manifest, plan.response, runs, &cells, &evidence);
    let floor = effects::floor_in_errors(&manifest.plan.contrasts, plan.response, &contrasts);
    let held = crossed::Held { reference, floor: (floor.first().copied().flatten(), floor.get(1).copied().flatten()) };
    let crossed = crossed::crossed(&manifest.plan, plan.response, runs, &table, &held);
    let reading = gaps
        .first()
        .filter(|_| has_reference)
        .map(|gap| reading::read(manifest, plan.response, peers[0], &cells, (gap, &contrasts), &effects));
    let keeping = canary::keeping(plan, runs, manifest.seed);
    let mut notes = notes.lines();
    if let Some(keeping) = &keeping {
        notes.extend(remarks(keeping, canaries));
    }
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
        reading,
        notes,
    };
    (analysis, table)
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
