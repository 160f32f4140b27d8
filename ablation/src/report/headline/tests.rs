//! The head of a report on studies whose truth is known, held to snapshots.

use super::*;
use crate::analyse::analyse;
use crate::analyse::fixture::Study;
use ablate_format::Record;

fn shown(study: &Study, blocks: u32, ns: impl Fn(&str, &str, u32) -> f64) -> String {
    let analysis = analyse(&study.manifest, &study.records(blocks, ns));
    let mut document = Document::default();
    head(&mut document, &study.manifest, &analysis, 100);
    let text = document.terminal(100);
    assert!(text.lines().count() <= LINES && text.lines().all(|line| line.chars().count() <= 100), "{text}");
    text
}

#[test]
fn the_costliest_factor_comes_first_with_how_sure_and_what_proves_it() {
    let text = shown(&Study::new(&["cache", "tick"], &["small", "large"]), 12, |workload, cell, block| {
        let jitter = f64::from(block % 3) * 0.01;
        let gone = if cell.starts_with("no-tick") { 40.0 } else { 0.0 };
        let gone = if workload == "small" { gone } else { gone / 8.0 };
        100.0 - gone + jitter
    });
    insta::assert_snapshot!(text);
}

#[test]
fn crossed_factors_are_told_by_shapley_value() {
    let text = shown(&Study::factorial(&["cache", "tick"], &["w"]), 12, |_, cell, _| {
        let set = cell.strip_prefix("set-").map_or("11", |rest| &rest[..2]);
        let on = |i: usize| if cell.starts_with("peer") { 0.0 } else { f64::from(set.as_bytes()[i] - b'0') };
        1_000.0 + 50.0 * on(0) + 20.0 * on(1) + 30.0 * on(0) * on(1)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn many_factors_and_workloads_keep_the_length_and_say_that_nothing_costs() {
    let factors = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];
    let workloads =
        ["a-long-name-0", "a-long-name-1", "a-long-name-2", "a-long-name-3", "a-long-name-4", "a-long-name-5"];
    let text = shown(&Study::new(&factors, &workloads), 12, |_, _, block| 100.0 + f64::from(block % 3));
    insta::assert_snapshot!(text);
}

#[test]
fn a_factor_that_lowers_a_rate_costs() {
    let mut study = Study::new(&["batching", "tracing"], &["w"]);
    study.manifest.plan.workloads[0].response = MainResponse::named("value:requests_per_s").expect("is a response");
    let records = study.records(12, |_, _, _| 100.0).into_iter().map(|mut record| {
        let jitter = f64::from(record.block % 3);
        let rate = match record.cell.split('@').next() {
            Some("no-batching") => 500.0,
            Some("no-tracing") => 1_250.0,
            _ => 1_000.0,
        };
        let measured = record.measured.as_mut().expect("is a timing run");
        measured.values.insert("requests_per_s".to_owned(), rate + jitter);
        record
    });
    let records: Vec<Record> = records.collect();
    let analysis = analyse(&study.manifest, &records);
    let mut document = Document::default();
    head(&mut document, &study.manifest, &analysis, 100);
    insta::assert_snapshot!(document.terminal(100));
}

/// Levels of a compiler: the baseline's is the slowest, and debug information costs a little.
fn levels_of_a_compiler(o2: f64) -> String {
    let mut study = Study::new(&["opt", "debug"], &["w"]);
    study.levels("opt", "o0", &["o1", "o2"]);
    shown(&study, 12, move |_, cell, _| match cell.split('@').next() {
        Some("opt-o1") => 400.0,
        Some("opt-o2") => o2,
        Some("no-debug") => 980.0,
        _ => 1_000.0,
    })
}

#[test]
fn the_largest_saving_of_any_level_is_the_headline_and_the_cost_stands_beside_it() {
    insta::assert_snapshot!(levels_of_a_compiler(100.0));
}

#[test]
fn a_level_that_costs_more_than_the_baseline_s_is_named_with_what_it_adds() {
    let text = levels_of_a_compiler(2_500.0);
    assert!(
        text.contains("opt: o2 costs most: it adds 1,500.0 to the 1,000 ns/op p10 in workload w (+150%)."),
        "{text}"
    );
    assert!(text.contains("opt: o1 saves 599.9") && text.contains("in w: the largest saving"), "{text}");
}

#[test]
fn an_inert_switch_is_unproven_and_not_none() {
    let mut study = Study::new(&["inert"], &["w"]);
    study.manifest.plan.factors[0].proof.clear();
    let text = shown(&study, 12, |_, cell, block| {
        let ns = if cell == "peer-fast" { 50.0 } else { 100.0 };
        ns + f64::from(block % 3)
    });
    assert!(!text.contains("none") && !text.contains("not detected") && !text.contains("largest difference"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_study_that_compares_nothing_says_what_its_workloads_take() {
    let mut study = Study::new(&[], &["small", "large"]);
    study.manifest.plan.cells.retain(|cell| cell.kind == CellKind::Baseline);
    let text = shown(&study, 12, |workload, _, block| {
        f64::from(block % 3) + if workload == "small" { 100.0 } else { 4_000.0 }
    });
    insta::assert_snapshot!(text);
}

#[test]
fn why_no_peer_is_compared_is_said() {
    let mut study = Study::new(&[], &["small", "large"]);
    study.manifest.plan.cells.retain(|cell| matches!(cell.kind, CellKind::Baseline | CellKind::Peer));
    let few = shown(&study, 2, |_, _, _| 100.0);
    assert!(few.contains("Fewer than 6 blocks: the ratios to the peers have no intervals."), "{few}");
    for id in ["peer-fast", "peer-slow"] {
        study.cell(id).compare = false;
    }
    let bounds = shown(&study, 12, |_, _, _| 100.0);
    assert!(bounds.contains("is a competitor") && !bounds.contains("Fewer than"), "{bounds}");
}

#[test]
fn a_difference_to_a_peer_within_the_noise_is_none() {
    let row = |fast: f64| {
        let text = shown(&Study::new(&["cache"], &["w"]), 12, |_, cell, block| match cell {
            "peer-fast" => fast + f64::from(block % 5) * 40.0,
            _ => 100.0,
        });
        text.lines().find(|line| line.contains("(against fast)")).expect("is a row").to_owned()
    };
    assert!(row(40.0).ends_with(" not detected"), "{}", row(40.0));
    assert!(row(2_000.0).ends_with('%'), "{}", row(2_000.0));
}

#[test]
fn too_few_blocks_decide_nothing() {
    let study = Study::new(&["cache"], &["w"]);
    let text = shown(&study, 3, |_, cell, _| if cell.starts_with("no-cache") { 90.0 } else { 100.0 });
    insta::assert_snapshot!(text);
}

#[test]
fn a_cost_without_proof_is_not_the_headline_and_says_how_to_prove_it() {
    let mut study = Study::new(&["commit", "tick", "header"], &["w"]);
    let costs = |tick: f64| {
        move |_: &str, cell: &str, _: u32| match cell.split('@').next() {
            Some("no-commit") => 60.0,
            Some("no-tick") => 100.0 - tick,
            Some("no-header") => 95.0,
            _ => 100.0,
        }
    };
    study.manifest.plan.factors[0].proof.clear();
    insta::assert_snapshot!("unproven_beside_proven", shown(&study, 12, costs(10.0)));
    study.manifest.plan.factors[2].proof.clear();
    insta::assert_snapshot!("unproven_alone", shown(&study, 12, costs(0.0)));
}

#[test]
fn the_quick_form_ends_with_the_way_to_the_full_study() {
    let study = Study::new(&["cache"], &["w"]);
    let records = study.records(12, |_, cell, _| if cell.starts_with("no-cache") { 90.0 } else { 100.0 });
    let analysis = analyse(&study.manifest, &records);
    let text = quick(Path::new("out"), &study.manifest, &analysis, "cargo ablate --full", 100).terminal(100);
    assert!(text.lines().count() <= LINES, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_tells_the_levels_apart_is_named_and_one_factor_is_no_superlative() {
    let mut study = Study::new(&["cache"], &["w"]);
    study.manifest.plan.factors[0].proof.clear();
    let build = |id: &str| ablate_format::BuildRecord {
        id: id.to_owned(),
        features: Vec::new(),
        settings: Default::default(),
        seconds: None,
        result: Ok(ablate_format::BuiltBinary { path: "/x".to_owned(), sha256: id.to_owned(), code_sha256: None }),
        layouts: Vec::new(),
    };
    study.manifest.builds = vec![build("full"), build("bare")];
    for cell in study.manifest.plan.cells.iter_mut().filter(|cell| cell.id.starts_with("no-cache")) {
        cell.build = "bare".to_owned();
    }
    let text = shown(&study, 12, |_, cell, block| {
        let noise = f64::from(block % 3) / 10.0;
        if cell.starts_with("no-cache") { 900.0 + noise } else { 1_000.0 + noise }
    });
    assert!(text.contains("- proven: its levels are different binaries"), "{text}");
    assert!(text.contains("cache costs ") && !text.contains("costs most"), "{text}");
}

/// The head of a study of one factor `a` in the workloads `w0`, `w1`, …, judged by `value:x`, with these values of the
/// baseline and without the factor.
fn of_values(values: &[(f64, f64)], is_proven: bool) -> String {
    let names: Vec<String> = (0..values.len()).map(|at| format!("w{at}")).collect();
    let mut study = Study::new(&["a"], &names.iter().map(String::as_str).collect::<Vec<_>>());
    for workload in &mut study.manifest.plan.workloads {
        workload.response = MainResponse::named("value:x").expect("is a response");
    }
    if !is_proven {
        study.manifest.plan.factors[0].proof.clear();
    }
    let mut records = study.records(12, |_, _, _| 100.0);
    for record in &mut records {
        let at = names.iter().position(|name| *name == record.workload).expect("is a workload");
        let value = if record.cell.starts_with("no-a") { values[at].1 } else { values[at].0 };
        let value = value + f64::from(record.block % 3) / 1_000.0;
        record.measured.as_mut().expect("is a timing run").values = [("x".to_owned(), value)].into();
    }
    let mut document = Document::default();
    head(&mut document, &study.manifest, &analyse(&study.manifest, &records), 100);
    document.terminal(100)
}

#[test]
fn percent_of_a_negative_baseline_is_of_its_size_and_no_part_of_it() {
    let text = of_values(&[(-10.0, -15.0)], true);
    assert!(text.starts_with("synthetic"), "{text}");
    assert!(text.contains("a costs 5.00, beside the baseline's −10.0 value:x in workload w0 (50.0%)."), "{text}");
    assert!(text.contains("(+50.0%)") && !text.contains("−50.0%") && !text.contains("of the −"), "{text}");
}

#[test]
fn a_cost_beyond_the_baseline_is_no_part_of_it() {
    let text = of_values(&[(10.0, -10.0)], true);
    assert!(text.contains("a costs 20.0, beside the baseline's 10.0 value:x in workload w0 (200%)."), "{text}");
    let text = of_values(&[(10.0, 4.0)], true);
    assert!(text.contains("a costs 6.00 of the 10.0 value:x in workload w0 (60.0%)."), "{text}");
    let text = of_values(&[(0.0, -4.0)], true);
    assert!(text.contains("a costs") && !text.contains("of the 0") && !text.contains("No factor"), "{text}");
}

#[test]
fn that_no_workload_proves_a_factor_is_said_once() {
    let text = of_values(&[(5.0, 4.0), (5.0, 5.0), (5.0, 5.0), (5.0, 5.0)], false);
    let said = "In no workload is anything claimed: no factor's levels are proven to be two different things.";
    assert!(text.contains(said), "{text}");
    assert!(!text.contains("nothing is claimed") && !text.contains("nothing either"), "{text}");
}

#[test]
fn effects_that_add_up_do_not_depend_on_each_other() {
    let additive = |_: &str, cell: &str, block: u32| {
        let set = cell.strip_prefix("set-").map_or("11", |rest| &rest[..2]);
        let on = |i: usize| f64::from(set.as_bytes()[i] - b'0');
        1_000.0 + 50.0 * on(0) + 20.0 * on(1) + f64::from(block % 3)
    };
    let text = shown(&Study::factorial(&["cache", "tick"], &["w"]), 12, additive);
    assert!(text.contains("cache costs most") && !text.contains("depends on"), "{text}");
}

#[test]
fn a_rate_is_gained_everywhere_and_an_opposite_verdict_of_another_factor_is_told_once() {
    // Alone b gains 25 /s; where a is on it loses 5.
    let (study, records) = Study::of_rate(&["a", "b"], |on| 100.0 + 50.0 * on(0) + 25.0 * on(1) - 30.0 * on(0) * on(1));
    let mut document = Document::default();
    head(&mut document, &study.manifest, &analyse(&study.manifest, &records), 100);
    let text = document.terminal(100);
    assert!(!text.contains("a costs"), "{text}");
    assert_eq!(text.matches("removed alone, the verdict is the opposite").count(), 1, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_difference_of_a_rate_is_told_as_a_cost() {
    // In too few blocks to decide, the rate is lower by 30 /s with a.
    let (study, mut records) = Study::of_rate(&["a"], |on| 100.0 - 30.0 * on(0));
    records.retain(|record| record.block < 3);
    let mut document = Document::default();
    head(&mut document, &study.manifest, &analyse(&study.manifest, &records), 100);
    let text = document.terminal(100).replace('\n', " ");
    assert!(text.contains("So far the largest difference is a, +30.0 /s as a cost, +42.8%."), "{text}");
}

#[test]
fn long_findings_keep_the_table_with_the_factor_of_the_headline() {
    let (quiet, bad) = (["q0", "q1", "q2", "q3", "q4"], ["b0", "b1"]);
    let workloads: Vec<&str> = ["main"].into_iter().chain(quiet).chain(bad).collect();
    let mut study = Study::new(&["large", "spin", "mem", "small"], &workloads);
    let planned = &mut study.manifest.plan.factors;
    planned[0].proof.clear();
    planned[1].proof.clear();
    let mut records = study.records(12, |workload, cell, _| match cell.split('@').next() {
        Some("no-large") if workload == "main" => 40.0,
        Some("no-small") if workload == "main" => 80.0,
        _ => 100.0,
    });
    for record in &mut records {
        let is_bad = bad.contains(&record.workload.as_str()) && record.cell == "baseline";
        if is_bad || record.workload == "main" && record.cell.starts_with("no-mem") {
            (record.status, record.measured) = (ablate_format::Status::Crashed, None);
            record.reason = "the program said a great many words about why it could not go on ".repeat(5);
        }
    }
    let text = shown_of(&study, &records);
    assert!(
        text.contains("nothing either in ") && text.contains("; not measured in 2: report.html says why"),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn where_nothing_was_measured_is_said_without_room_for_its_sentence() {
    let names: Vec<String> = (0..4).map(|at| format!("a-workload-with-a-long-name-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let factors: Vec<String> = (0..13).map(|at| format!("a-factor-with-a-long-name-{at}")).collect();
    let mut study = Study::new(&factors.iter().map(String::as_str).collect::<Vec<_>>(), &names);
    for factor in &mut study.manifest.plan.factors[1..] {
        factor.proof.clear();
    }
    let costs =
        |_: &str, cell: &str, _: u32| if cell.starts_with("no-a-factor-with-a-long-name-0@") { 90.0 } else { 100.0 };
    let mut records = study.records(8, costs);
    for record in records.iter_mut().filter(|record| record.workload == names[3] && record.cell == "baseline") {
        (record.status, record.measured) = (ablate_format::Status::Crashed, None);
    }
    let analysis = analyse(&study.manifest, &records);
    for reserved in [0, 6, 12, 18] {
        let mut document = Document::default();
        fill(&mut document, 72, reserved, |document, limits| {
            document.title("synthetic");
            answer(document, &study.manifest, &analysis, limits);
            self::factors(document, &study.manifest, &analysis, limits, 72);
        });
        let text = document.terminal(72);
        assert!(text.lines().count() <= LINES_MAX, "{text}");
        let said = text.to_lowercase().replace('\n', " ");
        assert!(said.contains("nothing was measured in a-workload") || said.contains("not measured in 1"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("a-factor-with-a-long-name-0 ")), "{text}");
    }
}

fn shown_of(study: &Study, records: &[Record]) -> String {
    let mut document = Document::default();
    head(&mut document, &study.manifest, &analyse(&study.manifest, records), 100);
    let text = document.terminal(100);
    assert!(text.lines().count() <= LINES_MAX, "{text}");
    text
}
