//! Revisions of the sources: what git knows under a name, or the files as they are, checked out at one path.
//!
//! Every revision is checked out in the same folder, one after the other. Paths are part of a binary, so two commits
//! with the same code have the same binary only when they are built at the same place. Git changes only the files that
//! differ, so cargo compiles only what differs. The repository's own files, index and list of work trees stay as they
//! are. Uncommitted changes become a commit that no branch has.

use super::beside::Beside;
use super::cargo_files;
use super::checkout::{self, Checkout, joined, relative, submodules};
use super::error::BuildError;
use super::git::run;
pub(crate) use super::git::{git, top};
use super::pointed::pointed;
use crate::config::Study;
use crate::design::BuildPlan;
use crate::support::nearest::suggestion;
use ablate_format::BuildRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// Name of the files as they are, uncommitted changes and new files included.
pub(crate) const WORKTREE: &str = "worktree";

/// Setting of a build: its revision, for people.
const SHOWN: &str = "revision";
/// Setting of a build: the commit of its revision.
const COMMIT: &str = "commit";
/// Setting of a build: the tree of that commit.
const TREE: &str = "tree";
/// Those that an older ablate did not record.
pub(crate) const LATER: [&str; 2] = [COMMIT, TREE];

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

impl Revision {
    /// Adds it to the settings of a build.
    pub(super) fn describe(&self, settings: &mut BTreeMap<String, String>) {
        settings.insert(SHOWN.to_owned(), self.shown.clone());
        settings.insert(COMMIT.to_owned(), self.commit.clone());
        settings.insert(TREE.to_owned(), self.tree.clone());
    }
}

/// The revision of a build that was recorded: its commit, and the words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// The commit.
    pub(crate) commit: String,
    /// The words for people.
    pub(crate) shown: String,
}

impl Pin {
    /// That of a build; `None` for one without a revision, and for one of an older ablate.
    pub(crate) fn of(build: &BuildRecord) -> Option<Pin> {
        let (commit, shown) = (build.settings.get(COMMIT)?, build.settings.get(SHOWN)?);
        Some(Pin { commit: commit.clone(), shown: shown.clone() })
    }

    /// The revision itself.
    ///
    /// # Errors
    /// [`BuildError::Git`] when the repository has its commit no more.
    pub(crate) fn revision(&self, repository: &Path) -> Result<Revision, BuildError> {
        let tree = git(repository, &["rev-parse", "--verify", &format!("{}^{{tree}}", self.commit)])?;
        Ok(Revision { commit: self.commit.clone(), tree: tree.trim().to_owned(), shown: self.shown.clone() })
    }
}

/// Revisions that are known before git is asked, by their name in the config: those of a study that is continued.
pub(crate) type Pinned = BTreeMap<String, Pin>;

/// The revisions of a study.
#[derive(Debug)]
pub(crate) struct Revisions {
    /// Top folder of the repository.
    pub(crate) repository: PathBuf,
    /// Name in the config → revision; has [`WORKTREE`] when a build needs it.
    by_name: BTreeMap<String, Revision>,
    /// The folder in which they are built and run, from its first use on.
    checkout: OnceLock<Arc<Checkout>>,
    /// Folders outside the repository that a build used.
    told: Mutex<BTreeSet<PathBuf>>,
}

impl Revisions {
    pub(super) fn new(repository: PathBuf, by_name: BTreeMap<String, Revision>) -> Revisions {
        Revisions { repository, by_name, checkout: OnceLock::new(), told: Mutex::default() }
    }

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

    /// The folder in which the revisions are built and run. It stays locked as long as this value or a [`Beside`] lives.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(super) fn checkout(&self, target: &Path) -> Result<&Arc<Checkout>, BuildError> {
        if let Some(checkout) = self.checkout.get() {
            return Ok(checkout);
        }
        let taken = Checkout::take(&self.repository, target)?;
        Ok(self.checkout.get_or_init(|| Arc::new(taken)))
    }

    /// Checks a revision out below the target folder, instead of the one that was there. Returns its top folder.
    ///
    /// # Errors
    /// [`BuildError::Git`] or [`BuildError::Io`].
    pub(super) fn check_out(&self, revision: &Revision, target: &Path) -> Result<PathBuf, BuildError> {
        self.checkout(target)?.build(&revision.tree)
    }

    /// Makes a folder for the runs of each build. Processes start in `folder`.
    ///
    /// # Errors
    /// [`BuildError::Git`] or [`BuildError::Io`].
    pub(super) fn beside(&self, plans: &[BuildPlan], folder: &Path, target: &Path) -> Result<Beside, BuildError> {
        let checkout = self.checkout(target)?;
        let mut trees = BTreeMap::new();
        for plan in plans.iter().filter(|plan| plan.command.is_none()) {
            trees.insert(plan.id.clone(), self.of(plan)?.tree.clone());
        }
        let lent = checkout::of_no_revision(&self.repository, self.by_name.contains_key(WORKTREE))?;
        let folder = relative(&self.repository, folder).unwrap_or_default();
        checkout.keep(&trees.values().map(String::as_str).collect::<BTreeSet<_>>(), &folder, &lent)?;
        Ok(Beside { checkout: checkout.clone(), repository: self.repository.clone(), trees })
    }

    /// Whether no build used this folder outside the repository before.
    pub(super) fn is_new(&self, folder: &Path) -> bool {
        self.told.lock().is_ok_and(|mut told| told.insert(folder.to_owned()))
    }

    /// Where a path of the repository's own folder is in a checked-out revision; its top for one outside.
    pub(super) fn within(&self, checkout: &Path, path: &Path) -> PathBuf {
        joined(checkout, &relative(&self.repository, path).unwrap_or_default())
    }

    /// Whether a revision names its toolchain in a folder of sources, so that rustup chooses it there.
    pub(super) fn names_toolchain(&self, revision: &Revision, root: &Path) -> bool {
        let root = relative(&self.repository, root).unwrap_or_default();
        cargo_files::TOOLCHAIN.iter().any(|name| {
            let file = format!("{}:{}", revision.tree, root.join(name).display());
            git(&self.repository, &["cat-file", "-e", &file]).is_ok()
        })
    }
}

/// Finds every revision that the levels of a study name. `None` when they name none. `package` is the folder of the
/// package, in the workspace in `root`. Git is not asked for names that are pinned.
///
/// # Errors
/// [`BuildError::Config`] for one that does not exist, [`BuildError::Git`].
pub(super) fn find(
    study: &Study,
    root: &Path,
    package: &Path,
    pinned: &Pinned,
) -> Result<Option<Revisions>, BuildError> {
    let levels = || study.factors.iter().flat_map(|factor| factor.levels.values());
    let names: Vec<&String> = levels().filter_map(|level| level.build.revision.as_ref()).collect();
    let Some(first) = names.first() else { return Ok(None) };
    // A workspace can lie above the repository of its package.
    let repository = top(root).or_else(|_| top(package)).map_err(|reason| {
        let folder = package.display();
        let message = format!("git has no repository of the subject in {folder}, so there is no `{first}`: {reason}");
        pointed(study, &["revision"], first, message)
    })?;
    let mut by_name = BTreeMap::new();
    for name in names {
        if let Some(pin) = pinned.get(name) {
            by_name.insert(name.clone(), pin.revision(&repository)?);
            continue;
        }
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
        let files = pinned.get(WORKTREE).map_or_else(|| snapshot(&repository), |pin| pin.revision(&repository));
        by_name.insert(WORKTREE.to_owned(), files?);
    }
    Ok(Some(Revisions::new(repository, by_name)))
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
    let _ = copy_with_time(&repository.join(own.trim()), &index);
    let with_index = |args: &[&str]| {
        let mut command = Command::new("git");
        run(command.args(args).env("GIT_INDEX_FILE", &index), repository)
    };
    with_index(&["add", "--all"])?;
    let with_commits = with_index(&["write-tree"])?;
    for (path, commit) in submodules(repository, with_commits.trim())? {
        // Of a submodule, `add` sees its commit and no changed file.
        let inner = repository.join(&path);
        if top(&inner).map_or(true, |own| own == repository) {
            continue;
        }
        let own = snapshot(&inner)?;
        if own.commit != commit {
            with_index(&["update-index", "--cacheinfo", &format!("160000,{},{path}", own.commit)])?;
        }
    }
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

/// Copies an index with the time at which it was written: git takes a file for unchanged whose size and time are those in
/// the index, unless the index was written in the same second.
fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::copy(from, to)?;
    let written = std::fs::metadata(from)?.modified()?;
    File::options().write(true).open(to)?.set_modified(written)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
        let by_name = BTreeMap::from([(WORKTREE.to_owned(), changed.clone())]);
        let revisions = Revisions::new(dir.path().to_owned(), by_name);
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = revisions.check_out(&changed, target.path()).expect("checks out");
        let read = |name: &str| std::fs::read_to_string(out.join(name)).ok();
        assert_eq!((read("a").as_deref(), read("untracked").as_deref()), (Some("three"), Some("u")));
    }

    #[test]
    fn a_change_in_the_second_of_the_commit_that_keeps_the_size_is_seen() {
        let dir = repository();
        let seen = |text: &str| {
            std::fs::write(dir.path().join("a"), text).expect("writes");
            git(dir.path(), &["commit", "--quiet", "--all", "--allow-empty", "-m", "again"]).expect("git works");
            std::fs::write(dir.path().join("a"), text.to_uppercase()).expect("writes");
            // What an index says that is newer than both.
            std::thread::sleep(Duration::from_millis(1_100));
            resolve(dir.path(), WORKTREE).expect("git works").expect("is there").shown
        };
        for text in ["abc", "def", "ghi"] {
            assert!(seen(text).ends_with(" and 1 changed file"), "{text}");
        }
    }

    #[test]
    fn another_revision_takes_the_place_and_what_is_the_same_is_not_touched() {
        let dir = repository();
        let of = |name: &str| resolve(dir.path(), name).expect("git works").expect("is there");
        let revisions = Revisions::new(dir.path().to_owned(), BTreeMap::new());
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
    fn a_change_of_the_same_length_right_after_a_commit_is_seen() {
        let dir = repository();
        // A second may end between the commit and the change, and then git sees it anyway.
        for (text, title) in [("1st", "2nd"), ("3rd", "4th")] {
            std::fs::write(dir.path().join("a"), text).expect("writes");
            git(dir.path(), &["commit", "--quiet", "--all", "-m", title]).expect("git works");
            std::fs::write(dir.path().join("a"), title).expect("writes");
            std::thread::sleep(std::time::Duration::from_millis(1100));
            let files = resolve(dir.path(), WORKTREE).expect("git works").expect("is there");
            assert!(files.shown.ends_with("1 changed file"), "{}", files.shown);
        }
    }

    #[test]
    fn submodules_are_checked_out_at_their_commit() {
        let (outer, inner) = (repository(), repository());
        let at = |args: &[&str]| git(outer.path(), args).expect("git works");
        let url = inner.path().display().to_string();
        at(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "deep/inner"]);
        at(&["commit", "--quiet", "-m", "with a submodule"]);
        let head = resolve(outer.path(), "HEAD").expect("git works").expect("is there");
        let revisions = Revisions::new(outer.path().to_owned(), BTreeMap::new());
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = revisions.check_out(&head, target.path()).expect("checks out");
        assert_eq!(std::fs::read_to_string(out.join("deep/inner/a")).expect("is there"), "two");
    }

    #[test]
    fn changed_files_of_a_submodule_belong_to_the_files_as_they_are() {
        let (outer, inner) = (repository(), repository());
        let at = |args: &[&str]| git(outer.path(), args).expect("git works");
        let url = inner.path().display().to_string();
        at(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "inner"]);
        at(&["commit", "--quiet", "-m", "with a submodule"]);
        let of = |name: &str| resolve(outer.path(), name).expect("git works").expect("is there");
        assert_eq!(of(WORKTREE).commit, of("HEAD").commit);
        std::fs::write(outer.path().join("inner/a"), "changed").expect("writes");
        std::fs::write(outer.path().join("inner/untracked"), "u").expect("writes");
        let before = git(&outer.path().join("inner"), &["status", "--porcelain"]).expect("git works");
        let files = of(WORKTREE);
        assert!(files.shown.ends_with("1 changed file"), "{}", files.shown);
        let revisions = Revisions::new(outer.path().to_owned(), BTreeMap::new());
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = revisions.check_out(&files, target.path()).expect("checks out");
        let read = |name: &str| std::fs::read_to_string(out.join("inner").join(name)).ok();
        assert_eq!((read("a").as_deref(), read("untracked").as_deref()), (Some("changed"), Some("u")));
        revisions.check_out(&of("HEAD"), target.path()).expect("checks out");
        assert_eq!((read("a").as_deref(), read("untracked")), (Some("two"), None));
        assert_eq!(git(&outer.path().join("inner"), &["status", "--porcelain"]).expect("git works"), before);
    }

    #[test]
    fn repositories_of_one_name_do_not_mix_in_one_target_folder() {
        let (parents, target) = ([repository(), repository()], tempfile::tempdir().expect("a temporary folder"));
        let mut outs = Vec::new();
        for (parent, text) in parents.iter().zip(["first", "second"]) {
            let own = parent.path().join("same");
            std::fs::create_dir(&own).expect("creates");
            git(&own, &["init", "--quiet"]).expect("git works");
            std::fs::write(own.join(text), text).expect("writes");
            git(&own, &["add", "--all"]).expect("git works");
            let who = ["-c", "user.name=t", "-c", "user.email=t"];
            git(&own, &[&who[..], &["commit", "--quiet", "-m", text]].concat()).expect("git works");
            let head = resolve(&own, "HEAD").expect("git works").expect("is there");
            let revisions = Revisions::new(own, BTreeMap::new());
            for _ in 0..2 {
                outs.push(revisions.check_out(&head, target.path()).expect("checks out"));
            }
        }
        let names = |out: &Path| {
            let entries = std::fs::read_dir(out).expect("is there").filter_map(Result::ok);
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_ne!(outs[0], outs[2]);
        assert_eq!([names(&outs[0]), names(&outs[2])], [["first"], ["second"]]);
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
