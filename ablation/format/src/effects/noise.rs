//! What disturbed the runs, and what was left out because of it.

use serde::{Deserialize, Serialize};

/// The share of the timed batches of one workload that was retained: contention probes saw no disturbance around them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// The workload.
    pub workload: String,
    /// Cell id and share of its timed batches that were retained; 1 is all.
    pub retained: Vec<(String, f64)>,
    /// Runs left out because fewer than eight of their timed batches were retained.
    pub contended: usize,
    /// p value against "retention does not depend on the cell".
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
    /// Voluntary and involuntary context switches per run, means over the runs.
    pub context_switches: Option<(f64, f64)>,
    /// The two speeds of the runs; `None` when they have one.
    pub two_speeds: Option<TwoSpeeds>,
}

/// Runs of a cell that fall into two modes, a fast and a slow one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TwoSpeeds {
    /// Mean of the fast runs, nanoseconds per operation.
    pub fast_ns: f64,
    /// Mean of the slow runs, nanoseconds per operation.
    pub slow_ns: f64,
    /// Share of the slow runs; 1 is all.
    pub slow_share: f64,
}

/// The contention probes of a study.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contention {
    /// Value of the probe on the undisturbed machine, nanoseconds per step; `None` when no program took the probe.
    pub reference_ns: Option<f64>,
    /// The same for each of several machines, by which batches are judged there; empty in a study on one machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_by_machine_ns: Vec<Option<f64>>,
    /// Median of all probes, nanoseconds per step.
    pub median_ns: Option<f64>,
    /// Share of the timed batches that were retained; 1 is all.
    pub retained: Option<f64>,
    /// Whether only retained batches count; false when too few batches were retained, so that all count.
    pub applied: bool,
    /// Share of the processes with undisturbed probes of the runner before and after; 1 is all.
    pub quiet_processes: Option<f64>,
}
