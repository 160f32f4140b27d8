//! Samples of a harness as what a measured program would have printed.

use ablate_format::{Measured, is_value_name};
use ablate_stats::order::{percentile, sorted};

/// What was measured, from the nanoseconds per operation of every sample and the number of operations of all.
///
/// # Errors
/// The reason when there is no sample, or one is no time.
pub(super) fn measured(ns: &[f64], operations: f64) -> Result<Measured, String> {
    if let Some(bad) = ns.iter().find(|ns| !ns.is_finite() || **ns < 0.0) {
        return Err(format!("a sample of its output is no time: {bad} ns"));
    }
    let all = sorted(ns);
    let Some(middle) = percentile(&all, 0.5) else { return Err("its output has no sample".to_owned()) };
    // More operations than that take longer than any time limit, and less than one is none.
    let mut out = Measured::of((operations as u64).max(1));
    out.latency_over = Some("batches".to_owned());
    out.samples = Some(ns.len() as u64);
    out.latency_ns_p10 = percentile(&all, 0.1);
    out.latency_ns_p50 = Some(middle);
    out.latency_ns_p99 = percentile(&all, 0.99);
    out.latency_ns_mean = Some(ns.iter().sum::<f64>() / ns.len() as f64);
    // A record keeps batches in single precision.
    out.batches_ns = ns.iter().map(|ns| *ns as f32).collect();
    Ok(out)
}

/// Adds a value under a name of the harness; one that is not finite, or whose name has no letter or digit, is left out.
pub(super) fn add_value(out: &mut Measured, name: &str, value: f64) {
    if let Some(name) = value_name(name).filter(|_| value.is_finite()) {
        out.values.insert(name, value);
    }
}

/// A name of a harness as the name of a value: `bytes_per_second` becomes `bytes_per_s`, of which more is better.
pub(super) fn value_name(name: &str) -> Option<String> {
    let mut out = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            _ if out.is_empty() || out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    let out = out.trim_end_matches('_');
    let out = out.strip_suffix("_per_second").map_or_else(|| out.to_owned(), |rate| format!("{rate}_per_s"));
    is_value_name(&out).then_some(out)
}

/// Nanoseconds of a unit of time, as harnesses abbreviate it.
pub(super) fn unit_ns(unit: &str) -> Option<f64> {
    Some(match unit {
        "ps" => 1e-3,
        "ns" => 1.0,
        // The sign for micro, the Greek letter that looks like it, and the letter in their place.
        "µs" | "μs" | "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" | "hr" => 3600e9,
        _ => return None,
    })
}

/// The median of some values; `None` without any.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    percentile(&sorted(values), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_percentiles_and_batches() {
        let out = measured(&[30.0, 10.0, 20.0], 600.0).expect("samples");
        assert_eq!((out.operations, out.samples, out.latency_ns_p50), (600, Some(3), Some(20.0)));
        assert_eq!((out.latency_ns_mean, out.batches_ns.as_slice()), (Some(20.0), &[30.0, 10.0, 20.0][..]));
        assert!(out.latency_ns_p10 >= Some(10.0) && out.latency_ns_p10 <= out.latency_ns_p50);
        assert!(measured(&[], 1.0).expect_err("nothing").contains("no sample"));
        assert!(measured(&[1.0, -2.0], 1.0).expect_err("negative").contains("-2 ns"));
        assert!(measured(&[f64::NAN], 1.0).is_err());
    }

    #[test]
    fn names_of_harnesses_become_names_of_values() {
        let name = |text: &str| value_name(text);
        assert_eq!(name("bytes_per_second").as_deref(), Some("bytes_per_s"));
        assert_eq!(name("·gc.alloc.rate.norm").as_deref(), Some("gc_alloc_rate_norm"));
        assert_eq!(name("Items/Op").as_deref(), Some("items_op"));
        assert_eq!((name("··"), name(&"a".repeat(65))), (None, None));
    }
}
