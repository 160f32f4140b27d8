//! Tables of peers and targets, as people see them.

use super::super::targets;
use super::*;
use crate::analyse::analyse;
use crate::analyse::fixture::Study;
use ablate_format::{AbsentPeer, Against, Bar, MainResponse, Record, Target, TargetKind, TargetResponse};

/// A race without factors in two workloads, with so many peers besides `fast` and `slow`.
fn race(more: usize) -> (Study, Vec<Record>) {
    let mut study = Study::new(&[], &["small", "large"]);
    study.manifest.plan.cells.retain(|cell| cell.id != "minimal@env");
    study.manifest.plan.contrasts.retain(|contrast| contrast.contrast == "placebo");
    for at in 0..more {
        let mut peer = study.cell("peer-slow").clone();
        (peer.id, peer.name) = (format!("peer-number-{at}"), format!("number-{at}"));
        study.manifest.plan.cells.push(peer);
    }
    let records = study.records(12, |workload, cell, _| match (workload, cell) {
        (_, "peer-fast") => 1_000.0,
        ("large", "peer-slow") => 2_000.0,
        (_, "peer-slow") => 4_000.0,
        _ => 2_000.0,
    });
    (study, records)
}

fn target(name: &str, kind: TargetKind, bar: Bar) -> Target {
    let workloads = ["small", "large"].map(str::to_owned).to_vec();
    Target { name: name.to_owned(), claim: "it is so".to_owned(), workloads, kind, response: None, bar }
}

fn text(study: &Study, records: &[Record], columns: usize) -> String {
    let analysis = analyse(&study.manifest, records);
    let mut document = Document::default();
    targets::targets(&mut document, &analysis, false);
    peers(&mut document, &study.manifest, &analysis, columns);
    let text = document.terminal(columns);
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= columns, "{widest}:\n{text}");
    text
}

#[test]
fn every_workload_has_its_ratios_with_the_best_peer_and_ties_marked() {
    let (mut study, mut records) = race(0);
    study.cell("peer-slow").compare = true;
    study.manifest.plan.targets = vec![target("t1", TargetKind::Ratio { peer: Against::Each }, Bar::High(1.0))];
    let absent =
        AbsentPeer { peer: "hard".into(), why: "there is no library `h.so`".into(), hint: "apt-get install h".into() };
    study.manifest.plan.absent = vec![absent];
    let said = text(&study, &records, 100);
    insta::assert_snapshot!("best_and_ties", said);
    // A peer that does not run here, one that is a bound, and one without a proven run.
    study.manifest.plan.workloads[1].cells = ["baseline", "placebo", "peer-slow"].map(str::to_owned).to_vec();
    study.cell("peer-fast").compare = false;
    records.retain(|record| record.workload == "small" || record.cell == "baseline");
    let said = text(&study, &records, 100);
    insta::assert_snapshot!("absent_and_bound", said);
}

#[test]
fn small_ratios_keep_two_digits() {
    for (ratio, expected) in
        [(0.0312, "0.031"), (0.00041, "0.00041"), (0.0999, "0.1"), (0.213, "0.213"), (12.44, "12.4")]
    {
        assert!(digits(ratio).starts_with(expected), "{}", digits(ratio));
    }
}

#[test]
fn many_peers_take_several_tables() {
    let (study, records) = race(14);
    for columns in [72, 100] {
        let said = text(&study, &records, columns);
        assert!(said.matches("\nworkload ").count() >= 2, "{said}");
        for at in 0..14 {
            assert_eq!(
                said.matches(&format!("number-{at} ")).count() + said.matches(&format!("number-{at}\n")).count(),
                1,
                "{said}"
            );
        }
    }
    let analysis = analyse(&study.manifest, &records);
    let mut document = Document::default();
    peers(&mut document, &study.manifest, &analysis, usize::MAX);
    assert_eq!(document.markdown().matches("| workload").count(), 1);
}

#[test]
fn verdicts_say_how_near_and_which_rows() {
    let (mut study, mut records) = race(0);
    for record in &mut records {
        record.measured.as_mut().unwrap().values = [("idle_share".to_owned(), 0.16)].into();
    }
    let share = MainResponse::named("value:idle_share").map(|of| TargetResponse { of, over: None });
    let tail = TargetResponse { of: MainResponse::P99, over: Some(MainResponse::P50) };
    study.manifest.plan.targets = vec![
        target("t-mean", TargetKind::Ratio { peer: Against::Peer("slow".into()) }, Bar::High(0.75)),
        target("t-near", TargetKind::Ratio { peer: Against::Peer("fast".into()) }, Bar::High(2.0)),
        target("t-rows", TargetKind::Rows { peer: Against::Peer("slow".into()) }, Bar::High(0.9)),
        Target { response: share, ..target("t-idle", TargetKind::Value, Bar::High(0.15)) },
        Target { response: Some(tail), ..target("t-tail", TargetKind::Value, Bar::High(3.0)) },
        target("t-scale", TargetKind::Between, Bar::Low(0.9)),
        target("t-gone", TargetKind::Rows { peer: Against::Peer("gone".into()) }, Bar::High(0.9)),
    ];
    let said = text(&study, &records, 100);
    // What is met needs no sentence.
    insta::assert_snapshot!("verdicts", said);
}
