//! Bars whose outcome is known.

use super::*;
use crate::analyse::{Analysis, analyse, fixture::Study};
use ablate_format::Record;

/// A target over workloads, to be given a response or another bar.
fn target(kind: TargetKind, workloads: &[&str], bar: Bar) -> Target {
    let workloads = workloads.iter().map(|name| name.to_string()).collect();
    Target { name: "t".into(), claim: "c".into(), workloads, kind, response: None, bar }
}

fn ratio(peer: Against) -> TargetKind {
    TargetKind::Ratio { peer }
}

fn rows(peer: Against) -> TargetKind {
    TargetKind::Rows { peer }
}

fn peer(name: &str) -> Against {
    Against::Peer(name.to_owned())
}

/// Nanoseconds by workload and cell: against `fast` the subject takes 2 and 0.5 times as long, against `slow` half.
fn costs(workload: &str, cell: &str, _: u32) -> f64 {
    match (workload, cell) {
        ("a", "peer-fast") => 1_000.0,
        ("b", "peer-fast") => 4_000.0,
        (_, "peer-slow") => 4_000.0,
        _ => 2_000.0,
    }
}

fn analysed(targets: Vec<Target>, blocks: u32, change: impl FnOnce(&mut Study, &mut Vec<Record>)) -> Analysis {
    let mut study = Study::new(&[], &["a", "b"]);
    study.manifest.plan.cells.retain(|cell| cell.id != "minimal@env");
    study.manifest.plan.contrasts.retain(|contrast| contrast.contrast == "placebo");
    let mut records = study.records(blocks, costs);
    change(&mut study, &mut records);
    study.manifest.plan.targets = targets;
    analyse(&study.manifest, &records)
}

fn judged(target: Target) -> JudgedTarget {
    analysed(vec![target], 12, |_, _| {}).targets.remove(0)
}

#[track_caller]
fn check(target: Target, verdict: TargetVerdict, value: f64) -> JudgedTarget {
    let judged = judged(target);
    let seen = judged.rows[0].value;
    assert_eq!(judged.verdict, verdict, "{judged:#?}");
    assert!((seen.value / value - 1.0).abs() < 0.002, "{seen:?}");
    let (lo, hi) = seen.interval.expect("twelve blocks");
    assert!(lo <= seen.value && seen.value <= hi && hi - lo < 0.01 * value, "{seen:?}");
    judged
}

#[test]
fn a_geometric_mean_is_held_to_its_bar_against_each_peer() {
    use TargetVerdict::{Met, Missed, Open};
    let both = ["a", "b"];
    check(target(ratio(peer("fast")), &both, Bar::High(1.1)), Met, 1.0);
    check(target(ratio(peer("slow")), &both, Bar::High(0.51)), Met, 0.5);
    check(target(ratio(peer("slow")), &both, Bar::High(0.49)), Missed, 0.5);
    let open = check(target(ratio(peer("slow")), &both, Bar::High(0.5)), Open, 0.5);
    assert!(open.rows[0].value.interval.is_some_and(|(lo, hi)| lo <= 0.5 && 0.5 <= hi), "{open:?}");
    // The worst peer comes first and decides.
    let each = check(target(ratio(Against::Each), &both, Bar::High(0.9)), Missed, 1.0);
    assert_eq!((each.rows.len(), each.rows[0].peer.as_deref()), (2, Some("fast")));
    check(target(ratio(Against::Each), &both, Bar::High(1.1)), Met, 1.0);
    // Against the best of each workload: 2 in a, 0.5 in b.
    check(target(ratio(Against::Best), &both, Bar::High(1.1)), Met, 1.0);
    // More is better: the best peer is the one with most.
    check(target(ratio(Against::Best), &both, Bar::Low(0.6)), Missed, 0.5);
}

#[test]
fn every_row_is_held_to_the_bar_and_those_that_miss_are_named() {
    let judged = check(target(rows(Against::Best), &["a", "b"], Bar::High(1.15)), TargetVerdict::Missed, 2.0);
    let told: Vec<_> = judged.rows.iter().map(|r| (r.workload.as_deref(), r.peer.as_deref(), r.verdict)).collect();
    let expected = [(Some("a"), Some("fast"), TargetVerdict::Missed), (Some("b"), Some("fast"), TargetVerdict::Met)];
    assert_eq!((told[0], told[1].0, told[1].2), (expected[0], expected[1].0, expected[1].2));
    check(target(rows(Against::Best), &["a", "b"], Bar::High(2.1)), TargetVerdict::Met, 2.0);
    let each = judged_rows(Against::Each);
    assert_eq!(each, [("a", "fast"), ("a", "slow"), ("b", "fast"), ("b", "slow")].map(|(w, p)| (w.into(), p.into())));
}

fn judged_rows(against: Against) -> Vec<(String, String)> {
    let rows = judged(target(rows(against), &["a", "b"], Bar::High(9.0))).rows;
    let mut names: Vec<_> = rows.into_iter().filter_map(|row| Some((row.workload?, row.peer?))).collect();
    names.sort();
    names
}

#[test]
fn the_subjects_own_values_and_quotients_are_held_to_bars() {
    let with = |of: MainResponse, over: Option<MainResponse>, bar: f64| {
        let target = target(TargetKind::Value, &["a", "b"], Bar::High(bar));
        Target { response: Some(TargetResponse { of, over }), ..target }
    };
    // p99 is 10 ns and p50 is 2 ns above p10.
    let tail = check(with(MainResponse::P99, Some(MainResponse::P50), 1.01), TargetVerdict::Met, 2_010.0 / 2_002.0);
    assert_eq!((tail.rows.len(), tail.unit_of), (2, None));
    let value = check(with(MainResponse::P99, None, 2_000.0), TargetVerdict::Missed, 2_010.0);
    assert_eq!(value.unit_of, Some(MainResponse::P99));
    check(target(TargetKind::Value, &["a"], Bar::Low(1_900.0)), TargetVerdict::Met, 2_000.0);
    check(target(TargetKind::Between, &["a", "b"], Bar::Low(0.9)), TargetVerdict::Met, 1.0);
    check(target(TargetKind::Between, &["a", "b"], Bar::Low(1.1)), TargetVerdict::Missed, 1.0);
}

#[test]
fn nothing_is_met_by_what_is_missing() {
    let of_fast = |study: &mut Study, records: &mut Vec<Record>| {
        let fast = records.iter_mut().filter(|record| record.cell == "peer-fast" && record.workload == "b");
        fast.for_each(|record| record.measured.as_mut().unwrap().served_by = Some("libc".into()));
        study.manifest.blocks = 12;
    };
    let easy = |against: Against| target(rows(against), &["a", "b"], Bar::High(9.0));
    for against in [Against::Best, Against::Each, peer("fast")] {
        let judged = analysed(vec![easy(against)], 12, of_fast).targets.remove(0);
        assert_eq!(judged.verdict, TargetVerdict::Open, "{judged:#?}");
        assert_eq!(judged.missing, ["peer `fast` has no proven value above 0 in b"]);
    }
    let absent = judged(easy(peer("gone")));
    assert_eq!(
        (absent.verdict, absent.missing[0].as_str()),
        (TargetVerdict::NotJudged, "peer `gone` is not on this machine")
    );
    let value = Target {
        response: MainResponse::named("value:held_share").map(|of| TargetResponse { of, over: None }),
        ..target(TargetKind::Value, &["a"], Bar::High(0.1))
    };
    let value = judged(value);
    let missing = "the subject has no proven value of value:held_share in a";
    assert_eq!((value.verdict, value.missing[0].as_str()), (TargetVerdict::NotJudged, missing));
}

#[test]
fn peers_that_are_no_competitors_or_run_elsewhere_do_not_count() {
    let bound = |study: &mut Study, _: &mut Vec<Record>| study.cell("peer-fast").compare = false;
    let best = target(rows(Against::Best), &["a"], Bar::High(1.0));
    let judged = analysed(vec![best.clone()], 12, bound).targets.remove(0);
    assert_eq!((judged.verdict, judged.rows[0].peer.as_deref()), (TargetVerdict::Met, Some("slow")));
    let elsewhere = |study: &mut Study, records: &mut Vec<Record>| {
        records.retain(|record| record.cell != "peer-fast" || record.workload == "b");
        study.manifest.plan.workloads[0].cells = ["baseline", "placebo", "peer-slow"].map(str::to_owned).to_vec();
    };
    let judged = analysed(vec![best], 12, elsewhere).targets.remove(0);
    assert_eq!((judged.verdict, judged.missing.len()), (TargetVerdict::Met, 0), "{judged:#?}");
}

#[test]
fn few_blocks_leave_every_bar_open() {
    let judged = analysed(vec![target(ratio(peer("slow")), &["a"], Bar::High(0.9))], 5, |_, _| {}).targets.remove(0);
    assert_eq!((judged.verdict, judged.blocks_needed), (TargetVerdict::Open, Some(6)));
    assert!(judged.rows[0].value.interval.is_none());
}

#[test]
fn of_peers_that_are_equally_good_the_best_is_chosen_in_every_draw() {
    let around = |center: f64, seed: u64| {
        let mut random = ablate_stats::random::seeded(seed);
        let draws = (0..2_000).map(|_| center + 0.01 * ablate_stats::random::normal(&mut random)).collect();
        Drawn::new(center, 30, draws)
    };
    let (a, b) = (around(0.0, 1), around(-1e-9, 2));
    let line = |worst: Drawn, sure: Drawn| Line { workload: None, peer: None, sure, worst };
    let alone = line(a.clone(), a.clone()).row(Bar::High(0.05), 1).value.interval.expect("30 blocks");
    let both = line(a.combine(&b, f64::max), a.clone()).row(Bar::High(0.05), 1).value.interval.expect("30 blocks");
    // A miss is told as if there were one peer; to be met takes the better one of every draw.
    assert!(both.0 == alone.0 && both.1 > alone.1, "{alone:?} {both:?}");
    // Of ten numbers each has a tenth of the error where a single miss is enough.
    let ten = line(a.clone(), a).row(Bar::High(0.05), 10).value.interval.expect("30 blocks");
    assert!(ten.0 < alone.0 && ten.1 == alone.1, "{alone:?} {ten:?}");
}

#[test]
fn workloads_that_targets_take_together_have_a_mean_for_each_peer() {
    let both = [
        target(ratio(Against::Each), &["a", "b"], Bar::High(1.0)),
        target(ratio(peer("slow")), &["a", "b"], Bar::High(1.0)),
    ];
    let groups = analysed(both.to_vec(), 12, |_, _| {}).groups;
    assert_eq!((groups.len(), groups[0].targets.len()), (1, 2));
    let ratios: Vec<(&str, f64)> =
        groups[0].ratios.iter().filter_map(|(peer, ratio)| Some((peer.as_str(), ratio.as_ref()?.value))).collect();
    assert!(ratios[0].0 == "fast" && (ratios[0].1 - 1.0).abs() < 0.002, "{ratios:?}");
    assert!(ratios[1].0 == "slow" && (ratios[1].1 - 0.5).abs() < 0.002, "{ratios:?}");
}
