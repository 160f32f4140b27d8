//! The cells of one workload as numbers with draws: what every contrast is a linear combination of.

use super::counts::PerOperation;
use super::index::{CellRuns, Runs, Timed};
use super::values::CellSummary;
use super::words::Response;
use ablate_format::effects::Contention;
use ablate_format::{Arm, CellKind, MainResponse, Manifest, StudyPlan, WorkloadPlan};
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::layout;
use ablate_stats::table::Tables;
use std::collections::{BTreeMap, HashMap};

/// One workload's cells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// The workload.
    pub(crate) workload: String,
    /// Cells with at least one proven timing run, in the order of the plan.
    pub(crate) cells: Vec<Row>,
    /// The crossed cells, when the design crosses factors.
    pub(crate) masks: Option<Masks>,
    by_id: HashMap<String, usize>,
    seed: u64,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Cell id.
    pub(crate) id: String,
    /// Main response, nanoseconds per operation.
    pub(crate) main: Drawn,
    /// Median of the runs, where the main response is the 10th percentile.
    pub(crate) median: Option<Drawn>,
    /// Main response over all batches, disturbed or not, where [`Row::main`] is over the retained ones.
    pub(crate) all_batches: Option<Drawn>,
    /// Natural logarithm of the main response.
    pub(crate) log: Drawn,
    /// Counted events per operation by instrument.
    pub(crate) counts: BTreeMap<String, PerOperation>,
    /// Build that it runs, and its values by code layout where there are several: main, median.
    build: String,
    layouts: Vec<(Drawn, Option<Drawn>)>,
}

/// Cells by mask: bit i is 1 where factor i is at its baseline level, 0 where it is off.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Masks {
    /// Crossed factors, bit 0 first.
    pub(crate) factors: Vec<String>,
    /// Index in [`Table::cells`] by mask; `None` where there is no proven cell.
    pub(crate) cells: Vec<Option<usize>>,
    /// Sets of factors at work without a proven cell.
    pub(crate) missing: Vec<String>,
}

/// One of the values that a cell has for time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// The main response.
    Main,
    /// The median of the runs.
    Median,
    /// The main response over all batches.
    AllBatches,
}

impl Column {
    /// Where a response of time is found.
    pub(super) fn of(response: Response, main: MainResponse) -> Column {
        if response == Response::main(main) { Column::Main } else { Column::Median }
    }
}

impl Table {
    /// Computes the cells of a workload. `summaries` has one entry for each cell of the plan.
    pub(super) fn new(
        manifest: &Manifest,
        plan: &WorkloadPlan,
        runs: &Runs,
        summaries: &[CellSummary],
        contention: &Contention,
    ) -> Table {
        let present: Vec<(&CellRuns, &CellSummary)> =
            runs.cells.iter().zip(summaries).filter(|(cell, _)| !cell.timing.is_empty()).collect();
        let seed = manifest.seed;
        let blocks = runs.blocks.len();
        // Layouts have blocks of their own, and so draws of their own.
        let tables = |layout: u32| Tables::new(blocks, DRAWS, seed.wrapping_add(1 + u64::from(layout)));
        let mut whole = Tables::new(blocks, DRAWS, seed);
        let drawn = |tables: &mut Tables, layout: Option<u32>, value: &dyn Fn(&Timed) -> Option<f64>| -> Vec<Drawn> {
            let of = |cell: &CellRuns| -> Vec<(usize, f64)> {
                let timing = cell.timing.iter().filter(|(_, run)| layout.is_none_or(|l| run.record.layout == l));
                timing.filter_map(|(block, run)| Some((*runs.blocks.get(block)?, value(run)?))).collect()
            };
            let cells: Vec<_> = present.iter().map(|(cell, _)| of(cell)).collect();
            tables.table(&cells)
        };
        let main = |run: &Timed| run.value(plan.response);
        let has_median = plan.response == MainResponse::P10;
        let medians =
            |tables: &mut Tables, layout| has_median.then(|| drawn(tables, layout, &|run| run.undisturbed.p50));
        let mut layouts: Vec<Vec<(Drawn, Option<Drawn>)>> = vec![Vec::new(); present.len()];
        for at in 0..if manifest.plan.layouts > 1 { manifest.plan.layouts } else { 0 } {
            let tables = &mut tables(at);
            let values = drawn(tables, Some(at), &main);
            let mut medians = medians(tables, Some(at)).map(Vec::into_iter);
            for (cell, value) in layouts.iter_mut().zip(values) {
                cell.push((value, medians.as_mut().and_then(Iterator::next)));
            }
        }
        let logs = drawn(&mut whole, None, &|run| main(run).map(f64::ln));
        let mut second = medians(&mut whole, None).map(Vec::into_iter);
        let is_percentile = matches!(plan.response, MainResponse::P10 | MainResponse::P50);
        let is_over_retained =
            contention.applied && is_percentile && present.iter().any(|(cell, _)| cell.has_batches());
        let all = is_over_retained.then(|| drawn(&mut whole, None, &|run| run.record.value(plan.response)));
        let mut all = all.map(Vec::into_iter);
        let rows = present.iter().zip(drawn(&mut whole, None, &main)).zip(logs).zip(layouts);
        let cells: Vec<Row> = rows
            .map(|((((cell, summary), main), log), layouts)| Row {
                id: cell.plan.id.clone(),
                main,
                median: second.as_mut().and_then(Iterator::next),
                all_batches: all.as_mut().and_then(Iterator::next),
                log,
                counts: summary.counts.clone(),
                build: cell.plan.build.clone(),
                layouts,
            })
            .collect();
        let by_id: HashMap<String, usize> = cells.iter().enumerate().map(|(at, row)| (row.id.clone(), at)).collect();
        let masks = masks(&manifest.plan, &by_id);
        Table { workload: plan.name.clone(), cells, masks, by_id, seed }
    }

    /// A cell by its id; `None` without a proven timing run.
    pub(crate) fn cell(&self, id: &str) -> Option<&Row> {
        self.by_id.get(id).map(|at| &self.cells[*at])
    }

    /// The crossed cells in the order of masks, when none is missing.
    pub(crate) fn crossed(&self) -> Option<Vec<&Row>> {
        self.masks.as_ref()?.cells.iter().map(|at| at.map(|at| &self.cells[at])).collect()
    }

    /// `plus − minus` in the main response, as [`Table::difference`].
    pub(crate) fn main_difference(&self, plus: &str, minus: &str) -> Option<Drawn> {
        self.difference(plus, minus, Column::Main)
    }

    /// `plus − minus` in a response of time. Between two binaries with several code layouts it is the mean over the
    /// layouts, whose differences widen its interval.
    pub(super) fn difference(&self, plus: &str, minus: &str, column: Column) -> Option<Drawn> {
        let (plus, minus) = (self.cell(plus)?, self.cell(minus)?);
        let subtract = |a: &Drawn, b: &Drawn| a.combine(b, |a, b| a - b);
        let by_layout = plus.build != minus.build && column != Column::AllBatches;
        if by_layout && plus.layouts.len() > 1 && plus.layouts.len() == minus.layouts.len() {
            let pairs = plus.layouts.iter().zip(&minus.layouts);
            let differences: Vec<Drawn> = match column {
                Column::Median => pairs.filter_map(|(a, b)| Some(subtract(a.1.as_ref()?, b.1.as_ref()?))).collect(),
                _ => pairs.map(|(a, b)| subtract(&a.0, &b.0)).collect(),
            };
            return layout::over_layouts(&differences, self.seed);
        }
        Some(subtract(plus.of(column)?, minus.of(column)?))
    }
}

impl Row {
    /// One of its values; `None` when it was not asked for.
    pub(super) fn of(&self, column: Column) -> Option<&Drawn> {
        match column {
            Column::Main => Some(&self.main),
            Column::Median => self.median.as_ref(),
            Column::AllBatches => self.all_batches.as_ref(),
        }
    }
}

/// Where the design has main effects in one binary, the cells of all sets of those factors.
fn masks(plan: &StudyPlan, by_id: &HashMap<String, usize>) -> Option<Masks> {
    let factors: Vec<String> = plan.crossed.iter().map(|crossed| crossed.factor.clone()).collect();
    // A factorial of more factors has more cells than a study can have.
    if factors.len() < 2 || factors.len() > 16 || !plan.designs.contains_key("factorial") {
        return None;
    }
    let one_binary = plan.cells.iter().filter(|cell| {
        matches!(cell.kind, CellKind::Baseline | CellKind::Treatment) && !cell.arm.is_some_and(Arm::has_own_binary)
    });
    let mut by_levels: HashMap<&BTreeMap<String, String>, &str> = HashMap::new();
    for cell in one_binary {
        by_levels.entry(&cell.levels).or_insert(&cell.id);
    }
    let baseline = plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline)?;
    let mut cells = Vec::with_capacity(1 << factors.len());
    let mut missing = Vec::new();
    for mask in 0..1_usize << factors.len() {
        let mut levels = baseline.levels.clone();
        for (i, crossed) in plan.crossed.iter().enumerate() {
            if mask >> i & 1 == 0 {
                levels.insert(crossed.factor.clone(), crossed.away.clone());
            }
        }
        let cell = by_levels.get(&levels).and_then(|id| by_id.get(*id)).copied();
        if cell.is_none() {
            let at_work: Vec<&str> =
                factors.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, f)| f.as_str()).collect();
            missing.push(if at_work.is_empty() { "none".to_owned() } else { at_work.join("+") });
        }
        cells.push(cell);
    }
    // A workload that the factorial does not run with has only the few that other designs share with it.
    let there = cells.iter().filter(|cell| cell.is_some()).count();
    (there * 2 > cells.len()).then_some(Masks { factors, cells, missing })
}
