//! `manifest.json`: what was planned, built and found on the machine.

use crate::plan::StudyPlan;
use crate::shard::Shard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that is needed to read the records of one study. It is written once, before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the manifest ([`crate::FORMAT`]).
    pub format: u32,
    /// Name of the study, from the config.
    pub study: String,
    /// Path of the config as it was given.
    pub config_path: String,
    /// Whole text of the config.
    pub config_text: String,
    /// The command line, one word in each entry.
    pub command: Vec<String>,
    /// Start of the run, seconds since the Unix epoch.
    pub started_unix_s: u64,
    /// Seed of the block orders, the padding and the bootstrap.
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
    /// The machine; of a study on several machines the first of them.
    pub machine: Machine,
    /// The part of the study that this folder has; `None`: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The shards that `cargo ablate merge` joined, by their numbers. Empty: the study was not joined from shards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Shard>,
    /// The machines of the joined shards, which [`Record::machine`](crate::Record::machine) is an index of. Empty: one
    /// machine, [`Manifest::machine`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<StudyMachine>,
    /// Every instrument of the counting runs with its state, in the order of the runner's table.
    pub instruments: Vec<InstrumentStatus>,
}

/// One binary that was to be built or found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Id that cells refer to.
    pub id: String,
    /// Cargo features of the build. Empty for an installed program.
    pub features: Vec<String>,
    /// What else decided the binary, by name: `revision`, `profile`, `opt-level`, `rustflags`, `toolchain`, `compiler`,
    /// variables like `RUSTFLAGS` and `CC`. Empty for an installed program.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Seconds that the build took, with every layout; `None` for an installed program, and for a binary of an earlier
    /// build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The binary of code layout 0, or why there is none.
    pub result: Result<BuiltBinary, BuildFailure>,
    /// Code layouts 1, 2, …: the same objects linked in other orders. Empty when the study has one layout.
    #[serde(default)]
    pub layouts: Vec<BuiltBinary>,
}

/// A binary that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltBinary {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of its bytes, hexadecimal. For an installed program `+` and the hash of each file among its arguments
    /// follow.
    pub sha256: String,
    /// SHA-256 of what is loaded of it when it runs, which its symbols are not part of; `None` for a file that is no
    /// ELF file, and for an installed program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_sha256: Option<String>,
}

impl BuiltBinary {
    /// The hash that is equal for two binaries which run the same code.
    pub fn code(&self) -> &str {
        self.code_sha256.as_deref().unwrap_or(&self.sha256)
    }
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

/// The machine as it was when the study started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Facts for people, by name: kernel, cpu, cores, memory, thp, aslr, governor, perf_event_paranoid, load, commit,
    /// rustc, lock-file-sha256, …. A fact that could not be read is `None`. None of them names the host, a user or an
    /// absolute path.
    pub facts: BTreeMap<String, Option<String>>,
}

/// One of several machines of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyMachine {
    /// What tells it from the others, as [`Shard::machine`].
    pub id: String,
    /// Its facts, as those of [`Machine`].
    pub facts: BTreeMap<String, Option<String>>,
}

/// One row of the instrument table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstrumentStatus {
    /// Key of its counts in [`Record::counts`](crate::Record::counts): `instructions`, `page-faults`, `syscalls`,
    /// `sys-mmap`, ….
    pub name: String,
    /// Whether two runs of one process must have the same count, with address randomisation off.
    pub exact: bool,
    /// `None` when available, else one line: why not, and what would allow it.
    pub unavailable: Option<String>,
    /// Where the numbers come from: `hardware`, `software`, `tracepoint`, `simulated` (callgrind), `ptrace` (strace),
    /// `kernel` (wait4, vmstat). Numbers of two origins never share a column.
    #[serde(default)]
    pub origin: String,
    /// The events that cost the measured process time while it is counted, in words; empty when unknown.
    #[serde(default)]
    pub cost: String,
}
