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
    let text = shown(&study, 12, |_, _, block| 100.0 + f64::from(block % 3));
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
