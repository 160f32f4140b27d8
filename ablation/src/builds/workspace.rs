//! Folders of a study's sources and binaries on this machine, and copies of binaries that no later build replaces.

use super::code::sha256_of_code;
use super::error::BuildError;
use super::revisions::Revisions;
use crate::design::BuildPlan;
use crate::support::files;
use crate::support::machine::sha256_of;
use ablate_format::{BuiltBinary, path_to_text};
use std::path::{Path, PathBuf};

/// Folders of a study's sources and binaries on this machine.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Folder of the measured sources; for a command, the folder of the config.
    pub(crate) root: PathBuf,
    /// Folder for binaries and results: the target folder of the workspace, or the value of `ABLATE_TARGET_DIR`.
    pub(crate) target: PathBuf,
    /// Absolute path of the manifest of the package to build; `None` for a command.
    pub(crate) manifest: Option<PathBuf>,
    /// Folder of the package; `None` for a program that cargo does not build.
    pub(crate) package: Option<PathBuf>,
    /// The revisions that the levels name; `None` when they name none, and the sources are built where they are.
    pub(crate) revisions: Option<Revisions>,
}

/// Copies a binary to a folder that is named by its hash, which later builds do not overwrite.
pub(super) fn store_binary(
    built: &Path,
    plan: &BuildPlan,
    name: &Path,
    workspace: &Workspace,
) -> Result<BuiltBinary, BuildError> {
    let sha256 = sha256_of(built).map_err(BuildError::io(built, "reading the binary"))?;
    let dir = workspace.target.join("ablate/bin").join(format!("{}-{}", plan.id, &sha256[..12]));
    copy_once(built, &dir.join(name.file_name().unwrap_or_default()))
}

/// Copies a binary to `path`, unless the same file is there already. Returns path and hash of the copy.
pub(super) fn copy_once(built: &Path, path: &Path) -> Result<BuiltBinary, BuildError> {
    let sha256 = sha256_of(built).map_err(BuildError::io(built, "reading the binary"))?;
    let is_there = built == path || sha256_of(path).is_ok_and(|there| there == sha256);
    if !is_there {
        let dir = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir).map_err(BuildError::io(dir, "creating the folder"))?;
        files::place_program(built, path).map_err(BuildError::io(path, "placing the binary"))?;
    }
    Ok(BuiltBinary { path: path_to_text(path), sha256, code_sha256: sha256_of_code(path) })
}
