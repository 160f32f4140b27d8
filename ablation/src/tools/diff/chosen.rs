//! The revisions of a comparison: those of the call, or those that the comparison in a folder began with.

use super::error::DiffError;
use super::request::Request;
use super::resume::Begun;
use super::sides::{self, Sides};
use crate::builds::revisions::{self, Pin, Pinned, Revision, WORKTREE, git};
use crate::support::nearest::suggestion;
use std::path::Path;

/// Two revisions, by the names that the builds have for them.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) names: Sides,
    pub(super) base: Revision,
    pub(super) head: Revision,
}

impl Chosen {
    /// Both by their names, so that all parts are of the same commits, also where a branch moves or a file changes.
    pub(super) fn pinned(&self) -> Pinned {
        let pin = |revision: &Revision| Pin { commit: revision.commit.clone(), shown: revision.shown.clone() };
        [(self.names.base.clone(), pin(&self.base)), (self.names.head.clone(), pin(&self.head))].into()
    }
}

/// The revisions to compare. `begun` are those of the folder that is continued.
///
/// # Errors
/// [`DiffError::OtherRevisions`] where the call names others than the folder has, and those of [`resolved()`].
pub(super) fn chosen(
    request: &Request,
    repository: &Path,
    begun: Option<(&Path, &Begun)>,
) -> Result<Chosen, DiffError> {
    let asked = || -> Result<Chosen, DiffError> {
        let names = sides::sides(repository, request.revisions.as_deref())?;
        let (base, head) = (resolved(repository, &names.base)?, resolved(repository, &names.head)?);
        Ok(Chosen { names, base, head })
    };
    let Some((dir, begun)) = begun else { return asked() };
    let (base, head) = (begun.base.revision(repository)?, begun.head.revision(repository)?);
    if request.revisions.is_some() {
        let asked = asked()?;
        if (&asked.base.commit, &asked.head.commit) != (&base.commit, &head.commit) {
            let pair = |base: &Revision, head: &Revision| {
                let one = |revision: &Revision| format!("{} ({})", revision.shown, short(&revision.commit));
                format!("{} with {}", one(head), one(base))
            };
            let (began, asked) = (pair(&base, &head), pair(&asked.base, &asked.head));
            return Err(DiffError::OtherRevisions { dir: dir.to_owned(), began, asked });
        }
    }
    Ok(Chosen { names: Sides { base: base.commit.clone(), head: head.commit.clone() }, base, head })
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// Refuses names that are no revisions of the repository here, before anything else that may be wrong is looked for. A
/// folder without a repository is refused where its sources are known, and so are the revisions of a config's sources,
/// which may lie elsewhere.
///
/// # Errors
/// As [`resolved()`].
pub(super) fn exist(request: &Request, names: &[&str]) -> Result<(), DiffError> {
    if request.config.is_some() || request.resume {
        return Ok(());
    }
    let here = std::env::current_dir().map_err(DiffError::Nowhere)?;
    let Ok(repository) = revisions::top(&here) else { return Ok(()) };
    names.iter().filter(|name| **name != WORKTREE).try_for_each(|name| resolved(&repository, name).map(|_| ()))
}

/// The revision of a name.
///
/// # Errors
/// [`DiffError::Unknown`], [`DiffError::NothingCommitted`], [`DiffError::NoAncestor`], and those of git.
pub(super) fn resolved(repository: &Path, name: &str) -> Result<Revision, DiffError> {
    let is_there = |name: &str| Ok::<_, DiffError>(revisions::resolve(repository, name)?.is_some());
    if name == WORKTREE && !is_there("HEAD")? {
        return Err(DiffError::NothingCommitted);
    }
    if let Some(revision) = revisions::resolve(repository, name)? {
        return Ok(revision);
    }
    let (one, other) = name.split_once("...").unwrap_or((name, name));
    let or_head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
    for name in [or_head(one), or_head(other)] {
        if is_there(&name)? {
            continue;
        }
        if name == "HEAD" {
            return Err(DiffError::NothingCommitted);
        }
        let branches = git(repository, &["for-each-ref", "--format=%(refname:short)"])?;
        let hint = suggestion(&name, branches.lines().chain([WORKTREE, "HEAD"]));
        return Err(DiffError::Unknown { what: format!("revision `{name}`"), hint });
    }
    Err(DiffError::NoAncestor { one: or_head(one), other: or_head(other) })
}

#[cfg(test)]
mod tests {
    use super::super::sides::tests::{commit, repository};
    use super::*;

    #[test]
    fn what_is_missing_is_told_apart() {
        let dir = repository();
        let said = |name: &str| resolved(dir.path(), name).map(|found| found.commit).map_err(|e| e.to_string());
        for name in ["HEAD", "worktree"] {
            let error = said(name).expect_err("nothing is committed");
            assert!(error.contains("no commit yet") && !error.contains("did you mean"), "{name}: {error}");
        }
        commit(dir.path(), "one");
        assert!(said("mian").expect_err("is not there").contains("did you mean `main`?"));
        assert!(said("main...topc").expect_err("is not there").contains("no revision `topc`"));
        git(dir.path(), &["checkout", "--quiet", "--orphan", "orph"]).expect("git works");
        commit(dir.path(), "two");
        let error = said("main...orph").expect_err("have no ancestor");
        assert!(error.contains("no common ancestor") && error.contains("`main..orph`"), "{error}");
        assert_eq!(said("main...main"), said("main"));
    }
}
