//! Order statistics: percentile, median, trimmed mean and the sign-test interval.

/// Fewest blocks for which there is an interval.
///
/// The exact sign-test interval of a median reaches 95 % from six values on (1 − 2 · 2⁻⁶ = 96.9 %; five values reach
/// 93.8 % at most). All intervals have the same limit, so that the tables are comparable.
pub const MIN_BLOCKS: usize = 6;

/// Most blocks of a study. A projection that needs more is no advice.
pub const MAX_BLOCKS: usize = 10_000;

/// Share that [`trimmed_mean`] cuts at each end where the analysis uses it (Wilcox, "Introduction to Robust Estimation
/// and Hypothesis Testing", 2012, section 3.3 recommends 20 %).
pub const TRIM: f64 = 0.2;

/// Copy of the finite values in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    finite
}

/// Percentile `p`, a share clamped to 0 to 1, of values in ascending order: type 7 of Hyndman and Fan ("Sample
/// Quantiles in Statistical Packages", The American Statistician 50, 1996), linear between the order statistics around
/// `(n − 1) p`.
///
/// `None` for no values.
pub fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let share = position - below as f64;
    if share == 0.0 {
        return Some(sorted[below]);
    }
    Some(sorted[below] * (1.0 - share) + sorted[above] * share)
}

/// [`percentile`] of values in any order, in linear time. The values are reordered.
///
/// `None` for no values.
pub fn percentile_of(values: &mut [f64], p: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let share = position - below as f64;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    if share == 0.0 {
        return Some(low);
    }
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low * (1.0 - share) + high * share)
}

/// Median of the finite values; `None` when there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    percentile_of(&mut finite, 0.5)
}

/// Mean of values in ascending order without the lowest and highest `floor(trim · n)` of them. `trim` is clamped to 0
/// to 0.49. `None` for no values.
pub fn trimmed_mean(sorted: &[f64], trim: f64) -> Option<f64> {
    let cut = (trim.clamp(0.0, 0.49) * sorted.len() as f64).floor() as usize;
    let kept = sorted.get(cut..sorted.len() - cut)?;
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}

/// Interval of at least 95 % for the median of independent values of any distribution: the k-th smallest and k-th
/// largest value, with the largest k for which P(Binomial(n, ½) < k) ≤ 2.5 % (Conover, "Practical Nonparametric
/// Statistics", 1999, section 3.2). `sorted` is in ascending order.
///
/// `None` below [`MIN_BLOCKS`] values.
pub fn sign_test_interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let n = sorted.len();
    if n < MIN_BLOCKS {
        return None;
    }
    // Terms C(n, i) / 2^n by their logarithm: 2^-n itself underflows beyond 1074 values.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    let mut k = 0;
    while tail <= 0.025 && 2 * k < n {
        k += 1;
        log_term += ((n - k + 1) as f64 / k as f64).ln();
        tail += log_term.exp();
    }
    let k = k.max(1);
    Some((sorted[k - 1], sorted[n - k]))
}

/// Exact two-sided p value of the sign test against 'the median is 0' (Conover, "Practical Nonparametric Statistics",
/// 1999, section 3.4). Values that are exactly 0 or not finite do not count.
///
/// `None` when no value counts.
pub fn sign_test(values: &[f64]) -> Option<f64> {
    let signs: Vec<bool> = values.iter().filter(|v| v.is_finite() && **v != 0.0).map(|v| *v > 0.0).collect();
    let n = signs.len();
    if n == 0 {
        return None;
    }
    let above = signs.iter().filter(|sign| **sign).count();
    let fewer = above.min(n - above);
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for i in 1..=fewer {
        log_term += ((n - i + 1) as f64 / i as f64).ln();
        tail += log_term.exp();
    }
    Some((2.0 * tail).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_matches_type_7() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&values, 0.0), Some(1.0));
        assert_eq!(percentile(&values, 0.5), Some(3.0));
        assert_eq!(percentile(&values, 1.0), Some(8.0));
        // R: quantile(c(1, 2, 4, 8), 0.1) is 1.3.
        assert!((percentile(&values, 0.1).unwrap() - 1.3).abs() < 1e-12);
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_percentile_does_not_depend_on_the_order() {
        let values = [8.0, -0.0, 3.5, 0.0, 2.0, 8.0, 1.0];
        for n in 0..values.len() {
            for p in [0.0, 0.1, 0.25, 0.5, 0.8, 1.0] {
                let expected = percentile(&sorted(&values[..n]), p).map(f64::to_bits);
                assert_eq!(percentile_of(&mut values[..n].to_vec(), p).map(f64::to_bits), expected, "{n} {p}");
            }
        }
    }

    #[test]
    fn median_ignores_values_that_are_not_finite() {
        assert_eq!(median(&[3.0, f64::NAN, 1.0, 2.0, f64::INFINITY]), Some(2.0));
        assert_eq!(median(&[f64::NAN]), None);
    }

    #[test]
    fn trimmed_mean_cuts_both_ends() {
        assert_eq!(trimmed_mean(&[-100.0, 1.0, 2.0, 3.0, 100.0], 0.2), Some(2.0));
        assert_eq!(trimmed_mean(&[1.0, 2.0], 0.2), Some(1.5));
        assert_eq!(trimmed_mean(&[], 0.2), None);
    }

    #[test]
    fn sign_test_interval_takes_the_tabled_ranks() {
        let ranks = |n: usize| {
            let values: Vec<f64> = (1..=n).map(|v| v as f64).collect();
            sign_test_interval(&values)
        };
        // Ranks as in Conover's table for 95 %: n = 6 and 8: extremes; 12: 3rd; 20: 6th; 30: 10th.
        assert_eq!(ranks(5), None);
        assert_eq!(ranks(6), Some((1.0, 6.0)));
        assert_eq!(ranks(8), Some((1.0, 8.0)));
        assert_eq!(ranks(12), Some((3.0, 10.0)));
        assert_eq!(ranks(20), Some((6.0, 15.0)));
        assert_eq!(ranks(30), Some((10.0, 21.0)));
        let (lo, hi) = ranks(10_000).unwrap();
        assert!((4_890.0..4_910.0).contains(&lo) && (5_090.0..5_111.0).contains(&hi));
    }

    #[test]
    fn sign_test_matches_the_binomial() {
        // R: binom.test(2, 10)$p.value = 0.109375, binom.test(0, 6)$p.value = 0.03125.
        let signs = |below: usize, above: usize| {
            let values: Vec<f64> = (0..below + above).map(|i| if i < below { -1.5 } else { 0.5 }).collect();
            sign_test(&values).unwrap()
        };
        assert!((signs(2, 8) - 0.109_375).abs() < 1e-12 && (signs(8, 2) - 0.109_375).abs() < 1e-12);
        assert!((signs(0, 6) - 0.031_25).abs() < 1e-12);
        assert_eq!(signs(5, 5), 1.0);
        assert!((sign_test(&[0.0, 1.0, f64::NAN, 2.0]).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(sign_test(&[0.0]), None);
        // 4,900 of 10,000: z = −1.99 with the correction for continuity, p = 0.0466.
        assert!((signs(4_900, 5_100) - 0.0466).abs() < 5e-4);
    }
}
