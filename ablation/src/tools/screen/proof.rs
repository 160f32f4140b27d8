//! What shows that the switch of a factor does something. Pure functions of a stage's runs.
//!
//! Counters of the program prove a factor in any design. Without them two cells are needed that differ in it alone: a full
//! factorial has them, and a fraction gets one such cell for each factor ([`super::stages::clean`]). The screen has none and
//! does not count, so what it knows of a factor that it drops is less than a proof, and it says so.

use super::cells::signed;
use crate::analyse::{Effect, Proof, WorkloadAnalysis};
use crate::prove::{self, JudgedRun, Outputs, ways};
use ablate_format::{CellKind, FactorPlan, Manifest, OutputRule, Pass, ScreenResult, Status, ToProve};
use std::collections::{BTreeSet, HashMap};

/// The word of [`ablate_format::ScreenedFactor::proof`] for a factor of which nothing is known.
pub(super) const NOTHING: &str = "nothing";

/// Whether a factor of the clean stage is proven in a workload. `design` is the name of the stage's design.
pub(super) fn of_claim(
    manifest: &Manifest,
    workload: &WorkloadAnalysis,
    runs: &[JudgedRun],
    (design, factor): (&str, &str),
) -> Proof {
    let own = |run: &&JudgedRun| *run.workload == *workload.name;
    if let Some(proof) = by_counters(manifest, runs.iter().filter(own), design, factor) {
        return proof;
    }
    let is_paired = design == "factorial";
    let row = |effect: &&Effect| effect.factor == factor && (effect.contrast == "main") == is_paired;
    let proofs: Vec<Proof> = workload.main_effects().filter(row).map(|effect| effect.proof).collect();
    let is_proven = proofs.contains(&Proof::Proven);
    if is_proven { Proof::Proven } else { proofs.first().copied().unwrap_or(Proof::Unproven) }
}

/// Says of every factor of the screen what shows that its switch does something, and of the first one that is dropped
/// without anything how to prove it.
pub(super) fn of_screen(result: &mut ScreenResult, manifest: &Manifest, runs: &[JudgedRun]) {
    for factor in &mut result.factors {
        factor.proof = Some(
            match by_counters(manifest, runs.iter(), "foldover", &factor.factor) {
                Some(proof) => proof.as_str(),
                None if reports_levels(manifest, runs) => "reported",
                None if are_other_binaries(manifest, &factor.factor) => "binaries",
                None => NOTHING,
            }
            .to_owned(),
        );
    }
    let first = result.factors.iter().find(|factor| !factor.kept && factor.proof.as_deref() == Some(NOTHING));
    result.to_prove = first.map(|factor| ToProve {
        factor: factor.factor.clone(),
        ways: ways(manifest, &factor.factor, outputs(manifest, runs, &factor.workload)),
    });
}

/// By the counters of the factor, over the cells of a design where it is at work: did it work in any of them? `None` when
/// it has no counters.
fn by_counters<'r>(
    manifest: &Manifest,
    runs: impl Iterator<Item = &'r JudgedRun>,
    design: &str,
    factor: &str,
) -> Option<Proof> {
    let plan: &FactorPlan = manifest.plan.factors.iter().find(|plan| plan.name == factor && !plan.proof.is_empty())?;
    let mut by_cell: HashMap<&str, Vec<&prove::Reported>> = HashMap::new();
    for run in runs.filter(|run| run.pass == Pass::Timing && run.status == Status::Ok) {
        by_cell.entry(&*run.cell).or_default().extend(run.measured.as_ref());
    }
    let cells = signs_of(manifest, design, factor);
    let mut at_work = cells.iter().filter(|(_, is_with)| *is_with).filter_map(|(id, _)| by_cell.get(id));
    let worked = |reported: &Vec<&prove::Reported>| {
        !reported.is_empty() && prove::exercised(plan, reported.iter().copied()).is_ok()
    };
    Some(if at_work.any(worked) { Proof::Proven } else { Proof::NotExercised })
}

/// The cells of a design, and whether the factor is at work in each.
fn signs_of<'m>(manifest: &'m Manifest, design: &str, factor: &str) -> Vec<(&'m str, bool)> {
    let Some(at) = manifest.plan.crossed.iter().position(|crossed| crossed.factor == factor) else { return Vec::new() };
    signed(&manifest.plan, design).into_iter().map(|(id, signs)| (id, signs[at] == 1)).collect()
}

/// Whether the program itself says at which level every factor is, which is checked in every run.
fn reports_levels(manifest: &Manifest, runs: &[JudgedRun]) -> bool {
    let config: toml::Table = manifest.config_text.parse().unwrap_or_default();
    let is_other = |key| config.get("subject").is_some_and(|subject| subject.get(key).is_some());
    let mut proven = runs.iter().filter(|run| run.pass == Pass::Timing && run.status == Status::Ok).peekable();
    !is_other("harness") && !is_other("server") && proven.peek().is_some() && proven.all(|run| run.measured.is_some())
}

/// Whether no binary of the cells with a factor is that of a cell without it. In a fraction that is a sign and no proof,
/// because other factors may tell these binaries apart.
fn are_other_binaries(manifest: &Manifest, factor: &str) -> bool {
    let code = |id: &str| {
        let build = &manifest.plan.cells.iter().find(|cell| cell.id == id)?.build;
        let built = manifest.builds.iter().find(|known| known.id == *build)?;
        built.result.as_ref().ok().map(|built| built.code())
    };
    let cells = signs_of(manifest, "foldover", factor);
    let side = |with: bool| -> BTreeSet<&str> {
        cells.iter().filter(|(_, is_with)| *is_with == with).filter_map(|(id, _)| code(id)).collect()
    };
    let (with, without) = (side(true), side(false));
    !with.is_empty() && !without.is_empty() && with.is_disjoint(&without)
}

/// What the outputs of a workload are good for as a proof, by the runs of the baseline.
fn outputs(manifest: &Manifest, runs: &[JudgedRun], workload: &str) -> Outputs {
    let is_ignored = |plan: &ablate_format::WorkloadPlan| plan.name == workload && plan.output == OutputRule::Ignored;
    if manifest.plan.workloads.iter().any(is_ignored) {
        return Outputs::Ignored;
    }
    let twins = manifest.plan.cells.iter().filter(|cell| cell.kind == CellKind::Baseline);
    let twins: BTreeSet<&str> = twins.map(|cell| cell.id.as_str()).collect();
    let own = runs.iter().filter(|run| *run.workload == *workload && twins.contains(&*run.cell));
    let answers: BTreeSet<_> = own.filter_map(|run| run.printed.as_ref()).map(|printed| printed.answer()).collect();
    match answers.len() {
        0 => Outputs::None,
        1 => Outputs::Steady,
        _ => Outputs::Varying,
    }
}
