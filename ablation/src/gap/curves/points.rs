//! The points of a curve: one cell in workloads that differ in their number of operations.

use crate::gap::counts::Counts;
use crate::unit_costs::{PAGE_FAULT_4K, PAGE_FAULT_HUGE};
use ablate_stats::bootstrap::Drawn;

/// Sizes of page faults with a unit cost of their own.
pub(super) const KINDS: [&str; 2] = [PAGE_FAULT_4K, PAGE_FAULT_HUGE];

/// One cell in one workload of the curve.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Operations of a process.
    pub(crate) operations: f64,
    /// Nanoseconds per operation, the mean over all operations.
    pub(crate) time: Drawn,
    /// Events per operation, from [`crate::gap::counts::disjoint_kinds`].
    pub(crate) counts: Counts,
}

/// One cell over the workloads of the curve.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    /// Cell id.
    pub(crate) id: String,
    /// One for each workload in which it has a value and counts.
    pub(crate) points: Vec<Point>,
}

pub(super) fn faults(point: &Point, kind: &str) -> Option<f64> {
    point.counts.get(kind).copied()
}

/// 1 / operations of every point.
pub(super) fn inverse(cell: &Cell) -> Vec<f64> {
    cell.points.iter().map(|point| 1.0 / point.operations).collect()
}
