//! Shards of a study whose numbers are known, run and merged.

use crate::common::{self, Bench, Said};
use serde_json::Value;

/// A program that prints the number that its level and its environment say, so that every run is known beforehand.
pub(crate) const KNOWN: &str = r#"
study = "known"
seed = 1
blocks = 12
counting_repeats = 0
arms = ["env"]
design = ["leave-one-out"]
[subject]
command = ["sh", "work.sh"]
[[factor]]
name = "slow"
proof = ["slow.hits"]
[factor.levels]
on = { SLOW = "40" }
off = { SLOW = "0" }
[[workload]]
name = "plain"
args = []
response = "value:value_ns"
"#;

const WORK: &str = r#"
if [ "$SLOW" = 0 ]; then level=off; else level=on; fi
echo "{\"value_ns\": $((1000 + SLOW)), \"levels\": {\"slow\": \"$level\"}, \"counters\": {\"slow\": {\"hits\": $SLOW}}}"
"#;

pub(crate) fn known(text: &str) -> Bench {
    let bench = Bench::new(text);
    std::fs::write(bench.path("work.sh"), WORK).expect("writes");
    bench
}

/// Runs one shard into a folder of its name.
fn shard(bench: &Bench, part: &str, out: &str, more: &[&str]) -> Said {
    bench.ablate(&[&["run", "study.toml", "--shard", part, "--out", out], more].concat())
}

fn json(bench: &Bench, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(bench.path(name)).expect("is there")).expect("is JSON")
}

fn change(bench: &Bench, name: &str, change: impl Fn(&mut Value)) {
    let mut value = json(bench, name);
    change(&mut value);
    std::fs::write(bench.path(name), serde_json::to_vec(&value).expect("is JSON")).expect("writes");
}

/// A report without what depends on times, on its folder, and on being divided.
fn timeless(text: &str) -> String {
    let differs = [
        "timed processes found a quiet",
        "- machine: ",
        "## Machines",
        "all shards ran on one machine",
        "In full, ",
        "Tables of memory: ",
    ];
    // On a busy machine runs take so long that their memory is sampled.
    let mut is_memory = false;
    let same = |line: &&str| {
        is_memory = line.starts_with("Time and memory of ") || (is_memory && !line.starts_with("## "));
        !is_memory && !line.is_empty() && !differs.iter().any(|part| line.contains(part))
    };
    text.lines().filter(same).collect::<Vec<_>>().join("\n")
}

#[test]
fn merged_shards_of_one_machine_are_the_study_as_it_is() {
    let bench = known(KNOWN);
    assert_eq!(bench.run(&[], 0).code, 0);
    for (part, out) in [("1/2", "s1"), ("2/2", "s2")] {
        let said = shard(&bench, part, out, &[]);
        assert_eq!(said.code, 0, "{said:#?}");
        assert!(said.unwrapped().contains("a part of the study: shard"), "{said:#?}");
        let blocks: Vec<u64> =
            records(&bench, out).iter().map(|record| record["block"].as_u64().expect("a number")).collect();
        let first: u64 = if out == "s1" { 0 } else { 1 };
        assert!(blocks.len() == 6 * 3 && blocks.iter().all(|block| block % 2 == first), "{blocks:?}");
    }
    let said = bench.ablate(&["merge", "s2", "s1", "--out", "merged"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.err.contains("merged 2 shards of 1 machine into merged"), "{said:#?}");
    let report = |name: &str| timeless(&std::fs::read_to_string(bench.path(name)).expect("is there"));
    assert_eq!(report("out/report.md"), report("merged/report.md"));
    assert!(report("merged/report.md").contains("| no-slow       | env |     1,000 [1,000, 1,000] |"));
    let page = std::fs::read_to_string(bench.path("merged/report.html")).expect("is there");
    assert!(page.contains("all shards ran on one machine"));
    let effects = |name: &str| json(&bench, name)["effects"].to_string();
    let without_memory = |text: String| -> Vec<Value> {
        let rows: Vec<Value> = serde_json::from_str(&text).expect("a list");
        rows.into_iter().filter(|row| row["response"] == "value:value_ns").collect()
    };
    let merged = without_memory(effects("merged/effects.json"));
    assert_eq!(merged, without_memory(effects("out/effects.json")));
    assert!(merged.iter().any(|row| row["factor"] == "slow" && row["estimate"] == 40.0), "{merged:?}");
    // Other subcommands take it as any study.
    assert_eq!(bench.ablate(&["report", "merged"]).code, 0);
    assert_eq!(bench.ablate(&["archive", "merged", "--to", "results"]).code, 0);
    let said = bench.ablate(&["run", "study.toml", "--out", "merged", "--resume"]);
    assert_eq!(said.code, 2);
    said.complains(&["merged cannot be resumed", "continue its shards"]);
    let again = bench.ablate(&["merge", "merged", "s1", "--out", "twice"]);
    again.complains(&["merged is no shard but a study that was merged already"]);
    // No host name and no raw id of the machine is in any file.
    for secret in ["/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname", "/etc/machine-id"] {
        let secret = std::fs::read_to_string(secret).unwrap_or_default();
        let secret = secret.trim();
        let manifest = std::fs::read_to_string(bench.path("merged/manifest.json")).expect("is there");
        assert!(secret.len() < 6 || !manifest.contains(secret), "{secret}");
    }
}

fn records(bench: &Bench, out: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.path(&format!("{out}/records.jsonl"))).expect("there are records");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

#[test]
fn two_machines_are_told_apart_and_shown() {
    let bench = known(KNOWN);
    for (part, out) in [("1/2", "s1"), ("2/2", "s2")] {
        assert_eq!(shard(&bench, part, out, &[]).code, 0);
    }
    // As if the second had run on another machine.
    change(&bench, "s2/manifest.json", |manifest| manifest["shard"]["machine"] = "0123456789abcdef".into());
    let said = bench.ablate(&["merge", "s1", "s2", "--out", "merged"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.err.contains("2 shards of 2 machines"), "{said:#?}");
    let text = said.unwrapped();
    for part in ["Machines", "Effects of plain over machines", "these machines", "machines like these", "τ", "I²"] {
        assert!(text.contains(part), "expected `{part}` in {text}");
    }
    let machines: Vec<u64> = records(&bench, "merged").iter().map(|r| r["machine"].as_u64().unwrap_or(0)).collect();
    assert_eq!((machines.iter().filter(|m| **m == 0).count(), machines.len()), (18, 36));
    let manifest = json(&bench, "merged/manifest.json");
    assert_eq!(manifest["machines"].as_array().map(Vec::len), Some(2));
    let effects = json(&bench, "merged/effects.json");
    let row = effects["effects"].as_array().expect("rows").iter().find(|row| row["factor"] == "slow").expect("a row");
    assert_eq!(row["machines"]["each"][1]["machine"], 1);
    assert_eq!(row["machines"]["machines_like_these"]["value"], 40.0);
}

#[test]
fn what_does_not_belong_together_is_not_merged() {
    let bench = known(KNOWN);
    let merge = |dirs: &[&str], parts: &[&str]| {
        let said = bench.ablate(&[&["merge"], dirs, &["--out", "merged"]].concat());
        assert_eq!(said.code, 2, "{said:#?}");
        said.complains(parts);
        assert!(!bench.path("merged").exists(), "nothing is written");
    };
    for (part, out, more) in [
        ("1/3", "s1", &[][..]),
        ("3/3", "s3", &[][..]),
        ("2/3", "seed", &["--seed", "9"][..]),
        ("2/3", "blocks", &["--blocks", "9"][..]),
        ("2/3", "cells", &["--cell", "baseline"][..]),
        ("2/4", "four", &[][..]),
    ] {
        assert_eq!(shard(&bench, part, out, more).code, 0, "{out}");
    }
    merge(&["s1", "s3", "s1"], &["s1 and s1 overlap: both are shard 1 of 3"]);
    merge(&["s1", "seed"], &["s1 and seed cannot be merged: the seed is 1 in the first and 9 in the second"]);
    merge(&["s1", "blocks"], &["the number of blocks is 12 in the first and 9"]);
    merge(&["s1", "cells"], &["s1 and cells cannot be merged: plan."]);
    merge(&["s1", "four"], &["the number of shards is 3 in the first and 4"]);
    merge(&["s1", "missing"], &["missing"]);
    std::fs::write(bench.path("study.toml"), KNOWN.replace("40", "41")).expect("writes");
    assert_eq!(shard(&bench, "2/3", "config", &[]).code, 0);
    merge(&["s1", "config"], &["of the config is `on = { SLOW = \"40\" }` in the first"]);
    std::fs::write(bench.path("study.toml"), KNOWN).expect("writes");
    std::fs::write(bench.path("work.sh"), format!("{WORK}# another\n")).expect("writes");
    assert_eq!(shard(&bench, "2/3", "program", &[]).code, 0);
    merge(&["s1", "program"], &["the binary of build `full` is"]);
    bench.run(&["--blocks", "2"], 0);
    merge(&["s1", "out"], &["out is no shard but a whole study"]);

    // Two of three: joined, and incomplete.
    let said = bench.ablate(&["merge", "s3", "s1", "--out", "merged"]);
    assert_eq!(said.code, 1, "{said:#?}");
    said.complains(&["2 of 3 shards; blocks 2, 5, 8 … are missing", "24 of 36 planned runs have records"]);
    assert!(said.unwrapped().contains("8 blocks of 1 workload"), "{said:#?}");
    let said = bench.ablate(&["merge", "s1", "--out", "merged"]);
    assert_eq!(said.code, 2);
    said.complains(&["merged is not empty; give the name of a new folder"]);
}

#[test]
fn a_shard_that_cannot_be_is_refused() {
    let bench = known(KNOWN);
    for (part, more, expected) in [
        ("0/3", &[][..], "there is no such shard"),
        ("4/3", &[][..], "there is no such shard"),
        ("a/b", &[][..], "not two whole numbers"),
        ("-1/3", &[][..], "not two whole numbers"),
        ("1/13", &[][..], "the study has 12 blocks"),
        ("1/3", &["--budget", "5s"][..], "a shard does not know what the others have measured"),
        ("1/3", &["--until-halfwidth", "1%"][..], "a shard does not know"),
        ("3/3", &["--blocks", "2"][..], "the study has 2 blocks"),
    ] {
        let said = shard(&bench, part, "out", more);
        assert_eq!(said.code, 2, "{part}: {said:#?}");
        said.complains(&[expected]);
        assert!(!bench.path("out/manifest.json").exists(), "{part}");
    }
}

#[test]
fn a_shard_is_continued_as_itself() {
    let bench = known(KNOWN);
    assert_eq!(shard(&bench, "2/2", "out", &[]).code, 0);
    let all = bench.records().len();
    let text = std::fs::read_to_string(bench.path("out/records.jsonl")).expect("is there");
    let half: String = text.lines().take(7).map(|line| format!("{line}\n")).collect();
    std::fs::write(bench.path("out/records.jsonl"), half).expect("writes");
    let said = shard(&bench, "1/2", "out", &["--resume"]);
    assert_eq!(said.code, 2);
    said.complains(&["started with --shard 2/2, and this call has --shard 1/2"]);
    bench.run(&["--resume"], 2).complains(&["this call has no --shard"]);
    assert_eq!(shard(&bench, "2/2", "out", &["--resume"]).code, 0);
    assert_eq!(bench.records().len(), all);
    change(&bench, "out/manifest.json", |manifest| manifest["shard"]["machine"] = "0123456789abcdef".into());
    let said = shard(&bench, "2/2", "out", &["--resume"]);
    assert_eq!(said.code, 2);
    said.complains(&["not the machine that the shard was started on"]);
}

#[test]
fn every_shard_counts_by_itself_and_builds_fail_once() {
    let text = common::ENV_ONLY.replace("arms = [\"env\"]", "arms = [\"env\", \"feature\"]");
    let bench = Bench::new(&text.replace("blocks = 2", "blocks = 4"));
    for (part, out) in [("1/2", "s1"), ("2/2", "s2")] {
        let said = shard(&bench, part, out, &["--workload", "plain"]);
        assert_eq!(said.code, 0, "{said:#?}");
    }
    let said = bench.ablate(&["merge", "s1", "s2", "--out", "out"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let counting: Vec<Value> = bench.runs().into_iter().filter(|record| record["pass"] == "counting").collect();
    let of = |block: u64| counting.iter().filter(|record| record["block"] == block).count();
    assert!(of(0) > 0 && of(0) == of(1) && of(0) + of(1) == counting.len(), "{counting:?}");
}
