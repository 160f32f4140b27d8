//! The scenarios fixed, parallel and memory-return.

use crate::common::{json, json_with, refused, same_checksums};
use serde_json::Value;

fn number(record: &Value, name: &str) -> f64 {
    record[name].as_f64().unwrap_or_else(|| panic!("{name}: {}", record[name]))
}

#[test]
fn every_lifetime_of_a_given_size_does_the_same_for_every_allocator() {
    for lifetime in ["lifo", "ring", "batch", "shuffled", "handoff"] {
        for size in ["16 --touch full", "4KiB --touch page", "300000 --touch none"] {
            same_checksums(&format!("--scenario fixed --bytes {size} --iterations 5000 --lifetime {lifetime}"));
        }
    }
    same_checksums("--scenario fixed --bytes 2MiB --iterations 10 --touch page --lifetime ring --cold");
}

#[test]
fn groups_live_in_the_other_scenarios_too() {
    for scenario in ["json", "mixed", "small"] {
        for lifetime in ["batch", "shuffled"] {
            same_checksums(&format!("--scenario {scenario} --iterations 1 --touch page --lifetime {lifetime}"));
        }
    }
}

#[test]
fn the_order_in_which_a_group_is_freed_is_the_seeds() {
    let checksum = |line: &str| {
        let line = format!("--allocator system --scenario small --iterations 1 --touch page {line}");
        json(&line)["checksum"].clone()
    };
    assert_ne!(checksum("--lifetime batch"), checksum("--lifetime shuffled"));
    assert_eq!(checksum("--lifetime shuffled"), checksum("--lifetime shuffled --seed 20251101"));
}

#[test]
fn a_given_size_is_reported_and_batches_hold_whole_groups() {
    let line = "--allocator system --scenario fixed --bytes 64KiB --iterations 1000 --touch none";
    let record = json(&format!("{line} --lifetime shuffled"));
    for (name, expected) in [
        ("bytes", Value::from(65536)),
        ("lifetime", "shuffled".into()),
        ("batch_operations", 5000.into()),
        ("operations", 5000.into()),
        ("samples", 1.into()),
        ("values", Value::Null),
        ("rest", Value::Null),
    ] {
        assert_eq!(record[name], expected, "{name}");
    }
    let record = json(&format!("{line} --lifetime batch --batch 16"));
    assert_eq!((&record["batch_operations"], &record["samples"]), (&1000.into(), &1.into()));
    let record = json(&format!("{line} --lifetime ring --batch 16"));
    assert_eq!((&record["batch_operations"], &record["samples"]), (&16.into(), &63.into()));
    assert_eq!(record["batches_ns"].as_array().map(Vec::len), Some(63));
    let record = json(&format!("{line} --lifetime handoff --threads 2"));
    assert_eq!((&record["lifetime"], &record["operations"]), (&"handoff".into(), &(2 * 4096).into()));
    assert_eq!(record["batches_ns"], Value::Null);
    let record = json("--allocator system --scenario fixed --bytes 2MiB --iterations 7 --cold --touch none");
    assert_eq!((&record["operations"], &record["latency_over"]), (&7.into(), &"operations".into()));
    assert_eq!(json("--allocator system --scenario vm --iterations 1")["bytes"], Value::Null);
}

#[test]
fn parallel_threads_do_their_part_each_and_are_timed_together() {
    same_checksums("--scenario parallel --iterations 1 --threads 3 --touch page");
    for threads in [1, 2, 5] {
        let record =
            json(&format!("--allocator system --scenario parallel --iterations 4 --threads {threads} --touch none"));
        assert_eq!((&record["operations"], &record["threads"]), (&(40_000 * threads).into(), &threads.into()));
        assert_eq!(record["batch_operations"], 2000 * threads);
        let samples = record["samples"].as_u64().expect("a number");
        assert!((1..=20).contains(&samples), "{samples}");
        if threads == 1 {
            assert_eq!(samples, 20);
        }
        assert!(number(&record, "latency_ns_p10") > 0.0);
        assert_eq!((&record["batches_ns"], &record["lifetime"]), (&Value::Null, &"random".into()));
    }
    let cold = json("--allocator system --scenario parallel --iterations 1 --threads 2 --cold");
    assert_eq!((&cold["latency_over"], &cold["warm_up_operations"]), (&"batches".into(), &0.into()));
}

#[test]
fn memory_return_reads_resident_memory_before_and_after() {
    let line = "--allocator system --scenario memory-return --bytes 64KiB --iterations 1";
    let record = json(line);
    let values = &record["values"];
    let (before, live) = (number(values, "resident_before_bytes"), number(values, "resident_live_bytes"));
    let (freed, rested) = (number(values, "resident_freed_bytes"), number(values, "resident_rested_bytes"));
    assert!(live - before > 250.0 * 1048576.0 && freed <= live && before > 0.0, "{values}");
    let share = number(values, "resident_rested_share");
    assert!((share - (rested - before) / (live - before)).abs() < 1e-9, "{values}");
    assert!(number(values, "fill_ns_mean") > 0.0 && number(values, "free_ns_mean") > 0.0);
    assert_eq!((&record["operations"], &record["rest"]), (&4096.into(), &"light".into()));
    assert_eq!((&record["lifetime"], &record["contention_probes_ns"]), (&"batch".into(), &Value::Null));
    assert!(record["page_faults"].as_u64().is_some_and(|faults| faults > 0));
    // Other sizes in the traffic and another order of frees: another checksum, the same for the next run.
    let shuffled = json(&format!("{line} --lifetime shuffled"));
    assert_ne!(record["checksum"], shuffled["checksum"]);
}

#[test]
fn hakmem_counts_the_light_traffic_and_none_in_an_idle_rest() {
    for rest in ["light", "idle"] {
        let line = "--allocator hakmem --scenario memory-return --bytes 2MiB --iterations 1 --touch page";
        let record = json(&format!("{line} --rest {rest} --lifetime shuffled"));
        assert_eq!(record["served_by"], "hakmem", "{rest}: {}", record["served_proof"]);
        let sentence = record["served_proof"].as_str().expect("a sentence");
        let counted = if rest == "light" { "counted 2128 requests" } else { "counted 128 requests" };
        assert!(sentence.contains(counted), "{rest}: {sentence}");
    }
}

#[test]
fn arguments_that_do_not_apply_are_refused() {
    for (line, part) in [
        ("--scenario fixed", "give --bytes, 16 to 64MiB"),
        ("--scenario fixed --bytes 8", "give 16 to 64MiB"),
        ("--scenario vm --bytes 4096", "take --scenario fixed or memory-return"),
        ("--scenario vm --rest idle", "take --scenario memory-return"),
        ("--scenario memory-return --bytes 64 --touch none", "take --touch full or page"),
        ("--scenario memory-return --bytes 64 --lifetime lifo", "--lifetime batch (in order) or shuffled"),
        ("--scenario memory-return --bytes 64 --cold", "drop --cold"),
        ("--scenario parallel --lifetime batch", "drop --lifetime"),
        ("--scenario parallel --threads 65", "give 1 to 64"),
        ("--scenario vm --cold --batch 16", "drop --batch or --cold"),
        ("--scenario fixed --bytes 64 --threads 2", "--lifetime handoff"),
    ] {
        refused(&format!("--allocator system --iterations 1 {line}"), &[part]);
    }
}

#[test]
fn the_environment_does_not_change_the_work() {
    let line = "--allocator hakmem --scenario fixed --bytes 4KiB --iterations 3000 --lifetime shuffled";
    assert_eq!(json(line)["checksum"], json_with(line, &[("HAKMEM_DISABLE_TICK", "1")])["checksum"]);
}
