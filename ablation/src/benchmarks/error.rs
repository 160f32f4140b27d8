//! Errors of listing benchmarks.

use crate::builds::BuildError;
use crate::config::ConfigError;
use crate::run::process::ProcessError;
use crate::support::exit::{ExitStatus, ShellCode};
use std::io;

/// Benchmarks that cannot be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchmarksError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The baseline.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The process cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The harness told no list.
    #[error(
        "{program}: {harness} lists no benchmarks: {why}; run `{command}` by hand, or correct `harness` in the config"
    )]
    Failed {
        /// The program.
        program: String,
        /// Name of the harness.
        harness: &'static str,
        /// What happened.
        why: String,
        /// The command that was run.
        command: String,
    },
    /// There is nothing to run.
    #[error("{config}: {what}")]
    Nothing {
        /// The config.
        config: String,
        /// What is missing, and what to write.
        what: String,
    },
    /// The filter leaves no benchmark.
    #[error("{config}: no benchmark matches filter `{filter}`; there are {there}")]
    NoMatch {
        /// The config.
        config: String,
        /// The regular expression.
        filter: String,
        /// Ids of the baseline.
        there: String,
    },
    /// A file or folder cannot be used.
    #[error("cannot prepare a folder for the list of benchmarks: {source}; free space, or set TMPDIR")]
    Io {
        /// The system's error.
        source: io::Error,
    },
    /// Ctrl-C was pressed.
    #[error("interrupted while listing benchmarks; nothing was measured yet")]
    Interrupted,
}

impl ExitStatus for BenchmarksError {
    fn exit(&self) -> ShellCode {
        match self {
            BenchmarksError::Config(error) => error.exit(),
            BenchmarksError::Build(error) => error.exit(),
            BenchmarksError::Process(error) => error.exit(),
            BenchmarksError::Nothing { .. } | BenchmarksError::NoMatch { .. } => ShellCode::WrongCall,
            BenchmarksError::Failed { .. } | BenchmarksError::Io { .. } => ShellCode::BadRuns,
            BenchmarksError::Interrupted => ShellCode::Interrupted,
        }
    }
}
