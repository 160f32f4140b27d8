//! Whole synthetic studies, from records to verdicts.

use super::*;
use crate::analyse::analyse;
use crate::analyse::fixture::Study;
use crate::gap::hypotheses::Verdict;
use crate::gap::waterfall::RowKind;
use crate::record::{Hypothesis, HypothesisKind, LatencyResponse};
use crate::unit_costs::{PAGE_FAULT_4K, SYS_MMAP};

const FAULT: f64 = 500.0;

/// Cache costs 40 ns itself and saves 10 of 12 faults; tick costs 20 ns; `fast` makes 1 fault and takes 100 ns itself,
/// hakmem without sources 200 ns.
fn truth(cell: &str) -> (f64, f64) {
    let set = cell.strip_prefix("set-").map_or("11", |rest| &rest[..2]);
    let on = |at: usize| f64::from(set.as_bytes()[at] - b'0');
    let (own, faults) = match cell {
        "peer-fast" => (100.0, 1.0),
        "peer-slow" => (900.0, 12.0),
        _ => (200.0 + 40.0 * on(0) + 20.0 * on(1), 12.0 - 10.0 * on(0)),
    };
    (own + FAULT * faults, faults)
}

fn unit_costs(block: u32) -> Record {
    let line = serde_json::json!({
        "format": 1, "pass": "unit-costs", "block": block, "order": 0, "workload": "unit-costs", "cell": "unit-costs",
        "status": "ok", "wall_ns": 1, "process_page_faults": 0, "process_rss_peak_bytes": 0,
        "unit_costs_ns": { "page-fault-4k": FAULT, "sys-mmap": 900.0, "syscall": 100.0 },
    });
    serde_json::from_value(line).unwrap()
}

/// Records of a factorial study with counts and prices; every process keeps all that it touches.
fn records(study: &Study, time: impl Fn(&str, &str) -> f64, faults: impl Fn(&str, &str) -> f64) -> Vec<Record> {
    let mut records = study.records(12, |workload, cell, _| time(workload, cell));
    for workload in &study.manifest.plan.workloads {
        for cell in &study.manifest.plan.cells {
            for repeat in 0..2 {
                let count = (1_000.0 * faults(&workload.name, &cell.id)).round() as u64;
                let counted =
                    [("page-faults", count), ("syscalls", 2_000), ("sys-mmap", 1_000), ("page-fault-huge", 0)];
                records.push(study.counting(&workload.name, &cell.id, repeat, &counted));
                let idle = counted.map(|(name, _)| (name, 0));
                records.push(study.idle(&workload.name, &cell.id, repeat, &idle));
            }
        }
    }
    records.extend((0..12).map(unit_costs));
    records
}

fn explained(study: &Study, records: &[Record]) -> Explained {
    explain(&study.manifest, records, &analyse(&study.manifest, records))
}

#[test]
fn a_crossed_study_is_accounted_for() {
    let study = Study::factorial(&["cache", "tick"], &["w"]);
    let explained = explained(&study, &records(&study, |_, cell| truth(cell).0, |_, cell| truth(cell).1));
    let prices: Vec<&str> = explained.unit_costs_ns.keys().map(String::as_str).collect();
    assert_eq!(prices, [PAGE_FAULT_4K, SYS_MMAP, "syscall"]);
    let names: Vec<&str> = explained.accounts.iter().map(|account| account.peer.as_str()).collect();
    assert_eq!(names, ["fast", "slow"]);
    let account = &explained.accounts[0].waterfall;
    let row = |kind: RowKind, name: &str| {
        let found = account.rows.iter().find(|row| row.kind == kind && row.name.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {:?}", account.rows)).ns.value
    };
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 3.0, "{value} is not {expected}");
    near(row(RowKind::Source, "cache"), 40.0);
    near(row(RowKind::Source, "tick"), 20.0);
    near(row(RowKind::PageFaults, "page faults, 4"), FAULT);
    near(row(RowKind::Residual, "residual"), 100.0);
    assert!(account.rows.iter().all(|row| row.kind != RowKind::SystemCalls), "both make the same calls");
}

#[test]
fn hypotheses_are_decided_from_accounts_and_cells() {
    let mut study = Study::factorial(&["cache", "tick"], &["w"]);
    let hypothesis =
        |name: &str, kind| Hypothesis { name: name.to_owned(), claim: String::new(), workload: "w".to_owned(), kind };
    let share =
        |of: &str, low, high| HypothesisKind::Share { peer: "fast".to_owned(), of: vec![of.to_owned()], low, high };
    // The gap is 660 ns: cache 40, tick 20, faults 500, residual 100.
    study.manifest.plan.hypotheses = vec![
        hypothesis("cache", share("cache", 0.05, 0.10)),
        hypothesis("faults", share("page-faults", 0.1, 0.2)),
        hypothesis("order", HypothesisKind::Ordering { cells: vec!["peer-fast".to_owned(), "baseline".to_owned()] }),
        hypothesis("header", share("header", 0.0, 1.0)),
    ];
    let explained = explained(&study, &records(&study, |_, cell| truth(cell).0, |_, cell| truth(cell).1));
    let verdicts: Vec<Verdict> = explained.hypotheses.iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Supported, Verdict::Refuted, Verdict::Supported, Verdict::Undecidable]);
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["hypotheses"][0]["verdict"], "supported");
    assert_eq!(json["accounts"][0]["peer"], "fast");
    assert!(json["accounts"][0]["rows"][0]["ns"]["value"].is_number());
}

#[test]
fn a_curve_finds_the_price_of_a_fault() {
    let mut study = Study::new(&["cache"], &["w10", "w20", "w50"]);
    let workloads = study.manifest.plan.workloads.iter_mut();
    workloads.for_each(|workload| workload.response = LatencyResponse::Mean);
    let workloads = ["w10", "w20", "w50"].map(str::to_owned).to_vec();
    study.manifest.plan.curves = vec![Curve { name: "vm".to_owned(), workloads }];
    let operations = |workload: &str| workload[1..].parse::<f64>().unwrap();
    let faults = |workload: &str, cell: &str| if cell == "peer-fast" { 0.0 } else { 500.0 / operations(workload) };
    let mut records = records(&study, |w, cell| 300.0 + FAULT * faults(w, cell), |w, cell| faults(w, cell));
    for record in records.iter_mut().filter(|record| matches!(record.pass, Pass::Timing | Pass::Counting)) {
        let operations = operations(&record.workload);
        record.measured.as_mut().unwrap().operations = operations as u64;
        record.counts.values_mut().for_each(|count| *count = (*count as f64 * operations / 1_000.0).round() as u64);
    }
    let curve = &explained(&study, &records).curves[0];
    let baseline = curve.cells.iter().find(|cell| cell.id == "baseline").unwrap();
    let line = baseline.by_faults.as_ref().unwrap();
    assert!((line.prices[0].fitted.value - FAULT).abs() < 5.0, "{line:?}");
    assert!(!curve.cells.iter().any(|cell| cell.id == "placebo"));
    let (peer, rows) = &curve.gaps[0];
    assert_eq!((peer.as_str(), rows.len()), ("peer-fast", 5));
    assert!(rows[0].share.is_some_and(|share| (share.value - 1.0).abs() < 0.01), "{:?}", rows[0]);
}

#[test]
fn without_prices_and_peers_nothing_is_made_up() {
    let mut study = Study::factorial(&["cache", "tick"], &["w"]);
    let mut records = records(&study, |_, cell| truth(cell).0, |_, cell| truth(cell).1);
    records.retain(|record| record.pass != Pass::UnitCosts);
    let unpriced = explained(&study, &records);
    assert!(unpriced.unit_costs_ns.is_empty());
    let account = &unpriced.accounts[0].waterfall;
    assert!(account.rows.iter().all(|row| matches!(row.kind, RowKind::Source | RowKind::Residual)));
    assert!(account.remarks.iter().any(|remark| remark.contains("without a measured price")), "{:?}", account.remarks);
    study.manifest.plan.cells.retain(|cell| cell.kind != CellKind::Peer);
    records.retain(|record| !record.cell.starts_with("peer"));
    assert!(explained(&study, &records).accounts.is_empty());
}
