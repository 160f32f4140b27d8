//! The cells of one workload as numbers with draws: what every contrast is a linear combination of.

use super::counts::PerOperation;
use super::index::{CellRuns, Runs, Timed};
use super::memory;
use super::values::CellSummary;
use super::words::Response;
use ablate_format::effects::Contention;
use ablate_format::{CellKind, MainResponse, Manifest, StudyPlan, WorkloadPlan};
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::layout::{self, Components};
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
    /// Code layout of every block; empty where builds have one.
    layout_of: Vec<u32>,
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
    /// Peak and mean of the resident bytes, where runs have them.
    memory: [Option<Drawn>; 2],
    /// Main response over all batches, disturbed or not, where [`Row::main`] is over the retained ones.
    pub(crate) all_batches: Option<Drawn>,
    /// Natural logarithm of the main response.
    pub(crate) log: Drawn,
    /// Counted events per operation by instrument.
    pub(crate) counts: BTreeMap<String, PerOperation>,
    /// Build that it runs.
    build: String,
    /// Where builds have several code layouts: what each value is computed from, (block, rest) pairs.
    rests: [Vec<(usize, f64)>; 3],
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
    /// Peak of the resident bytes.
    RssPeak,
    /// Mean of the resident bytes.
    RssMean,
}

impl Column {
    /// Where a response of time is found.
    pub(super) fn of(response: Response, main: MainResponse) -> Column {
        match response {
            _ if response == Response::main(main) => Column::Main,
            Response::RssPeakBytes => Column::RssPeak,
            Response::RssMeanBytes => Column::RssMean,
            _ => Column::Median,
        }
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
        let mut whole = Tables::new(blocks, DRAWS, seed);
        let mut drawn = |value: &dyn Fn(&Timed) -> Option<f64>| {
            let of = |cell: &CellRuns| -> Vec<(usize, f64)> {
                let timing = cell.timing.iter();
                timing.filter_map(|(block, run)| Some((*runs.blocks.get(block)?, value(run)?))).collect()
            };
            let cells: Vec<_> = present.iter().map(|(cell, _)| of(cell)).collect();
            let (values, rests) = whole.with_rests(&cells);
            values.into_iter().zip(rests)
        };
        let main = |run: &Timed| run.value(plan.response);
        let has_median = plan.response == MainResponse::P10;
        let is_percentile = matches!(plan.response, MainResponse::P10 | MainResponse::P50);
        let is_over_retained =
            contention.applied && is_percentile && present.iter().any(|(cell, _)| cell.has_batches());
        let logs = drawn(&|run| main(run).map(f64::ln));
        let mut second = has_median.then(|| drawn(&|run| run.undisturbed.p50));
        let mut all = is_over_retained.then(|| drawn(&|run| run.record.value(plan.response)));
        let mut memory = [memory::peak, memory::mean].map(|of: memory::Value| {
            let is_there = present.iter().any(|(cell, _)| cell.timing.values().any(|run| of(run).is_some()));
            is_there.then(|| drawn(&|run| of(run)))
        });
        let mut layout_of = Vec::new();
        if manifest.plan.layouts > 1 {
            layout_of.resize(blocks, 0);
            for (block, run) in present.iter().flat_map(|(cell, _)| &cell.timing) {
                if let Some(at) = runs.blocks.get(block) {
                    layout_of[*at] = run.record.layout;
                }
            }
        }
        let rows = present.iter().zip(drawn(&main)).zip(logs);
        let cells: Vec<Row> = rows
            .map(|(((cell, summary), (main, rests)), (log, _))| {
                let (median, of_median) = second.as_mut().and_then(Iterator::next).unzip();
                let (all_batches, of_all) = all.as_mut().and_then(Iterator::next).unzip();
                let memory = memory.each_mut().map(|column| {
                    let (value, _) = column.as_mut().and_then(Iterator::next)?;
                    Some(value).filter(|value| value.point.is_finite())
                });
                let rests = [rests, of_median.unwrap_or_default(), of_all.unwrap_or_default()];
                let id = cell.plan.id.clone();
                let (counts, build) = (summary.counts.clone(), cell.plan.build.clone());
                let rests = if layout_of.is_empty() { Default::default() } else { rests };
                Row { id, main, median, memory, all_batches, log, counts, build, rests }
            })
            .collect();
        let by_id: HashMap<String, usize> = cells.iter().enumerate().map(|(at, row)| (row.id.clone(), at)).collect();
        let masks = masks(&manifest.plan, &by_id);
        Table { workload: plan.name.clone(), cells, masks, by_id, layout_of, seed }
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

    /// `plus − minus` in a response of time. Between two binaries with several code layouts its interval is that of the
    /// same code in any layout, so that layouts which differ widen it.
    pub(super) fn difference(&self, plus: &str, minus: &str, column: Column) -> Option<Drawn> {
        let rows = (self.cell(plus)?, self.cell(minus)?);
        let difference = rows.0.of(column)?.combine(rows.1.of(column)?, |plus, minus| plus - minus);
        Some(match self.over_layouts(plus, minus, column) {
            Some(parts) => layout::over_layouts(difference, &parts, self.seed),
            None => difference,
        })
    }

    /// The table of binaries as they are, so that no difference is widened for other layouts of the same code.
    pub(super) fn of_these_layouts(mut self) -> Table {
        self.layout_of.clear();
        self
    }

    /// How much of the interval of a difference is because of code layouts: half of a width, by squares. `None` where it
    /// is nothing.
    pub(super) fn half_width_of_layouts(&self, plus: &str, minus: &str, column: Column) -> Option<f64> {
        let parts = self.over_layouts(plus, minus, column)?;
        let (plus, minus) = (self.cell(plus)?.of(column)?, self.cell(minus)?.of(column)?);
        let plain = plus.combine(minus, |plus, minus| plus - minus);
        let half = |drawn: &Drawn| drawn.interval().map(|(lo, hi)| (hi - lo) / 2.0);
        let without = half(&plain)?;
        let with = half(&layout::over_layouts(plain, &parts, self.seed))?;
        Some((with * with - without * without).max(0.0).sqrt()).filter(|half| *half > 0.0)
    }

    /// How far the difference of two cells varies between code layouts, and between the blocks of one layout. `None`
    /// when both run one binary, when builds have one layout, and when no block has both cells.
    pub(super) fn over_layouts(&self, plus: &str, minus: &str, column: Column) -> Option<Components> {
        let (plus, minus) = (self.cell(plus)?, self.cell(minus)?);
        if plus.build == minus.build || self.layout_of.is_empty() {
            return None;
        }
        // Memory has no rests: it does not depend on where code lies.
        let (of_plus, of_minus) = plus.rests.get(column as usize).zip(minus.rests.get(column as usize))?;
        let of_minus: HashMap<usize, f64> = of_minus.iter().copied().collect();
        let pairs = of_plus.iter();
        let difference = |(block, plus): &(usize, f64)| Some((self.layout_of[*block], plus - of_minus.get(block)?));
        Components::of(&pairs.filter_map(difference).collect::<Vec<_>>())
    }
}

impl Row {
    /// One of its values; `None` when it was not asked for.
    pub(super) fn of(&self, column: Column) -> Option<&Drawn> {
        match column {
            Column::Main => Some(&self.main),
            Column::Median => self.median.as_ref(),
            Column::AllBatches => self.all_batches.as_ref(),
            Column::RssPeak => self.memory[0].as_ref(),
            Column::RssMean => self.memory[1].as_ref(),
        }
    }
}

/// Where the design has main effects, the cells of all sets of those factors.
fn masks(plan: &StudyPlan, by_id: &HashMap<String, usize>) -> Option<Masks> {
    let factors: Vec<String> = plan.crossed.iter().map(|crossed| crossed.factor.clone()).collect();
    // A factorial of more factors has more cells than a study can have.
    if factors.len() < 2 || factors.len() > 16 || !plan.designs.contains_key("factorial") {
        return None;
    }
    let of_subject = plan.cells.iter().filter(|cell| matches!(cell.kind, CellKind::Baseline | CellKind::Treatment));
    let mut by_levels: HashMap<&BTreeMap<String, String>, &str> = HashMap::new();
    for cell in of_subject {
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

#[cfg(test)]
mod tests {
    use crate::analyse::fixture::Study;
    use crate::analyse::{Analysis, Verdict, analyse};
    use ablate_stats::random::{normal, seeded};

    /// A study of 30 blocks in which the feature costs 8 of 75 ns, and a layout of either build adds a normal value with
    /// a standard deviation of 6 ns. Cells of one build have their layouts in common.
    fn study(layouts: u32, effect: f64, seed: u64) -> Analysis {
        let mut study = Study::new(&["cache"], &["w"]);
        (study.manifest.blocks, study.manifest.plan.layouts) = (30, layouts);
        study.cell("no-cache@feature").build = "without".to_owned();
        let mut random = seeded(seed);
        let of: Vec<[f64; 2]> = (0..layouts).map(|_| [0, 1].map(|_| 6.0 * normal(&mut random))).collect();
        let mut records = study.records(30, |_, cell, block| {
            let without = cell == "no-cache@feature";
            75.0 + if without { 0.0 } else { effect } + of[(block % layouts) as usize][usize::from(without)]
        });
        records.iter_mut().for_each(|record| record.layout = record.block % layouts);
        analyse(&study.manifest, &records)
    }

    fn feature(analysis: &Analysis) -> (Verdict, f64) {
        let mut effects = analysis.workloads[0].main_effects();
        let row = effects.find(|effect| effect.contrast == "on-absent").expect("a row between the builds");
        (row.verdict, (row.hi.unwrap() - row.lo.unwrap()) / 2.0)
    }

    #[test]
    fn one_layout_for_each_block_tells_8_of_75_ns_apart_and_three_do_not() {
        let verdicts = |layouts: u32, effect: f64| -> Vec<(Verdict, f64)> {
            (1..=8).map(|seed| feature(&study(layouts, effect, seed))).collect()
        };
        let count = |rows: &[(Verdict, f64)]| rows.iter().filter(|(verdict, _)| *verdict == Verdict::Costs).count();
        let half = |rows: &[(Verdict, f64)]| rows.iter().map(|(_, half)| half).sum::<f64>() / rows.len() as f64;
        let (many, few) = (verdicts(30, 8.0), verdicts(3, 8.0));
        // The standard error of 30 layouts is √(2/30) · 6 = 1.55 ns, of three 4.9 ns.
        assert!(count(&many) >= 7 && (2.5..4.5).contains(&half(&many)), "{many:?}");
        assert!(count(&few) <= 4 && half(&few) > 12.0, "{few:?}");
        let nothing = verdicts(30, 0.0);
        assert!(nothing.iter().filter(|(verdict, _)| *verdict != Verdict::NotDetected).count() <= 1, "{nothing:?}");
    }

    #[test]
    fn how_far_layouts_differ_is_told_where_they_have_two_blocks() {
        let (between, within) = study(15, 8.0, 3).workloads[0].layouts.expect("15 layouts in 30 blocks");
        // Layouts √2 · 6 ns, and a noise that is even between −1 and 1 in either run: √(2/3).
        assert!((5.0..13.0).contains(&between) && (0.5..1.2).contains(&within), "{between} {within}");
        assert_eq!(study(30, 8.0, 3).workloads[0].layouts, None);
        assert_eq!(study(1, 8.0, 3).workloads[0].layouts, None);
        // Cells of one binary have one layout in every block.
        let analysis = study(15, 8.0, 3);
        let mut effects = analysis.workloads[0].main_effects();
        let row = effects.find(|effect| effect.contrast == "on-off").expect("a row in one binary");
        assert!(row.hi.unwrap() - row.lo.unwrap() < 2.0, "{row:?}");
    }
}
