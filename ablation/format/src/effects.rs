//! `effects.json`: the results of a study for programs.
//!
//! A value that could not be had is `None` (`null`), never 0. Verdicts, proofs and kinds are words in kebab case; they
//! stay text here, because a later version may add one. docs/format.md lists them.

use super::{Goal, Quantity, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectsFile {
    /// Version of the file ([`crate::FORMAT`]).
    pub format: u32,
    /// Name of the study.
    pub study: String,
    /// One row for each workload, contrast and response.
    pub effects: Vec<EffectRow>,
    /// One row for each workload and cell.
    pub cells: Vec<CellRow>,
    /// One row for each workload and peer.
    pub gaps: Vec<GapRow>,
    /// Every target, judged.
    pub targets: Vec<TargetResult>,
    /// Every path, followed.
    pub paths: Vec<PathResult>,
    /// Workloads that targets take together.
    pub groups: Vec<Group>,
    /// One entry for each workload that crosses factors.
    pub crossed: Vec<CrossedResult>,
    /// Which timed batches were retained, for each workload with contention probes.
    pub retention: Vec<Retention>,
    /// What disturbed each cell.
    pub noise: Vec<Noise>,
    /// What the contention probes say about the study as a whole.
    pub contention: Contention,
    /// Sentences about the study as a whole.
    pub remarks: Vec<String>,
    /// What the gaps are made of.
    pub explained: Explained,
}

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower and upper end; `None` below six blocks.
    pub interval: Option<(f64, f64)>,
    /// Blocks behind the value.
    pub blocks: usize,
}

impl Estimate {
    /// Turns the excess of a ratio over 1 into the ratio.
    pub fn plus_one(self) -> Estimate {
        let interval = self.interval.map(|(lo, hi)| (1.0 + lo, 1.0 + hi));
        Estimate { value: 1.0 + self.value, interval, ..self }
    }

    /// Whether the interval lies on one side of 0; false without an interval.
    pub fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
    }
}

/// The effect of one contrast on one response of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectRow {
    /// The workload.
    pub workload: String,
    /// The factor; the treatment's name where several factors differ; `placebo`.
    pub factor: String,
    /// Kind of contrast: `on-off`, `on-absent`, `off-absent`, `main`, `placebo`, ….
    pub contrast: String,
    /// `env`, `feature`, `args` or `None`.
    pub arm: Option<String>,
    /// Name of the response with its unit: `latency_ns_p10`, ….
    pub response: String,
    /// Effect in the unit of the response; positive when the factor costs.
    pub estimate: Option<f64>,
    /// Lower end of the 95 % interval.
    pub lo: Option<f64>,
    /// Upper end of the 95 % interval.
    pub hi: Option<f64>,
    /// Lower end of the interval that holds together with those of the other rows of the attribution table.
    pub lo_all: Option<f64>,
    /// Upper end of that interval.
    pub hi_all: Option<f64>,
    /// The same over all timed batches, where `estimate` is over the retained ones.
    pub estimate_all_batches: Option<f64>,
    /// Smallest effect that a study like this one finds four times in five.
    pub detectable: Option<f64>,
    /// Blocks in which both cells were proven; for counts the repeats.
    pub blocks: usize,
    /// What can be said.
    pub verdict: String,
    /// Whether both cells did what they were run for.
    pub proof: String,
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
    /// Unit of `value`.
    pub unit: Quantity,
    /// The response.
    pub value: Option<Estimate>,
    /// The same where it is a latency, nanoseconds per operation.
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
    /// Its value where that is a latency, nanoseconds per operation.
    pub gap_ns: Option<f64>,
    /// Baseline / peer − 1.
    pub gap_ratio: Option<f64>,
    /// Baseline / peer.
    pub ratio: Option<Estimate>,
}

/// A target, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetResult {
    /// The target as it was declared.
    #[serde(flatten)]
    pub target: Target,
    /// The response that its numbers are of; `None` for ratios and quotients.
    pub unit_of: Option<String>,
    /// `met`, `missed`, `open` or `not-judged`.
    pub verdict: String,
    /// Its numbers, the nearest to the bad side or farthest on it first.
    pub rows: Vec<TargetRow>,
    /// What was not measured, without which nothing is met.
    pub missing: Vec<String>,
    /// Blocks that would probably decide an open target.
    pub blocks_needed: Option<usize>,
}

/// One number of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRow {
    /// The workload; `None` for a number of several.
    pub workload: Option<String>,
    /// The peer; `None` for the subject's own number and for one of several peers.
    pub peer: Option<String>,
    /// The number, with the interval that decides.
    pub value: Estimate,
    /// Which side of the bar it is on, in the words of [`TargetResult::verdict`].
    pub verdict: String,
}

/// A path, followed in its workloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathResult {
    /// Name of the path.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// The peer whose gap is followed.
    pub peer: String,
    /// Its workloads, in the order of the path.
    pub workloads: Vec<PathWorkload>,
}

/// A path in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathWorkload {
    /// The workload.
    pub workload: String,
    /// The response that it is judged by.
    pub response: String,
    /// Steps in their order.
    pub steps: Vec<PathStep>,
    /// Goals in the order of the path.
    pub goals: Vec<GoalResult>,
}

/// One step of a path in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStep {
    /// Name of the treatment, or `baseline`.
    pub step: String,
    /// Id of its cell.
    pub cell: String,
    /// Its response.
    pub value: Option<Estimate>,
    /// Difference from the step before, percent of that; `None` for the first step.
    pub change_percent: Option<Estimate>,
    /// Difference from the peer, percent of the peer, with the interval that holds for all steps together.
    pub gap_percent: Option<Estimate>,
    /// Factors that the step changes and that are not exercised in this workload.
    pub not_exercised: Vec<String>,
}

/// A goal of a path, judged in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoalResult {
    /// The goal as it was declared.
    #[serde(flatten)]
    pub goal: Goal,
    /// `reached`, `not-reached` or `open`.
    pub verdict: String,
    /// The first step that reaches it, else the step with the smallest gap.
    pub step: Option<String>,
    /// The gap at that step, percent of the peer.
    pub gap_percent: Option<Estimate>,
    /// Whether the last step reaches it too.
    pub holds_at_the_end: bool,
}

/// Workloads that targets take together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Names of the targets.
    pub targets: Vec<String>,
    /// The workloads.
    pub workloads: Vec<String>,
    /// Peer and geometric mean of subject / peer; `None` where the peer does not run with all of them.
    pub ratios: Vec<(String, Option<Estimate>)>,
}

/// What the crossed cells of one workload say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossedResult {
    /// The workload.
    pub workload: String,
    /// All factors on minus none, in the unit of the response.
    pub total: Option<Estimate>,
    /// One entry for each factor, in the order of the config; empty when cells are missing.
    pub factors: Vec<CrossedFactor>,
    /// All pairs of factors, the strongest interaction first.
    pub interactions: Vec<Interaction>,
    /// Probability of interactions this large if effects simply added up.
    pub additive_p: Option<f64>,
    /// The order that always takes away the factor that saves most, from all to none.
    pub greedy: Vec<GreedyStep>,
    /// Sets of factors without a proven cell, joined by `+`, or `none`.
    pub missing: Vec<String>,
}

/// One crossed factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossedFactor {
    /// The factor.
    pub factor: String,
    /// Its effect averaged over all orders of adding the factors; the values sum to [`CrossedResult::total`].
    pub shapley: Contrasted,
    /// All factors on, minus all but this one.
    pub leave_one_out: Contrasted,
    /// This factor alone, minus none.
    pub add_one_in: Contrasted,
    /// Mean over all sets of the other factors.
    pub main: Contrasted,
    /// Shapley value over the gap to the reference peer; 1 is the whole gap.
    pub share: Option<Estimate>,
    /// Shapley value of the page faults per operation.
    pub page_faults: Option<f64>,
    /// Shapley value of the system calls per operation.
    pub syscalls: Option<f64>,
    /// Whether the factor is proven, in the words of [`EffectRow::proof`].
    pub proof: String,
    /// Why nothing is claimed or proven; empty otherwise.
    pub reason: String,
}

/// A contrast of crossed cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrasted {
    /// The value with the interval of this row alone.
    pub alone: Estimate,
    /// Interval that holds together with those of the other factors.
    pub together: Option<(f64, f64)>,
    /// Smallest true value that is found four times in five.
    pub detectable: Option<f64>,
    /// What can be said, by the interval that holds together.
    pub verdict: String,
}

/// How far the effect of one factor depends on another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// The two factors.
    pub pair: (String, String),
    /// What both cost together beyond the sum of each.
    pub value: Estimate,
    /// Two-sided p value.
    pub p: Option<f64>,
    /// The same after the correction for all pairs (Benjamini and Hochberg).
    pub q: Option<f64>,
    /// Whether q is at most 5 %.
    pub found: bool,
}

/// One step of the greedy order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GreedyStep {
    /// The factor taken away.
    pub factor: String,
    /// What that saves.
    pub saving: Estimate,
}

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

/// What the gaps of a study are made of. Numbers are nanoseconds per operation where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Kind of event → nanoseconds per event.
    pub unit_costs_ns: BTreeMap<String, Estimate>,
    /// One for each workload and peer, the reference peer first.
    pub breakdowns: Vec<Breakdown>,
    /// One for each curve of the config.
    pub curves: Vec<CurveResult>,
    /// One for each hypothesis of the config, in its order.
    pub hypotheses: Vec<HypothesisResult>,
}

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

/// A curve: cells over workloads that differ in their number of operations only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveResult {
    /// Name of the curve.
    pub name: String,
    /// Every cell.
    pub cells: Vec<CurveCell>,
    /// Unit costs that fit the times of all cells best, or why there are none.
    pub unit_costs: Result<Vec<FittedCost>, String>,
    /// Name of the peer, and the gap to it at every place.
    pub gaps: Vec<(String, Vec<CurveGap>)>,
}

/// One cell of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveCell {
    /// Cell id.
    pub id: String,
    /// Operations of a process, time per operation, page faults per operation of 4 KiB and huge.
    pub points: Vec<(f64, Estimate, [Option<f64>; 2])>,
    /// What a process pays once, nanoseconds.
    pub once: Option<Estimate>,
    /// What every further operation costs.
    pub steady: Option<Estimate>,
    /// Share of the variance of the times that these two explain.
    pub r2: Option<f64>,
    /// The line over page faults, or why there is none.
    pub by_faults: Result<ByFaults, String>,
}

/// Time per operation = steady + Σ unit cost · page faults per operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByFaults {
    /// Time of an operation without a page fault.
    pub steady: Estimate,
    /// One for each size of page fault whose number changes.
    pub unit_costs: Vec<FittedCost>,
    /// Share of the variance of the times that the line explains.
    pub r2: f64,
}

/// The gap to a peer at one place of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveGap {
    /// The place.
    pub at: At,
    /// Baseline − peer: nanoseconds per process at [`At::Once`], else per operation.
    pub gap: Estimate,
    /// Difference of the page faults of 4 KiB and huge, in the same unit.
    pub faults: [Option<f64>; 2],
    /// What these page faults cost at the measured unit costs.
    pub explained: Option<Estimate>,
    /// Explained / gap.
    pub share: Option<Estimate>,
    /// The same at the unit costs that fit the times best.
    pub share_by_fit: Option<Estimate>,
}

/// Where a gap of a curve is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// Processes of this many operations.
    Operations(f64),
    /// What a process pays once.
    Once,
    /// What every further operation costs.
    Steady,
}

/// A hypothesis, decided or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HypothesisResult {
    /// Name of the hypothesis.
    pub name: String,
    /// The claim in words.
    pub claim: String,
    /// The workload.
    pub workload: String,
    /// What must be measured for it to be supported, as a formula for people.
    pub range: String,
    /// Unit of `value`: `share` (1 is the whole gap), `percent` (of the response of `minus`) or `ns`.
    pub unit: String,
    /// What was measured, with the interval at `confidence`.
    pub value: Option<Estimate>,
    /// Confidence of the interval, a part of 1.
    pub confidence: f64,
    /// `supported`, `refuted`, `inconclusive` or `undecidable`.
    pub verdict: String,
    /// Why, for people.
    pub reason: String,
    /// Blocks that would probably decide it.
    pub blocks_needed: Option<usize>,
}
