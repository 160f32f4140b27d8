//! Binaries of earlier builds, by everything that decided them. Only builds whose sources are known by a hash are kept.

use super::decided::sha256;
use crate::design::BuildPlan;
use crate::support::files;
use crate::support::machine::sha256_of;
use ablate_format::{BuildRecord, path_of_text};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Variables that differ from call to call and that no build reads.
const VOLATILE: [&str; 10] =
    ["_", "PWD", "OLDPWD", "SHLVL", "TERM", "COLUMNS", "LINES", "HOSTNAME", "LS_COLORS", "WINDOWID"];

/// What such variables begin with. Those of cargo that decide a build are among its settings.
const VOLATILE_PREFIXES: [&str; 6] = ["SSH_", "XDG_", "ABLATE_", "CARGO", "RUSTUP_", "GIT_"];

/// The environment that a build sees, in the order of names: a build script or a command may read any variable.
fn environment() -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_volatile =
        |name: &str| VOLATILE.contains(&name) || VOLATILE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let all = std::env::vars_os().filter(|(name, _)| !is_volatile(&name.to_string_lossy()));
    let mut all: Vec<_> = all.map(|(name, value)| (name.into_encoded_bytes(), value.into_encoded_bytes())).collect();
    all.sort();
    all
}

/// The key of a build: the hash of what decided it, of its environment, and of a file where there is one.
pub(super) fn key(parts: &impl Serialize, file: &Path) -> String {
    let mut bytes = serde_json::to_vec(&(parts, environment())).unwrap_or_default();
    bytes.extend(sha256_of(file).unwrap_or_default().into_bytes());
    sha256(&bytes)
}

fn path(target: &Path, key: &str) -> PathBuf {
    target.join("ablate/built").join(format!("{key}.json"))
}

/// The record of an earlier build under the id of this plan, if all of its binaries are what they were.
pub(super) fn find(target: &Path, key: &str, plan: &BuildPlan) -> Option<BuildRecord> {
    let text = std::fs::read(path(target, key)).ok()?;
    let record: BuildRecord = serde_json::from_slice(&text).ok()?;
    let binaries = record.result.iter().chain(&record.layouts);
    let are_there = binaries.map(|binary| sha256_of(&path_of_text(&binary.path)).is_ok_and(|sha| sha == binary.sha256));
    let are_there: Vec<bool> = are_there.collect();
    (record.result.is_ok() && are_there.iter().all(|there| *there)).then(|| BuildRecord {
        id: plan.id.clone(),
        features: plan.features.clone(),
        ..record
    })
}

/// Keeps the record of a build that succeeded. One that cannot be written is built again the next time.
pub(super) fn keep(target: &Path, key: &str, record: &BuildRecord) {
    let path = path(target, key);
    let (Ok(_), Some(parent), Ok(text)) = (&record.result, path.parent(), serde_json::to_string_pretty(record)) else {
        return;
    };
    if std::fs::create_dir_all(parent).is_ok() {
        let _ = files::replace(&path, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate_format::BuiltBinary;

    #[test]
    fn a_binary_that_was_changed_or_built_otherwise_is_not_found() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let binary = dir.path().join("program");
        std::fs::write(&binary, "first").expect("writes");
        let built = BuiltBinary {
            path: binary.display().to_string(),
            sha256: sha256_of(&binary).expect("reads"),
            code_sha256: None,
        };
        let record = BuildRecord {
            id: "one".to_owned(),
            features: Vec::new(),
            settings: Default::default(),
            seconds: None,
            result: Ok(built),
            layouts: Vec::new(),
        };
        let plan =
            BuildPlan { id: "two".to_owned(), features: Vec::new(), settings: Default::default(), command: None };
        let none = Path::new("/no/such/file");
        let (key_a, key_b) = (key(&("a", 1), none), key(&("a", 2), none));
        keep(dir.path(), &key_a, &record);
        assert_eq!(find(dir.path(), &key_a, &plan).expect("kept").id, "two");
        assert_eq!(find(dir.path(), &key_b, &plan), None);
        std::fs::write(&binary, "other").expect("writes");
        assert_eq!(find(dir.path(), &key_a, &plan), None);
    }
}
