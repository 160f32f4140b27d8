//! Which two revisions are compared.

use super::error::DiffError;
use crate::builds::revisions::{self, WORKTREE, git};
use std::path::Path;

/// The two revisions, by names that git knows, or `worktree`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sides {
    /// What is compared with.
    pub(crate) base: String,
    /// What is judged.
    pub(crate) head: String,
}

/// Names of branches that changes usually begin at, the likeliest first.
const BRANCHES: [&str; 4] = ["origin/main", "origin/master", "main", "master"];

/// Reads `BASE..HEAD`, `BASE...HEAD` or `BASE`. Without any of them: the last commit against uncommitted changes; where
/// there are none, the place where this branch left the repository's main branch against its last commit; on the main
/// branch itself the last two commits.
///
/// # Errors
/// [`DiffError::NothingCommitted`], [`DiffError::NoCommit`] where there is nothing to compare with, and those of git.
pub(crate) fn sides(repository: &Path, given: Option<&str>) -> Result<Sides, DiffError> {
    if let Some(given) = given {
        return Ok(named(given));
    }
    let commit = |name: &str| -> Result<Option<String>, DiffError> {
        Ok(revisions::resolve(repository, name)?.map(|revision| revision.commit))
    };
    let Some(head) = commit("HEAD")? else { return Err(DiffError::NothingCommitted) };
    if commit(WORKTREE)?.is_some_and(|worktree| worktree != head) {
        return Ok(Sides { base: "HEAD".to_owned(), head: WORKTREE.to_owned() });
    }
    let of_remote = git(repository, &["symbolic-ref", "--short", "--quiet", "refs/remotes/origin/HEAD"]);
    let of_remote = of_remote.ok().map(|name| name.trim().to_owned());
    for branch in of_remote.into_iter().chain(BRANCHES.map(str::to_owned)) {
        let base = format!("{branch}...HEAD");
        if commit(&base)?.is_some_and(|base| base != head) {
            return Ok(Sides { base, head: "HEAD".to_owned() });
        }
    }
    match commit("HEAD~1")? {
        Some(_) => Ok(Sides { base: "HEAD~1".to_owned(), head: "HEAD".to_owned() }),
        None => Err(DiffError::NoCommit),
    }
}

/// The two revisions of `BASE..HEAD`, `BASE...HEAD` or `BASE`.
pub(super) fn named(given: &str) -> Sides {
    let or_head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
    // Three dots contain two.
    if let Some((_, head)) = given.split_once("...") {
        return Sides { base: given.to_owned(), head: or_head(head) };
    }
    match given.split_once("..") {
        Some((base, head)) => Sides { base: or_head(base), head: or_head(head) },
        None => Sides { base: or_head(given), head: WORKTREE.to_owned() },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |args: &[&str]| git(dir.path(), args).expect("git works");
        at(&["init", "--quiet", "--initial-branch=main"]);
        at(&["config", "user.name", "t"]);
        at(&["config", "user.email", "t"]);
        dir
    }

    pub(in super::super) fn commit(dir: &Path, text: &str) {
        std::fs::write(dir.join("file"), text).expect("writes");
        git(dir, &["add", "--all"]).expect("git works");
        git(dir, &["commit", "--quiet", "-m", text]).expect("git works");
    }

    #[test]
    fn revisions_are_read_as_git_reads_them() {
        let dir = repository();
        let given = |text: &str| {
            let sides = sides(dir.path(), Some(text)).expect("needs no commit");
            (sides.base, sides.head)
        };
        let pair = |base: &str, head: &str| (base.to_owned(), head.to_owned());
        assert_eq!(given("v1..v2"), pair("v1", "v2"));
        assert_eq!(given("v1.."), pair("v1", "HEAD"));
        assert_eq!(given("..v2"), pair("HEAD", "v2"));
        assert_eq!(given("main...topic"), pair("main...topic", "topic"));
        assert_eq!(given("main..."), pair("main...", "HEAD"));
        assert_eq!(given("main"), pair("main", "worktree"));
    }

    #[test]
    fn without_a_name_the_nearest_change_is_compared() {
        let dir = repository();
        let chosen = || {
            let sides = sides(dir.path(), None)?;
            Ok::<_, DiffError>((sides.base, sides.head))
        };
        assert!(matches!(chosen(), Err(DiffError::NothingCommitted)));
        commit(dir.path(), "one");
        assert!(matches!(chosen(), Err(DiffError::NoCommit)));
        commit(dir.path(), "two");
        let pair = |base: &str, head: &str| (base.to_owned(), head.to_owned());
        assert_eq!(chosen().expect("two commits"), pair("HEAD~1", "HEAD"));
        git(dir.path(), &["checkout", "--quiet", "-b", "topic"]).expect("git works");
        assert_eq!(chosen().expect("two commits"), pair("HEAD~1", "HEAD"));
        commit(dir.path(), "three");
        assert_eq!(chosen().expect("a branch"), pair("main...HEAD", "HEAD"));
        std::fs::write(dir.path().join("file"), "four").expect("writes");
        assert_eq!(chosen().expect("a change"), pair("HEAD", "worktree"));
    }
}
