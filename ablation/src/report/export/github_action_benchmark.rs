//! The tool `customSmallerIsBetter` of github-action-benchmark: an array of `name`, `unit`, `value`, and as texts `range` and
//! `extra`.
//!
//! Specification: README.md of benchmark-action/github-action-benchmark, "Custom benchmarks". That action compares by the ratio
//! of the new value to the last one. So what takes part is what cells take, in the response that their workload is judged by: a
//! ratio of costs near 0 means nothing, and of a rate more is better.

use super::exported::Exported;
use super::rows::{Kind, Row};
use crate::report::number::{counted, number};
use ablate_format::Quantity;
use serde_json::{Value, json};

pub(super) fn export(rows: &[Row]) -> Exported {
    let of_cells = || rows.iter().filter(|row| row.kind != Kind::Effect && row.is_main);
    let is_told = |row: &&Row| row.quantity != Quantity::Rate && row.value.is_some_and(f64::is_finite);
    let entries: Vec<Value> = of_cells().filter(is_told).map(entry).collect();
    let rates = of_cells().filter(|row| row.quantity == Quantity::Rate).count();
    let missing = of_cells().count() - entries.len() - rates;
    let mut left_out = Vec::new();
    if rates > 0 {
        left_out.push(format!("{} of rates, of which more is better", counted(rates, "row")));
    }
    if missing > 0 {
        left_out.push(format!("{} of which nothing was measured", counted(missing, "row")));
    }
    let left_out = (!left_out.is_empty()).then(|| format!("left out: {}", left_out.join("; ")));
    Exported { text: format!("{:#}\n", Value::Array(entries)), left_out }
}

fn entry(row: &Row) -> Value {
    let unit = if row.unit().is_empty() { row.response.as_str() } else { row.unit() };
    let mut entry = json!({ "name": row.title(), "unit": unit, "value": row.value });
    if let Some((low, high)) = row.ends {
        entry["range"] = json!(format!("± {}", number((high - low) / 2.0)));
    }
    let blocks = row.n.map_or_else(String::new, |n| format!(", {}", counted(n, "block")));
    entry["extra"] = json!(format!("{}{blocks}, runs: {}", row.response, row.verdict));
    entry
}
