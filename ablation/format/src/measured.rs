//! What a measured program reported: its line, or what was read from the output of a benchmark harness.

use crate::version::FORMAT;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The line that a measured program prints (docs/format.md). [`read_line`](crate::read_line) reads one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Version of this line ([`crate::FORMAT`]).
    pub format: u32,
    /// Operations of the measured part; 1 where the program does not tell.
    pub operations: u64,
    /// Name of the allocator that served the operations, as the program proved it: `hakmem`, `mimalloc`, ….
    #[serde(default)]
    pub served_by: Option<String>,
    /// Level of each factor during the run.
    #[serde(default)]
    pub levels: BTreeMap<String, String>,
    /// Counters of each factor's work: factor → counter → value.
    #[serde(default)]
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// Equal for all runs of one workload, whichever allocator served it; empty for a program that reports none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub checksum: String,
    /// What one value of the percentiles is of: `operations` or `batches`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_over: Option<String>,
    /// Number of values that the percentiles are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// 10th percentile, nanoseconds per operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns_p10: Option<f64>,
    /// Median, nanoseconds per operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns_p50: Option<f64>,
    /// 99th percentile, nanoseconds per operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns_p99: Option<f64>,
    /// Mean, nanoseconds per operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns_mean: Option<f64>,
    /// Peak resident bytes, as the program read them.
    #[serde(default)]
    pub rss_peak_bytes: Option<u64>,
    /// Mean of the resident bytes over the measured part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_mean_bytes: Option<u64>,
    /// Page faults of the measured part, as the program read them.
    #[serde(default)]
    pub page_faults: Option<u64>,
    /// Environment variables that the program refused, each with its reason. A run with any of them is invalid.
    #[serde(default)]
    pub env_rejected: Vec<String>,
    /// Nanoseconds per operation of every timed batch, in their order; empty when only the percentiles are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches_ns: Vec<f32>,
    /// The contention probe before the first timed batch and after every one, nanoseconds per step: one value more than
    /// `batches_ns`, or none where the program takes no probes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contention_probes_ns: Vec<f32>,
    /// The program's own values by name, for responses `value:NAME`. The end of a name is the unit:
    /// [`MainResponse::quantity`](crate::MainResponse::quantity).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// True cost of each factor, nanoseconds per operation. Only the synthetic subject of `cargo ablate selftest` knows
    /// and reports it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub truth_ns: BTreeMap<String, f64>,
}

impl Measured {
    /// What a program reported that says no more than how many operations it did: every other field is empty.
    pub fn of(operations: u64) -> Measured {
        Measured {
            format: FORMAT,
            operations,
            served_by: None,
            levels: BTreeMap::new(),
            counters: BTreeMap::new(),
            checksum: String::new(),
            latency_over: None,
            samples: None,
            latency_ns_p10: None,
            latency_ns_p50: None,
            latency_ns_p99: None,
            latency_ns_mean: None,
            rss_peak_bytes: None,
            rss_mean_bytes: None,
            page_faults: None,
            env_rejected: Vec::new(),
            batches_ns: Vec::new(),
            contention_probes_ns: Vec::new(),
            values: BTreeMap::new(),
            truth_ns: BTreeMap::new(),
        }
    }

    /// Whether it has a latency, of whatever kind.
    pub fn has_latency(&self) -> bool {
        [self.latency_ns_p10, self.latency_ns_p50, self.latency_ns_p99, self.latency_ns_mean]
            .iter()
            .any(Option::is_some)
    }
}
