//! hyperfine: the times of its JSON file. A benchmark is the command that it times, so its id is an argument.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::{options, samples};
use ablate_format::Measured;
use serde::Deserialize;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "hyperfine",
    by_cargo: false,
    passes: &["PATH", "HOME"],
    response: "p50",
    one,
    read,
    list,
    ids: |output| Ok(results(output)?.into_iter().map(|result| result.command).collect()),
};

const FILE: &str = "hyperfine.json";

/// Options that say how often a command is run.
const RUNS: [&str; 7] = ["--runs", "-r", "--min-runs", "-m", "--max-runs", "-M", "--warmup"];

fn call(request: &Request<'_>, runs: &[(&str, &str)]) -> Call {
    let file = request.scratch.join(FILE).display().to_string();
    let mut args = vec!["--export-json".to_owned(), file];
    args.extend(options::unless_given(request.given, &[("--style", "none")]));
    let says_runs = |word: &String| RUNS.iter().any(|name| word == name || word.starts_with(&format!("{name}=")));
    if !request.given.iter().any(says_runs) {
        args.extend(options::unless_given(request.given, runs));
    }
    Call { args, ..Call::default() }
}

fn one(request: &Request<'_>) -> Call {
    let mut call = call(request, &[("--runs", "5"), ("--warmup", "1")]);
    // The words after `--` are commands whatever they begin with.
    call.args.extend(["--".to_owned(), request.benchmark.to_owned()]);
    call
}

/// Runs every command once, because hyperfine does not list them.
fn list(request: &Request<'_>) -> Call {
    call(request, &[("--runs", "1")])
}

#[derive(Deserialize)]
struct File {
    results: Vec<Timed>,
}

#[derive(Deserialize)]
struct Timed {
    command: String,
    /// Seconds.
    #[serde(default)]
    times: Vec<f64>,
    /// Seconds of the processor, mean over the runs.
    #[serde(default)]
    user: f64,
    #[serde(default)]
    system: f64,
}

fn results(output: &Output<'_>) -> Result<Vec<Timed>, String> {
    let text = std::fs::read(output.scratch.join(FILE)).map_err(|e| format!("it wrote no JSON file: {e}"))?;
    let file: File = serde_json::from_slice(&text).map_err(|e| format!("its JSON file cannot be read: {e}"))?;
    Ok(file.results)
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let results = results(output)?;
    let Some(own) = results.iter().find(|result| result.command == output.benchmark) else {
        let others: Vec<&str> = results.iter().map(|result| result.command.as_str()).collect();
        return Err(not_there(output.benchmark, &others));
    };
    let ns: Vec<f64> = own.times.iter().map(|seconds| seconds * 1e9).collect();
    let mut out = samples::measured(&ns, ns.len() as f64)?;
    samples::add_value(&mut out, "user_ns", own.user * 1e9);
    samples::add_value(&mut out, "system_ns", own.system * 1e9);
    Ok(out)
}
