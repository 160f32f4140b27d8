//! Gaps to the peers, and what of the gap to the reference peer the sources explain.

use super::index::{CellRuns, Runs};
use super::{CellSummary, Effect, Estimate, Gap, Response};
use crate::record::{Arm, CellKind, LatencyResponse, Manifest, Record};
use crate::stats::bootstrap::{Drawn, Series};
use crate::stats::order;
use serde::Serialize;
use std::collections::BTreeMap;

/// One way to say what the sources together explain of the gap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Name of the treatment that takes several sources away, or `None` for the sum of single effects.
    pub treatment: Option<String>,
    /// Arm of the effects.
    pub arm: Option<Arm>,
    /// What is explained, nanoseconds per operation.
    pub explained: Option<Estimate>,
    /// Gap − explained: what is left for system calls, page faults and everything else.
    pub left: Option<Estimate>,
    /// Sources of the sum without an effect that can be claimed.
    pub missing: Vec<String>,
}

/// The plan's reading of one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// Name of the reference peer.
    pub peer: String,
    /// Baseline − peer, nanoseconds per operation.
    pub gap: Option<Estimate>,
    /// What the sources explain, each way.
    pub explained: Vec<Explained>,
    /// Baseline − peer of every counted event, per operation, by instrument.
    pub counts: BTreeMap<String, f64>,
}

/// The difference baseline − peer for every peer, then the logarithm of their ratio for every peer: block by block, so
/// that what a whole block suffers cancels.
pub(super) fn series(response: LatencyResponse, runs: &Runs, peers: &[&CellRuns]) -> Vec<Series> {
    let Some(baseline) = runs.baseline() else {
        return vec![Series::default(); 2 * peers.len()];
    };
    let differences = peers.iter().map(|peer| {
        let pairs = runs.paired(baseline, peer);
        Series::new(pairs.map(|(block, a, b)| (block, value(response, a) - value(response, b))))
    });
    differences.chain(peers.iter().map(|peer| log_ratio(response, runs, baseline, peer))).collect()
}

fn value(response: LatencyResponse, run: &Record) -> f64 {
    run.latency(response).unwrap_or(f64::NAN)
}

fn log_ratio(response: LatencyResponse, runs: &Runs, cell: &CellRuns, peer: &CellRuns) -> Series {
    let pairs = runs.paired(cell, peer);
    Series::new(pairs.map(|(block, a, b)| (block, (value(response, a) / value(response, b)).ln())))
}

/// `cell / peer − 1`: the trimmed geometric mean over the blocks.
pub(super) fn relative(response: LatencyResponse, runs: &Runs, cell: &CellRuns, peer: &CellRuns) -> Option<f64> {
    let pairs = runs.paired(cell, peer);
    let logs: Vec<f64> = pairs.map(|(_, a, b)| (value(response, a) / value(response, b)).ln()).collect();
    order::trimmed_mean(&order::sorted(&logs), order::TRIM).map(f64::exp_m1)
}

/// Gaps from the draws of [`series`].
pub(super) fn gaps(peers: &[&CellRuns], drawn: &[Drawn]) -> Vec<Gap> {
    let (differences, logs) = drawn.split_at(drawn.len() / 2);
    let rows = peers.iter().zip(differences).zip(logs);
    rows.map(|((peer, difference), log)| Gap {
        id: peer.plan.id.clone(),
        peer: peer.plan.name.clone(),
        gap_ns: Estimate::of(difference),
        gap_ratio: Estimate::of(&log.map(f64::exp_m1)),
    })
    .collect()
}

/// The reading against the reference peer, from the draws of the gap and of the contrasts.
pub(super) fn read(
    manifest: &Manifest,
    response: LatencyResponse,
    peer: &CellRuns,
    cells: &[CellSummary],
    (gap, drawn): (&Drawn, &[Drawn]),
    effects: &[Effect],
) -> Reading {
    let main: Vec<&Effect> = effects.iter().filter(|e| e.response == Response::main(response)).collect();
    let rows: Vec<(&Effect, &Drawn)> =
        main.into_iter().zip(drawn.iter().step_by(super::effects::responses(response).len())).collect();
    let explain = |treatment, arm, sum: Option<Drawn>, missing| Explained {
        treatment,
        arm,
        explained: sum.as_ref().and_then(Estimate::of),
        left: sum.and_then(|sum| Estimate::of(&gap.combine(&sum, |gap, sum| gap - sum))),
        missing,
    };
    let mut explained = Vec::new();
    for (effect, drawn) in &rows {
        if effect.contrast == format!("baseline-{}", effect.factor) {
            let drawn = effect.estimate.map(|_| (*drawn).clone());
            explained.push(explain(Some(effect.factor.clone()), effect.arm, drawn, Vec::new()));
        }
    }
    for kind in ["on-off", "main", "on-absent"] {
        let single: Vec<_> = rows.iter().copied().filter(|(e, _)| e.attribution && e.contrast == kind).collect();
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
    Reading { peer: peer.plan.name.clone(), gap: Estimate::of(gap), explained, counts: counts.unwrap_or_default() }
}
