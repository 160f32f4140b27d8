//! The rows of every study: effects, cells and gaps.

use super::estimate::Estimate;
use super::machines::EffectOverMachines;
use crate::response::Quantity;
use serde::{Deserialize, Serialize};

/// The effect of one contrast on one response of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectRow {
    /// The workload.
    pub workload: String,
    /// The factor; the treatment's name where several factors differ; `placebo`.
    pub factor: String,
    /// Kind of contrast: `on-off`, `on-absent`, `off-absent`, `main`, `placebo`, ….
    pub contrast: String,
    /// The level that is compared with the baseline's, where the row is of one factor; missing in older files.
    #[serde(default)]
    pub level: Option<String>,
    /// `env`, `feature`, `args` or `None`.
    pub arm: Option<String>,
    /// Name of the response with its unit: `latency_ns_p10`, ….
    pub response: String,
    /// Effect in the unit of the response, as the ends of the intervals; positive when the factor costs.
    pub estimate: Option<f64>,
    /// `estimate` in percent of the baseline's value in this response; `None` where that is 0 or missing, and in older
    /// files.
    #[serde(default)]
    pub estimate_percent: Option<f64>,
    /// Lower end of the 95 % interval.
    pub lo: Option<f64>,
    /// Upper end of the 95 % interval.
    pub hi: Option<f64>,
    /// Lower end of the simultaneous 95 % interval over the rows of the attribution table.
    pub lo_all: Option<f64>,
    /// Upper end of that interval.
    pub hi_all: Option<f64>,
    /// The effect over all timed batches, where `estimate` is over the retained ones.
    pub estimate_all_batches: Option<f64>,
    /// Smallest true effect that a study of this size finds with a probability of 80 %.
    pub detectable: Option<f64>,
    /// Blocks in which both cells were proven; for counts the repeats.
    pub blocks: usize,
    /// The claim that the interval allows, as a word: `costs`, `saves`, ….
    pub verdict: String,
    /// Whether both cells did what the plan asks for, as a word: `proven`, ….
    pub proof: String,
    /// The effect on each machine and over them; `None` in a study on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<EffectOverMachines>,
}

/// One cell in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRow {
    /// The workload.
    pub workload: String,
    /// Name of the peer, or of the allocator that served the subject.
    pub allocator: String,
    /// Name of the treatment; `None` for peers.
    pub treatment: Option<String>,
    /// `env`, `feature`, `args` or `None`.
    pub arm: Option<String>,
    /// `ok` as soon as one run is proven, else how most runs ended.
    pub status: String,
    /// The response that the workload is judged by.
    pub response: String,
    /// Quantity of `value`, which is in its unit.
    pub unit: Quantity,
    /// Value of the response.
    pub value: Option<Estimate>,
    /// `value` where it is a latency, nanoseconds per operation.
    pub value_ns: Option<Estimate>,
    /// 10th percentile, nanoseconds per operation: median over the blocks.
    pub latency_ns_p10: Option<f64>,
    /// Median, nanoseconds per operation: median over the blocks.
    pub latency_ns_p50: Option<f64>,
    /// Mean, nanoseconds per operation: median over the blocks.
    pub latency_ns_mean: Option<f64>,
    /// Page faults per operation.
    pub page_faults_per_op: Option<f64>,
    /// System calls per operation.
    pub syscalls_per_op: Option<f64>,
    /// Most resident bytes: median over the blocks, as the two below; missing in older files.
    #[serde(default)]
    pub rss_peak_bytes: Option<f64>,
    /// Mean of the resident bytes over the time of a process.
    #[serde(default)]
    pub rss_mean_bytes: Option<f64>,
    /// Resident bytes when the work is done.
    #[serde(default)]
    pub rss_after_bytes: Option<f64>,
    /// `ok`, `invalid 2/10`, `crashed 1/10`, `build-failed`; `None` without runs.
    pub proof: Option<String>,
}

/// The baseline against one peer in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapRow {
    /// The workload.
    pub workload: String,
    /// Name of the peer.
    pub peer: String,
    /// Baseline − peer in the unit of the workload's response.
    pub gap: Option<Estimate>,
    /// Value of `gap` where it is a latency, nanoseconds per operation.
    pub gap_ns: Option<f64>,
    /// Baseline / peer − 1; 0 is no gap.
    pub gap_ratio: Option<f64>,
    /// Baseline / peer; 1 is no gap.
    pub ratio: Option<Estimate>,
}
