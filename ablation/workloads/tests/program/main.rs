//! The measured program as its users run it: what it prints, refuses and proves.

mod common;
mod peers;
mod replay;
mod scenarios;
mod shapes;

use common::{built_in, json, refused, run, same_checksums, serving};
use serde_json::Value;
use std::process::Command;

const ALLOCATORS: [&str; 11] = [
    "hakmem",
    "hakmem-evolving",
    "hakmem-baseline",
    "hakmem-minimal",
    "mimalloc",
    "mimalloc-v2",
    "jemalloc",
    "snmalloc",
    "system",
    "preloaded",
    "floor",
];
const WITH_LIFETIME: [&str; 5] = ["json", "mir", "vm", "mixed", "small"];
const WITH_THEIR_OWN: [&str; 2] = ["churn", "threads"];
const OTHERS: [&str; 3] = ["fixed", "parallel", "memory-return"];
const SHAPES: [&str; 14] = [
    "idle-threads",
    "phases",
    "sparse",
    "survivors",
    "aligned",
    "calloc",
    "resize",
    "large-reuse",
    "thread-churn",
    "producers-consumers",
    "neighbours",
    "bursts",
    "drift",
    "fork",
];

#[test]
fn checksums_are_equal_for_every_allocator() {
    for scenario in WITH_LIFETIME {
        for touch in ["none", "page", "full"] {
            for lifetime in ["lifo", "ring"] {
                same_checksums(&format!(
                    "--scenario {scenario} --iterations 1 --touch {touch} --lifetime {lifetime} --cold"
                ));
            }
        }
    }
}

#[test]
fn checksums_are_equal_where_the_scenario_decides_lifetimes() {
    for scenario in WITH_THEIR_OWN {
        for touch in ["none", "page", "full"] {
            same_checksums(&format!("--scenario {scenario} --iterations 1 --touch {touch} --cold"));
        }
    }
    same_checksums("--scenario threads --iterations 1 --threads 2");
}

#[test]
fn checksums_are_equal_when_warm() {
    for line in [
        "--scenario json --iterations 1 --touch page",
        "--scenario mixed --iterations 2 --touch none --lifetime ring",
        "--scenario churn --iterations 1 --touch none",
        "--scenario small --iterations 1",
    ] {
        same_checksums(line);
    }
}

/// Runs are compared by their checksums, also with kept results of older versions.
#[test]
fn the_work_of_a_scenario_stays_what_it_was() {
    for (line, checksum) in [
        ("json --lifetime ring", "37fac640072602d9"),
        ("mir --lifetime ring", "c9181c587b4052b9"),
        ("vm --lifetime ring", "aaae386cb51fd956"),
        ("mixed --lifetime ring", "a376c7ed3955a1f6"),
        ("small --lifetime ring", "26cf608ca7af0c16"),
        ("churn", "435de4ed1e23f972"),
        ("threads", "d942502ce51cb552"),
    ] {
        let record = json(&format!("--allocator system --iterations 3 --touch page --cold --scenario {line}"));
        assert_eq!(record["checksum"], checksum, "{line}");
    }
}

#[test]
fn the_checksum_depends_on_seed_and_touch_and_repeats() {
    let checksum = |line: &str| {
        json(&format!("--allocator system --scenario mixed --iterations 1 --cold {line}"))["checksum"].clone()
    };
    assert_eq!(checksum(""), checksum("--seed 20251101 --touch full"));
    assert_ne!(checksum(""), checksum("--seed 1"));
    assert_ne!(checksum(""), checksum("--touch none"));
}

#[test]
fn every_allocator_proves_that_it_served() {
    for line in [
        "--scenario vm --iterations 2 --cold",
        "--scenario small --iterations 1",
        "--scenario churn --iterations 1 --touch page",
        "--scenario threads --iterations 1 --threads 2 --touch none",
        "--scenario json --iterations 0",
        "--scenario fixed --bytes 16 --iterations 1 --touch none",
        "--scenario fixed --bytes 64 --iterations 9000 --lifetime handoff --threads 2",
        "--scenario fixed --bytes 64MiB --iterations 1 --touch none",
        "--scenario parallel --threads 3 --iterations 1",
    ] {
        for allocator in serving(line) {
            let served_by = match allocator.as_str() {
                name if name.starts_with("hakmem") => "hakmem",
                "preloaded" => "c",
                name => name,
            };
            let record = json(&format!("--allocator {allocator} {line}"));
            assert_eq!(record["served_by"], served_by, "{allocator} {line}: {}", record["served_proof"]);
        }
    }
}

#[test]
fn the_line_has_every_field() {
    let record = json("--allocator system --scenario mir --iterations 3 --touch page --lifetime ring --seed 5");
    for (name, expected) in [
        ("format", Value::from(2)),
        ("program", "bench_allocators".into()),
        ("allocator", "system".into()),
        ("scenario", "mir".into()),
        ("iterations", 3.into()),
        ("operations", 300.into()),
        ("warm_up_operations", 200.into()),
        ("touch", "page".into()),
        ("lifetime", "ring".into()),
        ("threads", 1.into()),
        ("cold", false.into()),
        ("seed", 5.into()),
        ("latency_over", "batches".into()),
        ("batch_operations", 100.into()),
        ("samples", 3.into()),
        ("levels", serde_json::json!({})),
        ("counters", serde_json::json!({})),
        ("env_rejected", serde_json::json!([])),
    ] {
        assert_eq!(record[name], expected, "{name}");
    }
    let number = |name: &str| record[name].as_f64().unwrap_or_else(|| panic!("{name}: {}", record[name]));
    assert!(number("latency_ns_p10") <= number("latency_ns_p50"));
    assert!(number("latency_ns_p50") <= number("latency_ns_p99"));
    assert!(number("latency_ns_p10") > 0.0 && number("latency_ns_mean") > 0.0);
    assert!(number("timer_ns") > 0.0 && number("rss_peak_bytes") > 0.0);
    assert!(number("page_faults") >= 0.0 && number("page_faults_per_op") >= 0.0);
    assert!(record["served_by"].is_string() && record["served_proof"].is_string());
}

#[test]
fn warm_batches_come_with_their_contention_probes() {
    let lists = |line: &str| {
        let record = json(&format!("--allocator system {line}"));
        let list = |name: &str| record[name].as_array().map_or(0, Vec::len);
        (list("batches_ns"), list("contention_probes_ns"), record)
    };
    let (batches, probes, record) = lists("--scenario small --iterations 4 --touch none");
    assert_eq!((batches, probes), (20, 21));
    assert_eq!(record["samples"], 20);
    let values: Vec<f64> = record["batches_ns"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let expected = record["latency_ns_mean"].as_f64().expect("a mean");
    assert!((mean - expected).abs() < 0.001, "{mean} against {expected}");
    assert!(
        record["contention_probes_ns"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|ns| ns.as_f64().is_some_and(|ns| ns > 0.0))
    );
    for line in [
        "--scenario small --iterations 1 --cold",
        "--scenario small --iterations 0",
        "--scenario small --iterations 4 --no-proof",
        "--scenario threads --iterations 4 --touch none",
    ] {
        let (batches, probes, _) = lists(line);
        assert_eq!((batches, probes), (0, 0), "{line}");
    }
}

#[test]
fn cold_runs_time_every_operation_and_fault_their_pages_in() {
    let record = json("--allocator system --scenario vm --iterations 2 --cold --touch page --lifetime ring");
    assert_eq!(record["latency_over"], "operations");
    assert_eq!((&record["samples"], &record["operations"]), (&20.into(), &20.into()));
    assert_eq!((&record["batch_operations"], &record["warm_up_operations"]), (&1.into(), &0.into()));
    assert!(record["page_faults"].as_u64().is_some_and(|faults| faults > 16 * 256), "{}", record["page_faults"]);
}

#[test]
fn no_iterations_do_everything_but_the_measured_part() {
    for line in [
        "--scenario mixed --cold",
        "--scenario mixed",
        "--scenario threads",
        "--scenario parallel --threads 2",
        "--scenario fixed --bytes 64 --lifetime shuffled",
        "--scenario memory-return --bytes 64",
        "--scenario idle-threads",
        "--scenario resize",
    ] {
        for allocator in serving(line) {
            let record = json(&format!("--allocator {allocator} {line} --iterations 0"));
            assert_eq!(record["operations"], 0);
            assert_eq!(record["samples"], 0);
            for name in ["p10", "p50", "p99", "mean"] {
                assert_eq!(record[format!("latency_ns_{name}")], 0.0, "{allocator} {line}");
            }
        }
    }
}

#[test]
fn without_proof_no_allocator_is_named_and_the_work_is_the_same() {
    let line = "--allocator system --scenario mixed --iterations 3";
    let (with, without) = (json(line), json(&format!("{line} --no-proof")));
    assert_eq!((&with["served_by"], &without["served_by"]), (&"system".into(), &Value::Null));
    assert_eq!(with["checksum"], without["checksum"]);
}

#[test]
fn the_later_argument_wins() {
    let record = json(
        "--allocator mimalloc --scenario vm --allocator system --iterations 7 --json --iterations 0 --scenario mir",
    );
    assert_eq!((&record["allocator"], &record["scenario"]), (&"system".into(), &"mir".into()));
    assert_eq!(record["operations"], 0);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    refused("--allocator tcmalloc --scenario vm --iterations 1", &["'tcmalloc'", "hakmem-evolving", "system"]);
    refused("--allocator mimaloc --scenario vm --iterations 1", &["did you mean 'mimalloc'?"]);
    refused(
        "--allocator system --scenario vmm --iterations 1",
        &["'vmm'", "json, mir, vm, mixed, small, churn, threads, fixed, parallel, memory-return"],
    );
    refused("--allocator system --scenario vm --iterations 1 --touch all", &["'all'", "none, page, full"]);
    refused("--allocator system --scenario vm --iterations ten", &["'ten'"]);
    refused("--allocator system --scenario vm", &["--iterations"]);
    refused("--allocator system --scenario churn --iterations 1 --lifetime lifo", &["drop --lifetime"]);
    refused("--allocator system --scenario vm --iterations 1 --threads 3", &["has one thread"]);
    let built_in = built_in();
    for allocator in ALLOCATORS.iter().filter(|a| !built_in.iter().any(|b| b == *a)) {
        refused(
            &format!("--allocator {allocator} --scenario vm --iterations 1"),
            &["is not built in", &format!("--features {allocator}")],
        );
        refused("--allocator x --scenario vm --iterations 1", &["not built in: ", allocator]);
    }
}

#[test]
fn the_list_names_everything() {
    let list = json("--list");
    let names = |what: &str| -> Vec<String> {
        let rows = list[what].as_array().unwrap_or_else(|| panic!("no list of {what}"));
        rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("allocators"), ALLOCATORS);
    assert_eq!(names("scenarios"), [&WITH_LIFETIME[..], &WITH_THEIR_OWN[..], &OTHERS[..], &SHAPES[..]].concat());
    let known: Vec<&str> = hakmem::factors::registry().iter().map(|factor| factor.name).collect();
    assert_eq!(names("factors"), known);

    let output = run("--list");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for name in ALLOCATORS.iter().chain(&WITH_LIFETIME).chain(&WITH_THEIR_OWN).chain(&OTHERS).chain(&SHAPES) {
        assert!(text.contains(name), "{name} is not in:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn hakmem_reports_levels_and_counters_and_obeys_the_environment() {
    let run = |name: &str, value: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_bench_allocators"))
            .args("--allocator hakmem-evolving --scenario vm --iterations 100 --touch page --json".split(' '))
            .env_clear()
            .env(name, value)
            .output()
            .expect("the program was built and can be started");
        assert!(output.status.success());
        serde_json::from_slice::<Value>(&output.stdout).expect("one line of JSON")
    };
    let on = run("NOTHING", "1");
    let factors = on["levels"].as_object().expect("levels");
    assert!(!factors.is_empty(), "no levels");
    assert!(factors.keys().eq(on["counters"].as_object().expect("counters").keys()));
    assert_eq!(on["levels"]["bigcache"] == "on", cfg!(feature = "bigcache"), "{}", on["levels"]);
    if cfg!(feature = "bigcache") {
        let (hits, lookups) =
            (on["counters"]["bigcache"]["hits"].as_f64(), on["counters"]["bigcache"]["lookups"].as_f64());
        assert!(hits > lookups.map(|l| 0.9 * l), "{}", on["counters"]);
        let off = run("HAKMEM_DISABLE_BIGCACHE", "1");
        assert_eq!(off["levels"]["bigcache"], "off");
        let counters = off["counters"]["bigcache"].as_object().expect("counters");
        assert!(counters.values().all(|v| v == 0), "{counters:?}");
    }
    let wrong = run("HAKMEM_DISABLE_BIGCASH", "1");
    assert_eq!(wrong["env_rejected"].as_array().map(Vec::len), Some(1), "{}", wrong["env_rejected"]);
}

#[test]
fn the_table_fits_a_hundred_columns() {
    for line in [
        "--scenario vm --iterations 10 --cold",
        "--scenario small --iterations 1",
        "--scenario json --iterations 0",
        "--scenario memory-return --bytes 2MiB --touch page --iterations 1",
        "--scenario sparse --live 4MiB --iterations 1",
    ] {
        for allocator in ["hakmem", "system"] {
            let output = run(&format!("--allocator {allocator} {line}"));
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            assert!(text.contains("ns/op") && text.contains("served by"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }
}

/// A peer whose own assertions are compiled in is measured with a handicap: snmalloc then fills what is freed.
#[test]
fn peers_are_built_without_their_assertions() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_bench_allocators")).expect("the program can be read");
    let text = b"assert fail: {} in {} on {}";
    assert!(
        !program.windows(text.len()).any(|window| window == text),
        "snmalloc is built with assertions: CXXFLAGS must contain -DNDEBUG (see [env] in .cargo/config.toml)"
    );
}
