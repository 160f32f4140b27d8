//! Code layouts: the order in which the linker puts a build's sections is one of many.
//!
//! The difference of two builds in block b is δ + u(l) + e(b): the effect, what layout l of both builds adds, and the
//! noise of the block. Over N blocks and L layouts its mean has the variance τ²/L + σ²/N. With one layout for each block
//! (L = N) that is the variance which a bootstrap of blocks sees, and nothing has to be added.

use super::bootstrap::Drawn;
use super::random::{chi_square, normal, seeded};
use std::collections::BTreeMap;

/// The sizes of both variances, from the differences of two builds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Components {
    /// Blocks with a difference, N.
    pub blocks: usize,
    /// Layouts among them, L.
    pub layouts: usize,
    /// Standard deviation between layouts, τ, in the unit of the values; 0 where layouts differ by no more than blocks
    /// of one layout do. `None` without a layout that has two blocks, or with one layout only.
    pub between: Option<f64>,
    /// Standard deviation between blocks of one layout, σ. `None` as above.
    pub within: Option<f64>,
    /// Sums of squares between and within layouts.
    squares: (f64, f64),
    /// Blocks per layout as far as the variance between them counts: n₀ of the unbalanced one-way model.
    size: f64,
    /// Σ (n / N)²: the share of τ² in the variance of the mean, 1/L when all layouts have the same number of blocks.
    share: f64,
}

impl Components {
    /// Sorts differences by layout: (layout, difference) of every block. `None` without differences.
    ///
    /// The variances are those of the one-way random model (Searle, Casella and McCulloch, "Variance Components", 1992,
    /// section 3.6, for unequal numbers).
    pub fn of(differences: &[(u32, f64)]) -> Option<Components> {
        let mut by_layout: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for (layout, value) in differences {
            let sum = by_layout.entry(*layout).or_default();
            *sum = (sum.0 + 1.0, sum.1 + value);
        }
        let (blocks, layouts) = (differences.len(), by_layout.len());
        if blocks == 0 {
            return None;
        }
        let n = blocks as f64;
        let mean = differences.iter().map(|(_, value)| value).sum::<f64>() / n;
        let of = |layout: &u32| by_layout[layout].1 / by_layout[layout].0;
        let between: f64 = by_layout.values().map(|(count, sum)| count * (sum / count - mean).powi(2)).sum();
        let within: f64 = differences.iter().map(|(layout, value)| (value - of(layout)).powi(2)).sum();
        let of_squares = by_layout.values().map(|(count, _)| count * count).sum::<f64>() / n;
        let mut all = Components {
            blocks,
            layouts,
            between: None,
            within: None,
            squares: (between, within),
            size: (n - of_squares) / (layouts.max(2) - 1) as f64,
            share: of_squares / n,
        };
        if layouts > 1 && blocks > layouts {
            let rest = within / (blocks - layouts) as f64;
            all.within = Some(rest.sqrt());
            all.between = Some(((between / (layouts - 1) as f64 - rest) / all.size).max(0.0).sqrt());
        }
        Some(all)
    }
}

/// A difference of two builds, whose draws come from resampled blocks, with the variance between layouts in its draws.
///
/// A bootstrap of blocks has (τ² + σ²)/N of the variance τ²/L + σ²/N. Every draw is moved by the rest: by
/// Z · √(T · (1/L − 1/N)), where Z is normal and T = max(0, (SSB/χ²(L − 1) − SSW/χ²(N − L)) / n₀) is a draw of τ² from
/// its generalised distribution (Weerahandi, "Generalized Confidence Intervals", Journal of the American Statistical
/// Association 88, 1993). Where few layouts differ by far more than their blocks this is Student's t with L − 1 degrees
/// of freedom; with one layout a block, and where layouts do not differ, the draws stay as they are.
///
/// One layout says nothing about others, and is returned as it is: its interval holds for these binaries only.
pub fn over_layouts(difference: Drawn, parts: &Components, seed: u64) -> Drawn {
    let more = parts.share - 1.0 / parts.blocks.max(1) as f64;
    if parts.layouts < 2 || parts.blocks <= parts.layouts || more <= 0.0 {
        return difference;
    }
    let widening = difference.widening();
    let mut random = seeded(seed);
    let draws = difference.draws().iter().map(|draw| {
        let between = parts.squares.0 / chi_square(&mut random, parts.layouts - 1);
        let within = parts.squares.1 / chi_square(&mut random, parts.blocks - parts.layouts);
        let tau_squared = ((between - within) / parts.size).max(0.0);
        draw + normal(&mut random) * (tau_squared * more).sqrt() / widening
    });
    let draws = draws.collect();
    Drawn::new(difference.point, difference.blocks, draws)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::t_quantile;
    use crate::table::Tables;

    /// N blocks, of which b runs layout b mod L: differences of these layouts with a noise of this deviation.
    fn differences(layouts: &[f64], blocks: usize, noise: f64, seed: u64) -> Vec<(u32, f64)> {
        let mut random = seeded(seed);
        let count = layouts.len();
        (0..blocks).map(|b| ((b % count) as u32, layouts[b % count] + noise * normal(&mut random))).collect()
    }

    fn drawn(values: &[(u32, f64)], draws: usize) -> Drawn {
        let cells = vec![
            values.iter().enumerate().map(|(b, (_, value))| (b, 100.0 + value)).collect::<Vec<_>>(),
            (0..values.len()).map(|b| (b, 100.0)).collect(),
        ];
        let table = Tables::new(values.len(), draws, 3).table(&cells);
        table[0].combine(&table[1], |a, b| a - b)
    }

    #[test]
    fn components_are_those_of_the_analysis_of_variance() {
        // By hand: layouts 1, 2 | 5, 7 | 3 with means 1.5, 6, 3 about 3.6.
        let values = [(0, 1.0), (0, 2.0), (1, 5.0), (1, 7.0), (2, 3.0)];
        let parts = Components::of(&values).unwrap();
        let (between, within) = (2.0 * 2.1f64.powi(2) + 2.0 * 2.4f64.powi(2) + 0.6f64.powi(2), 2.5_f64);
        let size = (5.0 - 9.0 / 5.0) / 2.0;
        assert_eq!((parts.blocks, parts.layouts), (5, 3));
        assert!((parts.within.unwrap() - (within / 2.0).sqrt()).abs() < 1e-12);
        let tau = ((between / 2.0 - within / 2.0) / size).sqrt();
        assert!((parts.between.unwrap() - tau).abs() < 1e-12, "{parts:?}");
        assert_eq!(Components::of(&[]), None);
        let alone = Components::of(&[(0, 1.0), (1, 2.0)]).unwrap();
        assert_eq!((alone.between, alone.within), (None, None));
    }

    #[test]
    fn few_and_far_layouts_have_the_interval_of_student() {
        // Values −2, 0, 2: standard deviation 2, standard error 2/√3, t(0.975, 2) = 4.303.
        let values = differences(&[-2.0, 0.0, 2.0], 300, 1e-3, 1);
        let parts = Components::of(&values).unwrap();
        assert!((parts.between.unwrap() - 2.0).abs() < 0.01, "{parts:?}");
        let (lo, hi) = over_layouts(drawn(&values, 4_000), &parts, 5).interval().unwrap();
        let half = t_quantile(0.975, 2) * 2.0 / 3f64.sqrt();
        assert!(((hi - lo) / 2.0 / half - 1.0).abs() < 0.15, "{lo}..{hi}, {half}");
    }

    #[test]
    fn equal_layouts_and_one_for_each_block_stay_as_they_are() {
        let values = differences(&[0.0; 10], 120, 1.0, 2);
        let plain = drawn(&values, 2_000);
        let over = over_layouts(plain.clone(), &Components::of(&values).unwrap(), 5);
        let half = |drawn: &Drawn| drawn.interval().map(|(lo, hi)| (hi - lo) / 2.0).unwrap();
        assert!((1.0..1.25).contains(&(half(&over) / half(&plain))), "{} {}", half(&over), half(&plain));
        for layouts in [vec![0.0; 1], (0..30).map(f64::from).collect()] {
            let values = differences(&layouts, 30, 1.0, 3);
            let plain = drawn(&values, 200);
            assert_eq!(over_layouts(plain.clone(), &Components::of(&values).unwrap(), 5), plain);
        }
    }
}
