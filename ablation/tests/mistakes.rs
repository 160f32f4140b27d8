//! The fourteen mistakes that the original's authors made with good-looking tables (docs/methodology.md lists them), each
//! planted here once: ablate must mark the runs invalid, refuse the study or flag it, and say what is wrong.

mod common;

use common::{Bench, ENV_ONLY};
use serde_json::Value;

/// The demo study with a subject that misbehaves in this way, in six blocks, with a peer.
fn with_trouble(trouble: &str) -> Bench {
    let args = format!("args = [\"--work\", \"200\", \"--trouble\", \"{trouble}\"]");
    Bench::new(&with_peer(&ENV_ONLY.replace("args = [\"--work\", \"200\"]", &args)))
}

fn with_peer(text: &str) -> String {
    let text = text.replace("blocks = 2", "blocks = 6").replace("[subject]", "reference_peer = \"other\"\n[subject]");
    format!("{text}[[peer]]\nname = \"other\"\nargs = [\"--peer\"]\nserved_by = \"other\"\n")
}

/// The effects of one contrast.
fn rows(bench: &Bench, factor: &str, contrast: &str) -> Vec<Value> {
    let all = bench.effects()["effects"].as_array().expect("a list").clone();
    all.into_iter().filter(|row| row["factor"] == factor && row["contrast"] == contrast).collect()
}

/// At least one run is invalid with this in its reason.
fn assert_invalid(bench: &Bench, part: &str) {
    let troubles = bench.troubles();
    assert!(troubles.iter().any(|(status, why)| status == "invalid" && why.contains(part)), "`{part}`: {troubles:#?}");
}

#[test]
fn mistake_1_something_else_served_the_operations() {
    let bench = with_trouble("elsewhere");
    // It served every cell, so that the study would end without a result.
    let said = bench.run(&[], 2);
    said.complains(&["no run of the subject is what the plan says", "served by `libc`, expected `subject`"]);
    assert!(!bench.path("out/records.jsonl").exists());
}

#[test]
fn mistake_2_a_feature_was_silently_inactive() {
    let bench = with_trouble("inactive");
    let said = bench.run(&[], 0);
    let rows = rows(&bench, "red", "on-off");
    assert!(!rows.is_empty());
    for row in rows {
        assert!(row["estimate"].is_null() && row["verdict"] == "not-exercised", "{row}");
    }
    assert!(said.out.contains("not exercised here: red"), "{}", said.out);
    let report = std::fs::read_to_string(bench.path("out/report.html")).expect("a report");
    assert!(report.contains("red.hits stayed 0 in"), "{report}");
}

#[test]
fn mistake_4_counts_of_a_peer_are_measured_or_missing() {
    let bench = Bench::new(&with_peer(ENV_ONLY));
    bench.run(&[], 0);
    // Counting runs of the peer get lost: its faults must be missing, and not made up from those of others.
    let path = bench.path("out/records.jsonl");
    let text = std::fs::read_to_string(&path).expect("reads");
    let is_lost = |line: &&str| line.contains("\"cell\":\"peer-other\"") && !line.contains("\"pass\":\"timing\"");
    let kept: Vec<&str> = text.lines().filter(|line| !is_lost(line)).collect();
    assert!(kept.len() < text.lines().count());
    std::fs::write(&path, kept.join("\n") + "\n").expect("writes");
    let said = bench.ablate(&["report", "out"]);
    assert_eq!(said.code, 1, "{said:?}");
    said.complains(&["planned runs have records"]);
    let all = bench.effects();
    let peer =
        all["cells"].as_array().expect("a list").iter().find(|cell| cell["allocator"] == "other").expect("there");
    assert!(peer["syscalls_per_op"].is_null(), "{peer}");
}

#[test]
fn mistake_5_one_comparison_changes_one_thing() {
    // One variable in two factors: one level would silently move the other.
    let bench = Bench::new(&ENV_ONLY.replace("NO_BLUE", "NO_RED"));
    bench.snapshot("one_variable_in_two_factors", &bench.run(&[], 2));
    // Two factors away at once are a row of their own and never an attribution to one of them.
    let text = ENV_ONLY.replace("\"leave-one-out\"", "\"explicit\"")
        + "[[treatment]]\nname = \"both\"\nlevels = { red = \"off\", blue = \"off\" }\n";
    let bench = Bench::new(&text);
    bench.run(&[], 0);
    assert!(rows(&bench, "red", "on-off").is_empty() && rows(&bench, "blue", "on-off").is_empty());
    assert!(!rows(&bench, "both", "baseline-both").is_empty());
}

#[test]
fn mistake_6_another_amount_of_work_in_one_cell() {
    let bench = with_trouble("other-work");
    // Only all runs together tell which work is the odd one.
    let said = bench.run(&[], 1);
    assert!(said.out.contains("over 100 operations, but most runs have"), "{}", said.out);
    assert!(rows(&bench, "red", "on-off").iter().all(|row| row["estimate"].is_null()));
    assert!(rows(&bench, "blue", "on-off").iter().any(|row| row["estimate"].is_number()));
}

#[test]
fn mistake_7_a_switch_that_is_read_too_late() {
    let bench = with_trouble("late");
    bench.run(&[], 1);
    assert_invalid(&bench, "factor `red`: expected level `off`, seen `on`");
    assert!(rows(&bench, "red", "on-off").iter().all(|row| row["estimate"].is_null() && row["verdict"] == "invalid"));
}

#[test]
fn mistake_9_the_environment_is_what_the_plan_says() {
    // A value that the program refuses is found before anything is measured.
    let bench = Bench::new(&ENV_ONLY.replace("NO_RED = \"1\"", "NO_RED = \"banana\""));
    bench.snapshot("refused_value", &bench.run(&[], 2));
    // What the caller has in its environment reaches no cell: both switches on would make every run invalid.
    let bench = Bench::new(ENV_ONLY);
    let mut command = bench.command(&["run", "study.toml", "--out", "out"]);
    command.env("NO_RED", "1").env("NO_BLUE", "1");
    let said = common::Said::from(command.output().expect("ablate starts"));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn mistake_10_what_was_not_counted_is_missing_and_not_zero() {
    // A counter that no run reports is found before anything is measured, as a misspelt one is.
    let said = with_trouble("uncounted").run(&[], 2);
    assert!(said.err.contains("no run reported `red.hits`"), "{said:?}");
    let said = Bench::new(&ENV_ONLY.replace("red.hits", "red.hist")).run(&[], 2);
    assert!(said.err.contains("no run reported `red.hist`; did you mean `red.hits`?"), "{said:?}");
    // A machine on which nothing can be counted, whatever this one can; page faults the process reports itself.
    let bench = Bench::new(ENV_ONLY);
    bench.run(&[], 0);
    let uncounted = bench.records().into_iter().map(|mut record| {
        let has_counts = record["pass"] != "unit-costs";
        assert!(
            !has_counts || record.as_object_mut().is_some_and(|record| record.remove("counts").is_some()),
            "{record}"
        );
        format!("{record}\n")
    });
    let uncounted: String = uncounted.collect();
    std::fs::write(bench.path("out/records.jsonl"), uncounted).expect("writes");
    let said = bench.ablate(&["report", "out"]);
    assert!(said.out.contains("n/a"), "{said:?}");
    let effects = bench.effects();
    let cells = effects["cells"].as_array().expect("a list");
    assert_eq!(cells.len(), 4);
    for count in ["instructions_per_op", "syscalls_per_op"] {
        assert!(cells.iter().all(|cell| cell[count].is_null()), "{count}: {cells:#?}");
        let rows = effects["effects"].as_array().expect("a list").iter().filter(|row| row["response"] == count);
        assert_eq!(rows.count(), 0, "what was not counted has no rows: {count}");
    }
}

#[test]
fn mistake_11_percentiles_of_nothing() {
    let bench = with_trouble("disorder");
    bench.run(&[], 1);
    assert_invalid(&bench, "percentiles are out of order");
    // Two blocks: a value, and no interval that could be mistaken for one.
    let bench = Bench::new(ENV_ONLY);
    bench.run(&[], 0);
    let rows = rows(&bench, "red", "on-off");
    let timed = rows.iter().find(|row| row["response"] == "latency_ns_p10").expect("a row");
    assert!(timed["lo"].is_null() && timed["verdict"] == "inconclusive" && timed["blocks"] == 2, "{timed}");
}

#[test]
fn mistake_12_results_of_two_studies_do_not_mix() {
    let bench = Bench::new(ENV_ONLY);
    bench.run(&[], 0);
    let before = std::fs::read(bench.path("out/records.jsonl")).expect("reads");
    bench.snapshot("folder_holds_a_study", &bench.run(&[], 2));
    std::fs::write(bench.path("study.toml"), std::fs::read_to_string(bench.path("study.toml")).expect("reads") + "#\n")
        .expect("writes");
    bench.snapshot("resume_with_another_config", &bench.run(&["--resume"], 2));
    assert_eq!(std::fs::read(bench.path("out/records.jsonl")).expect("reads"), before, "nothing was appended");
    // A line pasted in from another study is counted, and is in no table.
    let line = String::from_utf8(before).expect("text");
    let pasted = line.lines().next().expect("a line").replace("\"workload\":\"plain\"", "\"workload\":\"elsewhere\"");
    std::fs::write(bench.path("out/records.jsonl"), format!("{line}{pasted}\n")).expect("writes");
    let said = bench.ablate(&["report", "out"]);
    assert!(said.out.contains("1 record belongs to no cell or was repeated"), "{}", said.out);
}

#[test]
fn mistake_13_a_peer_does_the_same_work_and_says_who_it_is() {
    let nameless = with_peer(ENV_ONLY).replace("served_by = \"other\"\n", "");
    let bench = Bench::new(&nameless);
    bench.snapshot("nameless_peer", &bench.run(&[], 2));
    // A peer with a loop of its own has another checksum.
    let bench =
        Bench::new(&with_peer(ENV_ONLY).replace("args = [\"--peer\"]", "args = [\"--peer\", \"--work\", \"100\"]"));
    let text = std::fs::read_to_string(bench.path("study.toml")).expect("reads");
    // The workload's arguments come last and would win.
    let text = text
        .replace("args = [\"--work\", \"200\"]", "args = [\"--other\"]")
        .replace("served_by = \"subject\"", "args = [\"--work\", \"200\"]\nserved_by = \"subject\"");
    std::fs::write(bench.path("study.toml"), text).expect("writes");
    let said = bench.run(&[], 1);
    assert!(said.out.contains("over 100 operations, but most runs have"), "{}", said.out);
}
