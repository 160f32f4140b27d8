//! The memory shapes, each in a small form: every allocator does the same work, is proven, and every value is there.

use crate::SHAPES;
use crate::common::{json, refused, same_checksums, serving};
use serde_json::Value;

/// A small form of each shape, and the values that it reports.
const SMALL: [(&str, &[&str]); 16] = [
    (
        "idle-threads --threads 3 --live 1MiB --bytes-max 64KiB --seconds 0.01 --iterations 2",
        &[
            "resident_before_bytes",
            "resident_ended_bytes",
            "resident_idle_bytes",
            "resident_peak_bytes",
            "resident_rested_bytes",
        ],
    ),
    (
        "idle-threads --threads 2 --count 3 --bytes 1KiB --bytes-max 64KiB --seconds 0 --iterations 3",
        &[
            "resident_before_bytes",
            "resident_ended_bytes",
            "resident_idle_bytes",
            "resident_peak_bytes",
            "resident_rested_bytes",
        ],
    ),
    (
        "phases --live 4MiB --bytes-max 1MiB --count 6 --iterations 2 --lifetime shuffled",
        &["resident_before_bytes", "resident_freed_bytes", "resident_peak_bytes"],
    ),
    ("sparse --live 16MiB --iterations 2", &["resident_before_bytes", "resident_freed_bytes", "resident_live_bytes"]),
    (
        "survivors --live 4MiB --keep 10/32,1/512 --seconds 0.01 --iterations 1",
        &[
            "kept_bytes",
            "resident_before_bytes",
            "resident_kept_bytes",
            "resident_live_bytes",
            "resident_rested_again_bytes",
            "resident_rested_bytes",
        ],
    ),
    (
        "survivors --live 4MiB --keep 1/64 --seconds 0 --iterations 2 --lifetime shuffled",
        &["kept_bytes", "resident_before_bytes", "resident_kept_bytes", "resident_live_bytes", "resident_rested_bytes"],
    ),
    (
        "aligned --count 50 --align 64KiB --bytes 100 --iterations 2",
        &["pair_ns", "resident_before_bytes", "resident_freed_bytes", "resident_live_bytes"],
    ),
    ("calloc --bytes 3MiB --iterations 5", &["resident_before_bytes", "resident_live_bytes"]),
    (
        "resize --bytes 1MiB --step 10000 --count 3 --iterations 2",
        &[
            "halve_ns",
            "resident_before_bytes",
            "resident_grown_bytes",
            "resident_halved_bytes",
            "resident_peak_bytes",
            "resident_rested_bytes",
        ],
    ),
    (
        "large-reuse --bytes 1MiB --bytes-max 3MiB --count 3 --seconds 0 --touch page --iterations 5",
        &[
            "resident_before_bytes",
            "resident_freed_bytes",
            "resident_live_bytes",
            "resident_peak_bytes",
            "resident_rested_bytes",
        ],
    ),
    (
        "thread-churn --threads 3 --count 100 --iterations 4",
        &[
            "resident_before_bytes",
            "resident_early_bytes",
            "resident_ended_bytes",
            "resident_growth_bytes",
            "resident_peak_bytes",
            "thread_ns",
        ],
    ),
    (
        "producers-consumers --threads 2 --consumers 3 --count 5000 --iterations 2",
        &["resident_before_bytes", "resident_freed_bytes", "resident_peak_bytes"],
    ),
    (
        "neighbours --threads 3 --count 101 --bytes 32 --iterations 1",
        &["resident_before_bytes", "resident_peak_bytes", "shared_lines_share", "write_ns"],
    ),
    (
        "bursts --live 2MiB --seconds 0.01 --iterations 3",
        &["burst_ns", "resident_before_bytes", "resident_between_bytes", "resident_peak_bytes"],
    ),
    (
        "drift --live 2MiB --count 5 --seconds 0.01 --iterations 2",
        &[
            "resident_before_bytes",
            "resident_freed_bytes",
            "resident_live_bytes",
            "resident_peak_bytes",
            "resident_per_live",
            "resident_rested_bytes",
        ],
    ),
    ("fork --threads 2 --iterations 5", &["children_failed", "resident_peak_bytes"]),
];

fn value(record: &Value, name: &str) -> f64 {
    record["values"][name].as_f64().unwrap_or_else(|| panic!("{name}: {}", record["values"]))
}

#[test]
fn every_shape_does_the_same_for_every_allocator() {
    for (line, _) in SMALL {
        same_checksums(&format!("--scenario {line}"));
    }
}

#[test]
fn every_shape_is_proven_and_reports_its_values() {
    for (line, values) in SMALL {
        let line = format!("--scenario {line}");
        for allocator in serving(&line) {
            let record = json(&format!("--allocator {allocator} {line}"));
            let served_by = match allocator.as_str() {
                name if name.starts_with("hakmem") => "hakmem",
                "preloaded" => "c",
                name => name,
            };
            assert_eq!(record["served_by"], served_by, "{allocator} {line}: {}", record["served_proof"]);
            let told: Vec<&String> = record["values"].as_object().expect("values").keys().collect();
            assert_eq!(told, values, "{allocator} {line}");
            assert_eq!(record["samples"], record["iterations"], "{allocator} {line}");
            assert!(record["latency_ns_mean"].as_f64().is_some_and(|ns| ns > 0.0), "{allocator} {line}");
            assert!(record["shape"].is_object() && record["contention_probes_ns"].is_null(), "{allocator} {line}");
        }
    }
    assert!(SHAPES.iter().all(|shape| SMALL.iter().any(|(line, _)| line.starts_with(&format!("{shape} ")))));
}

#[test]
fn every_parameter_changes_the_work() {
    for (line, other) in [
        ("idle-threads --seconds 0 --live 1MiB --threads 2", "--threads 3"),
        ("idle-threads --seconds 0 --live 1MiB --threads 2", "--count 2"),
        ("phases --live 1MiB --count 4", "--bytes-max 1MiB"),
        ("sparse --live 1MiB", "--bytes 4KiB"),
        ("aligned --count 10", "--count 11"),
        ("calloc --bytes 1MiB", "--bytes 2MiB"),
        ("resize --bytes 1MiB --step 4KiB", "--bytes 2MiB"),
        ("large-reuse --bytes-max 6MiB --seconds 0 --touch page", "--count 2"),
        ("producers-consumers --count 1000", "--threads 1"),
        ("drift --live 1MiB --seconds 0 --count 3", "--count 4"),
    ] {
        let line = format!("--allocator system --iterations 2 --scenario {line}");
        assert_ne!(json(&line)["checksum"], json(&format!("{line} {other}"))["checksum"], "{line} {other}");
    }
}

#[test]
fn resident_memory_follows_what_a_shape_does() {
    const MIB: f64 = 1048576.0;
    let run = |line: &str| json(&format!("--allocator system --iterations 1 --scenario {line}"));
    let sparse = run("sparse --live 64MiB --bytes 1MiB");
    let written = run("phases --live 64MiB --bytes 1MiB --bytes-max 1MiB --count 1");
    let held = |record: &Value, name: &str| value(record, name) - value(record, "resident_before_bytes");
    // Of each object one OS page is written, or all.
    assert!(held(&sparse, "resident_live_bytes") < 2.0 * MIB, "{}", sparse["values"]);
    assert!(held(&written, "resident_peak_bytes") > 63.0 * MIB, "{}", written["values"]);
    // The table of 1,000,000 places, 16 MB, is left out.
    let small = run("survivors --live 16000000 --bytes 16 --keep 1/4 --seconds 0");
    assert_eq!(value(&small, "kept_bytes"), 4_000_000.0);
    let live = held(&small, "resident_live_bytes");
    assert!((29.0 * MIB..36.0 * MIB).contains(&live), "glibc takes 32 bytes each: {}", small["values"]);
    let halved = run("resize --bytes 64MiB --step 8MiB");
    assert!(held(&halved, "resident_grown_bytes") > 63.0 * MIB, "{}", halved["values"]);
    assert!(held(&halved, "resident_halved_bytes") < 40.0 * MIB, "{}", halved["values"]);
}

#[test]
fn options_that_a_shape_does_not_have_are_refused() {
    for (line, part) in [
        ("vm --live 1MiB", "'vm' is no memory shape: drop --live"),
        ("fixed --bytes 64 --count 3", "drop --count"),
        ("sparse --count 3", "'sparse' does not have --count"),
        ("calloc --threads 2", "does not have --threads"),
        ("sparse --touch page", "drop --touch"),
        ("phases --rest idle", "drop --rest"),
        ("phases --cold", "drop --cold"),
        ("phases --batch 4", "drop --batch"),
        ("drift --lifetime shuffled", "drop --lifetime"),
        ("phases --lifetime lifo", "drop --lifetime"),
        ("phases --bytes 2MiB --bytes-max 1MiB", "--bytes-max is less than --bytes"),
        ("survivors --keep 3", "give a part"),
        ("survivors --seconds=-1", "seconds"),
        ("aligned --align 48", "power of two"),
        ("neighbours --threads 1", "two or more threads"),
        ("idle-threads --threads 5000", "1 to 4096 threads"),
        ("sparse --live 1099511627776GiB", "number of bytes"),
        ("sparse --bytes 16 --live 100GiB", "objects"),
    ] {
        refused(&format!("--allocator system --iterations 1 --scenario {line}"), &[part]);
    }
    refused("--allocator floor --iterations 1 --scenario sparse", &["'floor' cannot run this"]);
}

/// Every row of the two configs is a command line that the program takes, and every value that is asked for is one of its
/// shape.
#[test]
fn the_configs_ask_for_what_the_shapes_have() {
    for config in ["shapes", "shapes-later"] {
        let path = format!("{}/../../configs/{config}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut values: &[&str] = &[];
        let mut rows = 0;
        for line in text.lines() {
            if let Some(args) = line.strip_prefix("args = ").filter(|args| args.contains("--scenario")) {
                let args: Vec<String> = serde_json::from_str(args).expect("a list of texts");
                let small = SMALL.iter().find(|(small, _)| small.starts_with(&format!("{} ", args[1])));
                values = small.unwrap_or_else(|| panic!("no shape {}", args[1])).1;
                let record = json(&format!("--allocator system {} --iterations 0", args.join(" ")));
                assert_eq!(record["scenario"], args[1].as_str());
                rows += 1;
            } else if line == "[[target]]" {
                values = &[];
            } else if let Some(name) = line.strip_prefix("response = \"value:").and_then(|name| name.strip_suffix('"'))
            {
                // Targets stand below the rows, and may be about several shapes.
                let known = match values {
                    [] => SMALL.iter().any(|(_, values)| values.contains(&name)),
                    own => own.contains(&name),
                };
                assert!(known, "{path}: {name} is none of {values:?}");
            }
        }
        assert!(rows >= 10, "{path}: {rows} rows");
    }
}
