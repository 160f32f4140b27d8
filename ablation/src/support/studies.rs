//! Folders of studies in `target/ablate`: names of new ones, and the earlier runs of a study.
//!
//! A study's folder is `NAME-SECONDS`, with the seconds since 1970 at its start. When several start in the same second,
//! the others are `NAME-SECONDS-2`, `NAME-SECONDS-3`, ….

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The path of the folder for a new study. Nothing exists there yet.
pub(crate) fn fresh(parent: &Path, name: &str) -> PathBuf {
    fresh_at(parent, name, unix_seconds())
}

fn fresh_at(parent: &Path, name: &str, seconds: u64) -> PathBuf {
    let first = parent.join(format!("{name}-{seconds}"));
    let others = (2..).map(|n| parent.join(format!("{name}-{seconds}-{n}")));
    [first.clone()].into_iter().chain(others).find(|dir| !dir.exists()).unwrap_or(first)
}

/// Seconds since 1970; 0 on a machine whose clock is before that.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Folders of the earlier runs of a study, the newest first. They may be unfinished or empty.
pub(crate) fn earlier(parent: &Path, name: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let started = |path: PathBuf| Some((started(path.file_name()?.to_str()?, name)?, path));
    let mut found: Vec<_> = entries.filter_map(|entry| started(entry.ok()?.path())).collect();
    found.sort_unstable_by_key(|(started, _)| Reverse(*started));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Seconds since 1970 and number within that second, from 1, of a folder's name; `None` for the folder of another
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
    fn a_fresh_folder_has_the_first_free_number_of_its_second() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["x-7", "x-7-2", "x-7-3"] {
            let fresh = fresh_at(dir.path(), "x", 7);
            assert_eq!(fresh, dir.path().join(name));
            std::fs::create_dir(&fresh).expect("creates");
        }
        assert_eq!(fresh_at(dir.path(), "x", 8), dir.path().join("x-8"));
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
