//! Variances of many contrasts that were each seen few times: every one borrows from all.

use super::gamma::{digamma, trigamma, trigamma_inverse};

/// The variances of contrasts that belong together, moderated.
#[derive(Debug, Clone, PartialEq)]
pub struct Moderated {
    /// The moderated variances, in the order of the given ones.
    pub variances: Vec<f64>,
    /// Degrees of freedom of each, at most those of all given variances together.
    pub degrees: f64,
}

/// Draws sample variances with `degrees` degrees of freedom each towards what they have in common: the true variances
/// are taken to come from one scaled inverse χ² distribution, whose scale and degrees of freedom d₀ are estimated by the
/// mean and the variance of ln s² (Smyth, "Linear Models and Empirical Bayes Methods for Assessing Differential
/// Expression in Microarray Experiments", Statistical Applications in Genetics and Molecular Biology 3, 2004,
/// section 6.2). A moderated t has `degrees` + d₀ degrees of freedom, and no more than all variances have together: d₀ is
/// an estimate, which is infinite where nothing tells the true variances apart.
///
/// Variances of 0 are taken as a millionth of the median, so that their logarithm exists. `None` for fewer than three
/// variances, for `degrees` of 0 and when most variances are 0.
pub fn moderated(variances: &[f64], degrees: usize) -> Option<Moderated> {
    let middle = super::order::median(variances).filter(|middle| *middle > 0.0 && middle.is_finite())?;
    if variances.len() < 3 || degrees == 0 {
        return None;
    }
    let (own, half) = (degrees as f64, degrees as f64 / 2.0);
    let logs: Vec<f64> = variances.iter().map(|v| v.max(1e-6 * middle).ln() - digamma(half) + half.ln()).collect();
    let count = logs.len() as f64;
    let most = own * count;
    let mean = logs.iter().sum::<f64>() / count;
    let spread = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0) - trigamma(half);
    if spread <= 0.0 {
        // The variances differ less than chance alone makes them. Their plain mean is then the best estimate.
        let pooled = variances.iter().sum::<f64>() / count;
        return Some(Moderated { variances: vec![pooled; variances.len()], degrees: most });
    }
    let prior_degrees = 2.0 * trigamma_inverse(spread);
    let prior = (mean + digamma(prior_degrees / 2.0) - (prior_degrees / 2.0).ln()).exp();
    let moderate = |v: &f64| (prior_degrees * prior + own * v) / (prior_degrees + own);
    Some(Moderated { variances: variances.iter().map(moderate).collect(), degrees: (prior_degrees + own).min(most) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{chi_square, seeded};

    #[test]
    fn equal_variances_are_pooled() {
        let mut random = seeded(3);
        let variances: Vec<f64> = (0..80).map(|_| 4.0 * chi_square(&mut random, 1)).collect();
        let found = moderated(&variances, 1).expect("enough");
        assert!(found.degrees > 8.0, "{}", found.degrees);
        let mean = found.variances.iter().sum::<f64>() / 80.0;
        assert!((mean / 4.0 - 1.0).abs() < 0.4, "{mean}");
        let widest = found.variances.iter().copied().fold(0.0, f64::max);
        assert!(widest < 16.0, "{widest}");
    }

    #[test]
    fn few_variances_know_no_more_than_all_of_them_together() {
        for degrees in [1, 4] {
            // Nothing tells them apart.
            let found = moderated(&[1.0, 1.1, 0.9, 1.05], degrees).expect("enough");
            assert_eq!(found.degrees, 4.0 * degrees as f64);
        }
    }

    #[test]
    fn variances_that_truly_differ_stay_apart() {
        let mut random = seeded(4);
        let truth = |at: usize| if at < 40 { 1.0 } else { 400.0 };
        let variances: Vec<f64> = (0..80).map(|at| truth(at) * chi_square(&mut random, 10) / 10.0).collect();
        let found = moderated(&variances, 10).expect("enough");
        assert!(found.degrees < 15.0, "{}", found.degrees);
        assert!(found.variances[70] > 20.0 * found.variances[10], "{found:?}");
    }

    #[test]
    fn what_cannot_be_moderated_is_none() {
        assert_eq!(moderated(&[1.0, 2.0], 3), None);
        assert_eq!(moderated(&[1.0, 2.0, 3.0], 0), None);
        assert_eq!(moderated(&[0.0; 9], 3), None);
        assert!(moderated(&[0.0, 1.0, 2.0, 1.5, 1.2], 1).is_some_and(|m| m.variances.iter().all(|v| v.is_finite())));
    }
}
