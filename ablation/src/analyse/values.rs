//! The values that an analysis is made of: estimates, effects, cells and gaps.

use super::counts::PerOperation;
use super::words::{Proof, Response, Verdict};
use ablate_format::{Arm, CellKind, MainResponse};
use ablate_stats::bootstrap::Drawn;
use serde::Serialize;
use std::collections::BTreeMap;

/// A value with its 95 % interval, when it has one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value itself.
    pub value: f64,
    /// Lower and upper end; `None` below [`ablate_stats::MIN_BLOCKS`] blocks.
    pub interval: Option<(f64, f64)>,
    /// Blocks behind it.
    pub blocks: usize,
}

impl Estimate {
    /// From a bootstrapped statistic; `None` when the value is no number.
    pub(super) fn of(drawn: &Drawn) -> Option<Estimate> {
        drawn.point.is_finite().then(|| Estimate {
            value: drawn.point,
            interval: drawn.interval(),
            blocks: drawn.blocks,
        })
    }

    /// A ratio from what it is more than 1.
    pub fn plus_one(self) -> Estimate {
        let interval = self.interval.map(|(lo, hi)| (1.0 + lo, 1.0 + hi));
        Estimate { value: 1.0 + self.value, interval, ..self }
    }

    /// Whether the interval lies on one side of 0.
    pub fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
    }
}

/// One row of the effects: `plus − minus` of one contrast, workload and response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// Factor, or name of the treatment when several factors differ.
    pub factor: String,
    /// Kind of contrast, as in the plan.
    pub contrast: String,
    /// Arm, as in the plan.
    pub arm: Option<Arm>,
    /// What was measured.
    pub response: Response,
    /// Whether the row belongs to the attribution table.
    pub attribution: bool,
    /// The effect, in the unit of the response; `None` when nothing can be claimed.
    pub estimate: Option<f64>,
    /// Lower end of the interval.
    pub lo: Option<f64>,
    /// Upper end of the interval.
    pub hi: Option<f64>,
    /// Interval that holds together with those of the other factors, where the row belongs to the attribution table.
    pub together: Option<(f64, f64)>,
    /// The main response over all batches, where the row is over those that the contention probe retained.
    pub all_batches: Option<Estimate>,
    /// Blocks in which both cells were proven; for counts the number of repeats.
    pub blocks: usize,
    /// Smallest effect that the study finds four times in five.
    pub detectable: Option<f64>,
    /// Whether both cells did what they were run for.
    pub proof: Proof,
    /// What can be said.
    pub verdict: Verdict,
    /// Why, when the verdict is not `costs` or `saves`; empty otherwise.
    pub reason: String,
    /// Effect as a share of the gap to the reference peer; `None` unless the gap's interval lies above 0.
    pub share: Option<Estimate>,
}

impl Effect {
    /// Whether it is of taking one factor away, whatever level that has: `on-off`, `fast-absent`.
    pub fn takes_away(&self) -> bool {
        self.attribution && (self.contrast.ends_with("-off") || self.contrast.ends_with("-absent"))
    }

    /// The effect with its interval, when something can be said.
    pub fn value(&self) -> Option<Estimate> {
        self.estimate.map(|value| Estimate { value, interval: self.lo.zip(self.hi), blocks: self.blocks })
    }
}

/// One cell in one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellSummary {
    /// Cell id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it is compared as.
    pub kind: CellKind,
    /// Arm; `None` for baseline, placebo and peers.
    pub arm: Option<Arm>,
    /// Which allocator serves it: the peer's name, or what the subject's runs are served by.
    pub allocator: String,
    /// `ok`, or how its runs ended when none was proven; `missing` without runs.
    pub status: &'static str,
    /// `ok`, `invalid 2/10`, `crashed 1/10`, `build-failed`; `None` without runs.
    pub proof: Option<String>,
    /// 10th percentile, nanoseconds per operation: median over blocks.
    pub latency_ns_p10: Option<Estimate>,
    /// Median, nanoseconds per operation: median over blocks.
    pub latency_ns_p50: Option<Estimate>,
    /// 99th percentile, nanoseconds per operation: median over blocks.
    pub latency_ns_p99: Option<Estimate>,
    /// Mean, nanoseconds per operation: median over blocks.
    pub latency_ns_mean: Option<Estimate>,
    /// Wall time of the process, nanoseconds per operation: median over blocks.
    pub wall_ns: Option<Estimate>,
    /// Processor time of the process, nanoseconds per operation: median over blocks.
    pub cpu_ns: Option<Estimate>,
    /// Most resident bytes of the process: median over blocks.
    pub rss_peak_bytes: Option<Estimate>,
    /// Numbers of the program's own by name: medians over blocks.
    pub values: BTreeMap<String, Estimate>,
    /// Every counted event by instrument name.
    pub counts: BTreeMap<String, PerOperation>,
    /// `this / peer − 1` for each peer of [`super::workload::WorkloadAnalysis::gaps`], in that order.
    pub relative_to_peers: Vec<Option<f64>>,
}

impl CellSummary {
    /// Events per operation by instrument name, when counted.
    pub fn per_operation(&self, instrument: &str) -> Option<f64> {
        self.counts.get(instrument).map(|count| count.value)
    }

    /// The cell's value in a response, in the unit of its quantity.
    pub fn value(&self, response: MainResponse) -> Option<Estimate> {
        match response {
            MainResponse::P10 => self.latency_ns_p10,
            MainResponse::P50 => self.latency_ns_p50,
            MainResponse::P99 => self.latency_ns_p99,
            MainResponse::Mean => self.latency_ns_mean,
            MainResponse::Wall => self.wall_ns,
            MainResponse::Cpu => self.cpu_ns,
            MainResponse::RssPeak => self.rss_peak_bytes,
            MainResponse::Value(value) => self.values.get(value.name()).copied(),
        }
    }
}

/// The baseline against one peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// Cell id of the peer.
    pub id: String,
    /// Name of the peer.
    pub peer: String,
    /// Whether it is a competitor.
    pub compare: bool,
    /// Baseline − peer, in the unit of the response.
    pub gap_ns: Option<Estimate>,
    /// Baseline / peer − 1.
    pub gap_ratio: Option<Estimate>,
}
