//! `manifest.json`: what was planned, built and found on the machine, written once before the first run.

use crate::plan::StudyPlan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything needed to read the records of one study, written once before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the manifest ([`crate::FORMAT`]).
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
    pub plan: StudyPlan,
    /// One entry for each distinct binary.
    pub builds: Vec<BuildRecord>,
    /// Libraries that peers preload.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// The machine.
    pub machine: Machine,
    /// Every counting instrument with its state; what could not be had says why.
    pub instruments: Vec<InstrumentStatus>,
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

/// A library that a peer preloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// Name of the peer.
    pub peer: String,
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
    /// `kernel` (wait4, vmstat). Numbers of two origins never share a column.
    #[serde(default)]
    pub origin: String,
    /// What reading it costs the measured process, in words; empty when unknown.
    #[serde(default)]
    pub cost: String,
}
