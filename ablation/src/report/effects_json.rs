//! Fills `effects.json` ([`ablate_format::EffectsFile`]) from an analysis.

use crate::analyse::{self, Analysis, WorkloadAnalysis};
use crate::gap::hypotheses::Decision;
use crate::gap::study::GapBreakdown;
use crate::gap::{breakdown, study};
use ablate_format::effects::*;
use ablate_format::{Arm, CellKind, FORMAT, MainResponse, Manifest, WorkloadPlan};

/// Whether the process as a whole is one operation of a workload: programs that report nothing have no latency either. Without
/// an analysis the rows of the file decide.
pub(crate) fn is_per_run(effects: &EffectsFile, analysis: Option<&Analysis>, workload: &WorkloadPlan) -> bool {
    let cells = || effects.cells.iter().filter(|row| row.workload == workload.name);
    let reports = |row: &CellRow| row.latency_ns_p50.or(row.latency_ns_mean).is_some();
    match analysis {
        Some(analysis) => {
            let known = analysis.workloads.iter().find(|of| of.name == workload.name);
            known.is_some_and(|known| known.is_per_run)
        }
        None => workload.response.is_outside() && cells().next().is_some() && !cells().any(reports),
    }
}

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
        groups: analysis.groups.clone(),
        crossed: Vec::new(),
        retention: Vec::new(),
        noise: Vec::new(),
        contention: analysis.contention.clone(),
        remarks: analysis.remarks.clone(),
        explained: Explained {
            unit_costs_ns: explained.unit_costs_ns.clone(),
            breakdowns: explained.breakdowns.iter().map(breakdown).collect(),
            curves: explained.curves.clone(),
            hypotheses: explained.hypotheses.iter().map(hypothesis).collect(),
        },
    };
    for workload in &analysis.workloads {
        let name = &workload.name;
        file.effects.extend(workload.effects.iter().map(|of| effect(name, of)));
        file.cells.extend(workload.cells.iter().map(|of| cell(workload, of)));
        file.gaps.extend(workload.gaps.iter().map(|of| gap(workload, of)));
        file.crossed.extend(workload.crossed.iter().map(|of| crossed(name, of)));
        file.noise.extend(workload.noise.iter().cloned());
        file.retention.extend(workload.retention.iter().map(|of| Retention {
            workload: name.clone(),
            retained: of.retained.clone(),
            contended: of.contended,
            p: of.p,
        }));
    }
    file
}

fn arm(of: Option<Arm>) -> Option<String> {
    of.map(|arm| arm.as_str().to_owned())
}

/// A word of tables as the file has it, in kebab case.
fn kebab(word: &str) -> String {
    word.replace(' ', "-")
}

fn effect(workload: &str, of: &analyse::Effect) -> EffectRow {
    EffectRow {
        workload: workload.to_owned(),
        factor: of.factor.clone(),
        contrast: of.contrast.clone(),
        level: of.level.clone(),
        arm: arm(of.arm),
        response: of.response.as_str().to_owned(),
        estimate: of.estimate,
        estimate_percent: of.of_baseline.map(|share| 100.0 * share),
        lo: of.lo,
        hi: of.hi,
        lo_all: of.together.map(|(lo, _)| lo),
        hi_all: of.together.map(|(_, hi)| hi),
        estimate_all_batches: of.all_batches.map(|all| all.value),
        detectable: of.detectable,
        blocks: of.blocks,
        verdict: kebab(of.verdict.as_str()),
        proof: of.proof.as_str().to_owned(),
        machines: of.machines.as_ref().map(|over| over.told.clone()),
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
        value: of.value(response),
        value_ns: of.value(response).filter(|_| response.is_latency()),
        latency_ns_p10: of.latency_ns_p10.map(|estimate| estimate.value),
        latency_ns_p50: of.latency_ns_p50.map(|estimate| estimate.value),
        latency_ns_mean: of.latency_ns_mean.map(|estimate| estimate.value),
        page_faults_per_op: of.per_operation("page-faults"),
        syscalls_per_op: of.per_operation("syscalls"),
        rss_peak_bytes: of.memory.peak.map(|estimate| estimate.value),
        rss_mean_bytes: of.memory.mean.map(|estimate| estimate.value),
        rss_after_bytes: of.memory.after.map(|estimate| estimate.value),
        proof: of.proof.clone(),
    }
}

fn gap(workload: &WorkloadAnalysis, of: &analyse::Gap) -> GapRow {
    GapRow {
        workload: workload.name.clone(),
        peer: of.peer.clone(),
        gap: of.gap_ns,
        gap_ns: of.gap_ns.map(|estimate| estimate.value).filter(|_| workload.response.is_latency()),
        gap_ratio: of.gap_ratio.map(|estimate| estimate.value),
        ratio: of.gap_ratio.map(Estimate::plus_one),
    }
}

fn target(of: &analyse::JudgedTarget) -> TargetResult {
    let row = |row: &analyse::TargetRow| TargetRow {
        workload: row.workload.clone(),
        peer: row.peer.clone(),
        value: row.value,
        verdict: kebab(row.verdict.as_str()),
    };
    TargetResult {
        target: of.target.clone(),
        unit_of: of.unit_of.map(|response| MainResponse::as_str(response).to_owned()),
        verdict: kebab(of.verdict.as_str()),
        rows: of.rows.iter().map(row).collect(),
        missing: of.missing.clone(),
        blocks_needed: of.blocks_needed,
    }
}

fn path(of: &analyse::FollowedPath) -> PathResult {
    let goal = |goal: &analyse::JudgedGoal| GoalResult {
        goal: goal.goal.clone(),
        verdict: kebab(goal.verdict.as_str()),
        step: goal.step.clone(),
        gap_percent: goal.gap_percent,
        holds_at_the_end: goal.holds_at_the_end,
    };
    let workload = |of: &analyse::FollowedWorkload| PathWorkload {
        workload: of.workload.clone(),
        response: of.response.as_str().to_owned(),
        steps: of.steps.clone(),
        goals: of.goals.iter().map(goal).collect(),
    };
    PathResult {
        name: of.name.clone(),
        about: of.about.clone(),
        peer: of.peer.clone(),
        workloads: of.workloads.iter().map(workload).collect(),
    }
}

fn crossed(workload: &str, of: &analyse::Crossed) -> CrossedResult {
    let contrasted = |of: &analyse::Contrasted| Contrasted {
        alone: of.alone,
        together: of.together,
        detectable: of.detectable,
        verdict: kebab(of.verdict.as_str()),
    };
    let factor = |of: &analyse::CrossedFactor| CrossedFactor {
        factor: of.factor.clone(),
        shapley: contrasted(&of.shapley),
        leave_one_out: contrasted(&of.leave_one_out),
        add_one_in: contrasted(&of.add_one_in),
        main: contrasted(&of.main),
        share: of.share,
        page_faults: of.page_faults,
        syscalls: of.syscalls,
        proof: of.proof.as_str().to_owned(),
        reason: of.reason.clone(),
    };
    CrossedResult {
        workload: workload.to_owned(),
        total: of.total,
        factors: of.factors.iter().map(factor).collect(),
        interactions: of.interactions.clone(),
        additive_p: of.additive_p,
        greedy: of.greedy.clone(),
        missing: of.missing.clone(),
    }
}

fn breakdown(of: &GapBreakdown) -> Breakdown {
    let row = |row: &breakdown::Row| BreakdownRow {
        kind: row.kind.as_str().to_owned(),
        name: row.name.clone(),
        ns: row.ns,
        share: row.share,
        count: row.count,
        through_events: row.through_events,
        whole: row.whole,
        is_lower_bound: !row.is_measured,
    };
    let breakdown = &of.breakdown;
    Breakdown {
        workload: of.workload.clone(),
        peer: of.peer.clone(),
        gap: breakdown.gap,
        peer_ns: breakdown.peer_ns,
        separated: breakdown.separated,
        rows: breakdown.rows.iter().map(row).collect(),
        cross_check: breakdown.cross_check.clone(),
        disagreement: breakdown.disagreement.clone(),
        uncounted: breakdown.uncounted.iter().map(|event| (*event).to_owned()).collect(),
        doubt: breakdown.doubt.clone(),
        remarks: breakdown.remarks.clone(),
    }
}

fn hypothesis(of: &Decision) -> HypothesisResult {
    HypothesisResult {
        name: of.name.clone(),
        claim: of.claim.clone(),
        workload: of.workload.clone(),
        range: of.range.clone(),
        unit: of.unit.as_str().to_owned(),
        value: of.value,
        confidence: of.confidence,
        verdict: kebab(of.verdict.as_str()),
        reason: of.reason.clone(),
        blocks_needed: of.blocks_needed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::study::sample;

    #[test]
    fn verdicts_units_and_kinds_are_words() {
        let explained = sample::explained();
        let rows = explained.hypotheses.iter().map(hypothesis);
        let words: Vec<(String, String)> = rows.map(|row| (row.verdict, row.unit)).collect();
        let share = |verdict: &str, unit: &str| (verdict.to_owned(), unit.to_owned());
        assert_eq!((&words[0], &words[4]), (&share("supported", "share"), &share("supported", "percent")));
        let row = breakdown(&explained.breakdowns[0]);
        let kinds: Vec<&str> = row.rows.iter().map(|row| row.kind.as_str()).collect();
        assert_eq!((row.peer.as_str(), kinds), ("fast", vec!["factor", "factor", "page-faults", "residual"]));
        assert_eq!(kebab("not judged"), "not-judged");
    }
}
