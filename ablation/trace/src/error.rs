//! Why a trace cannot be written or read.

use std::path::PathBuf;

/// Why a trace cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The system refused.
    #[error("{path}: {doing} failed: {source}")]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another kind of file.
    #[error("{path}: this is no trace; a trace is made by `trace record` or `trace convert`")]
    NotATrace {
        /// The file.
        path: PathBuf,
    },
    /// A later or earlier format.
    #[error(
        "{path}: the trace has format {version}, and this program reads format {}; take the program that made it",
        crate::header::VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The format that the file names.
        version: u32,
    },
    /// The head is not whole.
    #[error("{path}: the head of the trace is damaged ({what}); take another copy of the file, or record it again")]
    Head {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Operations contradict each other.
    #[error(
        "thread {thread}, operation {operation}: {what}; the trace is damaged: take another copy, or record it again"
    )]
    Damaged {
        /// The thread's number.
        thread: u32,
        /// The number of the operation within the thread.
        operation: u64,
        /// What is wrong.
        what: String,
    },
    /// A thread that the trace does not have.
    #[error("the trace has no thread {thread}; its threads are numbered from 0 to {}", .threads.saturating_sub(1))]
    NoThread {
        /// The number that was asked for.
        thread: u32,
        /// How many threads there are.
        threads: usize,
    },
    /// The builder was asked for what a trace cannot have.
    #[error("a trace cannot have this: {what}")]
    Contradiction {
        /// What is wrong.
        what: String,
    },
}

impl TraceError {
    /// For `map_err` of a call of the system.
    pub(crate) fn system(path: &std::path::Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> TraceError {
        let path = path.to_owned();
        move |source| TraceError::System { path, doing, source }
    }
}
