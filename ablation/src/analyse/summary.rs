//! One cell in one workload: which allocator served it, how its runs ended, its latencies and counts.

use super::counts;
use super::index::{self, CellRuns, Timed};
use super::memory;
use super::values::CellSummary;
use crate::prove;
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, MainResponse, Manifest};
use ablate_stats::order;
use std::collections::BTreeSet;

/// Sums a cell up, without its place beside the peers, which needs their runs.
pub(super) fn summary(
    manifest: &Manifest,
    response: MainResponse,
    runs: &CellRuns,
    notes: &mut counts::Notes,
) -> CellSummary {
    let cell = runs.plan;
    let over_blocks = |value: &dyn Fn(&Timed) -> Option<f64>| {
        let values = order::sorted(&runs.timing.values().filter_map(value).collect::<Vec<_>>());
        order::percentile(&values, 0.5).map(|median| Estimate {
            value: median,
            interval: order::sign_test_interval(&values),
            blocks: values.len(),
        })
    };
    let of = |response: MainResponse| over_blocks(&|run| run.value(response));
    let names = runs.measured().flat_map(|measured| measured.values.iter().map(|(name, _)| &**name));
    let names: BTreeSet<&str> = names.collect();
    let own = |name: &str| {
        let value = |run: &Timed| run.record.measured.as_ref()?.value(name);
        Some((name.to_owned(), over_blocks(&value)?))
    };
    let values = names.into_iter().filter_map(own).collect();
    let seen = runs.measured().find_map(|m| m.served_by.as_deref());
    let served_by = cell.served_by.as_deref().or(seen);
    let built = !index::build_failed(manifest, cell);
    for factor in &manifest.plan.factors {
        let is_at_work = cell.levels.get(&factor.name).is_some_and(|level| level != "off" && level != "absent");
        if is_at_work && let Ok(Some(evidence)) = prove::exercised(factor, runs.measured()) {
            notes.add("a factor that had nothing to do in a few runs".to_owned(), format!("{}: {evidence}", cell.id));
        }
    }
    CellSummary {
        id: cell.id.clone(),
        name: cell.name.clone(),
        kind: cell.kind,
        arm: cell.arm,
        allocator: match cell.kind {
            CellKind::Peer => cell.name.clone(),
            _ => served_by.unwrap_or("subject").to_owned(),
        },
        status: if built { runs.status() } else { "build-failed" },
        proof: if built { runs.proof() } else { Some("build-failed".to_owned()) },
        latency_ns_p10: of(MainResponse::P10),
        latency_ns_p50: of(MainResponse::P50),
        latency_ns_p99: of(MainResponse::P99),
        latency_ns_mean: of(MainResponse::Mean),
        wall_ns: of(MainResponse::Wall),
        cpu_ns: of(MainResponse::Cpu),
        rss_peak_bytes: of(MainResponse::RssPeak),
        memory: memory::of(runs),
        by_block: runs.timing.iter().filter_map(|(block, run)| Some((*block, run.value(response)?))).collect(),
        values,
        counts: counts::per_operation(manifest, runs, notes),
        relative_to_peers: Vec::new(),
    }
}
