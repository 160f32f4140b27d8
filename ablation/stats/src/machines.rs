//! One effect that was measured on several machines: what it is on these machines, and on machines like these.
//!
//! The machines are a sample, and the effect of each is that of its kind plus a deviation of its own. The mean effect and
//! the variance τ² between machines are those of DerSimonian and Laird ("Meta-analysis in clinical trials", Controlled
//! Clinical Trials 7, 1986). The interval is that of Hartung and Knapp ("A refined method for the meta-analysis of
//! controlled clinical trials with binary outcome", Statistics in Medicine 20, 2001) and Sidik and Jonkman ("A simple
//! confidence interval for meta-analysis", Statistics in Medicine 21, 2002), with Student's t of as many degrees of freedom
//! as there are machines, less one. Its variance is at least the one without their correction (Röver, Knapp and Friede,
//! "Hartung-Knapp-Sidik-Jonkman approach and its modification for random-effects meta-analysis with few studies", BMC
//! Medical Research Methodology 15, 2015): by chance two or three machines agree too well, and the plain interval is then
//! far too narrow.

use super::distribution::t_quantile;
use super::gamma::f_above;
use super::order::MIN_BLOCKS;

/// Largest number of degrees of freedom that an interval distinguishes.
const MAX_DEGREES: f64 = 200.0;

/// A standard error is at least this part of the largest estimate or standard error, so that values without any noise
/// have finite weights.
const LEAST_ERROR: f64 = 1e-6;

/// An effect on one machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnMachine {
    /// The effect.
    pub estimate: f64,
    /// Its standard error over the blocks of the machine; `None` with one block.
    pub error: Option<f64>,
    /// Blocks.
    pub blocks: usize,
}

/// A mean with its standard error and the degrees of freedom of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub estimate: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of Student's t, at least 1.
    pub degrees: usize,
}

/// An effect over several machines.
#[derive(Debug, Clone, PartialEq)]
pub struct AcrossMachines {
    /// Its mean over these machines, each with the weight of its blocks. The error is that of the blocks: another study on
    /// the same machines would find the same mean within it.
    pub fixed: Mean,
    /// Its mean over machines of the kind that these are a sample of.
    pub random: Mean,
    /// Standard deviation τ of the effect between machines, beyond what blocks explain.
    pub between: f64,
    /// Share I² of the variance of the estimates that is between machines, 0 to 1 (Higgins and Thompson, "Quantifying
    /// heterogeneity in a meta-analysis", Statistics in Medicine 21, 2002).
    pub share: f64,
    /// Probability that machines with one effect differ as much as these: Cochran's Q with the degrees of freedom of Welch
    /// ("On the comparison of several mean values", Biometrika 38, 1951), because standard errors are estimates too.
    pub p: f64,
}

impl Mean {
    /// Lower and upper end of the interval with this confidence, 0.5 to 1 without the ends.
    pub fn interval_at(&self, confidence: f64) -> (f64, f64) {
        let half = t_quantile((1.0 + confidence) / 2.0, self.degrees) * self.error;
        (self.estimate - half, self.estimate + half)
    }

    /// The smallest effect that is found with a probability of 80 % by an interval of this confidence.
    pub fn detectable_at(&self, confidence: f64) -> f64 {
        (t_quantile((1.0 + confidence) / 2.0, self.degrees) + t_quantile(0.8, self.degrees)) * self.error
    }
}

impl AcrossMachines {
    /// Adds an error that all machines have in common, such as that of the code layouts which all of them run: more machines
    /// do not make it smaller. `half` is half of the width of its 95 % interval.
    pub fn with_common_error(self, half: f64) -> AcrossMachines {
        let wider = |mean: Mean| {
            let common = half / t_quantile(0.975, mean.degrees);
            Mean { error: mean.error.hypot(common), ..mean }
        };
        AcrossMachines { fixed: wider(self.fixed), random: wider(self.random), ..self }
    }
}

/// Combines an effect over machines. `None` with fewer than two machines, or when an estimate is not finite.
///
/// A machine with fewer than [`MIN_BLOCKS`] blocks has the standard error that the blocks of all machines together say.
pub fn across(machines: &[OnMachine]) -> Option<AcrossMachines> {
    let count = machines.len();
    if count < 2 || machines.iter().any(|machine| !machine.estimate.is_finite() || machine.blocks == 0) {
        return None;
    }
    let estimates: Vec<f64> = machines.iter().map(|machine| machine.estimate).collect();
    let errors = errors(machines)?;
    let fixed = fixed(machines, &estimates, &errors);
    let squares: Vec<f64> = errors.iter().map(|error| error * error).collect();

    let weights: Vec<f64> = squares.iter().map(|square| 1.0 / square).collect();
    let (all, mean) = weighted(&weights, &estimates);
    let q: f64 = weights.iter().zip(&estimates).map(|(weight, value)| weight * (value - mean).powi(2)).sum();
    let degrees = (count - 1) as f64;
    let scale = all - weights.iter().map(|weight| weight * weight).sum::<f64>() / all;
    let between = if scale > 0.0 { ((q - degrees) / scale).max(0.0) } else { 0.0 };

    let weights: Vec<f64> = squares.iter().map(|square| 1.0 / (square + between)).collect();
    let (all, mean) = weighted(&weights, &estimates);
    let spread: f64 = weights.iter().zip(&estimates).map(|(weight, value)| weight * (value - mean).powi(2)).sum();
    let error = ((spread / degrees).max(1.0) / all).sqrt();
    Some(AcrossMachines {
        fixed,
        random: Mean { estimate: mean, error, degrees: count - 1 },
        between: between.sqrt(),
        share: if q > 0.0 { ((q - degrees) / q).max(0.0) } else { 0.0 },
        p: heterogeneity(machines, &squares, q),
    })
}

/// Standard errors, those of few blocks from the variance of all blocks together, and none smaller than rounding.
fn errors(machines: &[OnMachine]) -> Option<Vec<f64>> {
    let known = || machines.iter().filter_map(|machine| Some((machine, machine.error?)));
    let degrees: f64 = known().map(|(machine, _)| machine.blocks as f64 - 1.0).sum();
    let variance = |(machine, error): (&OnMachine, f64)| error * error * machine.blocks as f64;
    let sum: f64 = known().map(|pair| variance(pair) * (pair.0.blocks as f64 - 1.0)).sum();
    let pooled = if degrees > 0.0 { sum / degrees } else { 0.0 };
    let own = |machine: &OnMachine| match machine.error {
        Some(error) if machine.blocks >= MIN_BLOCKS => error,
        _ => (pooled / machine.blocks as f64).sqrt(),
    };
    let errors: Vec<f64> = machines.iter().map(own).collect();
    let largest = machines.iter().map(|machine| machine.estimate.abs()).chain(errors.iter().copied());
    let least = LEAST_ERROR * largest.fold(1e-40, f64::max);
    errors.iter().all(|error| error.is_finite()).then(|| errors.iter().map(|error| error.max(least)).collect())
}

/// The mean with the weights of the blocks. Degrees of freedom by Satterthwaite ("An approximate distribution of estimates
/// of variance components", Biometrics Bulletin 2, 1946).
fn fixed(machines: &[OnMachine], estimates: &[f64], errors: &[f64]) -> Mean {
    let blocks: f64 = machines.iter().map(|machine| machine.blocks as f64).sum();
    let parts = machines.iter().zip(estimates).zip(errors).map(|((machine, estimate), error)| {
        let share = machine.blocks as f64 / blocks;
        (share * estimate, (share * error).powi(2), (machine.blocks as f64 - 1.0).max(1.0))
    });
    let (mut estimate, mut variance, mut fourth) = (0.0, 0.0, 0.0);
    for (value, own, degrees) in parts {
        estimate += value;
        variance += own;
        fourth += own * own / degrees;
    }
    let degrees = if fourth > 0.0 { (variance * variance / fourth).clamp(1.0, MAX_DEGREES) } else { 1.0 };
    Mean { estimate, error: variance.sqrt(), degrees: degrees as usize }
}

/// The p-value of Cochran's Q.
fn heterogeneity(machines: &[OnMachine], squares: &[f64], q: f64) -> f64 {
    let count = machines.len() as f64;
    let all: f64 = squares.iter().map(|square| 1.0 / square).sum();
    let parts = machines
        .iter()
        .zip(squares)
        .map(|(machine, square)| (1.0 - 1.0 / square / all).powi(2) / (machine.blocks as f64 - 1.0).max(1.0));
    let lambda = parts.sum::<f64>() / (count * count - 1.0);
    let statistic = q / (count - 1.0) / (1.0 + 2.0 * (count - 2.0) * lambda);
    f_above(statistic, count - 1.0, 1.0 / (3.0 * lambda))
}

/// The sum of the weights, and the weighted mean.
fn weighted(weights: &[f64], values: &[f64]) -> (f64, f64) {
    let all: f64 = weights.iter().sum();
    (all, weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<f64>() / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirteen trials of a vaccine (Colditz and others, JAMA 271, 1994): log relative risks and their variances.
    const TRIALS: [(f64, f64); 13] = [
        (-0.8893, 0.3256),
        (-1.5854, 0.1946),
        (-1.3481, 0.4154),
        (-1.4416, 0.0200),
        (-0.2175, 0.0512),
        (-0.7861, 0.0069),
        (-1.6209, 0.2230),
        (0.0120, 0.0040),
        (-0.4694, 0.0564),
        (-1.3713, 0.0730),
        (-0.3394, 0.0124),
        (0.4459, 0.5325),
        (-0.0173, 0.0714),
    ];

    fn on(estimate: f64, error: f64, blocks: usize) -> OnMachine {
        OnMachine { estimate, error: Some(error), blocks }
    }

    #[test]
    fn a_published_meta_analysis_is_reproduced() {
        let trials: Vec<OnMachine> = TRIALS.iter().map(|(value, variance)| on(*value, variance.sqrt(), 500)).collect();
        let across = across(&trials).expect("thirteen trials");
        // As R's metafor has them: rma(method = "DL"): 0.3088, −0.7141; I² of DL 92.12 %.
        assert!((across.between.powi(2) - 0.3088).abs() < 2e-3, "{across:?}");
        assert!((across.random.estimate + 0.7141).abs() < 1e-3, "{across:?}");
        assert!((across.share - 0.9212).abs() < 1e-3, "{across:?}");
        assert!(across.p < 1e-10 && across.random.degrees == 12);
        let (lo, hi) = across.random.interval_at(0.95);
        assert!(lo < -1.0644 && hi > -0.3638, "not narrower than without the correction: {lo} {hi}");
    }

    #[test]
    fn the_test_of_one_effect_is_welch_s() {
        // R: oneway.test(count ~ spray, InsectSprays): F = 36.065, degrees 5 and 30.043, p = 7.999e-12.
        let means = [14.5, 15.333_333, 2.083_333, 4.916_667, 3.5, 16.666_667];
        let deviations = [4.719_399, 4.271_115, 1.975_225, 2.503_028, 1.732_051, 6.213_378];
        let sprays: Vec<OnMachine> =
            means.iter().zip(deviations).map(|(mean, sd)| on(*mean, sd / 12_f64.sqrt(), 12)).collect();
        let p = across(&sprays).expect("six sprays").p;
        assert!((p / 7.999e-12 - 1.0).abs() < 0.01, "{p}");
    }

    #[test]
    fn machines_that_agree_have_the_error_of_their_blocks() {
        let across = across(&[on(10.0, 1.0, 20), on(10.0, 1.0, 20), on(10.0, 1.0, 20)]).expect("three machines");
        assert_eq!((across.between, across.share), (0.0, 0.0));
        assert!((across.random.error - 1.0 / 3_f64.sqrt()).abs() < 1e-12 && across.random.degrees == 2);
        assert!((across.fixed.error - 1.0 / 3_f64.sqrt()).abs() < 1e-12 && across.fixed.degrees == 57);
        assert!((across.p - 1.0).abs() < 1e-9, "{across:?}");
    }

    #[test]
    fn two_machines_that_differ_have_a_wide_interval() {
        let across = across(&[on(4.0, 0.1, 20), on(1.0, 0.1, 20)]).expect("two machines");
        assert!((across.random.estimate - 2.5).abs() < 1e-9 && (across.between - 2.1).abs() < 0.1, "{across:?}");
        // 12.7 standard errors of 1.5.
        let (lo, hi) = across.random.interval_at(0.95);
        assert!((hi - lo - 2.0 * 12.706 * 1.5).abs() < 0.1, "{lo} {hi}");
        let (lo, hi) = across.fixed.interval_at(0.95);
        assert!(lo > 2.3 && hi < 2.7 && across.p < 1e-6, "{across:?}");
    }

    #[test]
    fn a_common_error_is_no_smaller_for_more_machines() {
        for count in [2, 20] {
            let machines: Vec<OnMachine> = (0..count).map(|_| on(10.0, 0.01, 20)).collect();
            let across = across(&machines).expect("several machines").with_common_error(3.0);
            for mean in [across.fixed, across.random] {
                let (lo, hi) = mean.interval_at(0.95);
                assert!(((hi - lo) / 2.0 - 3.0).abs() < 0.05, "{count} machines: {lo} {hi}");
            }
        }
    }

    #[test]
    fn few_blocks_and_no_noise_are_no_trouble() {
        let exact = across(&[on(40.0, 0.0, 6), on(40.0, 0.0, 6)]).expect("two machines");
        assert!((exact.random.estimate - 40.0).abs() < 1e-9 && exact.p > 0.99, "{exact:?}");
        let nothing = across(&[on(0.0, 0.0, 6), on(0.0, 0.0, 6)]).expect("two machines");
        assert!(nothing.random.estimate == 0.0 && nothing.random.error < 1e-40 && nothing.p.is_finite());
        let single = |estimate| OnMachine { estimate, error: None, blocks: 1 };
        let one_block = across(&[single(1.0), single(2.0), single(3.0)]).expect("three machines");
        // A t interval of three values.
        assert!((one_block.random.error - 1.0 / 3_f64.sqrt()).abs() < 1e-3, "{one_block:?}");
        // The one with two blocks has the error that all blocks say.
        let mixed = across(&[on(1.0, 0.0, 2), on(2.0, 1.0, 20)]).expect("two machines");
        assert!(mixed.random.estimate > 1.5, "{mixed:?}");
        assert_eq!(across(&[on(1.0, 1.0, 6)]), None);
        assert_eq!(across(&[on(1.0, 1.0, 6), on(f64::NAN, 1.0, 6)]), None);
    }
}
