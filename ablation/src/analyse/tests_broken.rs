//! The whole stage on studies in which something went wrong: nothing is claimed that is not proven.

use super::fixture::Study;
use super::tests::{costs, effect};
use super::{Proof, Verdict, analyse};
use ablate_format::{Pass, Record, Status};

fn set(record: &mut Record, factor: &str, value: u64) {
    let counters = &mut record.measured.as_mut().unwrap().counters;
    counters.insert(factor.to_owned(), [("moves".to_owned(), value)].into());
}

#[test]
fn without_a_floor_nothing_is_claimed() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, costs);
    records.retain(|record| record.cell != "placebo");
    let analysis = analyse(&study.manifest, &records);
    assert_eq!(effect(&analysis, "cache", "on-off").verdict, Verdict::Inconclusive);
    assert_eq!(analysis.workloads[0].floor_ns, None);
    assert_eq!(analysis.workloads[0].cells[1].status, "missing");
}

#[test]
fn invalid_runs_are_never_averaged() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, costs);
    for record in records.iter_mut().filter(|r| r.cell == "no-cache@env" && r.block < 3) {
        // The switch was read too late: the work was done all the same.
        set(record, "cache", 9);
        record.measured.as_mut().unwrap().latency_ns_p10 = Some(1.0);
    }
    let analysis = analyse(&study.manifest, &records);
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!((cache.blocks, cache.verdict), (9, Verdict::Costs));
    assert!((cache.estimate.unwrap() - 100.0).abs() < 1.0, "{cache:?}");
    let cell = analysis.workloads[0].cells.iter().find(|cell| cell.id == "no-cache@env").unwrap();
    assert_eq!((cell.status, cell.proof.as_deref()), ("ok", Some("invalid 3/12")));
    assert!(cell.latency_ns_p10.unwrap().value > 1_800.0);
    assert_eq!((analysis.failures[0].runs, analysis.failures[0].status), (3, "invalid"));
    assert!(analysis.failures[0].reason.contains("expected counter cache.moves at 0, seen 9"));
}

#[test]
fn a_cell_that_is_all_invalid_has_no_effect() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, costs);
    records.iter_mut().filter(|r| r.cell == "no-cache@env").for_each(|r| set(r, "cache", 1));
    let analysis = analyse(&study.manifest, &records);
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!((cache.verdict, cache.estimate, cache.lo, cache.hi), (Verdict::Invalid, None, None, None));
    assert_eq!(cache.proof, Proof::Invalid);
    assert_eq!(effect(&analysis, "cache", "on-absent").verdict, Verdict::Costs, "the other arm stands");
}

#[test]
fn a_cell_whose_timing_failed_shows_no_counts() {
    let study = Study::new(&["cache"], &["w"]);
    for status in [Status::Invalid, Status::Crashed] {
        let mut records = study.records(12, costs);
        records.extend(["baseline", "no-cache@env"].map(|cell| study.counting("w", cell, 0, &[("syscalls", 3)])));
        for record in records.iter_mut().filter(|r| r.cell == "no-cache@env" && r.pass == Pass::Timing) {
            record.status = status;
        }
        let analysis = analyse(&study.manifest, &records);
        let cell = analysis.workloads[0].cells.iter().find(|cell| cell.id == "no-cache@env").unwrap();
        assert_ne!(cell.status, "ok");
        assert!(cell.counts.is_empty() && cell.latency_ns_p10.is_none(), "{cell:?}");
        assert_eq!(effect(&analysis, "cache", "on-off").verdict, Verdict::Invalid);
    }
}

#[test]
fn a_factor_that_did_nothing_is_not_exercised() {
    let study = Study::new(&["cache", "tick"], &["w"]);
    let mut records = study.records(12, costs);
    let on = |r: &&mut Record| r.measured.as_ref().unwrap().levels.get("cache").is_some_and(|level| level == "on");
    records.iter_mut().filter(on).for_each(|r| set(r, "cache", 0));
    let analysis = analyse(&study.manifest, &records);
    for contrast in ["on-off", "on-absent", "off-absent"] {
        let cache = effect(&analysis, "cache", contrast);
        assert_eq!((cache.verdict, cache.estimate, cache.share), (Verdict::NotExercised, None, None), "{contrast}");
        assert!(cache.reason.contains("cache.moves stayed 0 in 12 of 12 runs"), "{}", cache.reason);
    }
    assert_eq!(effect(&analysis, "tick", "on-off").verdict, Verdict::NotDetected);
    assert_eq!(effect(&analysis, "minimal", "baseline-minimal").verdict, Verdict::Costs, "tick did work");
    let reference = analysis.workloads[0].reference_gap.as_ref().unwrap();
    assert_eq!(reference.explained[1].missing, ["cache"]);
}

#[test]
fn of_two_levels_that_work_one_with_work_is_enough() {
    let mut study = Study::new(&["cache"], &["w"]);
    study.cell("no-cache@env").levels.insert("cache".into(), "direct".into());
    let mut records = study.records(12, costs);
    let of = |cell: &'static str| move |r: &&mut Record| r.cell == cell;
    records.iter_mut().filter(of("baseline")).for_each(|r| set(r, "cache", 0));
    assert_eq!(effect(&analyse(&study.manifest, &records), "cache", "on-off").verdict, Verdict::Costs);
    records.iter_mut().filter(of("no-cache@env")).for_each(|r| set(r, "cache", 0));
    let both = analyse(&study.manifest, &records);
    assert_eq!(effect(&both, "cache", "on-off").verdict, Verdict::NotExercised);
}

#[test]
fn few_blocks_have_no_interval() {
    let study = Study::new(&["cache"], &["w"]);
    let analysis = analyse(&study.manifest, &study.records(5, costs));
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!((cache.verdict, cache.lo, cache.blocks), (Verdict::Inconclusive, None, 5));
    assert_eq!(cache.reason, "too few blocks for an interval (5 of 6)");
    assert!(cache.estimate.is_some() && cache.share.is_none());
    assert_eq!(analysis.workloads[0].cells[0].latency_ns_p10.unwrap().interval, None);
}

#[test]
fn incomplete_blocks_and_foreign_records_are_left_out() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, costs);
    // One cell crashed in four blocks; another one is missing in the last block because of an interrupt.
    records.retain(|r| !(r.cell == "no-cache@env" && r.block >= 8));
    records.retain(|r| !(r.cell == "no-cache@feature" && r.block == 11));
    records.extend((8..12).map(|block| study.failed("w", "no-cache@env", block, Status::Crashed, "signal 11")));
    let mut foreign = study.timing("w", "baseline", 0, 5.0);
    foreign.workload = "elsewhere".to_owned();
    records.push(foreign);
    records.push(study.timing("w", "baseline", 3, 2_000.0));
    let analysis = analyse(&study.manifest, &records);
    assert_eq!(effect(&analysis, "cache", "on-off").blocks, 8);
    assert_eq!(effect(&analysis, "cache", "on-absent").blocks, 11);
    assert_eq!(effect(&analysis, "cache", "off-absent").blocks, 8);
    assert_eq!(analysis.ignored, 2);
    assert_eq!(analysis.workloads[0].cells[2].proof.as_deref(), Some("crashed 4/12"));
}

#[test]
fn a_wrong_checksum_takes_the_run_out() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, costs);
    records.iter_mut().filter(|r| r.cell == "peer-fast").for_each(|r| {
        r.measured.as_mut().unwrap().checksum = "other work".to_owned();
    });
    let analysis = analyse(&study.manifest, &records);
    assert_eq!(analysis.workloads[0].gaps[0].gap_ns, None);
    assert_eq!(analysis.workloads[0].cells.iter().find(|c| c.id == "peer-fast").unwrap().status, "invalid");
    assert_eq!(effect(&analysis, "cache", "on-off").share, None);
}

#[test]
fn absurd_values_do_not_panic() {
    let study = Study::new(&["cache"], &["w"]);
    let absurd = [f64::NAN, f64::INFINITY, -5.0, 0.0, f64::MAX, f64::MIN_POSITIVE];
    let mut records = study.records(12, costs);
    for (at, record) in records.iter_mut().enumerate() {
        let value = absurd[at % absurd.len()];
        let measured = record.measured.as_mut().unwrap();
        (measured.latency_ns_p10, measured.latency_ns_p50, measured.latency_ns_p99) =
            (Some(value), Some(value), Some(value));
        measured.operations = if at % 11 == 0 { 0 } else { u64::MAX };
        record.block = if at % 7 == 0 { u32::MAX } else { record.block };
    }
    let analysis = analyse(&study.manifest, &records);
    assert!(analysis.failures.iter().any(|failure| failure.reason.contains("a latency is negative or not a number")));
}
