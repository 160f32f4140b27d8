//! Builds one binary for each distinct set of features and build settings, and copies it to a place that later builds do
//! not overwrite.
//!
//! All of Cargo's builds share one target folder, so that code that does not depend on the features is compiled once. All
//! revisions are built at one path, one after the other, so that two commits with the same code give the same binary. A
//! failed build is recorded with its log. A failed baseline ends the study, because nothing could be compared. A
//! program that a command names is not built, only found and hashed.

mod alias;
mod beside;
mod cache;
pub(crate) mod cargo;
mod cargo_files;
mod check;
mod checkout;
mod code;
mod decided;
mod error;
mod flags;
mod git;
mod later;
mod layouts;
mod lock;
mod made;
mod outside;
pub(crate) mod packages;
mod peers;
mod pointed;
mod program;
pub(crate) mod registry;
pub(crate) mod revisions;
mod workspace;

use crate::config::{CargoProgram, Origin, Program, Study};
use crate::design::BuildPlan;
use crate::support::files;
use crate::support::progress::{human, note};
use ablate_format::{BuildFailure, BuildRecord, BuiltBinary, path_of_text};
pub(crate) use beside::Beside;
use cargo::{CargoBuild, Sources};
pub(crate) use cargo_files::configurations;
pub(crate) use code::sha256_of_code;
pub(crate) use decided::sha256;
pub(crate) use error::BuildError;
pub(crate) use git::git;
use layouts::Shuffler;
pub(crate) use made::files;
pub(crate) use peers::{SUBJECT, find_peers, forget_absent};
pub(crate) use program::{check_auxiliary, exists, find as find_installed, find_from as find};
use revisions::Pinned;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;
pub(crate) use workspace::Workspace;
use workspace::store_binary;

/// The binaries of a study.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Built {
    /// One for each build of the design, in its order.
    pub(crate) records: Vec<BuildRecord>,
    /// Code layouts of each build, at least 1.
    pub(crate) layouts: u32,
    /// The reason for one layout where the study asks for several.
    pub(crate) one_layout: Option<String>,
}

/// Finds or fetches the sources of a study, and checks that package, binary, profile and features exist. `target`
/// replaces the target folder.
///
/// # Errors
/// [`BuildError::NoCargo`], [`BuildError::Manifest`], [`BuildError::Fetch`], [`BuildError::Unknown`],
/// [`BuildError::Config`], [`BuildError::Io`].
pub(crate) fn workspace(study: &Study, target: Option<&Path>) -> Result<Workspace, BuildError> {
    workspace_with(study, target, &Pinned::new())
}

/// The same for a study that is continued, with the commits that it began with.
///
/// # Errors
/// Those of [`workspace()`].
pub(crate) fn workspace_with(study: &Study, target: Option<&Path>, pinned: &Pinned) -> Result<Workspace, BuildError> {
    let given = target.map(absolute).transpose()?;
    // Found before planning, so that `cargo ablate plan` refuses a study that cannot run.
    program::check_auxiliary(study)?;
    let program = match &study.subject.program {
        Program::Cargo(program) => program,
        Program::Made(made) => {
            let root = absolute(&made.sources)?;
            let target = given.unwrap_or_else(|| target_folder(&root));
            hide(&target);
            let revisions = revisions::find(study, &root, &root, pinned)?;
            return Ok(Workspace { root, target, manifest: None, package: None, revisions });
        }
        Program::Command(command) => {
            program::locate(study, command.first().map_or("", String::as_str))?;
            let root = absolute(study.folder())?;
            let target = given.unwrap_or_else(|| target_folder(&root));
            return Ok(Workspace { root, target, manifest: None, package: None, revisions: None });
        }
    };
    let (manifest, target) = match &program.origin {
        Origin::Manifest(path) => (alias::utf8(absolute(path)?)?, given.map(alias::utf8).transpose()?),
        Origin::Registry(version) => {
            let target = match given {
                Some(given) => given,
                None => target_folder(&absolute(study.folder())?),
            };
            let target = alias::utf8(target)?;
            (registry::fetch(&program.package, version, &target)?.join("Cargo.toml"), Some(target))
        }
    };
    let found = cargo::metadata(&manifest)?;
    let package = check::check(study, program, &found)?;
    let target = target.unwrap_or_else(|| found.target_directory.into());
    let root: PathBuf = found.workspace_root.into();
    hide(&target);
    let revisions = revisions::find(study, &root, &package, pinned)?;
    Ok(Workspace { root, target, manifest: Some(manifest), package: Some(package), revisions })
}

/// Tries whether the linker that cargo uses in a folder can put sections in another order.
///
/// # Errors
/// The reason why it cannot, in one line.
pub(crate) fn shuffles(folder: &Path) -> Result<(), String> {
    let tried = |e: io::Error| format!("cannot be tried: {e}; set TMPDIR to a folder that can be written");
    let scratch = files::scratch(None).map_err(tried)?;
    let (root, target) = (folder.to_owned(), scratch.path().to_owned());
    let workspace = Workspace { root, target, manifest: None, package: None, revisions: None };
    layouts::linker(&workspace).map_err(|error| error.to_string())?.map(drop)
}

/// The absolute path of a path.
///
/// # Errors
/// [`BuildError::Io`].
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, BuildError> {
    std::path::absolute(path).map_err(BuildError::io(path, "finding the folder"))
}

/// Keeps git from seeing ablate's own folder, where a repository does not ignore its target folder: else each comparison
/// would be a change of the next.
pub(crate) fn hide(target: &Path) {
    let folder = target.join("ablate");
    let note = folder.join(files::HIDDEN);
    // A folder that cannot be written is told by the step that needs it.
    if std::fs::create_dir_all(&folder).is_ok() && !note.exists() {
        let _ = std::fs::write(note, "*\n");
    }
}

/// The target folder of the workspace around a folder. Without a workspace, a folder `target` within the folder.
pub(crate) fn target_folder(folder: &Path) -> PathBuf {
    let workspace = folder.ancestors().find(|above| above.join("Cargo.lock").is_file());
    workspace.unwrap_or(folder).join("target")
}

/// Builds or finds all programs, the baseline first.
///
/// # Errors
/// [`BuildError`]; a build other than the first that fails is a [`BuildRecord`] instead.
pub(crate) fn build_all(
    study: &Study,
    plans: &[BuildPlan],
    workspace: &Workspace,
    logs: &Path,
) -> Result<Built, BuildError> {
    // Taken before the lock of the builds, because it lasts until the last run.
    workspace.revisions.as_ref().map(|revisions| revisions.checkout(&workspace.target)).transpose()?;
    let _lock = lock_builds(&workspace.target.join("ablate"))?;
    let mut built = Built { records: Vec::new(), layouts: 1, one_layout: None };
    let mut shuffler = None;
    if matches!(study.subject.program, Program::Cargo(_)) && study.layouts > 1 {
        match Shuffler::new(workspace, study.layouts)? {
            Ok(ready) => shuffler = Some(ready),
            Err(why) => built.one_layout = Some(why),
        }
    }
    for (index, plan) in plans.iter().enumerate() {
        let log = logs.join(format!("build-{}.log", plan.id));
        let record = match (&plan.command, &study.subject.program) {
            (Some(command), _) | (None, Program::Command(command)) => program::find(study, plan, command)?,
            (None, Program::Cargo(program)) => {
                say(plan, index, plans.len());
                cargo_build(plan, program, workspace, &log, shuffler.as_ref())?
            }
            (None, Program::Made(program)) => {
                say(plan, index, plans.len());
                made::build(plan, program, workspace, &log)?
            }
        };
        if crate::support::interrupt::asked() {
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
        built.one_layout = why_one_layout(compiled.map(|(_, record)| record));
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

/// The reason for using one layout, if there is one: a build has no others, or one of them is the same file as layout
/// 0.
fn why_one_layout<'a>(records: impl IntoIterator<Item = &'a BuildRecord>) -> Option<String> {
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

/// Lets one runner at a time build in a target folder. Cargo puts the binary of every feature set under the same name,
/// so without the lock a runner could copy the binary of another one. The lock ends when the result is dropped.
fn lock_builds(dir: &Path) -> Result<File, BuildError> {
    std::fs::create_dir_all(dir).map_err(BuildError::io(dir, "creating the folder"))?;
    lock::wait(&dir.join("build.lock"), "waiting for another ablate to finish building")
}

/// Prepares the files of every revision for its runs, which start in `folder`. `None` where no level names a revision.
///
/// # Errors
/// [`BuildError::Git`] or [`BuildError::Io`].
pub(crate) fn beside(workspace: &Workspace, plans: &[BuildPlan], folder: &Path) -> Result<Option<Beside>, BuildError> {
    let revisions = workspace.revisions.as_ref();
    revisions.map(|revisions| revisions.beside(plans, folder, &workspace.target)).transpose()
}

/// Tells which build begins.
fn say(plan: &BuildPlan, index: usize, all: usize) {
    let settings = plan.settings.shown().into_iter().map(|(key, value)| format!("{key} = {value}"));
    let what: Vec<String> = plan.features.iter().cloned().chain(settings).collect();
    let what = if what.is_empty() { "no features".to_owned() } else { what.join(", ") };
    note(&format!("building {} ({} of {all}): {what}", plan.id, index + 1));
}

/// Builds a package, or takes the binary of an earlier build of the same sources with the same settings.
fn cargo_build(
    plan: &BuildPlan,
    program: &CargoProgram,
    workspace: &Workspace,
    log: &Path,
    shuffler: Option<&Shuffler>,
) -> Result<BuildRecord, BuildError> {
    // A package always has a manifest.
    let manifest = workspace.manifest.as_deref().unwrap_or(Path::new("Cargo.toml"));
    let mut sources = Sources { root: workspace.root.clone(), manifest: manifest.to_owned() };
    let mut settings = decided::by(plan, Some(program), &workspace.root);
    let mut key = None;
    let mut own = plan.clone();
    if let Some(revisions) = &workspace.revisions {
        let revision = revisions.of(plan)?;
        let is_named = plan.settings.toolchain.is_none() && revisions.names_toolchain(revision, &workspace.root);
        if is_named {
            let checkout = revisions.check_out(revision, &workspace.target)?;
            let root = revisions.within(&checkout, &workspace.root);
            let version = decided::said(cargo::unbound("rustc").arg("-V").current_dir(root));
            settings.insert("compiler".to_owned(), version.unwrap_or_else(|| "unknown".to_owned()));
        }
        let layouts = shuffler.map_or(1, |shuffler| shuffler.layouts);
        let target = (cargo::kind(program.target), &program.binary);
        // Two revisions with the same files are one build.
        settings.remove("revision");
        let parts = (&revision.tree, &program.package, target, &plan.features, &settings, layouts);
        key = Some(cache::key(&parts, &workspace.root.join("Cargo.lock")));
        revision.describe(&mut settings);
        if let Some(record) = key.as_ref().and_then(|key| cache::find(&workspace.target, key, plan)) {
            note("  built before");
            return Ok(BuildRecord { settings, ..record });
        }
        let checkout = revisions.check_out(revision, &workspace.target)?;
        sources = Sources {
            root: revisions.within(&checkout, &workspace.root),
            manifest: revisions.within(&checkout, manifest),
        };
        revisions::lend_lock_file(&workspace.root, &sources.root)?;
        outside::link(revisions, &workspace.target, &revision.tree, &sources.manifest)?;
    }
    if workspace.revisions.is_some() || plan.features.iter().any(|feature| feature == check::DEFAULT) {
        let (has, lacks) = cargo::divided(&sources, &program.package, &plan.features);
        own.features = has;
        for feature in lacks.iter().filter(|feature| *feature != check::DEFAULT) {
            note(&format!("  built without feature `{feature}`, which this revision does not have"));
        }
    }
    let linker = shuffler.map(|shuffler| shuffler.script.as_path());
    let call = CargoBuild { program, sources: &sources, plan: &own, linker };
    let record = BuildRecord { settings, ..build(&call, plan, workspace, log, shuffler)? };
    if let Some(key) = key.filter(|_| cargo::is_closed(&sources)) {
        cache::keep(&workspace.target, &key, &BuildRecord { seconds: None, ..record.clone() });
    }
    Ok(record)
}

/// The record of a build whose end is this.
fn unbuilt(plan: &BuildPlan, result: Result<BuiltBinary, BuildFailure>) -> BuildRecord {
    BuildRecord {
        id: plan.id.clone(),
        features: plan.features.clone(),
        settings: Default::default(),
        seconds: None,
        result,
        layouts: Vec::new(),
    }
}

fn build(
    call: &CargoBuild,
    plan: &BuildPlan,
    workspace: &Workspace,
    log: &Path,
    shuffler: Option<&Shuffler>,
) -> Result<BuildRecord, BuildError> {
    let started = Instant::now();
    let mut record = unbuilt(plan, Err(BuildFailure { message: String::new(), log: log.display().to_string() }));
    // The second round is for the case that cargo had nothing to link and the earlier layouts are gone.
    for again in [false, true] {
        if let Some(shuffler) = shuffler {
            shuffler.clear();
        }
        later::forget(&cargo::target(workspace))?;
        let built = cargo::build(call, workspace, log)?;
        later::built(&cargo::target(workspace))?;
        let built = match built {
            Ok(built) => built,
            Err(message) => {
                record.result = Err(BuildFailure { message, log: log.display().to_string() });
                return Ok(record);
            }
        };
        let stored = store_binary(&built, plan, Path::new(&call.program.binary), workspace)?;
        let layouts = match shuffler {
            Some(shuffler) => shuffler.take(call.program, &path_of_text(&stored.path))?,
            None => Some(Vec::new()),
        };
        record.result = Ok(stored);
        if let Some(layouts) = layouts {
            record.layouts = layouts;
            break;
        }
        if !again {
            Shuffler::forget(workspace, &built, call.program);
        }
    }
    let layouts = match record.layouts.len() {
        0 => String::new(),
        more => format!(", in {} code layouts", more + 1),
    };
    record.seconds = Some(started.elapsed().as_secs_f64());
    note(&format!("  built in {}{layouts}", human(started.elapsed())));
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, first: &str, layouts: &[&str]) -> BuildRecord {
        let binary = |sha256: &str| BuiltBinary { path: "/x".into(), sha256: sha256.into(), code_sha256: None };
        BuildRecord {
            id: id.into(),
            features: vec!["x".into()],
            settings: Default::default(),
            seconds: None,
            result: Ok(binary(first)),
            layouts: layouts.iter().map(|sha256| binary(sha256)).collect(),
        }
    }

    #[test]
    fn layouts_that_are_the_same_file_do_not_count() {
        assert_eq!(why_one_layout(&[record("a", "0", &["1", "2"])]), None);
        let why =
            why_one_layout(&[record("a", "0", &["1", "2"]), record("b", "3", &["4", "3"])]).expect("one is the same");
        assert!(why.contains("layout 2 of build `b`"), "{why}");
        let why = why_one_layout(&[record("a", "0", &[])]).expect("there are none");
        assert!(why.contains("`a` could not"), "{why}");
    }

    #[test]
    fn a_folder_belongs_to_the_workspace_around_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).expect("creates");
        std::fs::write(dir.path().join("Cargo.lock"), "").expect("writes");
        assert_eq!(target_folder(&inner), dir.path().join("target"));
        std::fs::write(inner.join("Cargo.lock"), "").expect("writes");
        assert_eq!(target_folder(&inner), inner.join("target"));
    }
}
