//! `ablate keep`: a small copy of a finished study for the repository, without the paths of the machine.
//!
//! The copy has what a reader needs to see and to check: what was run on what (`manifest.json`), what came out
//! (`effects.json`, `report.md`), and every process (`records.jsonl`) where these are few.

mod redact;

use crate::config::is_name;
use crate::store::{self, BadLine, MANIFEST, RECORDS, REPORT, StoreError};
use ablate_format::Manifest;
use redact::Redaction;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Records beyond this many bytes stay where they are: a repository keeps every version of them for ever.
const MAX_RECORDS: u64 = 4 << 20;

/// What `ablate report` writes.
const REPORTS: [&str; 2] = [EFFECTS, REPORT];
const EFFECTS: &str = "effects.json";

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The folder of the study.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has no end yet.
    #[error("{dir} is not finished: {there} of {planned} planned runs are there; go on with `ablate run … --resume`")]
    Unfinished {
        /// The folder.
        dir: PathBuf,
        /// Runs that are there.
        there: usize,
        /// Runs that are planned.
        planned: usize,
    },
    /// A runner is at work in it.
    #[error("a runner is at work in {dir}; wait for its end")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// It has no report.
    #[error("{path} is missing; `ablate report {dir}` writes it", path = dir.join(name).display(), dir = dir.display())]
    NoReport {
        /// The folder.
        dir: PathBuf,
        /// The file.
        name: &'static str,
    },
    /// It has a report that is none of it.
    #[error(
        "{path} {why}; `ablate report {dir}` writes it again",
        path = dir.join(name).display(), dir = dir.display()
    )]
    BadReport {
        /// The folder.
        dir: PathBuf,
        /// The file.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody can tell whether it is finished.
    #[error(
        "{path}: its `config_text` is no config, so nobody can tell whether the study is finished; it is damaged",
        path = dir.join(MANIFEST).display()
    )]
    BadConfig {
        /// The folder.
        dir: PathBuf,
    },
    /// Its name is that of no folder.
    #[error(
        "{path}: `{study}` is no name of a study, so there is no folder to keep it in; it is damaged",
        path = dir.join(MANIFEST).display()
    )]
    BadName {
        /// The folder.
        dir: PathBuf,
        /// What stands there.
        study: String,
    },
    /// Its copy would take its place.
    #[error("{dir} is where its copy would go; choose another folder with --to")]
    IntoItself {
        /// The folder.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}; make room, permit it, or choose another folder with --to")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl KeepError {
    /// Whether the call has to be changed, and not the machine.
    pub fn is_usage(&self) -> bool {
        match self {
            KeepError::Store(e) => e.is_usage(),
            KeepError::Io { .. } => false,
            _ => true,
        }
    }

    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> KeepError {
        let path = path.to_owned();
        move |source| KeepError::Io { path, doing, source }
    }
}

/// Copies a finished study to `to/STUDY`, in place of what was kept of it before, and tells what was done.
///
/// # Errors
/// [`KeepError`]; files of an earlier copy may be replaced already.
pub fn keep(dir: &Path, to: &Path) -> Result<String, KeepError> {
    let (manifest, records, bad_lines) = store::read(dir)?;
    if store::is_in_use(dir) {
        return Err(KeepError::InUse { dir: dir.to_owned() });
    }
    store::check_records(dir)?;
    match store::coverage(&manifest, &records) {
        Some((there, planned)) if there < planned => {
            return Err(KeepError::Unfinished { dir: dir.to_owned(), there, planned });
        }
        Some(_) => {}
        None => return Err(KeepError::BadConfig { dir: dir.to_owned() }),
    }
    check_reports(dir, &manifest.study)?;
    // The manifest may be anybody's, and the name becomes a path.
    if !is_name(&manifest.study) {
        return Err(KeepError::BadName { dir: dir.to_owned(), study: manifest.study.escape_debug().to_string() });
    }
    let target = to.join(&manifest.study);
    if target.canonicalize().is_ok_and(|target| dir.canonicalize().is_ok_and(|dir| dir == target)) {
        return Err(KeepError::IntoItself { dir: dir.to_owned() });
    }
    std::fs::create_dir_all(&target).map_err(KeepError::io(&target, "creating the folder"))?;
    let redaction = Redaction::of(&manifest, dir, to);
    let mut said = format!("kept {} in {}:\n", manifest.study, target.display());
    for name in [MANIFEST].into_iter().chain(REPORTS) {
        copy(&dir.join(name), &target.join(name), &redaction, &mut said)?;
    }
    records_of(dir, &target, &redaction, &mut said)?;
    say_bad_lines(&bad_lines, &mut said);
    say_redacted(&manifest, &mut said);
    Ok(said)
}

/// Whether the reports are there, whole, and of this study.
fn check_reports(dir: &Path, study: &str) -> Result<(), KeepError> {
    if let Some(name) = REPORTS.into_iter().find(|name| !dir.join(name).is_file()) {
        return Err(KeepError::NoReport { dir: dir.to_owned(), name });
    }
    let bad = |name, why| Err(KeepError::BadReport { dir: dir.to_owned(), name, why });
    let read = |name| std::fs::read(dir.join(name)).map_err(KeepError::io(&dir.join(name), "reading"));
    if read(REPORT)?.trim_ascii().is_empty() {
        return bad(REPORT, "is empty");
    }
    match serde_json::from_slice::<Effects>(&read(EFFECTS)?) {
        Err(_) => bad(EFFECTS, "is no whole file of effects"),
        Ok(effects) if effects.study != study => bad(EFFECTS, "is of another study"),
        Ok(_) => Ok(()),
    }
}

/// Whose effects they are.
#[derive(serde::Deserialize)]
struct Effects {
    study: String,
}

fn say_bad_lines(bad: &[BadLine], said: &mut String) {
    if let Some(first) = bad.first() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            said,
            "Lines of {RECORDS} that are no records: {}, the first is line {}: {}",
            bad.len(),
            first.line,
            first.why
        );
    }
}

/// The records, or why they are not there; those of an earlier copy would belong to another study.
fn records_of(dir: &Path, target: &Path, redaction: &Redaction, said: &mut String) -> Result<(), KeepError> {
    let (from, to) = (dir.join(RECORDS), target.join(RECORDS));
    let bytes = std::fs::metadata(&from).map_err(KeepError::io(&from, "reading"))?.len();
    if bytes <= MAX_RECORDS {
        return copy(&from, &to, redaction, said);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(said, "  {RECORDS} left out: {} are more than {}", megabytes(bytes), megabytes(MAX_RECORDS));
    match std::fs::remove_file(&to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(KeepError::io(&to, "removing an earlier copy")(e)),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path, redaction: &Redaction, said: &mut String) -> Result<(), KeepError> {
    let bytes = std::fs::read(from).map_err(KeepError::io(from, "reading"))?;
    // A line that a power loss spoilt is no record, and no reason to keep none.
    let text = redaction.applied(&String::from_utf8_lossy(&bytes));
    std::fs::write(to, &text).map_err(KeepError::io(to, "writing"))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // Writing to a String cannot fail.
    let _ = writeln!(said, "  {name} ({})", megabytes(text.len() as u64));
    Ok(())
}

fn say_redacted(manifest: &Manifest, said: &mut String) {
    let dirty = manifest.machine.facts.get("uncommitted-changes").and_then(Option::as_deref) == Some("yes");
    said.push_str("Paths of this machine are relative in the copy, or cut to their last part.\n");
    if dirty {
        said.push_str(
            "The study ran on sources that were not committed, so its commit does not tell what was measured.\n",
        );
    }
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        bytes if bytes < 10 << 10 => format!("{bytes} bytes"),
        bytes if bytes < 1 << 20 => format!("{} KiB", bytes >> 10),
        bytes => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{manifest, record};
    use ablate_format::Pass;

    /// A finished study in `dir/out` that is full of paths: below `dir`, and of homes, which are in two halves so that
    /// this file names nobody's machine.
    fn study(dir: &Path) -> PathBuf {
        let out = dir.join("out");
        let mut manifest = manifest();
        manifest.blocks = 1;
        manifest.plan.cells.truncate(1);
        manifest.config_text = "counting_repeats = 0\n[subject]\n".to_owned();
        manifest.config_path = format!("{}/configs/demo.toml", dir.display());
        for build in &mut manifest.builds {
            build.result.as_mut().expect("built").path = format!("{}/target/ablate/bin/x", dir.display());
        }
        manifest.plan.cells[0].env.insert("CACHE".into(), concat!("/ho", "me/somebody/.cache/x").into());
        manifest.plan.cells[0].env.insert("LIB".into(), "/usr/lib/libc.so.6".into());
        let folder = store::Folder::create(&out).expect("creates");
        folder.write_manifest(&manifest).expect("writes");
        let mut records = folder.records().expect("opens");
        for workload in ["small", "large"] {
            let mut run = record(Pass::Timing, 0, workload, "baseline");
            let home = concat!("/ro", "ot");
            run.stderr = format!("cannot open {}/configs/a: see {home}/notes/b\n{home}/x/y", dir.display());
            records.append(&run).expect("appends");
        }
        records.sync().expect("syncs");
        std::fs::write(out.join(EFFECTS), "{\"study\":\"demo\"}\n").expect("writes");
        std::fs::write(out.join("report.md"), format!("{}/report.md of 12 ns/op\n", out.display())).expect("writes");
        out
    }

    #[test]
    fn a_copy_has_no_path_of_the_machine_and_can_be_read() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("is there");
        std::fs::write(root.join("Cargo.lock"), "").expect("writes");
        let out = study(&root);
        let said = keep(&out, &root.join("results")).expect("keeps");
        for part in ["kept demo in ", "manifest.json (", "effects.json (17 bytes)", "records.jsonl (", "are relative"] {
            assert!(said.contains(part), "expected `{part}` in {said}");
        }
        let kept = root.join("results/demo");
        let (manifest, records, bad) = store::read(&kept).expect("is a study");
        assert_eq!((records.len(), bad.len(), manifest.config_path.as_str()), (2, 0, "configs/demo.toml"));
        assert_eq!(manifest.builds[0].result.as_ref().expect("built").path, "target/ablate/bin/x");
        let env = &manifest.plan.cells[0].env;
        assert_eq!((env["CACHE"].as_str(), env["LIB"].as_str()), ("…/x", "/usr/lib/libc.so.6"));
        assert_eq!(records[0].stderr, "cannot open configs/a: see …/b\n…/y");
        assert_eq!(std::fs::read_to_string(kept.join("report.md")).expect("reads"), "out/report.md of 12 ns/op\n");
        for entry in std::fs::read_dir(&kept).expect("reads") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("is text");
            for private in [root.to_str().expect("is text"), concat!("/ho", "me/"), concat!("/ro", "ot/")] {
                assert!(!text.contains(private), "{private} is in {}", path.display());
            }
        }
    }

    #[test]
    fn a_copy_replaces_an_earlier_one_and_leaves_large_records_out() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        let kept = dir.path().join("results/demo");
        std::fs::create_dir_all(&kept).expect("creates");
        std::fs::write(kept.join(RECORDS), "of another study\n").expect("writes");
        std::fs::write(kept.join("README.md"), "ours\n").expect("writes");
        let mut large = std::fs::read(out.join(RECORDS)).expect("reads");
        large.resize(MAX_RECORDS as usize + 1, b'\n');
        std::fs::write(out.join(RECORDS), large).expect("writes");
        let said = keep(&out, &dir.path().join("results")).expect("keeps");
        assert!(said.contains("records.jsonl left out: 4.0 MiB are more than 4.0 MiB"), "{said}");
        assert!(!kept.join(RECORDS).exists() && kept.join("README.md").is_file());
    }

    #[test]
    fn what_is_not_finished_is_not_kept() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        let to = dir.path().join("results");
        std::fs::remove_file(out.join("report.md")).expect("removes");
        let error = keep(&out, &to).expect_err("no report");
        assert!(error.is_usage() && error.to_string().contains("`ablate report "), "{error}");
        let text = std::fs::read_to_string(out.join(RECORDS)).expect("reads");
        std::fs::write(out.join(RECORDS), text.lines().next().expect("a line").to_owned() + "\n").expect("writes");
        let error = keep(&out, &to).expect_err("half of it").to_string();
        assert!(error.contains("1 of 2 planned runs") && error.contains("--resume"), "{error}");
        assert!(keep(dir.path(), &to).expect_err("no study").is_usage());
        assert!(!to.exists());
    }

    /// A finished study after `spoil`, and an error with all `parts` that leaves it as it was.
    #[track_caller]
    fn refused(spoil: impl FnOnce(&Path), to: &str, parts: &[&str]) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        spoil(&out);
        let before = std::fs::read(out.join(MANIFEST)).expect("reads");
        let error = keep(&out, &dir.path().join(to)).expect_err("refuses");
        for part in parts {
            assert!(error.is_usage() && error.to_string().contains(part), "expected `{part}` in {error}");
        }
        assert_eq!(std::fs::read(out.join(MANIFEST)).expect("reads"), before);
    }

    fn replace(path: PathBuf, from: &str, to: &str) {
        let text = std::fs::read_to_string(&path).expect("reads");
        assert!(text.contains(from), "the planted text is gone: {from}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("writes");
    }

    #[test]
    fn what_is_damaged_or_foreign_is_not_kept() {
        let write = |name: &'static str, text: &'static str| {
            move |out: &Path| std::fs::write(out.join(name), text).expect("writes")
        };
        refused(write(REPORT, "\n"), "results", &["report.md is empty", "`ablate report "]);
        refused(write(EFFECTS, "{\"study\":"), "results", &["effects.json is no whole file of effects"]);
        refused(write(EFFECTS, "{\"study\":\"x\"}"), "results", &["effects.json is of another study"]);
        let copy = |out: &Path| std::fs::remove_file(out.join(RECORDS)).expect("removes");
        refused(copy, "results", &["no records.jsonl", "left out when it was kept"]);
        let text = |out: &Path| replace(out.join(MANIFEST), "[subject]", "[subject");
        refused(text, "results", &["manifest.json: its `config_text` is no config"]);
        for name in ["../evil", "", "/tmp/x", "a\\nb"] {
            let named = |out: &Path| {
                replace(out.join(MANIFEST), "\"study\": \"demo\"", &format!("\"study\": \"{name}\""));
                let text = format!("{{\"study\": \"{name}\"}}");
                std::fs::write(out.join(EFFECTS), text).expect("writes");
            };
            refused(named, "results", &["is no name of a study"]);
        }
    }

    #[test]
    fn a_study_is_not_kept_in_its_own_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = dir.path().join("demo");
        std::fs::rename(study(dir.path()), &out).expect("renames");
        let error = keep(&out, dir.path()).expect_err("is there already");
        assert!(error.is_usage() && error.to_string().contains("choose another folder with --to"), "{error}");
        assert!(std::fs::read_to_string(out.join(RECORDS)).expect("reads").contains("/notes/b"));
    }

    #[test]
    fn lines_that_are_no_records_are_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        let mut records = std::fs::read(out.join(RECORDS)).expect("reads");
        records.extend(b"rubb\xff\n");
        std::fs::write(out.join(RECORDS), records).expect("writes");
        let said = keep(&out, &dir.path().join("results")).expect("keeps");
        assert!(said.contains("that are no records: 1, the first is line 3: "), "{said}");
    }
}
