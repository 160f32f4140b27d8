//! The folder of a study: `manifest.json` and `records.jsonl`, written so that a crash, a full disk or two runners at
//! once cannot spoil what is already there.
//!
//! Lines are only ever appended. [`ablate_format`] has the values, and the reader, which skips lines that it cannot read
//! and says which.

mod lines;

pub use ablate_format::{BadLine, LOGS, MANIFEST, RECORDS, REPORT};
pub use lines::RecordWriter;

use crate::prove;
use ablate_format::{CellKind, CellPlan, Manifest, Pass, ReadError, Record, Status, StudyPlan, WorkloadPlan};
use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = ".lock";

/// What identifies a run: pass, block, workload, cell.
pub type Key = (Pass, u32, String, String);

/// Key of a record.
pub fn key(record: &Record) -> Key {
    (record.pass, record.block, record.workload.clone(), record.cell.clone())
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder holds something already.
    #[error("{dir} is not empty; give another --out, or add --resume to go on with the study in it")]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// Another runner has the folder.
    #[error("{dir} is in use by another ablate; wait for it or give another --out")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// A file, or no name at all.
    #[error("--out `{dir}` is no folder; give the name of a new or empty folder")]
    BadOut {
        /// What was given.
        dir: PathBuf,
    },
    /// A file instead of a folder.
    #[error("{dir} is not a folder of a study; give the folder that `ablate run` named")]
    NotAFolder {
        /// What was given.
        dir: PathBuf,
    },
    /// There is no study in the folder.
    #[error("{dir} holds no study ({MANIFEST} is missing); give the folder that `ablate run` named")]
    NoStudy {
        /// The folder.
        dir: PathBuf,
    },
    /// The copy of a study whose records stayed elsewhere: a report of it would be empty.
    #[error(
        "{dir} has reports and no {RECORDS}: its records were left out when it was kept; read its {REPORT}, or give the folder that `ablate run` named"
    )]
    NoRecords {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest is damaged, or of a version that is not read.
    #[error(transparent)]
    Unreadable(ReadError),
    /// The study in the folder is another one.
    #[error("{dir} cannot be resumed: {what}; start a new study with another --out")]
    Differs {
        /// The folder.
        dir: PathBuf,
        /// What differs.
        what: String,
    },
    /// No space is left.
    #[error("{path}: no space left on the device; earlier rows are safe: free some space and add --resume")]
    Full {
        /// The file being written.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> StoreError {
        match error {
            ReadError::NotAFolder { dir } => StoreError::NotAFolder { dir },
            ReadError::Missing { path } => StoreError::NoStudy { dir: path.parent().unwrap_or(&path).to_owned() },
            ReadError::Io { path, source } => StoreError::io(&path, "reading", source),
            other => StoreError::Unreadable(other),
        }
    }
}

impl StoreError {
    /// Whether the call has to be changed (exit code 2) and not the machine.
    pub fn is_usage(&self) -> bool {
        !matches!(self, StoreError::Full { .. } | StoreError::Io { .. })
    }

    fn io(path: &Path, doing: &'static str, source: io::Error) -> StoreError {
        let path = path.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => StoreError::Full { path },
            _ => StoreError::Io { path, doing, source },
        }
    }
}

/// A folder that this process alone may write to, until it is dropped.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Folder {
    /// Creates the folder, or takes an empty one.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`], [`StoreError::InUse`], or what the system said.
    pub fn create(dir: &Path) -> Result<Folder, StoreError> {
        if dir.as_os_str().is_empty() || (dir.exists() && !dir.is_dir()) {
            return Err(StoreError::BadOut { dir: dir.to_owned() });
        }
        std::fs::create_dir_all(dir).map_err(|e| StoreError::io(dir, "creating the folder", e))?;
        let folder = Folder::lock(dir)?;
        let entries = std::fs::read_dir(dir).map_err(|e| StoreError::io(dir, "listing the folder", e))?;
        // A study that never started, because its build failed say, leaves only these.
        let is_result = |name: std::ffi::OsString| name != LOCK && name != LOGS;
        if entries.filter_map(Result::ok).any(|entry| is_result(entry.file_name())) {
            return Err(StoreError::NotEmpty { dir: dir.to_owned() });
        }
        folder.create_logs()?;
        Ok(folder)
    }

    /// Takes a folder that holds a study.
    ///
    /// # Errors
    /// [`StoreError::NoStudy`], [`StoreError::InUse`], or what the system said.
    pub fn open(dir: &Path) -> Result<Folder, StoreError> {
        if !dir.join(MANIFEST).is_file() {
            return Err(StoreError::NoStudy { dir: dir.to_owned() });
        }
        let folder = Folder::lock(dir)?;
        folder.create_logs()?;
        Ok(folder)
    }

    fn create_logs(&self) -> Result<(), StoreError> {
        let logs = self.logs();
        std::fs::create_dir_all(&logs).map_err(|e| StoreError::io(&logs, "creating the folder", e))
    }

    fn lock(dir: &Path) -> Result<Folder, StoreError> {
        let path = dir.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|e| StoreError::io(&path, "opening the lock", e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(e)) => Err(StoreError::io(&path, "locking", e)),
        }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where build logs go; exists.
    pub fn logs(&self) -> PathBuf {
        self.dir.join(LOGS)
    }

    /// Replaces the manifest, all or nothing.
    ///
    /// # Errors
    /// What the system said.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.dir.join(MANIFEST);
        let bytes = serde_json::to_vec_pretty(manifest).map_err(|e| StoreError::io(&path, "formatting", e.into()))?;
        write_whole(&path, &bytes)
    }

    /// Opens the records for appending.
    ///
    /// # Errors
    /// What the system said.
    pub fn records(&self) -> Result<RecordWriter<File>, StoreError> {
        RecordWriter::open(&self.dir.join(RECORDS))
    }
}

/// Whether a runner has the folder just now. Looks for an instant and leaves everything as it is.
pub fn is_in_use(dir: &Path) -> bool {
    let lock = File::open(dir.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Writes a file so that either the old or the new content is there, whatever happens.
///
/// # Errors
/// What the system said; the old content is untouched then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        // The rename itself is durable only with its folder.
        match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
            _ => Ok(()),
        }
    };
    write().map_err(|e| {
        // It is an unfinished copy; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&temporary);
        StoreError::io(path, "writing", e)
    })
}

/// Reads a study: the manifest, the readable records (of one key only the first) and the lines that are not.
///
/// # Errors
/// [`StoreError::NoStudy`], [`StoreError::Unreadable`], or what the system said.
pub fn read(dir: &Path) -> Result<(Manifest, Vec<Record>, Vec<BadLine>), StoreError> {
    let manifest = ablate_format::read_manifest(dir)?;
    let mut records = Vec::new();
    let bad_lines = ablate_format::read_records(dir, |record| records.push(record))?;
    Ok((manifest, records, bad_lines))
}

/// [`read`] for a report: every record is judged by itself and settled ([`prove::settle`]) as soon as it is read, so that
/// a large study fits in memory.
///
/// # Errors
/// Those of [`read`], and [`StoreError::NoRecords`].
pub fn read_settled(dir: &Path) -> Result<(Manifest, Vec<Record>, Vec<BadLine>), StoreError> {
    let manifest = ablate_format::read_manifest(dir)?;
    check_records(dir)?;
    let mut records = Vec::new();
    let bad_lines = ablate_format::read_records(dir, |mut record| {
        prove::settle(&manifest.plan, &mut record);
        records.push(record);
    })?;
    Ok((manifest, records, bad_lines))
}

/// Whether the records are where their report is, which nobody could write again without them.
///
/// # Errors
/// [`StoreError::NoRecords`].
pub fn check_records(dir: &Path) -> Result<(), StoreError> {
    let is_copy = dir.join(REPORT).is_file() && !dir.join(RECORDS).exists();
    if is_copy { Err(StoreError::NoRecords { dir: dir.to_owned() }) } else { Ok(()) }
}

/// Leaves out the timing records of blocks that were not finished, and tells how many.
///
/// An interrupted block has some cells and not others; only whole blocks can be compared.
pub fn whole_blocks(manifest: &Manifest, records: Vec<Record>) -> (Vec<Record>, usize) {
    let plan: &StudyPlan = &manifest.plan;
    let built = |cell: &str| {
        let failed = |build: &str| manifest.builds.iter().any(|b| b.id == build && b.result.is_err());
        plan.cells.iter().any(|c| c.id == cell && !failed(&c.build))
    };
    let cells: BTreeSet<&str> = plan.cells.iter().map(|c| c.id.as_str()).filter(|id| built(id)).collect();
    let mut done: BTreeSet<(u32, &str, &str)> = BTreeSet::new();
    for record in records.iter().filter(|r| r.pass == Pass::Timing && r.status != Status::BuildFailed) {
        done.insert((record.block, &record.workload, &record.cell));
    }
    let whole = |block: u32| {
        plan.workloads.iter().all(|w| {
            let own = cells.iter().filter(|c| w.runs(c));
            own.into_iter().all(|c| done.contains(&(block, &w.name, *c)))
        })
    };
    let blocks: BTreeSet<u32> = done.iter().map(|(block, _, _)| *block).collect();
    let whole: BTreeSet<u32> = blocks.into_iter().filter(|block| whole(*block)).collect();
    let before = records.len();
    let keep = |r: &Record| r.pass != Pass::Timing || r.status == Status::BuildFailed || whole.contains(&r.block);
    let kept: Vec<Record> = records.into_iter().filter(keep).collect();
    let left_out = before - kept.len();
    (kept, left_out)
}

/// Runs that are there, and runs that the study plans; `None` when the manifest does not tell.
///
/// A cell that could not be built has one record a workload that says so, and nothing else is planned for it.
pub fn coverage(manifest: &Manifest, records: &[Record]) -> Option<(usize, usize)> {
    let plan = &manifest.plan;
    let config: toml::Table = manifest.config_text.parse().ok()?;
    let subject = config.get("subject")?.as_table()?;
    let repeats = config.get("counting_repeats").map_or(Some(2), toml::Value::as_integer)?;
    let passes = 1 + usize::from(subject.contains_key("idle_args"));
    let counting = usize::try_from(repeats).ok()? * passes;
    let failed = |build: &str| manifest.builds.iter().any(|b| b.id == build && b.result.is_err());
    let runs = |cell: &CellPlan| if failed(&cell.build) { 1 } else { manifest.blocks as usize + counting };
    let of = |workload: &WorkloadPlan| plan.cells.iter().filter(|c| workload.runs(&c.id)).map(runs).sum::<usize>();
    let planned = plan.workloads.iter().map(of).sum();
    let belongs = |r: &&Record| {
        let known = plan.cells.iter().any(|c| c.id == r.cell) && plan.workloads.iter().any(|w| w.name == r.workload);
        known && (r.pass != Pass::Timing || r.block < manifest.blocks)
    };
    let there = records.iter().filter(belongs).map(|r| (r.pass, r.block, r.workload.as_str(), r.cell.as_str()));
    let there: HashSet<(Pass, u32, &str, &str)> = there.collect();
    Some((there.len(), planned))
}

/// Id of the baseline cell's build.
pub fn baseline_build(plan: &StudyPlan) -> Option<&str> {
    plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline).map(|cell| cell.build.as_str())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ablate_format::{BuildRecord, BuiltBinary, FORMAT, Machine};

    /// A manifest of the demo study.
    pub(crate) fn manifest() -> Manifest {
        let study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("the config is good");
        let design = crate::design::resolve(&study).expect("the design is good");
        let built = BuiltBinary { path: "/x".into(), sha256: "00".into() };
        let builds = design.builds.iter().map(|b| BuildRecord {
            id: b.id.clone(),
            features: b.features.clone(),
            result: Ok(built.clone()),
            layouts: Vec::new(),
        });
        Manifest {
            format: FORMAT,
            study: study.name,
            config_path: "demo.toml".into(),
            config_text: study.text,
            command: vec!["ablate".into()],
            started_unix_s: 1,
            seed: 7,
            blocks: 3,
            plan: design.plan.clone(),
            builds: builds.collect(),
            libraries: Vec::new(),
            machine: Machine::default(),
            instruments: Vec::new(),
        }
    }

    /// A record of a run that went well.
    pub(crate) fn record(pass: Pass, block: u32, workload: &str, cell: &str) -> Record {
        Record {
            wall_ns: 1,
            process_page_faults: 1,
            process_rss_peak_bytes: 1,
            cpu_ns: 1,
            ..Record::new(pass, block, workload, cell)
        }
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = folder();
        std::fs::write(dir.path().join("x"), "").expect("writes");
        let error = Folder::create(dir.path()).expect_err("not empty");
        assert!(matches!(error, StoreError::NotEmpty { .. }) && error.is_usage());
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn two_runners_exclude_one_another() {
        let dir = folder();
        let first = Folder::create(dir.path()).expect("empty");
        let error = Folder::create(dir.path()).expect_err("locked");
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        drop(first);
        Folder::create(dir.path()).expect("free again");
    }

    #[test]
    fn a_manifest_survives_the_round_trip_and_other_versions_are_refused() {
        let dir = folder();
        let folder = Folder::create(dir.path()).expect("empty");
        assert!(matches!(read(dir.path()), Err(StoreError::NoStudy { .. })));
        folder.write_manifest(&manifest()).expect("writes");
        let (back, records, bad) = read(dir.path()).expect("reads");
        assert_eq!((back, records.len(), bad.len()), (manifest(), 0, 0));
        std::fs::write(dir.path().join(MANIFEST), "{\"format\": 99}").expect("writes");
        let error = read(dir.path()).expect_err("another version").to_string();
        assert!(error.contains("99"), "{error}");
        std::fs::write(dir.path().join(MANIFEST), "{").expect("writes");
        assert!(matches!(read(dir.path()), Err(StoreError::Unreadable(ReadError::Damaged { .. }))));
    }

    #[test]
    fn a_manifest_without_the_response_of_its_workloads_is_read() {
        let mut json = serde_json::to_value(manifest()).expect("is JSON");
        for workload in json["plan"]["workloads"].as_array_mut().expect("a list") {
            workload.as_object_mut().expect("an object").remove("response");
        }
        let back: Manifest = serde_json::from_value(json).expect("older folders have none");
        assert!(back.plan.workloads.iter().all(|w| w.response == ablate_format::MainResponse::P10));
    }

    #[test]
    fn a_copy_without_records_keeps_its_report() {
        let dir = folder();
        Folder::create(dir.path()).expect("empty").write_manifest(&manifest()).expect("writes");
        // A study that was ended before its first run has neither.
        assert_eq!(read_settled(dir.path()).expect("reads").1.len(), 0);
        std::fs::write(dir.path().join(REPORT), "what came out\n").expect("writes");
        let error = read_settled(dir.path()).expect_err("a report of nothing");
        assert!(error.is_usage() && error.to_string().contains("left out when it was kept"), "{error}");
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let error = StoreError::io(Path::new("records.jsonl"), "writing", full);
        assert!(matches!(error, StoreError::Full { .. }) && !error.is_usage());
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn records_of_an_unfinished_block_are_left_out() {
        let manifest = manifest();
        let mut records = vec![record(Pass::Counting, 0, "small", "baseline")];
        for workload in &manifest.plan.workloads {
            for cell in &manifest.plan.cells {
                records.push(record(Pass::Timing, 0, &workload.name, &cell.id));
            }
        }
        records.push(record(Pass::Timing, 1, "small", "baseline"));
        let all = records.len();
        let (kept, left_out) = whole_blocks(&manifest, records);
        assert_eq!((kept.len(), left_out), (all - 1, 1));
    }
}
