//! `cargo ablate archive`: a small copy of a finished study for the repository, without the paths of the machine.
//!
//! The copy has what a reader needs: what was run on which machine (`manifest.json`), the results (`effects.json`,
//! `report.md`), and every process (`records.jsonl`) where these are few.

mod redact;
mod shortened;

use crate::config::is_name;
use crate::store::{self, BadLine, MANIFEST, RECORDS, REPORT, StoreError};
use crate::support::exit::{ExitStatus, ShellCode};
use ablate_format::Manifest;
use redact::Redaction;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Largest file of records that is copied, in bytes. A repository stores every version of it for ever.
const MAX_RECORDS: u64 = 4 << 20;

/// Files that `cargo ablate report` writes.
const REPORTS: [&str; 2] = [EFFECTS, REPORT];
const EFFECTS: &str = "effects.json";

/// A study that cannot be archived.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The folder of the study.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The study is not finished.
    #[error(
        "{dir} is not finished: {there} of {planned} planned runs have records; continue with `cargo ablate run … --resume`"
    )]
    Unfinished {
        /// The folder.
        dir: PathBuf,
        /// Runs that have records.
        there: usize,
        /// Runs that are planned.
        planned: usize,
    },
    /// The study is still running.
    #[error("{dir}: a study is still running in this folder; wait for its end")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// It has no report.
    #[error("{path} is missing; `cargo ablate report {dir}` writes it", path = dir.join(name).display(), dir = dir.display())]
    NoReport {
        /// The folder.
        dir: PathBuf,
        /// The file.
        name: &'static str,
    },
    /// Its report is damaged or belongs to another study.
    #[error(
        "{path} {why}; `cargo ablate report {dir}` writes it again",
        path = dir.join(name).display(), dir = dir.display()
    )]
    BadReport {
        /// The folder.
        dir: PathBuf,
        /// The file.
        name: &'static str,
        /// What is wrong with the file.
        why: &'static str,
    },
    /// Its manifest has no valid config, so whether it is finished is unknown.
    #[error(
        "{path}: its `config_text` is not a valid config, so whether the study is finished is unknown; the file is damaged, so run the study again",
        path = dir.join(MANIFEST).display()
    )]
    BadConfig {
        /// The folder.
        dir: PathBuf,
    },
    /// Its name cannot name a folder.
    #[error(
        "{path}: `{study}` is not a valid name for a study, so it cannot name a folder; the file is damaged, so run the study again",
        path = dir.join(MANIFEST).display()
    )]
    BadName {
        /// The folder.
        dir: PathBuf,
        /// The name in the manifest.
        study: String,
    },
    /// Its copy would take its place.
    #[error("{dir}: the copy would replace the study itself; choose another folder with --to")]
    IntoItself {
        /// The folder.
        dir: PathBuf,
    },
    /// What stands in its place is no copy of it.
    #[error("{path} is there already and {what}; move it away, or choose another folder with --to")]
    Foreign {
        /// The place of the copy.
        path: PathBuf,
        /// What stands there.
        what: &'static str,
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

impl ArchiveError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> ArchiveError {
        let path = path.to_owned();
        move |source| ArchiveError::Io { path, doing, source }
    }
}

impl ExitStatus for ArchiveError {
    fn exit(&self) -> ShellCode {
        match self {
            ArchiveError::Store(error) => error.exit(),
            ArchiveError::Unfinished { .. }
            | ArchiveError::InUse { .. }
            | ArchiveError::NoReport { .. }
            | ArchiveError::BadReport { .. }
            | ArchiveError::BadConfig { .. }
            | ArchiveError::BadName { .. }
            | ArchiveError::IntoItself { .. }
            | ArchiveError::Foreign { .. } => ShellCode::WrongCall,
            ArchiveError::Io { .. } => ShellCode::BadRuns,
        }
    }
}

/// Copies a finished study to `to/STUDY`, in place of an earlier copy, and returns the text to print. With `whole` a run
/// that was shorter than its config is not copied.
///
/// # Errors
/// [`ArchiveError`]; files of an earlier copy may be replaced already.
pub(crate) fn archive(dir: &Path, to: &Path, whole: bool) -> Result<String, ArchiveError> {
    let (manifest, records, bad_lines) = store::read(dir)?;
    if let Some(why) = shortened::shortened(&manifest).filter(|_| whole) {
        return Ok(format!(
            "not archived: {} has a part of the study {} alone ({why}), and {} is for whole runs\n",
            dir.display(),
            manifest.study,
            to.display()
        ));
    }
    if store::is_in_use(dir) {
        return Err(ArchiveError::InUse { dir: dir.to_owned() });
    }
    store::check_records(dir)?;
    match store::coverage(&manifest, &records) {
        Some((there, planned)) if there < planned => {
            return Err(ArchiveError::Unfinished { dir: dir.to_owned(), there, planned });
        }
        Some(_) => {}
        None => return Err(ArchiveError::BadConfig { dir: dir.to_owned() }),
    }
    check_reports(dir, &manifest.study)?;
    // The name becomes a path, and a manifest can come from anywhere.
    if !is_name(&manifest.study) {
        return Err(ArchiveError::BadName { dir: dir.to_owned(), study: manifest.study.escape_debug().to_string() });
    }
    let target = to.join(&manifest.study);
    if target.canonicalize().is_ok_and(|target| dir.canonicalize().is_ok_and(|dir| dir == target)) {
        return Err(ArchiveError::IntoItself { dir: dir.to_owned() });
    }
    check_target(&target, &manifest.study)?;
    std::fs::create_dir_all(&target).map_err(ArchiveError::io(&target, "creating the folder"))?;
    let redaction = Redaction::of(&manifest, dir, to);
    let mut said = format!("archived {} in {}:\n", manifest.study, target.display());
    for name in [MANIFEST].into_iter().chain(REPORTS) {
        copy(&dir.join(name), &target.join(name), &redaction, &mut said)?;
    }
    records_of(dir, &target, &redaction, &mut said)?;
    say_bad_lines(&bad_lines, &mut said);
    say_redacted(&manifest, &mut said);
    Ok(said)
}

/// Checks that the copy replaces nothing but an earlier copy: a folder whose manifest names the same study.
fn check_target(target: &Path, study: &str) -> Result<(), ArchiveError> {
    let foreign = |what| Err(ArchiveError::Foreign { path: target.to_owned(), what });
    match std::fs::symlink_metadata(target) {
        Err(_) => return Ok(()),
        Ok(found) if found.is_symlink() => return foreign("is a link, through which other files would be replaced"),
        Ok(found) if !found.is_dir() => return foreign("is no folder"),
        Ok(_) => {}
    }
    let mut entries = std::fs::read_dir(target).map_err(ArchiveError::io(target, "reading"))?;
    // Of any format: an old copy is what a new one is to replace.
    let manifest = std::fs::read(target.join(MANIFEST)).ok();
    let named = manifest.and_then(|text| serde_json::from_slice::<NamesStudy>(&text).ok());
    if entries.next().is_none() || named.is_some_and(|named| named.study == study) {
        return Ok(());
    }
    foreign("holds no archived copy of this study")
}

/// Checks that the reports exist, are complete, and belong to this study.
fn check_reports(dir: &Path, study: &str) -> Result<(), ArchiveError> {
    if let Some(name) = REPORTS.into_iter().find(|name| !dir.join(name).is_file()) {
        return Err(ArchiveError::NoReport { dir: dir.to_owned(), name });
    }
    let bad = |name, why| Err(ArchiveError::BadReport { dir: dir.to_owned(), name, why });
    let read = |name| std::fs::read(dir.join(name)).map_err(ArchiveError::io(&dir.join(name), "reading"));
    if read(REPORT)?.trim_ascii().is_empty() {
        return bad(REPORT, "is empty");
    }
    match serde_json::from_slice::<NamesStudy>(&read(EFFECTS)?) {
        Err(_) => bad(EFFECTS, "is not a complete file of effects"),
        Ok(effects) if effects.study != study => bad(EFFECTS, "belongs to another study"),
        Ok(_) => Ok(()),
    }
}

/// What the manifest and the effects have in common.
#[derive(serde::Deserialize)]
struct NamesStudy {
    study: String,
}

fn say_bad_lines(bad: &[BadLine], said: &mut String) {
    if let Some(first) = bad.first() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            said,
            "Lines of {RECORDS} that are not records: {}; the first is line {}: {}",
            bad.len(),
            first.line,
            first.why
        );
    }
}

/// Copies the records, or says why they are left out. Records of an earlier copy are removed, because they belong to
/// another run.
fn records_of(dir: &Path, target: &Path, redaction: &Redaction, said: &mut String) -> Result<(), ArchiveError> {
    let (from, to) = (dir.join(RECORDS), target.join(RECORDS));
    let bytes = std::fs::metadata(&from).map_err(ArchiveError::io(&from, "reading"))?.len();
    if bytes <= MAX_RECORDS {
        return copy(&from, &to, redaction, said);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(said, "  {RECORDS} left out: {} are more than {}", megabytes(bytes), megabytes(MAX_RECORDS));
    match std::fs::remove_file(&to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ArchiveError::io(&to, "removing an earlier copy")(e)),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path, redaction: &Redaction, said: &mut String) -> Result<(), ArchiveError> {
    let bytes = std::fs::read(from).map_err(ArchiveError::io(from, "reading"))?;
    // A line that a power loss damaged is not a record, but the others are copied.
    let text = redaction.applied(&String::from_utf8_lossy(&bytes));
    std::fs::write(to, &text).map_err(ArchiveError::io(to, "writing"))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // Writing to a String cannot fail.
    let _ = writeln!(said, "  {name} ({})", megabytes(text.len() as u64));
    Ok(())
}

fn say_redacted(manifest: &Manifest, said: &mut String) {
    let dirty = manifest.machine.facts.get("uncommitted-changes").and_then(Option::as_deref) == Some("yes");
    said.push_str("Absolute paths are relative in the copy, or cut to their last part.\n");
    if dirty {
        said.push_str(
            "The study ran on sources that were not committed, so the commit in the manifest is not what was measured.\n",
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
    /// this file names no machine.
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
        manifest.plan.cells[0].env.insert("CACHE".into(), concat!("/ho", "me/user/.cache/x").into());
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
        let said = archive(&out, &root.join("results"), false).expect("archives");
        for part in
            ["archived demo in ", "manifest.json (", "effects.json (17 bytes)", "records.jsonl (", "are relative"]
        {
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
        std::fs::write(kept.join(MANIFEST), "{\"study\": \"demo\", \"format\": 1}").expect("writes");
        std::fs::write(kept.join(RECORDS), "of another run\n").expect("writes");
        std::fs::write(kept.join("README.md"), "ours\n").expect("writes");
        let mut large = std::fs::read(out.join(RECORDS)).expect("reads");
        large.resize(MAX_RECORDS as usize + 1, b'\n');
        std::fs::write(out.join(RECORDS), large).expect("writes");
        let said = archive(&out, &dir.path().join("results"), false).expect("archives");
        assert!(said.contains("records.jsonl left out: 4.0 MiB are more than 4.0 MiB"), "{said}");
        assert!(!kept.join(RECORDS).exists() && kept.join("README.md").is_file());
    }

    #[test]
    fn what_is_not_finished_is_not_archived() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        let to = dir.path().join("results");
        std::fs::remove_file(out.join("report.md")).expect("removes");
        let error = archive(&out, &to, false).expect_err("no report");
        assert!(error.exit() == ShellCode::WrongCall && error.to_string().contains("`cargo ablate report "), "{error}");
        let text = std::fs::read_to_string(out.join(RECORDS)).expect("reads");
        std::fs::write(out.join(RECORDS), text.lines().next().expect("a line").to_owned() + "\n").expect("writes");
        let error = archive(&out, &to, false).expect_err("half of it").to_string();
        assert!(error.contains("1 of 2 planned runs") && error.contains("--resume"), "{error}");
        assert_eq!(archive(dir.path(), &to, false).expect_err("no study").exit(), ShellCode::WrongCall);
        assert!(!to.exists());
    }

    #[test]
    fn a_shortened_run_takes_no_place_that_is_for_whole_ones() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (out, to) = (study(dir.path()), dir.path().join("results"));
        replace(out.join(MANIFEST), "counting_repeats = 0", "blocks = 6\\ncounting_repeats = 0");
        let said = archive(&out, &to, true).expect("is no error");
        assert!(said.contains("not archived: ") && said.contains("(1 of 6 blocks)") && !to.exists(), "{said}");
        archive(&out, &to, false).expect("archives");
        assert!(to.is_dir());
    }

    /// A finished study after `spoil`, and an error with all `parts` that leaves it as it was.
    #[track_caller]
    fn refused(spoil: impl FnOnce(&Path), to: &str, parts: &[&str]) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        spoil(&out);
        let before = std::fs::read(out.join(MANIFEST)).expect("reads");
        let error = archive(&out, &dir.path().join(to), false).expect_err("refuses");
        for part in parts {
            assert!(
                error.exit() == ShellCode::WrongCall && error.to_string().contains(part),
                "expected `{part}` in {error}"
            );
        }
        assert_eq!(std::fs::read(out.join(MANIFEST)).expect("reads"), before);
    }

    fn replace(path: PathBuf, from: &str, to: &str) {
        let text = std::fs::read_to_string(&path).expect("reads");
        assert!(text.contains(from), "the planted text is gone: {from}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("writes");
    }

    #[test]
    fn a_copy_replaces_nothing_but_an_earlier_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        let (notes, to) = (dir.path().join("notes"), dir.path().join("results"));
        for folder in [&notes, &to] {
            std::fs::create_dir(folder).expect("makes a folder");
        }
        std::fs::write(notes.join("report.md"), "mine").expect("writes");
        let refused = |part: &str| {
            let error = archive(&out, &to, false).expect_err("refuses");
            assert!(error.exit() == ShellCode::WrongCall && error.to_string().contains(part), "{error}");
            assert_eq!(std::fs::read_to_string(notes.join("report.md")).expect("reads"), "mine");
        };
        std::os::unix::fs::symlink(&notes, to.join("demo")).expect("links");
        refused("is a link");
        std::fs::remove_file(to.join("demo")).expect("removes the link");
        std::fs::rename(&notes, to.join("demo")).expect("moves");
        let error = archive(&out, &to, false).expect_err("refuses").to_string();
        assert!(error.contains("holds no archived copy of this study"), "{error}");
        std::fs::remove_file(to.join("demo/report.md")).expect("removes");
        archive(&out, &to, false).expect("an empty folder is taken");
        archive(&out, &to, false).expect("and so is an earlier copy");
    }

    #[test]
    fn what_is_damaged_or_foreign_is_not_archived() {
        let write = |name: &'static str, text: &'static str| {
            move |out: &Path| std::fs::write(out.join(name), text).expect("writes")
        };
        refused(write(REPORT, "\n"), "results", &["report.md is empty", "`cargo ablate report "]);
        refused(write(EFFECTS, "{\"study\":"), "results", &["effects.json is not a complete file of effects"]);
        refused(write(EFFECTS, "{\"study\":\"x\"}"), "results", &["effects.json belongs to another study"]);
        let copy = |out: &Path| std::fs::remove_file(out.join(RECORDS)).expect("removes");
        refused(copy, "results", &["no records.jsonl", "left out when the study was archived"]);
        let text = |out: &Path| replace(out.join(MANIFEST), "[subject]", "[subject");
        refused(text, "results", &["manifest.json: its `config_text` is not a valid config"]);
        for name in ["../evil", "", "/tmp/x", "a\\nb"] {
            let named = |out: &Path| {
                replace(out.join(MANIFEST), "\"study\": \"demo\"", &format!("\"study\": \"{name}\""));
                let text = format!("{{\"study\": \"{name}\"}}");
                std::fs::write(out.join(EFFECTS), text).expect("writes");
            };
            refused(named, "results", &["is not a valid name for a study"]);
        }
    }

    #[test]
    fn a_study_is_not_archived_in_its_own_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = dir.path().join("demo");
        std::fs::rename(study(dir.path()), &out).expect("renames");
        let error = archive(&out, dir.path(), false).expect_err("is there already");
        assert!(
            error.exit() == ShellCode::WrongCall && error.to_string().contains("choose another folder with --to"),
            "{error}"
        );
        assert!(std::fs::read_to_string(out.join(RECORDS)).expect("reads").contains("/notes/b"));
    }

    #[test]
    fn lines_that_are_no_records_are_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = study(dir.path());
        let mut records = std::fs::read(out.join(RECORDS)).expect("reads");
        records.extend(b"rubb\xff\n");
        std::fs::write(out.join(RECORDS), records).expect("writes");
        let said = archive(&out, &dir.path().join("results"), false).expect("archives");
        assert!(said.contains("that are not records: 1; the first is line 3: "), "{said}");
    }
}
