//! `ablate keep`: a small copy of a finished study for the repository, without the paths of the machine.
//!
//! The copy has what a reader needs to see and to check: what was run on what (`manifest.json`), what came out
//! (`effects.json`, `report.md`), and every process (`records.jsonl`) where these are few.

mod redact;

use crate::record::Manifest;
use crate::store::{self, MANIFEST, RECORDS, StoreError};
use redact::Redaction;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Records beyond this many bytes stay where they are: a repository keeps every version of them for ever.
const MAX_RECORDS: u64 = 4 << 20;

/// What `ablate report` writes.
const REPORTS: [&str; 2] = ["effects.json", "report.md"];

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
    let (manifest, records, _) = store::read(dir)?;
    if store::is_in_use(dir) {
        return Err(KeepError::InUse { dir: dir.to_owned() });
    }
    match store::coverage(&manifest, &records) {
        Some((there, planned)) if there < planned => {
            return Err(KeepError::Unfinished { dir: dir.to_owned(), there, planned });
        }
        _ => {}
    }
    if let Some(name) = REPORTS.into_iter().find(|name| !dir.join(name).is_file()) {
        return Err(KeepError::NoReport { dir: dir.to_owned(), name });
    }
    let target = to.join(&manifest.study);
    std::fs::create_dir_all(&target).map_err(KeepError::io(&target, "creating the folder"))?;
    let redaction = Redaction::of(&manifest, dir, to);
    let mut said = format!("kept {} in {}:\n", manifest.study, target.display());
    for name in [MANIFEST].into_iter().chain(REPORTS) {
        copy(&dir.join(name), &target.join(name), &redaction, &mut said)?;
    }
    records_of(dir, &target, &redaction, &mut said)?;
    say_redacted(&manifest, &mut said);
    Ok(said)
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
    let text = std::fs::read_to_string(from).map_err(KeepError::io(from, "reading"))?;
    let text = redaction.applied(&text);
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
    use crate::record::Pass;
    use crate::store::tests::{manifest, record};

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
        std::fs::write(out.join("effects.json"), "{}\n").expect("writes");
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
        for part in ["kept demo in ", "manifest.json (", "effects.json (3 bytes)", "records.jsonl (", "are relative"] {
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
}
