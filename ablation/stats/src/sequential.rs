//! Looking at effects more than once: which are settled as negligible or active, at an error that all looks share.

use super::distribution::t_quantile;

/// What is settled of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It lies within ± the margin.
    Negligible,
    /// It lies beyond the margin, on one side.
    Active,
    /// Neither.
    Open,
}

/// The numbers of blocks after which effects are looked at: 2, 4, 8, … and `most`. Each look has twice the blocks of the
/// one before, so that few looks share the error and none of them comes much too late. `most` alone below 3.
pub fn looks(most: usize) -> Vec<usize> {
    let doubled = std::iter::successors(Some(2_usize), |blocks| blocks.checked_mul(2));
    doubled.take_while(|blocks| *blocks < most).chain([most]).collect()
}

/// The part of `error` that each look spends: in proportion to the blocks since the look before, so that all looks
/// together spend `error` (the spending function α t of Lan and DeMets, "Discrete Sequential Boundaries for Clinical
/// Trials", Biometrika 70, 1983).
///
/// The looks are added up by the union bound. Unlike boundaries from the joint distribution of the looks this holds for
/// Student's t too, whatever the degrees of freedom, and it makes intervals of a hundredth of the error at most a
/// twentieth wider.
pub fn spent(looks: &[usize], error: f64) -> Vec<f64> {
    let most = looks.last().copied().unwrap_or(1).max(1) as f64;
    let before = [0].iter().chain(looks);
    looks.iter().zip(before).map(|(look, before)| error * look.saturating_sub(*before) as f64 / most).collect()
}

/// The interval effect ± t(1 − `level`) standard errors: each of its ends is wrong with probability `level` at most. With
/// the levels of [`spent`] the intervals of all looks hold together, whatever made the study stop (repeated confidence
/// intervals: Jennison and Turnbull, "Interim Analyses: The Repeated Confidence Interval Approach", Journal of the Royal
/// Statistical Society B 51, 1989).
pub fn interval(effect: f64, error: f64, degrees: f64, level: f64) -> (f64, f64) {
    let reach = t_quantile(1.0 - level, degrees.min(1e6) as usize) * error;
    (effect - reach, effect + reach)
}

/// What an [`interval`] settles of an effect with regard to a margin ≥ 0. An effect of the margin or more is called
/// negligible with probability `level` at most, because only one end of the interval can be wrong about it (two one-sided
/// tests: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
pub fn settled((low, high): (f64, f64), margin: f64) -> Settled {
    match () {
        () if low > -margin && high < margin => Settled::Negligible,
        () if low > margin || high < -margin => Settled::Active,
        () => Settled::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_double_and_end_with_the_last_block() {
        assert_eq!(looks(30), [2, 4, 8, 16, 30]);
        assert_eq!(looks(8), [2, 4, 8]);
        assert_eq!((looks(2), looks(1), looks(3)), (vec![2], vec![1], vec![2, 3]));
    }

    #[test]
    fn all_looks_together_spend_the_error() {
        for most in [1, 2, 3, 8, 30, 10_000] {
            let parts = spent(&looks(most), 0.05);
            assert!((parts.iter().sum::<f64>() - 0.05).abs() < 1e-12 && parts.iter().all(|part| *part > 0.0), "{most}");
        }
        let parts = spent(&[2, 4, 8], 0.04);
        assert!((parts[0] - 0.01).abs() < 1e-12 && (parts[2] - 0.02).abs() < 1e-12, "{parts:?}");
        assert!(spent(&[], 0.05).is_empty());
    }

    #[test]
    fn intervals_settle_effects_by_both_ends() {
        // t(0.975) with 30 degrees of freedom is 2.042.
        let (low, high) = interval(1.0, 0.1, 30.0, 0.025);
        assert!((low - 0.7958).abs() < 1e-3 && (high - 1.2042).abs() < 1e-3, "{low} {high}");
        assert_eq!(settled((-0.9, 0.9), 1.0), Settled::Negligible);
        assert_eq!(settled((-1.0, 0.9), 1.0), Settled::Open);
        assert_eq!((settled((1.1, 2.0), 1.0), settled((-2.0, -1.1), 1.0)), (Settled::Active, Settled::Active));
        assert_eq!((settled((0.5, 2.0), 1.0), settled((-9.0, 9.0), 1.0)), (Settled::Open, Settled::Open));
        // Known exactly.
        assert_eq!(settled(interval(0.0, 0.0, f64::INFINITY, 1e-5), 1.0), Settled::Negligible);
    }
}
