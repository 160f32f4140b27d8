//! Cells over workloads that differ in their number of operations only.

use super::breakdown::FittedCost;
use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// A curve: cells over workloads that differ in their number of operations only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveResult {
    /// Name of the curve.
    pub name: String,
    /// Every cell.
    pub cells: Vec<CurveCell>,
    /// Unit costs that fit the times of all cells best, or why there are none.
    pub unit_costs: Result<Vec<FittedCost>, String>,
    /// Name of the peer, and the gap to it at every place.
    pub gaps: Vec<(String, Vec<CurveGap>)>,
}

/// One cell of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveCell {
    /// Cell id.
    pub id: String,
    /// Operations of a process, time per operation, page faults per operation of 4 KiB and huge.
    pub points: Vec<(f64, Estimate, [Option<f64>; 2])>,
    /// What a process pays once, nanoseconds.
    pub once: Option<Estimate>,
    /// What every further operation costs.
    pub steady: Option<Estimate>,
    /// Share of the variance of the times that these two explain.
    pub r2: Option<f64>,
    /// The line over page faults, or why there is none.
    pub by_faults: Result<ByFaults, String>,
}

/// Time per operation = steady + Σ unit cost · page faults per operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByFaults {
    /// Time of an operation without a page fault.
    pub steady: Estimate,
    /// One for each size of page fault whose number changes.
    pub unit_costs: Vec<FittedCost>,
    /// Share of the variance of the times that the line explains.
    pub r2: f64,
}

/// The gap to a peer at one place of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveGap {
    /// The place.
    pub at: At,
    /// Baseline − peer: nanoseconds per process at [`At::Once`], else per operation.
    pub gap: Estimate,
    /// Difference of the page faults of 4 KiB and huge, in the same unit.
    pub faults: [Option<f64>; 2],
    /// What these page faults cost at the measured unit costs.
    pub explained: Option<Estimate>,
    /// Explained / gap.
    pub share: Option<Estimate>,
    /// The same at the unit costs that fit the times best.
    pub share_by_fit: Option<Estimate>,
}

/// Where a gap of a curve is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// Processes of this many operations.
    Operations(f64),
    /// What a process pays once.
    Once,
    /// What every further operation costs.
    Steady,
}
