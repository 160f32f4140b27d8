//! What each factor contributes, from the values of cells over subsets of the factors at work.
//!
//! Values are indexed by mask: bit i is 1 where factor i is at work and 0 where it is off, so a full factorial over k
//! factors has 2^k values and the last one is the baseline. Values are costs: a positive contribution costs. All
//! functions give an empty answer when the number of values is no power of two above 1.

use super::bootstrap::Drawn;
use super::distribution::{normal_quantile, t_above};
use super::order::percentile;

/// Shapley value of every factor: its marginal cost averaged over all orders in which factors can be put to work
/// (Shapley, "A Value for n-Person Games", 1953). They sum to values\[all\] − values\[none\].
pub fn shapley(values: &[Drawn]) -> Vec<Drawn> {
    let weights = shapley_weights(values.len());
    weights.iter().filter_map(|weights| Drawn::linear(weights.iter().copied().zip(values))).collect()
}

/// [`shapley`] of exact numbers, such as counts.
pub fn shapley_of(values: &[f64]) -> Vec<f64> {
    let weights = shapley_weights(values.len());
    weights.iter().map(|weights| weights.iter().zip(values).map(|(weight, value)| weight * value).sum()).collect()
}

/// Weight of every mask in the Shapley value of every factor: ± (s − 1)! (k − s)! / k! where s counts the factors at
/// work, this one among them.
fn shapley_weights(masks: usize) -> Vec<Vec<f64>> {
    let k = factors(masks);
    // 1 / (k · C(k − 1, s)) for s other factors at work.
    let mut share = vec![1.0 / k as f64; k];
    for s in 1..k {
        share[s] = share[s - 1] * s as f64 / (k - s) as f64;
    }
    let weight = |mask: usize, i: usize| {
        let others = (mask & !(1 << i)).count_ones() as usize;
        if mask >> i & 1 == 1 { share[others] } else { -share[others] }
    };
    (0..k).map(|i| (0..masks).map(|mask| weight(mask, i)).collect()).collect()
}

/// Mean over all pairs of cells that differ in this factor only: at work − off.
pub fn main_effects(values: &[Drawn]) -> Vec<Drawn> {
    (0..factors(values.len())).filter_map(|i| contrast(values, 1 << i)).collect()
}

/// For every pair i < j, the mean over the levels of the other factors of v(i and j) − v(i) − v(j) + v(neither):
/// positive when the two cost more together than apart.
pub fn interactions(values: &[Drawn]) -> Vec<(usize, usize, Drawn)> {
    let k = factors(values.len());
    let pairs = (0..k).flat_map(|i| (i + 1..k).map(move |j| (i, j)));
    pairs.filter_map(|(i, j)| Some((i, j, contrast(values, 1 << i | 1 << j)?))).collect()
}

/// Alternating sum over the factors of `subset`, mean over the levels of the others.
fn contrast(values: &[Drawn], subset: usize) -> Option<Drawn> {
    let scale = (1 << subset.count_ones()) as f64 / values.len() as f64;
    let sign = |mask: usize| if (subset & !mask).count_ones() % 2 == 0 { scale } else { -scale };
    Drawn::linear(values.iter().enumerate().map(|(mask, value)| (sign(mask), value)))
}

/// Takes the factors away one by one, each time the one whose removal saves most now: (factor, what its removal saves).
pub fn greedy(values: &[Drawn]) -> Vec<(usize, Drawn)> {
    let k = factors(values.len());
    let mut mask = (1usize << k) - 1;
    let mut path = Vec::with_capacity(k);
    while mask != 0 {
        let saved = |i: &usize| values[mask].point - values[mask & !(1 << i)].point;
        let score = |i: &usize| Some(saved(i)).filter(|s| s.is_finite()).unwrap_or(f64::NEG_INFINITY);
        let at_work = (0..k).rev().filter(|i| mask >> i & 1 == 1);
        let Some(next) = at_work.max_by(|a, b| score(a).total_cmp(&score(b))) else {
            break;
        };
        path.push((next, values[mask].combine(&values[mask & !(1 << next)], |with, without| with - without)));
        mask &= !(1 << next);
    }
    path
}

/// Whether factors simply add up.
#[derive(Debug, Clone, PartialEq)]
pub struct Additivity {
    /// p value against 'no factor's effect depends on another's level', of all interaction contrasts together.
    pub p: f64,
    /// Largest absolute two-factor interaction, as in [`interactions`].
    pub largest: f64,
    /// The two factors of it.
    pub pair: (usize, usize),
    /// Number of interaction contrasts tested: 2^k − k − 1.
    pub contrasts: usize,
    /// The contrast that is farthest from 0 in standard errors, as a set of factors (bit i for factor i).
    pub strongest: usize,
    /// Its p value alone, without regard to how many there are.
    pub strongest_p: f64,
}

/// Tests all interaction contrasts, of two factors and more, against zero at once.
pub fn additivity(values: &[Drawn]) -> Option<Additivity> {
    let k = factors(values.len());
    let subsets: Vec<usize> = (0..values.len()).filter(|subset| subset.count_ones() > 1).collect();
    let contrasts: Vec<Drawn> = subsets.iter().filter_map(|subset| contrast(values, *subset)).collect();
    if k < 2 || contrasts.len() < subsets.len() {
        return None;
    }
    let mut strongest = (0, 0.0, 1.0);
    let mut highest = vec![0.0f64; contrasts[0].draws().len()];
    for (subset, contrast) in subsets.iter().zip(&contrasts) {
        let error = contrast.standard_error()?;
        if error == 0.0 {
            continue;
        }
        let t = contrast.point.abs() / error;
        if t > strongest.1 {
            strongest = (*subset, t, 2.0 * t_above(t, contrast.blocks - 1));
        }
        let raw = error / contrast.widening();
        for (highest, draw) in highest.iter_mut().zip(contrast.draws()) {
            *highest = highest.max((draw - contrast.point).abs() / raw);
        }
    }
    highest.sort_by(f64::total_cmp);
    let z = -normal_quantile(strongest.2 / 2.0);
    let beyond = highest.iter().filter(|h| **h >= z).count();
    let p = ((beyond + 1) as f64 / (highest.len() + 1) as f64).min(strongest.2 * contrasts.len() as f64);
    percentile(&highest, 0.5)?;
    let pairs = interactions(values);
    let largest = pairs.iter().max_by(|a, b| a.2.point.abs().total_cmp(&b.2.point.abs()))?;
    Some(Additivity {
        p,
        largest: largest.2.point.abs(),
        pair: (largest.0, largest.1),
        contrasts: contrasts.len(),
        strongest: strongest.0,
        strongest_p: strongest.2,
    })
}

/// Effect of every factor of a two-level design that need not be full: mean of the rows where it is at work (+1) minus
/// mean of the rows where it is off (−1). `signs[row][factor]`; rows with 0 do not count for that factor.
///
/// What each effect is aliased with is a matter of the design. A factor without rows of both signs has no value (NaN).
pub fn contrast_of_columns(signs: &[Vec<i8>], values: &[Drawn]) -> Vec<Drawn> {
    let columns = signs.first().map_or(0, Vec::len);
    let effect = |factor: usize| {
        let count = |sign: i8| signs.iter().filter(|row| row[factor].signum() == sign).count() as f64;
        let (plus, minus) = (count(1), count(-1));
        let weight = |row: &Vec<i8>| match row[factor].signum() {
            1 => 1.0 / plus,
            -1 => -1.0 / minus,
            _ => 0.0,
        };
        let effect = Drawn::linear(signs.iter().map(weight).zip(values))?;
        Some(if plus == 0.0 || minus == 0.0 { effect.map(|_| f64::NAN) } else { effect })
    };
    (0..columns).filter_map(effect).collect()
}

/// Number of factors of a full factorial with so many cells; 0 when there is none.
fn factors(masks: usize) -> usize {
    if masks.is_power_of_two() { masks.ilog2() as usize } else { 0 }
}
