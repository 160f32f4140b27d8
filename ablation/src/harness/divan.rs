//! divan: the row of its table. It prints no sample, so there are no percentiles but the median.

use super::adapter::{Adapter, Call, Output, Request, not_there};
use super::text::listed;
use super::{options, samples};
use ablate_format::Measured;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "divan",
    by_cargo: true,
    passes: &[],
    response: "p50",
    one,
    read,
    // Only for a runner of tests it prints ids in lines, and with their arguments.
    list: |_| Call {
        args: ["--list", "--format", "terse"].map(str::to_owned).into(),
        env: vec![("NEXTEST", "1".to_owned())],
        files: Vec::new(),
    },
    ids: |output| Ok(listed(output.stdout)),
};

/// Columns of the table, the first with the tree: fastest, slowest, median, mean, samples, iterations.
const COLUMNS: usize = 6;

fn one(request: &Request<'_>) -> Call {
    let mut args: Vec<String> = ["--bench", "--exact", request.benchmark].map(str::to_owned).into();
    args.extend(options::unless_given(request.given, &[("--color", "never"), ("--max-time", "0.3")]));
    Call { args, ..Call::default() }
}

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let rows = rows(output.stdout);
    let row = match rows.as_slice() {
        [] => return Err(not_there(output.benchmark, &[])),
        [row] => row,
        several => {
            let labels: Vec<&str> = several.iter().map(|row| row.label.as_str()).collect();
            return Err(format!(
                "it has several rows for `{}` ({}); choose one with args = [\"--threads\", \"1\"]",
                output.benchmark,
                labels.join(", ")
            ));
        }
    };
    let [fastest, slowest, median, mean] = row.ns;
    let mut out = Measured::of(row.iterations.max(1));
    out.latency_over = Some("batches".to_owned());
    out.samples = Some(row.samples);
    (out.latency_ns_p50, out.latency_ns_mean) = (Some(median), Some(mean));
    samples::add_value(&mut out, "fastest_ns", fastest);
    samples::add_value(&mut out, "slowest_ns", slowest);
    Ok(out)
}

struct Row {
    label: String,
    /// Fastest, slowest, median, mean.
    ns: [f64; 4],
    samples: u64,
    iterations: u64,
}

/// The rows with a time. Lines below a row, such as a throughput, have no number of samples.
fn rows(stdout: &str) -> Vec<Row> {
    stdout.lines().filter_map(row).collect()
}

/// A row, read from its end: its columns need not be below their titles, and the tree before them has the same lines.
fn row(line: &str) -> Option<Row> {
    let mut cells = line.rsplitn(COLUMNS, '│').map(str::trim);
    let (iterations, samples) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    let (mean, median, slowest) = (time(cells.next()?)?, time(cells.next()?)?, time(cells.next()?)?);
    let (rest, unit) = cells.next()?.rsplit_once(' ')?;
    let (label, number) = rest.rsplit_once(' ')?;
    let fastest = time(&format!("{number} {unit}"))?;
    let label = label.trim_matches(|c: char| c.is_whitespace() || "│├╰─".contains(c)).to_owned();
    Some(Row { label, ns: [fastest, slowest, median, mean], samples, iterations })
}

fn time(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    Some(number.parse::<f64>().ok()? * samples::unit_ns(unit)?)
}
