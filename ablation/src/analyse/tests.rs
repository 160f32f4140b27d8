//! The whole stage on synthetic studies whose answer is known.

use super::fixture::Study;
use super::{Analysis, Effect, Proof, Response, Verdict, analyse};
use ablate_format::{Arm, CellKind, Contrast, Crossed, MainResponse};

/// Baseline 2000; `cache` costs 100, `tick` nothing; peers at 1000 and 4000.
pub(super) fn costs(_: &str, cell: &str, _: u32) -> f64 {
    match cell {
        "no-cache@env" | "minimal@env" => 1_900.0,
        "no-cache@feature" => 1_880.0,
        "peer-fast" => 1_000.0,
        "peer-slow" => 4_000.0,
        _ => 2_000.0,
    }
}

pub(super) fn effect<'a>(analysis: &'a Analysis, factor: &str, contrast: &str) -> &'a Effect {
    let found = analysis.workloads[0].main_effects().find(|e| e.factor == factor && e.contrast == contrast);
    found.unwrap_or_else(|| panic!("no {contrast} of {factor}"))
}

#[test]
fn known_effects_are_recovered() {
    let study = Study::new(&["cache", "tick"], &["w", "v"]);
    let analysis = analyse(&study.manifest, &study.records(12, costs));
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!((cache.verdict, cache.blocks, cache.reason.as_str()), (Verdict::Costs, 12, ""));
    assert!((cache.estimate.unwrap() - 100.0).abs() < 0.8, "{cache:?}");
    assert!(cache.lo.unwrap() > 98.0 && cache.hi.unwrap() < 102.0, "{cache:?}");
    assert!((cache.share.unwrap().value - 0.1).abs() < 0.001, "{cache:?}");
    let switch = effect(&analysis, "cache", "off-absent");
    assert!((switch.estimate.unwrap() - 20.0).abs() < 0.8, "{switch:?}");
    let tick = effect(&analysis, "tick", "on-off");
    assert_eq!(tick.verdict, Verdict::NotDetected);
    assert!(tick.estimate.unwrap().abs() < tick.detectable.unwrap(), "{tick:?}");
    let names: Vec<&str> = analysis.workloads[0].top_costs().iter().map(|e| e.factor.as_str()).collect();
    assert_eq!(names, ["cache"]);

    let workload = &analysis.workloads[0];
    assert_eq!(workload.gaps[0].peer, "fast");
    assert!((workload.gaps[0].gap_ns.unwrap().value - 1_000.0).abs() < 1.0);
    assert!((workload.gaps[1].gap_ratio.unwrap().value + 0.5).abs() < 0.001);
    let reference = workload.reference_gap.as_ref().unwrap();
    let minimal = &reference.explained[0];
    assert_eq!(minimal.treatment.as_deref(), Some("minimal"));
    assert!((minimal.explained.unwrap().value - 100.0).abs() < 1.0);
    assert!((minimal.left.unwrap().value - 900.0).abs() < 1.5);
    assert_eq!(reference.explained.len(), 3, "minimal, the sum by env and the sum by feature");
}

#[test]
fn an_effect_inside_the_placebo_is_below_the_floor() {
    let study = Study::new(&["cache"], &["w"]);
    let records = study.records(12, |_, cell, _| match cell {
        "placebo" => 2_120.0,
        cell => costs("", cell, 0),
    });
    let analysis = analyse(&study.manifest, &records);
    assert!(analysis.workloads[0].floor_ns.unwrap() >= 120.0);
    assert_eq!(effect(&analysis, "cache", "on-off").verdict, Verdict::BelowFloor);
    assert_eq!(effect(&analysis, "placebo", "placebo").verdict, Verdict::BelowFloor);
    assert!(analysis.workloads[0].top_costs().is_empty());
}

#[test]
fn both_percentiles_must_agree() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, costs);
    for record in records.iter_mut().filter(|r| r.cell == "no-cache@env") {
        let measured = record.measured.as_mut().unwrap();
        (measured.latency_ns_p50, measured.latency_ns_p99) =
            (Some(2_002.0 + 0.1 * f64::from(record.block)), Some(3_000.0));
    }
    let analysis = analyse(&study.manifest, &records);
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!(cache.verdict, Verdict::Inconclusive);
    assert_eq!(cache.reason, "costs here, but not-detected by p50");
}

#[test]
fn a_workload_may_be_judged_by_its_mean() {
    let mut study = Study::new(&["cache"], &["w"]);
    study.manifest.plan.workloads[0].response = MainResponse::Mean;
    // The percentiles see nothing: what costs are a few slow operations.
    let mut records = study.records(12, |_, _, _| 100.0);
    for record in &mut records {
        let mean = costs("", &record.cell, 0) + f64::from(record.block % 3);
        record.measured.as_mut().unwrap().latency_ns_mean = Some(mean);
    }
    let analysis = analyse(&study.manifest, &records);
    let workload = &analysis.workloads[0];
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!((cache.response, cache.verdict), (Response::LatencyNsMean, Verdict::Costs));
    assert_eq!((cache.estimate, cache.proof), (Some(100.0), Proof::Proven));
    assert!(workload.effects.iter().all(|e| e.response != Response::LatencyNsP10), "one claim about time a contrast");
    assert!((workload.gaps[0].gap_ns.unwrap().value - 1_000.0).abs() < 1.0);
    assert_eq!(workload.floor_ns, Some(0.0));
    assert!((workload.reference_gap.as_ref().unwrap().explained[0].explained.unwrap().value - 100.0).abs() < 1.0);
    assert!(workload.cells[0].value(MainResponse::Mean).unwrap().value > 1_999.0);
    assert!(workload.cells[0].latency_ns_p10.unwrap().value < 102.0);
}

#[test]
fn the_mean_needs_most_blocks_to_agree() {
    let mut study = Study::new(&["cache"], &["w"]);
    study.manifest.plan.workloads[0].response = MainResponse::Mean;
    let mut records = study.records(12, costs);
    for record in records.iter_mut().filter(|r| r.cell == "no-cache@env") {
        // Faster in nine blocks of twelve: enough for the trimmed mean, not for the sign test.
        let ahead = if record.block < 3 { 5.0 } else { -100.0 };
        record.measured.as_mut().unwrap().latency_ns_mean = Some(2_003.0 + ahead);
    }
    let analysis = analyse(&study.manifest, &records);
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!(cache.verdict, Verdict::Inconclusive, "{cache:?}");
    assert_eq!(cache.reason, "costs by the trimmed mean of the blocks, but not-detected by their median");
}

#[test]
fn counts_have_effects_and_shares_need_a_gap() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, |_, cell, _| if cell == "peer-fast" { 2_000.0 } else { costs("", cell, 0) });
    for (cell, calls) in [("baseline", 3_000), ("placebo", 3_000), ("no-cache@env", 5_000)] {
        for repeat in 0..2 {
            records.push(study.counting("w", cell, repeat, &[("syscalls", calls), ("page-faults", 0)]));
            records.push(study.idle("w", cell, repeat, &[("syscalls", 0), ("page-faults", 0)]));
        }
    }
    let analysis = analyse(&study.manifest, &records);
    let cache = effect(&analysis, "cache", "on-off");
    assert_eq!((cache.verdict, cache.share), (Verdict::Costs, None), "no gap, no share of it");
    let calls = analysis.workloads[0].sibling(cache, Response::SyscallsPerOp).unwrap();
    assert_eq!((calls.estimate, calls.lo, calls.verdict), (Some(-2.0), Some(-2.0), Verdict::Saves));
    let faults = analysis.workloads[0].sibling(cache, Response::PageFaultsPerOp).unwrap();
    assert_eq!((faults.estimate, faults.verdict), (Some(0.0), Verdict::NotDetected));
    assert!(analysis.workloads[0].sibling(cache, Response::InstructionsPerOp).is_none(), "no run counted them");
}

#[test]
fn a_factorial_gives_main_effects() {
    let mut study = Study::new(&["cache", "tick"], &["w"]);
    let main = |factor: &str| Contrast {
        factor: factor.to_owned(),
        contrast: "main".to_owned(),
        arm: Some(Arm::Env),
        plus: String::new(),
        minus: String::new(),
        attribution: true,
    };
    study.manifest.plan.contrasts.extend([main("cache"), main("tick")]);
    let crossed = |factor: &str| Crossed { factor: factor.to_owned(), away: "off".to_owned() };
    study.manifest.plan.crossed = vec![crossed("cache"), crossed("tick")];
    // With an interplay: cache costs 100 with tick and 40 without, so 70 on average.
    let records = study.records(12, |_, cell, _| match cell {
        "no-cache@env" => 1_900.0,
        "no-tick@env" => 1_960.0,
        "minimal@env" => 1_920.0,
        _ => 2_000.0,
    });
    let analysis = analyse(&study.manifest, &records);
    let cache = effect(&analysis, "cache", "main");
    assert!((cache.estimate.unwrap() - 70.0).abs() < 1.0, "{cache:?}");
    let tick = effect(&analysis, "tick", "main");
    assert!((tick.estimate.unwrap() - 10.0).abs() < 1.0, "{tick:?}");
}

#[test]
fn twenty_thousand_records_are_analysed() {
    let mut study = Study::new(&["a", "b", "c", "d", "e", "f"], &["w", "v"]);
    let mut slow = study.cell("peer-slow").clone();
    slow.id = "peer-slower".to_owned();
    study.manifest.plan.cells.push(slow);
    let records = study.records(600, costs);
    assert!(records.len() >= 20_000);
    let analysis = analyse(&study.manifest, &records);
    assert_eq!((analysis.runs, analysis.ignored), (records.len(), 0));
    assert_eq!(analysis.workloads[1].cells.iter().filter(|cell| cell.kind == CellKind::Peer).count(), 3);
}
