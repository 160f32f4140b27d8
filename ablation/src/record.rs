//! The values that are kept: what was planned (`manifest.json`) and what every process did (`records.jsonl`).
//!
//! Both files are versioned and documented in docs/format.md. Nothing here computes anything; the stages that write
//! and read these values do.

use serde::{Deserialize, Serialize};
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
}

impl LatencyResponse {
    /// Both, for messages about names.
    pub const ALL: [LatencyResponse; 2] = [LatencyResponse::P10, LatencyResponse::Mean];

    /// The name in configs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            LatencyResponse::P10 => "p10",
            LatencyResponse::Mean => "mean",
        }
    }

    /// Its value in a run, nanoseconds per operation.
    pub fn of(self, measured: &Measured) -> f64 {
        match self {
            LatencyResponse::P10 => measured.latency_ns_p10,
            LatencyResponse::Mean => measured.latency_ns_mean,
        }
    }
}

/// What a cell is compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellKind {
    /// The subject with every factor at its baseline level.
    Baseline,
    /// The baseline once more, with an environment variable that nobody reads: its difference is noise.
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
}

impl Arm {
    /// The arm's name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Env => "env",
            Arm::Feature => "feature",
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
    /// Counters by instrument name; an instrument that is missing was not available.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
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
}
