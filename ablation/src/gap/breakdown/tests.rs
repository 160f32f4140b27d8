//! The breakdown against subjects whose truth is known.

use super::*;
use crate::gap::UnitCosts;
use crate::gap::fixture::{counts, exact, noisy, unit_costs};

/// Two crossed factors: `cache` costs 40 ns itself and saves 10 faults and a call, `tick` costs 5 ns. The bare subject
/// takes 300 ns itself, the peer 120 ns.
struct Study {
    factors: Vec<String>,
    masks: Vec<Drawn>,
    mask_counts: Vec<Counts>,
    peer: Drawn,
    peer_counts: Counts,
    units: UnitCosts,
}

const FAULT: f64 = 500.0;
const MMAP: f64 = 900.0;

fn events(faults: f64, calls: f64) -> Counts {
    counts(&[(PAGE_FAULT_4K, faults), ("sys-mmap", calls), (PAGE_FAULT_HUGE, 0.0)])
}

impl Study {
    fn new(noise: f64) -> Study {
        let at_work = |mask: usize, factor: usize| (mask >> factor & 1) as f64;
        let faults = |mask| 12.0 - 10.0 * at_work(mask, 0);
        let calls = |mask| 2.0 - at_work(mask, 0);
        let time = |mask| {
            let own = 300.0 + 40.0 * at_work(mask, 0) + 5.0 * at_work(mask, 1);
            noisy(own + FAULT * faults(mask) + MMAP * calls(mask), noise, mask as u64)
        };
        Study {
            factors: vec!["cache".to_owned(), "tick".to_owned()],
            masks: (0..4).map(time).collect(),
            mask_counts: (0..4).map(|mask| events(faults(mask), calls(mask))).collect(),
            peer: noisy(120.0 + FAULT, noise, 9),
            peer_counts: events(1.0, 0.0),
            units: UnitCosts::new([(PAGE_FAULT_4K.to_owned(), exact(FAULT)), ("sys-mmap".to_owned(), exact(MMAP))]),
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            factors: &self.factors,
            masks: &self.masks,
            mask_counts: &self.mask_counts,
            baseline: &self.masks[3],
            peer: &self.peer,
            baseline_counts: &self.mask_counts[3],
            peer_counts: &self.peer_counts,
            cells: &[],
            unit_costs: &self.units,
        }
    }
}

#[track_caller]
fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-6 * expected.abs().max(1.0), "{value} is not {expected}");
}

fn find<'a>(breakdown: &'a Breakdown, name: &str) -> &'a Row {
    let row = breakdown.rows.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("no row {name} in {:?}", breakdown.rows))
}

#[test]
fn known_parts_are_found() {
    let study = Study::new(0.0);
    let breakdown = breakdown(&study.input()).unwrap();
    close(breakdown.gap.value, 345.0 - 120.0 + FAULT * (2.0 - 1.0) + MMAP);
    let cache = find(&breakdown, "cache");
    close(cache.ns.value, 40.0);
    close(cache.through_events.unwrap().value, -10.0 * FAULT - MMAP);
    close(cache.whole.unwrap().value, 40.0 - 10.0 * FAULT - MMAP);
    close(find(&breakdown, "tick").ns.value, 5.0);
    close(find(&breakdown, "page faults, 4 KiB").ns.value, FAULT);
    close(find(&breakdown, "mmap").ns.value, MMAP);
    close(find(&breakdown, "mmap").count.unwrap(), 1.0);
    close(find(&breakdown, "residual").ns.value, 300.0 - 120.0);
    let names: Vec<&str> = breakdown.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["cache", "tick", "page faults, 4 KiB", "mmap", "residual"]);
}

#[test]
fn rows_add_up_to_the_gap_in_every_draw() {
    let mut study = Study::new(20.0);
    study.units = unit_costs(&[(PAGE_FAULT_4K, FAULT), ("sys-mmap", MMAP)]);
    let breakdown = breakdown(&study.input()).unwrap();
    let sum = Drawn::linear(breakdown.rows.iter().map(|row| (1.0, &row.drawn))).unwrap();
    for (sum, gap) in sum.draws().iter().zip(breakdown.gap().draws()) {
        close(*sum, *gap);
    }
    close(breakdown.rows.iter().map(|row| row.share.unwrap().value).sum(), 1.0);
    // The residual is what both sides still differ in when the events of both are paid for.
    let paid = |time: &Drawn, counts: &Counts| {
        let terms = study.units.all().map(|(kind, ns)| (-counts[kind], ns));
        Drawn::linear(terms.chain([(1.0, time)])).unwrap()
    };
    let bare = paid(&study.masks[0], &study.mask_counts[0]);
    let expected = bare.combine(&paid(&study.peer, &study.peer_counts), |bare, peer| bare - peer);
    let residual = find(&breakdown, "residual");
    close(residual.ns.value, expected.point);
    assert!(residual.ns.interval.is_some_and(|(lo, hi)| lo < 180.0 && 180.0 < hi));
}

#[test]
fn without_combinations_factors_are_in_the_residual_and_a_remark_says_so() {
    let study = Study::new(0.0);
    let input = Input { factors: &[], masks: &[], mask_counts: &[], ..study.input() };
    let breakdown = breakdown(&input).unwrap();
    assert!(!breakdown.separated);
    insta::assert_snapshot!("remarks_not_crossed", breakdown.remarks.join("\n"));
    close(find(&breakdown, "residual").ns.value, 180.0 + 45.0);
    assert_eq!(breakdown.part("cache").unwrap_err(), "cache is not separated, because its workload is not crossed");
}

#[test]
fn parts_have_the_names_of_hypotheses() {
    let study = Study::new(0.0);
    let breakdown = breakdown(&study.input()).unwrap();
    close(breakdown.part("cache").unwrap().point, 40.0);
    close(breakdown.part("page-faults").unwrap().point, FAULT);
    close(breakdown.part("system-calls").unwrap().point, MMAP);
    close(breakdown.part("residual").unwrap().point, 180.0);
    assert_eq!(breakdown.part("elo").unwrap_err(), "elo is not among the crossed factors");
}

#[test]
fn shares_need_a_gap_that_is_told_apart_from_0() {
    let mut study = Study::new(20.0);
    study.peer = noisy(study.masks[3].point - 1.0, 20.0, 4);
    let breakdown = breakdown(&study.input()).unwrap();
    assert!(breakdown.rows.iter().all(|row| row.share.is_none()));
}

#[test]
fn what_is_not_counted_or_has_no_unit_cost_everywhere_is_a_remark_and_stays_in_the_residual() {
    let mut study = Study::new(0.0);
    for counts in study.mask_counts.iter_mut().chain([&mut study.peer_counts]) {
        counts.insert("sys-futex".to_owned(), 0.0);
        counts.insert(PAGE_FAULT_HUGE.to_owned(), 1.0);
    }
    study.mask_counts[1].remove("sys-mmap");
    let breakdown = breakdown(&study.input()).unwrap();
    insta::assert_snapshot!("remarks_not_counted", breakdown.remarks.join("\n"));
    close(find(&breakdown, "residual").ns.value, 180.0 + 2.0 * MMAP);
}

#[test]
fn many_kinds_of_calls_are_taken_together() {
    let mut study = Study::new(0.0);
    for at in 0..7 {
        let kind = format!("sys-call{at}");
        study.mask_counts.iter_mut().for_each(|counts| _ = counts.insert(kind.clone(), f64::from(at)));
        study.peer_counts.insert(kind, 0.0);
    }
    study.units = unit_costs(&[(PAGE_FAULT_4K, FAULT), ("sys-mmap", MMAP), ("syscall", 100.0)]);
    let breakdown = breakdown(&study.input()).unwrap();
    let calls: Vec<&Row> = breakdown.rows.iter().filter(|row| row.kind == RowKind::SystemCalls).collect();
    let names: Vec<&str> = calls.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["mmap", "call6", "call5", "call4", "3 other system calls"]);
    close(calls[4].ns.value, 100.0 * (1.0 + 2.0 + 3.0));
    assert!(calls[0].is_measured && !calls[1].is_measured && !calls[4].is_measured);
    insta::assert_snapshot!("remarks_lower_bounds", breakdown.remarks.join("\n"));
}
