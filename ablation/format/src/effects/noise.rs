//! What disturbed the runs, and what was left out for it.

use serde::{Deserialize, Serialize};

/// Which timed batches of one workload were retained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// The workload.
    pub workload: String,
    /// Cell id and share of its timed batches that were retained; 1 is all.
    pub retained: Vec<(String, f64)>,
    /// Runs left out because fewer than eight of their timed batches were retained.
    pub contended: usize,
    /// Probability of shares that differ this much if retention does not depend on the cell.
    pub p: Option<f64>,
}

/// What disturbed one cell in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// The workload.
    pub workload: String,
    /// Cell id.
    pub cell: String,
    /// Proven timing runs.
    pub runs: usize,
    /// Share of the timed batches that were retained; `None` for a program without timed batches.
    pub retained: Option<f64>,
    /// Runs left out because too few of their timed batches were retained.
    pub contended: usize,
    /// Times that a run waited and was preempted, means over the runs.
    pub context_switches: Option<(f64, f64)>,
    /// The two speeds that the runs fall into.
    pub two_speeds: Option<TwoSpeeds>,
}

/// Two speeds of the runs of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TwoSpeeds {
    /// Mean of the fast runs, nanoseconds per operation.
    pub fast_ns: f64,
    /// Mean of the slow runs, nanoseconds per operation.
    pub slow_ns: f64,
    /// Share of the slow runs; 1 is all.
    pub slow_share: f64,
}

/// What the contention probes of a study say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contention {
    /// The quiet state, nanoseconds per step of the probe; `None` when no program probed.
    pub reference_ns: Option<f64>,
    /// Median of all probes, nanoseconds per step.
    pub median_ns: Option<f64>,
    /// Share of the timed batches that were retained; 1 is all.
    pub retained: Option<f64>,
    /// Whether only retained batches count; false when too few batches were quiet, so that all count.
    pub applied: bool,
    /// Share of the processes between two quiet probes of the runner; 1 is all.
    pub quiet_processes: Option<f64>,
}
