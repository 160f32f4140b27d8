//! How often changes are found that are there, and that are not: the search of [`super::change_points`], and what it was chosen
//! before. Small among the other tests; large by `just coverage`.

use super::change_points::{ERROR, MIN_SEGMENT, Point, Weighed, best, search};
use super::order::median;
use super::random::{Pcg64, chi_square, normal, seeded, uniform};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    Normal,
    /// Student's t with 3 degrees of freedom.
    Heavy,
    /// One point in ten is five times as far out.
    Outliers,
    /// Normal, with this autocorrelation.
    Remembers(f64),
    /// Normal; three points in ten have errors three times as large, and all say theirs.
    Uneven,
}

/// Noise of a standard deviation of 1, of outliers beside them, and a step of so many of these.
fn simulated(noise: Noise, points: usize, step: f64, at: usize, random: &mut Pcg64) -> Vec<Point> {
    let mut last = normal(random);
    let point = |index: usize| {
        let mut error = None;
        let own = match noise {
            Noise::Normal => normal(random),
            Noise::Heavy => normal(random) / (chi_square(random, 3) / 3.0).sqrt() / 3.0_f64.sqrt(),
            Noise::Outliers => normal(random) * if uniform(random) < 0.1 { 5.0 } else { 1.0 },
            Noise::Remembers(memory) => {
                last = memory * last + (1.0 - memory * memory).sqrt() * normal(random);
                last
            }
            Noise::Uneven => {
                let size = if uniform(random) < 0.3 { 3.0 } else { 1.0 };
                error = Some(size * 0.75_f64.sqrt());
                normal(random) * (0.25 + 0.75 * size * size).sqrt()
            }
        };
        Point { value: own + if index >= at { step } else { 0.0 }, error }
    };
    (0..points).map(point).collect()
}

/// Percent of series in which a change is found.
fn found(noise: Noise, points: usize, step: f64, place: f64, times: u64) -> f64 {
    let mut random = seeded(points as u64);
    let count = (0..times).filter(|seed| {
        let series = simulated(noise, points, step, (points as f64 * place) as usize, &mut random);
        search(&series, 199, *seed).is_some_and(|searched| searched.p <= ERROR)
    });
    100.0 * count.count() as f64 / times as f64
}

#[test]
fn without_a_change_few_series_have_one() {
    for noise in [Noise::Normal, Noise::Heavy, Noise::Remembers(0.2)] {
        let share = found(noise, 20, 0.0, 0.5, 100);
        assert!(share <= 11.0, "{noise:?}: {share}");
    }
    assert!(found(Noise::Normal, 20, 3.0, 0.5, 40) >= 85.0);
}

#[test]
#[ignore = "simulates 100,000 series; `just coverage` runs it"]
fn coverage_of_change_points() {
    let noises = [
        Noise::Normal,
        Noise::Heavy,
        Noise::Outliers,
        Noise::Uneven,
        Noise::Remembers(0.2),
        Noise::Remembers(0.3),
        Noise::Remembers(0.5),
    ];
    let sizes = [(0.0, 0.5), (1.0, 0.5), (2.0, 0.5), (2.0, 0.85), (3.0, 0.85)];
    println!("noise, points: found without a change, and a step of 1, 2 SD in the middle, of 2, 3 SD at 85 %");
    for noise in noises {
        for points in [12, 20, 30, 50, 100] {
            let times = if points > 50 { 400 } else { 1_000 };
            let shares = sizes.map(|(step, place)| found(noise, points, step, place, times));
            println!("{noise:?}, {points}: {shares:?}");
            let most = match noise {
                Noise::Remembers(memory) if memory > 0.3 => 25.0,
                Noise::Remembers(memory) if memory > 0.2 => 10.0,
                Noise::Remembers(_) => 8.5,
                _ => 5.5,
            };
            assert!(shares[0] <= most, "{noise:?} {points}: {shares:?}");
        }
    }
}

/// The methods that were tried beside the search.
#[derive(Debug, Clone, Copy)]
enum Rival {
    /// E-divisive with permutations, as published.
    Permuted,
    /// The largest two-sample t of means over all divisions, with permutations.
    Means,
    /// The same of ranks.
    Ranks,
    /// PELT for normal means with this many log n as the penalty of a change: the same optimum by its plain recursion.
    Penalty(f64),
}

const RIVALS: [Rival; 5] = [Rival::Permuted, Rival::Means, Rival::Ranks, Rival::Penalty(2.0), Rival::Penalty(3.0)];

impl Rival {
    fn finds(self, values: &[f64], random: &mut Pcg64) -> bool {
        match self {
            Rival::Permuted => permuted(values, energy, random),
            Rival::Means => permuted(values, largest_t, random),
            Rival::Ranks => permuted(&ranks(values), largest_t, random),
            Rival::Penalty(times) => has_segments(values, times),
        }
    }
}

/// Whether at most one in twenty of 199 permutations reaches the statistic.
fn permuted(values: &[f64], statistic: fn(&[f64]) -> f64, random: &mut Pcg64) -> bool {
    let observed = statistic(values);
    let mut shuffled = values.to_vec();
    let reached = (0..199).filter(|_| {
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, (uniform(random) * (at + 1) as f64) as usize);
        }
        statistic(&shuffled) >= observed
    });
    reached.count() < 10
}

fn divisions(values: &[f64]) -> impl Iterator<Item = (&[f64], &[f64])> {
    (MIN_SEGMENT..=values.len() - MIN_SEGMENT).map(|at| values.split_at(at))
}

/// The energy statistic over the mean distance, which no permutation changes.
fn energy(values: &[f64]) -> f64 {
    let points: Vec<Weighed> = values.iter().map(|value| Weighed { value: *value, weight: 1.0 }).collect();
    best(&points).map_or(0.0, |(statistic, _)| statistic)
}

fn largest_t(values: &[f64]) -> f64 {
    let of = |(a, b): (&[f64], &[f64])| {
        let (n, m) = (a.len() as f64, b.len() as f64);
        (a.iter().sum::<f64>() / n - b.iter().sum::<f64>() / m).abs() * (n * m / (n + m)).sqrt()
    };
    divisions(values).map(of).fold(0.0, f64::max)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| values.iter().filter(|other| *other < value).count() as f64).collect()
}

/// Whether several levels cost less than one: squares in units of a variance from the differences of neighbours, and the
/// penalty for each change.
fn has_segments(values: &[f64], times: f64) -> bool {
    let steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let variance = (median(&steps).unwrap_or(1.0) * 1.4826).powi(2) / 2.0;
    let n = values.len();
    let penalty = times * (n as f64).ln();
    let cost = |part: &[f64]| {
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        part.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / variance
    };
    // Least cost of the first points, and the number of levels in it.
    let mut best = vec![(f64::INFINITY, 0_usize); n + 1];
    best[0] = (-penalty, 0);
    for end in MIN_SEGMENT..=n {
        for start in (0..=end - MIN_SEGMENT).filter(|start| *start == 0 || *start >= MIN_SEGMENT) {
            let (before, levels) = best[start];
            let all = before + penalty + cost(&values[start..end]);
            if all < best[end].0 {
                best[end] = (all, levels + 1);
            }
        }
    }
    best[n].1 > 1
}

#[test]
#[ignore = "simulates 50,000 series; `just coverage` runs it"]
fn coverage_of_what_was_tried() {
    println!("noise, points, {RIVALS:?}: found without a change, a step of 2 SD in the middle, of 3 SD at 85 %");
    for noise in [Noise::Normal, Noise::Heavy, Noise::Outliers, Noise::Remembers(0.3), Noise::Remembers(0.5)] {
        for points in [20, 50] {
            let shares = [(0.0, 0.5), (2.0, 0.5), (3.0, 0.85)].map(|(step, place)| {
                let mut random = seeded(points as u64);
                let mut found = [0; RIVALS.len()];
                for _ in 0..400 {
                    let at = (points as f64 * place) as usize;
                    let series = simulated(noise, points, step, at, &mut random);
                    let values: Vec<f64> = series.iter().map(|point| point.value).collect();
                    for (found, rival) in found.iter_mut().zip(RIVALS) {
                        *found += u32::from(rival.finds(&values, &mut random));
                    }
                }
                found.map(|count| f64::from(count) / 4.0)
            });
            println!("{noise:?}, {points}: {shares:?}");
            // Why the search is none of these: memory for permutations, heavy tails for a penalty.
            if noise == Noise::Remembers(0.3) {
                assert!(shares[0][..3].iter().all(|share| *share > 10.0), "{shares:?}");
            }
            if noise == Noise::Heavy {
                assert!(shares[0][4] > 10.0, "{shares:?}");
            }
        }
    }
}
