//! Why two revisions cannot be compared.

use crate::benchmarks::BenchmarksError;
use crate::builds::BuildError;
use crate::config::ConfigError;
use crate::store::StoreError;
use crate::study::StudyError;
use crate::support::exit::{ExitStatus, ShellCode};
use std::path::{Path, PathBuf};

/// A comparison that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiffError {
    /// The current folder does not exist any more.
    #[error("the current folder cannot be found: {0}; change to a folder that exists")]
    Nowhere(std::io::Error),
    /// There is no package here.
    #[error(
        "there is no Cargo.toml in this folder or above it; change to a package, or name a study of any program with \
         --config STUDY.toml"
    )]
    NoPackage,
    /// The sources are in no repository.
    #[error(
        "{folder}: git has no repository here, so there are no revisions to compare: {reason}; correct what git says, or \
         change to a repository"
    )]
    NoRepository {
        /// The folder.
        folder: PathBuf,
        /// What git says.
        reason: String,
    },
    /// There are no two commits.
    #[error(
        "there is nothing to compare with: this repository has one commit and no changes; name two revisions, or fetch the \
         history of a shallow clone: git fetch --unshallow"
    )]
    NoCommit,
    /// There is no commit at all.
    #[error("HEAD has no commit yet, so there is nothing to compare; commit the files first, and then change them")]
    NothingCommitted,
    /// Two revisions without a merge base.
    #[error(
        "`{one}` and `{other}` have no common ancestor, so there is no place where one left the other; `{one}..{other}` \
         compares them directly, and git fetch --unshallow fetches the history of a shallow clone"
    )]
    NoAncestor {
        /// One revision.
        one: String,
        /// The other one.
        other: String,
    },
    /// A revision lacks what is compared.
    #[error("{what} is not in {revision}: {way}")]
    NotInRevision {
        /// What is missing.
        what: String,
        /// The revision, for people.
        revision: String,
        /// What is there, and what to do.
        way: String,
    },
    /// The folder that is continued has other revisions.
    #[error(
        "{dir} compares {began}, and this call asks for {asked}; give another --out, or leave the revisions out to \
         continue with those of the folder"
    )]
    OtherRevisions {
        /// The folder.
        dir: PathBuf,
        /// Head and base of the folder.
        began: String,
        /// Head and base of the call.
        asked: String,
    },
    /// A mistake in an option.
    #[error("{option}{message}")]
    Option {
        /// The option and a colon; empty where it is not known.
        option: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A benchmark target without benchmarks.
    #[error("benchmark target `{bench}` lists no benchmark in the base; add one there, or name another with --bench")]
    NoBenchmarks {
        /// The target.
        bench: String,
    },
    /// A name that does not exist.
    #[error("there is no {what}{hint}")]
    Unknown {
        /// What is missing.
        what: String,
        /// The nearest name, or all names, after `; `.
        hint: String,
    },
    /// The workspace has several packages.
    #[error("this workspace has several packages; name one with --package, or change to its folder: {names}")]
    WhichPackage {
        /// The packages.
        names: String,
    },
    /// The package has several binaries.
    #[error("this package has no benchmarks and several binaries; name one with --bin: {names}")]
    WhichBinary {
        /// The binaries.
        names: String,
    },
    /// The package has several benchmark targets, and one is needed.
    #[error("this package has several benchmark targets; name one with --bench: {names}")]
    WhichBench {
        /// The targets.
        names: String,
    },
    /// An option that the rest of the call leaves without effect.
    #[error("{option} has no effect here: {why}; {way}")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// Why it has none.
        why: String,
        /// What to do instead.
        way: &'static str,
    },
    /// The binary failed, and was given no arguments.
    #[error(
        "{error}\nbinary `{binary}` was run without arguments; if it needs some, give them after `--`: {call} -- ARGS"
    )]
    NoArguments {
        /// The binary.
        binary: String,
        /// The call, to be completed.
        call: String,
        /// How it failed.
        error: Box<StudyError>,
    },
    /// The commits are not in this order.
    #[error("`{good}` is not a commit before `{bad}`; give the older one first")]
    NotBefore {
        /// The commit that should be older.
        good: String,
        /// The other one.
        bad: String,
    },
    /// The package has nothing that can be run.
    #[error(
        "package `{package}` has neither benchmarks nor a binary; {}add a benchmark (criterion, divan), or write a study \
         with a `command` and name it with --config",
        named(others)
    )]
    NothingToRun {
        /// The package.
        package: String,
        /// Packages of the workspace that have one.
        others: Vec<String>,
    },
    /// A benchmark target whose harness is not known.
    #[error(
        "the harness of benchmark `{bench}` is not known: it uses none of criterion, divan, libtest, iai and gungraun; \
         name another target with --bench, or write a study with --config"
    )]
    UnknownHarness {
        /// The target.
        bench: String,
    },
    /// The subject is not built from sources.
    #[error("{config}: its subject is not built here, so it has no revisions; it needs `package` or [subject.build]")]
    NotBuilt {
        /// The config.
        config: PathBuf,
    },
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The builds, or git.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that was asked for.
    #[error("cannot write `{}`: {source}; make room or permit writing", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The other packages that can be named, as the beginning of a way out.
fn named(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!("name another with --package ({}), ", others.join(", ")) }
}

impl DiffError {
    /// The error of a build, also of one that was made to list benchmarks.
    pub(super) fn build(&self) -> Option<&BuildError> {
        match self {
            DiffError::Build(error)
            | DiffError::Study(StudyError::Build(error) | StudyError::Benchmarks(BenchmarksError::Build(error))) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// Whether Ctrl-C ended a build.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted_in().is_some() || matches!(self.build(), Some(BuildError::Interrupted))
    }

    /// The folder of the study whose builds Ctrl-C ended.
    pub(super) fn interrupted_in(&self) -> Option<&Path> {
        match self {
            DiffError::Study(StudyError::Interrupted { dir, .. }) => Some(dir),
            _ => None,
        }
    }

    /// Whether the filter leaves no benchmark of the base.
    pub(super) fn is_no_match(&self) -> bool {
        matches!(self, DiffError::Study(StudyError::Benchmarks(BenchmarksError::NoMatch { .. })))
    }

    /// Whether a revision could not be built or run, which says nothing of its speed.
    pub(crate) fn is_of_a_revision(&self) -> bool {
        let benchmarks =
            |error: &BenchmarksError| matches!(error, BenchmarksError::Failed { .. } | BenchmarksError::Nothing { .. });
        match self {
            DiffError::Study(StudyError::Preflight(_))
            | DiffError::NoArguments { .. }
            | DiffError::NotInRevision { .. }
            | DiffError::NoBenchmarks { .. } => true,
            DiffError::Study(StudyError::Benchmarks(error)) if benchmarks(error) => true,
            _ => matches!(self.build(), Some(BuildError::Baseline { .. })),
        }
    }

    /// Whether it leaves open which revision is faster: a revision cannot be built or run, or the machine refused. A wrong
    /// call does not.
    pub(crate) fn leaves_open(&self) -> bool {
        self.is_of_a_revision() || self.exit() == ShellCode::BadRuns
    }
}

impl ExitStatus for DiffError {
    fn exit(&self) -> ShellCode {
        match self {
            DiffError::Config(error) => error.exit(),
            DiffError::Build(error) => error.exit(),
            DiffError::Study(error) => error.exit(),
            DiffError::NoArguments { error, .. } => error.exit(),
            DiffError::Store(error) => error.exit(),
            DiffError::Write { .. } | DiffError::NotInRevision { .. } => ShellCode::BadRuns,
            _ => ShellCode::WrongCall,
        }
    }
}
