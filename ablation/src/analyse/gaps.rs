//! Gaps to the peers, and what of the gap to the reference peer the factors explain.

use super::index::{CellRuns, Runs};
use super::table::{Row, Table};
use super::values::{CellSummary, Effect, Gap, estimate};
use super::words::Response;
use ablate_format::effects::Estimate;
use ablate_format::{Arm, CellKind, MainResponse, Manifest};
use ablate_stats::bootstrap::{DRAWS, Drawn};
use std::collections::BTreeMap;

/// One way to say what the factors together explain of the gap.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Explained {
    /// Name of the treatment that takes several factors away, or `None` for the sum of single effects.
    pub(crate) treatment: Option<String>,
    /// Arm of the effects.
    pub(crate) arm: Option<Arm>,
    /// What is explained, nanoseconds per operation.
    pub(crate) explained: Option<Estimate>,
    /// Gap − explained: what is left for system calls, page faults and everything else.
    pub(crate) left: Option<Estimate>,
    /// Factors of the sum without an effect that can be claimed.
    pub(crate) missing: Vec<String>,
}

/// The gap to the reference peer in one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReferenceGap {
    /// Name of the reference peer.
    pub(crate) peer: String,
    /// Baseline − peer, nanoseconds per operation.
    pub(crate) gap: Option<Estimate>,
    /// What the factors explain, each way.
    pub(crate) explained: Vec<Explained>,
    /// Baseline − peer of every counted event, per operation, by instrument.
    pub(crate) counts: BTreeMap<String, f64>,
}

/// The difference baseline − peer for every peer, then the logarithm of their ratio for every peer.
pub(super) fn drawn(table: &Table, runs: &Runs, peers: &[&CellRuns]) -> Vec<Drawn> {
    let baseline = runs.baseline().and_then(|cell| table.cell(&cell.plan.id));
    let against = |value: fn(&Row) -> &Drawn| {
        peers.iter().map(move |peer| {
            let pair = baseline.zip(table.cell(&peer.plan.id));
            let difference = pair.map(|(a, b)| value(a).combine(value(b), |a, b| a - b));
            difference.unwrap_or_else(|| Drawn::new(f64::NAN, 0, vec![f64::NAN; DRAWS]))
        })
    };
    against(|row| &row.main).chain(against(|row| &row.log)).collect()
}

/// `cell / peer − 1`.
pub(super) fn relative(table: &Table, cell: &CellRuns, peer: &CellRuns) -> Option<f64> {
    let (cell, peer) = (table.cell(&cell.plan.id)?, table.cell(&peer.plan.id)?);
    Some((cell.log.point - peer.log.point).exp_m1()).filter(|ratio| ratio.is_finite())
}

/// Gaps from what [`drawn`] gave.
pub(super) fn gaps(peers: &[&CellRuns], drawn: &[Drawn]) -> Vec<Gap> {
    let (differences, logs) = drawn.split_at(drawn.len() / 2);
    let rows = peers.iter().zip(differences).zip(logs);
    rows.map(|((peer, difference), log)| Gap {
        id: peer.plan.id.clone(),
        peer: peer.plan.name.clone(),
        compare: peer.plan.compare,
        gap_ns: estimate(difference),
        gap_ratio: estimate(&log.map(f64::exp_m1)),
    })
    .collect()
}

/// The gap to the reference peer, from its draws and those of the contrasts.
pub(super) fn reference_gap(
    manifest: &Manifest,
    response: MainResponse,
    peer: &CellRuns,
    cells: &[CellSummary],
    (gap, drawn): (&Drawn, &[Drawn]),
    effects: &[Effect],
) -> ReferenceGap {
    let main: Vec<&Effect> = effects.iter().filter(|e| e.response == Response::main(response)).collect();
    let rows: Vec<(&Effect, &Drawn)> =
        main.into_iter().zip(drawn.iter().step_by(Response::timed(response).len())).collect();
    let explain = |treatment, arm, sum: Option<Drawn>, missing| Explained {
        treatment,
        arm,
        explained: sum.as_ref().and_then(estimate),
        left: sum.and_then(|sum| estimate(&gap.combine(&sum, |gap, sum| gap - sum))),
        missing,
    };
    let mut explained = Vec::new();
    for (effect, drawn) in &rows {
        if effect.contrast == format!("baseline-{}", effect.factor) {
            let drawn = effect.estimate.map(|_| (*drawn).clone());
            explained.push(explain(Some(effect.factor.clone()), effect.arm, drawn, Vec::new()));
        }
    }
    // Main effects would be a second sum in the same binary.
    let is_off = |e: &Effect| e.contrast != "main" && e.level.as_deref() == Some("off");
    let has_off = rows.iter().any(|(e, _)| e.takes_away() && is_off(e));
    let is_absent = |e: &Effect| e.contrast != "main" && e.level.as_deref() == Some("absent");
    let sums: [&dyn Fn(&Effect) -> bool; 3] = [&is_off, &|e| e.contrast == "main" && !has_off, &is_absent];
    for is_of_sum in sums {
        let single: Vec<_> = rows.iter().copied().filter(|(e, _)| e.takes_away() && is_of_sum(e)).collect();
        let Some((first, _)) = single.first() else {
            continue;
        };
        let (known, missing): (Vec<_>, Vec<_>) =
            single.iter().copied().partition(|(effect, _)| effect.estimate.is_some());
        let sum = known.iter().map(|(_, drawn)| (*drawn).clone()).reduce(|a, b| a.combine(&b, |a, b| a + b));
        let missing = missing.iter().map(|(effect, _)| effect.factor.clone()).collect();
        explained.push(explain(None, first.arm, sum, missing));
    }
    let baseline = manifest.plan.cells.iter().position(|cell| cell.kind == CellKind::Baseline);
    let other = cells.iter().find(|cell| cell.id == peer.plan.id);
    let counts = baseline.map(|at| &cells[at]).zip(other).map(|(baseline, other)| {
        let both = baseline.counts.iter();
        both.filter_map(|(name, a)| Some((name.clone(), a.value - other.counts.get(name)?.value))).collect()
    });
    ReferenceGap { peer: peer.plan.name.clone(), gap: estimate(gap), explained, counts: counts.unwrap_or_default() }
}
