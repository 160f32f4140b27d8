//! criterion: the samples of `sample.json` in a home folder of the process.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::text::{exact, listed};
use super::{options, samples};
use ablate_format::Measured;
use serde::Deserialize;
use std::path::{Path, PathBuf};

pub(super) const ADAPTER: Adapter = Adapter {
    name: "criterion",
    by_cargo: true,
    passes: &[],
    response: "p50",
    one,
    read,
    list: |_| Call { args: ["--bench", "--list"].map(str::to_owned).into(), ..Call::default() },
    ids: |output| Ok(listed(output.stdout)),
};

/// Depth of `GROUP/FUNCTION/VALUE/new` below the home folder.
const DEPTH: usize = 8;

fn one(request: &Request<'_>) -> Call {
    // criterion's own statistics are not read; its usual 100,000 resamples take as long as the samples do.
    let short = [
        ("--noplot", ""),
        ("--warm-up-time", "0.1"),
        ("--measurement-time", "0.2"),
        ("--sample-size", "10"),
        ("--nresamples", "1001"),
    ];
    let mut args = vec!["--bench".to_owned()];
    args.extend(options::unless_given(request.given, &short));
    args.push(exact(request.benchmark));
    Call { args, env: vec![("CRITERION_HOME", request.scratch.display().to_string())], files: Vec::new() }
}

#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    /// Nanoseconds of all iterations of a sample.
    times: Vec<f64>,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let mut found = Vec::new();
    results(output.scratch, DEPTH, &mut found);
    let mut others = Vec::new();
    for folder in found {
        let id: Benchmark = json(&folder.join("benchmark.json"))?;
        if id.full_id != output.benchmark {
            others.push(id.full_id);
            continue;
        }
        let Sample { iters, times } = json(&folder.join("sample.json"))?;
        if iters.len() != times.len() {
            return Err(format!("its sample.json has {} iters and {} times", iters.len(), times.len()));
        }
        let ns: Vec<f64> = times.iter().zip(&iters).map(|(time, iters)| time / iters).collect();
        return samples::measured(&ns, iters.iter().sum());
    }
    Err(not_there(output.benchmark, &others.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// The folders `new` with a sample, below a folder.
fn results(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if entry.file_name() == "new" && path.join("sample.json").is_file() {
            found.push(path);
        } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            results(&path, depth - 1, found);
        }
    }
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read(path).map_err(|error| format!("its {name} cannot be read: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("its {name} is not what criterion writes: {error}"))
}
