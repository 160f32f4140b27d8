//! Comparisons of synthetic records whose change is known.

use super::comparison::{Compared, Verdict};
use super::*;
use crate::analyse::{analyse, fixture};
use ablate_format::{Arm, BuildRecord, BuiltBinary, CellKind, MainResponse, Status};

const HEAD: &str = "no-revision@feature";

/// A study of two revisions with distinct binaries.
fn study(workloads: &[&str]) -> fixture::Study {
    let mut study = fixture::Study::new(&["revision"], workloads);
    let plan = &mut study.manifest.plan;
    plan.reference_peer = None;
    plan.factors[0].proof.clear();
    plan.cells.retain(|cell| ["baseline", "placebo", HEAD].contains(&cell.id.as_str()));
    plan.contrasts.retain(|contrast| contrast.contrast != "off-absent" && !contrast.factor.contains("minimal"));
    plan.contrasts.retain(|contrast| contrast.minus == HEAD || contrast.contrast == "placebo");
    for contrast in plan.contrasts.iter_mut().filter(|contrast| contrast.minus == HEAD) {
        contrast.contrast = "base-head".to_owned();
        contrast.arm = Some(Arm::Build);
    }
    for cell in &mut plan.cells {
        cell.build = if cell.kind == CellKind::Treatment { "head" } else { "full" }.to_owned();
        cell.arm = cell.arm.map(|_| Arm::Build);
        let level = if cell.kind == CellKind::Treatment { "head" } else { "base" };
        cell.levels.insert("revision".to_owned(), level.to_owned());
    }
    let build = |id: &str| BuildRecord {
        id: id.to_owned(),
        features: Vec::new(),
        settings: [("revision".to_owned(), format!("{id} = 1234567 title"))].into(),
        result: Ok(BuiltBinary { path: "/x".to_owned(), sha256: id.to_owned(), code_sha256: None }),
        layouts: Vec::new(),
        seconds: None,
    };
    study.manifest.builds = vec![build("full"), build("head")];
    study
}

/// Compares with a head that takes so many times the base, by workload.
fn compared(workloads: &[&str], times: impl Fn(&str) -> f64, margin: f64) -> Comparison {
    let study = study(workloads);
    let value = |workload: &str, cell: &str, _: u32| 1_000.0 * if cell == HEAD { times(workload) } else { 1.0 };
    let records = study.records(20, value);
    let analysis = analyse(&study.manifest, &records);
    of(compare::compare(&study.manifest, &analysis, margin), margin)
}

fn of(rows: Vec<Compared>, margin: f64) -> Comparison {
    let part = Part {
        name: "parse".to_owned(),
        dir: "target/ablate/diff-1".into(),
        end: PartEnd::Run,
        rows,
        outlook: None,
        outputs: vec!["the output of revision-head in parse differs".to_owned()],
        blocks: 20,
        layouts: 8,
        runs: (60, 0),
    };
    Comparison { base: "main = 1 a".into(), head: "HEAD = 2 b".into(), parts: vec![part], margin }
}

fn words(comparison: &Comparison) -> Vec<(&'static str, Gate)> {
    comparison.rows().map(|(_, row)| (row.verdict.as_str(), comparison.gate())).collect()
}

#[test]
fn a_change_is_told_from_none_by_the_margin() {
    let one = |times: f64, margin: f64| words(&compared(&["w"], |_| times, margin))[0];
    assert_eq!(one(1.02, 0.01), ("worse", Gate::Worse));
    assert_eq!(one(0.98, 0.01), ("better", Gate::Good));
    assert_eq!(one(1.0, 0.01), ("no-change", Gate::Good));
    // The margin lies within the interval.
    assert_eq!(one(1.01, 0.01), ("undecided", Gate::Undecided));
    assert_eq!(one(0.99, 0.01), ("undecided", Gate::Good));
    // A change that is certain and does not matter.
    assert_eq!(one(1.02, 0.05), ("no-change", Gate::Good));
}

#[test]
fn one_worse_workload_decides_and_is_named() {
    let times = |workload: &str| match workload {
        "a" => 1.10,
        "b" => 0.90,
        _ => 1.0,
    };
    let comparison = compared(&["a", "b", "c"], times, 0.01);
    assert_eq!(comparison.gate(), Gate::Worse);
    let said = text::answer(&comparison);
    assert!(said.starts_with("a is ") && said.contains(" % worse; b is ") && said.ends_with(" % better"), "{said}");
    let shown = terminal(&comparison, 100);
    assert!(shown.contains("HEAD = 2 b") && shown.contains("8 code layouts") && shown.contains("no change"), "{shown}");
}

#[test]
fn intervals_of_many_workloads_are_wider() {
    let names: Vec<String> = (0..20).map(|i| format!("w{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let width = |workloads: &[&str]| {
        let comparison = compared(workloads, |_| 1.0, 0.01);
        let (_, row) = comparison.rows().next().expect("has a row");
        let (lo, hi) = row.change.expect("measured").interval.expect("20 blocks");
        hi - lo
    };
    let (one, many) = (width(&names[..1]), width(&names));
    assert!(many > 1.3 * one && many < 3.0 * one, "{one} {many}");
}

#[test]
fn a_change_that_the_base_shows_against_itself_is_not_claimed() {
    let study = study(&["w"]);
    let value = |_: &str, cell: &str, _: u32| match cell {
        HEAD => 1_030.0,
        "placebo" => 1_040.0,
        _ => 1_000.0,
    };
    let analysis = analyse(&study.manifest, &study.records(20, value));
    let rows = compare::compare(&study.manifest, &analysis, 0.01);
    assert_eq!(rows[0].verdict, Verdict::Undecided);
    assert!(rows[0].reason.contains("differs from itself"), "{}", rows[0].reason);
}

#[test]
fn a_revision_without_proven_runs_is_invalid_and_no_gate_is_good() {
    let study = study(&["w"]);
    let mut records = study.records(20, |_, _, _| 1_000.0);
    for record in records.iter_mut().filter(|record| record.cell == HEAD) {
        (record.status, record.reason) = (Status::Crashed, "exit code 3".to_owned());
        record.measured = None;
    }
    let analysis = analyse(&study.manifest, &records);
    let comparison = of(compare::compare(&study.manifest, &analysis, 0.01), 0.01);
    assert_eq!(words(&comparison), [("invalid", Gate::Undecided)]);
    // The first run of a revision that failed gives the reason; the placebo and a note of the panic do not.
    let failed = |cell: &str, block: u32, reason: &str, stderr: &str| {
        let mut record = records.iter().find(|record| record.cell == cell).expect("is there").clone();
        (record.block, record.status) = (block, Status::Crashed);
        (record.reason, record.stderr) = (reason.to_owned(), stderr.to_owned());
        record
    };
    let failed = [
        failed(HEAD, 2, "exit code 4", ""),
        failed(HEAD, 1, "exit code 3: thread panicked", "thread panicked\nindex is 9\nnote: run with X\n"),
        failed("placebo", 0, "exit code 5", ""),
    ];
    let mut rows = comparison.parts.into_iter().next().expect("one part").rows;
    compare::add_failures(&study.manifest.plan, &failed, &mut rows);
    let reason = &rows[0].reason;
    assert!(reason.ends_with("; first failed run: exit code 3: thread panicked: index is 9"), "{reason}");
}

#[test]
fn a_gate_over_nothing_that_is_in_both_revisions_is_undecided() {
    let alone = |verdict| Part::one_sided("new".to_owned(), verdict);
    let mut comparison = of(Vec::new(), 0.01);
    comparison.parts = vec![alone(Verdict::OnlyInHead)];
    assert_eq!(words(&comparison), [("only-in-head", Gate::Undecided)]);
    assert!(text::answer(&comparison).starts_with("Nothing can be said: no workload was measured in both revisions"));
    let mut same = of(compare::identical(&study(&["w"]).manifest), 0.01);
    same.parts[0].end = PartEnd::Identical;
    same.parts.push(alone(Verdict::OnlyInBase));
    assert_eq!(same.gate(), Gate::Good);
    let said = text::answer(&same);
    assert!(said.starts_with("Identical: ") && said.ends_with("; new only in base"), "{said}");
}

#[test]
fn of_a_rate_less_is_worse() {
    let mut row = compared(&["w"], |_| 1.0, 0.01).parts.remove(0).rows.remove(0);
    row.response = MainResponse::named("value:requests_per_s").expect("a name");
    row.verdict = Verdict::Undecided;
    let mut change = row.change.expect("measured");
    change.interval = Some((-0.02, 0.005));
    row.change = Some(change);
    assert!(row.may_be_worse(0.01));
    row.change = Some(ablate_format::effects::Estimate { interval: Some((-0.005, 0.02)), ..change });
    assert!(!row.may_be_worse(0.01));
}

#[test]
fn a_benchmark_of_one_side_is_a_row_and_changes_no_gate() {
    let mut study = study(&["both", "gone"]);
    study.manifest.plan.workloads[1].cells = vec!["baseline".to_owned(), "placebo".to_owned()];
    study.manifest.plan.only_in.insert("head".to_owned(), vec!["new".to_owned()]);
    let mut records = study.records(20, |_, _, _| 1_000.0);
    records.retain(|record| record.workload == "both" || record.cell != HEAD);
    let rows = compare::compare(&study.manifest, &analyse(&study.manifest, &records), 0.01);
    let comparison = of(rows, 0.01);
    let good = Gate::Good;
    assert_eq!(words(&comparison), [("no-change", good), ("only-in-base", good), ("only-in-head", good)]);
    let json: serde_json::Value = serde_json::from_str(&to_text(&comparison, Format::Json)).expect("is JSON");
    let rows = &json["parts"][0]["workloads"];
    assert!(
        rows[1]["base"]["value"].is_number() && rows[1]["head"].is_null() && rows[2]["workload"] == "new",
        "{rows:#}"
    );
    assert!(rows[2]["response"].is_null(), "{rows:#}");
    for text in [terminal(&comparison, 100), to_text(&comparison, Format::Markdown)] {
        assert!(text.contains("1 of 3 only in base; 1 of 3 only in head"), "{text}");
        let row = text.lines().find(|line| line.contains("new ")).expect("a row");
        assert!(row.contains("only in head") && !row.contains("n/a"), "{row}");
    }
    // The intervals are those of one workload.
    let alone = compared(&["both"], |_| 1.0, 0.01);
    let width = |comparison: &Comparison| {
        comparison.parts[0].rows[0]
            .change
            .and_then(|change| change.interval)
            .map(|(lo, hi)| hi - lo)
            .expect("an interval")
    };
    assert!((width(&comparison) / width(&alone) - 1.0).abs() < 0.25, "{} {}", width(&comparison), width(&alone));
}

#[test]
fn the_same_machine_code_is_identical_and_has_no_numbers() {
    let study = study(&["w"]);
    let mut comparison = of(compare::identical(&study.manifest), 0.01);
    comparison.parts[0].end = PartEnd::Identical;
    assert_eq!(words(&comparison), [("identical", Gate::Good)]);
    assert!(text::answer(&comparison).starts_with("Identical: "), "{}", text::answer(&comparison));
    let shown = terminal(&comparison, 100);
    assert!(!shown.contains("ns/op") && !shown.contains("invalid"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&to_text(&comparison, Format::Json)).expect("is JSON");
    let row = &json["parts"][0]["workloads"][0];
    assert!(row["response"].is_null() && row["change"].is_null() && row["verdict"] == "identical", "{row:#}");
    let junit = to_text(&comparison, Format::Junit);
    assert!(junit.contains("identical") && !junit.contains("n/a"), "{junit}");
}

#[test]
fn undecided_is_the_same_word_everywhere_and_says_what_it_needs() {
    let mut comparison = compared(&["w"], |_| 1.01, 0.01);
    comparison.parts[0].outlook = Some("w is known to ± 2 % after 20 blocks".to_owned());
    let all = [
        terminal(&comparison, 100),
        to_text(&comparison, Format::Json),
        to_text(&comparison, Format::Markdown),
        to_text(&comparison, Format::Junit),
        to_text(&comparison, Format::Sarif),
        annotations(&comparison),
    ];
    for text in all {
        assert!(text.contains("undecided") && !text.contains("unsure"), "{text}");
    }
    assert!(
        text::answer(&comparison).starts_with("Undecided: a change of 1 % is neither"),
        "{}",
        text::answer(&comparison)
    );
    let shown = terminal(&comparison, 200);
    assert!(shown.contains("± 2 % after 20 blocks. To decide it: more time"), "{shown}");
    comparison.parts.push(Part::without("later".to_owned(), PathBuf::new(), PartEnd::NotRun));
    assert!(text::answer(&comparison).ends_with("; 1 benchmark target not run"), "{}", text::answer(&comparison));
    assert!(terminal(&comparison, 200).contains("later: not run, because the gate is closed"));
}

#[test]
fn other_programs_read_the_same_verdicts() {
    let comparison = compared(&["a", "b"], |workload| if workload == "a" { 1.1 } else { 1.0 }, 0.01);
    let json: serde_json::Value = serde_json::from_str(&to_text(&comparison, Format::Json)).expect("is JSON");
    let row = &json["parts"][0]["workloads"][0];
    assert_eq!((json["gate"].as_str(), row["verdict"].as_str()), (Some("worse"), Some("worse")));
    let change = row["change"]["value"].as_f64().expect("a number");
    assert!((change - 0.1).abs() < 0.01, "{change}");
    let junit = to_text(&comparison, Format::Junit);
    let suite = quick_junit::Report::deserialize_from_str(&junit).expect("is JUnit").test_suites.remove(0);
    assert_eq!((suite.tests, suite.failures, suite.errors), (2, 1, 0));
    let sarif: serde_json::Value = serde_json::from_str(&to_text(&comparison, Format::Sarif)).expect("is JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("a list");
    assert_eq!((results.len(), results[0]["level"].as_str()), (1, Some("error")));
    let markdown = to_text(&comparison, Format::Markdown);
    assert!(markdown.starts_with("<!-- cargo ablate diff -->\n\n# a is 1") && markdown.contains("| b "), "{markdown}");
    let annotations = annotations(&comparison);
    assert!(annotations.starts_with("::error title=cargo ablate diff::parse a: worse +"), "{annotations}");
    assert!(annotations.contains("%25") && annotations.lines().count() == 1, "{annotations}");
}

/// Compares workloads, each with the response `value:NAME` and its exact values in the base and in the head.
fn exact(workloads: &[(&str, f64, f64)]) -> Comparison {
    let names: Vec<&str> = workloads.iter().map(|(name, ..)| *name).collect();
    let mut study = study(&names);
    for plan in &mut study.manifest.plan.workloads {
        plan.response = MainResponse::named(&format!("value:{}", plan.name)).expect("a response");
    }
    let mut records = study.records(20, |_, _, _| 1_000.0);
    for record in &mut records {
        let (name, base, head) = workloads.iter().find(|(name, ..)| *name == record.workload).expect("is compared");
        let value = if record.cell == HEAD { *head } else { *base };
        record.measured.as_mut().expect("a run").values.insert((*name).to_owned(), value);
    }
    of(compare::compare(&study.manifest, &analyse(&study.manifest, &records), 0.01), 0.01)
}

#[test]
fn a_base_of_zero_or_below_has_a_difference_and_no_percent() {
    let (good, undecided) = (Gate::Good, Gate::Undecided);
    for (base, head, expected) in [
        (0.0, 0.0, ("no-change", good)),
        (-5.0, -5.0, ("no-change", good)),
        (0.0, 7.0, ("undecided", undecided)),
        (-5.0, 5.0, ("undecided", undecided)),
        (5.0, -5.0, ("better", good)),
        // Less of a time is not worse by any margin.
        (0.0, -7.0, ("undecided", good)),
    ] {
        assert_eq!(words(&exact(&[("t_ns", base, head)])), [expected], "{base} {head}");
    }
    assert_eq!(words(&exact(&[("r_per_s", 0.0, 9.0)])), [("undecided", good)]);
    assert_eq!(words(&exact(&[("r_per_s", 0.0, -9.0)])), [("undecided", undecided)]);
}

#[test]
fn every_output_shows_the_difference_where_there_is_no_percent() {
    let comparison = exact(&[("t_ns", 0.0, 7.0)]);
    let answer = text::answer(&comparison);
    assert_eq!(answer, "Undecided: no percent of a base of 0 or below in 1 of 1 workload");
    let reason = "no percent of a base of 0 or below, so the margin does not apply; it is not better";
    let shown = terminal(&comparison, 200);
    let row = shown.lines().find(|line| line.starts_with("t_ns")).expect("a row");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells, ["t_ns", "0.00", "7.00", "+7.00 [7.00, 7.00] ns", "0.00 [0.00, 0.00] ns", "undecided"]);
    assert!(shown.contains(reason) && shown.contains("the change is head − base"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&to_text(&comparison, Format::Json)).expect("is JSON");
    let row = &json["parts"][0]["workloads"][0];
    let difference = serde_json::json!({ "value": 7.0, "low": 7.0, "high": 7.0, "blocks": 20 });
    assert_eq!((&row["difference"], &row["change"]), (&difference, &serde_json::Value::Null), "{row:#}");
    assert_eq!((row["verdict"].as_str(), row["reason"].as_str()), (Some("undecided"), Some(reason)));
    let told = format!("undecided +7.00 [7.00, 7.00] ns: {reason}");
    for text in [to_text(&comparison, Format::Junit), to_text(&comparison, Format::Sarif), annotations(&comparison)] {
        assert!(text.contains(&told) && !text.contains("invalid +"), "{text}");
    }
    let junit = to_text(&comparison, Format::Junit);
    let suite = quick_junit::Report::deserialize_from_str(&junit).expect("is JUnit").test_suites.remove(0);
    assert_eq!((suite.tests, suite.failures, suite.errors), (1, 0, 0));
    assert!(junit.contains("<skipped "), "{junit}");
    let markdown = to_text(&comparison, Format::Markdown);
    assert!(markdown.contains("+7.00 [7.00, 7.00] ns") && markdown.contains(reason), "{markdown}");
}

#[test]
fn a_workload_without_percent_needs_no_more_blocks() {
    let mut study = study(&["t_ns"]);
    study.manifest.plan.workloads[0].response = MainResponse::named("value:t_ns").expect("a response");
    let mut records = study.records(20, |_, _, _| 1_000.0);
    for record in &mut records {
        let value = f64::from(u8::from(record.cell == HEAD)) * f64::from(record.block % 3);
        record.measured.as_mut().expect("a run").values.insert("t_ns".to_owned(), value);
    }
    let analysis = analyse(&study.manifest, &records);
    let standings = compare::standings(&study.manifest, &analysis.workloads, &analysis.tables, 0.01, 0.05);
    assert_eq!(standings[0].state, crate::study::watch::State::Never);
}

#[test]
fn rows_of_several_units_name_their_own() {
    let table = |workloads: &[(&str, f64, f64)]| {
        let shown = terminal(&exact(workloads), 200);
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let head = lines.iter().position(|line| line.starts_with("workload ")).expect("a table");
        [&lines[head..=head], &lines[head + 2..head + 2 + workloads.len()]].concat()
    };
    let several = table(&[("r_per_s", 100.0, 50.0), ("time_ns", 10.0, 20.0), ("tiny_seconds", 0.000_12, 0.000_18)]);
    assert!(several[0].starts_with("workload unit base head change"), "{several:#?}");
    assert!(several[1].starts_with("r_per_s /s r_per_s 100 50.0 −50.0 %"), "{several:#?}");
    assert!(several[2].starts_with("time_ns ns time_ns 10.0 20.0 +100 %"), "{several:#?}");
    assert!(several[3].starts_with("tiny_seconds tiny_seconds 0.000120 0.000180 +50"), "{several:#?}");
    let one = table(&[("time_ns", 10.0, 20.0)]);
    assert!(one[0].starts_with("workload base, ns value:time_ns head, ns value:time_ns change"), "{one:#?}");
}
