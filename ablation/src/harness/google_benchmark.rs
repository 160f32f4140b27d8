//! google/benchmark: the repetitions of its JSON file.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::text::exact;
use super::{options, samples};
use ablate_format::Measured;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "google-benchmark",
    by_cargo: false,
    passes: &[],
    response: "p50",
    one,
    read,
    list: |_| Call { args: vec!["--benchmark_list_tests=true".to_owned()], ..Call::default() },
    ids: |output| Ok(output.stdout.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()),
};

const FILE: &str = "google-benchmark.json";

/// Keys of a row that are no counters of the benchmark's own.
const OWN_KEYS: [&str; 10] = [
    "family_index",
    "per_family_instance_index",
    "repetitions",
    "repetition_index",
    "threads",
    "iterations",
    "real_time",
    "cpu_time",
    "complexity_n",
    "rms",
];

fn one(request: &Request<'_>) -> Call {
    let mut args =
        options::unless_given(request.given, &[("--benchmark_min_time=", "0.05"), ("--benchmark_repetitions=", "5")]);
    args.push(format!("--benchmark_filter={}", exact(request.benchmark)));
    args.push(format!("--benchmark_out={}", request.scratch.join(FILE).display()));
    args.push("--benchmark_out_format=json".to_owned());
    Call { args, ..Call::default() }
}

#[derive(Deserialize)]
struct File {
    benchmarks: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    run_type: String,
    #[serde(default)]
    error_occurred: bool,
    #[serde(default)]
    error_message: String,
    #[serde(default)]
    iterations: f64,
    #[serde(default)]
    real_time: f64,
    #[serde(default)]
    cpu_time: f64,
    #[serde(default)]
    time_unit: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let Ok(text) = std::fs::read(output.scratch.join(FILE)) else { return Err(not_there(output.benchmark, &[])) };
    if text.is_empty() {
        // So it ends when no benchmark matches.
        return Err(not_there(output.benchmark, &[]));
    }
    let file: File = serde_json::from_slice(&text).map_err(|e| format!("its JSON file cannot be read: {e}"))?;
    let runs: Vec<&Row> = file.benchmarks.iter().filter(|row| row.run_type != "aggregate").collect();
    let own: Vec<&&Row> = runs.iter().filter(|row| row.name == output.benchmark).collect();
    if own.is_empty() {
        return Err(not_there(output.benchmark, &runs.iter().map(|row| row.name.as_str()).collect::<Vec<_>>()));
    }
    if let Some(failed) = own.iter().find(|row| row.error_occurred) {
        return Err(format!("the benchmark failed: {}", failed.error_message));
    }
    let Some(unit) = own.iter().map(|row| samples::unit_ns(&row.time_unit)).collect::<Option<Vec<f64>>>() else {
        return Err(format!("its unit of time is not known: `{}`", own[0].time_unit));
    };
    let in_ns = |time: fn(&Row) -> f64| -> Vec<f64> { own.iter().zip(&unit).map(|(row, ns)| time(row) * ns).collect() };
    let mut out = samples::measured(&in_ns(|row| row.real_time), own.iter().map(|row| row.iterations).sum())?;
    if let Some(cpu) = samples::median(&in_ns(|row| row.cpu_time)) {
        samples::add_value(&mut out, "cpu_ns", cpu);
    }
    let mut counters: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in own.iter().flat_map(|row| &row.more) {
        if let Some(value) = value.as_f64().filter(|_| !OWN_KEYS.contains(&name.as_str())) {
            counters.entry(name).or_default().push(value);
        }
    }
    for (name, values) in counters {
        if let Some(value) = samples::median(&values) {
            samples::add_value(&mut out, name, value);
        }
    }
    Ok(out)
}
