//! Where a series of results changes its level: E-divisive means, tested against noise that remembers.
//!
//! [`search`] divides a series at the place where the two sides are farthest apart, and each side again. The distance is
//! the energy statistic of E-divisive (Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of
//! Multivariate Data", Journal of the American Statistical Association 109, 2014; used for performance by Daly, Brown, Ingo,
//! O'Leary and Bradford, "The Use of Change Point Detection to Identify Software Performance Regressions in a Continuous
//! Integration System", ICPE 2020). It assumes no distribution, so that single far points make no change.
//!
//! E-divisive tests a division by permuting the points, which calls slow drift of a machine a change: with an
//! autocorrelation of 0.3 that raised a false alarm in 17 to 25 % of series. Here the points of the null hypothesis are drawn
//! from a sieve bootstrap instead (Bühlmann, "Sieve Bootstrap for Time Series", Bernoulli 3, 1997): an autoregression of
//! order 1 with the rests of the series, whose coefficient is estimated around the levels of the series and is never taken as
//! less than [`LEAST_MEMORY`]. What that costs in power and what false alarms are left is in docs/methodology.md.

use super::distribution::t_quantile;
use super::random::{Pcg64, seeded, uniform};

/// Fewest points of a series that is searched.
pub const MIN_POINTS: usize = 12;
/// Most points that are searched; the time grows with their square.
pub const MAX_POINTS: usize = 500;
/// Fewest points on either side of a change.
pub const MIN_SEGMENT: usize = 3;
/// The autocorrelation that every series is credited with: less cannot be told from short series.
pub const LEAST_MEMORY: f64 = 0.2;
/// More is a random walk, in which every level is a change.
const MOST_MEMORY: f64 = 0.9;
/// A division with a p value of this by permutation counts as a level when autocorrelation is estimated.
const SURE: f64 = 0.01;
/// Points that an autoregression runs before its series begins.
const RUN_UP: usize = 12;
/// Draws beyond the statistic after which a p value is known well enough.
const ENOUGH: usize = 20;
/// Error of every test after the first of a series.
pub const ERROR: f64 = 0.05;

/// A series with the best first division of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// p value of the first division: of the claim that the series has no change at all.
    pub p: f64,
    /// Autocorrelation that the test assumed.
    pub memory: f64,
    /// Every change, in the order of the series, as far as each division's own p value is at most [`ERROR`]; empty when the
    /// first one is not.
    pub changes: Vec<Change>,
}

/// A change between two points.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Index of the first point after it.
    pub at: usize,
    /// Mean of the points since the change before it.
    pub before: f64,
    /// Mean of the points up to the change after it.
    pub after: f64,
    /// 95 % interval of `after − before`, given that the change is here.
    pub interval: Option<(f64, f64)>,
    /// p value of its division.
    pub p: f64,
}

/// One result of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Its value.
    pub value: f64,
    /// Standard error of the value within its own measurement; `None` where it is not known.
    pub error: Option<f64>,
}

/// Searches a series in the order of time. `draws` is the most of the null hypothesis that are made for each division: p values
/// are at least 1 / (draws + 1), so that a test of m series together needs more than 20 m.
///
/// A point of variance σ² = τ² + error² has the weight 1/σ² in every mean and distance, where τ² is what points of one level
/// differ by beyond their errors (DerSimonian and Laird, "Meta-Analysis in Clinical Trials", Controlled Clinical Trials 7,
/// 1986). A point without an error is weighed as one with the mean of the others.
///
/// `None` with fewer than [`MIN_POINTS`] or more than [`MAX_POINTS`] values, or when one is not finite or too large to be squared.
pub fn search(points: &[Point], draws: usize, seed: u64) -> Option<Searched> {
    let squares: f64 = points.iter().map(|point| point.value * point.value).sum();
    if !(MIN_POINTS..=MAX_POINTS).contains(&points.len()) || !squares.is_finite() {
        return None;
    }
    let mut random = seeded(seed);
    let (memory, weighed) = memory(points, &mut random);
    let mut found = Vec::new();
    let p = divide(&weighed, 0, &memory, draws, &mut random, &mut found);
    found.sort_by_key(|(at, _)| *at);
    let places: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
    let changes = found.iter().map(|(at, p)| change(&weighed, &places, *at, *p, memory.coefficient));
    Some(Searched { p, memory: memory.coefficient, changes: changes.collect() })
}

/// A value with its weight: 1 over its variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    pub(super) value: f64,
    pub(super) weight: f64,
}

/// Divides a part that begins at `start`, and what is left on both sides of a change; returns the p value of the part.
fn divide(
    points: &[Weighed],
    start: usize,
    memory: &Memory,
    draws: usize,
    random: &mut Pcg64,
    found: &mut Vec<(usize, f64)>,
) -> f64 {
    let Some((statistic, at)) = best(points) else { return 1.0 };
    let mut drawn = points.to_vec();
    let p = p_value(statistic, draws, || {
        memory.fill(&mut drawn, random);
        best(&drawn).map_or(0.0, |(statistic, _)| statistic)
    });
    if p <= ERROR {
        found.push((start + at, p));
        divide(&points[..at], start, memory, draws, random, found);
        divide(&points[at..], start + at, memory, draws, random, found);
    }
    p
}

/// Weights of one side of a division.
#[derive(Default, Clone, Copy)]
struct Side {
    sum: f64,
    squares: f64,
}

impl Side {
    fn of(points: &[Weighed]) -> Side {
        points.iter().fold(Side::default(), |side, point| side.with(point.weight))
    }

    fn with(self, weight: f64) -> Side {
        Side { sum: self.sum + weight, squares: self.squares + weight * weight }
    }

    fn without(self, weight: f64) -> Side {
        Side { sum: self.sum - weight, squares: self.squares - weight * weight }
    }

    /// Points of equal weight that it is worth (Kish, "Survey Sampling", 1965): all of them where weights are equal.
    fn size(self) -> f64 {
        self.sum * self.sum / self.squares
    }

    /// Σ of the products of the weights of all pairs.
    fn pairs(self) -> f64 {
        (self.sum * self.sum - self.squares) / 2.0
    }
}

/// The largest energy statistic over all divisions, in units of the mean distance of two points, and the index of the first
/// point after it. `None` when there is no division with [`MIN_SEGMENT`] points on both sides, or all points are equal.
pub(super) fn best(points: &[Weighed]) -> Option<(f64, usize)> {
    let n = points.len();
    if n < 2 * MIN_SEGMENT {
        return None;
    }
    let distances = |own: &Weighed, part: &[Weighed]| {
        own.weight * part.iter().map(|other| other.weight * (own.value - other.value).abs()).sum::<f64>()
    };
    let all: f64 = points.iter().enumerate().map(|(at, own)| distances(own, &points[at + 1..])).sum();
    if all.is_nan() || all <= 0.0 {
        return None;
    }
    let whole = Side::of(points);
    let (mut left_side, mut right_side) = (Side::default(), whole);
    let (mut between, mut within_left, mut within_right) = (0.0, 0.0, all);
    let mut best: Option<(f64, usize)> = None;
    for (at, own) in points.iter().enumerate() {
        // This point goes from the right side to the left one.
        let (left, right) = (distances(own, &points[..at]), distances(own, &points[at + 1..]));
        within_right -= right;
        within_left += left;
        between += right - left;
        (left_side, right_side) = (left_side.with(own.weight), right_side.without(own.weight));
        let count = at + 1;
        if count < MIN_SEGMENT || n - count < MIN_SEGMENT {
            continue;
        }
        let (a, b) = (left_side.size(), right_side.size());
        let apart = 2.0 * between / (left_side.sum * right_side.sum)
            - within_left / left_side.pairs()
            - within_right / right_side.pairs();
        let statistic = a * b / (a + b) * apart / (all / whole.pairs());
        if best.is_none_or(|(most, _)| statistic > most) {
            best = Some((statistic, count));
        }
    }
    best
}

/// Share of draws that reach the statistic, at most `draws` of them; fewer when enough do (Besag and Clifford, "Sequential
/// Monte Carlo p-values", Biometrika 78, 1991).
fn p_value(statistic: f64, draws: usize, mut draw: impl FnMut() -> f64) -> f64 {
    let mut reached = 0;
    for made in 1..=draws {
        reached += usize::from(draw() >= statistic);
        if reached == ENOUGH {
            return reached as f64 / made as f64;
        }
    }
    (reached + 1) as f64 / (draws + 1) as f64
}

/// Noise that remembers: an autoregression of order 1 around the levels of a series, of a standard deviation of about 1.
struct Memory {
    coefficient: f64,
    rests: Vec<f64>,
}

impl Memory {
    /// Gives points with their weights the values of the null hypothesis: no change.
    fn fill(&self, points: &mut [Weighed], random: &mut Pcg64) {
        let mut last = 0.0;
        let mut next = || {
            let rest = self.rests[(uniform(random) * self.rests.len() as f64) as usize];
            last = self.coefficient * last + rest;
            last
        };
        for _ in 0..RUN_UP {
            next();
        }
        points.iter_mut().for_each(|point| point.value = next() / point.weight.sqrt());
    }
}

/// The memory of a series, and its points with their weights.
///
/// The levels are those of divisions that are sure by permutation, and the best division in any case, so that no change is
/// taken for memory. Means of k levels lower the coefficient by about (k + 4 φ)/n, which is added again (for one mean: Kendall,
/// "Note on Bias in the Estimation of Autocorrelation", Biometrika 41, 1954).
fn memory(points: &[Point], random: &mut Pcg64) -> (Memory, Vec<Weighed>) {
    let plain: Vec<Weighed> = points.iter().map(|point| Weighed { value: point.value, weight: 1.0 }).collect();
    let weights = weights(points, &around_levels(&plain, random));
    let weighed: Vec<Weighed> = plain.iter().zip(weights).map(|(point, weight)| Weighed { weight, ..*point }).collect();
    let (rests, levels) = around_levels(&weighed, random);
    let rests: Vec<f64> = rests.iter().zip(&weighed).map(|(rest, point)| rest * point.weight.sqrt()).collect();
    let squares: f64 = rests.iter().map(|rest| rest * rest).sum();
    let raw = rests.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / squares;
    // Without any noise there is nothing to remember.
    let raw = if raw.is_finite() { raw } else { 0.0 };
    let bias = (levels as f64 + 4.0 * raw) / points.len() as f64;
    let taken_out = raw.clamp(0.0, MOST_MEMORY);
    let mut left: Vec<f64> = rests.windows(2).map(|pair| pair[1] - taken_out * pair[0]).collect();
    let middle = left.iter().sum::<f64>() / left.len() as f64;
    left.iter_mut().for_each(|value| *value -= middle);
    (Memory { coefficient: (raw + bias).clamp(LEAST_MEMORY, MOST_MEMORY), rests: left }, weighed)
}

/// How far each point is from its level, and the number of levels.
fn around_levels(points: &[Weighed], random: &mut Pcg64) -> (Vec<f64>, usize) {
    let mut places = Vec::new();
    levels(points, 0, random, &mut places);
    places.extend(best(points).map(|(_, at)| at));
    places.sort_unstable();
    places.dedup();
    let mut rests = Vec::with_capacity(points.len());
    let mut start = 0;
    for end in places.iter().copied().chain([points.len()]) {
        let level = mean(&points[start..end]);
        rests.extend(points[start..end].iter().map(|point| point.value - level));
        start = end;
    }
    (rests, places.len() + 1)
}

/// 1 / (τ² + error²) of every point, in units in which their mean is 1; all are 1 where no error is known.
fn weights(points: &[Point], (rests, levels): &(Vec<f64>, usize)) -> Vec<f64> {
    let known: Vec<f64> = points.iter().filter_map(|point| point.error.filter(|error| error.is_finite())).collect();
    let usual = known.iter().map(|error| error * error).sum::<f64>() / known.len().max(1) as f64;
    let of = |point: &Point| point.error.filter(|error| error.is_finite()).map_or(usual, |error| error * error);
    let degrees = points.len().saturating_sub(*levels).max(1) as f64;
    let all = rests.iter().map(|rest| rest * rest).sum::<f64>() / degrees;
    let between = (all - points.iter().map(of).sum::<f64>() / points.len() as f64).max(0.0);
    let variances: Vec<f64> = points.iter().map(|point| between + of(point)).collect();
    let middle = variances.iter().sum::<f64>() / variances.len() as f64;
    let is_known = !known.is_empty() && variances.iter().all(|variance| *variance > 0.0);
    if is_known { variances.iter().map(|variance| middle / variance).collect() } else { vec![1.0; points.len()] }
}

/// Divisions that are sure by permutation.
fn levels(points: &[Weighed], start: usize, random: &mut Pcg64, places: &mut Vec<usize>) {
    let Some((statistic, at)) = best(points) else { return };
    let mut permuted = points.to_vec();
    let draws = (2.0 / SURE) as usize;
    let p = p_value(statistic, draws, || {
        for at in (1..permuted.len()).rev() {
            permuted.swap(at, (uniform(random) * (at + 1) as f64) as usize);
        }
        best(&permuted).map_or(0.0, |(statistic, _)| statistic)
    });
    if p <= SURE {
        places.push(start + at);
        levels(&points[..at], start, random, places);
        levels(&points[at..], start + at, random, places);
    }
}

/// A change with its size: Welch's interval of two means ("The Generalization of Student's Problem", Biometrika 34, 1947),
/// each of as many independent points as its points are worth, n (1 − φ)/(1 + φ).
fn change(points: &[Weighed], places: &[usize], at: usize, p: f64, memory: f64) -> Change {
    let start = places.iter().copied().filter(|place| *place < at).max().unwrap_or(0);
    let end = places.iter().copied().filter(|place| *place > at).min().unwrap_or(points.len());
    let (left, right) = (&points[start..at], &points[at..end]);
    let (before, after) = (mean(left), mean(right));
    let worth = (1.0 - memory) / (1.0 + memory);
    let of = |part: &[Weighed], mean: f64| {
        let side = Side::of(part);
        let squares: f64 = part.iter().map(|point| point.weight * (point.value - mean).powi(2)).sum();
        let n = side.size();
        (squares / side.sum / (n - 1.0) / worth, (n * worth - 1.0).max(1.0))
    };
    let ((one, one_degrees), (other, other_degrees)) = (of(left, before), of(right, after));
    let variance = one + other;
    let degrees = variance.powi(2) / (one.powi(2) / one_degrees + other.powi(2) / other_degrees);
    let degrees = if degrees.is_finite() { degrees.floor().max(1.0) as usize } else { 1 };
    let half = t_quantile(0.975, degrees) * variance.sqrt();
    let interval = half.is_finite().then_some((after - before - half, after - before + half));
    Change { at, before, after, interval, p }
}

fn mean(points: &[Weighed]) -> f64 {
    points.iter().map(|point| point.weight * point.value).sum::<f64>() / Side::of(points).sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    fn places(values: &[f64]) -> Vec<usize> {
        search(&plain(values), 499, 1).expect("is searched").changes.iter().map(|change| change.at).collect()
    }

    /// Points of which no error is known.
    fn plain(values: &[f64]) -> Vec<Point> {
        values.iter().map(|value| Point { value: *value, error: None }).collect()
    }

    /// Levels of ten points each with a noise of 1.
    fn series(levels: &[f64], seed: u64) -> Vec<f64> {
        let mut random = seeded(seed);
        levels.iter().flat_map(|level| [*level; 10]).map(|level| level + normal(&mut random)).collect()
    }

    #[test]
    fn steps_are_found_where_they_are() {
        assert_eq!(places(&series(&[100.0, 100.0, 110.0, 110.0], 3)), [20]);
        let found = places(&series(&[100.0, 100.0, 112.0, 112.0, 100.0, 100.0], 4));
        assert_eq!(found, [20, 40], "there and back");
        assert!(places(&series(&[100.0; 4], 5)).is_empty());
        assert!(places(&[5.0; 20]).is_empty(), "equal values have no change");
        // Without any noise the step is as sure as draws can tell.
        let exact: Vec<f64> = (0..20).map(|at| if at < 12 { 3.0 } else { 4.0 }).collect();
        assert_eq!(places(&exact), [12]);
    }

    #[test]
    fn a_single_far_point_is_no_change() {
        let mut values = series(&[100.0; 3], 6);
        (values[15], values[29]) = (200.0, 30.0);
        assert!(places(&values).is_empty());
    }

    #[test]
    fn the_size_of_a_change_has_an_interval() {
        let found = search(&plain(&series(&[100.0, 100.0, 110.0, 110.0], 3)), 499, 1).expect("is searched");
        let change = &found.changes[0];
        let (low, high) = change.interval.expect("has one");
        assert!(low < 10.0 && high > 10.0 && high - low < 3.0, "{change:?}");
        assert!((change.before - 100.0).abs() < 1.0 && (change.after - 110.0).abs() < 1.0, "{change:?}");
        assert!(change.p <= 0.01 && found.p == change.p, "{found:?}");
        assert!((LEAST_MEMORY..0.6).contains(&found.memory), "{found:?}");
    }

    #[test]
    fn short_and_endless_series_and_missing_values_are_not_searched() {
        assert!(search(&plain(&[1.0; MIN_POINTS - 1]), 99, 1).is_none());
        assert!(search(&plain(&[1.0; MAX_POINTS + 1]), 99, 1).is_none());
        let mut values = vec![1.0; 20];
        for bad in [f64::NAN, f64::INFINITY, 1e308] {
            values[3] = bad;
            assert!(search(&plain(&values), 99, 1).is_none());
        }
        let again = || search(&plain(&series(&[1.0, 5.0], 1)), 199, 7);
        assert_eq!(again(), again());
    }

    #[test]
    fn the_statistic_is_that_of_energy() {
        // Two sides of three: between |0 − 1| = 1, within 0. 3 · 3 / 6 · 2 = 3, by the mean distance 9/15.
        let weighed = |values: &[f64]| -> Vec<Weighed> {
            values.iter().map(|value| Weighed { value: *value, weight: 1.0 }).collect()
        };
        let (statistic, at) = best(&weighed(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0])).expect("has a division");
        assert!((statistic - 5.0).abs() < 1e-12 && at == 3, "{statistic} {at}");
        assert_eq!(best(&weighed(&[1.0, 2.0, 3.0, 4.0, 5.0])), None);
    }

    #[test]
    fn weights_follow_the_errors_where_these_matter() {
        let points = |error: f64| -> Vec<Point> {
            let each = |(at, value): (usize, &f64)| Point {
                value: *value,
                error: Some(if at < 2 { 3.0 * error } else { error }),
            };
            [1.0, -1.0, 1.0, -1.0].iter().enumerate().map(each).collect()
        };
        let rests = (vec![1.0, -1.0, 1.0, -1.0], 1);
        // Errors far below the spread of 4/3 change nothing; errors that are all of it count as their squares.
        let even = weights(&points(1e-6), &rests);
        assert!(even.iter().all(|weight| (weight - 1.0).abs() < 1e-6), "{even:?}");
        let uneven = weights(&points(10.0), &rests);
        assert!((uneven[2] / uneven[0] - 9.0).abs() < 1e-9, "{uneven:?}");
        assert_eq!(weights(&plain(&[1.0, 2.0]), &(vec![0.1, 0.2], 1)), [1.0, 1.0]);
    }
}
