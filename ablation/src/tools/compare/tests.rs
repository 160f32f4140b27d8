//! Two results of a synthetic study, with and without a difference.

use super::comparison::{Row, Verdict};
use super::*;
use crate::analyse::{analyse_proven, fixture::Study};
use crate::prove;
use crate::tools::results::Measured;
use crate::tools::results::form::{Form, to_text};
use ablate_format::effects::Estimate;
use ablate_format::{BuildRecord, BuiltBinary};
use std::path::Path;

/// What cells take, by cell.
type Take<'a> = &'a dyn Fn(&str) -> f64;

/// A study with the factor `cache` and the peers `fast`, `slow` and `third`, which have a binary of their own.
fn study(commit: &str) -> Study {
    let mut study = Study::new(&["cache"], &["w"]);
    let built = |id: &str, sha256: String| BuildRecord {
        id: id.to_owned(),
        features: Vec::new(),
        settings: Default::default(),
        seconds: None,
        result: Ok(BuiltBinary { path: "/x".to_owned(), sha256, code_sha256: None }),
        layouts: Vec::new(),
    };
    let manifest = &mut study.manifest;
    let mut third = manifest.plan.cells.last().expect("a peer").clone();
    (third.id, third.name, third.served_by) = ("peer-third".to_owned(), "third".to_owned(), Some("third".to_owned()));
    manifest.plan.cells.push(third);
    manifest.builds = vec![built("full", format!("full at {commit}")), built("peers", "peers".to_owned())];
    for cell in manifest.plan.cells.iter_mut().filter(|cell| cell.id.starts_with("peer-")) {
        cell.build = "peers".to_owned();
    }
    let facts = [("arch", "x86_64"), ("cpu", "Z 9"), ("cores", "2"), ("memory", "8000 MiB"), ("commit", commit)];
    manifest.machine.facts = facts.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).into();
    study
}

fn usual(cell: &str) -> f64 {
    match cell {
        "peer-fast" => 60.0,
        "peer-slow" => 150.0,
        "no-cache@env" | "no-cache@feature" | "minimal@env" => 80.0,
        _ => 100.0,
    }
}

/// The results of 12 blocks in which cells take so long, with noise that depends on `seed`.
fn results(study: &Study, seed: u32, take: Take<'_>) -> Results {
    let noise = |cell: &str, block: u32| {
        let mixed = (u64::from(seed) << 32 | u64::from(block)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ cell.len() as u64;
        (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let records = study.records(12, |_, cell, block| take(cell) + noise(cell, block));
    let records = prove::judge_all(&study.manifest.plan, &records);
    let analysis = analyse_proven(&study.manifest, &records);
    let effects = crate::report::effects(&study.manifest, &records, &analysis);
    let measured = Some(Measured { records, analysis });
    Results { dir: PathBuf::from(format!("r{seed}")), manifest: study.manifest.clone(), effects, measured }
}

fn row<'a>(compared: &'a Compared, name: &str) -> &'a Row {
    compared.rows.iter().find(|row| row.key.subject.name() == name).expect("is a row")
}

fn verdict(compared: &Compared, name: &str) -> Verdict {
    row(compared, name).verdict
}

#[test]
fn equal_programs_are_not_told_apart_and_peers_are_the_same_binary() {
    let (old, new) = (study("aa"), study("bb"));
    let compared = compared(&results(&old, 1, &usual), &results(&new, 2, &usual)).expect("is compared");
    for name in ["baseline", "cache (env)", "cache (feature)"] {
        assert_eq!(verdict(&compared, name), Verdict::NotDetected, "{name}: {:?}", row(&compared, name));
    }
    assert_eq!(verdict(&compared, "peer-fast"), Verdict::SameBinary);
    assert!(compared.rows.iter().all(|row| row.key.subject.name() != "placebo"), "the placebo is no answer");
    assert!(compared.session.said.contains("as the controls show it"), "{:?}", compared.session);
    assert_eq!(compared.session.learnt[0].programs, 3);
    assert!(compared.advice.expect("two commits").contains("`cargo ablate diff aa..bb`"));
}

#[test]
fn planted_differences_of_a_cell_and_of_a_cost_are_found() {
    let (old, new) = (study("aa"), study("bb"));
    let slower = |cell: &str| if cell == "baseline" || cell == "placebo" { 115.0 } else { usual(cell) };
    let compared = compared(&results(&old, 1, &usual), &results(&new, 2, &slower)).expect("is compared");
    let baseline = row(&compared, "baseline");
    assert_eq!(baseline.verdict, Verdict::Worse, "{baseline:?}");
    let (difference, ratio) = (baseline.difference.expect("is known"), baseline.ratio.expect("is known"));
    assert!((difference.value - 15.0).abs() < 1.0 && (ratio.value - 1.15).abs() < 0.01, "{baseline:?}");
    let cost = row(&compared, "cache (env)");
    assert_eq!(cost.verdict, Verdict::Worse, "{cost:?}");
    assert!((cost.old.expect("is known").value - 20.0).abs() < 1.0, "{cost:?}");
    assert!((cost.difference.expect("is known").value - 15.0).abs() < 1.0 && cost.ratio.is_none(), "{cost:?}");
    assert_eq!(row(&compared, "peer-slow").reason, "the same binary: any difference is the session");
}

#[test]
fn what_peers_shift_by_is_not_claimed_of_the_subject() {
    let session = |cell: &str| 1.05 * usual(cell);
    let (old, new) = (study("aa"), study("bb"));
    let with = compared(&results(&old, 1, &usual), &results(&new, 2, &session)).expect("is compared");
    assert_eq!(verdict(&with, "baseline"), Verdict::NotDetected, "{:?}", row(&with, "baseline"));
    let learnt = &with.session.learnt[0];
    assert!((learnt.common - 0.05).abs() < 0.01 && (learnt.deviation - 0.05).abs() < 0.02, "{learnt:?}");
    // What the subject adds to that is seen beside the peers, which shift alike.
    let slower = |cell: &str| if cell == "baseline" { 1.5 * 115.0 } else { 1.5 * usual(cell) };
    let beside = compared(&results(&old, 1, &usual), &results(&new, 2, &slower)).expect("is compared");
    let rows: Vec<&Row> = beside.rows.iter().filter(|row| row.key.subject.name() == "baseline").collect();
    let [alone, beside] = rows[..] else { panic!("{rows:?}") };
    assert_eq!((alone.verdict, alone.is_beside), (Verdict::NotDetected, false), "{alone:?}");
    assert_eq!((beside.verdict, beside.is_beside), (Verdict::Worse, true), "{beside:?}");
    assert!((beside.ratio.expect("is known").value - 1.15).abs() < 0.01, "{beside:?}");
    // Without a peer of the same binary nothing tells the session from the program, which is said.
    let mut other = study("bb");
    other.manifest.builds[1].result.as_mut().expect("built").sha256 = "other peers".to_owned();
    let without = compared(&results(&old, 1, &usual), &results(&other, 2, &session)).expect("is compared");
    assert_eq!(verdict(&without, "baseline"), Verdict::Worse);
    assert!(without.session.said.contains("cover the blocks only"), "{:?}", without.session);
}

#[test]
fn machines_that_differ_have_no_controls_and_no_same_binary() {
    let (old, mut new) = (study("aa"), study("aa"));
    new.manifest.machine.facts.insert("cpu".to_owned(), Some("Y 1".to_owned()));
    let twice = |cell: &str| 2.0 * usual(cell);
    let two = compared(&results(&old, 1, &usual), &results(&new, 2, &twice)).expect("is compared");
    assert_eq!((verdict(&two, "baseline"), verdict(&two, "peer-fast")), (Verdict::Worse, Verdict::Worse));
    assert!(two.session.said.contains("two machines") && two.advice.is_none(), "{:?}", two.session);
    assert!(two.differences.iter().any(|line| line == "cpu: Z 9 → Y 1"), "{:?}", two.differences);
    // On one machine with another kernel, the same binaries differ by the kernel.
    let mut kernel = study("aa");
    kernel.manifest.machine.facts.insert("kernel".to_owned(), Some("7".to_owned()));
    let two = compared(&results(&old, 1, &usual), &results(&kernel, 2, &twice)).expect("is compared");
    assert_eq!(verdict(&two, "peer-fast"), Verdict::Worse);
    assert!(two.session.said.starts_with("kernel of the machine differ"), "{:?}", two.session);
}

#[test]
fn changed_work_is_refused_with_its_reason() {
    let (old, mut new) = (study("aa"), study("bb"));
    new.manifest.plan.workloads[0].args = vec!["--twice".to_owned()];
    let all = compared(&results(&old, 1, &usual), &results(&new, 2, &usual)).expect("is shown");
    assert!(all.rows.iter().all(|row| row.verdict == Verdict::Refused) && !all.is_compared());
    assert!(all.rows[0].reason.contains("arguments of workload `w` changed: none → `--twice`"), "{:?}", all.rows[0]);
    // The same definition, and yet other work: a file that runs read may have changed.
    let mut other = results(&old, 1, &usual);
    for run in &mut other.measured.as_mut().expect("has records").records {
        run.measured.as_mut().expect("is a timing run").checksum = "other".into();
    }
    let done = compared(&results(&old, 1, &usual), &other).expect("is shown");
    assert!(done.rows.iter().all(|row| row.verdict == Verdict::Refused), "{:?}", done.rows[0]);
    assert!(done.rows[0].reason.contains("did other work: 1000 operations with checksum c0ffee"), "{:?}", done.rows[0]);
    let mut new = study("bb");
    new.cell("no-cache@env").env.insert("X".to_owned(), "1".to_owned());
    let one = compared(&results(&old, 1, &usual), &results(&new, 2, &usual)).expect("is compared");
    assert_eq!(verdict(&one, "cache (env)"), Verdict::Refused);
    assert_eq!(verdict(&one, "cache (feature)"), Verdict::NotDetected);
}

#[test]
fn a_folder_without_records_gives_about_the_same() {
    let (old, new) = (study("aa"), study("bb"));
    let slower = |cell: &str| if cell == "baseline" || cell == "placebo" { 115.0 } else { usual(cell) };
    let without = Results { measured: None, ..results(&old, 1, &usual) };
    let compared = compared(&without, &results(&new, 2, &slower)).expect("is compared");
    assert!(compared.differences.iter().any(|line| line.contains("has no records")), "{:?}", compared.differences);
    for name in ["baseline", "cache (env)"] {
        let row = row(&compared, name);
        assert_eq!(row.verdict, Verdict::Worse, "{row:?}");
        assert!((row.difference.expect("is known").value - 15.0).abs() < 1.0, "{row:?}");
    }
}

#[test]
fn the_other_way_round_is_the_mirror_image() {
    let (old, new) = (study("aa"), study("bb"));
    // What differs is told with and without controls, in percent and in the unit of the response.
    let slower = |cell: &str| if cell == "baseline" || cell == "placebo" { 115.0 } else { 1.01 * usual(cell) };
    for has_records in [true, false] {
        let (mut old, mut new) = (results(&old, 1, &usual), results(&new, 2, &slower));
        if !has_records {
            (old.measured, new.measured) = (None, None);
        }
        let (there, back) = (compared(&old, &new).expect("is compared"), compared(&new, &old).expect("is compared"));
        let ends = |compared: &Compared, name: &str| -> Vec<(f64, f64)> {
            let rows = compared.rows.iter().filter(|row| row.key.subject.name() == name);
            let logs = |ratio: Estimate| ratio.interval.map(|(low, high)| (low.ln(), high.ln()));
            let own = rows.filter_map(|row| row.ratio.map_or_else(|| row.difference?.interval, logs));
            own.collect()
        };
        for name in ["baseline", "peer-fast", "cache (env)", "cache (feature)"] {
            let (there, back) = (ends(&there, name), ends(&back, name));
            assert!(!there.is_empty() && there.len() == back.len(), "{name}");
            for ((low, high), (other_low, other_high)) in there.iter().zip(&back) {
                let is_mirrored = (low + other_high).abs() < 1e-9 && (high + other_low).abs() < 1e-9;
                assert!(is_mirrored, "{name}: {there:?} and {back:?}");
            }
        }
    }
}

#[test]
fn every_form_has_every_row() {
    let (old, new) = (study("aa"), study("bb"));
    let slower = |cell: &str| if cell == "baseline" { 115.0 } else { usual(cell) };
    let (old, new) = (results(&old, 1, &usual), results(&new, 2, &slower));
    let comparison = Comparison { base: folder(&old), others: vec![compared(&old, &new).expect("is compared")] };
    let json: serde_json::Value = serde_json::from_str(&to_text(&comparison, Form::Json)).expect("is JSON");
    assert_eq!(json["comparisons"][0]["rows"].as_array().map(Vec::len), Some(comparison.others[0].rows.len()));
    let text = to_text(&comparison, Form::Terminal { columns: 100, all: false });
    assert!(text.contains("4 worse and 0 better of 4 rows") && text.contains("--all shows them"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let all = to_text(&comparison, Form::Markdown { all: true });
    assert!(all.contains("same binary") && all.starts_with("<!-- cargo ablate compare -->"), "{all}");
    let html = to_text(&comparison, Form::Html);
    assert!(html.matches("<svg").count() == 1 && !html.contains("href=\"http") && !html.contains("src="), "{html}");
    assert_eq!(html, to_text(&comparison, Form::Html), "the same results give the same bytes");
}

#[test]
fn one_folder_twice_is_refused() {
    let dirs = ["a", "b", "a"].map(PathBuf::from);
    let error = compare(&dirs).expect_err("is refused");
    assert!(matches!(&error, CompareError::Twice { dir } if dir == Path::new("a")), "{error}");
}

#[test]
fn what_is_unproven_is_claimed_of_no_row() {
    let (old, new) = (study("aa"), study("bb"));
    let slower = |cell: &str| if cell == "baseline" || cell == "placebo" { 115.0 } else { usual(cell) };
    for has_records in [true, false] {
        let (mut old, mut new) = (results(&old, 1, &usual), results(&new, 2, &slower));
        for row in old.effects.effects.iter_mut().chain(&mut new.effects.effects) {
            row.proof = "unproven".to_owned();
        }
        if !has_records {
            (old.measured, new.measured) = (None, None);
        }
        let compared = compared(&old, &new).expect("is compared");
        assert_eq!(verdict(&compared, "baseline"), Verdict::Worse);
        let cost = row(&compared, "cache (env)");
        assert!(cost.verdict == Verdict::NotKnown && cost.reason.starts_with("unproven"), "{cost:?}");
        assert!(cost.old.is_some() && cost.difference.is_none(), "{cost:?}");
    }
}

#[test]
fn identical_programs_are_the_whole_answer() {
    let one = study("aa");
    let (old, new) = (results(&one, 1, &usual), results(&one, 2, &usual));
    let comparison = Comparison { base: folder(&old), others: vec![compared(&old, &new).expect("is compared")] };
    let text = to_text(&comparison, Form::Terminal { columns: 100, all: false });
    assert!(text.contains("The programs are identical, so nothing is better or worse"), "{text}");
    let differs = text.split("What differs between both folders").nth(1).unwrap_or_default();
    assert!(!differs.split("The same in both").next().unwrap_or_default().contains("same code"), "{text}");
    assert!(text.contains("The same in both: ") && text.contains("12 blocks"), "{text}");
}
