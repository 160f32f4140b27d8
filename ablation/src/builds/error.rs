//! Errors of building.

use crate::config::Diagnostic;
use crate::support::exit::{ExitStatus, ShellCode};
use std::io;
use std::path::{Path, PathBuf};

/// A program that cannot be built or found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// Cargo cannot be started.
    #[error("cannot run cargo: {source}; install Rust, or put cargo on the PATH")]
    NoCargo {
        /// The system's error.
        source: io::Error,
    },
    /// Cargo cannot read the manifest.
    #[error("{manifest}: cargo cannot read this workspace: {message}; correct it, or `manifest` in the config")]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// First error line of cargo.
        message: String,
    },
    /// Cargo cannot get a package of the registry.
    #[error(
        "cannot fetch {name} {version} from the registry: {message}; correct `package` and `version` (a whole version, \
         like 1.2.3; `cargo info {name}` tells which there are), or see that the registry can be reached"
    )]
    Fetch {
        /// The package.
        name: String,
        /// Its version.
        version: String,
        /// First error line of cargo.
        message: String,
    },
    /// The config names a package or a binary that does not exist.
    #[error(
        "{manifest}: there is no {what} in this workspace; correct `package`, `binary`, `bench` or `manifest` in \
         the config{hint}"
    )]
    Unknown {
        /// The manifest.
        manifest: PathBuf,
        /// What is missing.
        what: String,
        /// The nearest name, or all names, after `; `.
        hint: String,
    },
    /// The config names a feature, profile or program that does not exist.
    #[error(transparent)]
    Config(#[from] Box<Diagnostic>),
    /// The build that everything is compared with failed.
    #[error(
        "the baseline build `{id}` failed, so there is nothing to compare: {message}\n\
         read the whole log and correct the build: {log}"
    )]
    Baseline {
        /// The build.
        id: String,
        /// First error line.
        message: String,
        /// Path of the log.
        log: String,
    },
    /// Git refuses a step.
    #[error("{folder}: git failed: {message}; see that git is installed, and that its command works in that folder")]
    Git {
        /// The folder of the repository.
        folder: PathBuf,
        /// First error line of git.
        message: String,
    },
    /// A file or folder cannot be used.
    #[error("{path}: {doing} failed: {source}; free space, or permit it")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Ctrl-C was pressed.
    #[error("interrupted while building; call it again")]
    Interrupted,
}

impl BuildError {
    /// [`BuildError::Io`] of a failed step, from the system's error.
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> BuildError {
        let path = path.to_owned();
        move |source| BuildError::Io { path, doing, source }
    }
}

impl ExitStatus for BuildError {
    fn exit(&self) -> ShellCode {
        match self {
            BuildError::Manifest { .. }
            | BuildError::Unknown { .. }
            | BuildError::Config(_)
            | BuildError::Fetch { .. } => ShellCode::WrongCall,
            BuildError::NoCargo { .. }
            | BuildError::Baseline { .. }
            | BuildError::Git { .. }
            | BuildError::Io { .. } => ShellCode::BadRuns,
            BuildError::Interrupted => ShellCode::Interrupted,
        }
    }
}
