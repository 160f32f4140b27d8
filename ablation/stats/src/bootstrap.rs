//! The block bootstrap: statistics that carry their value in every draw of the same resampled blocks.
//!
//! Blocks are drawn with replacement (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.2).
//! Because all statistics of a workload have the same draws, sums, differences and ratios of them have intervals of
//! their own. [`super::table`] and [`super::series`] make the draws; the other modules combine them.

use super::distribution::{normal_cdf, normal_quantile, t_above, t_quantile};
use super::order::{MIN_BLOCKS, percentile, sorted};
use std::sync::OnceLock;

/// Usual number of draws.
pub const DRAWS: usize = 2_000;

/// Power for which [`Drawn::detectable`] is computed.
const POWER: f64 = 0.8;

/// Confidence of every interval unless another one is asked for.
pub const CONFIDENCE: f64 = 0.95;

/// Fewest draws outside of a percentile with which it is read from the draws themselves.
const EDGE: f64 = 8.0;

/// A statistic with its value in every draw.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// Value on the blocks as they are; NaN when it is not defined.
    pub point: f64,
    /// Number of blocks that the value was computed from.
    pub blocks: usize,
    draws: Vec<f64>,
    /// The finite draws in ascending order, sorted by the first request for an interval.
    sorted: OnceLock<Vec<f64>>,
}

impl PartialEq for Drawn {
    fn eq(&self, other: &Drawn) -> bool {
        self.point == other.point && self.blocks == other.blocks && self.draws == other.draws
    }
}

impl Drawn {
    /// A statistic from its value on the blocks as they are, the number of these blocks, and its value in every draw.
    pub fn new(point: f64, blocks: usize, draws: Vec<f64>) -> Drawn {
        Drawn { point, blocks, draws, sorted: OnceLock::new() }
    }

    /// An exactly known number with as many blocks and draws as `like`, to be combined with it.
    pub fn constant(value: f64, like: &Drawn) -> Drawn {
        Drawn::new(value, like.blocks, vec![value; like.draws.len()])
    }

    /// Σ weight · term, draw by draw. A term of weight 0 is left out, so that it may be NaN. The sum has the fewest
    /// blocks of its terms.
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

    /// Applies `f` to the values and draw by draw to two statistics of the same draws. The result has the fewer blocks
    /// of the two.
    ///
    /// # Panics
    /// In debug builds, when the statistics have different numbers of draws. Release builds take the shorter number.
    pub fn combine(&self, other: &Drawn, f: impl Fn(f64, f64) -> f64) -> Drawn {
        debug_assert_eq!(self.draws.len(), other.draws.len(), "statistics of different draws");
        let draws = self.draws.iter().zip(&other.draws).map(|(a, b)| f(*a, *b)).collect();
        Drawn::new(f(self.point, other.point), self.blocks.min(other.blocks), draws)
    }

    /// Applies `f` to the value and to every draw.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Drawn {
        Drawn::new(f(self.point), self.blocks, self.draws.iter().map(|a| f(*a)).collect())
    }

    /// The value in every draw.
    pub fn draws(&self) -> &[f64] {
        &self.draws
    }

    /// Lower and upper end of the 95 % interval, as [`Drawn::interval_at`].
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.interval_at(CONFIDENCE)
    }

    /// Lower and upper end of the interval with this confidence, 0 to 1 without the ends.
    ///
    /// Percentiles of the draws at levels widened for few blocks, Φ(−√(n/(n−1)) · t((1+c)/2, n−1)): the expanded
    /// percentile interval (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
    /// 2015, section 5.1). Plain percentiles at 6 to 12 blocks cover 85 to 92 % only. A level with fewer than eight
    /// draws outside of it is not read from these few: there the tail is continued as that of a normal distribution
    /// through the eighth draw.
    ///
    /// `None` below [`MIN_BLOCKS`] blocks, when the value is not finite, or when more than 5 % of the draws are not.
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
            return Some((percentile(draws, level)?, percentile(draws, 1.0 - level)?));
        }
        let beyond = z / -normal_quantile(edge);
        let middle = percentile(draws, 0.5)?;
        let end = |level| percentile(draws, level).map(|end| middle + (end - middle) * beyond);
        Some((end(edge)?, end(1.0 - edge)?))
    }

    /// Standard deviation of the draws with the correction √(n / (n − 1)) for few blocks.
    ///
    /// `None` below two blocks, when the value is not finite, or when more than 5 % of the draws are not.
    pub fn standard_error(&self) -> Option<f64> {
        if self.blocks < 2 || !self.is_defined() {
            return None;
        }
        let draws = || self.draws.iter().copied().filter(|draw| draw.is_finite());
        let count = draws().count() as f64;
        let mean = draws().sum::<f64>() / count;
        let variance = draws().map(|draw| (draw - mean) * (draw - mean)).sum::<f64>() / count;
        Some(variance.sqrt() * self.widening())
    }

    /// Smallest true effect that a study like this one finds with a probability of 80 %: (t(0.975) + t(0.8)) standard
    /// errors with n − 1 degrees of freedom (Bloom, "Minimum Detectable Effects", Evaluation Review 19, 1995). The
    /// standard error is half the width of [`Drawn::interval`] over t(0.975), so that the two agree.
    ///
    /// `None` where there is no interval.
    pub fn detectable(&self) -> Option<f64> {
        let (lo, hi) = self.interval()?;
        let degrees = self.blocks - 1;
        Some((hi - lo) / 2.0 * (1.0 + t_quantile(POWER, degrees) / t_quantile(0.975, degrees)))
    }

    /// Two-sided p value against 0: twice the smaller one of [`Drawn::p_above`] and [`Drawn::p_below`], 1 at most.
    pub fn p_value(&self) -> Option<f64> {
        Some((2.0 * self.p_above(0.0)?.min(self.p_below(0.0)?)).min(1.0))
    }

    /// One-sided p value against 'the value is `bound` or less': small when the value is larger.
    ///
    /// Student's t of distance / standard error with n − 1 degrees of freedom (Efron and Tibshirani, 1993, section
    /// 12.2). Unlike a share of the draws it has no lower bound by their number, and so survives a correction for many
    /// tests. It is never less than the share of the draws beyond the bound, because draws over few code layouts have
    /// heavier tails than t. `None` below [`MIN_BLOCKS`] blocks, and where there is no standard error.
    pub fn p_above(&self, bound: f64) -> Option<f64> {
        self.tail(self.point - bound, |draw| draw <= bound)
    }

    /// One-sided p value against 'the value is `bound` or more': small when the value is smaller. As
    /// [`Drawn::p_above`].
    pub fn p_below(&self, bound: f64) -> Option<f64> {
        self.tail(bound - self.point, |draw| draw >= bound)
    }

    fn tail(&self, distance: f64, is_beyond: impl Fn(f64) -> bool) -> Option<f64> {
        if self.blocks < MIN_BLOCKS || distance.is_nan() {
            return None;
        }
        let error = self.standard_error()?;
        if error == 0.0 {
            // Without spread the value is known exactly.
            return Some(if distance > 0.0 { 0.0 } else { 1.0 });
        }
        let beyond = self.draws.iter().filter(|draw| is_beyond(**draw)).count() as f64 / self.draws.len() as f64;
        Some(t_above(distance / error, self.blocks - 1).max(beyond))
    }

    /// √(n / (n − 1)): the factor by which draws of n blocks are too narrow.
    pub(super) fn widening(&self) -> f64 {
        let n = self.blocks as f64;
        (n / (n - 1.0)).sqrt()
    }

    /// The finite draws, sorted; `None` when the statistic is not defined.
    fn sorted_draws(&self) -> Option<&[f64]> {
        self.is_defined().then(|| self.sorted.get_or_init(|| sorted(&self.draws)).as_slice())
    }

    /// Whether the value and at least 19 of 20 draws are finite. A statistic that is undefined more often has no
    /// interval.
    fn is_defined(&self) -> bool {
        let finite = self.draws.iter().filter(|draw| draw.is_finite()).count();
        self.point.is_finite() && finite > 0 && finite * 20 >= self.draws.len() * 19
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{TRIM, trimmed_mean};
    use crate::random::{normal, seeded, uniform};
    use crate::series::{Series, draw};

    #[test]
    fn weights_equal_repetition() {
        let series = Series::new([(0, 5.0), (1, 1.0), (2, 9.0), (3, 3.0), (4, 7.0)]);
        let repeated = sorted(&[5.0, 5.0, 9.0, 3.0, 3.0]);
        assert_eq!(series.weighted_point(|block| [2, 0, 1, 2, 0][block]), trimmed_mean(&repeated, TRIM).unwrap());
        assert!(series.weighted_point(|_| 0).is_nan());
    }

    #[test]
    fn interval_covers_what_it_says() {
        // Normal noise with one outlier in ten that is ten times as wide: what a shared machine looks like.
        let mut random = seeded(11);
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
        let mut random = seeded(5);
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

    /// A statistic whose draws are the percentiles of a normal distribution with this mean and standard deviation.
    fn ideal(mean: f64, deviation: f64, blocks: usize) -> Drawn {
        let draws = 2_000;
        let z = |i: usize| normal_quantile((i as f64 + 0.5) / draws as f64);
        Drawn::new(mean, blocks, (0..draws).map(|i| mean + deviation * z(i)).collect())
    }

    #[test]
    fn a_normal_statistic_has_the_interval_of_student() {
        // Standard error 1 · √(12/11), t(0.975, 11) = 2.201, t(0.995, 11) = 3.106.
        let drawn = ideal(5.0, 1.0, 12);
        let error = (12.0f64 / 11.0).sqrt();
        assert!((drawn.standard_error().unwrap() - error).abs() < 5e-3);
        for (confidence, t) in [(0.95, 2.201), (0.99, 3.106), (0.5, 0.697)] {
            let (lo, hi) = drawn.interval_at(confidence).unwrap();
            assert!((lo - (5.0 - t * error)).abs() < 0.03 && (hi - (5.0 + t * error)).abs() < 0.03, "{lo}..{hi}");
        }
        assert_eq!(drawn.interval(), drawn.interval_at(0.95));
        let detectable = drawn.detectable().unwrap();
        assert!((detectable - (2.201 + 0.876) * error).abs() < 0.04, "{detectable}");
    }

    #[test]
    fn far_tails_are_continued_beyond_the_draws() {
        // Six blocks at 99.9 %: t(0.9995, 5) = 6.869, farther than any of 2,000 draws.
        let (lo, hi) = ideal(0.0, 1.0, 6).interval_at(0.999).unwrap();
        let expected = 6.869 * 1.2f64.sqrt();
        assert!((hi - expected).abs() < 0.15 && (lo + expected).abs() < 0.15, "{lo}..{hi}");
    }

    #[test]
    fn p_values_are_those_of_student() {
        // R: 2 * pt(-2.5, 11) = 0.02952, pt(-2.5, 11) = 0.01476.
        let drawn = ideal(2.5, (11.0f64 / 12.0).sqrt(), 12);
        assert!((drawn.p_value().unwrap() - 0.0295).abs() < 4e-4);
        assert!((drawn.p_above(0.0).unwrap() - 0.0148).abs() < 2e-4);
        assert!((drawn.p_below(0.0).unwrap() - 0.9952).abs() < 1e-3);
        assert!((drawn.p_below(5.0).unwrap() - 0.0148).abs() < 2e-4);
        assert!((drawn.map(|v| -v).p_value().unwrap() - 0.0295).abs() < 4e-4);
        let far = drawn.map(|v| v + 1000.0).p_value().unwrap();
        assert!(far > 0.0 && far < 1e-9, "{far}");
        assert_eq!(Drawn { blocks: 5, ..drawn }.p_value(), None);
    }

    #[test]
    fn draws_beyond_the_bound_hold_the_p_value() {
        let mut draws = vec![10.0; 1000];
        draws[..30].fill(-1.0);
        let drawn = Drawn::new(10.0, 30, draws);
        assert_eq!(drawn.p_above(0.0), Some(0.03));
    }

    #[test]
    fn linear_combinations_add_up() {
        let (a, b) = (ideal(1.0, 1.0, 12), ideal(3.0, 2.0, 8));
        let missing = Drawn::new(f64::NAN, 0, vec![f64::NAN; 2_000]);
        let sum = Drawn::linear([(2.0, &a), (-1.0, &b), (0.0, &missing)]).unwrap();
        assert_eq!((sum.point, sum.blocks), (-1.0, 8));
        assert_eq!(sum.draws()[7], 2.0 * a.draws()[7] - b.draws()[7]);
        let ten = Drawn::constant(10.0, &a);
        assert_eq!((ten.point, ten.blocks, ten.p_value(), ten.interval()), (10.0, 12, Some(0.0), Some((10.0, 10.0))));
        assert_eq!(Drawn::constant(0.0, &a).p_value(), Some(1.0));
        assert_eq!(Drawn::linear([]), None);
        assert_eq!(Drawn::linear([(1.0, &a), (1.0, &Drawn::new(1.0, 12, vec![1.0]))]), None);
        assert!(Drawn::linear([(1.0, &a), (1.0, &missing)]).unwrap().interval().is_none());
    }
}
