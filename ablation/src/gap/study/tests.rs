//! Whole synthetic studies, from records to verdicts.

use super::sample::{FAULT, crossed, curve, explained_of, records, truth};
use super::*;
use crate::gap::breakdown::RowKind;
use crate::gap::hypotheses::Verdict;
use crate::unit_costs::{PAGE_FAULT_4K, SYS_MMAP};

#[test]
fn a_crossed_study_is_broken_down() {
    let explained = explained_of(&crossed());
    let unit_costs: Vec<&str> = explained.unit_costs_ns.keys().map(String::as_str).collect();
    assert_eq!(unit_costs, [PAGE_FAULT_4K, SYS_MMAP, "syscall"]);
    let names: Vec<&str> = explained.breakdowns.iter().map(|breakdown| breakdown.peer.as_str()).collect();
    assert_eq!(names, ["fast", "slow"]);
    let breakdown = &explained.breakdowns[0].breakdown;
    let row = |kind: RowKind, name: &str| {
        let found = breakdown.rows.iter().find(|row| row.kind == kind && row.name.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {:?}", breakdown.rows)).ns.value
    };
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 3.0, "{value} is not {expected}");
    near(row(RowKind::Factor, "cache"), 40.0);
    near(row(RowKind::Factor, "tick"), 20.0);
    near(row(RowKind::PageFaults, "page faults, 4"), FAULT);
    near(row(RowKind::Residual, "residual"), 100.0);
    assert!(breakdown.rows.iter().all(|row| row.kind != RowKind::SystemCalls), "both make the same calls");
}

#[test]
fn hypotheses_are_decided_from_breakdowns_and_cells() {
    let explained = explained_of(&crossed());
    let verdicts: Vec<Verdict> = explained.hypotheses.iter().map(|decision| decision.verdict).collect();
    let [first, rest @ ..] = &verdicts[..] else { panic!("five claims") };
    assert_eq!(*first, Verdict::Supported);
    assert_eq!(rest, [Verdict::Refuted, Verdict::Supported, Verdict::Undecidable, Verdict::Supported]);
    // The gap over the peer, in percent of the peer.
    let percent = explained.hypotheses[4].value.expect("is measured").value;
    let breakdown = &explained.breakdowns[0].breakdown;
    let expected = 100.0 * breakdown.gap.value / (truth("peer-fast").0);
    assert!((percent - expected).abs() < 1.0, "{percent} is not {expected}");
}

#[test]
fn a_curve_finds_the_unit_cost_of_a_fault() {
    let curve = &explained_of(&curve()).curves[0];
    let baseline = curve.cells.iter().find(|cell| cell.id == "baseline").unwrap();
    let line = baseline.by_faults.as_ref().unwrap();
    assert!((line.unit_costs[0].fitted.value - FAULT).abs() < 5.0, "{line:?}");
    assert!(!curve.cells.iter().any(|cell| cell.id == "placebo"));
    let (peer, rows) = &curve.gaps[0];
    assert_eq!((peer.as_str(), rows.len()), ("fast", 5));
    assert!(rows[0].share.is_some_and(|share| (share.value - 1.0).abs() < 0.01), "{:?}", rows[0]);
}

#[test]
fn without_unit_costs_and_peers_nothing_is_made_up() {
    let mut study = crossed();
    study.1.retain(|record| record.pass != Pass::UnitCosts);
    let without_cost = explained_of(&study);
    assert!(without_cost.unit_costs_ns.is_empty());
    let breakdown = &without_cost.breakdowns[0].breakdown;
    assert!(breakdown.rows.iter().all(|row| matches!(row.kind, RowKind::Factor | RowKind::Residual)));
    insta::assert_snapshot!("remarks_without_unit_costs", breakdown.remarks.join("\n"));
    assert_eq!(breakdown.uncounted, ["page faults", "system calls"]);
    assert!(breakdown.rows.iter().all(|row| row.through_events.is_none()));
    // What the cache does itself is not known apart from the faults that it saves.
    assert_eq!(without_cost.hypotheses[0].verdict, Verdict::Undecidable, "{:?}", without_cost.hypotheses[0]);
    assert_eq!(without_cost.hypotheses[1].verdict, Verdict::Undecidable);
    study.0.manifest.plan.cells.retain(|cell| cell.kind != CellKind::Peer);
    study.1.retain(|record| !record.cell.starts_with("peer"));
    assert!(explained_of(&study).breakdowns.is_empty());
}

#[test]
fn percentiles_without_the_events_that_were_counted_are_not_explained_by_them() {
    let (study, _) = crossed();
    let own = |cell: &str| truth(cell).0 - FAULT * truth(cell).1;
    let records = records(&study, |_, cell| own(cell), |_, cell| truth(cell).1);
    let explained = explained_of(&(study, records));
    let doubt = explained.breakdowns[0].breakdown.doubt.as_deref().expect("the times contradict the unit costs");
    insta::assert_snapshot!("doubt", doubt);
    assert_eq!(explained.hypotheses[1].verdict, Verdict::Undecidable, "{:?}", explained.hypotheses[1]);
    assert!(explained_of(&crossed()).breakdowns[0].breakdown.doubt.is_none());
}
