//! The study as it is written down: strict TOML in, a validated [`Study`] out.
//!
//! What leaves this module is consistent: every name refers to something, every level exists, every environment
//! name can be passed to a process. Every error points at `path:line:column`, shows the line and says what to do.
//! What the study means (cells, contrasts, builds) is left to [`crate::design`].

mod check;
mod levels;
mod names;
mod place;
mod raw;

pub(crate) use names::nearest;
pub use place::Pointed;

use crate::record::{Arm, LatencyResponse};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest config that is read; a larger file is no config.
const MAX_BYTES: u64 = 1 << 20;

/// A validated study.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Path of the config as it was given.
    pub path: PathBuf,
    /// Whole text of the config.
    pub text: String,
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Seed of the block orders, the padding and the bootstrap.
    pub seed: u64,
    /// Timing blocks, 1 to 10000.
    pub blocks: u32,
    /// How often each cell is counted with each workload.
    pub counting_repeats: u32,
    /// How levels are brought about, in the order of the config.
    pub arms: Vec<Arm>,
    /// Designs, in the order of the config.
    pub designs: Vec<DesignKind>,
    /// Time limit of one process.
    pub timeout: Duration,
    /// Name of the peer that shares of the gap refer to.
    pub reference_peer: Option<String>,
    /// What is built and run.
    pub subject: Subject,
    /// Overhead sources.
    pub factors: Vec<Factor>,
    /// Treatments of the design `explicit`.
    pub treatments: Vec<Treatment>,
    /// Workloads, at least one.
    pub workloads: Vec<Workload>,
    /// Other ways to serve the same workloads.
    pub peers: Vec<Peer>,
}

/// Which treatments a study has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesignKind {
    /// Those of the `[[treatment]]` tables.
    Explicit,
    /// `no-<factor>` for each factor.
    LeaveOneOut,
    /// `none`, and `only-<factor>` for each factor.
    AddOneIn,
    /// Every combination of on and off, in the env arm.
    Factorial,
}

impl DesignKind {
    /// All designs with their names in the config.
    pub const NAMES: [(&'static str, DesignKind); 4] = [
        ("explicit", DesignKind::Explicit),
        ("leave-one-out", DesignKind::LeaveOneOut),
        ("add-one-in", DesignKind::AddOneIn),
        ("factorial", DesignKind::Factorial),
    ];
}

/// The measured program and how it is built.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Cargo package.
    pub package: String,
    /// Its binary.
    pub binary: String,
    /// Path of a `Cargo.toml` of its workspace; exists.
    pub manifest: PathBuf,
    /// Cargo profile.
    pub profile: String,
    /// Cargo features built in besides those of the factors.
    pub features: Vec<String>,
    /// Arguments before those of the workload.
    pub args: Vec<String>,
    /// Arguments of both counting passes, after those of the workload and before `idle_args`.
    pub counting_args: Vec<String>,
    /// Arguments that make a run do no operation, appended last; `None`: start-up cost is not counted apart.
    pub idle_args: Option<Vec<String>>,
    /// What `served_by` must say.
    pub served_by: Option<String>,
    /// Names that are passed on from the runner's environment.
    pub allow_env: Vec<String>,
    /// Environment of every cell.
    pub env: BTreeMap<String, String>,
}

/// One overhead source.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// The Cargo feature without which the factor is `absent`.
    pub feature: Option<String>,
    /// Counters `factor.counter` that prove it; at least one.
    pub proof: Vec<String>,
    /// Level → environment; has `on`, and `off` when the study has the env arm.
    pub levels: BTreeMap<String, BTreeMap<String, String>>,
}

/// Levels that differ from the baseline, under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Factor → level; factors that are not named are `on`.
    pub levels: BTreeMap<String, String>,
    /// Counters `factor.counter` that must be 0.
    pub expect_zero: Vec<String>,
}

/// Arguments of the measured program under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Arguments after those of the cell.
    pub args: Vec<String>,
    /// Whether the process is bound to one processor.
    pub pin: bool,
    /// What of a process's latency the effects are about.
    pub response: LatencyResponse,
}

/// Another way to serve the workloads, in the baseline binary.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// Arguments before those of the workload.
    pub args: Vec<String>,
    /// What `served_by` must say.
    pub served_by: Option<String>,
}

/// Why there is no study.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot read the config: {source}; give the path of a study, like `ablate run configs/NAME.toml`")]
    Unreadable {
        /// Path as it was given.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is far too large.
    #[error("{path}: {bytes} bytes are too many for a config (limit {MAX_BYTES}); give the path of a TOML study")]
    TooLarge {
        /// Path as it was given.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    Invalid(#[from] Box<Pointed>),
}

/// Reads and validates a study.
///
/// # Errors
/// [`ConfigError`], pointing at the line where there is one.
pub fn load(path: &Path) -> Result<Study, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.display().to_string(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.display().to_string(), bytes });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    parse(path, &bytes)
}

/// Validates the bytes of a config; `path` is used in messages and to find the manifest.
///
/// # Errors
/// [`ConfigError::Invalid`], pointing at the line.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Study, ConfigError> {
    let shown = path.display().to_string();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let readable = String::from_utf8_lossy(bytes);
            let at = e.valid_up_to();
            let message = "this byte is not UTF-8; save the file as UTF-8".to_owned();
            return Err(Pointed::new(&shown, &readable, at..at + 1, message).into());
        }
    };
    if text.starts_with('\u{feff}') {
        let message = "the file starts with a byte order mark; save it as UTF-8 without BOM".to_owned();
        return Err(Pointed::new(&shown, text, 0..0, message).into());
    }
    let raw: raw::Study = toml::from_str(text).map_err(|e| {
        let span = e.span().unwrap_or(0..0);
        Pointed::new(&shown, text, span, names::reword(e.message()))
    })?;
    Ok(check::check(path, text, raw)?)
}

#[cfg(test)]
pub(crate) mod tests;
