//! Synthetic studies whose truth is known, for the tests of breakdowns and of their tables.

use super::{Explained, explain};
use crate::analyse::analyse;
use crate::analyse::fixture::Study;
use ablate_format::{Curve, Hypothesis, HypothesisKind, MainResponse, Pass, Record};
use std::sync::LazyLock;

/// Unit cost of a page fault, nanoseconds.
pub(super) const FAULT: f64 = 500.0;

/// Cache costs 40 ns itself and saves 10 of 12 faults; tick costs 20 ns; `fast` makes 1 fault and takes 100 ns itself,
/// the subject without factors 200 ns.
pub(super) fn truth(cell: &str) -> (f64, f64) {
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
        "format": 2, "pass": "unit-costs", "block": block, "order": 0, "workload": "unit-costs", "cell": "unit-costs",
        "status": "ok", "wall_ns": 1, "process_page_faults": 0, "process_rss_peak_bytes": 0,
        "unit_costs_ns": { "page-fault-4k": FAULT, "sys-mmap": 900.0, "syscall": 100.0 },
    });
    serde_json::from_value(line).unwrap()
}

/// Records of a factorial study with counts and unit costs; every process keeps all that it touches.
pub(super) fn records(
    study: &Study,
    time: impl Fn(&str, &str) -> f64,
    faults: impl Fn(&str, &str) -> f64,
) -> Vec<Record> {
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

/// A factorial of cache and tick with four claims, of which the first three are decided.
pub(super) fn crossed() -> (Study, Vec<Record>) {
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
        hypothesis(
            "percent",
            HypothesisKind::Relative {
                plus: "baseline".to_owned(),
                minus: "peer-fast".to_owned(),
                low_percent: 0.0,
                high_percent: f64::INFINITY,
            },
        ),
    ];
    let records = records(&study, |_, cell| truth(cell).0, |_, cell| truth(cell).1);
    (study, records)
}

/// A curve over three numbers of operations: the subject pays 500 page faults once, `fast` none.
pub(super) fn curve() -> (Study, Vec<Record>) {
    let mut study = Study::new(&["cache"], &["w10", "w20", "w50"]);
    let workloads = study.manifest.plan.workloads.iter_mut();
    workloads.for_each(|workload| workload.response = MainResponse::Mean);
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
    (study, records)
}

pub(super) fn explained_of((study, records): &(Study, Vec<Record>)) -> Explained {
    let runs = crate::prove::judge_all(&study.manifest.plan, records);
    explain(&study.manifest, &runs, &analyse(&study.manifest, records))
}

/// The breakdown and the claims of the one study, and the curve of the other.
pub(crate) fn explained() -> Explained {
    static ONCE: LazyLock<Explained> =
        LazyLock::new(|| Explained { curves: explained_of(&curve()).curves, ..explained_of(&crossed()) });
    ONCE.clone()
}
