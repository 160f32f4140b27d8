//! What a cost breakdown is made from.

use super::counts::Counts;
use super::units::UnitCosts;
use ablate_stats::bootstrap::Drawn;

/// What the breakdown of one workload and one peer is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    /// Factors of the masks, bit 0 first.
    pub(crate) factors: &'a [String],
    /// Values by mask, nanoseconds per operation, the baseline last; empty when the workload is not crossed.
    pub(crate) masks: &'a [Drawn],
    /// Counts by mask, per operation.
    pub(crate) mask_counts: &'a [Counts],
    /// Value of the baseline.
    pub(crate) baseline: &'a Drawn,
    /// Value of the peer.
    pub(crate) peer: &'a Drawn,
    /// Counts of the baseline.
    pub(crate) baseline_counts: &'a Counts,
    /// Counts of the peer.
    pub(crate) peer_counts: &'a Counts,
    /// Every cell of the workload that has a value and counts: for the regression.
    pub(crate) cells: &'a [(Drawn, Counts)],
    /// What a page fault and each system call cost.
    pub(crate) unit_costs: &'a UnitCosts,
}
