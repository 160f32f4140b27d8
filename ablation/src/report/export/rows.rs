//! `effects.json` as flat rows: one for each workload, cell or effect, and response.

use crate::analyse::{Analysis, CellSummary, Response, is_unproven, word_of};
use crate::report::effects_json::is_per_run;
use ablate_format::effects::{CellRow, EffectRow, Estimate};
use ablate_format::{Arm, CellKind, EffectsFile, MainResponse, Manifest, Quantity};
use ablate_stats::MIN_BLOCKS;

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A cell of the subject.
    Cell,
    /// A peer.
    Peer,
    /// An effect: the baseline less the other level, as `effects.json` has it.
    Effect,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Cell => "cell",
            Kind::Peer => "peer",
            Kind::Effect => "effect",
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) workload: String,
    pub(super) kind: Kind,
    /// The treatment, the peer, or the factor.
    pub(super) name: String,
    /// `env`, `feature`, …; empty where there is none.
    pub(super) arm: String,
    /// Kind of contrast of an effect; empty for cells.
    pub(super) contrast: String,
    /// Level of an effect that is compared with the baseline's; empty for cells.
    pub(super) level: String,
    /// Name of the response in `effects.json`.
    pub(super) response: String,
    pub(super) quantity: Quantity,
    /// Whether it is the response that the workload is judged by.
    pub(super) is_main: bool,
    pub(super) value: Option<f64>,
    pub(super) ends: Option<(f64, f64)>,
    /// Blocks or repeats; `None` where the file does not say.
    pub(super) n: Option<usize>,
    pub(super) verdict: String,
    /// Proof of an effect; empty for cells, whose verdict is their proof.
    pub(super) proof: String,
    /// Whether the process as a whole is one operation.
    pub(super) is_per_run: bool,
}

/// All rows in the order of the file: cells, effects, Shapley values. Without an analysis it is not known of how many blocks
/// values beside the main one are.
pub(super) fn rows(manifest: &Manifest, effects: &EffectsFile, analysis: Option<&Analysis>) -> Vec<Row> {
    let mut out: Vec<Row> = effects.cells.iter().flat_map(|row| cell(row, summary(analysis, row))).collect();
    out.extend(effects.effects.iter().map(|row| effect(manifest, row)));
    for crossed in &effects.crossed {
        let main = main_of(manifest, &crossed.workload);
        out.extend(crossed.factors.iter().map(|factor| Row {
            workload: crossed.workload.clone(),
            kind: Kind::Effect,
            name: factor.factor.clone(),
            arm: String::new(),
            contrast: "shapley".to_owned(),
            level: String::new(),
            response: Response::main(main).as_str().to_owned(),
            quantity: main.quantity(),
            is_main: true,
            value: Some(factor.shapley.alone.value),
            ends: factor.shapley.alone.interval,
            n: Some(factor.shapley.alone.blocks),
            verdict: word_of(&factor.shapley.verdict, &factor.proof).to_owned(),
            proof: factor.proof.clone(),
            is_per_run: false,
        }));
    }
    let per_run = manifest.plan.workloads.iter().filter(|workload| is_per_run(effects, analysis, workload));
    let per_run: Vec<&str> = per_run.map(|workload| workload.name.as_str()).collect();
    out.iter_mut().for_each(|row| row.is_per_run = per_run.contains(&row.workload.as_str()));
    out
}

/// The cell that a row is of.
fn summary<'a>(analysis: Option<&'a Analysis>, row: &CellRow) -> Option<&'a CellSummary> {
    let workload = analysis?.workloads.iter().find(|of| of.name == row.workload)?;
    workload.cells.iter().find(|cell| match cell.kind {
        CellKind::Peer => row.treatment.is_none() && row.allocator == cell.allocator,
        _ => row.treatment.as_ref() == Some(&cell.name) && row.arm.as_deref() == cell.arm.map(Arm::as_str),
    })
}

fn main_of(manifest: &Manifest, workload: &str) -> MainResponse {
    let plan = manifest.plan.workloads.iter().find(|plan| plan.name == workload);
    plan.map(|plan| plan.response).unwrap_or_default()
}

/// The value that the workload is judged by, then what else is known of the cell.
fn cell(row: &CellRow, summary: Option<&CellSummary>) -> Vec<Row> {
    let main = MainResponse::named(&row.response);
    let main_name = main.map_or(row.response.as_str(), |main| Response::main(main).as_str());
    let of = |response: &str, quantity, value: Option<Estimate>, is_main| Row {
        workload: row.workload.clone(),
        kind: if row.treatment.is_some() { Kind::Cell } else { Kind::Peer },
        name: row.treatment.clone().unwrap_or_else(|| row.allocator.clone()),
        arm: row.arm.clone().unwrap_or_default(),
        contrast: String::new(),
        level: String::new(),
        response: response.to_owned(),
        quantity,
        is_main,
        value: value.map(|value| value.value),
        ends: value.and_then(|value| value.interval),
        n: value.map(|value| value.blocks).filter(|blocks| *blocks > 0),
        verdict: row.proof.clone().unwrap_or_else(|| row.status.clone()),
        proof: String::new(),
        is_per_run: false,
    };
    let beside = [
        ("latency_ns_p10", Quantity::Latency, row.latency_ns_p10),
        ("latency_ns_p50", Quantity::Latency, row.latency_ns_p50),
        ("latency_ns_mean", Quantity::Latency, row.latency_ns_mean),
        ("page_faults_per_op", Quantity::Number, row.page_faults_per_op),
        ("syscalls_per_op", Quantity::Number, row.syscalls_per_op),
        ("rss_peak_bytes", Quantity::Bytes, row.rss_peak_bytes),
        ("rss_mean_bytes", Quantity::Bytes, row.rss_mean_bytes),
        ("rss_after_bytes", Quantity::Bytes, row.rss_after_bytes),
    ];
    let beside = beside.into_iter().filter(|(name, _, value)| *name != main_name && value.is_some());
    let blocks = |name: &str| {
        let memory = summary?.memory;
        let of = match name {
            "rss_peak_bytes" => memory.peak,
            "rss_mean_bytes" => memory.mean,
            "rss_after_bytes" => memory.after,
            _ => None,
        };
        of.map(|of| of.blocks)
    };
    let known = |name: &str, value: Option<f64>| {
        value.map(|value| Estimate { value, interval: None, blocks: blocks(name).unwrap_or(0) })
    };
    let first = of(main_name, row.unit, row.value, true);
    [first]
        .into_iter()
        .chain(beside.map(|(name, quantity, value)| of(name, quantity, known(name, value), false)))
        .collect()
}

fn effect(manifest: &Manifest, row: &EffectRow) -> Row {
    let main = main_of(manifest, &row.workload);
    Row {
        workload: row.workload.clone(),
        kind: Kind::Effect,
        name: row.factor.clone(),
        arm: row.arm.clone().unwrap_or_default(),
        contrast: row.contrast.clone(),
        level: row.level.clone().unwrap_or_default(),
        response: row.response.clone(),
        quantity: quantity(&row.response),
        is_main: Response::main(main).as_str() == row.response,
        value: row.estimate,
        ends: row.lo.zip(row.hi),
        n: Some(row.blocks),
        verdict: word_of(&row.verdict, &row.proof).to_owned(),
        proof: row.proof.clone(),
        is_per_run: false,
    }
}

/// What a response of `effects.json` measures, by its name.
fn quantity(response: &str) -> Quantity {
    match response {
        name if name.starts_with("latency_ns_") || name == "wall_ns" || name == "cpu_ns" => Quantity::Latency,
        name if name.starts_with("rss_") => Quantity::Bytes,
        name => MainResponse::named(name).map_or(Quantity::Number, MainResponse::quantity),
    }
}

impl Row {
    /// Whether the effect is measured and nothing tells its levels apart, so that nothing is claimed.
    pub(super) fn is_unproven(&self) -> bool {
        is_unproven(&self.proof)
    }

    /// Whether the value is of fewer blocks than an interval needs, or may be: sampled values are of those runs alone that
    /// were long enough. Counted values are of repeats, and exact of few.
    pub(super) fn is_of_few(&self) -> bool {
        let is_sampled = matches!(self.response.as_str(), "rss_mean_bytes" | "rss_after_bytes");
        let is_counted = self.response.ends_with("_per_op");
        self.value.is_some() && !is_counted && self.n.map_or(is_sampled, |n| n < MIN_BLOCKS)
    }

    /// The unit of the value; empty for plain numbers.
    pub(super) fn unit(&self) -> &'static str {
        match self.quantity {
            Quantity::Latency if self.is_per_run => "ns",
            Quantity::Latency => "ns/op",
            Quantity::Time => "ns",
            Quantity::Bytes => "bytes",
            Quantity::Share => "share",
            Quantity::Rate => "1/s",
            _ => "",
        }
    }

    /// `small/baseline`, `small/no-cache@env`, `small/effect of cache, on-off (env)`.
    pub(super) fn title(&self) -> String {
        let (workload, name, arm) = (&self.workload, &self.name, &self.arm);
        match self.kind {
            Kind::Effect if arm.is_empty() => format!("{workload}/effect of {name}, {}", self.contrast),
            Kind::Effect => format!("{workload}/effect of {name}, {} ({arm})", self.contrast),
            Kind::Cell if !arm.is_empty() => format!("{workload}/{name}@{arm}"),
            Kind::Peer => format!("{workload}/peer {name}"),
            Kind::Cell => format!("{workload}/{name}"),
        }
    }
}
