//! Revisions of the sources: what git knows under a name, or the files as they are, checked out at one path.
//!
//! Every revision is checked out in the same folder, one after the other. Paths are part of a binary, so two commits
//! with the same code have the same binary only when they are built at the same place. Git changes only the files that
//! differ, so cargo compiles only what differs. The repository's own files, index and list of work trees stay as they
//! are. Uncommitted changes become a commit that no branch has.

use super::decided::sha256;
use super::error::BuildError;
use super::pointed::pointed;
use crate::config::Study;
use crate::design::BuildPlan;
use crate::support::nearest::suggestion;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Name of the files as they are, uncommitted changes and new files included.
pub(crate) const WORKTREE: &str = "worktree";

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revision {
    /// Its commit.
    pub(crate) commit: String,
    /// The tree of that commit: two commits with the same files have the same.
    pub(crate) tree: String,
    /// The name, the commit and its title, for people.
    pub(crate) shown: String,
}

/// The revisions of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revisions {
    /// Top folder of the repository.
    pub(crate) repository: PathBuf,
    /// Name in the config → revision; has [`WORKTREE`] when a build needs it.
    by_name: BTreeMap<String, Revision>,
}

impl Revisions {
    /// The revision of a build: of the files as they are where its levels name none.
    ///
    /// # Errors
    /// [`BuildError::Git`] when it was not found before.
    pub(super) fn of(&self, plan: &BuildPlan) -> Result<&Revision, BuildError> {
        let name = plan.settings.revision.as_deref().unwrap_or(WORKTREE);
        self.by_name.get(name).ok_or_else(|| BuildError::Git {
            folder: self.repository.clone(),
            message: format!("there is no revision `{name}`"),
        })
    }

    /// Checks a revision out below the target folder, instead of the one that was there. Returns its top folder.
    ///
    /// # Errors
    /// [`BuildError::Git`] or [`BuildError::Io`].
    pub(super) fn check_out(&self, revision: &Revision, target: &Path) -> Result<PathBuf, BuildError> {
        let name = self.repository.file_name().unwrap_or(OsStr::new("repository"));
        // A target folder can be shared by several repositories, also by two of one name.
        let own = sha256(self.repository.as_os_str().as_encoded_bytes());
        let parent = target.join("ablate/source").join(&own[..12]);
        let folder = parent.join(name);
        std::fs::create_dir_all(&folder).map_err(BuildError::io(&folder, "creating the folder"))?;
        place(&self.repository, &revision.tree, &folder, &parent.join("index"))?;
        Ok(folder)
    }
}

/// Finds every revision that the levels of a study name. `None` when they name none.
///
/// # Errors
/// [`BuildError::Config`] for one that does not exist, [`BuildError::Git`].
pub(super) fn find(study: &Study, root: &Path) -> Result<Option<Revisions>, BuildError> {
    let levels = || study.factors.iter().flat_map(|factor| factor.levels.values());
    let names: Vec<&String> = levels().filter_map(|level| level.build.revision.as_ref()).collect();
    let Some(first) = names.first() else { return Ok(None) };
    let Some(repository) = top(root) else {
        let message = format!("the sources of the subject are in no git repository, so there is no `{first}`");
        return Err(pointed(study, &["revision"], first, message));
    };
    let mut by_name = BTreeMap::new();
    for name in names {
        let Some(revision) = resolve(&repository, name)? else {
            let branches = git(&repository, &["for-each-ref", "--format=%(refname:short)"])?;
            let near = suggestion(name, branches.lines().chain([WORKTREE, "HEAD"]));
            let message = format!("git knows no revision `{name}` in the repository of the subject{near}");
            return Err(pointed(study, &["revision"], name, message));
        };
        by_name.insert(name.clone(), revision);
    }
    // One factor has the revisions; a level of it without one is built from the files as they are.
    let of_factor =
        |factor: &&crate::config::Factor| factor.levels.values().any(|level| level.build.revision.is_some());
    let mut own = study.factors.iter().filter(of_factor).flat_map(|factor| factor.levels.values());
    if !by_name.contains_key(WORKTREE) && own.any(|level| level.build.revision.is_none()) {
        by_name.insert(WORKTREE.to_owned(), snapshot(&repository)?);
    }
    Ok(Some(Revisions { repository, by_name }))
}

/// Top folder of the repository of a folder; `None` outside one.
pub(crate) fn top(folder: &Path) -> Option<PathBuf> {
    let mut command = Command::new("git");
    command.args(["rev-parse", "--show-toplevel"]).current_dir(folder).stdin(Stdio::null());
    let out = command.output().ok().filter(|out| out.status.success())?;
    let text = out.stdout.strip_suffix(b"\n").unwrap_or(&out.stdout);
    Some(PathBuf::from(OsStr::from_bytes(text)))
}

/// The revision of a name: [`WORKTREE`], two revisions with `...` between them for their merge base, or what git knows.
/// `None` when there is no such commit.
///
/// # Errors
/// [`BuildError::Git`].
pub(crate) fn resolve(repository: &Path, name: &str) -> Result<Option<Revision>, BuildError> {
    if name == WORKTREE {
        return snapshot(repository).map(Some);
    }
    let commit_of = |name: &str| {
        git(repository, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]).ok()
    };
    let commit = match name.split_once("...") {
        Some((one, other)) => {
            let or_head = |name: &str| commit_of(if name.is_empty() { "HEAD" } else { name });
            let Some((one, other)) = or_head(one).zip(or_head(other)) else { return Ok(None) };
            git(repository, &["merge-base", one.trim(), other.trim()]).ok()
        }
        None => commit_of(name),
    };
    commit.map(|commit| described(repository, name, commit.trim())).transpose()
}

fn described(repository: &Path, name: &str, commit: &str) -> Result<Revision, BuildError> {
    let text = git(repository, &["show", "--no-patch", "--format=%T %h %s", commit])?;
    let (tree, title) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let title = title.chars().map(|c| if c.is_control() { ' ' } else { c });
    let title: String = title.take(80).collect();
    let is_hash = commit.starts_with(name);
    let shown = if is_hash { title } else { format!("{name} = {title}") };
    Ok(Revision { commit: commit.to_owned(), tree: tree.to_owned(), shown })
}

/// The files as they are, as a commit. It is the commit of `HEAD` when nothing was changed.
fn snapshot(repository: &Path) -> Result<Revision, BuildError> {
    let scratch = crate::support::files::scratch(None).map_err(BuildError::io(repository, "creating a folder"))?;
    let index = scratch.path().join("index");
    let own = git(repository, &["rev-parse", "--git-path", "index"])?;
    // Without a copy of the index, git would read every file anew. A repository without one has no commit either.
    let _ = std::fs::copy(repository.join(own.trim()), &index);
    let with_index = |args: &[&str]| {
        let mut command = Command::new("git");
        run(command.args(args).env("GIT_INDEX_FILE", &index), repository)
    };
    with_index(&["add", "--all"])?;
    let tree = with_index(&["write-tree"])?.trim().to_owned();
    let head = git(repository, &["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    if git(repository, &["rev-parse", &format!("{head}^{{tree}}")])?.trim() == tree {
        let clean = described(repository, WORKTREE, &head)?;
        return Ok(Revision { shown: format!("{}, without changes", clean.shown), ..clean });
    }
    let changed = git(repository, &["diff", "--name-only", &head, &tree])?.lines().count();
    let files = crate::support::count::counted(changed, "changed file");
    let short: String = head.chars().take(7).collect();
    let mut command = Command::new("git");
    // Fixed names and times, so that the same files on the same commit give the same commit.
    command.args(["commit-tree", &tree, "-p", &head, "-m", "files as they were, for a measurement"]);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "ablate").env(format!("GIT_{who}_EMAIL"), "ablate");
        command.env(format!("GIT_{who}_DATE"), "2000-01-01T00:00:00Z");
    }
    let commit = run(&mut command, repository)?.trim().to_owned();
    Ok(Revision { commit, tree, shown: format!("{WORKTREE} = {short} and {files}") })
}

/// Makes a folder have the files of a tree. What a build left there and git does not track stays.
fn place(repository: &Path, tree: &str, folder: &Path, index: &Path) -> Result<(), BuildError> {
    let with_tree = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("--work-tree").arg(folder).args(args).env("GIT_INDEX_FILE", index);
        run(&mut command, repository)
    };
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
        // An index of a folder that was emptied would leave the files out.
        let _ = std::fs::remove_file(index);
    }
    with_tree(&["read-tree", "--reset", "-u", tree])?;
    // A build may have changed a file.
    with_tree(&["checkout-index", "--all", "--force"])?;
    for line in git(repository, &["ls-tree", "-r", "-z", "--full-tree", tree])?.split('\0') {
        let Some((entry, path)) = line.split_once('\t').filter(|(entry, _)| entry.starts_with("160000 ")) else {
            continue;
        };
        let commit = entry.split_whitespace().nth(2).unwrap_or_default();
        let (inner, to) = (repository.join(path), folder.join(path));
        if top(&inner).is_none_or(|own| own == repository) {
            let message = format!("submodule {path} is not checked out; run `git submodule update --init`");
            return Err(BuildError::Git { folder: repository.to_owned(), message });
        }
        std::fs::create_dir_all(&to).map_err(BuildError::io(&to, "creating the folder"))?;
        let name = path.replace(['/', '\\'], "-");
        place(&inner, commit, &to, &index.with_file_name(format!("index-{name}")))?;
    }
    Ok(())
}

/// Gives a checked-out workspace the lock file of the working folder where git does not track it, so that all revisions
/// have the same dependencies.
pub(super) fn lend_lock_file(from: &Path, to: &Path) -> Result<(), BuildError> {
    let (own, lent) = (from.join("Cargo.lock"), to.join("Cargo.lock"));
    let Ok(text) = std::fs::read(&own) else { return Ok(()) };
    let is_tracked = run(Command::new("git").args(["ls-files", "--error-unmatch", "Cargo.lock"]), from).is_ok();
    // A revision from before the file was tracked needs it as well.
    if (is_tracked && lent.exists()) || std::fs::read(&lent).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::write(&lent, text).map_err(BuildError::io(&lent, "copying the lock file"))
}

/// What git prints.
///
/// # Errors
/// [`BuildError::Git`].
pub(crate) fn git(repository: &Path, args: &[&str]) -> Result<String, BuildError> {
    run(Command::new("git").args(args), repository)
}

fn run(command: &mut Command, folder: &Path) -> Result<String, BuildError> {
    let failed = |message: String| BuildError::Git { folder: folder.to_owned(), message };
    let out = command.current_dir(folder).stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&out.stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(failed(line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |args: &[&str]| git(dir.path(), args).expect("git works");
        at(&["init", "--quiet", "--initial-branch=main"]);
        at(&["config", "user.name", "t"]);
        at(&["config", "user.email", "t"]);
        std::fs::write(dir.path().join("a"), "one").expect("writes");
        std::fs::write(dir.path().join("b"), "same").expect("writes");
        at(&["add", "--all"]);
        at(&["commit", "--quiet", "-m", "first"]);
        at(&["checkout", "--quiet", "-b", "change"]);
        std::fs::write(dir.path().join("a"), "two").expect("writes");
        std::fs::write(dir.path().join("new"), "n").expect("writes");
        at(&["add", "--all"]);
        at(&["commit", "--quiet", "-m", "second"]);
        dir
    }

    #[test]
    fn revisions_are_named_as_git_does_and_merge_bases_by_three_dots() {
        let dir = repository();
        let of = |name: &str| resolve(dir.path(), name).expect("git works");
        let (main, head) = (of("main").expect("is there"), of("HEAD").expect("is there"));
        assert!(main.shown.starts_with("main = ") && main.shown.ends_with(" first"), "{}", main.shown);
        assert_eq!(of("main...HEAD").expect("is there").commit, main.commit);
        assert_eq!(of("main...").expect("is there").commit, main.commit);
        assert_eq!(of(&head.commit).expect("is there").tree, head.tree);
        assert_eq!((of("no-such"), of("no-such...HEAD"), of("--all")), (None, None, None));
    }

    #[test]
    fn files_as_they_are_become_a_commit_and_nothing_of_the_repository_changes() {
        let dir = repository();
        let clean = resolve(dir.path(), WORKTREE).expect("git works").expect("is there");
        assert!(clean.shown.contains("without changes"), "{}", clean.shown);
        std::fs::write(dir.path().join("a"), "three").expect("writes");
        std::fs::write(dir.path().join("untracked"), "u").expect("writes");
        let before = git(dir.path(), &["status", "--porcelain"]).expect("git works");
        let changed = resolve(dir.path(), WORKTREE).expect("git works").expect("is there");
        assert!(changed.shown.contains("2 changed files"), "{}", changed.shown);
        assert_eq!(resolve(dir.path(), WORKTREE).expect("git works"), Some(changed.clone()));
        assert_eq!(git(dir.path(), &["status", "--porcelain"]).expect("git works"), before);
        let revisions = Revisions {
            repository: dir.path().to_owned(),
            by_name: BTreeMap::from([(WORKTREE.to_owned(), changed.clone())]),
        };
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = revisions.check_out(&changed, target.path()).expect("checks out");
        let read = |name: &str| std::fs::read_to_string(out.join(name)).ok();
        assert_eq!((read("a").as_deref(), read("untracked").as_deref()), (Some("three"), Some("u")));
    }

    #[test]
    fn another_revision_takes_the_place_and_what_is_the_same_is_not_touched() {
        let dir = repository();
        let of = |name: &str| resolve(dir.path(), name).expect("git works").expect("is there");
        let revisions = Revisions { repository: dir.path().to_owned(), by_name: BTreeMap::new() };
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = revisions.check_out(&of("HEAD"), target.path()).expect("checks out");
        let modified =
            |name: &str| std::fs::metadata(out.join(name)).and_then(|file| file.modified()).expect("is there");
        let before = modified("b");
        std::fs::write(out.join("left-by-a-build"), "").expect("writes");
        std::fs::write(out.join("a"), "changed by a build").expect("writes");
        revisions.check_out(&of("main"), target.path()).expect("checks out");
        assert_eq!(std::fs::read_to_string(out.join("a")).expect("is there"), "one");
        assert!(!out.join("new").exists() && out.join("left-by-a-build").exists());
        assert_eq!(modified("b"), before);
        std::fs::remove_dir_all(&out).expect("removes");
        revisions.check_out(&of("main"), target.path()).expect("checks out again");
        assert_eq!(std::fs::read_to_string(out.join("b")).expect("is there"), "same");
    }

    #[test]
    fn submodules_are_checked_out_at_their_commit() {
        let (outer, inner) = (repository(), repository());
        let at = |args: &[&str]| git(outer.path(), args).expect("git works");
        let url = inner.path().display().to_string();
        at(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "deep/inner"]);
        at(&["commit", "--quiet", "-m", "with a submodule"]);
        let head = resolve(outer.path(), "HEAD").expect("git works").expect("is there");
        let revisions = Revisions { repository: outer.path().to_owned(), by_name: BTreeMap::new() };
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = revisions.check_out(&head, target.path()).expect("checks out");
        assert_eq!(std::fs::read_to_string(out.join("deep/inner/a")).expect("is there"), "two");
    }

    #[test]
    fn a_lock_file_that_is_not_tracked_is_lent() {
        let dir = repository();
        let to = tempfile::tempdir().expect("a temporary folder");
        lend_lock_file(dir.path(), to.path()).expect("there is none");
        assert!(!to.path().join("Cargo.lock").exists());
        std::fs::write(dir.path().join("Cargo.lock"), "lock").expect("writes");
        lend_lock_file(dir.path(), to.path()).expect("copies");
        assert_eq!(std::fs::read_to_string(to.path().join("Cargo.lock")).expect("is there"), "lock");
        git(dir.path(), &["add", "Cargo.lock"]).expect("git works");
        std::fs::write(to.path().join("Cargo.lock"), "of the revision").expect("writes");
        lend_lock_file(dir.path(), to.path()).expect("leaves it");
        assert_eq!(std::fs::read_to_string(to.path().join("Cargo.lock")).expect("is there"), "of the revision");
    }
}
