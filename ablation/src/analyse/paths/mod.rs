//! Ideas added in turn: what each step changes, and how far the peer is after it.
//!
//! Changes and gaps are ratios from the logarithms of one table, like those of the peers. The gaps of a workload have
//! intervals that hold for all its steps together, because a goal asks which step is the first of several.

use super::index::{CellRuns, Runs};
use super::race::Field;
use super::table::Table;
use super::values::estimate;
use super::workload::WorkloadAnalysis;
use crate::prove;
use ablate_format::effects::{Estimate, PathStep};
use ablate_format::{CellPlan, FactorPlan, Goal, MainResponse, Path};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::many::simultaneous;

/// One path in all its workloads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FollowedPath {
    /// Name of the path.
    pub(crate) name: String,
    /// One line for people.
    pub(crate) about: String,
    /// The peer whose gap is followed.
    pub(crate) peer: String,
    /// Its workloads, in the order of the path.
    pub(crate) workloads: Vec<FollowedWorkload>,
}

/// A path in one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FollowedWorkload {
    /// The workload.
    pub(crate) workload: String,
    /// What it is judged by.
    pub(crate) response: MainResponse,
    /// Steps in their order.
    pub(crate) steps: Vec<PathStep>,
    /// Goals in the order of the path.
    pub(crate) goals: Vec<JudgedGoal>,
    /// Whether the peer and some step have proven runs. Values of 0 or below have no gap all the same.
    pub(crate) has_runs: bool,
}

/// What a study says about a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoalVerdict {
    /// At some step the whole interval of the gap is within the goal.
    Reached,
    /// At every step the whole interval is beyond it.
    NotReached,
    /// Some interval spans the goal, or is not there, and none is within it.
    Open,
}

impl GoalVerdict {
    /// The verdict in tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            GoalVerdict::Reached => "reached",
            GoalVerdict::NotReached => "not reached",
            GoalVerdict::Open => "open",
        }
    }
}

/// One goal in one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JudgedGoal {
    /// The goal as it was declared.
    pub(crate) goal: Goal,
    /// The verdict.
    pub(crate) verdict: GoalVerdict,
    /// The first step that reaches it; of a goal that is not reached or open, the step with the smallest gap.
    pub(crate) step: Option<String>,
    /// The gap at that step.
    pub(crate) gap_percent: Option<Estimate>,
    /// Whether the last step has it still; false for goals that are not reached.
    pub(crate) holds_at_the_end: bool,
}

/// Follows every path of a study.
pub(super) fn follow(field: &Field, workloads: &[WorkloadAnalysis]) -> Vec<FollowedPath> {
    let followed = |path: &Path| FollowedPath {
        name: path.name.clone(),
        about: path.about.clone(),
        peer: path.peer.clone(),
        workloads: path.workloads.iter().filter_map(|name| followed(field, workloads, path, name)).collect(),
    };
    field.manifest.plan.paths.iter().map(followed).collect()
}

fn followed(field: &Field, workloads: &[WorkloadAnalysis], path: &Path, name: &str) -> Option<FollowedWorkload> {
    let at = workloads.iter().position(|workload| workload.name == name)?;
    let (analysis, table, runs) = (&workloads[at], &field.tables[at], &field.runs[at]);
    let cells: Vec<(&String, &CellPlan)> =
        path.steps.iter().filter_map(|step| Some((step, field.manifest.plan.step(step)?))).collect();
    let peer = field.peers().find(|cell| cell.name == path.peer);
    let gaps: Vec<Option<Drawn>> = cells.iter().map(|(_, cell)| percent(table, &cell.id, &peer?.id)).collect();
    let together = simultaneous(&gaps.iter().flatten().collect::<Vec<_>>());
    let mut together = together.into_iter();
    let gaps: Vec<Option<Estimate>> = gaps
        .iter()
        .map(|gap| {
            let (gap, interval) = (gap.as_ref()?, together.next().flatten());
            Some(Estimate { value: gap.point, interval, blocks: gap.blocks })
        })
        .collect();
    let steps: Vec<PathStep> = cells
        .iter()
        .enumerate()
        .zip(gaps)
        .map(|((at, (step, cell)), gap_percent)| {
            let before = at.checked_sub(1).map(|before| cells[before].1);
            let change = before.and_then(|before| percent(table, &cell.id, &before.id));
            let summary = analysis.cells.iter().find(|summary| summary.id == cell.id);
            PathStep {
                step: (*step).clone(),
                cell: cell.id.clone(),
                value: summary.and_then(|summary| summary.value(analysis.response)),
                change_percent: change.as_ref().and_then(estimate),
                gap_percent,
                not_exercised: before
                    .map_or_else(Vec::new, |before| not_exercised(&field.manifest.plan.factors, runs, before, cell)),
            }
        })
        .collect();
    Some(FollowedWorkload {
        workload: name.to_owned(),
        response: analysis.response,
        goals: path.goals.iter().map(|goal| judged(goal, &steps)).collect(),
        has_runs: peer.is_some_and(|peer| table.cell(&peer.id).is_some())
            && cells.iter().any(|(_, cell)| table.cell(&cell.id).is_some()),
        steps,
    })
}

/// What `plus` takes more than `minus`, percent of `minus`.
fn percent(table: &Table, plus: &str, minus: &str) -> Option<Drawn> {
    let (plus, minus) = (&table.cell(plus)?.log, &table.cell(minus)?.log);
    let percent = plus.combine(minus, |plus, minus| 100.0 * (plus - minus).exp_m1());
    percent.point.is_finite().then_some(percent)
}

/// Factors whose levels differ between two cells and that had nothing to do in either.
fn not_exercised(factors: &[FactorPlan], runs: &Runs, before: &CellPlan, now: &CellPlan) -> Vec<String> {
    let slept = |factor: &FactorPlan, cell: &CellPlan| {
        let is_at_work = cell.levels.get(&factor.name).is_some_and(|level| level != "off" && level != "absent");
        let of_cell = |runs: &&CellRuns| runs.plan.id == cell.id;
        let runs = runs.cells.iter().find(of_cell).filter(|runs| runs.measured().next().is_some());
        !is_at_work || runs.is_some_and(|runs| prove::exercised(factor, runs.measured()).is_err())
    };
    let differs = |factor: &&FactorPlan| before.levels.get(&factor.name) != now.levels.get(&factor.name);
    let still = factors.iter().filter(differs).filter(|factor| slept(factor, before) && slept(factor, now));
    still.map(|factor| factor.name.clone()).collect()
}

fn judged(goal: &Goal, steps: &[PathStep]) -> JudgedGoal {
    let ends = |step: &PathStep| step.gap_percent.and_then(|gap| gap.interval);
    let is_within = |step: &PathStep| ends(step).is_some_and(|(_, hi)| hi <= goal.high_percent);
    let is_beyond = |step: &PathStep| ends(step).is_some_and(|(lo, _)| lo > goal.high_percent);
    let first = steps.iter().find(|step| is_within(step));
    let verdict = match first {
        Some(_) => GoalVerdict::Reached,
        None if !steps.is_empty() && steps.iter().all(is_beyond) => GoalVerdict::NotReached,
        None => GoalVerdict::Open,
    };
    let gap = |step: &PathStep| step.gap_percent.map_or(f64::INFINITY, |gap| gap.value);
    let measured = steps.iter().filter(|step| step.gap_percent.is_some());
    let told = first.or_else(|| measured.min_by(|a, b| gap(a).total_cmp(&gap(b))));
    JudgedGoal {
        goal: goal.clone(),
        verdict,
        step: told.map(|step| step.step.clone()),
        gap_percent: told.and_then(|step| step.gap_percent),
        holds_at_the_end: verdict == GoalVerdict::Reached && steps.last().is_some_and(is_within),
    }
}

#[cfg(test)]
mod tests;
