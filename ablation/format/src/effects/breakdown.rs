//! What the gaps to the peers are made of: cost breakdowns, and the cross-check of their unit costs.

use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// The cost breakdown of one gap. The rows add up to the gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The workload.
    pub workload: String,
    /// Name of the peer.
    pub peer: String,
    /// Baseline − peer.
    pub gap: Estimate,
    /// Value of the peer.
    pub peer_ns: Estimate,
    /// Whether factors have rows of their own; else what they do themselves is in the residual.
    pub separated: bool,
    /// Factors by size, page faults, system calls by size, returned pages, residual.
    pub rows: Vec<BreakdownRow>,
    /// What the times of all cells say about the unit costs, or why they say nothing.
    pub cross_check: Result<CrossCheck, String>,
    /// What would follow if the unit costs of the cross-check were right, where they disagree with the measured ones.
    pub disagreement: Option<String>,
    /// Of `page faults` and `system calls`, what was not counted and costed in every cell.
    pub uncounted: Vec<String>,
    /// Why shares mean nothing here; `None` when they mean what they say.
    pub doubt: Option<String>,
    /// What a reader must know.
    pub remarks: Vec<String>,
}

/// One row of a cost breakdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakdownRow {
    /// `factor`, `page-faults`, `system-calls`, `returned-pages` or `residual`.
    pub kind: String,
    /// Name of the factor, of the event, or `residual`.
    pub name: String,
    /// Positive when it makes the baseline slower than the peer.
    pub ns: Estimate,
    /// Part of the gap, 1 is the whole; `None` when the gap's interval does not lie above 0.
    pub share: Option<Estimate>,
    /// Difference of the events per operation, baseline − peer; `None` for factors and the residual.
    pub count: Option<f64>,
    /// What a factor does through events, which is in their rows.
    pub through_events: Option<Estimate>,
    /// Shapley value of a factor: this row and what it does through events.
    pub whole: Option<Estimate>,
    /// Whether a unit cost in this row is only a lower bound.
    pub is_lower_bound: bool,
}

/// What the times of the cells say about the unit costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossCheck {
    /// Which cells were taken, for people.
    pub over: String,
    /// Number of cells.
    pub cells: usize,
    /// Condition number of the columns.
    pub condition: f64,
    /// Share of the variance of the times that the model explains.
    pub r2: f64,
    /// How many times as much the events cost as at the measured unit costs.
    pub scale: Estimate,
    /// Whether the interval of the scale excludes 1.
    pub disagree: bool,
    /// The unit cost of each kind whose counts differ enough, or why these cannot be told apart.
    pub unit_costs: Result<Vec<FittedCost>, String>,
}

/// A unit cost that fits the times, beside the measured one; nanoseconds per event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedCost {
    /// The kind of event.
    pub kind: String,
    /// What the times say.
    pub fitted: Estimate,
    /// What was measured apart.
    pub measured: Option<Estimate>,
    /// Whether the interval of their difference lies on one side of 0.
    pub disagree: bool,
}
