//! The program that a study measures: what cargo builds, what a command builds, or what is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The program that is run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Program {
    /// A binary that cargo builds.
    Cargo(CargoProgram),
    /// A program that a command builds from the sources in a folder.
    Made(MadeProgram),
    /// An installed program: its path or name, then arguments.
    Command(Vec<String>),
}

/// A program that a command builds, such as `make`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MadeProgram {
    /// The command: a program, then arguments. Those of the levels (`build_args`) follow.
    pub(crate) command: Vec<String>,
    /// The program that it makes, relative to the folder of the sources.
    pub(crate) artefact: String,
    /// Folder of the sources; exists.
    pub(crate) sources: PathBuf,
    /// Variables of the command.
    pub(crate) env: BTreeMap<String, String>,
}

/// The kind of a target of a Cargo package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CargoTarget {
    /// A binary.
    Bin,
    /// A benchmark.
    Bench {
        /// Whether it has `#[bench]` functions, which a stable compiler refuses.
        libtest: bool,
    },
}

/// A binary or a benchmark of a Cargo package.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CargoProgram {
    /// Cargo package.
    pub(crate) package: String,
    /// Name of the target.
    pub(crate) binary: String,
    /// Kind of the target.
    pub(crate) target: CargoTarget,
    /// The origin of its sources.
    pub(crate) origin: Origin,
    /// Cargo profile.
    pub(crate) profile: String,
    /// Cargo features built in besides those of the factors.
    pub(crate) features: Vec<String>,
}

impl CargoProgram {
    /// Path of a `Cargo.toml` of its workspace; empty for a package of the registry, which has none yet.
    pub(crate) fn manifest(&self) -> &Path {
        match &self.origin {
            Origin::Manifest(path) => path,
            Origin::Registry(_) => Path::new(""),
        }
    }
}

/// The origin of a package's sources.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// Path of a `Cargo.toml` of its workspace; exists.
    Manifest(PathBuf),
    /// This version of the package on crates.io.
    Registry(String),
}
