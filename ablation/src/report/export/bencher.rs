//! Bencher Metric Format: an object by benchmark, then by measure, each with `value` and, where there is an interval,
//! `lower_value` and `upper_value`.
//!
//! Specification: "Bencher Metric Format (BMF)" at bencher.dev/docs/reference/bencher-metric-format, with its JSON schema
//! bencher.dev/bmf.json. A benchmark's name has at most 1024 characters, a measure's slug at most 64. The measure `latency` is in
//! nanoseconds there; other responses are measures of their own name.

use super::exported::Exported;
use super::rows::{Kind, Row};
use crate::support::count::counted_verb;
use crate::support::text::shortened;
use ablate_format::Quantity;
use serde_json::{Map, Value, json};

const NAME_MAX: usize = 1023;
const SLUG_MAX: usize = 64;

pub(super) fn export(rows: &[Row]) -> Exported {
    let mut benchmarks = Map::new();
    let mut missing = 0;
    for row in rows {
        let Some(value) = row.value.filter(|value| value.is_finite()) else {
            missing += 1;
            continue;
        };
        let mut metric = Map::from_iter([("value".to_owned(), json!(value))]);
        if let Some((low, high)) = row.ends {
            metric.insert("lower_value".to_owned(), json!(low));
            metric.insert("upper_value".to_owned(), json!(high));
        }
        let benchmark = benchmarks.entry(shortened(&row.title(), NAME_MAX)).or_insert_with(|| json!({}));
        if let Value::Object(measures) = benchmark {
            measures.insert(measure(row), Value::Object(metric));
        }
    }
    let left_out = (missing > 0).then(|| {
        format!(
            "{} left out, because nothing was measured that it could say",
            counted_verb(missing, "row", ["is", "are"])
        )
    });
    Exported { text: format!("{:#}\n", Value::Object(benchmarks)), left_out }
}

/// `latency` for the latency that a workload is judged by, else the response as a slug.
fn measure(row: &Row) -> String {
    if row.is_main && row.quantity == Quantity::Latency && row.kind != Kind::Effect {
        return "latency".to_owned();
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let slug: String = row.response.chars().map(plain).collect();
    let kind = if row.kind == Kind::Effect { "effect-" } else { "" };
    let slug = format!("{kind}{}", slug.trim_matches('-'));
    slug.chars().take(SLUG_MAX).collect()
}
