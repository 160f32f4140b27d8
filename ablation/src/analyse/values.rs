//! The values that an analysis is made of: estimates, effects, cells and gaps.

use super::counts::PerOperation;
use super::machines::OverMachines;
use super::memory::Memory;
use super::words::{Proof, Response, Verdict, word_of};
use ablate_format::effects::Estimate;
use ablate_format::{Arm, CellKind, MainResponse};
use ablate_stats::bootstrap::Drawn;
use std::collections::BTreeMap;

/// A bootstrapped statistic as a value; `None` when it is no number.
pub(super) fn estimate(drawn: &Drawn) -> Option<Estimate> {
    drawn.point.is_finite().then(|| Estimate { value: drawn.point, interval: drawn.interval(), blocks: drawn.blocks })
}

/// One row of the effects: `plus − minus` of one contrast, workload and response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effect {
    /// Factor, or name of the treatment when several factors differ.
    pub(crate) factor: String,
    /// Kind of contrast, as in the plan.
    pub(crate) contrast: String,
    /// The level that is compared with the baseline's, where the row is of one factor.
    pub(crate) level: Option<String>,
    /// Arm, as in the plan.
    pub(crate) arm: Option<Arm>,
    /// What was measured.
    pub(crate) response: Response,
    /// Whether the row belongs to the attribution table.
    pub(crate) attribution: bool,
    /// The effect, in the unit of the response; `None` when nothing can be claimed.
    pub(crate) estimate: Option<f64>,
    /// Lower end of the interval.
    pub(crate) lo: Option<f64>,
    /// Upper end of the interval.
    pub(crate) hi: Option<f64>,
    /// Interval that holds together with those of the other factors, where the row belongs to the attribution table.
    pub(crate) together: Option<(f64, f64)>,
    /// The main response over all batches, where the row is over those that the contention probe retained.
    pub(crate) all_batches: Option<Estimate>,
    /// Blocks in which both cells were proven; for counts the number of repeats.
    pub(crate) blocks: usize,
    /// Smallest effect that the study finds four times in five.
    pub(crate) detectable: Option<f64>,
    /// Whether both cells did what they were run for.
    pub(crate) proof: Proof,
    /// What tells the levels apart, where the factor has no counters: `its levels are different binaries`. Empty otherwise.
    pub(crate) evidence: String,
    /// What can be said.
    pub(crate) verdict: Verdict,
    /// Why, when the verdict is not `costs` or `saves`; empty otherwise.
    pub(crate) reason: String,
    /// Effect as a share of the gap to the reference peer; `None` unless the gap's interval lies above 0.
    pub(crate) share: Option<Estimate>,
    /// Effect as a part of the baseline's value in this response; 1 is all of it. `None` where that is 0 or missing.
    pub(crate) of_baseline: Option<f64>,
    /// The effect on each machine and over them; `None` in a study on one machine.
    pub(crate) machines: Option<Box<OverMachines>>,
}

impl Effect {
    /// Whether it is of taking one factor away: switching it off, or not building it.
    pub(crate) fn takes_away(&self) -> bool {
        self.attribution && self.level.as_deref().is_none_or(is_away)
    }

    /// Whether it is of another level than "without it", so that people read it from the baseline to that level.
    fn is_of_a_level(&self) -> bool {
        self.attribution && !self.takes_away()
    }

    /// What the row is called: the factor, or the factor with its level, `opt: o2`; for several factors the treatment.
    pub(crate) fn title(&self) -> String {
        match &self.level {
            Some(level) if self.is_of_a_level() => format!("{}: {level}", self.factor),
            _ => self.factor.clone(),
        }
    }

    /// The effect with its interval, baseline − other, when something can be said.
    pub(crate) fn value(&self) -> Option<Estimate> {
        self.estimate.map(|value| Estimate { value, interval: self.lo.zip(self.hi), blocks: self.blocks })
    }

    /// What the thing that [`Effect::title`] names adds: a factor against the program without it, a level against the
    /// baseline's level.
    pub(crate) fn added(&self) -> Option<Estimate> {
        self.value().map(|value| if self.is_of_a_level() { negated(value) } else { value })
    }

    /// The interval of [`Effect::added`] that holds together with those of the other factors.
    pub(crate) fn added_together(&self) -> Option<(f64, f64)> {
        self.together.map(|(lo, hi)| if self.is_of_a_level() { (-hi, -lo) } else { (lo, hi) })
    }

    /// [`Effect::added`] as a part of the baseline's value; 1 is all of it.
    pub(crate) fn added_share(&self) -> Option<f64> {
        self.of_baseline.map(|share| if self.is_of_a_level() { -share } else { share })
    }

    /// [`Effect::added`] as a share of the gap to the reference peer.
    pub(crate) fn added_of_gap(&self) -> Option<f64> {
        self.share.map(|share| if self.is_of_a_level() { -share.value } else { share.value })
    }

    /// [`Effect::added`] as a cost: positive where the response is worse with it, so where a rate is lower.
    pub(crate) fn cost(&self) -> Option<Estimate> {
        self.added().map(|added| as_cost(self.response, added))
    }

    /// Another value of the same difference, as [`Effect::cost`] has its own.
    pub(crate) fn told_as_cost(&self, value: Estimate) -> Estimate {
        as_cost(self.response, if self.is_of_a_level() { negated(value) } else { value })
    }

    /// [`Effect::cost`] as a part of the baseline's value; 1 is all of it.
    pub(crate) fn cost_share(&self) -> Option<f64> {
        self.added_share().map(|share| self.response.cost_of(share))
    }

    /// The verdict about the thing that [`Effect::title`] names.
    pub(crate) fn said(&self) -> Verdict {
        if self.is_of_a_level() { self.verdict.reversed() } else { self.verdict }
    }

    /// The verdict in one word: `unproven` where nothing is claimed because nothing tells the levels apart.
    pub(crate) fn word(&self) -> &'static str {
        word_of(self.said().word(), self.proof.as_str())
    }
}

/// Whether a level is that of a factor that is not there.
pub(crate) fn is_away(level: &str) -> bool {
    level == "off" || level == "absent"
}

/// The same difference seen from the other side.
pub(crate) fn negated(estimate: Estimate) -> Estimate {
    let interval = estimate.interval.map(|(lo, hi)| (-hi, -lo));
    Estimate { value: -estimate.value, interval, ..estimate }
}

/// A difference in a response as what it costs: of a rate, less is a cost.
pub(crate) fn as_cost(response: Response, difference: Estimate) -> Estimate {
    if response.cost_of(1.0) < 0.0 { negated(difference) } else { difference }
}

/// One cell in one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CellSummary {
    /// Cell id.
    pub(crate) id: String,
    /// Name for people.
    pub(crate) name: String,
    /// What it is compared as.
    pub(crate) kind: CellKind,
    /// Arm; `None` for baseline, placebo and peers.
    pub(crate) arm: Option<Arm>,
    /// Which allocator serves it: the peer's name, or what the subject's runs are served by.
    pub(crate) allocator: String,
    /// `ok`, or how its runs ended when none was proven; `missing` without runs.
    pub(crate) status: &'static str,
    /// `ok`, `invalid 2/10`, `crashed 1/10`, `build-failed`; `None` without runs.
    pub(crate) proof: Option<String>,
    /// 10th percentile, nanoseconds per operation: median over blocks.
    pub(crate) latency_ns_p10: Option<Estimate>,
    /// Median, nanoseconds per operation: median over blocks.
    pub(crate) latency_ns_p50: Option<Estimate>,
    /// 99th percentile, nanoseconds per operation: median over blocks.
    pub(crate) latency_ns_p99: Option<Estimate>,
    /// Mean, nanoseconds per operation: median over blocks.
    pub(crate) latency_ns_mean: Option<Estimate>,
    /// Wall time of the process, nanoseconds per operation: median over blocks.
    pub(crate) wall_ns: Option<Estimate>,
    /// Processor time of the process, nanoseconds per operation: median over blocks.
    pub(crate) cpu_ns: Option<Estimate>,
    /// Most resident bytes of the process: median over blocks.
    pub(crate) rss_peak_bytes: Option<Estimate>,
    /// Resident memory.
    pub(crate) memory: Memory,
    /// The main response of each proven timing run, by block.
    pub(crate) by_block: Vec<(u32, f64)>,
    /// Numbers of the program's own by name: medians over blocks.
    pub(crate) values: BTreeMap<String, Estimate>,
    /// Every counted event by instrument name.
    pub(crate) counts: BTreeMap<String, PerOperation>,
    /// `this / peer − 1` for each peer of [`super::workload::WorkloadAnalysis::gaps`], in that order.
    pub(crate) relative_to_peers: Vec<Option<f64>>,
}

impl CellSummary {
    /// Events per operation by instrument name, when counted.
    pub(crate) fn per_operation(&self, instrument: &str) -> Option<f64> {
        self.counts.get(instrument).map(|count| count.value)
    }

    /// The cell's value in a response, in the unit of its quantity.
    pub(crate) fn value(&self, response: MainResponse) -> Option<Estimate> {
        match response {
            MainResponse::P10 => self.latency_ns_p10,
            MainResponse::P50 => self.latency_ns_p50,
            MainResponse::P99 => self.latency_ns_p99,
            MainResponse::Mean => self.latency_ns_mean,
            MainResponse::Wall => self.wall_ns,
            MainResponse::Cpu => self.cpu_ns,
            MainResponse::RssPeak => self.rss_peak_bytes,
            MainResponse::RssMean => self.memory.mean,
            MainResponse::Value(value) => self.values.get(value.name()).copied(),
        }
    }
}

/// The baseline against one peer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gap {
    /// Cell id of the peer.
    pub(crate) id: String,
    /// Name of the peer.
    pub(crate) peer: String,
    /// Whether it is a competitor.
    pub(crate) compare: bool,
    /// Baseline − peer, in the unit of the response.
    pub(crate) gap_ns: Option<Estimate>,
    /// Baseline / peer − 1.
    pub(crate) gap_ratio: Option<Estimate>,
}
