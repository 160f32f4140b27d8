//! Finds or builds one binary for each distinct feature set and puts it where nothing will overwrite it.
//!
//! All feature sets share one target folder, so that what does not depend on the features is compiled once. A build
//! that fails is kept with its log; only without the baseline there is nothing to compare. A program that a command
//! names is not built, only found and hashed.

pub(crate) mod cargo;
mod check;
mod layouts;
mod peers;
mod program;
pub(crate) mod registry;

use crate::config::{CargoProgram, Pointed, Program, Source, Study};
use crate::design::BuildPlan;
use crate::machine::sha256_of;
use crate::progress::{human, note};
use ablate_format::{BuildFailure, BuildRecord, BuiltBinary};
use cargo::Order;
use layouts::Shuffler;
pub use peers::find_peers;
pub(crate) use program::is_there;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where things are on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Folder of the measured sources; for a command, the folder of the config.
    pub root: PathBuf,
    /// Where binaries and studies go: the workspace's target folder, or what `ABLATE_TARGET_DIR` says.
    pub target: PathBuf,
    /// Manifest of what is built, absolute; `None` for a command.
    pub manifest: Option<PathBuf>,
}

/// The binaries of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// One for each build of the design, in its order.
    pub records: Vec<BuildRecord>,
    /// Code layouts that there are of each build, at least 1.
    pub layouts: u32,
    /// Why there is one layout where several were asked for.
    pub one_layout: Option<String>,
}

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
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
    Config(#[from] Box<Pointed>),
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
    /// Somebody pressed Ctrl-C.
    #[error("interrupted while building; nothing was measured yet")]
    Interrupted,
}

impl BuildError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> BuildError {
        let path = path.to_owned();
        move |source| BuildError::Io { path, doing, source }
    }

    /// Whether the config has to be changed.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            BuildError::Manifest { .. } | BuildError::Unknown { .. } | BuildError::Config(_) | BuildError::Fetch { .. }
        )
    }
}

/// Finds the sources of a study, or fetches them, and checks that package, binary, profile and features are there.
/// `target` replaces the target folder.
///
/// # Errors
/// [`BuildError::NoCargo`], [`BuildError::Manifest`], [`BuildError::Fetch`], [`BuildError::Unknown`],
/// [`BuildError::Config`].
pub fn workspace(study: &Study, target: Option<&Path>) -> Result<Workspace, BuildError> {
    let given = target.map(absolute).transpose()?;
    let program = match &study.subject.program {
        Program::Cargo(program) => program,
        Program::Command(command) => {
            // Found now, so that a plan of what cannot run is refused like a plan of what cannot be built.
            program::locate(study, command.first().map_or("", String::as_str))?;
            let root = absolute(study.folder())?;
            let target = given.unwrap_or_else(|| around(&root));
            return Ok(Workspace { root, target, manifest: None });
        }
    };
    let (manifest, target) = match &program.source {
        Source::Manifest(path) => (absolute(path)?, given),
        Source::Registry(version) => {
            let target = match given {
                Some(given) => given,
                None => around(&absolute(study.folder())?),
            };
            (registry::fetch(&program.package, version, &target)?.join("Cargo.toml"), Some(target))
        }
    };
    let found = cargo::metadata(&manifest)?;
    check::check(study, program, &found)?;
    let target = target.unwrap_or(found.target_directory);
    Ok(Workspace { root: found.workspace_root, target, manifest: Some(manifest) })
}

fn absolute(path: &Path) -> Result<PathBuf, BuildError> {
    std::path::absolute(path).map_err(BuildError::io(path, "finding the folder"))
}

/// The target folder of the workspace around a folder, or one within the folder: for programs that have none.
pub(crate) fn around(folder: &Path) -> PathBuf {
    let workspace = folder.ancestors().find(|above| above.join("Cargo.lock").is_file());
    workspace.unwrap_or(folder).join("target")
}

/// Builds or finds all, the baseline first.
///
/// # Errors
/// [`BuildError`]; a build other than the first that fails is a [`BuildRecord`] instead.
pub fn build_all(study: &Study, plans: &[BuildPlan], workspace: &Workspace, logs: &Path) -> Result<Built, BuildError> {
    let _alone = alone(&workspace.target.join("ablate"))?;
    let mut built = Built { records: Vec::new(), layouts: 1, one_layout: None };
    let mut shuffler = None;
    let is_built = plans.iter().any(|plan| plan.command.is_none());
    if is_built && study.layouts > 1 {
        match Shuffler::new(workspace, study.layouts)? {
            Ok(ready) => shuffler = Some(ready),
            Err(why) => built.one_layout = Some(why),
        }
    }
    for (index, plan) in plans.iter().enumerate() {
        let record = match (&plan.command, &study.subject.program, &workspace.manifest) {
            (None, Program::Cargo(program), Some(manifest)) => {
                let features =
                    if plan.features.is_empty() { "no features".to_owned() } else { plan.features.join(", ") };
                note(&format!("building {} ({} of {}): {features}", plan.id, index + 1, plans.len()));
                let log = logs.join(format!("build-{}.log", plan.id));
                let linker = shuffler.as_ref().map(|shuffler| shuffler.script.as_path());
                let order = Order { program, manifest, features: &plan.features, linker };
                build(&order, plan, workspace, &log, shuffler.as_ref())?
            }
            (Some(command), _, _) | (None, Program::Command(command), _) => program::find(study, plan, command)?,
            // A package always has a manifest.
            (None, Program::Cargo(_), None) => continue,
        };
        if crate::run::interrupt::asked() {
            return Err(BuildError::Interrupted);
        }
        if let Err(BuildFailure { message, log }) = &record.result {
            if index == 0 {
                return Err(BuildError::Baseline { id: plan.id.clone(), message: message.clone(), log: log.clone() });
            }
            note(&format!("  failed: {message}; its cells are left out; log: {log}"));
        }
        built.records.push(record);
    }
    if shuffler.is_some() {
        let compiled = plans.iter().zip(&built.records).filter(|(plan, _)| plan.command.is_none());
        built.one_layout = same_code(compiled.map(|(_, record)| record));
    }
    match &built.one_layout {
        Some(why) => {
            note(&format!("one code layout instead of {}: {why}", study.layouts));
            built.records.iter_mut().for_each(|record| record.layouts.clear());
        }
        None if shuffler.is_some() => built.layouts = study.layouts,
        None => {}
    }
    Ok(built)
}

/// Why the layouts are none: a build without them, or one whose layouts are one and the same.
fn same_code<'a>(records: impl IntoIterator<Item = &'a BuildRecord>) -> Option<String> {
    for (record, first) in records.into_iter().filter_map(|record| Some((record, record.result.as_ref().ok()?))) {
        if record.layouts.is_empty() {
            return Some(format!("build `{}` could not be linked in other orders", record.id));
        }
        if let Some(same) = record.layouts.iter().position(|layout| layout.sha256 == first.sha256) {
            return Some(format!("layout {} of build `{}` is the same file as layout 0", same + 1, record.id));
        }
    }
    None
}

/// One runner at a time builds here: every feature set puts its binary under the same name, and another runner's would
/// be copied instead. The lock ends with the result.
fn alone(dir: &Path) -> Result<File, BuildError> {
    std::fs::create_dir_all(dir).map_err(BuildError::io(dir, "creating the folder"))?;
    let path = dir.join("build.lock");
    let lock = File::create(&path).map_err(BuildError::io(&path, "creating the lock"))?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => note("waiting for another ablate to finish building"),
        Err(std::fs::TryLockError::Error(e)) => return Err(BuildError::io(&path, "locking")(e)),
    }
    lock.lock().map_err(BuildError::io(&path, "locking"))?;
    Ok(lock)
}

fn build(
    order: &Order,
    plan: &BuildPlan,
    workspace: &Workspace,
    log: &Path,
    shuffler: Option<&Shuffler>,
) -> Result<BuildRecord, BuildError> {
    let started = Instant::now();
    let mut record = BuildRecord {
        id: plan.id.clone(),
        features: plan.features.clone(),
        result: Err(BuildFailure { message: String::new(), log: log.display().to_string() }),
        layouts: Vec::new(),
    };
    // A second time when cargo had nothing to link and the layouts of the last time are gone.
    for again in [false, true] {
        if let Some(shuffler) = shuffler {
            shuffler.clear();
        }
        let built = match cargo::build(order, workspace, log)? {
            Ok(built) => built,
            Err(message) => {
                record.result = Err(BuildFailure { message, log: log.display().to_string() });
                return Ok(record);
            }
        };
        let kept = keep(&built, plan, order.program, workspace)?;
        let layouts = match shuffler {
            Some(shuffler) => shuffler.take(order.program, Path::new(&kept.path))?,
            None => Some(Vec::new()),
        };
        record.result = Ok(kept);
        if let Some(layouts) = layouts {
            record.layouts = layouts;
            break;
        }
        if !again {
            Shuffler::forget(workspace, &built, order.program);
        }
    }
    let layouts = match record.layouts.len() {
        0 => String::new(),
        more => format!(", in {} code layouts", more + 1),
    };
    note(&format!("  built in {}{layouts}", human(started.elapsed())));
    Ok(record)
}

/// Copies a binary to a place that is named by its content, so that later builds leave it alone.
fn keep(
    built: &Path,
    plan: &BuildPlan,
    program: &CargoProgram,
    workspace: &Workspace,
) -> Result<BuiltBinary, BuildError> {
    let sha256 = sha256_of(built).map_err(BuildError::io(built, "reading the binary"))?;
    let dir = workspace.target.join("ablate/bin").join(format!("{}-{}", plan.id, &sha256[..12]));
    keep_as(built, &dir.join(&program.binary))
}

/// Copies a binary, unless it is there.
fn keep_as(built: &Path, path: &Path) -> Result<BuiltBinary, BuildError> {
    let sha256 = sha256_of(built).map_err(BuildError::io(built, "reading the binary"))?;
    let there = built == path || sha256_of(path).is_ok_and(|there| there == sha256);
    if !there {
        let dir = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir).map_err(BuildError::io(dir, "creating the folder"))?;
        // Under another name first: half a binary must never look like a whole one.
        let temporary = dir.join(format!(".new-{}", std::process::id()));
        std::fs::copy(built, &temporary).map_err(BuildError::io(&temporary, "copying the binary"))?;
        std::fs::rename(&temporary, path).map_err(BuildError::io(path, "placing the binary"))?;
    }
    Ok(BuiltBinary { path: path.display().to_string(), sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, first: &str, layouts: &[&str]) -> BuildRecord {
        let binary = |sha256: &str| BuiltBinary { path: "/x".into(), sha256: sha256.into() };
        BuildRecord {
            id: id.into(),
            features: vec!["x".into()],
            result: Ok(binary(first)),
            layouts: layouts.iter().map(|sha256| binary(sha256)).collect(),
        }
    }

    #[test]
    fn layouts_that_are_one_and_the_same_are_none() {
        assert_eq!(same_code(&[record("a", "0", &["1", "2"])]), None);
        let why = same_code(&[record("a", "0", &["1", "2"]), record("b", "3", &["4", "3"])]).expect("one is the same");
        assert!(why.contains("layout 2 of build `b`"), "{why}");
        let why = same_code(&[record("a", "0", &[])]).expect("there are none");
        assert!(why.contains("`a` could not"), "{why}");
    }

    #[test]
    fn a_folder_belongs_to_the_workspace_around_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("creates");
        std::fs::write(dir.path().join("Cargo.lock"), "").expect("writes");
        assert_eq!(around(&inner), dir.path().join("target"));
        std::fs::write(inner.join("Cargo.lock"), "").expect("writes");
        assert_eq!(around(&inner), inner.join("target"));
    }
}
