//! What two revisions differ by in each workload: pure, from the analysis of a study with the factor `revision`.

use super::comparison::{Compared, Verdict};
use crate::analyse::{self, Analysis, Proof, WorkloadAnalysis};
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, CellPlan, Manifest};
use ablate_stats::bootstrap::{CONFIDENCE, Drawn};

/// Compares every workload. `margin` is the change that matters, a share of the base.
///
/// The intervals hold together: with k workloads each has the confidence 1 − 0.05 / k (Bonferroni), so that one false
/// alarm among all of them is as rare as with one.
pub(crate) fn compare(manifest: &Manifest, analysis: &Analysis, margin: f64) -> Vec<Compared> {
    let confidence = 1.0 - (1.0 - CONFIDENCE) / analysis.workloads.len().max(1) as f64;
    analysis.workloads.iter().map(|workload| of_workload(manifest, analysis, workload, margin, confidence)).collect()
}

fn of_workload(
    manifest: &Manifest,
    analysis: &Analysis,
    workload: &WorkloadAnalysis,
    margin: f64,
    confidence: f64,
) -> Compared {
    let cell = |kind: CellKind| manifest.plan.cells.iter().find(|cell| cell.kind == kind);
    let value = |cell: Option<&CellPlan>| {
        let summary = workload.cells.iter().find(|summary| Some(&summary.id) == cell.map(|cell| &cell.id))?;
        summary.value(workload.response)
    };
    let (base, head) = (cell(CellKind::Baseline), cell(CellKind::Treatment));
    let change = relative(analysis, workload, head, base);
    let placebo = relative(analysis, workload, cell(CellKind::Placebo), base);
    let as_estimate = |drawn: &Drawn| {
        let interval = drawn.interval_at(confidence);
        drawn.point.is_finite().then_some(Estimate { value: drawn.point, interval, blocks: drawn.blocks })
    };
    let mut out = Compared {
        workload: workload.name.clone(),
        response: workload.response,
        is_per_run: workload.is_per_run,
        base: value(base),
        head: value(head),
        change: change.as_ref().and_then(as_estimate),
        placebo: placebo.as_ref().and_then(as_estimate),
        detectable: change.as_ref().and_then(Drawn::detectable),
        verdict: Verdict::Unsure,
        reason: String::new(),
    };
    let contrast = format!("{}-{}", level(base), level(head));
    (out.verdict, out.reason) = judged(workload, &contrast, &out, margin);
    out
}

/// `cell / base − 1` with its draws. The difference is divided by the base's value, whose own spread is far below that
/// of the difference.
fn relative(
    analysis: &Analysis,
    workload: &WorkloadAnalysis,
    cell: Option<&CellPlan>,
    base: Option<&CellPlan>,
) -> Option<Drawn> {
    let table = analysis.tables.iter().find(|table| table.workload == workload.name)?;
    let difference = table.main_difference(&cell?.id, &base?.id)?;
    let value = table.cell(&base?.id)?.main.point;
    (value > 0.0).then(|| difference.map(|difference| difference / value))
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
    let Some(change) = compared.change else {
        return (Verdict::Invalid, "there is no proven run of one of the revisions".to_owned());
    };
    let Some((lo, hi)) = compared.ends() else {
        let needed = ablate_stats::MIN_BLOCKS;
        return (Verdict::Unsure, format!("{} of {needed} blocks that an interval needs", change.blocks));
    };
    // What the base shows against itself may be noise that the interval does not have.
    let floor = compared.placebo.and_then(|placebo| placebo.interval).map_or(0.0, |(lo, hi)| lo.abs().max(hi.abs()));
    let is_above_floor = change.value.abs() > floor;
    if let Some(effect) = effect.filter(|effect| effect.verdict == analyse::Verdict::Inconclusive) {
        // A cross-check of the times disagrees (docs/methodology.md), so a change is not claimed.
        if lo > margin || hi < -margin {
            return (Verdict::Unsure, effect.reason.clone());
        }
    }
    let below = || format!("not larger than the {:.1} % that the base differs from itself", floor * 100.0);
    match () {
        () if lo > margin && is_above_floor => (Verdict::Worse, String::new()),
        () if hi < -margin && is_above_floor => (Verdict::Better, String::new()),
        () if lo > margin || hi < -margin => (Verdict::Unsure, below()),
        () if lo >= -margin && hi <= margin => (Verdict::Same, String::new()),
        () => (Verdict::Unsure, "the interval has changes that matter and changes that do not".to_owned()),
    }
}
