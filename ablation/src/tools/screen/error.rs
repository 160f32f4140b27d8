//! Why a screening cannot be made.

use crate::benchmarks::BenchmarksError;
use crate::builds::BuildError;
use crate::config::ConfigError;
use crate::report::ReportError;
use crate::store::StoreError;
use crate::study::StudyError;
use crate::support::exit::{ExitStatus, ShellCode};
use std::path::PathBuf;

/// A screening that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScreenError {
    /// There are not enough factors, or too many.
    #[error("{config}: a screening is for 2 to {most} factors, and {there}; {way}")]
    Factors {
        /// The config.
        config: PathBuf,
        /// Most factors.
        most: usize,
        /// How many there are.
        there: String,
        /// What to do.
        way: &'static str,
    },
    /// A factor has not two levels.
    #[error(
        "{config}: factor `{factor}` has {levels}, and a screening needs two levels of each factor; {way}, or name the \
         factors to screen with --factor"
    )]
    Levels {
        /// The config.
        config: PathBuf,
        /// The factor.
        factor: String,
        /// Its levels.
        levels: String,
        /// What to do.
        way: &'static str,
    },
    /// Constraints forbid cells.
    #[error(
        "{config}: {count} of the cells of the {stage} cannot run ({cell}: {reason}), and without them its factors are \
         not told apart; leave one of these factors out: name the others with --factor"
    )]
    Impossible {
        /// The config.
        config: PathBuf,
        /// The stage.
        stage: &'static str,
        /// Number of cells.
        count: usize,
        /// One of them.
        cell: String,
        /// The constraint.
        reason: String,
    },
    /// A cell has no run that counts.
    #[error(
        "{}: cell {cell} has no proven run with workload {workload}, and without it the factors are not told apart: \
         {reason}; correct it, or leave the factor out: name the others with --factor",
        dir.display()
    )]
    Unproven {
        /// The folder of the stage.
        dir: PathBuf,
        /// The cell.
        cell: String,
        /// The workload.
        workload: String,
        /// Why.
        reason: String,
    },
    /// Effects would be given the names of other factors.
    #[error(
        "{}: its manifest has the factors {planned}, and {} beside it names {asked}, so they are of two screenings; put the \
         file of this one back, or start a new one with another --out",
        dir.display(),
        ablate_format::SCREENING
    )]
    OtherFactors {
        /// The folder of the stage.
        dir: PathBuf,
        /// The factors that were asked for.
        asked: String,
        /// Those of the stage.
        planned: String,
    },
    /// Percent of nothing.
    #[error(
        "workload {workload} has values of 0 or less, so the margin in percent has no meaning; choose another response, or \
         leave the workload out"
    )]
    NoBaseline {
        /// The workload.
        workload: String,
    },
    /// The folder to continue has another screening.
    #[error("{}: the screening was started with {before}, and this call has {now}; start a new one with another --out", dir.display())]
    Differs {
        /// The folder.
        dir: PathBuf,
        /// What it was started with.
        before: String,
        /// What the call has.
        now: String,
    },
    /// The folder is of something else.
    #[error("{} is not empty; give another --out, or add --resume to continue the screening in it", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// There is nothing to continue.
    #[error("{} holds no screening ({} is missing); leave --resume out to start one", dir.display(), ablate_format::SCREENING)]
    NoScreening {
        /// The folder.
        dir: PathBuf,
    },
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The benchmarks of a harness.
    #[error(transparent)]
    Benchmarks(#[from] BenchmarksError),
    /// The builds.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A stage.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The folder of a stage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The report of a stage.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file of the screening.
    #[error("{}: {doing} failed: {source}; make room or permit it", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ExitStatus for ScreenError {
    fn exit(&self) -> ShellCode {
        match self {
            ScreenError::Config(error) => error.exit(),
            ScreenError::Benchmarks(error) => error.exit(),
            ScreenError::Build(error) => error.exit(),
            ScreenError::Study(error) => error.exit(),
            ScreenError::Store(error) => error.exit(),
            ScreenError::Unproven { .. } | ScreenError::Io { .. } | ScreenError::Report(_) => ShellCode::BadRuns,
            _ => ShellCode::WrongCall,
        }
    }
}
