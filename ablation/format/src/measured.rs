//! The line of a measured program: one JSON object, the last line of its standard output.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The line that a measured program prints (docs/format.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Version of this line ([`crate::FORMAT`]).
    pub format: u32,
    /// Operations of the measured part.
    pub operations: u64,
    /// Which allocator served the operations, as proven by the program (`hakmem`, `mimalloc`, …).
    #[serde(default)]
    pub served_by: Option<String>,
    /// Level of each factor, as sealed.
    #[serde(default)]
    pub levels: BTreeMap<String, String>,
    /// Activity counters: factor → counter → value.
    #[serde(default)]
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// Equal for all runs of one workload, whichever allocator served it.
    pub checksum: String,
    /// `operations` or `batches`: what the percentiles are over.
    pub latency_over: String,
    /// Number of values that the percentiles are over.
    pub samples: u64,
    /// 10th percentile, nanoseconds per operation.
    pub latency_ns_p10: f64,
    /// Median, nanoseconds per operation.
    pub latency_ns_p50: f64,
    /// 99th percentile, nanoseconds per operation.
    pub latency_ns_p99: f64,
    /// Mean, nanoseconds per operation.
    pub latency_ns_mean: f64,
    /// Peak resident bytes, as the program saw them.
    #[serde(default)]
    pub rss_peak_bytes: Option<u64>,
    /// Page faults of the measured part, as the program saw them.
    #[serde(default)]
    pub page_faults: Option<u64>,
    /// Environment variables that the program refused, with its reason; not empty makes the run invalid.
    #[serde(default)]
    pub env_rejected: Vec<String>,
    /// Nanoseconds per operation of every timed batch, in their order; empty: only the percentiles are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches_ns: Vec<f32>,
    /// The contention probe before the first timed batch and after every one, nanoseconds per step: one more than batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contention_probes_ns: Vec<f32>,
    /// Numbers of the program's own by name, for responses `value:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// What the program itself knows its factors to cost, nanoseconds per operation: the synthetic subject of
    /// `cargo ablate selftest` says it, others do not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub truth_ns: BTreeMap<String, f64>,
}
