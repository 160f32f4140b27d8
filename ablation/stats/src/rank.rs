//! How far two orders of the same things agree: rank correlations.

/// Ranks from 1 for the smallest value; equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = order[from..].iter().take_while(|at| values[**at] == values[order[from]]).count().max(1);
        let mean = from as f64 + (equal + 1) as f64 / 2.0;
        order[from..from + equal].iter().for_each(|at| ranks[*at] = mean);
        from += equal;
    }
    ranks
}

/// Spearman's rank correlation, −1 to 1: the correlation of the ranks (Spearman, "The Proof and Measurement of Association
/// between Two Things", American Journal of Psychology 15, 1904; with ties as Kendall, "Rank Correlation Methods", 1948).
///
/// `None` for fewer than two pairs, lists of different lengths, values that are not finite, and a list of equal values.
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    if !are_pairs(one, other) {
        return None;
    }
    let (one, other) = (ranks(one), ranks(other));
    let mean = (one.len() + 1) as f64 / 2.0;
    let sum = |of: &[f64], with: &[f64]| of.iter().zip(with).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let spread = sum(&one, &one) * sum(&other, &other);
    (spread > 0.0).then(|| sum(&one, &other) / spread.sqrt())
}

/// Kendall's rank correlation τ-b, −1 to 1: of all pairs of things, those that both lists order alike less those that they
/// order contrarily, corrected for ties (Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 33, 1945).
///
/// `None` as for [`spearman`].
pub fn kendall(one: &[f64], other: &[f64]) -> Option<f64> {
    if !are_pairs(one, other) {
        return None;
    }
    let order = |a: f64, b: f64| a.total_cmp(&b) as i32 * i32::from(a != b);
    let (mut sum, mut untied) = (0, [0_i64; 2]);
    for i in 0..one.len() {
        for j in 0..i {
            let (a, b) = (order(one[i], one[j]), order(other[i], other[j]));
            sum += i64::from(a * b);
            untied[0] += i64::from(a != 0);
            untied[1] += i64::from(b != 0);
        }
    }
    let spread = untied[0] as f64 * untied[1] as f64;
    (spread > 0.0).then(|| sum as f64 / spread.sqrt())
}

/// The probability of a Kendall correlation at least as high as that of these lists when one of them has a random order:
/// exact, by counting the orders of each number of inversions (Kendall, "A New Measure of Rank Correlation", Biometrika 30,
/// 1938). Ties count as if they were in the less favourable order.
///
/// `None` as for [`spearman`], and for more than 100 pairs.
pub fn kendall_p(one: &[f64], other: &[f64]) -> Option<f64> {
    if !are_pairs(one, other) || one.len() > 100 {
        return None;
    }
    let n = one.len();
    let is_alike = |i: usize, j: usize| (one[i] - one[j]) * (other[i] - other[j]) > 0.0;
    let inversions = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).filter(|(i, j)| !is_alike(*i, *j)).count();
    // The share of the orders of so many things that have each number of inversions, one thing after another.
    let mut shares = vec![1.0];
    for things in 2..=n {
        let mut next = vec![0.0; shares.len() + things - 1];
        for (at, share) in shares.iter().enumerate() {
            next[at..at + things].iter_mut().for_each(|sum| *sum += share / things as f64);
        }
        shares = next;
    }
    Some(shares.iter().take(inversions + 1).sum::<f64>().min(1.0))
}

fn are_pairs(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.len() > 1 && one.iter().chain(other).all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 0.5]), [3.5, 2.0, 3.5, 1.0]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn orders_that_agree_have_1_and_contrary_ones_have_minus_1() {
        let (rising, falling) = ([1.0, 2.0, 5.0, 9.0], [8.0, 7.0, 1.0, 0.0]);
        assert_eq!((spearman(&rising, &rising), kendall(&rising, &rising)), (Some(1.0), Some(1.0)));
        assert_eq!((spearman(&rising, &falling), kendall(&rising, &falling)), (Some(-1.0), Some(-1.0)));
    }

    /// By hand: ranks 1 2 3 4 5 against 2 1 4 3 5 have Σd² = 4, and two of ten pairs are contrary.
    #[test]
    fn a_known_table_has_its_known_values() {
        let (one, other) = ([10.0, 20.0, 30.0, 40.0, 50.0], [2.0, 1.0, 4.0, 3.0, 5.0]);
        let rho = spearman(&one, &other).expect("five pairs");
        assert!((rho - (1.0 - 6.0 * 4.0 / (5.0 * 24.0))).abs() < 1e-12);
        assert!((kendall(&one, &other).expect("five pairs") - 0.6).abs() < 1e-12);
    }

    #[test]
    fn ties_are_corrected_for() {
        let (one, other) = ([1.0, 2.0, 2.0, 3.0], [1.0, 3.0, 2.0, 4.0]);
        // Five untied pairs that agree: 5 / √(5 · 6).
        assert!((kendall(&one, &other).expect("four pairs") - 5.0 / 30_f64.sqrt()).abs() < 1e-12);
        assert!(spearman(&one, &other).is_some_and(|rho| rho > 0.9 && rho < 1.0));
    }

    #[test]
    fn nothing_is_said_of_what_has_no_order() {
        for (one, other) in [
            (&[1.0][..], &[2.0][..]),
            (&[1.0, 2.0], &[1.0]),
            (&[1.0, 1.0], &[1.0, 2.0]),
            (&[1.0, f64::NAN], &[1.0, 2.0]),
        ] {
            assert_eq!((spearman(one, other), kendall(one, other)), (None, None));
        }
        assert_eq!(kendall_p(&[1.0], &[1.0]), None);
    }

    /// Of four things, 1 order of 24 agrees wholly and 3 more have one inversion.
    #[test]
    fn the_probability_counts_orders() {
        let p = |other: [f64; 4]| kendall_p(&[1.0, 2.0, 3.0, 4.0], &other).expect("four pairs");
        assert!((p([1.0, 2.0, 3.0, 4.0]) - 1.0 / 24.0).abs() < 1e-12);
        assert!((p([2.0, 1.0, 3.0, 4.0]) - 4.0 / 24.0).abs() < 1e-12);
        assert!((p([4.0, 3.0, 2.0, 1.0]) - 1.0).abs() < 1e-12);
    }
}
