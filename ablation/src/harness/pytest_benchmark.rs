//! pytest-benchmark: the rounds of its JSON file. A plugin that ablate writes for each process leaves one test of all.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::{options, samples};
use ablate_format::Measured;
use serde::Deserialize;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "pytest-benchmark",
    by_cargo: false,
    passes: &["PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "PYENV_ROOT", "PYENV_VERSION"],
    response: "p50",
    one,
    read,
    list,
    ids: |output| Ok(file(output)?.benchmarks.into_iter().map(|row| row.fullname).collect()),
};

const FILE: &str = "pytest-benchmark.json";

/// Keeps the test with the node id in `ABLATE_BENCHMARK`. Expressions of `-k` cannot name every id, and a node id
/// beside a file selects both.
const PLUGIN: &str = "import os\n\n\ndef pytest_collection_modifyitems(config, items):\n    \
    wanted = os.environ[\"ABLATE_BENCHMARK\"]\n    \
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid != wanted])\n    \
    items[:] = [item for item in items if item.nodeid == wanted]\n";

fn call(request: &Request<'_>, short: &[(&str, &str)]) -> Call {
    let mut args: Vec<String> = ["-q", "-p", "no:cacheprovider"].map(str::to_owned).into();
    args.extend(options::unless_given(request.given, &[("--benchmark-only", "")]));
    args.extend(options::unless_given(request.given, short));
    args.push(format!("--benchmark-json={}", request.scratch.join(FILE).display()));
    Call { args, ..Call::default() }
}

fn one(request: &Request<'_>) -> Call {
    let mut call = call(request, &[("--benchmark-max-time=", "0.2"), ("--benchmark-min-rounds=", "5")]);
    call.args.extend(["-p".to_owned(), "ablate_select".to_owned()]);
    call.env =
        vec![("PYTHONPATH", request.scratch.display().to_string()), ("ABLATE_BENCHMARK", request.benchmark.to_owned())];
    call.files = vec![("ablate_select.py", PLUGIN)];
    call
}

/// One quick run: a list of pytest has tests that are no benchmarks too.
fn list(request: &Request<'_>) -> Call {
    call(
        request,
        &[("--benchmark-max-time=", "0.000001"), ("--benchmark-min-rounds=", "1"), ("--benchmark-warmup=", "off")],
    )
}

#[derive(Deserialize)]
struct File {
    benchmarks: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    /// The node id.
    fullname: String,
    stats: Stats,
}

#[derive(Deserialize)]
struct Stats {
    /// Seconds per iteration, of every round.
    #[serde(default)]
    data: Vec<f64>,
    /// Iterations of a round.
    #[serde(default)]
    iterations: f64,
}

fn file(output: &Output<'_>) -> Result<File, String> {
    let Ok(text) = std::fs::read(output.scratch.join(FILE)) else { return Err(not_there(output.benchmark, &[])) };
    if text.is_empty() {
        // So it ends when no test is left.
        return Err(not_there(output.benchmark, &[]));
    }
    serde_json::from_slice(&text).map_err(|e| format!("its JSON file cannot be read: {e}"))
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let file = file(output)?;
    let Some(own) = file.benchmarks.iter().find(|row| row.fullname == output.benchmark) else {
        let others: Vec<&str> = file.benchmarks.iter().map(|row| row.fullname.as_str()).collect();
        return Err(not_there(output.benchmark, &others));
    };
    let ns: Vec<f64> = own.stats.data.iter().map(|seconds| seconds * 1e9).collect();
    samples::measured(&ns, own.stats.iterations * ns.len() as f64)
}
