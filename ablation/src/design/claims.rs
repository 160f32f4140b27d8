//! Checks hypotheses against the design, because a claim about a cell that does not run cannot be decided.

use super::axis::Axis;
use super::cells::Cells;
use super::treatments::Treatments;
use crate::config::claims::PARTS;
use crate::config::{ConfigError, DesignKind, Part, Study};
use crate::support::nearest::nearest;
use ablate_format::{Hypothesis, HypothesisKind, StudyPlan, WorkloadPlan};
use std::collections::HashSet;

pub(super) fn check(
    study: &Study,
    axes: &[Axis<'_>],
    treatments: &Treatments,
    cells: &Cells,
    plan: &StudyPlan,
) -> Result<(), ConfigError> {
    for (i, hypothesis) in study.hypotheses.iter().enumerate() {
        let Some(workload) = plan.workloads.iter().find(|w| w.name == hypothesis.workload) else { continue };
        let named: Vec<&String> = match &hypothesis.kind {
            HypothesisKind::Share { of, .. } => {
                shares(study, axes, treatments, cells, workload, (i, hypothesis, of))?;
                Vec::new()
            }
            HypothesisKind::Difference { plus, minus, .. } | HypothesisKind::Relative { plus, minus, .. } => {
                vec![plus, minus]
            }
            HypothesisKind::Ordering { cells } => cells.iter().collect(),
        };
        for (j, cell) in named.into_iter().enumerate() {
            if let Some(trouble) = unknown(plan, cell, workload) {
                return Err(study.error_at(Part::Named(i, j), trouble));
            }
        }
    }
    Ok(())
}

/// The reason why a cell does not run with a workload.
fn unknown(plan: &StudyPlan, cell: &str, workload: &WorkloadPlan) -> Option<String> {
    if plan.cells.iter().any(|known| known.id == cell) {
        let message = || {
            format!(
                "cell `{cell}` does not run with `{}`; add its design to the `designs` of that workload",
                workload.name
            )
        };
        return (!workload.runs(cell)).then(message);
    }
    if let Some(impossible) = plan.impossible.iter().find(|impossible| impossible.name == cell) {
        return Some(format!("cell `{cell}` is impossible: {}; name another cell", impossible.reason));
    }
    let ids = || plan.cells.iter().map(|cell| cell.id.as_str());
    // The arm in a name like `no-cache@env` is easily forgotten.
    let same_name = ids().find(|id| id.split('@').next() == Some(cell));
    let near = same_name.or_else(|| nearest(cell, ids())).map(|near| format!("; did you mean `{near}`?"));
    Some(format!("there is no cell `{cell}`; `cargo ablate plan` lists all{}", near.unwrap_or_default()))
}

/// A factor's share of a gap is its Shapley value, for which all combinations must run.
fn shares(
    study: &Study,
    axes: &[Axis<'_>],
    treatments: &Treatments,
    cells: &Cells,
    workload: &WorkloadPlan,
    (i, hypothesis, of): (usize, &Hypothesis, &[String]),
) -> Result<(), ConfigError> {
    let factors = of.iter().enumerate().filter(|(_, part)| !PARTS.contains(&part.as_str()));
    let mut any = false;
    for (j, part) in factors {
        any = true;
        let trouble = if !study.designs.contains(&DesignKind::Factorial) {
            "whose share is known from all combinations only; add \"factorial\" to `design`"
        } else if axes.iter().any(|axis| axis.factor.name == *part && axis.crossed_away.is_some()) {
            continue;
        } else {
            "which is not combined with the others at two levels; add it to `crossed`, or give it `off`"
        };
        return Err(study.error_at(Part::Named(i, j), format!("`{part}` is a factor {trouble}")));
    }
    if !any {
        return Ok(());
    }
    let away: Vec<(usize, u8)> =
        axes.iter().enumerate().filter_map(|(at, axis)| Some((at, axis.crossed_away?))).collect();
    let runs: HashSet<&String> = workload.cells.iter().collect();
    let missing = (1..1_usize << away.len()).filter(|set| {
        let mut levels = vec![0; axes.len()];
        let own = away.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        own.for_each(|(_, (at, level))| levels[*at] = *level);
        let index = treatments.by_levels.get(&levels).and_then(|index| cells.made[*index].binary);
        index.is_none_or(|index| !runs.is_empty() && !runs.contains(&cells.list[index].id))
    });
    let missing = match missing.count() {
        0 => return Ok(()),
        1 => "1 of them does".to_owned(),
        n => format!("{n} of them do"),
    };
    let message = format!(
        "hypothesis `{}` needs all combinations of the crossed factors, and {missing} not run with `{}`; choose other \
         factors with `crossed`, or add \"factorial\" to its `designs`",
        hypothesis.name, workload.name
    );
    Err(study.error_at(Part::Hypothesis(i), message))
}
