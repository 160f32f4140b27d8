//! Why there is no study.

use super::place::Pointed;
use crate::support::exit::{ExitStatus, ShellCode};

/// Longest config that is read; a larger file is no config.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// Why there is no study.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error(
        "{path}: cannot read the config: {source}; give the path of a study, like `cargo ablate run configs/NAME.toml`"
    )]
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
    /// Somebody asked for a workload that it does not have.
    #[error("{path} has no workload `{name}`{hint}")]
    NoWorkload {
        /// Path as it was given.
        path: String,
        /// What was asked for.
        name: String,
        /// What was probably meant.
        hint: String,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    Invalid(#[from] Box<Pointed>),
}

impl ExitStatus for ConfigError {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}
