//! Records by workload, cell and block, so that each is found once.

use super::contention::{self, Undisturbed};
use crate::prove::{JudgedRun, Outputs, Printed, Reported};
use ablate_format::effects::Contention;
use ablate_format::{CellKind, CellPlan, MainResponse, Manifest, OutputRule, Pass, Status, StudyPlan};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All runs of one workload.
pub(super) struct Runs<'a> {
    /// One entry for each cell of the plan, in its order.
    pub(super) cells: Vec<CellRuns<'a>>,
    /// Blocks with at least one proven timing run, to their index in the bootstrap.
    pub(super) blocks: BTreeMap<u32, usize>,
    /// What the config asks of the outputs.
    rule: OutputRule,
    by_id: HashMap<&'a str, usize>,
}

/// One proven timing run.
#[derive(Clone, Copy)]
pub(super) struct Timed<'a> {
    pub(super) record: &'a JudgedRun,
    /// Its percentiles over the batches that nothing disturbed.
    pub(super) undisturbed: Undisturbed,
}

impl Timed<'_> {
    /// Its value in a response, in the unit of its quantity; `None` when it does not have it.
    pub(super) fn value(&self, response: MainResponse) -> Option<f64> {
        match response {
            MainResponse::P10 => self.undisturbed.p10,
            MainResponse::P50 => self.undisturbed.p50,
            other => self.record.value(other),
        }
    }
}

/// All runs of one cell in one workload.
pub(super) struct CellRuns<'a> {
    pub(super) plan: &'a CellPlan,
    /// Proven timing runs by block; a repeated block counts once, by its last run.
    pub(super) timing: BTreeMap<u32, Timed<'a>>,
    /// Proven counting runs by repeat.
    pub(super) counting: BTreeMap<u32, &'a JudgedRun>,
    /// Proven start-up runs by repeat.
    pub(super) idle: BTreeMap<u32, &'a JudgedRun>,
    /// Runs of every pass by how they ended.
    ended: Vec<(Status, usize)>,
    /// Why the first invalid run is so.
    pub(super) why_invalid: Option<&'a str>,
    /// Timing runs, however they ended.
    timed: usize,
}

impl<'a> Runs<'a> {
    pub(super) fn cell(&self, id: &str) -> Option<&CellRuns<'a>> {
        self.by_id.get(id).map(|index| &self.cells[*index])
    }

    pub(super) fn baseline(&self) -> Option<&CellRuns<'a>> {
        self.cells.iter().find(|cell| cell.plan.kind == CellKind::Baseline)
    }

    /// What the outputs of this workload can prove.
    pub(super) fn outputs(&self) -> Outputs {
        let own = || self.cells.iter().filter(|cell| cell.plan.kind != CellKind::Peer && cell.prints());
        if self.rule == OutputRule::Ignored {
            Outputs::Ignored
        } else if own().next().is_none() {
            Outputs::None
        } else if self.twins_print_the_same() {
            Outputs::Steady
        } else {
            Outputs::Varying
        }
    }

    /// Whether one of these pairs of cells prints two things: one always the same, the other never that. Then the switch
    /// does something.
    pub(super) fn print_otherwise<'b>(
        &self,
        mut pairs: impl Iterator<Item = (&'b CellRuns<'a>, &'b CellRuns<'a>)>,
    ) -> bool
    where
        'a: 'b,
    {
        let differ = |(plus, minus): (&CellRuns, &CellRuns)| plus.never_prints_as(minus) || minus.never_prints_as(plus);
        self.twins_print_the_same() && pairs.any(differ)
    }

    /// Whether the runs of the baseline and its placebo all print the same. The placebo is the same program once more, so
    /// what differs between the two differs by itself: times, or addresses that depend on the length of the environment.
    fn twins_print_the_same(&self) -> bool {
        let is_twin = |cell: &&CellRuns| {
            matches!(cell.plan.kind, CellKind::Baseline | CellKind::Placebo) && cell.plan.arm.is_none() && cell.prints()
        };
        let mut outputs = self.cells.iter().filter(is_twin).map(CellRuns::output);
        let first = outputs.next().flatten();
        first.is_some() && outputs.all(|output| output == first)
    }

    /// The machines of the proven timing runs, in their order.
    pub(super) fn machines(&self) -> BTreeSet<u32> {
        self.cells.iter().flat_map(|cell| cell.timing.values()).map(|run| run.record.machine).collect()
    }

    /// The timing runs of one machine.
    pub(super) fn of_machine(&self, machine: u32) -> Runs<'a> {
        let of_cell = |cell: &CellRuns<'a>| {
            let own = cell.timing.iter().filter(|(_, run)| run.record.machine == machine);
            CellRuns {
                timing: own.map(|(block, run)| (*block, *run)).collect(),
                counting: BTreeMap::new(),
                idle: BTreeMap::new(),
                ended: cell.ended.clone(),
                ..*cell
            }
        };
        let cells: Vec<CellRuns> = self.cells.iter().map(of_cell).collect();
        let blocks = numbered(&cells);
        Runs { cells, blocks, rule: self.rule, by_id: self.by_id.clone() }
    }

    /// The peers, the reference peer first.
    pub(super) fn peers(&self, reference: Option<&str>) -> Vec<&CellRuns<'a>> {
        let mut peers: Vec<&CellRuns> = self.cells.iter().filter(|cell| cell.plan.kind == CellKind::Peer).collect();
        // By id as the plan says, or by name as people write it.
        peers.sort_by_key(|peer| {
            reference.is_none_or(|reference| peer.plan.id != reference && peer.plan.name != reference)
        });
        peers
    }

    /// Blocks in which both cells were proven, with a value of each.
    pub(super) fn paired<'b>(
        &'b self,
        plus: &'b CellRuns<'a>,
        minus: &'b CellRuns<'a>,
    ) -> impl Iterator<Item = (usize, Timed<'a>, Timed<'a>)> + 'b {
        plus.timing.iter().filter_map(|(block, a)| Some((*self.blocks.get(block)?, *a, *minus.timing.get(block)?)))
    }
}

impl<'a> CellRuns<'a> {
    /// What every proven run of the timing and counting passes reported.
    pub(super) fn measured(&self) -> impl Iterator<Item = &'a Reported> + '_ {
        let counting = self.counting.values().filter_map(|record| record.measured.as_ref());
        self.timing.values().filter_map(|run| run.record.measured.as_ref()).chain(counting)
    }

    /// Whether no proven timing run printed a result line.
    pub(super) fn reports_nothing(&self) -> bool {
        self.timing.values().all(|run| run.record.measured.is_none())
    }

    /// Whether the outputs of its timing runs are recorded.
    fn prints(&self) -> bool {
        self.timing.values().any(|run| run.record.printed.is_some())
    }

    /// What all of its timing runs printed and how they ended, where that is compared and was the same.
    pub(super) fn output(&self) -> Option<(&'a str, Option<i32>)> {
        let mut answers = self.answers();
        let first = answers.next()??;
        answers.all(|answer| answer == Some(first)).then_some(first)
    }

    /// Whether another cell always prints the same, and this one never that.
    fn never_prints_as(&self, other: &CellRuns) -> bool {
        let differs = |output| self.prints() && self.answers().all(|own| own != Some(output));
        other.output().is_some_and(differs)
    }

    /// What each of its timing runs printed and how it ended.
    fn answers(&self) -> impl Iterator<Item = Option<(&'a str, Option<i32>)>> + '_ {
        self.timing.values().map(|run| run.record.printed.as_ref().map(Printed::answer))
    }

    /// Whether its program took contention probes around batches.
    pub(super) fn has_batches(&self) -> bool {
        self.timing.values().any(|run| run.undisturbed.retained.is_some())
    }

    pub(super) fn runs_that(&self, status: Status) -> usize {
        self.ended.iter().find(|(ended, _)| *ended == status).map_or(0, |(_, runs)| *runs)
    }

    fn total(&self) -> usize {
        self.ended.iter().map(|(_, runs)| runs).sum()
    }

    /// How most runs that do not count ended.
    pub(super) fn worst(&self) -> Option<(Status, usize)> {
        self.ended.iter().copied().filter(|(status, _)| *status != Status::Ok).max_by_key(|(_, runs)| *runs)
    }

    pub(super) fn status(&self) -> &'static str {
        // Counts alone do not make a cell good whose timing failed.
        let timed = self.timed == 0 || !self.timing.is_empty();
        match self.worst() {
            _ if timed && self.runs_that(Status::Ok) > 0 => "ok",
            Some((status, _)) => status.as_str(),
            None => "missing",
        }
    }

    pub(super) fn proof(&self) -> Option<String> {
        match self.worst() {
            Some((Status::BuildFailed, _)) => Some("build-failed".to_owned()),
            Some((status, runs)) => Some(format!("{} {runs}/{}", status.as_str(), self.total())),
            None => (self.total() > 0).then(|| "ok".to_owned()),
        }
    }
}

/// Whether the binary of a cell could not be built.
pub(super) fn build_failed(manifest: &Manifest, cell: &CellPlan) -> bool {
    manifest.builds.iter().any(|build| build.id == cell.build && build.result.is_err())
}

/// Sorts records into workloads and cells; returns also how many belong nowhere or were repeated.
pub(super) fn index<'a>(
    plan: &'a StudyPlan,
    records: &'a [JudgedRun],
    contention: &Contention,
) -> (Vec<Runs<'a>>, usize) {
    let by_id: HashMap<&str, usize> = plan.cells.iter().enumerate().map(|(i, cell)| (cell.id.as_str(), i)).collect();
    let empty = |cell| CellRuns {
        plan: cell,
        timing: BTreeMap::new(),
        counting: BTreeMap::new(),
        idle: BTreeMap::new(),
        ended: Vec::new(),
        why_invalid: None,
        timed: 0,
    };
    let mut runs: Vec<Runs> = plan
        .workloads
        .iter()
        .map(|workload| Runs {
            rule: workload.output,
            cells: plan.cells.iter().map(empty).collect(),
            blocks: BTreeMap::new(),
            by_id: by_id.clone(),
        })
        .collect();
    let workloads: HashMap<&str, usize> =
        plan.workloads.iter().enumerate().map(|(i, workload)| (workload.name.as_str(), i)).collect();
    let mut ignored = 0;
    for record in records.iter().filter(|record| record.pass != Pass::UnitCosts) {
        let place = (workloads.get(&*record.workload), by_id.get(&*record.cell));
        let (Some(workload), Some(cell)) = place else {
            ignored += 1;
            continue;
        };
        let cell = &mut runs[*workload].cells[*cell];
        match cell.ended.iter_mut().find(|(status, _)| *status == record.status) {
            Some((_, runs)) => *runs += 1,
            None => cell.ended.push((record.status, 1)),
        }
        cell.timed += usize::from(record.pass == Pass::Timing);
        if record.status == Status::Invalid && cell.why_invalid.is_none() {
            cell.why_invalid = Some(&record.reason);
        }
        if record.status != Status::Ok {
            continue;
        }
        let repeated = match record.pass {
            Pass::Timing => {
                let told = Undisturbed { p10: None, p50: None, retained: None };
                let judged = |measured| contention::judge(contention, record.machine, measured);
                let undisturbed = record.measured.as_ref().map_or(told, judged);
                cell.timing.insert(record.block, Timed { record, undisturbed }).is_some()
            }
            Pass::Counting => cell.counting.insert(record.block, record).is_some(),
            Pass::CountingIdle => cell.idle.insert(record.block, record).is_some(),
            Pass::UnitCosts => false,
        };
        ignored += usize::from(repeated);
    }
    for workload in &mut runs {
        workload.blocks = numbered(&workload.cells);
    }
    (runs, ignored)
}

/// The blocks of the timing runs, to their index in the bootstrap.
fn numbered(cells: &[CellRuns]) -> BTreeMap<u32, usize> {
    let blocks: BTreeSet<u32> = cells.iter().flat_map(|cell| cell.timing.keys().copied()).collect();
    blocks.into_iter().enumerate().map(|(index, block)| (block, index)).collect()
}
