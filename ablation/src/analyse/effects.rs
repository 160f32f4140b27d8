//! Effects of contrasts with their verdicts.

use super::index::{CellRuns, Runs, build_failed};
use super::{CellSummary, Effect, Estimate, PerOperation, Proof, Response, Verdict, agreement};
use crate::prove;
use crate::record::{Arm, CellKind, Contrast, FactorPlan, LatencyResponse, Manifest, Plan, Record, Status};
use crate::stats::MIN_BLOCKS;
use crate::stats::bootstrap::{Drawn, Series};
use std::collections::BTreeMap;

/// Two cells that differ in what the contrast is about.
type Pair<'r, 'a> = (&'r CellRuns<'a>, &'r CellRuns<'a>);

/// The latencies that every contrast of a workload has a row for, the main one first.
pub(super) fn responses(main: LatencyResponse) -> &'static [Response] {
    match main {
        LatencyResponse::P10 => &[Response::LatencyNsP10, Response::LatencyNsP50],
        // The median of a process would hide the first operations again.
        LatencyResponse::Mean => &[Response::LatencyNsMean],
        LatencyResponse::Wall => &[Response::WallNs],
        LatencyResponse::Cpu => &[Response::CpuNs],
    }
}

/// Series of every one of [`responses`] for every contrast of the plan, in this order.
pub(super) fn series(plan: &Plan, main: LatencyResponse, runs: &Runs) -> Vec<Series> {
    let mut series = Vec::new();
    for contrast in &plan.contrasts {
        let pairs = pairs(runs, contrast);
        series.extend(responses(main).iter().map(|response| {
            differences(runs, &pairs, |run| match response {
                Response::LatencyNsP50 => run.measured.as_ref().map_or(f64::NAN, |m| m.latency_ns_p50),
                _ => run.latency(main).unwrap_or(f64::NAN),
            })
        }));
    }
    series
}

/// What effects are computed from.
pub(super) struct Evidence<'a> {
    /// The series of [`series`].
    pub(super) series: &'a [Series],
    /// Their draws.
    pub(super) drawn: &'a [Drawn],
    /// The gap to the reference peer when its interval lies above 0.
    pub(super) reference: Option<&'a Drawn>,
}

/// Effects of every contrast in every response, and the noise floor in nanoseconds.
pub(super) fn effects(
    manifest: &Manifest,
    main: LatencyResponse,
    runs: &Runs,
    cells: &[CellSummary],
    evidence: &Evidence,
) -> (Vec<Effect>, Option<f64>) {
    let contrasts = &manifest.plan.contrasts;
    let mut rows: Vec<Effect> = Vec::new();
    for (contrast, drawn) in contrasts.iter().zip(evidence.drawn.chunks_exact(responses(main).len())) {
        let pairs = pairs(runs, contrast);
        let refusal = refusal(manifest, runs, contrast, &pairs);
        for (response, drawn) in responses(main).iter().copied().zip(drawn) {
            let mut row = empty(contrast, response);
            row.blocks = drawn.blocks;
            match &refusal {
                Some((verdict, reason)) => (row.verdict, row.reason) = (*verdict, reason.clone()),
                None => {
                    timed(&mut row, drawn);
                    row.share = evidence
                        .reference
                        .filter(|_| response == Response::main(main))
                        .and_then(|gap| Estimate::of(&drawn.combine(gap, |effect, gap| effect / gap)));
                }
            }
            rows.push(row);
        }
        for (response, instrument) in Response::COUNTED {
            // A column that nobody counted is absent; one that this contrast cannot claim is null.
            if cells.iter().all(|cell| !cell.counts.contains_key(instrument)) {
                continue;
            }
            let mut row = empty(contrast, response);
            match &refusal {
                Some((verdict, reason)) => (row.verdict, row.reason) = (*verdict, reason.clone()),
                None => counted(&mut row, &pairs, cells, instrument),
            }
            rows.push(row);
        }
    }
    let floors = floors(contrasts, &rows);
    for row in &mut rows {
        hold_to_floor(row, &floors);
    }
    let floor_ns = floors.get(&Response::main(main)).copied().flatten();
    match main {
        LatencyResponse::P10 => agreement::of_percentiles(&mut rows),
        _ => agreement::of_estimators(&mut rows, evidence.series, floor_ns),
    }
    for row in &mut rows {
        row.proof = proof(row, runs, contrasts);
    }
    (rows, floor_ns)
}

/// The cells of a contrast; for a main effect of a factorial every pair that differs in the factor only.
///
/// Pairs with a cell that has no proven run at all are left out of a main effect; otherwise one broken cell would take
/// the whole factorial with it.
fn pairs<'r, 'a>(runs: &'r Runs<'a>, contrast: &Contrast) -> Vec<Pair<'r, 'a>> {
    if contrast.contrast != "main" {
        let pair = runs.cell(&contrast.plus).zip(runs.cell(&contrast.minus));
        return pair.into_iter().collect();
    }
    let by_levels: BTreeMap<&BTreeMap<String, String>, &CellRuns> = runs
        .cells
        .iter()
        .filter(|cell| matches!(cell.plan.kind, CellKind::Baseline | CellKind::Treatment))
        .filter(|cell| cell.plan.arm != Some(Arm::Feature) && !cell.timing.is_empty())
        .map(|cell| (&cell.plan.levels, cell))
        .collect();
    let mut pairs = Vec::new();
    for (levels, plus) in &by_levels {
        let other = |level: &String| level != "on" && level != "off";
        if levels.get(&contrast.factor).is_none_or(|level| level != "on") || levels.values().any(other) {
            continue;
        }
        let mut without = (*levels).clone();
        without.insert(contrast.factor.clone(), "off".to_owned());
        pairs.extend(by_levels.get(&without).map(|minus| (*plus, *minus)));
    }
    pairs
}

/// One difference a block: the mean over the pairs, in the blocks in which all of them are complete.
fn differences(runs: &Runs, pairs: &[Pair], value: impl Fn(&Record) -> f64) -> Series {
    let mut sums: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for (plus, minus) in pairs {
        for (block, plus, minus) in runs.paired(plus, minus) {
            let sum = sums.entry(block).or_default();
            sum.0 += value(plus) - value(minus);
            sum.1 += 1;
        }
    }
    let complete = sums.into_iter().filter(|(_, (_, seen))| *seen == pairs.len());
    Series::new(complete.map(|(block, (sum, seen))| (block, sum / seen as f64)))
}

/// Why nothing can be claimed about a contrast in this workload.
fn refusal(manifest: &Manifest, runs: &Runs, contrast: &Contrast, pairs: &[Pair]) -> Option<(Verdict, String)> {
    if pairs.is_empty() {
        return Some((Verdict::Inconclusive, "no two proven cells differ in this factor only".to_owned()));
    }
    for (plus, minus) in pairs {
        for cell in [plus, minus] {
            let id = &cell.plan.id;
            if build_failed(manifest, cell.plan) || cell.runs_that(Status::BuildFailed) > 0 {
                return Some((Verdict::BuildFailed, format!("`{id}` could not be built")));
            }
            if !cell.timing.is_empty() {
                continue;
            }
            return Some(match cell.worst() {
                Some((Status::Void, runs)) => (Verdict::Void, format!("`{id}`: no proven run, {runs} are void")),
                Some(_) => (Verdict::Void, format!("`{id}`: no proven run, {}", cell.status())),
                None => (Verdict::Inconclusive, format!("`{id}` was not run")),
            });
        }
    }
    not_exercised(&manifest.plan, runs, contrast, pairs).map(|reason| (Verdict::NotExercised, reason))
}

/// Whether both cells of a row did what they were run for, whatever the blocks suffice to say.
fn proof(row: &Effect, runs: &Runs, contrasts: &[Contrast]) -> Proof {
    if row.verdict == Verdict::NotExercised {
        return Proof::NotExercised;
    }
    let same = |c: &&Contrast| c.factor == row.factor && c.contrast == row.contrast && c.arm == row.arm;
    let pairs = contrasts.iter().find(same).map_or_else(Vec::new, |contrast| pairs(runs, contrast));
    let proven = |cell: &CellRuns| !cell.timing.is_empty();
    let all = !pairs.is_empty() && pairs.iter().all(|(plus, minus)| proven(plus) && proven(minus));
    let refused = matches!(row.verdict, Verdict::Void | Verdict::BuildFailed);
    if all && !refused { Proof::Proven } else { Proof::Void }
}

/// The reason when none of the factors that the contrast is about did anything.
fn not_exercised(plan: &Plan, runs: &Runs, contrast: &Contrast, pairs: &[Pair]) -> Option<String> {
    let (plus, minus) = pairs.first()?;
    let single = plan.factors.iter().filter(|factor| factor.name == contrast.factor);
    let mut factors: Vec<&FactorPlan> = single.collect();
    if factors.is_empty() {
        let differs = |f: &&FactorPlan| plus.plan.levels.get(&f.name) != minus.plan.levels.get(&f.name);
        factors = plan.factors.iter().filter(differs).collect();
    }
    let mut reasons = Vec::new();
    for factor in &factors {
        let works = |cell: &&&CellRuns| {
            cell.plan.levels.get(&factor.name).is_some_and(|level| level != "off" && level != "absent")
        };
        let mut active: Vec<&CellRuns> = pairs.iter().map(|(plus, _)| plus).filter(works).copied().collect();
        if active.is_empty() {
            // The price of a switch is asked for work that there is: the baseline shows whether there is any.
            active.extend(runs.baseline());
        }
        match prove::exercised(factor, active.iter().flat_map(|cell| cell.measured())) {
            Ok(()) => return None,
            Err(reason) => reasons.push(reason),
        }
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn empty(contrast: &Contrast, response: Response) -> Effect {
    Effect {
        factor: contrast.factor.clone(),
        contrast: contrast.contrast.clone(),
        arm: contrast.arm,
        response,
        attribution: contrast.attribution,
        estimate: None,
        lo: None,
        hi: None,
        blocks: 0,
        detectable: None,
        proof: Proof::Proven,
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        share: None,
    }
}

fn timed(row: &mut Effect, drawn: &Drawn) {
    row.estimate = drawn.point.is_finite().then_some(drawn.point);
    row.detectable = drawn.detectable();
    let (Some(estimate), Some((lo, hi))) = (row.estimate, drawn.interval()) else {
        row.reason = format!("too few blocks for an interval ({} of {MIN_BLOCKS})", row.blocks);
        return;
    };
    (row.lo, row.hi) = (Some(lo), Some(hi));
    let detectable = row.detectable.unwrap_or(f64::INFINITY);
    (row.verdict, row.reason) = if lo > 0.0 {
        (Verdict::Costs, String::new())
    } else if hi < 0.0 {
        (Verdict::Saves, String::new())
    } else if estimate.abs() < detectable || (lo == 0.0 && hi == 0.0) {
        (Verdict::NotDetected, "the interval contains 0".to_owned())
    } else {
        (Verdict::Inconclusive, "the interval contains 0, yet the effect is as large as could be found".to_owned())
    };
}

fn counted(row: &mut Effect, pairs: &[Pair], cells: &[CellSummary], instrument: &str) {
    let count = |cell: &CellRuns| -> Option<PerOperation> {
        cells.iter().find(|summary| summary.id == cell.plan.id)?.counts.get(instrument).copied()
    };
    let (mut sum, mut lo, mut hi, mut repeats, mut n) = (0.0, 0.0, 0.0, usize::MAX, 0.0);
    for (plus, minus) in pairs {
        let (Some(plus), Some(minus)) = (count(plus), count(minus)) else {
            row.reason = format!("no count of {instrument} in one of the cells");
            return;
        };
        sum += plus.value - minus.value;
        lo += plus.lo - minus.hi;
        hi += plus.hi - minus.lo;
        repeats = repeats.min(plus.repeats).min(minus.repeats);
        n += 1.0;
    }
    (row.estimate, row.lo, row.hi, row.blocks) = (Some(sum / n), Some(lo / n), Some(hi / n), repeats);
    (row.verdict, row.reason) = if lo > 0.0 {
        (Verdict::Costs, String::new())
    } else if hi < 0.0 {
        (Verdict::Saves, String::new())
    } else {
        (Verdict::NotDetected, "the repeats overlap".to_owned())
    };
}

/// Largest difference between baseline and placebo that its interval allows, by response. `Some(None)` means that a
/// placebo was planned and has no interval.
fn floors(contrasts: &[Contrast], rows: &[Effect]) -> BTreeMap<Response, Option<f64>> {
    let mut floors = BTreeMap::new();
    if contrasts.iter().all(|contrast| contrast.contrast != "placebo") {
        return floors;
    }
    for row in rows.iter().filter(|row| row.contrast == "placebo") {
        let bound = row.lo.zip(row.hi).map(|(lo, hi)| lo.abs().max(hi.abs()));
        floors.insert(row.response, bound);
    }
    floors
}

fn hold_to_floor(row: &mut Effect, floors: &BTreeMap<Response, Option<f64>>) {
    let detected = matches!(row.verdict, Verdict::Costs | Verdict::Saves);
    let (true, Some(floor), Some(estimate)) = (detected, floors.get(&row.response), row.estimate) else {
        return;
    };
    match floor {
        None => {
            row.verdict = Verdict::Inconclusive;
            row.reason = "the placebo has no interval, so the noise floor is unknown".to_owned();
        }
        Some(floor) if estimate.abs() <= *floor => {
            row.verdict = Verdict::BelowFloor;
            row.reason = "not larger than what the placebo shows".to_owned();
        }
        Some(_) => {}
    }
}
