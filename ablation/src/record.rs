//! The values that are kept: what was planned (`manifest.json`) and what every process did (`records.jsonl`).
//!
//! Both files are versioned and documented in docs/format.md. Nothing here computes anything; the stages that write
//! and read these values do.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Version of `manifest.json`, `records.jsonl` and `effects.json`.
pub const FORMAT: u32 = 1;

/// Everything needed to read the records of one study, written once before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: u32,
    /// Name of the study, from the config.
    pub study: String,
    /// Path of the config as it was given.
    pub config_path: String,
    /// Whole text of the config, so that the folder explains itself.
    pub config_text: String,
    /// The command line.
    pub command: Vec<String>,
    /// Start of the run, seconds since the Unix epoch.
    pub started_unix_s: u64,
    /// Seed of the block orders and of the bootstrap.
    pub seed: u64,
    /// Number of blocks planned.
    pub blocks: u32,
    /// What was to be run.
    pub plan: Plan,
    /// One entry for each distinct binary.
    pub builds: Vec<BuildRecord>,
    /// The machine.
    pub machine: Machine,
    /// Every counting instrument with its state; what could not be had says why.
    pub instruments: Vec<InstrumentStatus>,
}

/// The design, resolved: every cell and every contrast by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Factors in the order of the config.
    pub factors: Vec<FactorPlan>,
    /// Workloads in the order of the config.
    pub workloads: Vec<WorkloadPlan>,
    /// Cells: every one runs once a block with every workload.
    pub cells: Vec<CellPlan>,
    /// Comparisons to report, by cell id.
    pub contrasts: Vec<Contrast>,
    /// Id of the peer that shares of the gap refer to, when there are peers.
    pub reference_peer: Option<String>,
    /// Claims to decide.
    #[serde(default)]
    pub hypotheses: Vec<Hypothesis>,
    /// Groups of workloads that time is fitted over.
    #[serde(default)]
    pub curves: Vec<Curve>,
    /// Effects that a fraction of a factorial cannot tell apart, for people: `bigcache = elo×header`.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Cells that the constraints forbid, with the reason.
    #[serde(default)]
    pub impossible: Vec<Impossible>,
    /// Code layouts of each build, at least 1: block `b` runs layout `b mod layouts`.
    #[serde(default = "one")]
    pub layouts: u32,
    /// Factors that are combined in one binary, in the order of the config: the bits of a mask, from bit 0 on.
    #[serde(default)]
    pub crossed: Vec<Crossed>,
    /// Name of a design → ids of the cells that it asks for; those that combine factors have the baseline among them.
    #[serde(default)]
    pub designs: BTreeMap<String, Vec<String>>,
}

/// A factor that is combined with others. In a mask its bit is 1 at the baseline's level and 0 at `away`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossed {
    /// Name of the factor.
    pub factor: String,
    /// The level "without it": `off`, or the only one beside the baseline's in one binary.
    pub away: String,
}

fn one() -> u32 {
    1
}

/// A cell that a design asks for and a constraint forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impossible {
    /// Id that the cell would have.
    pub name: String,
    /// The constraint that forbids it.
    pub reason: String,
}

/// A group of workloads that differ in their number of operations only: time = a + b × page faults is fitted over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// Workloads, at least three.
    pub workloads: Vec<String>,
}

/// A claim that the study decides, declared before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// The claim in words.
    pub claim: String,
    /// Workload that it is about.
    pub workload: String,
    /// What is claimed.
    pub kind: HypothesisKind,
}

/// What a hypothesis claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HypothesisKind {
    /// The parts together are a share of the gap to a peer, between `low` and `high` (1 is the whole gap).
    Share {
        /// Name of the peer.
        peer: String,
        /// Parts of the gap: names of factors, `system-calls`, `page-faults`, `residual`.
        of: Vec<String>,
        /// Lower end of the claimed share; minus infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_below")]
        low: f64,
        /// Upper end of the claimed share; infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_above")]
        high: f64,
    },
    /// The response of cell `plus` minus that of cell `minus` lies between `low_ns` and `high_ns`.
    Difference {
        /// Cell id.
        plus: String,
        /// Cell id.
        minus: String,
        /// Lower end, nanoseconds per operation; minus infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_below")]
        low_ns: f64,
        /// Upper end, nanoseconds per operation; infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_above")]
        high_ns: f64,
    },
    /// The cells are in this order, the fastest first.
    Ordering {
        /// Cell ids, at least two.
        cells: Vec<String>,
    },
}

/// JSON has no infinity: it is written as `null`.
fn open_below<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NEG_INFINITY))
}

fn open_above<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// One factor: what proves its levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactorPlan {
    /// Name, equal in the config, the Cargo feature registry and the receipt.
    pub name: String,
    /// Counters `factor.counter` of which at least one must move when the factor works, and all must stay 0 when it is
    /// off or absent.
    pub proof: Vec<String>,
    /// One line for people.
    #[serde(default)]
    pub about: String,
    /// Level that the baseline has.
    #[serde(default = "on")]
    pub baseline: String,
    /// Every level of the study, the baseline's first.
    #[serde(default)]
    pub levels: Vec<String>,
}

fn on() -> String {
    "on".to_owned()
}

/// One workload: arguments of the measured program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadPlan {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// Arguments of the measured program.
    pub args: Vec<String>,
    /// One line for people.
    #[serde(default)]
    pub about: String,
    /// What of a process's latency the effects are about.
    #[serde(default)]
    pub response: LatencyResponse,
    /// Ids of the cells that run with it; empty: all.
    #[serde(default)]
    pub cells: Vec<String>,
}

impl WorkloadPlan {
    /// Whether a cell runs with this workload.
    pub fn runs(&self, cell: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|id| id == cell)
    }
}

/// The one value of a process's latencies that a workload is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyResponse {
    /// 10th percentile: the least disturbed part of a steady run.
    #[default]
    P10,
    /// Mean: every operation counts, for runs whose first operations are the subject.
    Mean,
    /// Wall time of the whole process, seen from outside: for programs that report nothing.
    Wall,
    /// Processor time of the whole process, user and system, seen from outside.
    Cpu,
}

impl LatencyResponse {
    /// Both, for messages about names.
    pub const ALL: [LatencyResponse; 4] =
        [LatencyResponse::P10, LatencyResponse::Mean, LatencyResponse::Wall, LatencyResponse::Cpu];

    /// The name in configs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            LatencyResponse::P10 => "p10",
            LatencyResponse::Mean => "mean",
            LatencyResponse::Wall => "wall",
            LatencyResponse::Cpu => "cpu",
        }
    }

    /// Whether it is measured from outside, for the whole process, and not reported by the program.
    pub fn is_outside(self) -> bool {
        matches!(self, LatencyResponse::Wall | LatencyResponse::Cpu)
    }
}

/// What a cell is compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellKind {
    /// The subject with every factor at its baseline level.
    Baseline,
    /// The baseline once more, with an environment variable that nobody reads, or (arm `feature`) with dead code built
    /// in: its difference is noise.
    Placebo,
    /// The subject with other levels.
    Treatment,
    /// Another program or another allocator.
    Peer,
}

/// How a level is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// By the environment, in one binary.
    Env,
    /// By Cargo features, in another binary.
    Feature,
    /// By arguments, in one binary.
    Args,
}

impl Arm {
    /// The arm's name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Env => "env",
            Arm::Feature => "feature",
            Arm::Args => "args",
        }
    }
}

/// One cell of the design, to be crossed with every workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellPlan {
    /// Unique: `baseline`, `placebo`, `no-bigcache@env`, `no-bigcache@feature`, `peer-mimalloc`.
    pub id: String,
    /// Name for people and for `effects.json`: `no-bigcache`, `mimalloc`.
    pub name: String,
    /// What it is compared as.
    pub kind: CellKind,
    /// How its levels are brought about; absent for baseline, placebo and peers.
    pub arm: Option<Arm>,
    /// The level the receipt must report for each factor; empty for peers.
    pub levels: BTreeMap<String, String>,
    /// `factor.counter` names that must be 0 in this cell although the factor is on (`frozen`: no selections).
    #[serde(default)]
    pub expect_zero: Vec<String>,
    /// Id of the build that it runs.
    pub build: String,
    /// Arguments before those of the workload.
    pub args: Vec<String>,
    /// Environment besides the allow-list.
    pub env: BTreeMap<String, String>,
    /// The name that the measured program must report in `served_by`.
    pub served_by: Option<String>,
}

/// One comparison: `plus − minus` is the effect, positive when the source costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The factor, or the treatment's name when several factors differ.
    pub factor: String,
    /// `on-off`, `on-absent`, `off-absent`, or `<level>-on` for variants, `baseline-<treatment>` for several factors,
    /// `placebo`.
    pub contrast: String,
    /// The arm, `None` for `off-absent` and `placebo`.
    pub arm: Option<Arm>,
    /// Cell with the source at work.
    pub plus: String,
    /// Cell without it.
    pub minus: String,
    /// True for one row of the attribution table (a single factor against the baseline).
    pub attribution: bool,
}

/// One binary that was built, or was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Id that cells refer to.
    pub id: String,
    /// Cargo features it was built with.
    pub features: Vec<String>,
    /// `Ok` path of the binary, or what went wrong with the path of the log.
    pub result: Result<BuiltBinary, BuildFailure>,
    /// The same objects linked in other orders: code layouts 1, 2, … (layout 0 is `result`). Empty when the linker
    /// cannot shuffle or one layout was asked for.
    #[serde(default)]
    pub layouts: Vec<BuiltBinary>,
}

/// A binary that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltBinary {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// A build that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFailure {
    /// First error line of the compiler.
    pub message: String,
    /// Path of the whole log.
    pub log: String,
}

/// The machine as it was when the study started. `None` is shown as `n/a`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Host-independent facts by name, for people: kernel, cpu, cores, memory, thp, aslr, governor, paranoid level,
    /// load, commit, rustc, lock-file hash.
    pub facts: BTreeMap<String, Option<String>>,
}

/// One row of the instrument table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstrumentStatus {
    /// Response name, `instructions`, `page-faults`, `syscalls`, `sys-mmap`.
    pub name: String,
    /// Whether two runs of one process must agree.
    pub exact: bool,
    /// `None` when available, else one line: why not, and what would allow it.
    pub unavailable: Option<String>,
    /// Where the numbers come from: `hardware`, `software`, `tracepoint`, `simulated` (callgrind), `ptrace` (strace),
    /// `kernel` (wait4, vmstat). Numbers of two sources never share a column.
    #[serde(default)]
    pub source: String,
    /// What reading it costs the measured process, in words; empty when unknown.
    #[serde(default)]
    pub cost: String,
}

/// What a process was run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pass {
    /// Nothing attached; latency counts.
    Timing,
    /// Counters attached; latency does not count.
    Counting,
    /// Counters attached, no operation: start-up cost, to be subtracted from [`Pass::Counting`].
    CountingIdle,
    /// Not the subject but the machine: what a page fault and each system call cost, in [`Record::unit_costs_ns`].
    /// Workload and cell are `unit-costs`.
    UnitCosts,
}

/// One line of `records.jsonl`: one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`FORMAT`].
    pub format: u32,
    /// What it was run for.
    pub pass: Pass,
    /// Block (timing) or repeat (counting), from 0.
    pub block: u32,
    /// Position within the block, from 0.
    pub order: u32,
    /// Workload name.
    pub workload: String,
    /// Cell id.
    pub cell: String,
    /// How it ended.
    pub status: Status,
    /// Why it is not `ok`; empty otherwise.
    #[serde(default)]
    pub reason: String,
    /// Wall time of the process in nanoseconds, seen from outside.
    pub wall_ns: u64,
    /// Minor and major page faults of the whole process, from `wait4`.
    pub process_page_faults: u64,
    /// Peak resident bytes of the process, from `wait4`.
    pub process_rss_peak_bytes: u64,
    /// Code layout of the binary, below [`Plan::layouts`].
    #[serde(default)]
    pub layout: u32,
    /// User and system time of the process in nanoseconds, from `wait4`; tick accounting, coarse.
    #[serde(default)]
    pub cpu_ns: u64,
    /// Times that the process was taken off its processor: it waited, it was preempted.
    #[serde(default)]
    pub context_switches: Option<(u64, u64)>,
    /// Clock ticks in which the host gave the processors of this machine to others, while the process ran.
    #[serde(default)]
    pub steal_ticks: Option<u64>,
    /// The contention canary of the runner, just before and just after the process, nanoseconds a step.
    #[serde(default)]
    pub canary_ns: Option<(f64, f64)>,
    /// Counters by instrument name; an instrument that is missing was not available.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Unit costs in nanoseconds, for [`Pass::UnitCosts`]: `page-fault-4k`, `page-fault-huge`, `sys-mmap`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unit_costs_ns: BTreeMap<String, f64>,
    /// What the measured program printed, when it printed a readable line.
    #[serde(default)]
    pub measured: Option<Measured>,
    /// Last 2 KiB of standard error when the run is not `ok`.
    #[serde(default)]
    pub stderr: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Finished, proven.
    Ok,
    /// Finished, but levels, counters, checksum or served-by contradict the plan.
    Void,
    /// The binary could not be built.
    BuildFailed,
    /// Ended by a signal or a non-zero exit.
    Crashed,
    /// Exceeded the time limit; its process group was ended.
    Timeout,
    /// Exit 0 but no readable result line.
    Garbage,
}

/// The line that a measured program prints (docs/format.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Version of this line, 1.
    pub format: u32,
    /// Operations of the measured part.
    pub operations: u64,
    /// Who served the operations, as proven by the program (`hakmem`, `mimalloc`, …).
    #[serde(default)]
    pub served_by: Option<String>,
    /// Level of each factor, as sealed.
    #[serde(default)]
    pub levels: BTreeMap<String, String>,
    /// Activity counters: factor → counter → value.
    #[serde(default)]
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// Equal for all runs of one workload, whoever served it.
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
    /// Page faults of the measured part, as the program saw them.
    #[serde(default)]
    pub page_faults: Option<u64>,
    /// Environment variables that the program refused, with its reason; not empty voids the run.
    #[serde(default)]
    pub env_rejected: Vec<String>,
    /// Nanoseconds per operation of every batch, in their order; empty: only the percentiles are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches_ns: Vec<f32>,
    /// The contention canary before the first batch and after every batch, nanoseconds a step: one more than batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries_ns: Vec<f32>,
    /// What the program itself knows its factors to cost, nanoseconds per operation: the synthetic subject of
    /// `ablate selftest` says it, others do not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub truth_ns: BTreeMap<String, f64>,
}

impl Record {
    /// Value of a response in this run, nanoseconds per operation; `None` when the run does not have it.
    ///
    /// Over all batches, disturbed or not: what the canary says is the analysis's to judge.
    pub fn latency(&self, response: LatencyResponse) -> Option<f64> {
        match response {
            LatencyResponse::P10 => Some(self.measured.as_ref()?.latency_ns_p10),
            LatencyResponse::Mean => Some(self.measured.as_ref()?.latency_ns_mean),
            // Per operation where the program says how many there were.
            LatencyResponse::Wall => Some(self.wall_ns as f64 / self.operations()),
            LatencyResponse::Cpu => Some(self.cpu_ns as f64 / self.operations()),
        }
    }

    /// Operations of the measured part; 1 for a program that does not report them.
    pub fn operations(&self) -> f64 {
        self.measured.as_ref().map_or(1.0, |measured| measured.operations.max(1) as f64)
    }
}
