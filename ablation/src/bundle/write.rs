//! Makes a bundle of what was built.

use super::error::BundleError;
use super::index::{self, Build, Cpu, FORMAT, Index};
use crate::builds::{BuildError, Built, SUBJECT, Workspace, sha256};
use crate::config::{Program, Study};
use crate::design::BuildPlan;
use crate::support::files;
use ablate_format::{BuildFailure, BuildRecord, Library, path_of_text, path_to_text};
use std::path::Path;

/// Copies what was built into `dir`, which has nothing but `logs`, and writes the index last. Returns what is in it, one
/// line each.
///
/// # Errors
/// [`BuildError::Io`].
pub(crate) fn write(
    dir: &Path,
    study: &Study,
    plans: &[BuildPlan],
    workspace: &Workspace,
    built: Built,
    libraries: &[Library],
) -> Result<Vec<String>, BundleError> {
    let mut said = Vec::new();
    let is_native = index::asks_for_native(&built.records, &workspace.root);
    let mut builds = Vec::new();
    for (plan, mut record) in plans.iter().zip(built.records) {
        let is_installed = index::is_installed(study, plan);
        let layouts = match record.layouts.len() {
            0 => String::new(),
            more => format!(" in {} code layouts", more + 1),
        };
        match &mut record.result {
            Err(BuildFailure { message, log }) => {
                said.push(format!("{}: failed: {message}", plan.id));
                let name = Path::new(log.as_str()).file_name().unwrap_or_default();
                *log = path_to_text(Path::new(ablate_format::LOGS).join(name));
            }
            Ok(found) if is_installed => {
                said.push(format!("{}: nothing to build, {} is an installed program", plan.id, found.path));
            }
            Ok(built) => {
                built.path = keep(dir, &built.path, &built.sha256)?;
                said.push(format!("{}{layouts}: {}", plan.id, built.path));
            }
        }
        for layout in &mut record.layouts {
            layout.path = keep(dir, &layout.path, &layout.sha256)?;
        }
        builds.push(Build { is_installed, record: BuildRecord { seconds: None, ..record } });
    }
    let mut kept = Vec::new();
    for library in libraries {
        let path = keep(dir, &library.path, &library.sha256)?;
        let owner = if library.peer == SUBJECT { "the subject".to_owned() } else { format!("peer {}", library.peer) };
        said.push(format!("library of {owner}: {path}"));
        kept.push(Library { path, ..library.clone() });
    }
    let absent = study.absent.iter().map(|absent| (absent.peer.clone(), absent.why.clone(), absent.hint.clone()));
    let index = Index {
        format: FORMAT,
        study: study.name.clone(),
        config_sha256: sha256(study.text.as_bytes()),
        sources: index::sources(study, &workspace.root, &workspace.target),
        facts: facts(study, workspace),
        cpu: Cpu::here(),
        is_native,
        layouts: built.layouts,
        one_layout: built.one_layout,
        builds,
        libraries: kept,
        absent: absent.collect(),
    };
    index.write(dir)?;
    Ok(said)
}

/// The facts of the sources. Installed programs have none.
fn facts(study: &Study, workspace: &Workspace) -> std::collections::BTreeMap<String, Option<String>> {
    match study.subject.program {
        Program::Command(_) => Default::default(),
        _ => index::facts(&workspace.root),
    }
}

/// Copies a file to its place in the bundle, and returns that, relative to the bundle.
fn keep(dir: &Path, path: &str, hash: &str) -> Result<String, BundleError> {
    let from = path_of_text(path);
    let relative = Path::new("objects").join(hash).join(from.file_name().unwrap_or_default());
    let to = dir.join(&relative);
    if !to.exists() {
        let folder = to.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).map_err(BuildError::io(folder, "creating the folder"))?;
        files::place_program(&from, &to).map_err(BuildError::io(&to, "copying the file"))?;
    }
    Ok(path_to_text(relative))
}

/// Takes a new or empty folder for a bundle, and makes its folder of logs.
///
/// # Errors
/// [`BundleError`] where the folder has files, [`BuildError::Io`].
pub(crate) fn begin(dir: &Path) -> Result<std::path::PathBuf, BundleError> {
    // What a build that failed left behind is no bundle.
    let is_left = |name: std::ffi::OsString| name == ablate_format::LOGS || name == files::HIDDEN;
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    if dir.is_file() || entries.map(|entry| entry.file_name()).any(|name| !is_left(name)) {
        return Err(BundleError::NotEmpty { dir: dir.to_owned() });
    }
    files::hide_from_git(dir);
    let logs = dir.join(ablate_format::LOGS);
    std::fs::create_dir_all(&logs).map_err(BuildError::io(&logs, "creating the folder"))?;
    Ok(logs)
}
