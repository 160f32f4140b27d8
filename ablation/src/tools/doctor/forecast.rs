//! The smallest effect that this machine can show in a given time, from the differences of equal processes.

use super::costs::start;
use super::trial::Trial;
use crate::run::Cpus;
use crate::tools::cells::CellsError;
use ablate_stats::distribution::t_quantile;
use std::time::{Duration, Instant};

/// Timed batches of a process: some milliseconds, like a short workload.
const BATCHES: u32 = 100;

/// Share of the values that is left out at each end.
const TRIM: f64 = 0.2;

/// Fewest pairs for a prediction.
const LEAST: usize = 6;

/// How much equal processes differ.
pub(super) struct Spread {
    /// Winsorised standard deviation of the differences within a pair, as a share of the time of an operation.
    deviation: f64,
    /// Number of pairs.
    pub(super) pairs: usize,
    /// Time of one process, with everything around it.
    pub(super) process_ms: f64,
    /// Mean of their values, nanoseconds per operation.
    pub(super) operation_ns: f64,
}

impl Spread {
    /// Runs pairs of equal processes until the time is over.
    pub(super) fn measure(cpus: &Cpus, time: Duration) -> Result<Spread, CellsError> {
        let started = Instant::now();
        let mut values = Vec::new();
        while started.elapsed() < time || values.len() < 2 * LEAST {
            let finished = start(cpus, &Trial { calls: 0, batches: BATCHES }, None)?;
            let said = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
            values.push(said.parse::<f64>().map_err(|e| CellsError::Impossible {
                what: format!(
                    "a trial of ablate itself printed `{said}`: {e}; run `cargo ablate trial --batches 9` by hand"
                ),
            })?);
        }
        let process_ms = started.elapsed().as_secs_f64() * 1e3 / values.len() as f64;
        Ok(Spread::of(&values, process_ms))
    }

    /// From the values of processes in their order; every two are a pair.
    fn of(values: &[f64], process_ms: f64) -> Spread {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let differences: Vec<f64> = values.chunks_exact(2).map(|pair| (pair[1] - pair[0]) / mean).collect();
        Spread { deviation: winsorised(&differences), pairs: differences.len(), process_ms, operation_ns: mean }
    }

    /// Blocks of two cells that fit into so many seconds, and the smallest effect that they would find four times in
    /// five, as a share of the time of an operation; `None` for too few blocks.
    ///
    /// The standard error of a trimmed mean is s / ((1 − 2γ)√n) with the winsorised deviation s, on n − 2γn − 1 degrees of
    /// freedom (Tukey and McLaughlin, Sankhyā A 25, 1963); the smallest effect is t(0.975) + t(0.8) of these (Bloom,
    /// Evaluation Review 19, 1995).
    pub(super) fn forecast(&self, seconds: f64) -> (usize, Option<f64>) {
        let blocks = (seconds * 1e3 / (2.0 * self.process_ms)) as usize;
        if blocks < LEAST {
            return (blocks, None);
        }
        let cut = (TRIM * blocks as f64).floor() as usize;
        let degrees = blocks - 2 * cut - 1;
        let error = self.deviation / ((1.0 - 2.0 * TRIM) * (blocks as f64).sqrt());
        (blocks, Some((t_quantile(0.975, degrees) + t_quantile(0.8, degrees)) * error))
    }
}

/// Standard deviation after the 20 % at each end are set to the nearest value that is not among them.
fn winsorised(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = (TRIM * sorted.len() as f64).floor() as usize;
    let (low, high) = (sorted[cut], sorted[sorted.len() - 1 - cut]);
    let held: Vec<f64> = sorted.iter().map(|value| value.clamp(low, high)).collect();
    let mean = held.iter().sum::<f64>() / held.len() as f64;
    (held.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (held.len() as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_winsorised_deviation_does_not_see_outliers() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        // Held between 3 and 8: 3 3 3 4 5 6 7 8 8 8, variance 42.5 / 9.
        assert!((winsorised(&values) - (42.5_f64 / 9.0).sqrt()).abs() < 1e-12);
        let mut wild = values;
        wild[9] = 1e9;
        assert_eq!(winsorised(&wild), winsorised(&values));
    }

    #[test]
    fn more_time_shows_smaller_effects_by_the_root() {
        let values: Vec<f64> = (0..200).map(|i| 10.0 + f64::from(i * 7919 % 101) / 1000.0).collect();
        let spread = Spread::of(&values, 10.0);
        assert_eq!(spread.pairs, 100);
        let (few, wide) = spread.forecast(10.0);
        let (many, narrow) = spread.forecast(40.0);
        assert_eq!((few, many), (500, 2000));
        let ratio = wide.expect("enough") / narrow.expect("enough");
        assert!((ratio - 2.0).abs() < 0.01, "{ratio}");
        assert_eq!(spread.forecast(0.1), (5, None));
    }

    /// Differences of a normal distribution: the prediction is that of the textbook, with the trimmed mean's efficiency.
    #[test]
    fn the_prediction_has_the_right_size() {
        use rand_core::{Rng, SeedableRng};
        let mut random = rand_pcg::Pcg64::seed_from_u64(5);
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        // Twelve uniform values minus 6 are normal enough: mean 0, deviation 1.
        let values: Vec<f64> = (0..20_000).map(|_| 1000.0 + (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect();
        let mde = Spread::of(&values, 10.0).forecast(20.0).1.expect("enough");
        // (1.96 + 0.84) · √2 · 10⁻³ / √1000, and 1.07 for the trimming.
        let expected = 2.8 * 2_f64.sqrt() * 1e-3 / 1000_f64.sqrt() * 1.07;
        assert!((mde / expected - 1.0).abs() < 0.05, "{mde} against {expected}");
    }
}
