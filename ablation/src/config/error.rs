//! Errors of reading a study.

use super::diagnostic::Diagnostic;
use crate::support::exit::{ExitStatus, ShellCode};

/// Longest config that is read, in bytes. A larger file is not a config.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// A study that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error(
        "{path}: cannot read the config: {source}; {near}give the path of a study, like `cargo ablate run configs/NAME.toml`"
    )]
    Unreadable {
        /// Path as it was given.
        path: String,
        /// The system's error.
        source: std::io::Error,
        /// A question for the file that may be meant, or nothing.
        near: String,
    },
    /// The file is far too large.
    #[error("{path}: {bytes} bytes are too many for a config (limit {MAX_BYTES}); give the path of a TOML study")]
    TooLarge {
        /// Path as it was given.
        path: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// An option names a workload, a factor or a cell that the study does not have.
    #[error("{path} has no {what} `{name}`{hint}")]
    NotThere {
        /// Path as it was given.
        path: String,
        /// What is missing: `workload`, `factor`, `cell`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The nearest name, or all names, after `; `.
        hint: String,
    },
    /// The file has a mistake.
    #[error(transparent)]
    Invalid(#[from] Box<Diagnostic>),
}

impl ExitStatus for ConfigError {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}
