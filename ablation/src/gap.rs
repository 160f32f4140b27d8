//! The gap to a peer, explained: what each source does itself, what page faults and system calls cost, what is left.
//!
//! The account is exact: its rows add up to the gap, and no nanosecond is in two rows. Everything here is a pure
//! function of cell values with their bootstrap draws, exact counts and measured prices; [`crate::analyse`] makes these
//! from the records.

pub mod counts;
pub mod curves;
pub mod hypotheses;
pub mod regression;
pub mod study;
pub mod units;
pub mod waterfall;

pub use counts::Counts;
pub use units::UnitCosts;

use crate::analyse::Estimate;
use ablate_stats::bootstrap::Drawn;

/// What the account of one workload and one peer is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Factors of the masks, bit 0 first.
    pub factors: &'a [String],
    /// Values by mask, nanoseconds per operation, the baseline last; empty when the workload is not crossed.
    pub masks: &'a [Drawn],
    /// Counts by mask, per operation.
    pub mask_counts: &'a [Counts],
    /// Value of the baseline.
    pub baseline: &'a Drawn,
    /// Value of the peer.
    pub peer: &'a Drawn,
    /// Counts of the baseline.
    pub baseline_counts: &'a Counts,
    /// Counts of the peer.
    pub peer_counts: &'a Counts,
    /// Every cell of the workload that has a value and counts: for the regression.
    pub cells: &'a [(Drawn, Counts)],
    /// What a page fault and each system call cost.
    pub unit_costs: &'a UnitCosts,
}

/// The value with its interval of 95 %.
fn estimate(drawn: &Drawn) -> Estimate {
    Estimate { value: drawn.point, interval: drawn.interval(), blocks: drawn.blocks }
}

/// Whether the interval of 95 % lies on one side of 0.
fn excludes_zero(drawn: &Drawn) -> bool {
    drawn.interval().is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
}

/// Whether there is a gap to have shares of: its interval of 95 % lies above 0. An advantage has none.
fn is_gap(drawn: &Drawn) -> bool {
    drawn.interval().is_some_and(|(lo, _)| lo > 0.0)
}

#[cfg(test)]
mod fixture;
