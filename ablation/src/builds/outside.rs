//! Dependencies by a path that leads out of the repository. They belong to no revision: every revision gets those that
//! are beside the repository's own folder, by links beside the checked-out one.

use super::cargo::metadata;
use super::error::BuildError;
use super::git;
use super::revisions::Revisions;
use crate::support::files::without_dots;
use crate::support::progress::note;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Links every dependency that lies outside the repository, before a build of the revision that is checked out. One that
/// is not there, or farther above the repository than three folders, is left to cargo's error.
///
/// # Errors
/// [`BuildError::Git`], [`BuildError::Io`].
pub(super) fn link(revisions: &Revisions, target: &Path, tree: &str, manifest: &Path) -> Result<(), BuildError> {
    make_links(revisions, target, tree)?;
    tell(revisions, &revisions.checkout(target)?.top(), manifest);
    Ok(())
}

/// The same without a word about them.
///
/// # Errors
/// Those of [`link()`].
pub(super) fn make_links(revisions: &Revisions, target: &Path, tree: &str) -> Result<(), BuildError> {
    let checkout = revisions.checkout(target)?;
    let (top, above) = (checkout.top(), checkout.above());
    let listed = git::paths(&revisions.repository, &["ls-tree", "-r", "-z", "--name-only", "--full-tree", tree])?;
    let manifests = listed.iter().filter(|path| path.file_name().is_some_and(|name| name == "Cargo.toml"));
    let mut open: Vec<PathBuf> = manifests.map(|path| top.join(path)).collect();
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    while let Some(path) = open.pop() {
        for path in named(&path).into_iter().filter(|path| !path.starts_with(&top)) {
            let Some(up) = above.iter().position(|folder| path.starts_with(folder)) else { continue };
            // Both folders are the same number of steps above the repository.
            let Some(own) = revisions.repository.ancestors().nth(up + 1) else { continue };
            let inner = path.strip_prefix(&above[up]).unwrap_or(&path);
            let first = inner.components().next().filter(|_| own.join(inner).join("Cargo.toml").is_file());
            if let Some(first) = first
                && seen.insert(path.clone())
            {
                link_once(&own.join(first), &above[up].join(first))?;
                open.push(path.join("Cargo.toml"));
            }
        }
    }
    Ok(())
}

/// Names each dependency outside the repository once, as cargo sees them.
fn tell(revisions: &Revisions, top: &Path, manifest: &Path) {
    let mut open = vec![manifest.to_owned()];
    while let Some(manifest) = open.pop() {
        let packages = metadata(&manifest).map(|found| found.packages).unwrap_or_default();
        for dependency in packages.into_iter().flat_map(|package| package.dependencies) {
            let Some(path) = dependency.path.map(|path| path.into_std_path_buf()) else { continue };
            if !path.starts_with(top) && revisions.is_new(&path) {
                let own = path.canonicalize().unwrap_or_else(|_| path.clone());
                note(&format!(
                    "  dependency `{}` lies outside the repository, so it is the same in every revision: {}",
                    dependency.name,
                    own.display()
                ));
                open.push(path.join("Cargo.toml"));
            }
        }
    }
}

/// Every folder that a manifest names by `path`: of dependencies, also of a workspace and of `[patch]`, and of targets.
fn named(manifest: &Path) -> Vec<PathBuf> {
    fn walk(table: &toml::Table, out: &mut Vec<String>) {
        out.extend(table.get("path").and_then(toml::Value::as_str).map(str::to_owned));
        table.values().filter_map(toml::Value::as_table).for_each(|inner| walk(inner, out));
    }
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    let mut out = Vec::new();
    walk(&text.parse::<toml::Table>().unwrap_or_default(), &mut out);
    let folder = manifest.parent().unwrap_or(Path::new("/"));
    out.iter().map(|path| without_dots(&folder.join(path))).collect()
}

fn link_once(own: &Path, link: &Path) -> Result<(), BuildError> {
    if std::fs::read_link(link).is_ok_and(|there| there == own) {
        return Ok(());
    }
    // A link to another folder is replaced. Anything else stays, and is an error.
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(own, link).map_err(BuildError::io(link, "linking a dependency"))
}
