//! Whole reports of studies whose truth is known, held to snapshots.

use super::*;
use crate::analyse::fixture::Study;
use ablate_format::{BuildFailure, MainResponse, Record, Status};
use serde_json::Value;
use std::fs;

fn report(study: &Study, records: &[Record], columns: usize) -> (String, Value, String) {
    let runs = crate::prove::judge_all(&study.manifest.plan, records);
    let Written { json, markdown, terminal, .. } =
        texts(Path::new("out"), &study.manifest, &runs, Screen::Tables, columns).unwrap();
    assert!(widest(&terminal) <= columns.max(MIN_COLUMNS), "{terminal}");
    (terminal, serde_json::from_str(&json).unwrap(), markdown)
}

pub(super) fn costs(_: &str, cell: &str, _: u32) -> f64 {
    match cell {
        "no-cache@env" => 1_900.0,
        "no-cache@feature" => 1_880.0,
        "no-tick@env" | "no-tick@feature" => 1_990.0,
        "minimal@env" => 1_890.0,
        "peer-fast" => 1_000.0,
        "peer-slow" => 4_000.0,
        _ => 2_000.0,
    }
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn before_a_block_is_finished_only_that_is_told() {
    let study = Study::new(&["cache", "tick"], &["w"]);
    let counting = study.counting("w", "baseline", 0, &[("syscalls", 3)]);
    let (text, ..) = report(&study, &[counting], 100);
    assert!(text.contains("No block is finished") && text.contains("report.html"), "{text}");
    assert!(text.lines().count() < 15 && !text.contains("n/a"), "{text}");
}

#[test]
fn a_small_report_has_everything() {
    let study = Study::new(&["cache", "tick"], &["w"]);
    let mut records = study.records(12, costs);
    for (cell, calls, faults) in [("baseline", 3_000, 51_000), ("no-cache@env", 5_000, 51_000), ("peer-fast", 0, 200)] {
        for repeat in 0..2 {
            let counts = [("syscalls", calls), ("sys-mmap", calls), ("page-faults", faults)];
            records.push(study.counting("w", cell, repeat, &counts));
            let idle = [("syscalls", 0), ("sys-mmap", 0), ("page-faults", 0)];
            records.push(study.idle("w", cell, repeat, &idle));
        }
    }
    let (text, json, markdown) = report(&study, &records, 100);
    insta::assert_snapshot!("small_terminal", text);
    insta::assert_snapshot!("small_markdown", markdown);
    assert_eq!((json["format"].as_u64(), json["study"].as_str()), (Some(2), Some("synthetic")));
    let effects = json["effects"].as_array().unwrap();
    let keys: Vec<&String> = effects[0].as_object().unwrap().keys().collect();
    let expected = "arm blocks contrast detectable estimate estimate_all_batches estimate_percent factor hi hi_all level lo lo_all proof response verdict workload";
    let mut sorted: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted.join(" "), expected);
    let cache = effects.iter().find(|e| e["factor"] == "cache" && e["contrast"] == "on-off").unwrap();
    assert!((cache["estimate"].as_f64().unwrap() - 100.0).abs() < 1.0);
    assert_eq!(cache["verdict"], "costs");
    let cell = json["cells"].as_array().unwrap().iter().find(|c| c["allocator"] == "slow").unwrap();
    assert_eq!((&cell["treatment"], &cell["syscalls_per_op"]), (&Value::Null, &Value::Null));
    let gap = json["gaps"].as_array().unwrap().iter().find(|gap| gap["peer"] == "fast").unwrap();
    assert!((gap["gap_ratio"].as_f64().unwrap() - 1.0).abs() < 0.01);
}

#[test]
fn long_names_and_many_peers_fit() {
    let factors = ["a-factor-with-a-very-long-name-indeed", "another-one-that-is-not-short-either", "c"];
    let mut study = Study::new(&factors, &["a-workload-with-quite-a-long-name-too", "w"]);
    for extra in ["jemallocator-five", "snmalloc-rs"] {
        let mut peer = study.cell("peer-slow").clone();
        (peer.id, peer.name) = (format!("peer-{extra}"), extra.to_owned());
        study.manifest.plan.cells.push(peer);
    }
    study.manifest.machine.facts.insert("cpu".to_owned(), Some("x".repeat(150)));
    study.manifest.machine.facts.insert("governor".to_owned(), None);
    let mut records = study.records(12, |_, cell, _| 1e9 + cell.len() as f64 * 1e7);
    let reason = format!("signal 11 \u{1b}[31m {}", "and so on ".repeat(100));
    records.push(study.failed("w", "no-c@feature", 12, Status::Crashed, &reason));
    for columns in [80, 100, 160] {
        let (text, _, _) = report(&study, &records, columns);
        assert!(!text.contains('\u{1b}'));
        assert!(text.contains("crashed") && text.contains("1/13"), "{text}");
    }
}

#[test]
fn a_terminal_shows_each_factor_once_in_the_unit_of_its_workload() {
    let mut study = Study::new(&["cache", "tick", "resting"], &["cold", "warm"]);
    study.manifest.plan.workloads[0].response = MainResponse::Mean;
    let facts = [("commit", "0123456789abcdef"), ("uncommitted-changes", "yes"), ("aslr", "2")];
    for (name, fact) in facts.into_iter().chain([("rustc", "rustc 1.95.0 (abc 2026-01-01)")]) {
        study.manifest.machine.facts.insert(name.to_owned(), Some(fact.to_owned()));
    }
    let scale = |workload: &str| if workload == "cold" { 1_000.0 } else { 1.0 };
    let mut records = study.records(12, |workload, cell, block| scale(workload) * costs(workload, cell, block));
    for record in &mut records {
        let measured = record.measured.as_mut().unwrap();
        let still = measured.counters.get_mut("resting").and_then(|counters| counters.get_mut("moves"));
        still.into_iter().for_each(|moves| *moves = 0);
    }
    let (text, json, markdown) = report(&study, &records, 100);
    // Cold is in µs, because 2,000,000 ns are too long; warm stays in ns.
    insta::assert_snapshot!("cold_and_warm", text);
    assert!(markdown.contains("commit 0123456789ab+; rustc 1.95.0"), "{markdown}");
    let effects = json["effects"].as_array().unwrap();
    let of = |workload: &str, factor: &str, contrast: &str| {
        let same = |e: &&Value| e["workload"] == workload && e["factor"] == factor && e["contrast"] == contrast;
        effects.iter().find(same).unwrap()
    };
    let (cold, warm) = (of("cold", "cache", "on-off"), of("warm", "resting", "on-absent"));
    assert_eq!((&cold["response"], &cold["proof"]), (&Value::from("latency_ns_mean"), &Value::from("proven")));
    assert_eq!((&warm["response"], &warm["proof"]), (&Value::from("latency_ns_p10"), &Value::from("not-exercised")));
    assert!(json["cells"][0]["latency_ns_mean"].is_number(), "{}", json["cells"][0]);
}

#[test]
fn a_factor_has_one_unit_in_all_tables_of_its_workload() {
    let study = Study::new(&["cache", "tick"], &["w"]);
    // One cost of a switch beyond the limit of nanoseconds, everything else small.
    let slow = |cell: &str| if cell == "no-tick@feature" { 250_000.0 } else { 2_000.0 };
    let records = study.records(12, |_, cell, _| if cell == "no-cache@env" { 1_400.0 } else { slow(cell) });
    let (text, _, markdown) = report(&study, &records, 100);
    for text in [&text, &markdown] {
        let of_cache = text.lines().filter(|line| line.contains("cache") && line.contains("600"));
        let lines: Vec<&str> = of_cache.filter(|line| !line.contains("no-cache")).collect();
        assert!(lines.iter().any(|line| line.contains("0.600")) && lines.len() >= 2, "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains("600.")), "{lines:#?}");
    }
}

#[test]
fn bytes_and_numbers_of_the_program_have_their_own_units() {
    let mut study = Study::new(&["cache"], &["memory", "held"]);
    study.manifest.plan.workloads[0].response = MainResponse::RssPeak;
    study.manifest.plan.workloads[1].response = MainResponse::named("value:held_share").unwrap();
    let mut records = study.records(12, costs);
    for record in &mut records {
        let ns = record.measured.as_ref().unwrap().latency_ns_p10.unwrap();
        record.process_rss_peak_bytes = (ns * 1_048_576.0 / 100.0) as u64;
        record.measured.as_mut().unwrap().values = [("held_share".to_owned(), ns / 10_000.0)].into();
    }
    let (text, json, markdown) = report(&study, &records, 100);
    insta::assert_snapshot!("own_units", text);
    insta::assert_snapshot!("own_units_markdown", markdown);
    let cell = &json["cells"][0];
    assert_eq!((&cell["unit"], &cell["value_ns"]), (&Value::from("bytes"), &Value::Null));
    assert!((cell["value"]["value"].as_f64().unwrap() / 1_048_576.0 - 20.0).abs() < 0.1, "{cell}");
    assert!(json["gaps"][0]["gap_ns"].is_null() && json["gaps"][0]["ratio"]["value"].as_f64() > Some(1.9));
    assert!(json["explained"]["breakdowns"].as_array().unwrap().is_empty());
}

#[test]
fn what_disturbed_each_cell_is_in_the_full_report() {
    let mut study = Study::new(&["cache"], &["w"]);
    (study.manifest.blocks, study.manifest.plan.layouts) = (1, 3);
    let mut records = study.records(1, costs);
    for record in &mut records {
        record.context_switches = Some((2, 5));
        let measured = record.measured.as_mut().unwrap();
        (measured.batches_ns, measured.contention_probes_ns) = (vec![2_000.0; 16], vec![0.57; 17]);
    }
    let (_, json, markdown) = report(&study, &records, 100);
    insta::assert_snapshot!("disturbed_markdown", markdown);
    assert_eq!(json["noise"][0]["cell"], "baseline");
    assert_eq!(json["noise"][0]["context_switches"], serde_json::json!([2.0, 5.0]));
}

#[test]
fn nothing_found_still_shows_what_might_be_there() {
    let study = Study::new(&["cache"], &["w"]);
    let records = study.records(4, costs);
    let (text, _, markdown) = report(&study, &records, 100);
    insta::assert_snapshot!("few_blocks", text);
    insta::assert_snapshot!("few_blocks_markdown", markdown);
}

#[test]
fn a_workload_without_proven_runs_says_that_nothing_was_measured() {
    let study = Study::new(&["cache"], &["w"]);
    for (name, cells, why) in [
        ("no_baseline", &["baseline"][..], "the baseline has no proven run (invalid 12/12)"),
        (
            "no_cells",
            &["no-cache@env", "no-cache@feature"],
            "`no-cache@env`: no proven run, 12 runs are invalid: factor `cache`: expected level `off`, seen `no level`",
        ),
    ] {
        let mut records = study.records(12, costs);
        for record in records.iter_mut().filter(|record| cells.contains(&record.cell.as_str())) {
            record.measured.as_mut().unwrap().levels.clear();
        }
        let (text, _, markdown) = report(&study, &records, 200);
        let sentence = format!("Nothing was measured in w: {why}.");
        for text in [&text, &markdown] {
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&sentence) && !flat.contains("no factor is found"), "{text}");
        }
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn the_overview_names_three_costs_and_two_savers() {
    let study = Study::new(&["a", "b", "c", "d", "e"], &["w"]);
    let records = study.records(12, |_, cell, _| match cell {
        "no-a@env" | "no-a@feature" => 1_900.0,
        "no-b@env" | "no-b@feature" => 2_100.0,
        "no-c@env" | "no-c@feature" => 2_200.0,
        "no-d@env" | "no-d@feature" => 2_300.0,
        _ => 2_000.0,
    });
    let analysis = crate::analyse::analyse(&study.manifest, &records);
    let mut document = Document::default();
    head::overview(&mut document, &analysis);
    insta::assert_snapshot!("overview", document.markdown());
}

#[test]
fn failures_are_counted_by_reason() {
    let mut study = Study::new(&["cache"], &["w"]);
    let mut built = study.manifest.builds[0].clone();
    built.id = "without-cache".to_owned();
    built.result = Err(BuildFailure { message: "error[E0425]: no such thing".into(), log: "logs/b.log".into() });
    study.manifest.builds.push(built);
    study.cell("no-cache@feature").build = "without-cache".to_owned();
    let mut records = study.records(12, costs);
    records.retain(|record| record.cell != "no-cache@feature");
    for record in &mut records[..2] {
        record.measured.as_mut().unwrap().levels.clear();
    }
    let (text, json, _) = report(&study, &records, 100);
    insta::assert_snapshot!("failures", text);
    let failed = |effect: &&Value| effect["contrast"] == "on-absent";
    let effect = json["effects"].as_array().unwrap().iter().find(failed).unwrap();
    assert_eq!((&effect["verdict"], &effect["estimate"]), (&Value::from("build-failed"), &Value::Null));
}

#[test]
fn an_empty_study_and_a_missing_folder_do_not_panic() {
    let study = Study::new(&[], &[]);
    let (text, json, _) = report(&study, &[], 0);
    insta::assert_snapshot!("empty", text);
    assert_eq!(json["effects"].as_array().unwrap().len(), 0);
    let error =
        write(Path::new("/nonexistent/folder"), &study.manifest, &[], Screen::Tables, 100).unwrap_err().to_string();
    // The system's own words name a temporary file.
    assert!(error.starts_with("cannot write `/nonexistent/folder/effects.json`: "), "{error}");
    assert!(error.ends_with("; make room or permit writing, then run `cargo ablate report` on the folder"), "{error}");
}

#[test]
fn both_files_are_replaced_and_nothing_is_left_aside() {
    let dir = tempfile::tempdir().unwrap();
    let study = Study::new(&["cache"], &["w"]);
    let runs = crate::prove::judge_all(&study.manifest.plan, &study.records(6, costs));
    for _ in 0..2 {
        write(dir.path(), &study.manifest, &runs, Screen::Tables, 100).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["effects.json", "report.html", "report.md"]);
    }
}
