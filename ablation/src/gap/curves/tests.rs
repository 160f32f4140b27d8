//! Curves of processes whose truth is known.

use super::*;
use crate::gap::fixture::{counts, noisy, unit_costs};
use crate::unit_costs::{PAGE_FAULT_4K, PAGE_FAULT_HUGE};
use ablate_format::effects::Estimate;

const OPERATIONS: [f64; 7] = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// A cell that pays `once` ns per process beside its page faults (500 ns each, huge ones 90 µs), and `steady` ns per
/// operation. Faults are a number per process and a number per operation.
fn cell(id: &str, once: f64, steady: f64, small: (f64, f64), huge: (f64, f64)) -> Cell {
    let point = |(at, operations): (usize, f64)| {
        let per = |(once, each): (f64, f64)| once / operations + each;
        let (small, huge) = (per(small), per(huge));
        let time = once / operations + steady + 500.0 * small + 90_000.0 * huge;
        let counts = counts(&[(PAGE_FAULT_4K, small), (PAGE_FAULT_HUGE, huge)]);
        Point { operations, time: noisy(time, time * 1e-3, at as u64), counts }
    };
    Cell { id: id.to_owned(), points: OPERATIONS.into_iter().enumerate().map(point).collect() }
}

fn study() -> Vec<Cell> {
    vec![
        cell("baseline", 0.0, 300.0, (513.0, 0.0), (0.0, 0.0)),
        cell("peer-huge", 0.0, 250.0, (2.0, 0.0), (1.0, 0.0)),
        cell("peer-returns", 0.0, 4_000.0, (1.0, 512.0), (0.0, 0.0)),
    ]
}

fn report(cells: &[Cell]) -> CurveResult {
    let units = unit_costs(&[(PAGE_FAULT_4K, 500.0), (PAGE_FAULT_HUGE, 90_000.0)]);
    let peers = [("peer-huge", "huge"), ("peer-returns", "returns"), ("peer-that-is-missing", "missing")];
    curve("vm", cells, "baseline", &peers, &units)
}

#[track_caller]
fn about(estimate: Estimate, expected: f64) {
    let (lo, hi) = estimate.interval.unwrap();
    let near = (estimate.value - expected).abs() <= 0.02 * expected.abs().max(100.0);
    assert!(near && lo <= estimate.value && estimate.value <= hi, "{estimate:?} is not {expected}");
}

#[test]
fn what_is_paid_once_and_what_every_operation_costs_are_told_apart() {
    let report = report(&study());
    let baseline = &report.cells[0];
    about(baseline.once.unwrap(), 513.0 * 500.0);
    about(baseline.steady.unwrap(), 300.0);
    assert!(baseline.r2.unwrap() > 0.999);
    about(report.cells[2].steady.unwrap(), 4_000.0 + 512.0 * 500.0);
}

#[test]
fn a_line_over_faults_gives_their_unit_cost_where_they_change() {
    let report = report(&study());
    let line = report.cells[0].by_faults.as_ref().unwrap();
    about(line.unit_costs[0].fitted, 500.0);
    about(line.steady, 300.0);
    assert!(line.unit_costs.len() == 1 && !line.unit_costs[0].disagree && line.r2 > 0.999, "{line:?}");
    // Both sizes change together there, so that the line is over the huge ones, which cost more.
    let huge = report.cells[1].by_faults.as_ref().unwrap();
    assert_eq!(huge.unit_costs[0].kind, PAGE_FAULT_HUGE);
    about(huge.unit_costs[0].fitted, 91_000.0);
    let same = report.cells[2].by_faults.as_ref().unwrap_err();
    assert_eq!(same, "page faults per operation are the same at every number of operations");
}

#[test]
fn a_few_stray_huge_faults_do_not_take_part() {
    let mut cell = cell("baseline", 0.0, 300.0, (513.0, 0.0), (0.0, 0.0));
    cell.points.iter_mut().zip([0.0, 0.01, 0.0]).for_each(|(point, stray)| {
        point.counts.insert(PAGE_FAULT_HUGE.to_owned(), stray);
    });
    let line = report(&[cell]).cells.remove(0).by_faults.unwrap();
    assert_eq!(line.unit_costs.len(), 1, "{line:?}");
    about(line.unit_costs[0].fitted, 500.0);
}

#[test]
fn all_cells_together_tell_both_unit_costs() {
    let report = report(&study());
    let unit_costs = report.unit_costs.unwrap();
    assert_eq!(unit_costs.len(), 2);
    about(unit_costs[0].fitted, 500.0);
    about(unit_costs[1].fitted, 90_000.0);
}

#[test]
fn a_gap_is_explained_by_faults_when_cold_and_not_when_steady() {
    let report = report(&study());
    let (peer, rows) = &report.gaps[0];
    assert_eq!((peer.as_str(), rows.len(), report.gaps.len()), ("huge", OPERATIONS.len() + 2, 2));
    let faults = 511.0 * 500.0 - 90_000.0;
    about(rows[0].gap, 50.0 + faults / 10.0);
    about(rows[0].explained.unwrap(), faults / 10.0);
    about(rows[0].share.unwrap(), faults / (faults + 500.0));
    about(rows[0].share_by_fit.unwrap(), faults / (faults + 500.0));
    let [small, huge] = rows[0].faults.map(Option::unwrap);
    assert!((small - 51.1).abs() < 1e-9 && (huge + 0.1).abs() < 1e-9, "{small} {huge}");
    let (once, steady) = (&rows[7], &rows[8]);
    assert_eq!((once.at, steady.at), (At::Once, At::Steady));
    about(once.gap, faults);
    assert!((once.faults[0].unwrap() - 511.0).abs() < 1e-9);
    assert!((steady.gap.value - 50.0).abs() < 10.0 && steady.faults[0].unwrap().abs() < 1e-9, "{steady:?}");
    assert!(steady.explained.unwrap().value.abs() < 1e-3);
}

#[test]
fn what_is_not_counted_or_has_no_unit_cost_explains_nothing() {
    let mut cells = study();
    for point in cells.iter_mut().flat_map(|cell| &mut cell.points) {
        point.counts.clear();
    }
    let report = report(&cells);
    assert_eq!(report.cells[0].by_faults.as_ref().unwrap_err(), "page faults were not counted");
    assert!(report.unit_costs.is_err() && report.gaps[0].1.iter().all(|row| row.share.is_none()));
    let no_huge_cost =
        curve("vm", &study(), "baseline", &[("peer-huge", "huge")], &unit_costs(&[(PAGE_FAULT_4K, 500.0)]));
    assert!(no_huge_cost.gaps[0].1[0].explained.is_none(), "0.1 huge page faults have no cost");
}

#[test]
fn two_workloads_are_no_curve() {
    let mut cells = study();
    cells.iter_mut().for_each(|cell| cell.points.truncate(2));
    let report = report(&cells);
    assert!(report.cells.iter().all(|cell| cell.once.is_none() && cell.by_faults.is_err()));
    assert_eq!(report.gaps[0].1.len(), 2, "the gaps are there, their limits are not");
}
