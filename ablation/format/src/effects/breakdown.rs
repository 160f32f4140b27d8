//! Cost breakdowns of the gaps to the peers, and the cross-check of their unit costs.

use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// The cost breakdown of one gap, nanoseconds per operation. The rows add up to the gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The workload.
    pub workload: String,
    /// Name of the peer.
    pub peer: String,
    /// Baseline − peer.
    pub gap: Estimate,
    /// Response of the peer.
    pub peer_ns: Estimate,
    /// Whether factors have rows of their own; else their own cost is in the residual.
    pub separated: bool,
    /// Factors by size, page faults, system calls by size, returned pages, residual.
    pub rows: Vec<BreakdownRow>,
    /// The unit costs that the times of all cells fit, or why there is no fit.
    pub cross_check: Result<CrossCheck, String>,
    /// A sentence about the rows at the unit costs of the cross-check, where these disagree with the measured ones.
    pub disagreement: Option<String>,
    /// Of `page faults` and `system calls`, those without a count and a unit cost in every cell.
    pub uncounted: Vec<String>,
    /// Why the shares of the gap have no meaning here; `None` when they have one.
    pub doubt: Option<String>,
    /// Sentences about this breakdown, for people.
    pub remarks: Vec<String>,
}

/// One row of a cost breakdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakdownRow {
    /// `factor`, `page-faults`, `system-calls`, `returned-pages` or `residual`.
    pub kind: String,
    /// Name of the factor, of the event, or `residual`.
    pub name: String,
    /// Nanoseconds per operation; positive when it makes the baseline slower than the peer.
    pub ns: Estimate,
    /// Part of the gap, 1 is the whole; `None` when the gap's interval does not lie above 0.
    pub share: Option<Estimate>,
    /// Difference of the events per operation, baseline − peer; `None` for factors and the residual.
    pub count: Option<f64>,
    /// Cost of the events that a factor causes, which is in the rows of the events, nanoseconds per operation.
    pub through_events: Option<Estimate>,
    /// Shapley value of a factor, nanoseconds per operation: `ns` and `through_events` together.
    pub whole: Option<Estimate>,
    /// Whether a unit cost in this row is only a lower bound.
    pub is_lower_bound: bool,
}

/// A fit of the times of the cells by their counts of events, to check the measured unit costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossCheck {
    /// The cells of the fit, in words for people.
    pub over: String,
    /// Number of cells.
    pub cells: usize,
    /// Condition number of the columns, each scaled to length 1.
    pub condition: f64,
    /// Share of the variance of the times that the fit explains, R².
    pub r2: f64,
    /// Fitted over measured cost of all events together; 1 is agreement.
    pub scale: Estimate,
    /// Whether the interval of the scale excludes 1.
    pub disagree: bool,
    /// The unit cost of each kind whose counts differ enough between the cells, or why these cannot be told apart.
    pub unit_costs: Result<Vec<FittedCost>, String>,
}

/// A unit cost that fits the times, beside the measured one; nanoseconds per event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedCost {
    /// The kind of event.
    pub kind: String,
    /// The unit cost that fits the times.
    pub fitted: Estimate,
    /// The unit cost that was measured by itself.
    pub measured: Option<Estimate>,
    /// Whether the interval of their difference lies on one side of 0.
    pub disagree: bool,
}
