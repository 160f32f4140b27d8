//! Why a bundle cannot be made or used.

use crate::builds::BuildError;
use crate::support::exit::{ExitStatus, ShellCode};
use std::path::PathBuf;

/// A folder of binaries that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// The folder has no index.
    #[error(
        "{dir} holds no binaries of `cargo ablate build`: index.json is missing, or the build was interrupted; make them \
         with `cargo ablate build CONFIG --out DIR`"
    )]
    NoIndex {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is not empty.
    #[error("{dir} is not empty; give the name of a new folder, or remove it first")]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// The index is of a later version.
    #[error("{dir}/index.json is written in format {format}, and this ablate reads 1; use the ablate that built it")]
    Version {
        /// The folder.
        dir: PathBuf,
        /// The version.
        format: u32,
    },
    /// A file is not what was built.
    #[error("{path} {why}; copy the bundle again, or build it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The binaries belong to something else.
    #[error("{dir} does not belong to this study: {what}; build the bundle again from this config and these sources")]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// The first difference.
        what: String,
    },
    /// This machine cannot run the binaries as they were meant.
    #[error("{dir} cannot be used on this machine: {what}")]
    OtherMachine {
        /// The folder.
        dir: PathBuf,
        /// What this machine lacks, and the way out.
        what: String,
    },
    /// A study whose binaries alone are not enough.
    #[error("{config}: {what}, so its binaries cannot be built apart from it; run it without --builds")]
    Unsupported {
        /// The config.
        config: PathBuf,
        /// What else it needs.
        what: &'static str,
    },
    /// What is not in a bundle cannot be found, or the system refused.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl ExitStatus for BundleError {
    fn exit(&self) -> ShellCode {
        match self {
            BundleError::Build(error) => error.exit(),
            _ => ShellCode::WrongCall,
        }
    }
}
