//! The folder in which the revisions of a repository are built and run, one at a time.
//!
//! Paths are part of a binary and of what it reads, so every revision is built and run at one path. Its surrounding
//! folder is renamed: a rename takes microseconds. What a folder holds is written inside it, so that a call that was
//! ended at any moment leaves a state that the next one understands. There is one tree for all builds, in which git
//! changes only the files that differ, so that cargo compiles only what differs; and one for the runs of each revision,
//! which no build and no other revision has touched.
//!
//! The path ends with `target/package/NAME`. Cargo looks for a workspace in the folders above a package, and stops at
//! `target/package`, so a revision without a workspace is not taken for a member of one above.

use super::decided::sha256;
use super::error::BuildError;
use super::git::{self, run, top};
use super::lock;
use crate::support::progress::note;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The surrounding folder that is in place.
const SHOWN: &str = "package";
/// What the folder of the builds is called when it is not in place; those of runs are called by their tree.
const BUILDS: &str = "builds";
/// A folder that is being made.
const NEW: &str = "new";
/// The file that says what a folder holds.
const MARK: &str = "holds";

/// Files that cargo and rustup read from the folders above the one that they are called in.
const READ_FROM_ABOVE: [&str; 4] = [".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"];

/// The first of these files in the folders from the repository's top to `folder`.
fn read_by_all(repository: &Path, folder: &Path) -> Option<PathBuf> {
    let within = folder.ancestors().take_while(|above| above.starts_with(repository));
    within.flat_map(|above| READ_FROM_ABOVE.map(|name| above.join(name))).find(|path| path.exists())
}

/// The user's folder for what can be made again; the temporary one where there is none.
fn cache_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    cache.filter(|folder| folder.is_absolute()).unwrap_or_else(std::env::temp_dir)
}

/// The folder of one repository, which no other process uses at the same time.
#[derive(Debug)]
pub(super) struct Checkout {
    repository: PathBuf,
    /// Has the surrounding folders.
    folder: PathBuf,
    /// Name of the repository's folder.
    name: OsString,
    _lock: File,
}

impl Checkout {
    /// Takes the folder of a repository: below the target folder, or in the user's cache where cargo would read settings
    /// of the work tree there, which are not those of the revision.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(super) fn take(repository: &Path, target: &Path) -> Result<Checkout, BuildError> {
        let name = repository.file_name().filter(|name| name.to_str().is_some());
        let name = name.unwrap_or(OsStr::new("repository")).to_owned();
        // A target folder can be shared by several repositories, also by two of one name.
        let own = sha256(repository.as_os_str().as_encoded_bytes());
        let within = |folder: &Path| folder.join("ablate/source").join(&own[..12]).join("target");
        let mut folder = within(target);
        if let Some(found) = read_by_all(repository, &folder) {
            folder = within(&cache_folder());
            note(&format!(
                "the revisions are built and run in {}: below the repository every one of them would read {} of the work tree",
                folder.display(),
                found.display()
            ));
        }
        std::fs::create_dir_all(&folder).map_err(BuildError::io(&folder, "creating the folder"))?;
        let waiting = "waiting for another ablate to finish with the revisions of this repository";
        let lock = lock::wait(&folder.join("lock"), waiting)?;
        Ok(Checkout { repository: repository.to_owned(), folder, name, _lock: lock })
    }

    /// Top folder of the revision that is in place.
    pub(super) fn top(&self) -> PathBuf {
        self.folder.join(SHOWN).join(&self.name)
    }

    /// Folders above [`Checkout::top`] that belong to this repository alone, the nearest first.
    pub(super) fn above(&self) -> Vec<PathBuf> {
        self.top().ancestors().skip(1).take(3).map(Path::to_owned).collect()
    }

    /// Checks a tree out for a build, instead of the one that was built before. Returns its top folder.
    ///
    /// # Errors
    /// [`BuildError::Git`] or [`BuildError::Io`].
    pub(super) fn build(&self, tree: &str) -> Result<PathBuf, BuildError> {
        if self.shown().as_deref() != Some(BUILDS) && !self.folder.join(BUILDS).join(MARK).is_file() {
            self.make(BUILDS, |_| Ok(()))?;
        }
        self.show(BUILDS)?;
        let top = self.top();
        std::fs::create_dir_all(&top).map_err(BuildError::io(&top, "creating the folder"))?;
        place(&self.repository, tree, &top, &top.with_file_name("index"))?;
        Ok(top)
    }

    /// Makes a folder for the runs of each tree, with its files alone and with `folder`, relative to its top. Folders
    /// of other trees are removed. `lent` are files of the repository's own folder that belong to no revision.
    ///
    /// # Errors
    /// [`BuildError::Git`] or [`BuildError::Io`].
    pub(super) fn keep(&self, trees: &BTreeSet<&str>, folder: &Path, lent: &[PathBuf]) -> Result<(), BuildError> {
        if self.shown().is_some_and(|shown| shown != BUILDS) {
            self.remove(SHOWN)?;
        }
        let entries = std::fs::read_dir(&self.folder).map_err(BuildError::io(&self.folder, "reading the folder"))?;
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let stays = name == SHOWN || name == BUILDS;
            if !stays && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.remove(&name)?;
            }
        }
        for tree in trees {
            self.make(tree, |top| {
                place(&self.repository, tree, top, &top.with_file_name("index"))?;
                lent.iter().try_for_each(|path| self.lend(path, top))?;
                let folder = top.join(folder);
                std::fs::create_dir_all(&folder).map_err(BuildError::io(&folder, "creating the folder"))
            })?;
        }
        Ok(())
    }

    /// Puts the folder for the runs of a tree in place.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(super) fn show(&self, held: &str) -> Result<(), BuildError> {
        match self.shown() {
            Some(shown) if shown == held => return Ok(()),
            Some(shown) => self.rename(SHOWN, &shown)?,
            None => self.remove(SHOWN)?,
        }
        self.rename(held, SHOWN)
    }

    /// Where the files of a tree are now.
    pub(super) fn of(&self, tree: &str) -> PathBuf {
        let held = if self.shown().as_deref() == Some(tree) { SHOWN } else { tree };
        self.folder.join(held).join(&self.name)
    }

    /// What is in place.
    fn shown(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join(SHOWN).join(MARK)).ok()
    }

    /// Makes a surrounding folder. It has its name only when it is complete.
    fn make(&self, held: &str, fill: impl FnOnce(&Path) -> Result<(), BuildError>) -> Result<(), BuildError> {
        self.remove(NEW)?;
        self.remove(held)?;
        let new = self.folder.join(NEW);
        let top = new.join(&self.name);
        std::fs::create_dir_all(&top).map_err(BuildError::io(&top, "creating the folder"))?;
        fill(&top)?;
        std::fs::write(new.join(MARK), held).map_err(BuildError::io(&new, "writing"))?;
        self.rename(NEW, held)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), BuildError> {
        let path = self.folder.join(from);
        std::fs::rename(&path, self.folder.join(to)).map_err(BuildError::io(&path, "renaming the folder"))
    }

    fn remove(&self, name: impl AsRef<Path>) -> Result<(), BuildError> {
        let path = self.folder.join(name);
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(BuildError::io(&path, "removing the folder")(e)),
            _ => Ok(()),
        }
    }

    /// Links a file or folder that belongs to no revision, unless the revision has one of this name.
    fn lend(&self, path: &Path, top: &Path) -> Result<(), BuildError> {
        let (own, link) = (self.repository.join(path), top.join(path));
        // The target folder would contain itself.
        if link.symlink_metadata().is_ok() || self.folder.starts_with(&own) {
            return Ok(());
        }
        let linked = std::fs::create_dir_all(link.parent().unwrap_or(top));
        linked.and_then(|()| std::os::unix::fs::symlink(&own, &link)).map_err(BuildError::io(&link, "linking a file"))
    }
}

/// Files and folders of a repository's own folder that belong to no revision: those that git ignores and, where the
/// files as they are do not count as a revision, those that it does not know yet.
///
/// # Errors
/// [`BuildError::Git`].
pub(super) fn of_no_revision(repository: &Path, has_worktree: bool) -> Result<Vec<PathBuf>, BuildError> {
    let others = ["ls-files", "-z", "--others", "--exclude-standard", "--directory"];
    let mut found = git::paths(repository, &[&others[..], &["--ignored"]].concat())?;
    if !has_worktree {
        found.extend(git::paths(repository, &others)?);
    }
    // Git ends the names of folders with a slash, which a link must not have.
    Ok(found.into_iter().map(|path| path.components().collect()).collect())
}

/// A path of the repository's own folder, relative to it; `None` for one outside.
pub(super) fn relative(repository: &Path, path: &Path) -> Option<PathBuf> {
    if let Ok(inner) = path.strip_prefix(repository) {
        return Some(inner.to_owned());
    }
    // Git resolves links in the path of a repository.
    let (repository, path) = (repository.canonicalize().ok()?, path.canonicalize().ok()?);
    path.strip_prefix(repository).ok().map(Path::to_owned)
}

/// A path below a folder; the folder itself where it is empty, without a slash at its end.
pub(super) fn joined(folder: &Path, inner: &Path) -> PathBuf {
    if inner.as_os_str().is_empty() { folder.to_owned() } else { folder.join(inner) }
}

/// Makes a folder have the files of a tree. What a build left there and git does not track stays.
fn place(repository: &Path, tree: &str, folder: &Path, index: &Path) -> Result<(), BuildError> {
    let with_tree = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("--work-tree").arg(folder).args(args).env("GIT_INDEX_FILE", index);
        run(&mut command, repository)
    };
    // Left by a call that was killed: no other process is in this folder.
    let _ = std::fs::remove_file(index.with_extension("lock"));
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
        // An index of a folder that was emptied would leave the files out.
        let _ = std::fs::remove_file(index);
    }
    with_tree(&["read-tree", "--reset", "-u", tree])?;
    // A build may have changed a file.
    with_tree(&["checkout-index", "--all", "--force"])?;
    for (path, commit) in submodules(repository, tree)? {
        let (inner, to) = (repository.join(&path), folder.join(&path));
        if top(&inner).map_or(true, |own| own == repository) {
            let message = format!("submodule {path} is not checked out; run `git submodule update --init`");
            return Err(BuildError::Git { folder: repository.to_owned(), message });
        }
        std::fs::create_dir_all(&to).map_err(BuildError::io(&to, "creating the folder"))?;
        let name = path.replace(['/', '\\'], "-");
        place(&inner, &commit, &to, &index.with_file_name(format!("index-{name}")))?;
    }
    Ok(())
}

/// Paths and commits of the submodules of a tree.
///
/// # Errors
/// [`BuildError::Git`].
pub(super) fn submodules(repository: &Path, tree: &str) -> Result<Vec<(String, String)>, BuildError> {
    let listed = git::git(repository, &["ls-tree", "-r", "-z", "--full-tree", tree])?;
    let lines = listed.split('\0').filter_map(|line| line.split_once('\t'));
    let of_commits = lines.filter(|(entry, _)| entry.starts_with("160000 "));
    let parsed = of_commits.map(|(entry, path)| {
        let commit = entry.split_whitespace().nth(2).unwrap_or_default();
        (path.to_owned(), commit.to_owned())
    });
    Ok(parsed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with two commits, their trees, and a target folder inside it.
    fn repository() -> (tempfile::TempDir, [String; 2]) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |args: &[&str]| git::git(dir.path(), args).expect("git works").trim().to_owned();
        at(&["init", "--quiet"]);
        std::fs::write(dir.path().join(".gitignore"), "target\nignored\n").expect("writes");
        std::fs::write(dir.path().join("ignored"), "of none").expect("writes");
        let trees = ["one", "two"].map(|text| {
            std::fs::write(dir.path().join("data"), text).expect("writes");
            at(&["add", "--all"]);
            at(&["write-tree"])
        });
        (dir, trees)
    }

    #[test]
    fn each_tree_is_at_one_path_when_it_is_shown_and_a_build_touches_none() {
        let (dir, [one, two]) = repository();
        let checkout = Checkout::take(dir.path(), &dir.path().join("target")).expect("takes");
        checkout.build(&one).expect("checks out");
        std::fs::write(checkout.top().join("left-by-a-build"), "").expect("writes");
        let lent = of_no_revision(dir.path(), true).expect("git works");
        checkout.keep(&BTreeSet::from([&*one, &*two]), Path::new("sub"), &lent).expect("makes");
        let read = |name: &str| std::fs::read_to_string(checkout.top().join(name)).ok();
        for (tree, text) in [(&one, "one"), (&two, "two"), (&one, "one"), (&one, "one")] {
            checkout.show(tree).expect("shows");
            assert_eq!(read("data").as_deref(), Some(text));
            assert_eq!((read("ignored").as_deref(), read("left-by-a-build")), (Some("of none"), None));
            assert!(checkout.top().join("sub").is_dir() && !checkout.top().join("target").exists());
            assert_eq!(checkout.of(tree), checkout.top());
        }
        std::fs::write(checkout.top().join("data"), "changed by a run").expect("writes");
        checkout.build(&two).expect("checks out");
        assert!(checkout.top().join("left-by-a-build").exists());
        checkout.keep(&BTreeSet::from([&*one]), Path::new(""), &[]).expect("makes");
        checkout.show(&one).expect("shows");
        assert_eq!(read("data").as_deref(), Some("one"));
        assert!(checkout.show(&two).is_err(), "the folder of another tree is gone");
    }

    #[test]
    fn a_call_that_was_ended_at_any_moment_leaves_a_state_that_the_next_one_understands() {
        let (dir, [one, two]) = repository();
        let checkout = Checkout::take(dir.path(), &dir.path().join("target")).expect("takes");
        let trees = BTreeSet::from([&*one, &*two]);
        let both = || {
            checkout.build(&one).expect("checks out");
            checkout.keep(&trees, Path::new(""), &[]).expect("makes");
            for (tree, text) in [(&one, "one"), (&two, "two")] {
                checkout.show(tree).expect("shows");
                assert_eq!(std::fs::read_to_string(checkout.top().join("data")).expect("is there"), text);
            }
        };
        both();
        // Between the two renames.
        std::fs::rename(checkout.folder.join(SHOWN), checkout.folder.join(&two)).expect("renames");
        both();
        // While a folder was made.
        std::fs::create_dir_all(checkout.folder.join(NEW).join("half")).expect("creates");
        both();
        // While git wrote the files of a build.
        checkout.build(&one).expect("checks out");
        std::fs::write(checkout.folder.join(SHOWN).join("index.lock"), "").expect("writes");
        both();
        // A folder whose content is not known.
        std::fs::remove_file(checkout.folder.join(SHOWN).join(MARK)).expect("removes");
        both();
    }
}
