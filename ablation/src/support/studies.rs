//! The folder that studies are in, `target/ablate`: names of new ones, and the earlier ones of a study.
//!
//! A study's folder is `NAME-SECONDS`, the seconds since 1970 at its start; `NAME-SECONDS-N` when several start at
//! once.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A path for a new study, where nothing is yet.
pub(crate) fn fresh(parent: &Path, name: &str) -> PathBuf {
    let now = unix_seconds();
    let first = parent.join(format!("{name}-{now}"));
    let others = (2..).map(|n| parent.join(format!("{name}-{now}-{n}")));
    [first.clone()].into_iter().chain(others).find(|dir| !dir.exists()).unwrap_or(first)
}

/// Seconds since 1970; 0 on a machine whose clock is before that.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Folders of the earlier runs of a study, the newest first. They may be unfinished, or hold nothing.
pub(crate) fn earlier(parent: &Path, name: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let started = |path: PathBuf| Some((started(path.file_name()?.to_str()?, name)?, path));
    let mut found: Vec<_> = entries.filter_map(|entry| started(entry.ok()?.path())).collect();
    found.sort_unstable_by_key(|(started, _)| Reverse(*started));
    found.into_iter().map(|(_, path)| path).collect()
}

/// When the study of a folder started, and the how manieth of that second it is; `None` for the folder of another
/// study.
fn started(folder: &str, name: &str) -> Option<(u64, u32)> {
    let rest = folder.strip_prefix(name)?.strip_prefix('-')?;
    match rest.split_once('-') {
        Some((seconds, n)) => Some((seconds.parse().ok()?, n.parse().ok()?)),
        None => Some((rest.parse().ok()?, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_folders_do_not_exist() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = fresh(dir.path(), "x");
        std::fs::create_dir(&first).expect("creates");
        assert!(!fresh(dir.path(), "x").exists());
    }

    #[test]
    fn earlier_runs_come_newest_first_and_other_studies_are_left_out() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["x-9", "x-100", "x-100-2", "x-y-200", "xy-300", "x-", "profile-x-400", "x-100-10"] {
            std::fs::create_dir(dir.path().join(name)).expect("creates");
        }
        let names = |name: &str| -> Vec<String> {
            let paths = earlier(dir.path(), name).into_iter();
            paths.map(|path| path.file_name().expect("has a name").to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("x"), ["x-100-10", "x-100-2", "x-100", "x-9"]);
        assert_eq!(names("x-y"), ["x-y-200"]);
        assert!(earlier(Path::new("/no/such/folder"), "x").is_empty());
    }
}
