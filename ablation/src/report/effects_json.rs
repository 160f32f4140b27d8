//! `effects.json`: the numbers of a study for programs. Missing values are null, never 0.

use crate::analyse::{Analysis, Canaries, CellNoise, Crossed, Estimate, FollowedPath, Group, JudgedTarget, Keeping};
use crate::gap::study::Explained;
use ablate_format::{CellKind, FORMAT, Manifest, Quantity};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct EffectsFile<'a> {
    format: u32,
    study: &'a str,
    effects: Vec<EffectRow<'a>>,
    cells: Vec<CellRow<'a>>,
    gaps: Vec<GapRow<'a>>,
    targets: &'a [JudgedTarget],
    paths: &'a [FollowedPath],
    groups: &'a [Group],
    crossed: Vec<CrossedRow<'a>>,
    keeping: Vec<KeepingRow<'a>>,
    noise: Vec<NoiseRow<'a>>,
    canaries: &'a Canaries,
    remarks: &'a [String],
    explained: &'a Explained,
}

#[derive(Serialize)]
struct CrossedRow<'a> {
    workload: &'a str,
    #[serde(flatten)]
    crossed: &'a Crossed,
}

#[derive(Serialize)]
struct KeepingRow<'a> {
    workload: &'a str,
    #[serde(flatten)]
    keeping: &'a Keeping,
}

#[derive(Serialize)]
struct NoiseRow<'a> {
    workload: &'a str,
    #[serde(flatten)]
    noise: &'a CellNoise,
}

#[derive(Serialize)]
struct EffectRow<'a> {
    workload: &'a str,
    factor: &'a str,
    contrast: &'a str,
    arm: Option<&'static str>,
    response: &'static str,
    estimate: Option<f64>,
    lo: Option<f64>,
    hi: Option<f64>,
    lo_all: Option<f64>,
    hi_all: Option<f64>,
    estimate_all_batches: Option<f64>,
    detectable: Option<f64>,
    blocks: usize,
    verdict: &'static str,
    proof: &'static str,
}

#[derive(Serialize)]
struct CellRow<'a> {
    workload: &'a str,
    allocator: &'a str,
    treatment: Option<&'a str>,
    arm: Option<&'static str>,
    status: &'static str,
    response: &'static str,
    unit: Quantity,
    value: Option<Estimate>,
    value_ns: Option<Estimate>,
    latency_ns_p10: Option<f64>,
    latency_ns_p50: Option<f64>,
    latency_ns_mean: Option<f64>,
    page_faults_per_op: Option<f64>,
    syscalls_per_op: Option<f64>,
    proof: Option<&'a str>,
}

#[derive(Serialize)]
struct GapRow<'a> {
    workload: &'a str,
    peer: &'a str,
    gap: Option<Estimate>,
    gap_ns: Option<f64>,
    gap_ratio: Option<f64>,
    ratio: Option<Estimate>,
}

pub(super) fn effects_file<'a>(
    manifest: &'a Manifest,
    analysis: &'a Analysis,
    explained: &'a Explained,
) -> EffectsFile<'a> {
    let mut file = EffectsFile {
        format: FORMAT,
        study: &manifest.study,
        effects: Vec::new(),
        cells: Vec::new(),
        gaps: Vec::new(),
        targets: &analysis.targets,
        paths: &analysis.paths,
        groups: &analysis.groups,
        crossed: Vec::new(),
        keeping: Vec::new(),
        noise: Vec::new(),
        canaries: &analysis.canaries,
        remarks: &analysis.remarks,
        explained,
    };
    for workload in &analysis.workloads {
        file.effects.extend(workload.effects.iter().map(|effect| EffectRow {
            workload: &workload.name,
            factor: &effect.factor,
            contrast: &effect.contrast,
            arm: effect.arm.map(|arm| arm.as_str()),
            response: effect.response.as_str(),
            estimate: effect.estimate,
            lo: effect.lo,
            hi: effect.hi,
            lo_all: effect.together.map(|(lo, _)| lo),
            hi_all: effect.together.map(|(_, hi)| hi),
            estimate_all_batches: effect.all_batches.map(|all| all.value),
            detectable: effect.detectable,
            blocks: effect.blocks,
            verdict: effect.verdict.as_str(),
            proof: effect.proof.as_str(),
        }));
        file.cells.extend(workload.cells.iter().map(|cell| CellRow {
            workload: &workload.name,
            allocator: &cell.allocator,
            treatment: (cell.kind != CellKind::Peer).then_some(cell.name.as_str()),
            arm: cell.arm.map(|arm| arm.as_str()),
            status: cell.status,
            response: workload.response.as_str(),
            unit: workload.response.quantity(),
            value: cell.value(workload.response),
            value_ns: cell.value(workload.response).filter(|_| workload.response.is_latency()),
            latency_ns_p10: cell.latency_ns_p10.map(|estimate| estimate.value),
            latency_ns_p50: cell.latency_ns_p50.map(|estimate| estimate.value),
            latency_ns_mean: cell.latency_ns_mean.map(|estimate| estimate.value),
            page_faults_per_op: cell.per_operation("page-faults"),
            syscalls_per_op: cell.per_operation("syscalls"),
            proof: cell.proof.as_deref(),
        }));
        file.gaps.extend(workload.gaps.iter().map(|gap| GapRow {
            workload: &workload.name,
            peer: &gap.peer,
            gap: gap.gap_ns,
            gap_ns: gap.gap_ns.map(|estimate| estimate.value).filter(|_| workload.response.is_latency()),
            gap_ratio: gap.gap_ratio.map(|estimate| estimate.value),
            ratio: gap.gap_ratio.map(Estimate::plus_one),
        }));
        let (name, crossed, keeping) = (&workload.name, &workload.crossed, &workload.keeping);
        file.crossed.extend(crossed.iter().map(|crossed| CrossedRow { workload: name, crossed }));
        file.noise.extend(workload.noise.iter().map(|noise| NoiseRow { workload: name, noise }));
        file.keeping.extend(keeping.iter().map(|keeping| KeepingRow { workload: name, keeping }));
    }
    file
}
