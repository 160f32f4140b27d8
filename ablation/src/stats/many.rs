//! Many tests at once: simultaneous intervals and adjusted p values.

use super::bootstrap::Drawn;
use super::distribution::normal_cdf;
use super::order::{percentile, sorted};

/// Intervals that all cover together in 95 % of studies, from the largest |t| over the rows in every draw.
pub fn simultaneous(drawn: &[&Drawn]) -> Vec<Option<(f64, f64)>> {
    let mut highest: Vec<f64> = Vec::new();
    for row in drawn {
        let Some(error) = row.standard_error().filter(|error| *error > 0.0) else {
            continue;
        };
        if highest.len() < row.draws().len() {
            highest.resize(row.draws().len(), 0.0);
        }
        let raw = error / row.widening();
        for (highest, draw) in highest.iter_mut().zip(row.draws()) {
            *highest = highest.max((draw - row.point).abs() / raw);
        }
    }
    let z = percentile(&sorted(&highest), 0.95).unwrap_or(0.0);
    let confidence = (1.0 - 2.0 * normal_cdf(-z)).max(0.95);
    let interval = |row: &&Drawn| match row.standard_error() {
        Some(error) if error > 0.0 => row.interval_at(confidence),
        _ => row.interval(),
    };
    drawn.iter().map(interval).collect()
}

/// Adjusted p values that keep the chance of any false finding (Holm, "A Simple Sequentially Rejective Multiple Test
/// Procedure", Scandinavian Journal of Statistics 6, 1979), in the order of the input; NaN stays NaN and does not
/// count.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut least = 0.0f64;
    for (rank, at) in order.iter().enumerate() {
        least = least.max((p[*at] * (order.len() - rank) as f64).min(1.0));
        adjusted[*at] = least;
    }
    adjusted
}

/// Adjusted p values that keep the expected share of false findings (Benjamini and Hochberg, "Controlling the False
/// Discovery Rate", Journal of the Royal Statistical Society B 57, 1995), in the order of the input; NaN stays NaN and
/// does not count.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut most = 1.0f64;
    for (rank, at) in order.iter().enumerate().rev() {
        most = most.min(p[*at] * order.len() as f64 / (rank + 1) as f64);
        adjusted[*at] = most;
    }
    adjusted
}

/// Indices of the numbers, smallest first.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).filter(|at| !p[*at].is_nan()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]).then(a.cmp(b)));
    order
}
