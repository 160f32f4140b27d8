//! The block bootstrap: statistics that carry their value in every draw of the same resampled blocks.
//!
//! Blocks are drawn with replacement (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.2).
//! Because all statistics of a workload see the same draws, sums, differences and ratios of them have intervals of
//! their own. [`super::table`] makes the draws of the cells; everything else combines them.

use super::MIN_BLOCKS;
use super::distribution::{normal_cdf, normal_quantile, t_above, t_quantile};
use super::order::{percentile, sorted};
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;

pub use super::series::{Series, draw};

/// Draws when nobody asks for another number.
pub const DRAWS: usize = 2_000;

/// Power for which [`Drawn::detectable`] is computed.
const POWER: f64 = 0.8;

/// Confidence of every interval unless another one is asked for.
const CONFIDENCE: f64 = 0.95;

/// Draws that must lie outside of a percentile for it to be read from the draws themselves.
const EDGE: f64 = 8.0;

/// A statistic with its value in every draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Value on the blocks as they are.
    pub point: f64,
    /// Number of blocks behind it.
    pub blocks: usize,
    draws: Vec<f64>,
}

impl Drawn {
    /// From its value on the blocks as they are, the number of these blocks, and its value in every draw.
    pub fn new(point: f64, blocks: usize, draws: Vec<f64>) -> Drawn {
        Drawn { point, blocks, draws }
    }

    /// A number that is known exactly, to be combined with statistics that have the draws of `like`.
    pub fn constant(value: f64, like: &Drawn) -> Drawn {
        Drawn { point: value, blocks: like.blocks, draws: vec![value; like.draws.len()] }
    }

    /// Σ weight · term, draw by draw. Terms of weight 0 do not take part, so that a missing one does no harm.
    ///
    /// `None` without terms, or when they do not have the same number of draws.
    pub fn linear<'a>(terms: impl IntoIterator<Item = (f64, &'a Drawn)>) -> Option<Drawn> {
        let mut sum: Option<Drawn> = None;
        for (weight, term) in terms {
            let sum = sum.get_or_insert_with(|| Drawn { blocks: usize::MAX, ..Drawn::constant(0.0, term) });
            if sum.draws.len() != term.draws.len() {
                return None;
            }
            if weight == 0.0 {
                continue;
            }
            sum.point += weight * term.point;
            sum.blocks = sum.blocks.min(term.blocks);
            for (sum, draw) in sum.draws.iter_mut().zip(&term.draws) {
                *sum += weight * draw;
            }
        }
        sum.map(|sum| Drawn { blocks: if sum.blocks == usize::MAX { 0 } else { sum.blocks }, ..sum })
    }

    /// Applies `f` draw by draw to two statistics of the same draws.
    pub fn combine(&self, other: &Drawn, f: impl Fn(f64, f64) -> f64) -> Drawn {
        debug_assert_eq!(self.draws.len(), other.draws.len(), "statistics of different draws");
        Drawn {
            point: f(self.point, other.point),
            blocks: self.blocks.min(other.blocks),
            draws: self.draws.iter().zip(&other.draws).map(|(a, b)| f(*a, *b)).collect(),
        }
    }

    /// Applies `f` draw by draw.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Drawn {
        Drawn { point: f(self.point), blocks: self.blocks, draws: self.draws.iter().map(|a| f(*a)).collect() }
    }

    /// The value in every draw.
    pub fn draws(&self) -> &[f64] {
        &self.draws
    }

    /// Interval of 95 %, or `None` below [`MIN_BLOCKS`] blocks or without a number.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.interval_at(CONFIDENCE)
    }

    /// Interval of the given confidence in 0..1, or `None` below [`MIN_BLOCKS`] blocks or without a number.
    ///
    /// Percentiles of the draws at levels widened for few blocks, Φ(−√(n/(n−1)) · t((1+c)/2, n−1)): the expanded
    /// percentile interval (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
    /// 2015, section 5.1). Plain percentiles at 6 to 12 blocks cover 85 to 92 % only. A level with fewer than eight
    /// draws outside of it is not read from these few: there the tail is continued as that of a normal distribution
    /// through the eighth draw.
    pub fn interval_at(&self, confidence: f64) -> Option<(f64, f64)> {
        if self.blocks < MIN_BLOCKS {
            return None;
        }
        let draws = self.sorted_draws()?;
        let p = (1.0 + confidence) / 2.0;
        let z = self.widening() * t_quantile(p, self.blocks - 1);
        let edge = (EDGE / draws.len() as f64).min(0.25);
        if normal_cdf(-z) >= edge {
            let level = normal_cdf(-z);
            return Some((percentile(&draws, level)?, percentile(&draws, 1.0 - level)?));
        }
        let beyond = z / -normal_quantile(edge);
        let middle = percentile(&draws, 0.5)?;
        let end = |level| percentile(&draws, level).map(|end| middle + (end - middle) * beyond);
        Some((end(edge)?, end(1.0 - edge)?))
    }

    /// Standard deviation of the draws with the correction n / (n − 1) for few blocks.
    ///
    /// `None` below two blocks or without a number.
    pub fn standard_error(&self) -> Option<f64> {
        if self.blocks < 2 {
            return None;
        }
        let draws = self.sorted_draws()?;
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / draws.len() as f64;
        Some(variance.sqrt() * self.widening())
    }

    /// Smallest true effect that a study like this one finds with a probability of 80 %: (t(0.975) + t(0.8)) standard
    /// errors with n − 1 degrees of freedom (Bloom, "Minimum Detectable Effects", Evaluation Review 19, 1995).
    ///
    /// `None` below [`MIN_BLOCKS`] blocks.
    pub fn detectable(&self) -> Option<f64> {
        if self.blocks < MIN_BLOCKS {
            return None;
        }
        let degrees = self.blocks - 1;
        Some((t_quantile(0.975, degrees) + t_quantile(POWER, degrees)) * self.standard_error()?)
    }

    /// Two-sided p value against 0: Student's t of value / standard error with n − 1 degrees of freedom.
    ///
    /// Unlike a share of the draws it is not bounded by their number, so that it survives a correction for many tests.
    /// `None` below [`MIN_BLOCKS`] blocks or without a number.
    pub fn p_value(&self) -> Option<f64> {
        Some((2.0 * self.p_above(0.0)?.min(self.p_below(0.0)?)).min(1.0))
    }

    /// One-sided p value against 'the value is `bound` or less': small when it is larger.
    pub fn p_above(&self, bound: f64) -> Option<f64> {
        self.tail(self.point - bound)
    }

    /// One-sided p value against 'the value is `bound` or more': small when it is smaller.
    pub fn p_below(&self, bound: f64) -> Option<f64> {
        self.tail(bound - self.point)
    }

    fn tail(&self, distance: f64) -> Option<f64> {
        if self.blocks < MIN_BLOCKS || distance.is_nan() {
            return None;
        }
        let error = self.standard_error()?;
        if error == 0.0 {
            // Without any spread the value is known exactly.
            return Some(if distance > 0.0 { 0.0 } else { 1.0 });
        }
        Some(t_above(distance / error, self.blocks - 1))
    }

    /// √(n / (n − 1)): by how much draws of n blocks are too narrow.
    pub(super) fn widening(&self) -> f64 {
        let n = self.blocks as f64;
        (n / (n - 1.0)).sqrt()
    }

    /// The finite draws; `None` without a value, and when more than one draw of twenty has no value: a statistic that
    /// is undefined that often has no interval.
    fn sorted_draws(&self) -> Option<Vec<f64>> {
        let draws = sorted(&self.draws);
        (self.point.is_finite() && !draws.is_empty() && draws.len() * 20 >= self.draws.len() * 19).then_some(draws)
    }
}

/// How often each of `blocks` blocks is drawn in each of `draws` draws with replacement, draw after draw.
pub(super) fn weights(blocks: usize, draws: usize, seed: u64) -> Vec<u32> {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut weights = vec![0; blocks * draws];
    for draw in weights.chunks_exact_mut(blocks.max(1)) {
        for _ in 0..blocks {
            // High half of the product: uniform up to blocks / 2^64, which no study can see.
            let block = (u128::from(random.next_u64()) * blocks as u128) >> 64;
            draw[block as usize] += 1;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::order::{TRIM, trimmed_mean};

    fn uniform(random: &mut Pcg64) -> f64 {
        (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(random: &mut Pcg64) -> f64 {
        let radius = (-2.0 * uniform(random).max(1e-300).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * uniform(random)).cos()
    }

    #[test]
    fn weights_equal_repetition() {
        let series = Series::new([(0, 5.0), (1, 1.0), (2, 9.0), (3, 3.0), (4, 7.0)]);
        let repeated = sorted(&[5.0, 5.0, 9.0, 3.0, 3.0]);
        assert_eq!(series.weighted_point(&[2, 0, 1, 2, 0]), trimmed_mean(&repeated, TRIM).unwrap());
        assert!(series.weighted_point(&[0, 0, 0, 0, 0]).is_nan());
    }

    #[test]
    fn interval_covers_what_it_says() {
        // Normal noise with one outlier in ten that is ten times as wide: what a shared machine looks like.
        let mut random = Pcg64::seed_from_u64(11);
        for blocks in [6, 12, 30] {
            let studies = 400;
            let mut covered = 0;
            for study in 0..studies {
                let series = Series::new((0..blocks).map(|block| {
                    let wide = if uniform(&mut random) < 0.1 { 10.0 } else { 1.0 };
                    (block, 100.0 + wide * normal(&mut random))
                }));
                let (lo, hi) = draw(&[series], blocks, 400, study)[0].interval().unwrap();
                covered += u32::from((lo..=hi).contains(&100.0));
            }
            let share = f64::from(covered) / studies as f64;
            assert!((0.92..=0.985).contains(&share), "{blocks} blocks: {share}");
        }
    }

    #[test]
    fn detectable_effect_is_found_four_times_in_five() {
        let mut random = Pcg64::seed_from_u64(5);
        let blocks = 12;
        let mut study = |effect: f64, seed| {
            let series = Series::new((0..blocks).map(|block| (block, effect + normal(&mut random))));
            draw(&[series], blocks, 400, seed).remove(0)
        };
        let detectable = (0..50).filter_map(|seed| study(0.0, seed).detectable()).sum::<f64>() / 50.0;
        let found = (0..400).filter(|seed| study(detectable, *seed).interval().unwrap().0 > 0.0).count();
        assert!((280..=370).contains(&found), "{found} of 400 at {detectable}");
    }

    #[test]
    fn draws_are_common_and_repeatable() {
        let a = Series::new((0..10).map(|block| (block, block as f64)));
        let b = Series::new((0..10).map(|block| (block, 2.0 * block as f64)));
        let both = draw(&[a.clone(), b], 10, 200, 7);
        assert_eq!(draw(&[a], 10, 200, 7)[0], both[0]);
        let ratio = both[1].combine(&both[0], |x, y| x / y);
        assert_eq!(ratio.point, 2.0);
        let (lo, hi) = ratio.interval().unwrap();
        assert!((lo - 2.0).abs() < 1e-12 && (hi - 2.0).abs() < 1e-12);
    }

    #[test]
    fn few_blocks_and_no_numbers_have_no_interval() {
        let five = Series::new((0..5).map(|block| (block, block as f64)));
        let none = Series::new([(0, f64::NAN), (1, f64::INFINITY)]);
        assert!(none.is_empty());
        let drawn = draw(&[five, none], 5, 50, 1);
        assert_eq!(drawn[0].interval(), None);
        assert_eq!(drawn[0].detectable(), None);
        assert!(drawn[1].point.is_nan());
        assert_eq!(drawn[1].interval(), None);
        assert!(draw(&[Series::default()], 0, 10, 1)[0].point.is_nan());
    }
}
