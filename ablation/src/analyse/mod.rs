//! From records to effects: what every factor costs in every workload, and what that is of the gap to a peer.
//!
//! A pure function of a manifest and its records: it judges every run once more (see [`crate::prove`]), leaves out what
//! is not proven, and computes plain values. Formulas are in [`ablate_stats`]; tables and files in [`crate::report`].
//! docs/methodology.md tells what is computed and why.

mod agreement;
mod blockwise;
mod contention;
mod costs;
mod counts;
mod crossed;
mod effects;
mod failures;
mod floors;
mod foreign;
mod gaps;
mod index;
mod machines;
mod memory;
mod noise;
mod paths;
mod race;
mod ranking;
mod read_back;
mod remarks;
mod retention;
mod summary;
mod table;
mod targets;
mod values;
mod words;
mod workload;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_broken;

use crate::prove::JudgedRun;
use crate::support::count::counted_verb;
#[cfg(test)]
use ablate_format::Record;
use ablate_format::effects::{Contention, Group};
use ablate_format::{MainResponse, Manifest, StudyPlan, WorkloadPlan};
use ablate_stats::bootstrap::Drawn;
use index::{CellRuns, Runs};
use values::estimate;

pub(crate) use blockwise::{Blockwise, blockwise};
pub(crate) use crossed::{Contrasted, Crossed, CrossedFactor};
pub(crate) use failures::Failure;
pub(crate) use gaps::{Explained, ReferenceGap};
pub(crate) use machines::{DECIDING, OverMachines};
pub(crate) use paths::{FollowedPath, FollowedWorkload, GoalVerdict, JudgedGoal};
pub(crate) use ranking::Unjudged;
pub(crate) use retention::Retention;
pub(crate) use table::{Row, Table};
pub(crate) use targets::{JudgedTarget, TargetRow, TargetVerdict};
pub(crate) use values::{CellSummary, Effect, Gap, as_cost, is_away, negated};
pub(crate) use words::{Proof, Response, Verdict, is_unproven, word_of};
pub(crate) use workload::WorkloadAnalysis;

/// A whole study.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Analysis {
    /// Workloads in the order of the plan.
    pub(crate) workloads: Vec<WorkloadAnalysis>,
    /// Runs that do not count, by how they ended and why, most frequent first.
    pub(crate) failures: Vec<Failure>,
    /// Runs of the programs that are compared.
    pub(crate) runs: usize,
    /// Blocks that have a timing run.
    pub(crate) blocks: usize,
    /// Records of workloads or cells that the plan does not have, and runs that were repeated.
    pub(crate) ignored: usize,
    /// What the contention probes say.
    pub(crate) contention: Contention,
    /// Every bar of the study, judged.
    pub(crate) targets: Vec<JudgedTarget>,
    /// Ideas added in turn.
    pub(crate) paths: Vec<FollowedPath>,
    /// Workloads that targets take together.
    pub(crate) groups: Vec<Group>,
    /// What the study as a whole cannot show, or what disturbed it; one sentence each.
    pub(crate) remarks: Vec<String>,
    /// The cells of every workload with their draws, in the order of the workloads.
    pub(crate) tables: Vec<Table>,
}

/// [`analyse_proven`] of records that are judged here.
#[cfg(test)]
pub(crate) fn analyse(manifest: &Manifest, records: &[Record]) -> Analysis {
    analyse_proven(manifest, &crate::prove::judge_all(&manifest.plan, records))
}

/// Computes everything that a report says, from records that were judged, each and together.
pub(crate) fn analyse_proven(manifest: &Manifest, records: &[JudgedRun]) -> Analysis {
    let plan = &manifest.plan;
    let contention = contention::read(records);
    let (runs, ignored) = index::index(plan, records, &contention);
    let both = of_workloads(manifest, &runs, &contention);
    let (workloads, tables): (Vec<WorkloadAnalysis>, Vec<Table>) = both.into_iter().unzip();
    let failures = failures::collect(manifest, records);
    let remarks = remarks::remarks(plan, &workloads, records);
    let field = race::Field { manifest, runs: &runs, tables: &tables };
    let (targets, groups) = (targets::judge(&field), race::groups(&field));
    let paths = paths::follow(&field, &workloads);
    Analysis {
        workloads,
        failures,
        runs: of_programs(records),
        blocks: crate::store::blocks(records),
        ignored,
        contention,
        targets,
        paths,
        groups,
        remarks,
        tables,
    }
}

/// How many of these are runs of the programs that are compared, and not of the runner itself.
pub(crate) fn of_programs(records: &[JudgedRun]) -> usize {
    records.iter().filter(|run| run.pass != ablate_format::Pass::UnitCosts).count()
}

/// The workloads of [`analyse_proven`] with their tables: what a study that stops by itself looks at.
pub(crate) fn workloads(manifest: &Manifest, runs: &[JudgedRun]) -> (Vec<WorkloadAnalysis>, Vec<Table>) {
    let contention = contention::read(runs);
    let (runs, _) = index::index(&manifest.plan, runs, &contention);
    of_workloads(manifest, &runs, &contention).into_iter().unzip()
}

/// Every workload by itself, as many at a time as there are processors.
fn of_workloads(manifest: &Manifest, runs: &[Runs], contention: &Contention) -> Vec<(WorkloadAnalysis, Table)> {
    let both: Vec<(&WorkloadPlan, &Runs)> = manifest.plan.workloads.iter().zip(runs).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let analyse_all = |part: &[(&WorkloadPlan, &Runs)]| -> Vec<(WorkloadAnalysis, Table)> {
        part.iter().map(|(plan, runs)| workload(manifest, plan, runs, contention)).collect()
    };
    let analyse_all = &analyse_all;
    std::thread::scope(|scope| {
        let parts = both.chunks(both.len().div_ceil(processors).max(1));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || analyse_all(part))).collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        done.flatten().collect()
    })
}

fn workload(
    manifest: &Manifest,
    plan: &WorkloadPlan,
    runs: &Runs,
    contention: &Contention,
) -> (WorkloadAnalysis, Table) {
    let mut notes = counts::Notes::default();
    let mut cells: Vec<CellSummary> =
        runs.cells.iter().map(|cell| summary::summary(manifest, plan.response, cell, &mut notes)).collect();
    let peers = runs.peers(manifest.plan.reference_peer.as_deref());
    // One bootstrap for everything in the workload, so that effects, gaps and shares come from the same draws.
    let table = Table::new(manifest, plan, runs, &cells, contention);
    for (summary, cell) in cells.iter_mut().zip(&runs.cells) {
        summary.relative_to_peers = peers.iter().map(|peer| gaps::relative(&table, cell, peer)).collect();
    }
    let contrasts = effects::drawn(&manifest.plan, plan.response, runs, &table);
    let gaps = gaps::drawn(&table, runs, &peers);

    let has_reference = manifest.plan.reference_peer.is_some() && !gaps.is_empty();
    // No share of a gap that is not told apart from 0, nor of an advantage.
    let response = Response::main(plan.response);
    let is_gap = |gap: &&Drawn| {
        let interval = estimate(gap).and_then(|e| e.interval);
        interval.is_some_and(|(lo, hi)| response.cost_of(lo) > 0.0 && response.cost_of(hi) > 0.0)
    };
    let reference = gaps.first().filter(|gap| has_reference && is_gap(gap));
    // The median is the cross-check of a 10th percentile.
    let by_block = match plan.response {
        MainResponse::P10 => Vec::new(),
        other => effects::differences_by_block(&manifest.plan, other, runs),
    };
    let all_batches = effects::over_all_batches(&manifest.plan, runs, &table);
    // All machines run the same layouts, so what these leave open is common to the machines.
    let of_layouts = || effects::half_widths_of_layouts(&manifest.plan, plan.response, &table);
    let over_machines = machines::over(runs, of_layouts, |own| {
        let table = Table::new(manifest, plan, own, &cells, contention).of_these_layouts();
        effects::drawn(&manifest.plan, plan.response, own, &table)
    });
    let evidence = effects::Evidence {
        drawn: &contrasts,
        by_block: &by_block,
        all_batches: &all_batches,
        machines: &over_machines,
        reference,
    };
    let (effects, floors) = effects::effects(manifest, plan.response, runs, &cells, &evidence);
    let floor = floors::floor_in_errors(&manifest.plan.contrasts, plan.response, &contrasts);
    let held = crossed::Held { reference, floor: (floor.first().copied().flatten(), floor.get(1).copied().flatten()) };
    let crossed = crossed::crossed(manifest, plan.response, runs, &table, &held);
    let reference_gap = gaps
        .first()
        .filter(|_| has_reference)
        .map(|gap| gaps::reference_gap(manifest, plan.response, peers[0], &cells, (gap, &contrasts), &effects));
    let retention = retention::retention(plan, runs, manifest.seed);
    let mut notes = notes.lines();
    if let Some(retention) = &retention {
        notes.extend(remarks(retention, contention));
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
        outputs: runs.outputs(),
        is_per_run: plan.response.is_outside() && runs.cells.iter().all(CellRuns::reports_nothing),
        gaps: gaps::gaps(&peers, &gaps),
        cells,
        effects,
        crossed,
        floor_ns: floors.switch_ns,
        layout_floor_ns: floors.layout_ns,
        layouts: effects::over_layouts(&manifest.plan, &table),
        retention,
        noise: noise::noise(plan, runs),
        reference_gap,
        notes,
    };
    (analysis, table)
}

/// Whether a workload runs all cells of a design that has main effects; without them a main effect would be that of
/// leaving one out, by another name.
fn is_combined(plan: &StudyPlan, workload: &WorkloadPlan) -> bool {
    let designs = ["factorial", "fractional", "plackett-burman", "foldover"].into_iter();
    let mut combined = designs.filter_map(|design| plan.designs.get(design)).peekable();
    combined.peek().is_none() || combined.any(|ids| ids.iter().all(|id| workload.runs(id)))
}

/// What a reader must know before believing a table of retained batches.
fn remarks(retention: &Retention, contention: &Contention) -> Vec<String> {
    let mut out = Vec::new();
    if !contention.applied {
        out.push("too few batches were undisturbed, so all of them count: run again on a quieter machine".to_owned());
    }
    if retention.is_biased() {
        let p = retention.p.unwrap_or_default();
        out.push(format!("which batches are retained depends on the cell (p = {p:.4}): effects may be of that choice"));
    }
    if retention.contended > 0 {
        let runs = counted_verb(retention.contended, "run", ["is", "are"]);
        out.push(format!("{runs} left out, because fewer than 8 timed batches of each were retained"));
    }
    out
}
