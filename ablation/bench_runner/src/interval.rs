//! 95 % intervals of a difference: read from the files of ablate and criterion, computed from the times of hyperfine.

use ablate_format::effects::EffectRow;
use ablate_stats::distribution::t_quantile;
use serde::Deserialize;

/// A 95 % interval of the difference of two arms, nanoseconds per operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

impl Interval {
    /// Half of its width.
    pub(crate) fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether it excludes 0, so that the arms differ.
    pub(crate) fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// Whether it contains a value that is itself known to within `uncertain` on either side.
    pub(crate) fn holds(&self, value: f64, uncertain: f64) -> bool {
        (self.low - uncertain..=self.high + uncertain).contains(&value)
    }
}

/// Why the numbers of a tool could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// JSON of another form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Something is not in it.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// Welch's interval of the difference b − a of two means (Welch, "The generalization of Student's problem when several
/// different population variances are involved", 1947), with the degrees of freedom after Satterthwaite. `None` below
/// two values per arm.
pub(crate) fn welch(a: &[f64], b: &[f64]) -> Option<Interval> {
    let ((mean_a, error_a), (mean_b, error_b)) = (mean_and_error(a)?, mean_and_error(b)?);
    let variance = error_a + error_b;
    let degrees =
        variance * variance / (error_a * error_a / (a.len() - 1) as f64 + error_b * error_b / (b.len() - 1) as f64);
    // Equal values have no variance; the half-width is then 0 with any degrees of freedom.
    let degrees = if degrees.is_finite() { degrees as usize } else { 1 };
    let half = t_quantile(0.975, degrees) * variance.sqrt();
    Some(Interval { low: mean_b - mean_a - half, high: mean_b - mean_a + half })
}

/// Mean, and the square of its standard error.
fn mean_and_error(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    (values.len() > 1).then(|| (mean, squares / (n - 1.0) / n))
}

#[derive(Deserialize)]
struct Hyperfine {
    results: Vec<HyperfineResult>,
}

#[derive(Deserialize)]
struct HyperfineResult {
    times: Vec<f64>,
}

/// Reads the file of `hyperfine --export-json` about two commands of `operations` operations each.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn of_hyperfine(json: &str, operations: u64) -> Result<Interval, ReadError> {
    let export: Hyperfine = serde_json::from_str(json)?;
    let [a, b] = &export.results[..] else { return Err(ReadError::Missing("two commands")) };
    let per_operation = |times: &[f64]| times.iter().map(|s| s * 1e9 / operations as f64).collect::<Vec<_>>();
    welch(&per_operation(&a.times), &per_operation(&b.times)).ok_or(ReadError::Missing("two times per command"))
}

#[derive(Deserialize)]
struct Criterion {
    mean: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: Confidence,
}

#[derive(Deserialize)]
struct Confidence {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// Reads criterion's `change/estimates.json`. Its numbers are shares of the first arm's mean, `base_ns`.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn of_criterion(json: &str, base_ns: f64) -> Result<Interval, ReadError> {
    let change: Criterion = serde_json::from_str(json)?;
    let Confidence { confidence_level, lower_bound, upper_bound } = change.mean.confidence_interval;
    if (confidence_level - 0.95).abs() > 1e-9 {
        return Err(ReadError::Missing("interval of 95 %"));
    }
    Ok(Interval { low: lower_bound * base_ns, high: upper_bound * base_ns })
}

/// Takes the row of the factor `planted` from the rows of ablate's effects.json. `None` when the row has no interval,
/// because too few runs were valid.
///
/// # Errors
/// [`ReadError::Missing`], when there is no such row.
pub(crate) fn of_ablate(rows: &[EffectRow]) -> Result<Option<Interval>, ReadError> {
    let is_it =
        |row: &&EffectRow| row.factor == "planted" && row.contrast == "on-off" && row.response == "latency_ns_p10";
    let row = rows.iter().find(is_it).ok_or(ReadError::Missing("row of the factor"))?;
    Ok(row.lo.zip(row.hi).map(|(low, high)| Interval { low, high }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn welch_is_what_the_formula_says() {
        // Variances 37 / 6 and 0.7 over 6 and 5 values: standard error 1.080638, Satterthwaite's degrees 6.31, which are
        // cut to 6, for which tables give t = 2.446912. Half-width 2.644225.
        let (a, b) = ([10.0, 11.0, 12.0, 10.0, 11.0], [12.0, 15.0, 11.0, 14.0, 13.0, 18.0]);
        let interval = welch(&a, &b).expect("enough values");
        assert!((interval.low + interval.high - 2.0 * (83.0 / 6.0 - 10.8)).abs() < 1e-9, "{interval:?}");
        assert!((interval.half_width() - 2.644225).abs() < 1e-4, "{interval:?}");
        assert!(interval.excludes_zero() && interval.holds(3.0, 0.0));
        assert!(!interval.holds(6.0, 0.1) && interval.holds(6.0, 0.4));
        assert_eq!(welch(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(welch(&[1.0, 1.0], &[3.0, 3.0]), Some(Interval { low: 2.0, high: 2.0 }));
    }

    #[test]
    fn the_tools_files_are_read() {
        let json =
            r#"{"results": [{"command": "a", "times": [0.010, 0.011]}, {"command": "b", "times": [0.012, 0.013]}]}"#;
        let interval = of_hyperfine(json, 1_000_000).expect("two commands");
        assert!(((interval.low + interval.high) / 2.0 - 2.0).abs() < 1e-9, "{interval:?}");
        let json = r#"{"mean": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 0.01, "upper_bound": 0.03},
            "point_estimate": 0.02, "standard_error": 0.001}, "median": {}}"#;
        assert_eq!(of_criterion(json, 100.0).expect("a mean"), Interval { low: 1.0, high: 3.0 });
        let rows = [
            row("placebo", "placebo", "latency_ns_p10", Some((-1.0, 1.0))),
            row("planted", "on-off", "latency_ns_p50", Some((5.0, 6.0))),
            row("planted", "on-off", "latency_ns_p10", Some((1.5, 2.5))),
        ];
        assert_eq!(of_ablate(&rows).expect("a row"), Some(Interval { low: 1.5, high: 2.5 }));
    }

    fn row(factor: &str, contrast: &str, response: &str, interval: Option<(f64, f64)>) -> EffectRow {
        EffectRow {
            workload: "chain".to_owned(),
            factor: factor.to_owned(),
            contrast: contrast.to_owned(),
            level: None,
            arm: None,
            response: response.to_owned(),
            estimate: None,
            estimate_percent: None,
            lo: interval.map(|(low, _)| low),
            hi: interval.map(|(_, high)| high),
            lo_all: None,
            hi_all: None,
            estimate_all_batches: None,
            detectable: None,
            blocks: 0,
            verdict: String::new(),
            proof: String::new(),
            machines: None,
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert!(of_hyperfine(r#"{"results": [{"times": [1.0]}]}"#, 1).is_err());
        assert!(of_hyperfine(r#"{"results": [{"times": [1.0]}, {"times": [1.0, 2.0]}]}"#, 1).is_err());
        let level =
            r#"{"mean": {"confidence_interval": {"confidence_level": 0.9, "lower_bound": 0, "upper_bound": 1}}}"#;
        assert!(of_criterion(level, 1.0).is_err());
        let without = row("planted", "on-off", "latency_ns_p10", None);
        assert_eq!(of_ablate(&[without]).expect("a row"), None);
        assert_eq!(of_ablate(&[]).expect_err("no row").to_string(), "it has no row of the factor");
    }
}
