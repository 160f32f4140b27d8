//! What a cost breakdown is made from.

use super::counts::Counts;
use super::units::UnitCosts;
use ablate_stats::bootstrap::Drawn;

/// What the breakdown of one workload and one peer is made from.
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
