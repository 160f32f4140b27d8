//! Targets as people get them wrong.

use super::tests::{Messages, parsed, planted};
use super::tests_race::RACE;
use ablate_format::{Against, Bar, MainResponse, TargetKind};

/// A target of every kind.
const TARGETS: &str = r#"
[[target]]
name = "t1"
claim = "a fifth of each peer"
kind = "ratio"
workloads = ["small", "large"]
high = 0.2
[[target]]
name = "t2"
claim = "never far behind"
kind = "rows"
workloads = ["small", "large", "memory"]
high = 1.15
[[target]]
name = "t3"
claim = "a steady tail"
kind = "value"
workloads = ["small", "large"]
response = "p99/p50"
high = 3
[[target]]
name = "t4"
claim = "grows with the work"
kind = "between"
workloads = ["large", "small"]
low = 0.9
[[target]]
name = "t5"
claim = "near the floor"
kind = "ratio"
peer = "floor"
workloads = ["small"]
response = "mean"
high = 2.0
"#;

#[track_caller]
fn check(said: &mut Messages, from: &str, to: &str) {
    let text = format!("{RACE}{}", planted(TARGETS, from, to));
    said.add(&parsed(&text).expect_err(to));
}

#[test]
fn targets_of_every_kind_are_read() {
    let study = parsed(&format!("{RACE}{TARGETS}")).expect("good");
    let kinds: Vec<&TargetKind> = study.targets.iter().map(|target| &target.kind).collect();
    let expected = [
        TargetKind::Ratio { peer: Against::Each },
        TargetKind::Rows { peer: Against::Best },
        TargetKind::Value,
        TargetKind::Between,
        TargetKind::Ratio { peer: Against::Peer("floor".into()) },
    ];
    assert_eq!(kinds, expected.iter().collect::<Vec<_>>());
    assert_eq!((study.targets[0].bar, study.targets[3].bar), (Bar::High(0.2), Bar::Low(0.9)));
    let quotient = study.targets[2].response.expect("has one");
    assert_eq!((quotient.of, quotient.over), (MainResponse::P99, Some(MainResponse::P50)));
    let plan = crate::design::resolve(&study).expect("a good design").plan;
    assert_eq!(plan.targets, study.targets);
}

#[test]
fn contradictions_of_targets_are_pointed_at() {
    let mut said = Messages::default();
    check(&mut said, "kind = \"ratio\"", "kind = \"ration\"");
    check(&mut said, "\"large\", \"memory\"", "\"lrge\"");
    check(&mut said, "peer = \"floor\"", "peer = \"flor\"");
    check(&mut said, "workloads = [\"small\"]", "workloads = [\"large\"]");
    check(&mut said, "high = 0.2", "high = 0.2\nlow = 0.1");
    check(&mut said, "high = 0.2\n", "");
    check(&mut said, "high = 0.2", "high = nan");
    check(&mut said, "high = 0.2", "high = 0");
    check(&mut said, "high = 3", "low = 0");
    check(&mut said, "high = 3", "high = \"3\"");
    check(&mut said, "\"p99/p50\"", "\"p99/p99\"");
    check(&mut said, "claim = \"never far behind\"", "claim = \"a\\nb\"");
    check(&mut said, "[[target]]\nname = \"t1\"", "[target]\nname = \"t1\"");
    check(&mut said, "high = 3", "high = 3\npeer = \"best\"");
    check(&mut said, "[\"large\", \"small\"]", "[\"large\"]");
    check(&mut said, "[\"large\", \"small\"]", "[\"large\", \"memory\"]");
    check(&mut said, "\"p99/p50\"", "\"p99/p5\"");
    check(&mut said, "\"p99/p50\"", "\"p99/rss-peak\"");
    check(&mut said, "response = \"mean\"", "response = \"mean/p50\"");
    check(&mut said, "name = \"t2\"", "name = \"t1\"");
    check(&mut said, "claim = \"never far behind\"", "claim = \" \"");
    check(&mut said, "high = 1.15", "heigh = 1.15");
    let lonely = RACE
        .replace("served_by = \"same\"", "served_by = \"same\"\ncompare = false")
        .replace("served_by = \"other\"", "served_by = \"other\"\ncompare = false");
    let lonely = lonely.replace("served_by = \"x\"", "served_by = \"x\"\ncompare = false");
    let error = parsed(&format!("{lonely}{TARGETS}")).expect_err("no competitor").to_string();
    assert!(error.contains("no peer is compared in `small`"), "{error}");
    insta::assert_snapshot!(said);
}

#[test]
fn a_bar_has_its_good_side_where_the_response_has() {
    let rate = RACE.replace("response = \"rss-peak\"", "response = \"value:done_per_s\"");
    let target = |keys: &str| {
        let text = format!("{rate}[[target]]\nname = \"t\"\nclaim = \"more\"\nkind = \"rows\"\n{keys}\n");
        parsed(&text).map_err(|error| error.to_string())
    };
    let error = target("workloads = [\"memory\"]\nhigh = 1.0").expect_err("less is held to be better");
    assert!(error.contains("in `memory` more is better") && error.contains("write `low`"), "{error}");
    let error = target("workloads = [\"small\", \"memory\"]\nlow = 1.0").expect_err("two directions");
    assert!(error.contains("in `memory` more is better and in `small` less"), "{error}");
    target("workloads = [\"memory\"]\nlow = 1.0").expect("more is better");
    target("workloads = [\"small\", \"memory\"]\nresponse = \"wall\"\nhigh = 1.0").expect("of all less is better");
}

#[test]
fn targets_of_other_workloads_go_with_these() {
    let mut study = parsed(&format!("{RACE}{TARGETS}")).expect("good");
    let gone = study.only(&["small".to_owned()]).expect("is there");
    assert_eq!(study.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["t5"]);
    assert_eq!(gone, ["t1", "t2", "t3", "t4"]);
}
