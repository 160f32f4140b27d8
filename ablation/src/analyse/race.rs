//! Ratios of the subject to its peers over several workloads: what geometric means and targets are made of.

use super::index::{CellRuns, Runs, Timed};
use super::table::Table;
use super::values::estimate;
use ablate_format::effects::{Estimate, Group};
use ablate_format::{CellKind, CellPlan, Manifest, TargetKind, TargetResponse};
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::table;
use std::collections::HashMap;

/// A study's runs and tables, one of each for every workload.
pub(super) struct Field<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) runs: &'a [Runs<'a>],
    pub(super) tables: &'a [Table],
}

/// Logarithms of the cells of one workload in one response, by cell id.
pub(super) type Logs = HashMap<String, Drawn>;

impl<'a> Field<'a> {
    /// The subject's cell.
    pub(super) fn baseline(&self) -> Option<&'a CellPlan> {
        self.manifest.plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline)
    }

    /// The peers in the order of the plan.
    pub(super) fn peers(&self) -> impl Iterator<Item = &'a CellPlan> {
        self.manifest.plan.cells.iter().filter(|cell| cell.kind == CellKind::Peer)
    }

    /// Whether a cell is to run with a workload.
    pub(super) fn runs_with(&self, cell: &CellPlan, workload: &str) -> bool {
        self.manifest.plan.workloads.iter().any(|plan| plan.name == workload && plan.runs(&cell.id))
    }

    /// Logarithms of all cells with proven runs; those of the workload's own response are in its table already.
    pub(super) fn logs(&self, workload: &str, response: Option<TargetResponse>) -> Logs {
        let Some(at) = self.place(workload) else { return Logs::new() };
        let Some(response) = response else {
            return self.tables[at].cells.iter().map(|row| (row.id.clone(), row.log.clone())).collect();
        };
        let runs = &self.runs[at];
        let cells: Vec<&CellRuns> = runs.cells.iter().filter(|cell| !cell.timing.is_empty()).collect();
        let values = cells.iter().map(|cell| values(runs, cell, |run| Some(value(run, response)?.ln()))).collect();
        let drawn = self.drawn(runs, values);
        cells.iter().map(|cell| cell.plan.id.clone()).zip(drawn).collect()
    }

    /// The subject's own value in a workload, apart from all other cells.
    pub(super) fn own(&self, workload: &str, response: TargetResponse, map: fn(f64) -> f64) -> Option<Drawn> {
        let runs = &self.runs[self.place(workload)?];
        let values = values(runs, runs.baseline()?, |run| Some(map(value(run, response)?)));
        self.drawn(runs, vec![values]).pop().filter(|drawn| drawn.point.is_finite())
    }

    /// What a workload is judged by.
    pub(super) fn response(&self, workload: &str) -> Option<TargetResponse> {
        let plan = self.manifest.plan.workloads.iter().find(|plan| plan.name == workload)?;
        Some(TargetResponse { of: plan.response, over: None })
    }

    fn place(&self, workload: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.workload == workload)
    }

    /// The same seed for all workloads: where these have the same blocks, they are drawn together.
    fn drawn(&self, runs: &Runs, values: Vec<Vec<(usize, f64)>>) -> Vec<Drawn> {
        table::table(&values, runs.blocks.len(), DRAWS, self.manifest.seed)
    }
}

/// The value of a run in a response, or the quotient of two of them.
fn value(run: &Timed, response: TargetResponse) -> Option<f64> {
    let of = run.value(response.of)?;
    Some(match response.over {
        Some(over) => of / run.value(over)?,
        None => of,
    })
}

fn values(runs: &Runs, cell: &CellRuns, value: impl Fn(&Timed) -> Option<f64>) -> Vec<(usize, f64)> {
    cell.timing.iter().filter_map(|(block, run)| Some((*runs.blocks.get(block)?, value(run)?))).collect()
}

/// Logarithm of subject / peer.
pub(super) fn log_ratio(logs: &Logs, baseline: &CellPlan, peer: &CellPlan) -> Option<Drawn> {
    let ratio = logs.get(&baseline.id)?.combine(logs.get(&peer.id)?, |subject, peer| subject - peer);
    ratio.point.is_finite().then_some(ratio)
}

/// The mean over workloads; `None` without any.
pub(super) fn mean(logs: &[Drawn]) -> Option<Drawn> {
    Drawn::linear(logs.iter().map(|log| (1.0 / logs.len() as f64, log)))
}

/// One group for each set of workloads that targets take the geometric mean of, in their own responses.
pub(super) fn groups(field: &Field) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for target in &field.manifest.plan.targets {
        if !matches!(target.kind, TargetKind::Ratio { .. }) || target.response.is_some() {
            continue;
        }
        match out.iter_mut().find(|group| group.workloads == target.workloads) {
            Some(group) => group.targets.push(target.name.clone()),
            None => out.push(Group {
                targets: vec![target.name.clone()],
                workloads: target.workloads.clone(),
                ratios: ratios(field, &target.workloads),
            }),
        }
    }
    out
}

fn ratios(field: &Field, workloads: &[String]) -> Vec<(String, Option<Estimate>)> {
    let logs: Vec<Logs> = workloads.iter().map(|workload| field.logs(workload, None)).collect();
    let ratio = |peer: &CellPlan| {
        let baseline = field.baseline()?;
        let each: Vec<Drawn> = logs.iter().map(|logs| log_ratio(logs, baseline, peer)).collect::<Option<_>>()?;
        estimate(&mean(&each)?.map(f64::exp))
    };
    field.peers().map(|peer| (peer.name.clone(), ratio(peer))).collect()
}
