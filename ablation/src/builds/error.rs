//! Why there are no binaries.

use crate::config::Diagnostic;
use crate::support::exit::{ExitStatus, ShellCode};
use std::io;
use std::path::{Path, PathBuf};

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// Cargo cannot be started.
    #[error("cannot run cargo: {source}; install Rust, or put cargo on the PATH")]
    NoCargo {
        /// What the system said.
        source: io::Error,
    },
    /// Cargo does not understand the manifest.
    #[error("{manifest}: cargo cannot read this workspace: {message}; correct it, or `manifest` in the config")]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// What cargo said first.
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
        /// What cargo said first.
        message: String,
    },
    /// The config names a package or a binary that is not there.
    #[error(
        "{manifest}: there is no {what} in this workspace{hint}; correct `package`, `binary` or `manifest` in the config"
    )]
    Unknown {
        /// The manifest.
        manifest: PathBuf,
        /// What is missing.
        what: String,
        /// The nearest that is there.
        hint: String,
    },
    /// The config names a feature, profile or program that is not there.
    #[error(transparent)]
    Config(#[from] Box<Diagnostic>),
    /// The build that everything is compared with failed.
    #[error("the baseline build `{id}` failed, so there is nothing to compare: {message}\nthe whole log: {log}")]
    Baseline {
        /// The build.
        id: String,
        /// First error line.
        message: String,
        /// Path of the log.
        log: String,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Ctrl-C was pressed.
    #[error("interrupted while building; nothing was measured yet")]
    Interrupted,
}

impl BuildError {
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
            BuildError::NoCargo { .. } | BuildError::Baseline { .. } | BuildError::Io { .. } => ShellCode::BadRuns,
            BuildError::Interrupted => ShellCode::Interrupted,
        }
    }
}
