//! The design of a study: the cells to run, the contrasts to report and the distinct builds. A pure function.
//!
//! Two names for the same levels in the same arm are one cell, so that no cell is measured twice. The time that a study
//! takes is left to [`crate::tools::plan`], and running it to [`crate::builds`] and [`crate::run`].

mod axis;
mod build_plans;
mod cells;
mod claims;
mod constraints;
mod contrasts;
mod fraction;
mod paths;
mod screening;
mod treatments;

use crate::config::{Absent, ConfigError, DesignKind, Study};
use ablate_format::{AbsentPeer, CellKind, Crossed, FactorPlan, StudyPlan, WorkloadPlan};
use axis::Axis;
pub(crate) use build_plans::BuildPlan;
use cells::Cells;
use cells::peer_id;
use fraction::Fraction;
use std::collections::{BTreeMap, HashSet};
use treatments::Treatments;

/// A study plan with the builds that its cells refer to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Design {
    /// Cells, contrasts, workloads.
    pub(crate) plan: StudyPlan,
    /// Distinct feature sets and installed programs, the baseline's first.
    pub(crate) builds: Vec<BuildPlan>,
}

/// Makes the design of a study.
///
/// # Errors
/// [`ConfigError::Invalid`] for mistakes that only the whole design shows: a baseline or a treatment that breaks a
/// constraint, one name for two sets of levels, a hypothesis about a cell that does not exist, a step of a path in
/// another binary.
pub(crate) fn resolve(study: &Study) -> Result<Design, ConfigError> {
    let axes = axis::axes(study);
    constraints::hold_for_baseline(study, &axes)?;
    let treatments = treatments::treatments(study, &axes)?;
    let cells = cells::cells(study, &axes, &treatments)?;
    let designs = designs(study, &treatments, &cells);
    let plan = StudyPlan {
        factors: axes.iter().map(factor).collect(),
        workloads: workloads(study, &cells, &designs),
        contrasts: contrasts::contrasts(study, &axes, &treatments, &cells),
        reference_peer: study.reference_peer.as_deref().map(peer_id),
        hypotheses: study.hypotheses.clone(),
        targets: study.targets.clone(),
        paths: study.paths.clone(),
        curves: study.curves.clone(),
        aliases: aliases(study, &axes, &treatments, &cells),
        absent: study.absent.iter().map(absent).collect(),
        layouts: study.layouts,
        crossed: crossed(&axes),
        designs,
        impossible: cells.impossible.clone(),
        remarks: Vec::new(),
        only_in: Default::default(),
        cells: cells.list.clone(),
    };
    claims::check(study, &axes, &treatments, &cells, &plan)?;
    paths::check(study, &plan)?;
    Ok(Design { plan, builds: cells.builds })
}

fn absent(absent: &Absent) -> AbsentPeer {
    AbsentPeer { peer: absent.peer.clone(), why: absent.why.clone(), hint: absent.hint.clone() }
}

fn factor(axis: &Axis<'_>) -> FactorPlan {
    FactorPlan {
        name: axis.factor.name.clone(),
        proof: axis.factor.proof.clone(),
        about: axis.factor.about.clone(),
        baseline: axis.factor.baseline.clone(),
        levels: axis.levels.iter().map(|level| level.to_string()).collect(),
    }
}

fn crossed(axes: &[Axis<'_>]) -> Vec<Crossed> {
    let two_levels = axes.iter().filter_map(|axis| Some((axis, axis.crossed_away?)));
    let named = two_levels.map(|(axis, away)| (axis.factor.name.clone(), axis.combined_name(away).to_owned()));
    named.map(|(factor, away)| Crossed { factor, away }).collect()
}

/// The cells of each design.
fn designs(study: &Study, treatments: &Treatments, cells: &Cells) -> BTreeMap<String, Vec<String>> {
    let of = |kind: DesignKind| -> Vec<String> {
        let asked = treatments.list.iter().zip(&cells.made).filter(|(treatment, _)| treatment.asked.contains(&kind));
        let made = asked.flat_map(|(_, made)| match kind.is_crossing() {
            true => vec![made.combined()],
            false => vec![made.binary, made.own_binary],
        });
        let ids = made.flatten().map(|index| cells.list[index].id.clone());
        kind.is_crossing().then(|| "baseline".to_owned()).into_iter().chain(ids).collect()
    };
    study.designs.iter().map(|kind| (kind.as_str().to_owned(), of(*kind))).collect()
}

fn workloads(study: &Study, cells: &Cells, designs: &BTreeMap<String, Vec<String>>) -> Vec<WorkloadPlan> {
    let is_restricted = study.peers.iter().any(|peer| peer.workloads.is_some());
    let runs = |workload: &crate::config::Workload| -> Vec<String> {
        if workload.designs.is_none() && !is_restricted {
            return Vec::new();
        }
        let own = workload.designs.as_deref().unwrap_or(&study.designs);
        let asked: HashSet<&String> = own.iter().filter_map(|kind| designs.get(kind.as_str())).flatten().collect();
        let runs = cells.list.iter().filter(|cell| match cell.kind {
            CellKind::Treatment => workload.designs.is_none() || asked.contains(&cell.id),
            CellKind::Peer => study.peers.iter().any(|peer| peer.name == cell.name && peer.runs(&workload.name)),
            CellKind::Baseline | CellKind::Placebo => true,
        });
        runs.map(|cell| cell.id.clone()).collect()
    };
    let plan = |w: &crate::config::Workload| WorkloadPlan {
        name: w.name.clone(),
        command: w.command.clone(),
        args: w.args.clone(),
        about: w.about.clone(),
        response: w.response,
        cells: runs(w),
        output: w.output,
        benchmark: w.benchmark.clone(),
    };
    study.workloads.iter().map(plan).collect()
}

/// Cells of a folded-over screening design of these factors.
pub(crate) fn folded_cells(factors: usize) -> usize {
    screening::folded_cells(factors)
}

/// Cells of a Plackett–Burman design of these factors.
pub(crate) fn screening_cells(factors: usize) -> usize {
    screening::cells(factors)
}

/// The p of the smallest fraction 2^(k − p) of resolution V or more, in which main effects and interactions of two factors
/// are clear of each other. 0 is the full factorial. `None` outside of 1 to 12 factors.
pub(crate) fn resolution_five(factors: usize) -> Option<usize> {
    let has_five = |p: &usize| factors < 1 << (factors - p) && Fraction::least_aberrant(factors, *p).resolution() >= 5;
    (1..=12).contains(&factors).then(|| (1..factors).take_while(has_five).last().unwrap_or(0))
}

/// The effects that designs with fewer cells than combinations cannot tell apart, for people.
fn aliases(study: &Study, axes: &[Axis<'_>], treatments: &Treatments, cells: &Cells) -> Vec<String> {
    let names: Vec<&str> =
        axes.iter().filter(|axis| axis.crossed_away.is_some()).map(|axis| axis.factor.name.as_str()).collect();
    let mut out = Vec::new();
    for kind in study.designs.iter().copied() {
        match (kind, &treatments.fraction) {
            (DesignKind::Fractional, Some(fraction)) => out.extend(fraction.aliases(&names)),
            (DesignKind::PlackettBurman, _) => out.push(screening::aliases(names.len())),
            (DesignKind::Foldover, _) => out.push(screening::folded_aliases(names.len())),
            _ => continue,
        }
        let missing = cells.missing(treatments, kind);
        if missing > 0 {
            let are = if missing == 1 { "is" } else { "are" };
            out.push(format!(
                "{}: {missing} of its cells {are} impossible, so its columns are not orthogonal and it gives no main \
                 effects",
                kind.as_str()
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_designs;
#[cfg(test)]
mod tests_examples;
#[cfg(test)]
mod tests_shipped;
