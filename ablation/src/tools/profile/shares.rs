//! From stacks to shares of functions, with intervals. Pure functions.

use crate::config::Function;
use std::collections::{BTreeMap, BTreeSet};

/// Samples, or instructions, by stack: the outermost frame first, `;` between.
pub(super) type Stacks = BTreeMap<String, u64>;

/// Ends of an interval, as shares of 1.
pub(super) type Interval = (f64, f64);

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_964;

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) part: u64,
    pub(super) whole: u64,
}

impl Share {
    /// The share; `None` when the whole is 0.
    pub(super) fn value(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
    }

    /// 95 % interval of a binomial proportion (Wilson, "Probable Inference, the Law of Succession, and Statistical
    /// Inference", Journal of the American Statistical Association 22, 1927); `None` of nothing.
    pub(super) fn interval(self) -> Option<Interval> {
        let (p, n) = (self.value()?, self.whole as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(((middle - half).max(0.0), (middle + half).min(1.0)))
    }
}

/// 95 % interval of the difference of two independent shares (Newcombe, "Interval Estimation for the Difference between
/// Independent Proportions", Statistics in Medicine 17, 1998, method 10).
pub(super) fn difference(one: Share, other: Share) -> Option<Interval> {
    let ((p, (l1, u1)), (q, (l2, u2))) = ((one.value()?, one.interval()?), (other.value()?, other.interval()?));
    let below = ((p - l1).powi(2) + (u2 - q).powi(2)).sqrt();
    let above = ((u1 - p).powi(2) + (q - l2).powi(2)).sqrt();
    Some((p - q - below, p - q + above))
}

fn is_in(function: &Function, frame: &str) -> bool {
    function.patterns.iter().any(|pattern| frame.contains(pattern.as_str()))
}

/// For each function, the weight of the stacks that contain it. Last, the weight of those that contain none.
pub(super) fn inclusive(functions: &[Function], stacks: &Stacks) -> Vec<Share> {
    let mut parts = vec![0; functions.len() + 1];
    for (stack, n) in stacks {
        let mut elsewhere = true;
        for (part, function) in parts.iter_mut().zip(functions) {
            if stack.split(';').any(|frame| is_in(function, frame)) {
                *part += n;
                elsewhere = false;
            }
        }
        parts[functions.len()] += if elsewhere { *n } else { 0 };
    }
    shares(parts, stacks)
}

/// For each function, the weight of the stacks in which it is the innermost named one (the first in the config, where
/// one frame matches two). Last, the weight of those without any. These add up to the whole.
pub(super) fn innermost(functions: &[Function], stacks: &Stacks) -> Vec<Share> {
    let mut parts = vec![0; functions.len() + 1];
    for (stack, n) in stacks {
        let of = |frame: &str| functions.iter().position(|function| is_in(function, frame));
        parts[stack.rsplit(';').find_map(of).unwrap_or(functions.len())] += n;
    }
    shares(parts, stacks)
}

fn shares(parts: Vec<u64>, stacks: &Stacks) -> Vec<Share> {
    let whole = stacks.values().sum();
    parts.into_iter().map(|part| Share { part, whole }).collect()
}

/// The innermost frames with the largest share in either cell, with both shares.
pub(super) fn heaviest(one: &Stacks, other: &Stacks, most: usize) -> Vec<(String, [Share; 2])> {
    let frames = |stacks: &Stacks| -> BTreeMap<String, u64> {
        let mut frames = BTreeMap::new();
        for (stack, n) in stacks {
            *frames.entry(stack.rsplit(';').next().unwrap_or_default().to_owned()).or_insert(0) += n;
        }
        frames
    };
    let both = [frames(one), frames(other)];
    let wholes = [one.values().sum(), other.values().sum()];
    let names: BTreeSet<&String> = both.iter().flat_map(BTreeMap::keys).collect();
    let share = |at: usize, name: &String| Share { part: both[at].get(name).copied().unwrap_or(0), whole: wholes[at] };
    let mut rows: Vec<(String, [Share; 2])> =
        names.into_iter().map(|name| (name.clone(), [share(0, name), share(1, name)])).collect();
    let size = |shares: &[Share; 2]| shares.iter().filter_map(|share| share.value()).fold(0.0, f64::max);
    rows.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)));
    rows.truncate(most);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, patterns: &[&str]) -> Function {
        Function { name: name.to_owned(), patterns: patterns.iter().map(|text| (*text).to_owned()).collect() }
    }

    fn stacks(list: &[(&str, u64)]) -> Stacks {
        list.iter().map(|(stack, n)| ((*stack).to_owned(), *n)).collect()
    }

    fn parts(shares: &[Share]) -> Vec<u64> {
        shares.iter().map(|share| share.part).collect()
    }

    #[test]
    fn functions_count_with_their_callees_or_where_they_are_innermost() {
        let functions = [function("entry", &["a::alloc"]), function("cache", &["cache::get", "cache::put"])];
        let stacks = stacks(&[
            ("main;a::alloc", 4),
            ("main;a::alloc;cache::get<T>;memcpy", 3),
            ("main;cache::put;a::alloc", 2),
            ("main;other", 1),
        ]);
        assert_eq!(parts(&inclusive(&functions, &stacks)), [9, 5, 1]);
        assert_eq!(parts(&innermost(&functions, &stacks)), [6, 3, 1]);
        assert_eq!(innermost(&functions, &stacks)[0].whole, 10);
    }

    #[test]
    fn the_heaviest_frames_of_either_are_found() {
        let rows = heaviest(&stacks(&[("a;x", 1), ("b;x", 2), ("y", 1)]), &stacks(&[("z", 9), ("x", 1)]), 2);
        let rows: Vec<_> = rows.iter().map(|(name, shares)| (name.as_str(), parts(shares))).collect();
        assert_eq!(rows, [("z", vec![0, 9]), ("x", vec![3, 1])]);
    }

    #[test]
    fn intervals_match_published_values() {
        let close = |ends: Option<Interval>, low: f64, high: f64| {
            let (l, h) = ends.expect("there is one");
            assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "[{l}, {h}]");
        };
        // Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
        close(Share { part: 81, whole: 263 }.interval(), 0.2553, 0.3662);
        close(Share { part: 0, whole: 20 }.interval(), 0.0, 0.1611);
        // Newcombe, "Interval estimation for the difference", 1998, table II, method 10: (a) and (c).
        close(difference(Share { part: 56, whole: 70 }, Share { part: 48, whole: 80 }), 0.0524, 0.3339);
        close(difference(Share { part: 6, whole: 7 }, Share { part: 2, whole: 7 }), 0.0582, 0.8062);
        let nothing = Share { part: 0, whole: 0 };
        assert_eq!((nothing.interval(), difference(nothing, nothing)), (None, None));
    }
}
