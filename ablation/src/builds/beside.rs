//! The files of each build's own revision, in place while it runs.

use super::checkout::{Checkout, joined, relative};
use super::error::BuildError;
use super::git;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that differ, whatever a user's configuration of git leaves out.
const DIFF: [&str; 5] = ["diff", "--name-only", "-z", "--no-renames", "--ignore-submodules=none"];

/// The revisions of a study, while its builds run.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(super) checkout: Arc<Checkout>,
    pub(super) repository: PathBuf,
    /// Build → the tree of its revision.
    pub(super) trees: BTreeMap<String, String>,
}

impl Beside {
    /// Puts the files of a build's revision in place. A build without a revision is left as it is.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(crate) fn show(&self, build: &str) -> Result<(), BuildError> {
        self.trees.get(build).map_or(Ok(()), |tree| self.checkout.show(tree))
    }

    /// Where a folder of the repository is while a build runs. `None` for one outside, and for a build without a
    /// revision.
    pub(crate) fn place_of(&self, folder: &Path, build: &str) -> Option<PathBuf> {
        self.trees.get(build)?;
        Some(joined(&self.checkout.top(), &relative(&self.repository, folder)?))
    }

    /// What a process opens that reads something by which the revisions differ: in each tree the files that differ, or,
    /// where it lacks one, the folder that would hold it.
    ///
    /// # Errors
    /// [`BuildError::Git`].
    pub(crate) fn differing(&self) -> Result<BTreeSet<PathBuf>, BuildError> {
        let trees: BTreeSet<&String> = self.trees.values().collect();
        let mut names = BTreeSet::new();
        for (one, other) in trees.iter().zip(trees.iter().skip(1)) {
            names.extend(git::paths(&self.repository, &[&DIFF[..], &[one, other]].concat())?);
        }
        let mut found = BTreeSet::new();
        for top in trees.iter().map(|tree| self.checkout.of(tree)) {
            for name in &names {
                let path = top.join(name);
                let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
                found.extend(there.map(Path::to_owned));
            }
        }
        Ok(found)
    }
}
