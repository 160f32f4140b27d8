//! Why there is no history.

use crate::store::StoreError;
use crate::support::exit::{ExitStatus, ShellCode};
use ablate_stats::MIN_BLOCKS;
use std::path::PathBuf;

/// A history that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// A folder that is none of a study, or cannot be read.
    #[error(transparent)]
    Folder(#[from] StoreError),
    /// The file of results does not exist.
    #[error("{file} does not exist; `cargo ablate history --file {file} --add DIR` begins it")]
    NoFile {
        /// The file.
        file: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}; permit it or make room; nothing that was there is changed")]
    Io {
        /// The file.
        path: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A result that cannot be written as a line.
    #[error("{dir}: its results cannot be encoded: {source}; please report this")]
    Encode {
        /// The folder.
        dir: PathBuf,
        /// The encoder's message.
        source: serde_json::Error,
    },
    /// A study that still runs: its result would stay as it is now.
    #[error("a study is still running in {dir}; add its result when it has ended")]
    Running {
        /// The folder.
        dir: PathBuf,
    },
    /// A study that was interrupted: its values would be kept for good.
    #[error(
        "{dir} is not finished: {there} of {planned} planned runs have records; continue it with `cargo ablate run … --resume`"
    )]
    Unfinished {
        /// The folder.
        dir: PathBuf,
        /// Runs that have records.
        there: usize,
        /// Runs that are planned.
        planned: usize,
    },
    /// A shard of a study, whose other shards are the same run.
    #[error("{dir} has one shard of a study; join all of them with `cargo ablate merge`, and add what that writes")]
    Shard {
        /// The folder.
        dir: PathBuf,
    },
    /// A folder in which nothing is measured.
    #[error(
        "{dir} has no proven value of {MIN_BLOCKS} blocks or more, so there is nothing to add; run its study with more blocks"
    )]
    Empty {
        /// The folder.
        dir: PathBuf,
    },
}

impl ExitStatus for HistoryError {
    fn exit(&self) -> ShellCode {
        match self {
            HistoryError::Folder(error) => error.exit(),
            HistoryError::NoFile { .. }
            | HistoryError::Running { .. }
            | HistoryError::Unfinished { .. }
            | HistoryError::Shard { .. }
            | HistoryError::Empty { .. } => ShellCode::WrongCall,
            HistoryError::Io { .. } | HistoryError::Encode { .. } => ShellCode::BadRuns,
        }
    }
}
