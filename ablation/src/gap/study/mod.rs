//! From an analysed study to its breakdowns, curves and verdicts.

use super::breakdown::{Breakdown, breakdown};
use super::counts::Counts;
use super::counts::disjoint_kinds;
use super::curves::{self, Cell, Point};
use super::hypotheses::{self, Decision, Measured};
use super::input::Input;
use super::intervals::estimate;
use super::units::UnitCosts;
use crate::analyse::{Analysis, Row, Table};
use crate::prove::JudgedRun;
use ablate_format::effects::{CurveResult, Estimate};
use ablate_format::{CellKind, CellPlan, Curve, MainResponse, Manifest, Pass, Status, StudyPlan};
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::order::median;
use std::collections::{BTreeMap, HashMap};

/// The breakdown of the gap of one workload to one peer.
#[derive(Debug, Clone)]
pub(crate) struct GapBreakdown {
    /// The workload.
    pub(crate) workload: String,
    /// Name of the peer.
    pub(crate) peer: String,
    /// Its rows; they add up to the gap.
    pub(crate) breakdown: Breakdown,
}

/// Everything that explains a study's gaps.
#[derive(Debug, Clone)]
pub(crate) struct Explained {
    /// What a page fault and each system call cost on the machine, nanoseconds by kind.
    pub(crate) unit_costs_ns: BTreeMap<String, Estimate>,
    /// One for each workload and peer with proven runs, the reference peer first in its workload.
    pub(crate) breakdowns: Vec<GapBreakdown>,
    /// One for each curve of the config.
    pub(crate) curves: Vec<CurveResult>,
    /// One for each hypothesis of the config, in its order.
    pub(crate) hypotheses: Vec<Decision>,
}

/// Explains the gaps of a study; `records` are those that `analysis` was made from, judged.
pub(crate) fn explain(manifest: &Manifest, records: &[JudgedRun], analysis: &Analysis) -> Explained {
    let plan = &manifest.plan;
    let blocks = records.iter().filter(|r| matches!(r.pass, Pass::Timing | Pass::UnitCosts)).map(|r| r.block + 1).max();
    let units = UnitCosts::of_records(records, blocks.unwrap_or(0) as usize, DRAWS, manifest.seed);
    let processes = Processes::of(records);
    let mut breakdowns = Vec::new();
    for table in &analysis.tables {
        breakdowns.extend(of_workload(plan, table, &processes, &units));
    }
    let numbers = Numbers { plan, tables: &analysis.tables, breakdowns: &breakdowns };
    Explained {
        hypotheses: hypotheses::decide(&plan.hypotheses, &numbers),
        curves: plan.curves.iter().map(|curve| of_curve(plan, curve, analysis, &processes, &units)).collect(),
        unit_costs_ns: units.all().map(|(kind, ns)| (kind.to_owned(), estimate(ns))).collect(),
        breakdowns,
    }
}

/// What the processes of a cell in a workload have in common.
struct Processes<'r> {
    by_place: HashMap<&'r str, HashMap<&'r str, Place>>,
}

#[derive(Default)]
struct Place {
    operations: f64,
    peaks: Vec<f64>,
    idle_peak: Option<f64>,
}

impl<'r> Processes<'r> {
    fn of(records: &'r [JudgedRun]) -> Processes<'r> {
        let mut by_place: HashMap<&str, HashMap<&str, Place>> = HashMap::new();
        for record in records.iter().filter(|record| record.status == Status::Ok) {
            let peak = record.rss_peak_bytes.map(|bytes| bytes as f64);
            let place = by_place.entry(&record.workload).or_default().entry(&record.cell).or_default();
            match record.pass {
                // Timing runs have nothing attached that would be resident, too.
                Pass::Timing => {
                    place.operations = record.operations();
                    place.peaks.extend(peak);
                }
                Pass::CountingIdle => place.idle_peak = place.idle_peak.into_iter().chain(peak).reduce(f64::min),
                Pass::Counting | Pass::UnitCosts => {}
            }
        }
        Processes { by_place }
    }

    fn place(&self, workload: &str, cell: &str) -> Option<&Place> {
        self.by_place.get(workload)?.get(cell)
    }

    /// Counts of a cell in kinds that do not overlap.
    fn counts(&self, workload: &str, row: &Row) -> Counts {
        let raw: Counts = row.counts.iter().map(|(name, count)| (name.clone(), count.value)).collect();
        let place = self.place(workload, &row.id);
        let growth = place.and_then(|place| Some((median(&place.peaks)? - place.idle_peak?) / place.operations));
        disjoint_kinds(&raw, growth)
    }
}

/// The peers, the reference peer first.
fn peers(plan: &StudyPlan) -> Vec<&CellPlan> {
    let mut peers: Vec<&CellPlan> = plan.cells.iter().filter(|cell| cell.kind == CellKind::Peer).collect();
    let reference = plan.reference_peer.as_deref();
    peers.sort_by_key(|peer| reference.is_none_or(|reference| peer.id != reference && peer.name != reference));
    peers
}

fn baseline(plan: &StudyPlan) -> Option<&CellPlan> {
    plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline)
}

fn of_workload(plan: &StudyPlan, table: &Table, processes: &Processes, units: &UnitCosts) -> Vec<GapBreakdown> {
    let workload = &table.workload;
    // Nothing but a latency is made of events that have unit costs in nanoseconds.
    if plan.workloads.iter().any(|w| w.name == *workload && !w.response.is_latency()) {
        return Vec::new();
    }
    let Some(baseline) = baseline(plan).and_then(|cell| table.cell(&cell.id)) else {
        return Vec::new();
    };
    let peers: Vec<(&CellPlan, &Row)> =
        peers(plan).into_iter().filter_map(|peer| Some((peer, table.cell(&peer.id)?))).collect();
    if peers.is_empty() {
        return Vec::new();
    }
    let counts = |row: &Row| processes.counts(workload, row);
    let crossed = table.crossed().unwrap_or_default();
    let masks: Vec<Drawn> = crossed.iter().map(|row| row.main.clone()).collect();
    let mask_counts: Vec<Counts> = crossed.iter().map(|row| counts(row)).collect();
    let factors = table.masks.as_ref().filter(|_| !masks.is_empty()).map_or(&[][..], |masks| &masks.factors);
    let cells: Vec<(Drawn, Counts)> = table.cells.iter().map(|row| (row.main.clone(), counts(row))).collect();
    let baseline_counts = counts(baseline);
    let against = |(peer, row): (&CellPlan, &Row)| {
        let peer_counts = counts(row);
        let input = Input {
            factors,
            masks: &masks,
            mask_counts: &mask_counts,
            baseline: &baseline.main,
            peer: &row.main,
            baseline_counts: &baseline_counts,
            peer_counts: &peer_counts,
            cells: &cells,
            unit_costs: units,
        };
        let mut breakdown = breakdown(&input)?;
        breakdown.doubt = doubt(plan, workload, &breakdown);
        if let Some(masks) = table.masks.as_ref().filter(|masks| !masks.missing.is_empty()) {
            let missing = match masks.missing.len() {
                1 => "1 cell of the crossed factors has".to_owned(),
                more => format!("{more} cells of the crossed factors have"),
            };
            breakdown.remarks.insert(0, format!("{missing} no proven run"));
        }
        Some(GapBreakdown { workload: workload.clone(), peer: peer.name.clone(), breakdown })
    };
    peers.into_iter().filter_map(against).collect()
}

/// A 10th percentile need not contain the events that are counted over all operations. Where the times of the cells
/// contradict the unit costs of these, shares of them say nothing.
fn doubt(plan: &StudyPlan, workload: &str, breakdown: &Breakdown) -> Option<String> {
    let is_percentile = plan.workloads.iter().any(|w| w.name == workload && w.response == MainResponse::P10);
    let check = breakdown.cross_check.as_ref().ok().filter(|check| is_percentile && check.disagree)?;
    let touched = breakdown.rows.iter().any(|row| {
        let through = row.through_events.map_or(0.0, |through| through.value);
        row.count.unwrap_or(0.0) != 0.0 || through != 0.0
    });
    touched.then(|| {
        format!(
            "the times are 10th percentiles, which need not contain the events that are counted over all operations, and \
             the times of the cells say {:.2} times the measured unit costs: judge {workload} by response = \"mean\"",
            check.scale.value
        )
    })
}

fn of_curve(
    plan: &StudyPlan,
    curve: &Curve,
    analysis: &Analysis,
    processes: &Processes,
    units: &UnitCosts,
) -> CurveResult {
    let tables: Vec<&Table> =
        curve.workloads.iter().filter_map(|name| analysis.tables.iter().find(|t| t.workload == *name)).collect();
    let point = |table: &&Table, id: &str| {
        let row = table.cell(id)?;
        let operations = processes.place(&table.workload, id)?.operations;
        Some(Point { operations, time: row.main.clone(), counts: processes.counts(&table.workload, row) })
    };
    let shown = plan.cells.iter().filter(|cell| cell.kind != CellKind::Placebo);
    let cells = shown.map(|cell| {
        let mut points: Vec<Point> = tables.iter().filter_map(|table| point(table, &cell.id)).collect();
        points.sort_by(|a, b| a.operations.total_cmp(&b.operations));
        Cell { id: cell.id.clone(), points }
    });
    let cells: Vec<Cell> = cells.filter(|cell| !cell.points.is_empty()).collect();
    let peers: Vec<(&str, &str)> = peers(plan).into_iter().map(|peer| (peer.id.as_str(), peer.name.as_str())).collect();
    curves::curve(&curve.name, &cells, baseline(plan).map_or("", |cell| &cell.id), &peers, units)
}

/// What hypotheses are decided from.
struct Numbers<'a> {
    plan: &'a StudyPlan,
    tables: &'a [Table],
    breakdowns: &'a [GapBreakdown],
}

impl Numbers<'_> {
    fn row(&self, workload: &str, cell: &str) -> Result<&Row, String> {
        let table = self.tables.iter().find(|table| table.workload == workload);
        let row = table.and_then(|table| table.cell(cell));
        row.ok_or_else(|| format!("`{cell}` has no proven run in {workload}"))
    }

    fn breakdown(&self, workload: &str, peer: &str) -> Result<&Breakdown, String> {
        let name = self.plan.cells.iter().find(|cell| cell.id == peer).map_or(peer, |cell| &cell.name);
        let found = self.breakdowns.iter().find(|gap| gap.workload == workload && gap.peer == name);
        let missing = || format!("no gap to {name} in {workload}, for lack of proven runs of both");
        found.map(|gap| &gap.breakdown).ok_or_else(missing)
    }
}

impl Measured for Numbers<'_> {
    fn gap(&self, workload: &str, peer: &str) -> Result<Drawn, String> {
        self.breakdown(workload, peer).map(|gap| gap.gap().clone())
    }

    fn part(&self, workload: &str, peer: &str, part: &str) -> Result<Drawn, String> {
        self.breakdown(workload, peer)?.part(part)
    }

    fn cell(&self, workload: &str, cell: &str) -> Result<Drawn, String> {
        self.row(workload, cell).map(|row| row.main.clone())
    }

    fn ratio(&self, workload: &str, plus: &str, minus: &str) -> Result<Drawn, String> {
        let (plus_row, minus_row) = (self.row(workload, plus)?, self.row(workload, minus)?);
        let ratio = plus_row.log.combine(&minus_row.log, |plus, minus| (plus - minus).exp());
        let missing = || format!("`{plus}` or `{minus}` is not above 0 in {workload}, so that they have no ratio");
        Some(ratio).filter(|ratio| ratio.point.is_finite()).ok_or_else(missing)
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
