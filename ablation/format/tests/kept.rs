//! The promise: a folder of format 2 is read by every later version, field for field.
//!
//! `tests/kept-2/` is a real study of `ablation/tests/fixtures/subject`, made by the config `kept.toml` in it. It is never
//! made again: a version that cannot read it breaks the promise.

use ablate_format::{Status, read_effects, read_manifest, read_records};
use serde_json::Value;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kept-2")
}

/// Adds the path of every field of the kept text that was lost in reading. What was read may have more fields.
fn lost(kept: &Value, read: &Value, path: &str, out: &mut Vec<String>) {
    match (kept, read) {
        (Value::Object(kept), Value::Object(read)) => {
            for (key, value) in kept {
                lost(value, read.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"), out);
            }
        }
        (Value::Array(kept), Value::Array(read)) if kept.len() == read.len() => {
            for (at, (kept, read)) in kept.iter().zip(read).enumerate() {
                lost(kept, read, &format!("{path}[{at}]"), out);
            }
        }
        // A list or a map that is empty need not be written.
        (Value::Array(kept), Value::Null) if kept.is_empty() => {}
        (Value::Object(_) | Value::Array(_), _) => out.push(format!("{path}: {kept} was read as {read}")),
        _ if kept == read => {}
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ => out.push(format!("{path}: {kept} was read as {read}")),
    }
}

#[track_caller]
fn assert_whole(kept: &str, read: impl serde::Serialize) {
    let kept: Value = serde_json::from_str(kept).expect("the kept text is JSON");
    let read = serde_json::to_value(read).expect("what was read is JSON");
    let mut out = Vec::new();
    lost(&kept, &read, "", &mut out);
    assert!(out.is_empty(), "{out:#?}");
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect("the kept file is there")
}

#[test]
fn the_manifest_is_read_field_for_field() {
    let manifest = read_manifest(&folder()).expect("reads");
    assert_whole(&text("manifest.json"), &manifest);
    assert_eq!((manifest.format, manifest.study.as_str(), manifest.blocks), (2, "kept", 6));
    assert_eq!(manifest.plan.factors.iter().map(|factor| factor.name.as_str()).collect::<Vec<_>>(), ["red", "blue"]);
    assert_eq!((manifest.plan.targets.len(), manifest.plan.hypotheses.len()), (1, 1));
}

#[test]
fn the_records_are_read_field_for_field() {
    let mut records = Vec::new();
    let bad = read_records(&folder(), |record| records.push(record)).expect("reads");
    assert_eq!(bad, []);
    let text = text("records.jsonl");
    assert_eq!(text.lines().count(), records.len());
    for (line, record) in text.lines().zip(&records) {
        assert_whole(line, record);
    }
    let measured = records.iter().filter(|record| record.status == Status::Ok && record.measured.is_some()).count();
    assert!(measured > 30, "{measured} records have a measured program's line");
}

#[test]
fn the_effects_are_read_field_for_field() {
    let effects = read_effects(&folder()).expect("reads");
    assert_whole(&text("effects.json"), &effects);
    assert!(!effects.effects.is_empty() && !effects.crossed.is_empty() && !effects.explained.breakdowns.is_empty());
    let red = effects.effects.iter().find(|row| row.factor == "red" && row.contrast == "on-off").expect("has a row");
    assert_eq!(
        (red.response.as_str(), red.verdict.as_str(), red.proof.as_str()),
        ("latency_ns_p10", "costs", "proven")
    );
    assert_eq!(effects.targets[0].verdict, "met");
}

/// What `cargo ablate archive` put under `results/`: a change of the format without new results fails here.
#[test]
fn every_archived_study_is_read() {
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../results");
    let mut studies = Vec::new();
    for entry in std::fs::read_dir(results).expect("the repository has results") {
        let dir = entry.expect("reads").path();
        let manifest = read_manifest(&dir).expect("the manifest reads");
        let effects = read_effects(&dir).expect("the effects read");
        assert_eq!(effects.study, manifest.study, "{}", dir.display());
        if dir.join("records.jsonl").exists() {
            assert_eq!(read_records(&dir, |_| {}).expect("the records read"), [], "{}", dir.display());
        }
        assert!(dir.join("report.md").is_file(), "{}", dir.display());
        studies.push(manifest.study);
    }
    assert!(studies.contains(&"bench".to_owned()), "{studies:?}");
}
