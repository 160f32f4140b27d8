//! What cargo finds in revisions of a subject: their packages, or that the manifest of the files here is not in one.

use super::alias;
use super::cargo::{self, Package};
use super::checkout::relative;
use super::error::BuildError;
use super::revisions::{Revision, Revisions, top};
use super::{absolute, hide, outside};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What one revision has beside a manifest of the files here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// Its packages.
    Packages(T),
    /// No such manifest; its path from the top of the repository.
    NoManifest(PathBuf),
    /// A manifest that cargo cannot read. A build gives the reason.
    Unreadable,
}

/// Checks every revision out, and reads its packages while it is in place. `target` replaces the target folder.
///
/// # Errors
/// [`BuildError`] of git and of files.
pub(crate) fn packages<T>(
    manifest: &Path,
    target: Option<&Path>,
    revisions: &[&Revision],
    read: impl Fn(&[Package]) -> T,
) -> Result<Vec<Found<T>>, BuildError> {
    let manifest = alias::utf8(absolute(manifest)?)?;
    let here = cargo::metadata(&manifest)?;
    let target = match target {
        Some(target) => alias::utf8(absolute(target)?)?,
        None => here.target_directory.into(),
    };
    hide(&target);
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let repository = top(here.workspace_root.as_std_path()).or_else(|_| top(folder));
    let repository = repository.map_err(|message| BuildError::Git { folder: folder.to_owned(), message })?;
    let known = Revisions::new(repository, BTreeMap::new());
    let mut out = Vec::new();
    for revision in revisions {
        let checkout = known.check_out(revision, &target)?;
        let there = known.within(&checkout, &manifest);
        if !there.is_file() {
            out.push(Found::NoManifest(relative(&known.repository, &manifest).unwrap_or_else(|| manifest.clone())));
            continue;
        }
        outside::make_links(&known, &target, &revision.tree)?;
        out.push(match cargo::metadata(&there) {
            Ok(found) => Found::Packages(read(&found.packages)),
            Err(BuildError::Manifest { .. }) => Found::Unreadable,
            Err(error) => return Err(error),
        });
    }
    Ok(out)
}
