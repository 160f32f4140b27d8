//! JMH: the iterations of its JSON result.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::text::exact;
use super::{options, samples};
use ablate_format::Measured;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "jmh",
    by_cargo: false,
    passes: &["PATH", "HOME", "JAVA_HOME"],
    response: "p50",
    one,
    read,
    list: |_| Call { args: vec!["-l".to_owned()], ..Call::default() },
    // The first line is a title.
    ids: |output| Ok(output.stdout.lines().map(str::trim).filter(|line| is_id(line)).map(str::to_owned).collect()),
};

const FILE: &str = "jmh.json";

/// Whether a line of the list names a benchmark, `org.example.Class.method`.
fn is_id(line: &str) -> bool {
    line.contains('.') && !line.contains(char::is_whitespace) && !line.ends_with(':')
}

fn one(request: &Request<'_>) -> Call {
    let short = [("-f", "1"), ("-wi", "3"), ("-w", "100ms"), ("-i", "5"), ("-r", "100ms")];
    let mut args = options::unless_given(request.given, &short);
    args.extend(["-rf", "json", "-rff"].map(str::to_owned));
    args.extend([request.scratch.join(FILE).display().to_string(), exact(request.benchmark)]);
    Call { args, ..Call::default() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    benchmark: String,
    mode: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    primary_metric: Metric,
    #[serde(default)]
    secondary_metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    score: Number,
    score_unit: String,
    /// Forks, then iterations.
    #[serde(default)]
    raw_data: Vec<Vec<f64>>,
    #[serde(default)]
    score_percentiles: BTreeMap<String, Number>,
}

/// JMH writes what is no number as a text, `"NaN"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(f64),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<f64> {
        match self {
            Number::Number(value) => Some(*value),
            Number::Text(text) => text.parse().ok(),
        }
    }
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let text = std::fs::read(output.scratch.join(FILE)).map_err(|e| format!("it wrote no JSON result: {e}"))?;
    let rows: Vec<Row> = serde_json::from_slice(&text).map_err(|e| format!("its JSON result cannot be read: {e}"))?;
    let own: Vec<&Row> = rows.iter().filter(|row| row.benchmark == output.benchmark).collect();
    let row = match own.as_slice() {
        [] => {
            return Err(not_there(
                output.benchmark,
                &rows.iter().map(|row| row.benchmark.as_str()).collect::<Vec<_>>(),
            ));
        }
        [row] => row,
        several => {
            let described: Vec<String> = several.iter().map(|row| describe(row)).collect();
            return Err(format!(
                "`{}` ran several times ({}); choose one with the workload's args, like [\"-p\", \"NAME=VALUE\"] or \
                 [\"-bm\", \"avgt\"]",
                output.benchmark,
                described.join("; ")
            ));
        }
    };
    let metric = &row.primary_metric;
    let Some(to_ns) = to_ns(&metric.score_unit) else {
        return Err(format!("its unit is not known: `{}`", metric.score_unit));
    };
    let raw: Vec<f64> = metric.raw_data.iter().flatten().map(|score| to_ns(*score)).collect();
    // It counts no operations.
    let mut out = match raw.is_empty() {
        false => samples::measured(&raw, 1.0)?,
        // The mode that samples single operations has percentiles instead.
        true => {
            let at = |share: &str| metric.score_percentiles.get(share).and_then(Number::value).map(&to_ns);
            let mut out = Measured::of(1);
            out.latency_over = Some("operations".to_owned());
            (out.latency_ns_p50, out.latency_ns_p99) = (at("50.0"), at("99.0"));
            out.latency_ns_mean = metric.score.value().map(&to_ns);
            out
        }
    };
    for (name, metric) in &row.secondary_metrics {
        if let Some(value) = metric.score.value() {
            samples::add_value(&mut out, name, value);
        }
    }
    Ok(out)
}

fn describe(row: &Row) -> String {
    let params = row.params.iter().map(|(name, value)| format!("{name}={value}"));
    std::iter::once(row.mode.clone()).chain(params).collect::<Vec<_>>().join(" ")
}

/// From a score to nanoseconds per operation, by its unit: `us/op`, `ops/ms`.
fn to_ns(unit: &str) -> Option<impl Fn(f64) -> f64> {
    let (above, below) = unit.split_once('/')?;
    let (is_rate, ns) = match (above, below) {
        (time, "op") => (false, samples::unit_ns(time)?),
        ("ops", time) => (true, samples::unit_ns(time)?),
        _ => return None,
    };
    Some(move |score: f64| if is_rate { ns / score } else { ns * score })
}
