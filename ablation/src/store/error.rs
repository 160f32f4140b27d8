//! Errors of a study's folder.

use crate::support::exit::{ExitStatus, ShellCode};
use ablate_format::{MANIFEST, RECORDS, REPORT, ReadError, SCREENING};
use std::io;
use std::path::{Path, PathBuf};

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The folder is not empty.
    #[error("{dir} is not empty; give another --out, or add --resume to continue the study in it")]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// Another runner has the folder.
    #[error("{dir} is in use by another ablate; wait for it or give another --out")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The path is that of a file, or is empty.
    #[error("--out `{dir}` is not a folder; give the name of a new or empty folder")]
    BadOut {
        /// The path.
        dir: PathBuf,
    },
    /// The path is that of a file.
    #[error("{dir} is not a folder of a study; give the folder that `cargo ablate run` named")]
    NotAFolder {
        /// The path.
        dir: PathBuf,
    },
    /// There is no study in the folder.
    #[error("{dir} holds no study ({MANIFEST} is missing); give the folder that `cargo ablate run` named")]
    NoStudy {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is that of a screening.
    #[error(
        "{dir} is a screening, whose stages are studies of their own ({MANIFEST} is in their folders): give {stage}, or \
         `cargo ablate report {dir}` for both"
    )]
    Screening {
        /// The folder.
        dir: PathBuf,
        /// The folder of its last stage that has begun.
        stage: PathBuf,
    },
    /// A runner has the folder, and has written no manifest yet.
    #[error(
        "{dir}: the study is still being built and checked, so nothing is known yet; call again after its first runs"
    )]
    NotYet {
        /// The folder.
        dir: PathBuf,
    },
    /// A runner that was ended left the folder without a manifest.
    #[error(
        "{dir} holds no study yet ({MANIFEST} is missing): it was ended while it was built and checked; make the \
         same call again with --out and --resume"
    )]
    Ended {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder has reports and no records, so that a new report would be empty.
    #[error(
        "{dir} has reports and no {RECORDS}, or an empty one: the records were left out when the study was archived, or \
         are lost; read its {REPORT}, or give the folder that `cargo ablate run` named"
    )]
    NoRecords {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest is damaged, or of a version that is not read.
    #[error(transparent)]
    Unreadable(ReadError),
    /// The folder has another study than the one to resume.
    #[error("{dir} cannot be resumed: {what}; start a new study with another --out")]
    Differs {
        /// The folder.
        dir: PathBuf,
        /// The difference.
        what: String,
    },
    /// No space is left.
    #[error(
        "{path}: the disk, a quota or the largest size of a file is used up; earlier records are safe: make room and add \
         --resume"
    )]
    Full {
        /// The file being written.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> StoreError {
        match error {
            ReadError::NotAFolder { dir } => StoreError::NotAFolder { dir },
            ReadError::Missing { path } => StoreError::no_study(path.parent().unwrap_or(&path)),
            ReadError::Io { path, source } => StoreError::io(&path, "reading", source),
            other => StoreError::Unreadable(other),
        }
    }
}

impl StoreError {
    /// There is no study in the folder itself; that of a screening has two of them in folders of their own.
    pub(super) fn no_study(dir: &Path) -> StoreError {
        let dir = dir.to_owned();
        if !dir.join(SCREENING).is_file() {
            return StoreError::NoStudy { dir };
        }
        let stages = ["clean", "screen"].map(|stage| dir.join(stage));
        let begun = stages.iter().find(|stage| stage.join(MANIFEST).is_file()).cloned();
        StoreError::Screening { stage: begun.unwrap_or_else(|| stages[1].clone()), dir }
    }

    /// Whether the call has to be changed (exit code 2), and not the machine.
    pub(crate) fn is_usage(&self) -> bool {
        !matches!(self, StoreError::NotYet { .. } | StoreError::Full { .. } | StoreError::Io { .. })
    }

    pub(super) fn io(path: &Path, doing: &'static str, source: io::Error) -> StoreError {
        let path = path.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => StoreError::Full { path },
            _ => StoreError::Io { path, doing, source },
        }
    }
}

impl ExitStatus for StoreError {
    fn exit(&self) -> ShellCode {
        if self.is_usage() { ShellCode::WrongCall } else { ShellCode::BadRuns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let error = StoreError::io(Path::new("records.jsonl"), "writing", full);
        assert!(matches!(error, StoreError::Full { .. }) && !error.is_usage());
        assert!(error.to_string().contains("--resume"), "{error}");
    }
}
