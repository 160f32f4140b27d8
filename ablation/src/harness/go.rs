//! `go test -bench`, or a test binary that `go test -c` built: one line for each of `-count` repetitions.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::text::escaped;
use super::{options, samples};
use ablate_format::Measured;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "go",
    by_cargo: false,
    // For `go test`, which builds; a test binary needs none.
    passes: &["PATH", "HOME", "GOPATH", "GOCACHE", "GOFLAGS", "GOROOT"],
    response: "p50",
    one,
    read,
    list,
    ids: |output| Ok(output.stdout.lines().filter_map(row).map(|row| row.name.to_owned()).collect()),
};

/// The name of a flag: flags of a test binary have a prefix that `go test` adds.
fn flag(request: &Request<'_>, name: &str) -> String {
    let program = request.given.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|program| program == "go") { format!("-{name}=") } else { format!("-test.{name}=") }
}

fn call(request: &Request<'_>, pattern: &str, short: &[(&str, &str)]) -> Call {
    // Flags have one dash or two.
    let given: Vec<String> = request.given.iter().map(|word| word.replacen("--", "-", 1)).collect();
    let set = [&[("run", "^$")], short].concat();
    let set: Vec<(String, &str)> = set.iter().map(|(name, value)| (flag(request, name), *value)).collect();
    let set: Vec<(&str, &str)> = set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let mut args = options::unless_given(&given, &set);
    args.push(format!("{}{pattern}", flag(request, "bench")));
    Call { args, ..Call::default() }
}

/// Its pattern is one for each part of a name between slashes.
fn one(request: &Request<'_>) -> Call {
    let parts: Vec<String> = request.benchmark.split('/').map(|part| format!("^{}$", escaped(part))).collect();
    call(request, &parts.join("/"), &[("benchtime", "50ms"), ("count", "5")])
}

/// One iteration of all: a list of Go has no sub-benchmarks.
fn list(request: &Request<'_>) -> Call {
    call(request, ".", &[("benchtime", "1x"), ("cpu", "1")])
}

struct Row<'a> {
    name: &'a str,
    iterations: f64,
    /// Values with their units.
    values: Vec<(f64, &'a str)>,
}

/// `BenchmarkName-2   1000   123 ns/op   16 B/op`.
fn row(line: &str) -> Option<Row<'_>> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|name| name.starts_with("Benchmark"))?;
    let iterations = words.next()?.parse().ok()?;
    let words: Vec<&str> = words.collect();
    let values: Option<Vec<(f64, &str)>> =
        words.chunks(2).map(|pair| Some((pair[0].parse().ok()?, *pair.get(1)?))).collect();
    Some(Row { name, iterations, values: values.filter(|values| !values.is_empty())? })
}

/// Whether a row is of a benchmark. The number of processors follows its name where it is not 1.
fn is_of(row: &Row<'_>, benchmark: &str) -> bool {
    let number =
        |rest: &str| rest.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    row.name.strip_prefix(benchmark).is_some_and(|rest| rest.is_empty() || number(rest))
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let rows: Vec<Row> = output.stdout.lines().filter_map(row).collect();
    let own: Vec<&Row> = rows.iter().filter(|row| is_of(row, output.benchmark)).collect();
    if own.is_empty() {
        return Err(not_there(output.benchmark, &rows.iter().map(|row| row.name).collect::<Vec<_>>()));
    }
    let mut by_unit: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (value, unit) in own.iter().flat_map(|row| &row.values) {
        by_unit.entry(unit).or_default().push(*value);
    }
    let Some(ns) = by_unit.remove("ns/op") else {
        return Err(format!("`{}` told no ns/op", output.benchmark));
    };
    let mut out = samples::measured(&ns, own.iter().map(|row| row.iterations).sum())?;
    for (unit, values) in by_unit {
        let Some(value) = samples::median(&values) else { continue };
        match unit {
            "B/op" => samples::add_value(&mut out, "allocated_bytes", value),
            "allocs/op" => samples::add_value(&mut out, "allocations", value),
            "MB/s" => samples::add_value(&mut out, "bytes_per_s", value * 1e6),
            other => samples::add_value(&mut out, other, value),
        }
    }
    Ok(out)
}
