//! Many tests at once: simultaneous intervals and adjusted p values.

use super::bootstrap::Drawn;
use super::distribution::normal_cdf;
use super::order::{percentile, sorted};

/// Simultaneous intervals: in 95 % of studies all of them cover. One for each row, in the order of the rows.
///
/// In every draw the largest |draw − value| / standard error over the rows is taken; its 95th percentile (max-|t|:
/// Westfall and Young, "Resampling-Based Multiple Testing", 1993) decides the confidence of each single interval. Every
/// row then has its own expanded percentile interval of this confidence (balanced sets: Beran, Journal of the American
/// Statistical Association 83, 1988). So it is never narrower than alone, and widened alike for few blocks. Rows
/// without a standard error, or with one of 0, have the interval that they have alone; it is `None` as for
/// [`Drawn::interval`]. All rows must come from the same draws.
pub fn simultaneous(drawn: &[&Drawn]) -> Vec<Option<(f64, f64)>> {
    let mut highest: Vec<f64> = Vec::new();
    for row in drawn {
        let Some(error) = row.standard_error().filter(|error| *error > 0.0) else {
            continue;
        };
        if highest.len() < row.draws().len() {
            highest.resize(row.draws().len(), 0.0);
        }
        let raw = error / row.widening();
        for (highest, draw) in highest.iter_mut().zip(row.draws()) {
            *highest = highest.max((draw - row.point).abs() / raw);
        }
    }
    let z = percentile(&sorted(&highest), 0.95).unwrap_or(0.0);
    let confidence = (1.0 - 2.0 * normal_cdf(-z)).max(0.95);
    let interval = |row: &&Drawn| match row.standard_error() {
        Some(error) if error > 0.0 => row.interval_at(confidence),
        _ => row.interval(),
    };
    drawn.iter().map(interval).collect()
}

/// p values adjusted to hold the probability of any false finding, the family-wise error rate (Holm, "A Simple
/// Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979), in the order of the
/// input. NaN stays NaN and does not count as a test.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut least = 0.0f64;
    for (rank, at) in order.iter().enumerate() {
        least = least.max((p[*at] * (order.len() - rank) as f64).min(1.0));
        adjusted[*at] = least;
    }
    adjusted
}

/// p values adjusted to hold the expected share of false findings, the false discovery rate (Benjamini and Hochberg,
/// "Controlling the False Discovery Rate", Journal of the Royal Statistical Society B 57, 1995), in the order of the
/// input. NaN stays NaN and does not count as a test.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut most = 1.0f64;
    for (rank, at) in order.iter().enumerate().rev() {
        most = most.min(p[*at] * order.len() as f64 / (rank + 1) as f64);
        adjusted[*at] = most;
    }
    adjusted
}

/// Indexes of the values that are not NaN, the smallest value first.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).filter(|at| !p[*at].is_nan()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]).then(a.cmp(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::normal_quantile;
    use crate::random::{normal, seeded};

    fn check(adjusted: &[f64], expected: &[f64]) {
        assert_eq!(adjusted.len(), expected.len());
        for (value, expected) in adjusted.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12 || (value.is_nan() && expected.is_nan()), "{adjusted:?}");
        }
    }

    #[test]
    fn adjusted_p_values_match_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm"), then "BH".
        check(&holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
        check(&benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]), &[0.02, 0.04, 0.04, 0.02]);
        check(&holm(&[0.5, f64::NAN, 0.6]), &[1.0, f64::NAN, 1.0]);
        check(&benjamini_hochberg(&[0.5, f64::NAN, 0.6]), &[0.6, f64::NAN, 0.6]);
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn simultaneous_intervals_of_independent_rows_are_those_of_sidak() {
        // 10 independent rows: each needs 1 − 0.95^(1/10), two-sided z = 2.80; alone it is 1.96.
        let mut random = seeded(5);
        let rows: Vec<Drawn> =
            (0..10).map(|_| Drawn::new(0.0, 201, (0..20_000).map(|_| normal(&mut random)).collect())).collect();
        let together = simultaneous(&rows.iter().collect::<Vec<_>>());
        let z = -normal_quantile((1.0 - 0.95f64.powf(0.1)) / 2.0);
        for (row, interval) in rows.iter().zip(together) {
            let (lo, hi) = interval.unwrap();
            assert!(((hi - lo) / 2.0 - z).abs() < 0.12, "{} against {z}", (hi - lo) / 2.0);
            let alone = row.interval().unwrap();
            assert!(lo <= alone.0 && alone.1 <= hi);
        }
    }

    #[test]
    fn equal_rows_need_no_more_than_one() {
        let mut random = seeded(5);
        let row = Drawn::new(0.0, 201, (0..20_000).map(|_| normal(&mut random)).collect());
        let (lo, hi) = simultaneous(&[&row, &row, &row])[1].unwrap();
        let alone = row.interval().unwrap();
        assert!(lo <= alone.0 && alone.1 <= hi && hi - lo < 1.05 * (alone.1 - alone.0));
    }

    #[test]
    fn rows_without_spread_or_value_keep_what_they_have() {
        let known = Drawn::new(3.0, 12, vec![3.0; 100]);
        let missing = Drawn::new(f64::NAN, 0, vec![f64::NAN; 100]);
        assert_eq!(simultaneous(&[&known, &missing]), [Some((3.0, 3.0)), None]);
        assert!(simultaneous(&[]).is_empty());
    }
}
