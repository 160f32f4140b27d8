//! What two revisions differ by in each workload: pure, from the analysis of a study with the factor `revision`.

use super::comparison::{Compared, NO_PERCENT, Verdict, shown_margin};
use crate::analyse::{self, Analysis, Proof, Table, WorkloadAnalysis};
use crate::study::outlook::Change;
use crate::study::watch::{ERROR, Standing, State};
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, CellPlan, MainResponse, Manifest, Record, Status, StudyPlan};
use ablate_stats::bootstrap::Drawn;

/// Compares every workload. `margin` is the change that matters, a share of the base.
///
/// The intervals hold together: with k workloads each has the confidence 1 − 0.05 / k (Bonferroni), so that one false
/// alarm among all of them is as rare as with one.
pub(crate) fn compare(manifest: &Manifest, analysis: &Analysis, margin: f64) -> Vec<Compared> {
    let mut rows = compare_at(manifest, &analysis.workloads, &analysis.tables, margin, ERROR);
    let added = manifest.plan.only_in.values().flatten();
    rows.extend(added.map(|id| Compared::unmeasured(id.clone(), MainResponse::default(), Verdict::OnlyInHead)));
    rows
}

/// Every workload of a study whose revisions are the same machine code.
pub(super) fn identical(manifest: &Manifest) -> Vec<Compared> {
    let workloads = manifest.plan.workloads.iter();
    workloads
        .map(|workload| Compared::unmeasured(workload.name.clone(), workload.response, Verdict::Identical))
        .collect()
}

/// Gives rows without a proven run what their first run that failed says: its exit code or signal, and the last line of
/// its standard error.
pub(super) fn add_failures(plan: &StudyPlan, records: &[Record], rows: &mut [Compared]) {
    let is_of_one = |record: &&Record| {
        let cell = plan.cells.iter().find(|cell| cell.id == record.cell);
        cell.is_some_and(|cell| matches!(cell.kind, CellKind::Baseline | CellKind::Treatment))
    };
    for row in rows.iter_mut().filter(|row| row.verdict == Verdict::Invalid) {
        let failed = records.iter().filter(|record| record.workload == row.workload && record.status != Status::Ok);
        let Some(first) = failed.filter(is_of_one).min_by_key(|record| (record.block, record.order)) else { continue };
        // The note of a panic is no reason.
        let mut lines =
            first.stderr.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note: "));
        let last = lines.next_back().filter(|last| !first.reason.contains(last));
        let last = last.map_or_else(String::new, |last| format!(": {last}"));
        if !first.reason.is_empty() && !row.reason.contains(&first.reason) {
            row.reason = format!("{}; first failed run: {}{last}", row.reason, first.reason);
        }
    }
}

/// What a comparison looks at while it runs.
pub(super) fn standings(
    manifest: &Manifest,
    workloads: &[WorkloadAnalysis],
    tables: &[Table],
    margin: f64,
    error: f64,
) -> Vec<Standing> {
    let rows = compare_at(manifest, workloads, tables, margin, error);
    let layouts = f64::from(manifest.plan.layouts.max(1));
    let both = rows.into_iter().zip(workloads);
    both.map(|(row, workload)| {
        let blocks = row.change.map_or(1, |change| change.blocks) as f64;
        let of_layouts = workload.layouts.map_or(0.0, |(between, within)| {
            let (between, within) = (between * between / layouts, within * within / blocks);
            if blocks > layouts && layouts >= FEW_LAYOUTS && between > 0.0 { between / (between + within) } else { 0.0 }
        });
        standing(row, margin, of_layouts)
    })
    .collect()
}

/// Fewer layouts do not tell how much of the variance is between them.
const FEW_LAYOUTS: f64 = 6.0;

fn standing(row: Compared, margin: f64, of_layouts: f64) -> Standing {
    let state = match row.verdict {
        Verdict::Worse => State::Worse,
        // More blocks do not make the margin apply.
        Verdict::Undecided if row.change.is_none() && row.ends_of_difference().is_some() => State::Never,
        Verdict::Undecided if row.may_be_worse(margin) => State::Open,
        Verdict::Undecided => State::NotWorse,
        Verdict::Better | Verdict::NoChange => State::Decided,
        Verdict::Invalid | Verdict::Identical | Verdict::OnlyInBase | Verdict::OnlyInHead => State::Never,
    };
    let change = row.change.filter(|_| state != State::Never).map(|change| match row.ends() {
        Some((lo, hi)) => Change { point: (lo + hi) / 2.0, half: (hi - lo) / 2.0, of_layouts },
        None => Change { point: change.value, half: f64::INFINITY, of_layouts },
    });
    Standing { workload: row.workload, state, change }
}

/// Every workload with intervals of a two-sided error that all of them share.
fn compare_at(
    manifest: &Manifest,
    workloads: &[WorkloadAnalysis],
    tables: &[Table],
    margin: f64,
    error: f64,
) -> Vec<Compared> {
    let (base, head) = (cell(manifest, CellKind::Baseline), cell(manifest, CellKind::Treatment));
    let is_in_both = |workload: &WorkloadAnalysis| {
        let plan = manifest.plan.workloads.iter().find(|plan| plan.name == workload.name);
        plan.zip(head).is_none_or(|(plan, head)| plan.runs(&head.id))
    };
    let compared = workloads.iter().filter(|workload| is_in_both(workload)).count();
    let confidence = 1.0 - error / compared.max(1) as f64;
    let rows = workloads.iter().map(|workload| {
        if !is_in_both(workload) {
            let row = Compared::unmeasured(workload.name.clone(), workload.response, Verdict::OnlyInBase);
            return Compared { base: value(workload, base), is_per_run: workload.is_per_run, ..row };
        }
        of_workload(manifest, tables, workload, margin, confidence)
    });
    rows.collect()
}

fn cell(manifest: &Manifest, kind: CellKind) -> Option<&CellPlan> {
    manifest.plan.cells.iter().find(|cell| cell.kind == kind)
}

/// The value of a workload in a cell.
fn value(workload: &WorkloadAnalysis, cell: Option<&CellPlan>) -> Option<Estimate> {
    let summary = workload.cells.iter().find(|summary| Some(&summary.id) == cell.map(|cell| &cell.id))?;
    summary.value(workload.response)
}

fn of_workload(
    manifest: &Manifest,
    tables: &[Table],
    workload: &WorkloadAnalysis,
    margin: f64,
    confidence: f64,
) -> Compared {
    let cell = |kind: CellKind| cell(manifest, kind);
    let (base, head) = (cell(CellKind::Baseline), cell(CellKind::Treatment));
    let difference = difference(tables, workload, head, base);
    let placebo_difference = self::difference(tables, workload, cell(CellKind::Placebo), base);
    let middle = middle(tables, workload, base);
    let share = |difference: &Option<Drawn>| relative(difference.as_ref()?, middle?);
    let (change, placebo) = (share(&difference), share(&placebo_difference));
    let as_estimate = |drawn: &Option<Drawn>| {
        let drawn = drawn.as_ref()?;
        let interval = drawn.interval_at(confidence);
        drawn.point.is_finite().then_some(Estimate { value: drawn.point, interval, blocks: drawn.blocks })
    };
    let mut out = Compared {
        workload: workload.name.clone(),
        response: workload.response,
        is_per_run: workload.is_per_run,
        base: value(workload, base),
        head: value(workload, head),
        change: as_estimate(&change),
        placebo: as_estimate(&placebo),
        difference: as_estimate(&difference),
        placebo_difference: as_estimate(&placebo_difference),
        detectable: change.as_ref().and_then(Drawn::detectable),
        verdict: Verdict::Undecided,
        reason: String::new(),
    };
    let contrast = format!("{}-{}", level(base), level(head));
    (out.verdict, out.reason) = judged(workload, &contrast, &out, margin);
    out
}

/// `cell − base` with its draws.
fn difference(
    tables: &[Table],
    workload: &WorkloadAnalysis,
    cell: Option<&CellPlan>,
    base: Option<&CellPlan>,
) -> Option<Drawn> {
    let table = tables.iter().find(|table| table.workload == workload.name)?;
    table.main_difference(&cell?.id, &base?.id)
}

/// What a difference is divided by.
fn middle(tables: &[Table], workload: &WorkloadAnalysis, base: Option<&CellPlan>) -> Option<f64> {
    let table = tables.iter().find(|table| table.workload == workload.name)?;
    Some(table.cell(&base?.id)?.main.point)
}

/// `cell / base − 1` with its draws, `None` for a base of 0 or below. The difference is divided by the base's value,
/// whose own spread is far below that of the difference.
fn relative(difference: &Drawn, base: f64) -> Option<Drawn> {
    (base > 0.0).then(|| difference.map(|difference| difference / base))
}

/// The level of a cell of the one factor.
fn level(cell: Option<&CellPlan>) -> &str {
    cell.and_then(|cell| cell.levels.values().next()).map_or("", String::as_str)
}

fn judged(workload: &WorkloadAnalysis, contrast: &str, compared: &Compared, margin: f64) -> (Verdict, String) {
    let effect = workload.main_effects().find(|effect| effect.contrast == contrast);
    if let Some(effect) = effect.filter(|effect| effect.proof == Proof::Invalid) {
        return (Verdict::Invalid, effect.reason.clone());
    }
    let Some(change) = compared.change.or(compared.difference) else {
        let why = match compared.base.and(compared.head) {
            Some(_) => "the difference of both revisions is not a finite number",
            None => "there is no proven run of one of the revisions",
        };
        return (Verdict::Invalid, why.to_owned());
    };
    if change.interval.is_none() {
        let needed = ablate_stats::MIN_BLOCKS;
        return (Verdict::Undecided, format!("{} of {needed} blocks that an interval needs", change.blocks));
    }
    let Some((lo, hi)) = compared.ends() else { return without_percent(compared) };
    // What the base shows against itself may be noise that the interval does not have.
    let floor = compared.placebo.and_then(|placebo| placebo.interval).map_or(0.0, |(lo, hi)| lo.abs().max(hi.abs()));
    let is_above_floor = change.value.abs() > floor;
    if let Some(effect) = effect.filter(|effect| effect.verdict == analyse::Verdict::Inconclusive) {
        // A cross-check of the times disagrees (docs/methodology.md), so a change is not claimed.
        if lo > margin || hi < -margin {
            return (Verdict::Undecided, effect.reason.clone());
        }
    }
    let shown = shown_margin(margin);
    let below =
        || format!("the change is not larger than the {:.1} % that the base differs from itself", floor * 100.0);
    match () {
        () if lo > margin && is_above_floor => (Verdict::Worse, String::new()),
        () if hi < -margin && is_above_floor => (Verdict::Better, String::new()),
        () if lo > margin || hi < -margin => (Verdict::Undecided, below()),
        () if lo >= -margin && hi <= margin => (Verdict::NoChange, String::new()),
        () if hi <= margin => (Verdict::Undecided, format!("not worse by more than {shown}, and maybe better")),
        () if lo >= -margin => (Verdict::Undecided, format!("not better by more than {shown}, and maybe worse")),
        () => (Verdict::Undecided, format!("the interval reaches beyond {shown} on both sides")),
    }
}

/// The verdict of a base of 0 or below: the margin, a share of the base, judges nothing but equality.
fn without_percent(compared: &Compared) -> (Verdict, String) {
    let side = match compared.ends_of_difference() {
        Some((0.0, 0.0)) => return (Verdict::NoChange, String::new()),
        Some((_, hi)) if hi <= 0.0 => "; it is not worse",
        Some((lo, _)) if lo >= 0.0 => "; it is not better",
        _ => "",
    };
    (Verdict::Undecided, format!("{NO_PERCENT}, so the margin does not apply{side}"))
}
