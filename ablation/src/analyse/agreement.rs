//! The cross-check of claims about time: another statistic of the same runs must give the same verdict.

use super::values::Effect;
use super::words::{Response, Verdict};
use ablate_format::effects::Estimate;
use ablate_stats::order;
use ablate_stats::series::Series;

/// A claim about the 10th percentile must hold for the median of the process too, and the other way round.
pub(super) fn of_percentiles(rows: &mut [Effect]) {
    for at in 0..rows.len().saturating_sub(1) {
        let (low, high) = (rows[at].verdict, rows[at + 1].verdict);
        let pair = rows[at].response == Response::LatencyNsP10 && rows[at + 1].response == Response::LatencyNsP50;
        if !pair || low == high {
            continue;
        }
        for (row, other) in [(at, high), (at + 1, low)] {
            let row = &mut rows[row];
            if matches!(row.verdict, Verdict::Costs | Verdict::Saves) {
                let name = if row.response == Response::LatencyNsP10 { "p50" } else { "p10" };
                row.reason = format!("{} here, but {} by {name}", row.verdict.as_str(), other.as_str());
                row.verdict = Verdict::Inconclusive;
            }
        }
    }
}

/// A claim about the mean must hold for the trimmed mean of the differences and for their median, with the exact
/// interval of the sign test and above the same noise floor. `series` has one entry for each row of the main response.
pub(super) fn of_estimators(rows: &mut [Effect], main: Response, series: &[Series], floor_ns: Option<f64>) {
    let means = rows.iter_mut().filter(|row| row.response == main);
    for (row, series) in means.zip(series) {
        if !matches!(row.verdict, Verdict::Costs | Verdict::Saves) {
            continue;
        }
        let other = by_median(row.response, &series.values(), floor_ns);
        if other != row.verdict {
            let (here, there) = (row.verdict.as_str(), other.as_str());
            row.reason = format!("{here} by the trimmed mean of the blocks, but {there} by their median");
            row.verdict = Verdict::Inconclusive;
        }
    }
}

/// A claim over the retained batches must not have the opposite sign over all batches, because retaining narrows
/// intervals and does not turn effects round. That all batches, disturbed ones among them, detect nothing is no
/// contradiction.
pub(super) fn with_all_batches(rows: &mut [Effect]) {
    for row in rows {
        if contradicts(row.response, row.verdict, row.all_batches) {
            row.reason =
                format!("{} over the retained batches, yet the opposite over all of them", row.verdict.as_str());
            row.verdict = Verdict::Inconclusive;
        }
    }
}

/// Whether the value over all batches is told apart from 0 on the other side.
pub(super) fn contradicts(response: Response, verdict: Verdict, all_batches: Option<Estimate>) -> bool {
    let Some((lo, hi)) = all_batches.and_then(|value| value.interval) else { return false };
    let is_claim = matches!(verdict, Verdict::Costs | Verdict::Saves);
    is_claim && (lo > 0.0 || hi < 0.0) && response.verdict_of(lo) != verdict
}

fn by_median(response: Response, sorted: &[f64], floor_ns: Option<f64>) -> Verdict {
    let median = order::percentile(sorted, 0.5);
    let (Some(median), Some((lo, hi))) = (median, order::sign_test_interval(sorted)) else {
        return Verdict::Inconclusive;
    };
    match floor_ns {
        _ if lo <= 0.0 && hi >= 0.0 => Verdict::NotDetected,
        Some(floor) if median.abs() <= floor => Verdict::BelowFloor,
        _ => response.verdict_of(median),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_blocks_has_its_own_verdict() {
        let by_median = |sorted: &[f64], floor_ns| by_median(Response::LatencyNsMean, sorted, floor_ns);
        let mut values = vec![5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        assert_eq!(by_median(&values, Some(1.0)), Verdict::Costs);
        assert_eq!(by_median(&values, Some(7.5)), Verdict::BelowFloor);
        values[0] = -5.0;
        assert_eq!(by_median(&values, None), Verdict::NotDetected);
        assert_eq!(by_median(&[-1.0; 6], None), Verdict::Saves);
        assert_eq!(by_median(&values[..5], None), Verdict::Inconclusive);
    }
}
