//! Results of curves: cells over workloads that differ in their number of operations only.

use super::breakdown::FittedCost;
use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// A curve: cells over workloads that differ in their number of operations only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveResult {
    /// Name of the curve.
    pub name: String,
    /// One entry for each cell.
    pub cells: Vec<CurveCell>,
    /// Unit costs that fit the times of all cells best, or why there are none.
    pub unit_costs: Result<Vec<FittedCost>, String>,
    /// Name of each peer, and the gap to it at every place of the curve.
    pub gaps: Vec<(String, Vec<CurveGap>)>,
}

/// One cell of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveCell {
    /// Cell id.
    pub id: String,
    /// For each workload: operations per process, nanoseconds per operation, and page faults per operation of 4 KiB and
    /// of huge pages.
    pub points: Vec<(f64, Estimate, [Option<f64>; 2])>,
    /// Fixed cost of a process, nanoseconds per process.
    pub once: Option<Estimate>,
    /// Cost of every further operation, nanoseconds per operation.
    pub steady: Option<Estimate>,
    /// Share of the variance of the times that `once` and `steady` explain, R².
    pub r2: Option<f64>,
    /// The line over page faults, or why there is none.
    pub by_faults: Result<ByFaults, String>,
}

/// Time per operation = steady + Σ unit cost · page faults per operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByFaults {
    /// Time without page faults, nanoseconds per operation.
    pub steady: Estimate,
    /// One unit cost for each size of page whose number of faults changes.
    pub unit_costs: Vec<FittedCost>,
    /// Share of the variance of the times that the line explains, R².
    pub r2: f64,
}

/// The gap to a peer at one place of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveGap {
    /// The place.
    pub at: At,
    /// Baseline − peer: nanoseconds per process at [`At::Once`], else per operation.
    pub gap: Estimate,
    /// Baseline − peer of the page faults of 4 KiB and of huge pages, per process or per operation as `gap`.
    pub faults: [Option<f64>; 2],
    /// Cost of these page faults at the measured unit costs, in the unit of `gap`.
    pub explained: Option<Estimate>,
    /// `explained` / `gap`; 1 is the whole gap.
    pub share: Option<Estimate>,
    /// The share at the unit costs that fit the times best.
    pub share_by_fit: Option<Estimate>,
}

/// The place of a curve at which a gap is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// At processes of this many operations.
    Operations(f64),
    /// Of the fixed cost of a process.
    Once,
    /// Of the cost of every further operation.
    Steady,
}
