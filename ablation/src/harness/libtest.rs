//! `#[bench]` functions of Rust's own test harness: `test NAME ... bench: 1,234.5 ns/iter (+/- 6)`.

use super::adapter::Output;
use super::adapter::{Adapter, Call, not_there};
use super::text::listed;
use ablate_format::Measured;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "libtest",
    by_cargo: true,
    passes: &[],
    response: "p50",
    one: |request| Call {
        args: ["--bench", "--exact", request.benchmark].map(str::to_owned).into(),
        ..Call::default()
    },
    read,
    list: |_| Call { args: ["--bench", "--list"].map(str::to_owned).into(), ..Call::default() },
    ids: |output| Ok(listed(output.stdout)),
};

fn read(output: &Output<'_>) -> Result<Measured, String> {
    let rows: Vec<(&str, &str)> = output.stdout.lines().filter_map(row).collect();
    let Some((_, told)) = rows.iter().find(|(name, _)| *name == output.benchmark) else {
        let others: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
        return Err(not_there(output.benchmark, &others));
    };
    let number = |text: &str| text.replace(',', "").parse::<f64>().ok().filter(|ns| ns.is_finite() && *ns >= 0.0);
    let (ns, rest) = told.split_once(" ns/iter").unwrap_or((told, ""));
    let Some(ns) = number(ns.trim()) else { return Err(format!("it told no time: `{told}`")) };
    let mut out = Measured::of(1);
    // It prints the median of its samples and their range, and no sample.
    out.latency_over = Some("batches".to_owned());
    out.latency_ns_p50 = Some(ns);
    let range = rest.split_once("(+/- ").and_then(|(_, rest)| number(rest.split(')').next()?));
    out.values.extend(range.map(|range| ("range_ns".to_owned(), range)));
    Ok(out)
}

/// Name and result of a line; `None` for one that is no result.
fn row(line: &str) -> Option<(&str, &str)> {
    let (name, told) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
    Some((name.trim_end(), told.trim()))
}
