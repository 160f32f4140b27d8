//! Why a call is refused, with the way out.

use std::path::PathBuf;

/// A call that starts no program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// Variables that the allocator does not know, or does not take.
    #[error("{}", .0.join("\nhakmem: "))]
    Variables(Vec<String>),
    /// No library at any of the usual places.
    #[error(
        "libhakmem.so is not found in {}; build it with `cargo preload`, install it with `just install PREFIX`, or name it with --library", folders(.0)
    )]
    NoLibrary(Vec<PathBuf>),
    /// The named library is none.
    #[error("the library {0} cannot be used: {1}")]
    Library(String, String),
    /// No program of this name.
    #[error("{0}: no such program; {1}")]
    NoProgram(String, &'static str),
    /// The program could not be started.
    #[error("{0} cannot be started: {1}")]
    Start(String, std::io::Error),
    /// The summary's file could not be written.
    #[error("the summary cannot be written to {0}: {1}")]
    Output(String, std::io::Error),
}

impl Error {
    /// The exit code, as `env` and shells have it: 127 for no program, 126 for one that cannot be started, 2 for the rest.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Error::NoProgram(..) => 127,
            Error::Start(..) => 126,
            Error::Usage(_) | Error::Variables(_) | Error::NoLibrary(_) | Error::Library(..) | Error::Output(..) => 2,
        }
    }
}

fn folders(searched: &[PathBuf]) -> String {
    let names: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}
