//! Numbers with draws whose truth is known.

use super::counts::Counts;
use super::units::UnitCosts;
use ablate_stats::bootstrap::Drawn;
use ablate_stats::series::{Series, draw};

/// Blocks behind every number here.
pub(super) const BLOCKS: usize = 20;

/// A value with noise of about ± `noise` around it, the same for the same `salt`: its interval is some 0.4 noise wide
/// on each side.
pub(super) fn noisy(value: f64, noise: f64, salt: u64) -> Drawn {
    // An even spread in an order that the salt decides, so that the point is the value itself.
    let at = |block: usize| ((block as u64 * 7 + salt * 3) % BLOCKS as u64) as f64 / (BLOCKS - 1) as f64;
    let series = Series::new((0..BLOCKS).map(|block| (block, value + noise * (2.0 * at(block) - 1.0))));
    draw(&[series], BLOCKS, 2_000, 9).remove(0)
}

/// A value without noise.
pub(super) fn exact(value: f64) -> Drawn {
    Drawn::constant(value, &noisy(0.0, 1.0, 0))
}

pub(super) fn counts(pairs: &[(&str, f64)]) -> Counts {
    pairs.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

pub(super) fn unit_costs(pairs: &[(&str, f64)]) -> UnitCosts {
    UnitCosts::new(pairs.iter().map(|(kind, ns)| ((*kind).to_owned(), noisy(*ns, *ns / 50.0, 1))))
}
