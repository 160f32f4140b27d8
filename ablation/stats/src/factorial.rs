//! Contributions of factors, from the values of cells over subsets of the factors at work.
//!
//! Values are indexed by mask: bit i is 1 where factor i is at work and 0 where it is off. A full factorial over k
//! factors has 2^k values, of which the first has no factor at work and the last has all. Values are costs: a positive
//! contribution costs. All values of one call must have the same draws. All functions but [`contrast_of_columns`]
//! return nothing (empty, or `None`) when the number of values is not a power of two above 1.

use super::bootstrap::Drawn;
use super::distribution::{normal_quantile, t_above};
use super::order::MIN_BLOCKS;

/// Shapley value of every factor: its marginal cost averaged over all orders in which factors can be put to work
/// (Shapley, "A Value for n-Person Games", 1953), in the order of the bits. They sum to values\[all\] − values\[none\].
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

/// Main effect of every factor, in the order of the bits: the mean of at work − off over all pairs of cells that differ
/// in this factor only.
pub fn main_effects(values: &[Drawn]) -> Vec<Drawn> {
    (0..factors(values.len())).filter_map(|i| contrast(values, 1 << i)).collect()
}

/// For every pair i < j, the mean over the levels of the other factors of v(i and j) − v(i) − v(j) + v(neither):
/// positive when the two cost more together than apart. Textbooks of two-level designs often show half of this.
pub fn interactions(values: &[Drawn]) -> Vec<(usize, usize, Drawn)> {
    let k = factors(values.len());
    let pairs = (0..k).flat_map(|i| (i + 1..k).map(move |j| (i, j)));
    pairs.filter_map(|(i, j)| Some((i, j, contrast(values, 1 << i | 1 << j)?))).collect()
}

/// Contrast of a set of factors: the alternating sum over their levels, + where all are at work, as the mean over the
/// levels of the other factors.
fn contrast(values: &[Drawn], subset: usize) -> Option<Drawn> {
    let scale = scale(values.len(), subset);
    let sign = |mask: usize| if (subset & !mask).count_ones().is_multiple_of(2) { scale } else { -scale };
    Drawn::linear(values.iter().enumerate().map(|(mask, value)| (sign(mask), value)))
}

fn scale(masks: usize, subset: usize) -> f64 {
    (1u64 << subset.count_ones()) as f64 / masks as f64
}

/// The contrasts of all sets of factors at once, indexed by set (Yates, "The Design and Analysis of Factorial
/// Experiments", 1937): k sweeps of sums and differences.
fn yates(values: &[Drawn]) -> Option<Vec<Drawn>> {
    let masks = values.len();
    let draws = values.first()?.draws().len();
    if values.iter().any(|value| value.draws().len() != draws) {
        return None;
    }
    let blocks = values.iter().map(|value| value.blocks).min()?;
    // The point travels as one more draw.
    let with_point = |value: &Drawn| value.draws().iter().copied().chain([value.point]).collect();
    let mut sums: Vec<Vec<f64>> = values.iter().map(with_point).collect();
    for factor in 0..factors(masks) {
        let bit = 1 << factor;
        for off in (0..masks).filter(|mask| mask & bit == 0) {
            let (low, high) = sums.split_at_mut(off | bit);
            for (off, on) in low[off].iter_mut().zip(&mut high[0]) {
                (*off, *on) = (*on + *off, *on - *off);
            }
        }
    }
    let finish = |(subset, mut sums): (usize, Vec<f64>)| {
        let scale = scale(masks, subset);
        sums.iter_mut().for_each(|sum| *sum *= scale);
        let point = sums.pop()?;
        Some(Drawn::new(point, blocks, sums))
    };
    sums.into_iter().enumerate().map(finish).collect()
}

/// Takes the factors away one by one, each time the one whose removal saves most: (factor, saving), all factors in the
/// order of their removal. A removal without a finite saving comes last.
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

/// A test of the effects of factors for additivity.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Additivity {
    /// p value against 'no factor's effect depends on another's level', of all interaction contrasts together.
    pub p: f64,
    /// Largest absolute two-factor interaction, as in [`interactions`], in the unit of the values.
    pub largest: f64,
    /// The two factors of the largest interaction.
    pub pair: (usize, usize),
    /// Number of interaction contrasts tested, of two factors and more: 2^k − k − 1.
    pub contrasts: usize,
    /// The contrast that is farthest from 0 in standard errors, as a set of factors (bit i for factor i).
    pub strongest: usize,
}

/// Tests all interaction contrasts, of two factors and more, against zero at once.
///
/// The p value is the share of draws whose largest |t| over the contrasts reaches the largest one of the study
/// (Westfall and Young, "Resampling-Based Multiple Testing", 1993). The t of the study, with n − 1 degrees of freedom,
/// is first translated into the normal value of the same probability, because draws of few blocks do not have the tails
/// of t. Bonferroni's bound is used where it is smaller: a share of the draws is limited by their number.
///
/// `None` for fewer than two factors, below [`MIN_BLOCKS`] blocks, or when a cell has no value.
pub fn additivity(values: &[Drawn]) -> Option<Additivity> {
    let k = factors(values.len());
    if k < 2 {
        return None;
    }
    let contrasts: Vec<(usize, Drawn)> =
        yates(values)?.into_iter().enumerate().filter(|(subset, _)| subset.count_ones() > 1).collect();
    let mut strongest = (0, 0.0, 1.0);
    let mut highest = vec![0.0f64; values[0].draws().len()];
    for (subset, contrast) in &contrasts {
        let error = contrast.standard_error().filter(|_| contrast.blocks >= MIN_BLOCKS)?;
        // An exactly known contrast is certain at any distance from 0 beyond rounding.
        let scale = values.iter().map(|value| value.point.abs()).fold(0.0, f64::max);
        let error = error.max(1e-12 * scale);
        let t = if error > 0.0 { contrast.point.abs() / error } else { 0.0 };
        if t >= strongest.1 {
            strongest = (*subset, t, (2.0 * t_above(t, contrast.blocks - 1)).min(1.0));
        }
        if error > 0.0 {
            let raw = error / contrast.widening();
            for (highest, draw) in highest.iter_mut().zip(contrast.draws()) {
                *highest = highest.max((draw - contrast.point).abs() / raw);
            }
        }
    }
    let (strongest, _, alone) = strongest;
    let reach = -normal_quantile(alone / 2.0);
    let beyond = highest.iter().filter(|highest| **highest >= reach).count();
    // Draws without spread are of exactly known values, for which Bonferroni's bound alone decides.
    let has_spread = highest.iter().any(|highest| *highest > 1e-6);
    let share = if has_spread { (beyond + 1) as f64 / (highest.len() + 1) as f64 } else { 1.0 };
    let pairs = contrasts.iter().filter(|(subset, _)| subset.count_ones() == 2);
    let (pair, largest) = pairs.max_by(|a, b| a.1.point.abs().total_cmp(&b.1.point.abs()))?;
    Some(Additivity {
        p: share.min(alone * contrasts.len() as f64),
        largest: largest.point.abs(),
        pair: (pair.trailing_zeros() as usize, pair.ilog2() as usize),
        contrasts: contrasts.len(),
        strongest,
    })
}

/// Effect of every factor of a two-level design, full or not: the mean of the rows where it is at work (+1) minus the
/// mean of the rows where it is off (−1). `signs[row][factor]` belongs to `values[row]`; a row with 0 does not count
/// for that factor.
///
/// The design decides which effects are aliased. A factor without rows of both signs has NaN. The result is empty when
/// there are not as many rows as values.
///
/// # Panics
/// When a row is shorter than the first.
pub fn contrast_of_columns(signs: &[Vec<i8>], values: &[Drawn]) -> Vec<Drawn> {
    let columns = if signs.len() == values.len() { signs.first().map_or(0, Vec::len) } else { 0 };
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

/// Number of factors of a full factorial with this number of cells; 0 when there is no such factorial.
fn factors(masks: usize) -> usize {
    if masks.is_power_of_two() { masks.ilog2() as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{normal, seeded};
    use crate::table::table;

    /// Cells of a full factorial whose values are known: a constant plus what each set of factors adds together.
    fn known(k: usize, parts: &[(usize, f64)]) -> Vec<f64> {
        (0..1usize << k)
            .map(|mask| 100.0 + parts.iter().filter(|(set, _)| mask & set == *set).map(|(_, cost)| cost).sum::<f64>())
            .collect()
    }

    /// The same, measured with normal noise.
    fn measured(values: &[f64], blocks: usize, noise: f64, seed: u64) -> Vec<Drawn> {
        let mut random = seeded(seed);
        let mut cell = |value: &f64| (0..blocks).map(|b| (b, value + noise * normal(&mut random))).collect();
        let cells: Vec<Vec<(usize, f64)>> = values.iter().map(&mut cell).collect();
        table(&cells, blocks, 400, seed)
    }

    fn exact(values: &[f64]) -> Vec<Drawn> {
        values.iter().map(|value| Drawn::new(*value, 12, vec![*value; 3])).collect()
    }

    fn points(drawn: &[Drawn]) -> Vec<f64> {
        drawn.iter().map(|d| (d.point * 1e9).round() / 1e9).collect()
    }

    #[test]
    fn shapley_of_the_glove_game() {
        // Factor 0 is a left glove, 1 and 2 are right gloves, a pair is worth 1: values 2/3, 1/6, 1/6 (textbook).
        let value = |mask: usize| if mask & 1 == 1 && mask > 1 { 1.0 } else { 0.0 };
        let shapley = shapley_of(&(0..8).map(value).collect::<Vec<f64>>());
        for (value, expected) in shapley.iter().zip([2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]) {
            assert!((value - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn shapley_shares_interactions_equally_and_sums_to_the_difference() {
        let values = known(3, &[(0b001, 5.0), (0b010, 2.0), (0b011, 7.0), (0b111, 3.0)]);
        assert_eq!(points(&shapley(&exact(&values))), [9.5, 6.5, 1.0]);
        let drawn = measured(&known(10, &[(1, 5.0), (6, -2.0)]), 12, 1.0, 4);
        let shapley = shapley(&drawn);
        let sum = Drawn::linear(shapley.iter().map(|s| (1.0, s))).unwrap();
        let whole = drawn[1023].combine(&drawn[0], |all, none| all - none);
        assert!((sum.point - whole.point).abs() < 1e-9);
        assert!(sum.draws().iter().zip(whole.draws()).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn effects_and_interactions_have_their_signs() {
        let values = exact(&known(3, &[(0b001, 5.0), (0b010, 2.0), (0b011, 7.0), (0b110, -4.0)]));
        // Main effects average over the others: 5 + 7/2, 2 + 7/2 − 4/2, −4/2.
        assert_eq!(points(&main_effects(&values)), [8.5, 3.5, -2.0]);
        let pairs: Vec<(usize, usize, f64)> =
            interactions(&values).into_iter().map(|(i, j, d)| (i, j, d.point)).collect();
        assert_eq!(pairs, [(0, 1, 7.0), (0, 2, 0.0), (1, 2, -4.0)]);
    }

    #[test]
    fn the_fast_transform_agrees_with_the_sums() {
        let values = measured(&known(4, &[(1, 5.0), (3, 2.0), (7, 1.0)]), 8, 1.0, 2);
        for (subset, fast) in yates(&values).unwrap().iter().enumerate() {
            let slow = contrast(&values, subset).unwrap();
            assert!((fast.point - slow.point).abs() < 1e-9);
            assert!(fast.draws().iter().zip(slow.draws()).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn greedy_takes_the_largest_first_and_ends_at_none() {
        let values = exact(&known(3, &[(0b001, 5.0), (0b010, 2.0), (0b110, 9.0)]));
        let path = greedy(&values);
        // 1 saves 2 + 9 at first, as 2 saves 9 only; then 0 saves 5 and 2 nothing.
        assert_eq!(path.iter().map(|(f, d)| (*f, d.point)).collect::<Vec<_>>(), [(1, 11.0), (0, 5.0), (2, 0.0)]);
        assert_eq!(path.iter().map(|(_, d)| d.point).sum::<f64>(), values[7].point - values[0].point);
    }

    #[test]
    fn additivity_finds_what_is_there_and_no_more() {
        let sum = known(4, &[(1, 5.0), (2, 3.0), (4, 1.0), (8, 10.0)]);
        let (studies, mut false_alarms) = (400, 0);
        for seed in 0..studies {
            let test = additivity(&measured(&sum, 12, 1.0, seed)).unwrap();
            assert_eq!(test.contrasts, 11);
            false_alarms += u32::from(test.p < 0.05);
        }
        eprintln!("additivity: {false_alarms} false alarms in {studies} studies");
        assert!(false_alarms <= 34, "{false_alarms} of {studies}");

        let two = known(4, &[(1, 5.0), (2, 3.0), (0b0101, 7.0)]);
        let test = additivity(&measured(&two, 12, 1.0, 3)).unwrap();
        assert!(test.p < 1e-3 && test.pair == (0, 2) && test.strongest == 0b0101, "{test:?}");
        assert!((test.largest - 7.0).abs() < 1.5);
        // Three factors together, without any interaction of two on the average that were larger.
        let three = known(4, &[(1, 5.0), (0b0111, 12.0), (0b0011, -6.0), (0b0101, -6.0), (0b0110, -6.0)]);
        let test = additivity(&measured(&three, 12, 1.0, 3)).unwrap();
        assert!(test.p < 1e-3 && test.strongest == 0b0111, "{test:?}");
    }

    #[test]
    fn additivity_of_many_factors_and_of_exact_values() {
        let test = additivity(&measured(&known(10, &[(1, 5.0), (0b1100000000, 7.0)]), 12, 1.0, 3)).unwrap();
        assert!(test.p < 0.01 && test.pair == (8, 9) && test.contrasts == 1013, "{test:?}");
        assert!(additivity(&exact(&known(3, &[(1, 5.0)]))).unwrap().p > 0.05);
        assert!(additivity(&exact(&known(3, &[(3, 5.0)]))).unwrap().p < 1e-6);
        // Sums that are not exact in binary, and nothing at all.
        assert!(additivity(&exact(&known(3, &[(1, 0.1), (2, 0.2), (4, 0.7)]))).unwrap().p > 0.05);
        assert_eq!(additivity(&exact(&[0.0; 8])).unwrap().p, 1.0);
    }

    #[test]
    fn what_is_no_factorial_has_no_answer() {
        let three = exact(&[1.0, 2.0, 3.0]);
        assert!(shapley(&three).is_empty() && main_effects(&three).is_empty() && greedy(&three).is_empty());
        assert!(shapley(&[]).is_empty() && shapley_of(&[1.0]).is_empty() && additivity(&three).is_none());
        let mut missing = exact(&known(2, &[(1, 5.0)]));
        missing[2] = missing[2].map(|_| f64::NAN);
        assert!(additivity(&missing).is_none());
        assert_eq!(greedy(&missing).len(), 2);
    }

    #[test]
    fn columns_of_a_half_fraction_give_the_effects() {
        // 2^(3−1) with C = AB: effects 5, 2, 1 without interactions.
        let signs: Vec<Vec<i8>> = vec![vec![-1, -1, 1], vec![1, -1, -1], vec![-1, 1, -1], vec![1, 1, 1]];
        let value = |row: &Vec<i8>| 100.0 + 2.5 * row[0] as f64 + row[1] as f64 + 0.5 * row[2] as f64;
        let values = exact(&signs.iter().map(value).collect::<Vec<_>>());
        assert_eq!(points(&contrast_of_columns(&signs, &values)), [5.0, 2.0, 1.0]);
        let constant: Vec<Vec<i8>> = signs.iter().map(|row| vec![row[0], 1]).collect();
        let effects = contrast_of_columns(&constant, &values);
        assert!(effects[0].point == 5.0 && effects[1].point.is_nan());
        assert!(contrast_of_columns(&signs, &values[..3]).is_empty());
    }

    #[test]
    fn plackett_and_burman_finds_the_effects_of_eleven_factors() {
        // The generator of 12 runs (Plackett and Burman, "The Design of Optimum Multifactorial Experiments", 1946).
        let first = [1i8, 1, -1, 1, 1, 1, -1, -1, -1, 1, -1];
        let mut signs: Vec<Vec<i8>> = (0..11).map(|row| (0..11).map(|f| first[(f + row) % 11]).collect()).collect();
        signs.push(vec![-1; 11]);
        let value = |row: &Vec<i8>| row.iter().enumerate().map(|(f, sign)| f as f64 * 0.5 * *sign as f64).sum::<f64>();
        let values = exact(&signs.iter().map(value).collect::<Vec<_>>());
        let effects = points(&contrast_of_columns(&signs, &values));
        assert_eq!(effects, (0..11).map(|f| f as f64).collect::<Vec<_>>());
    }
}
