//! Fills `effects.json` ([`ablate_format::EffectsFile`]) from an analysis.

use crate::analyse::{self, Analysis, WorkloadAnalysis};
use crate::gap::curves::{ByFaults, CellCurve, CurveReport, FaultCost, GapAt};
use crate::gap::hypotheses::Decision;
use crate::gap::regression;
use crate::gap::study::GapBreakdown;
use crate::gap::{breakdown, curves, study};
use ablate_format::effects::*;
use ablate_format::{Arm, CellKind, FORMAT, MainResponse, Manifest};
use serde::Serialize;

/// The file of a study.
pub(super) fn effects_file(manifest: &Manifest, analysis: &Analysis, explained: &study::Explained) -> EffectsFile {
    let mut file = EffectsFile {
        format: FORMAT,
        study: manifest.study.clone(),
        effects: Vec::new(),
        cells: Vec::new(),
        gaps: Vec::new(),
        targets: analysis.targets.iter().map(target).collect(),
        paths: analysis.paths.iter().map(path).collect(),
        groups: analysis.groups.iter().map(group).collect(),
        crossed: Vec::new(),
        retention: Vec::new(),
        noise: Vec::new(),
        contention: Contention {
            reference_ns: analysis.contention.reference_ns,
            median_ns: analysis.contention.median_ns,
            retained: analysis.contention.retained,
            applied: analysis.contention.applied,
            quiet_processes: analysis.contention.quiet_processes,
        },
        remarks: analysis.remarks.clone(),
        explained: Explained {
            unit_costs_ns: explained.unit_costs_ns.iter().map(|(kind, ns)| (kind.clone(), estimate(*ns))).collect(),
            breakdowns: explained.breakdowns.iter().map(breakdown).collect(),
            curves: explained.curves.iter().map(curve).collect(),
            hypotheses: explained.hypotheses.iter().map(hypothesis).collect(),
        },
    };
    for workload in &analysis.workloads {
        let name = &workload.name;
        file.effects.extend(workload.effects.iter().map(|of| effect(name, of)));
        file.cells.extend(workload.cells.iter().map(|of| cell(workload, of)));
        file.gaps.extend(workload.gaps.iter().map(|of| gap(workload, of)));
        file.crossed.extend(workload.crossed.iter().map(|of| crossed(name, of)));
        file.noise.extend(workload.noise.iter().map(|of| noise(name, of)));
        file.retention.extend(workload.retention.iter().map(|of| Retention {
            workload: name.clone(),
            retained: of.retained.clone(),
            contended: of.contended,
            p: of.p,
        }));
    }
    file
}

fn estimate(of: analyse::Estimate) -> Estimate {
    Estimate { value: of.value, interval: of.interval, blocks: of.blocks }
}

fn maybe(of: Option<analyse::Estimate>) -> Option<Estimate> {
    of.map(estimate)
}

fn arm(of: Option<Arm>) -> Option<String> {
    of.map(|arm| arm.as_str().to_owned())
}

/// The kebab-case word of an enum without values, as the file has it.
fn word(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(word)) => word,
        // The callers pass enums without values, which serialize as strings.
        other => unreachable!("not a word: {other:?}"),
    }
}

fn effect(workload: &str, of: &analyse::Effect) -> EffectRow {
    EffectRow {
        workload: workload.to_owned(),
        factor: of.factor.clone(),
        contrast: of.contrast.clone(),
        arm: arm(of.arm),
        response: of.response.as_str().to_owned(),
        estimate: of.estimate,
        lo: of.lo,
        hi: of.hi,
        lo_all: of.together.map(|(lo, _)| lo),
        hi_all: of.together.map(|(_, hi)| hi),
        estimate_all_batches: of.all_batches.map(|all| all.value),
        detectable: of.detectable,
        blocks: of.blocks,
        verdict: word(of.verdict),
        proof: word(of.proof),
    }
}

fn cell(workload: &WorkloadAnalysis, of: &analyse::CellSummary) -> CellRow {
    let response = workload.response;
    CellRow {
        workload: workload.name.clone(),
        allocator: of.allocator.clone(),
        treatment: (of.kind != CellKind::Peer).then(|| of.name.clone()),
        arm: arm(of.arm),
        status: of.status.to_owned(),
        response: response.as_str().to_owned(),
        unit: response.quantity(),
        value: maybe(of.value(response)),
        value_ns: maybe(of.value(response).filter(|_| response.is_latency())),
        latency_ns_p10: of.latency_ns_p10.map(|estimate| estimate.value),
        latency_ns_p50: of.latency_ns_p50.map(|estimate| estimate.value),
        latency_ns_mean: of.latency_ns_mean.map(|estimate| estimate.value),
        page_faults_per_op: of.per_operation("page-faults"),
        syscalls_per_op: of.per_operation("syscalls"),
        proof: of.proof.clone(),
    }
}

fn gap(workload: &WorkloadAnalysis, of: &analyse::Gap) -> GapRow {
    GapRow {
        workload: workload.name.clone(),
        peer: of.peer.clone(),
        gap: maybe(of.gap_ns),
        gap_ns: of.gap_ns.map(|estimate| estimate.value).filter(|_| workload.response.is_latency()),
        gap_ratio: of.gap_ratio.map(|estimate| estimate.value),
        ratio: maybe(of.gap_ratio.map(analyse::Estimate::plus_one)),
    }
}

fn target(of: &analyse::JudgedTarget) -> TargetResult {
    let row = |row: &analyse::TargetRow| TargetRow {
        workload: row.workload.clone(),
        peer: row.peer.clone(),
        value: estimate(row.value),
        verdict: word(row.verdict),
    };
    TargetResult {
        target: of.target.clone(),
        unit_of: of.unit_of.map(|response| MainResponse::as_str(response).to_owned()),
        verdict: word(of.verdict),
        rows: of.rows.iter().map(row).collect(),
        missing: of.missing.clone(),
        blocks_needed: of.blocks_needed,
    }
}

fn path(of: &analyse::FollowedPath) -> PathResult {
    let step = |step: &analyse::PathStep| PathStep {
        step: step.step.clone(),
        cell: step.cell.clone(),
        value: maybe(step.value),
        change_percent: maybe(step.change_percent),
        gap_percent: maybe(step.gap_percent),
        not_exercised: step.not_exercised.clone(),
    };
    let goal = |goal: &analyse::JudgedGoal| GoalResult {
        goal: goal.goal.clone(),
        verdict: word(goal.verdict),
        step: goal.step.clone(),
        gap_percent: maybe(goal.gap_percent),
        holds_at_the_end: goal.holds_at_the_end,
    };
    let workload = |of: &analyse::FollowedWorkload| PathWorkload {
        workload: of.workload.clone(),
        response: of.response.as_str().to_owned(),
        steps: of.steps.iter().map(step).collect(),
        goals: of.goals.iter().map(goal).collect(),
    };
    PathResult {
        name: of.name.clone(),
        about: of.about.clone(),
        peer: of.peer.clone(),
        workloads: of.workloads.iter().map(workload).collect(),
    }
}

fn group(of: &analyse::Group) -> Group {
    Group {
        targets: of.targets.clone(),
        workloads: of.workloads.clone(),
        ratios: of.ratios.iter().map(|(peer, ratio)| (peer.clone(), maybe(*ratio))).collect(),
    }
}

fn crossed(workload: &str, of: &analyse::Crossed) -> CrossedResult {
    let contrasted = |of: &analyse::Contrasted| Contrasted {
        alone: estimate(of.alone),
        together: of.together,
        detectable: of.detectable,
        verdict: word(of.verdict),
    };
    let factor = |of: &analyse::CrossedFactor| CrossedFactor {
        factor: of.factor.clone(),
        shapley: contrasted(&of.shapley),
        leave_one_out: contrasted(&of.leave_one_out),
        add_one_in: contrasted(&of.add_one_in),
        main: contrasted(&of.main),
        share: maybe(of.share),
        page_faults: of.page_faults,
        syscalls: of.syscalls,
        proof: word(of.proof),
        reason: of.reason.clone(),
    };
    let interaction = |of: &analyse::Interaction| Interaction {
        pair: of.pair.clone(),
        value: estimate(of.value),
        p: of.p,
        q: of.q,
        found: of.found,
    };
    let step = |of: &analyse::Step| GreedyStep { factor: of.factor.clone(), saving: estimate(of.saving) };
    CrossedResult {
        workload: workload.to_owned(),
        total: maybe(of.total),
        factors: of.factors.iter().map(factor).collect(),
        interactions: of.interactions.iter().map(interaction).collect(),
        additive_p: of.additive_p,
        greedy: of.greedy.iter().map(step).collect(),
        missing: of.missing.clone(),
    }
}

fn noise(workload: &str, of: &analyse::CellNoise) -> Noise {
    Noise {
        workload: workload.to_owned(),
        cell: of.cell.clone(),
        runs: of.runs,
        retained: of.retained,
        contended: of.contended,
        context_switches: of.context_switches,
        two_speeds: of.two_speeds.map(|of| TwoSpeeds {
            fast_ns: of.fast_ns,
            slow_ns: of.slow_ns,
            slow_share: of.slow_share,
        }),
    }
}

fn breakdown(of: &GapBreakdown) -> Breakdown {
    let row = |row: &breakdown::Row| BreakdownRow {
        kind: word(row.kind),
        name: row.name.clone(),
        ns: estimate(row.ns),
        share: maybe(row.share),
        count: row.count,
        through_events: maybe(row.through_events),
        whole: maybe(row.whole),
        is_lower_bound: !row.is_measured,
    };
    let breakdown = &of.breakdown;
    Breakdown {
        workload: of.workload.clone(),
        peer: of.peer.clone(),
        gap: estimate(breakdown.gap),
        peer_ns: estimate(breakdown.peer_ns),
        separated: breakdown.separated,
        rows: breakdown.rows.iter().map(row).collect(),
        cross_check: breakdown.cross_check.as_ref().map(cross_check).map_err(String::clone),
        disagreement: breakdown.disagreement.clone(),
        uncounted: breakdown.uncounted.iter().map(|event| (*event).to_owned()).collect(),
        doubt: breakdown.doubt.clone(),
        remarks: breakdown.remarks.clone(),
    }
}

fn cross_check(of: &regression::CrossCheck) -> CrossCheck {
    let costs = of.unit_costs.as_ref().map_err(String::clone).map(|costs| {
        let cost = costs.iter().map(|cost| FittedCost {
            kind: cost.kind.clone(),
            fitted: estimate(cost.fitted),
            measured: Some(estimate(cost.measured)),
            disagree: cost.disagree,
        });
        cost.collect()
    });
    CrossCheck {
        over: of.over.to_owned(),
        cells: of.cells,
        condition: of.condition,
        r2: of.r2,
        scale: estimate(of.scale),
        disagree: of.disagree,
        unit_costs: costs,
    }
}

fn fitted(of: &[FaultCost]) -> Vec<FittedCost> {
    let cost = of.iter().map(|of| FittedCost {
        kind: of.kind.clone(),
        fitted: estimate(of.fitted),
        measured: maybe(of.measured),
        disagree: of.disagree,
    });
    cost.collect()
}

fn curve(of: &CurveReport) -> CurveResult {
    let by_faults = |of: &ByFaults| ablate_format::effects::ByFaults {
        steady: estimate(of.steady),
        unit_costs: fitted(&of.unit_costs),
        r2: of.r2,
    };
    let cell = |of: &CellCurve| CurveCell {
        id: of.id.clone(),
        points: of.points.iter().map(|(n, time, faults)| (*n, estimate(*time), *faults)).collect(),
        once: maybe(of.once),
        steady: maybe(of.steady),
        r2: of.r2,
        by_faults: of.by_faults.as_ref().map(by_faults).map_err(String::clone),
    };
    let gap = |of: &GapAt| CurveGap {
        at: match of.at {
            curves::At::Operations(n) => At::Operations(n),
            curves::At::Once => At::Once,
            curves::At::Steady => At::Steady,
        },
        gap: estimate(of.gap),
        faults: of.faults,
        explained: maybe(of.explained),
        share: maybe(of.share),
        share_by_fit: maybe(of.share_by_fit),
    };
    CurveResult {
        name: of.name.clone(),
        cells: of.cells.iter().map(cell).collect(),
        unit_costs: of.unit_costs.as_ref().map(|unit_costs| fitted(unit_costs)).map_err(String::clone),
        gaps: of.gaps.iter().map(|(peer, gaps)| (peer.clone(), gaps.iter().map(gap).collect())).collect(),
    }
}

fn hypothesis(of: &Decision) -> HypothesisResult {
    HypothesisResult {
        name: of.name.clone(),
        claim: of.claim.clone(),
        workload: of.workload.clone(),
        range: of.range.clone(),
        unit: word(of.unit),
        value: maybe(of.value),
        confidence: of.confidence,
        verdict: word(of.verdict),
        reason: of.reason.clone(),
        blocks_needed: of.blocks_needed,
    }
}
