//! What cargo finds in revisions of a subject: their packages, or that the manifest of the files here is not in one.

use super::alias;
use super::cargo::{self, Package};
use super::checkout::relative;
use super::error::BuildError;
use super::revisions::{Revision, Revisions, git, top};
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

/// Checks both revisions out, the second one first, and reads the packages of each while it is in place. Where no file was
/// added or removed and no manifest differs, the second one tells for both: a checkout of the first would make cargo
/// compile again what the second was built from before. `target` replaces the target folder.
///
/// # Errors
/// [`BuildError`] of git and of files.
pub(crate) fn packages<T: Clone>(
    manifest: &Path,
    target: Option<&Path>,
    [base, head]: [&Revision; 2],
    read: impl Fn(&[Package]) -> T,
) -> Result<[Found<T>; 2], BuildError> {
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
    let found = |revision: &Revision| -> Result<Found<T>, BuildError> {
        let checkout = known.check_out(revision, &target)?;
        let there = known.within(&checkout, &manifest);
        if !there.is_file() {
            return Ok(Found::NoManifest(relative(&known.repository, &manifest).unwrap_or_else(|| manifest.clone())));
        }
        outside::make_links(&known, &target, &revision.tree)?;
        match cargo::metadata(&there) {
            Ok(found) => Ok(Found::Packages(read(&found.packages))),
            Err(BuildError::Manifest { .. }) => Ok(Found::Unreadable),
            Err(error) => Err(error),
        }
    };
    let of_head = found(head)?;
    let changed = git(&known.repository, &["diff", "--raw", "--no-renames", "--no-abbrev", &base.tree, &head.tree])?;
    let of_base = if changed.lines().any(changes_targets) { found(base)? } else { of_head.clone() };
    Ok([of_base, of_head])
}

/// Whether a line of `git diff --raw` may change what cargo finds: a file that is not in both, a manifest, a submodule.
fn changes_targets(line: &str) -> bool {
    const SUBMODULE: &str = "160000";
    let (how, path) = line.split_once('\t').unwrap_or((line, ""));
    let is_manifest = Path::new(path.trim_end_matches('"')).file_name().is_some_and(|name| name == "Cargo.toml");
    !how.ends_with('M') || is_manifest || how.contains(SUBMODULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_targets_of_a_package_is_told_from_what_does_not() {
        let line = |modes: &str, status: &str, path: &str| changes_targets(&format!(":{modes} 1f 2e {status}\t{path}"));
        assert!(!line("100644 100644", "M", "src/lib.rs"));
        assert!(line("000000 100644", "A", "benches/new.rs") && line("100644 000000", "D", "benches/old.rs"));
        assert!(line("100644 100644", "M", "Cargo.toml") && line("100644 100644", "M", "inner/Cargo.toml"));
        assert!(line("160000 160000", "M", "inner"));
    }
}
