//! Detection of two modes in a set of values.

use super::order::sorted;

/// Fewest values in which modes are looked for. Of smaller samples with one mode, one in ten looks as if it had two.
const FEWEST: usize = 12;

/// Fewest values in a mode, whatever their share.
const FEWEST_IN_MODE: usize = 3;

/// Least share of the smaller mode.
const LEAST_SHARE: f64 = 0.1;

/// Least separation, Ashman's D. Two well separated normal modes have 2. A sample with one mode, cut in two at the best
/// place, has 2.7 (normal) to 3.5 (uniform) already, so that the limit must be higher.
const LEAST_SEPARATION: f64 = 5.0;

/// Most values in the middle half of the distance between the modes, as a share of those in the smaller mode.
const MOST_BETWEEN: f64 = 0.25;

/// Two modes of a set of values.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Modes {
    /// Mean of the lower mode, in the unit of the values.
    pub low: f64,
    /// Mean of the upper mode, in the unit of the values.
    pub high: f64,
    /// Share of the values in the lower mode, 0.1 to 0.9.
    pub low_share: f64,
    /// Ashman's D: √2 · distance of the means / √(sum of the variances within the modes); infinite without spread
    /// within.
    pub separation: f64,
}

/// The two modes of values that have two; `None` for one mode, and for fewer than 12 finite values. Values that are not
/// finite are left out.
///
/// The sorted values are cut where the sum of squares within both parts is least (Fisher, "On Grouping for Maximum
/// Homogeneity", Journal of the American Statistical Association 53, 1958). The parts are modes when the smaller one
/// has a tenth of the values, three at least, Ashman's D (Ashman, Bird and Zepf, "Detecting Bimodality in Astronomical
/// Datasets", The Astronomical Journal 108, 1994) is 5 or more, and the middle half of the way between the two means is
/// nearly empty, with at most a quarter as many values as the smaller part, unlike the long tail of a skewed
/// distribution. In simulations 12 values of one mode (normal, lognormal, t with 3 degrees of freedom) are called two
/// in 1 to 2 % of samples, uniform ones in 6 %, 30 values in less than 1 %; two modes ten standard deviations apart,
/// the upper one with a share of 30 %, are found in 73 % of samples of 12, where often fewer than three values are in
/// it, and in 99 % of samples of 30.
pub fn bimodal(values: &[f64]) -> Option<Modes> {
    let values = sorted(values);
    let n = values.len();
    if n < FEWEST {
        return None;
    }
    let least = ((LEAST_SHARE * n as f64).ceil() as usize).max(FEWEST_IN_MODE);
    let cut = best_cut(&values, least)?;
    let (low, high) = values.split_at(cut);
    let separation = 2f64.sqrt() * (mean(high) - mean(low)) / (variance(low) + variance(high)).sqrt();
    let quarter = (mean(high) - mean(low)) / 4.0;
    let is_between = |value: &&f64| **value > mean(low) + quarter && **value < mean(high) - quarter;
    let between = values.iter().filter(is_between).count();
    let is_empty = between as f64 <= MOST_BETWEEN * low.len().min(high.len()) as f64;
    // NaN, the separation of equal values, does not pass.
    (separation >= LEAST_SEPARATION && is_empty).then(|| Modes {
        low: mean(low),
        high: mean(high),
        low_share: cut as f64 / n as f64,
        separation,
    })
}

/// Number of values below the cut with the least sum of squares within, with `least` values on each side.
fn best_cut(sorted: &[f64], least: usize) -> Option<usize> {
    // Least squares within is most squares between: n_low · n_high · (difference of the means)².
    let total: f64 = sorted.iter().sum();
    let mut below = 0.0;
    let mut best = None;
    let mut most = f64::NEG_INFINITY;
    for (at, value) in sorted.iter().enumerate() {
        let above = sorted.len() - at;
        if at >= least && above >= least {
            let gap = (total - below) / above as f64 - below / at as f64;
            let between = (at * above) as f64 * gap * gap;
            if between > most {
                (best, most) = (Some(at), between);
            }
        }
        below += value;
    }
    best
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Pcg64, normal, seeded, uniform};

    /// How many of 400 samples are called bimodal.
    fn found(n: usize, mut value: impl FnMut(&mut Pcg64) -> f64) -> usize {
        let mut random = seeded(3);
        let mut sample = || (0..n).map(|_| value(&mut random)).collect::<Vec<f64>>();
        (0..400).filter(|_| bimodal(&sample()).is_some()).count()
    }

    #[test]
    fn two_modes_are_found_with_centres_and_shares() {
        let mut random = seeded(1);
        let mode = |i: usize| if i % 10 < 3 { 140.0 } else { 100.0 };
        let values: Vec<f64> = (0..40).map(|i| mode(i) + 2.0 * normal(&mut random)).collect();
        let modes = bimodal(&values).unwrap();
        assert!((modes.low - 100.0).abs() < 1.5 && (modes.high - 140.0).abs() < 2.0, "{modes:?}");
        assert!((modes.low_share - 0.7).abs() < 1e-12 && modes.separation > 10.0);
    }

    #[test]
    fn modes_without_spread_are_modes() {
        let values: Vec<f64> = (0..12).map(|i| if i < 4 { 2.0 } else { 1.0 }).collect();
        let modes = bimodal(&values).unwrap();
        assert_eq!((modes.low, modes.high, modes.separation), (1.0, 2.0, f64::INFINITY));
        assert_eq!(bimodal(&[5.0; 20]), None);
    }

    #[test]
    fn a_few_stragglers_are_no_mode() {
        let mut random = seeded(1);
        let values: Vec<f64> = (0..40).map(|i| if i < 3 { 140.0 } else { 100.0 } + normal(&mut random)).collect();
        assert_eq!(bimodal(&values), None);
        assert_eq!(bimodal(&values[..11]), None);
        assert_eq!(bimodal(&[]), None);
    }

    #[test]
    fn one_mode_is_seldom_called_two() {
        for (n, most) in [(12, 20), (30, 8), (100, 2)] {
            let normals = found(n, normal);
            let skewed = found(n, |random| (0.5 * normal(random)).exp());
            let wild = found(n, |random| normal(random) * if uniform(random) < 0.1 { 10.0 } else { 1.0 });
            assert!(normals.max(skewed).max(wild) <= most, "{n}: {normals} {skewed} {wild}");
        }
        assert!(found(12, uniform) <= 40 && found(30, uniform) <= 8);
    }

    #[test]
    fn two_modes_are_seldom_missed() {
        let two = |random: &mut Pcg64| normal(random) + if uniform(random) < 0.4 { 10.0 } else { 0.0 };
        assert!(found(12, two) >= 320 && found(30, two) >= 390, "{} {}", found(12, two), found(30, two));
    }
}
