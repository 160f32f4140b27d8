//! Why folders cannot be compared.

use crate::store::StoreError;
use crate::support::exit::{ExitStatus, ShellCode};
use std::path::PathBuf;

/// A comparison that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    /// A folder that is none of a study, or cannot be read.
    #[error(transparent)]
    Folder(#[from] StoreError),
    /// One folder is named twice.
    #[error("{dir} is named twice, so there is nothing to compare it with; name two different folders of results")]
    Twice {
        /// The folder.
        dir: PathBuf,
    },
    /// No cell and no factor of one folder is in the other.
    #[error(
        "{new} has no workload with a cell or a factor of {old} ({why}); compare two results of one study, or of studies that \
         name their workloads alike"
    )]
    NothingInCommon {
        /// The base.
        old: PathBuf,
        /// The other folder.
        new: PathBuf,
        /// What both have instead.
        why: String,
    },
}

impl ExitStatus for CompareError {
    fn exit(&self) -> ShellCode {
        match self {
            CompareError::Folder(error) => error.exit(),
            CompareError::Twice { .. } => ShellCode::WrongCall,
            CompareError::NothingInCommon { .. } => ShellCode::BadRuns,
        }
    }
}
