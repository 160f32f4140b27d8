//! The folder of a study: `manifest.json` and `records.jsonl`, written so that a crash, a full disk or a second runner
//! leaves everything that was written before as it is.
//!
//! Lines are only ever appended. [`ablate_format`] has the types and the reader, which skips lines that are no records
//! and returns their numbers.

pub(crate) mod content;
mod error;
mod lines;
pub(crate) mod shards;

pub(crate) use ablate_format::{BadLine, LOGS, MANIFEST, RECORDS, REPORT};
pub(crate) use error::StoreError;
pub(crate) use lines::RecordWriter;

use crate::prove::{Judge, JudgedRun};
use crate::support::files;
use ablate_format::{CellPlan, Manifest, Pass, ReadError, Record, Status, StudyPlan, WorkloadPlan};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK: &str = ".lock";

/// Status in `effects.json` of a cell without a run.
const NOT_RUN: &str = "missing";

/// How long a lock is waited for. A runner that was killed has it until its processes are gone, and a report for the moment
/// in which it looks whether there is a runner.
const RELEASED_AFTER: Duration = Duration::from_secs(1);

/// The key of a run: pass, block, workload, cell.
pub(crate) type Key = (Pass, u32, String, String);

/// Key of a record.
pub(crate) fn key(record: &Record) -> Key {
    (record.pass, record.block, record.workload.clone(), record.cell.clone())
}

/// A folder of a study that only this process may write to, until the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// The locked file; closing it releases the lock.
    _lock: File,
}

impl Folder {
    /// Creates the folder, or takes an empty one.
    ///
    /// # Errors
    /// [`StoreError::BadOut`], [`StoreError::NotEmpty`], [`StoreError::InUse`], or the system's error.
    pub(crate) fn create(dir: &Path) -> Result<Folder, StoreError> {
        if dir.as_os_str().is_empty() || (dir.exists() && !dir.is_dir()) {
            return Err(StoreError::BadOut { dir: dir.to_owned() });
        }
        std::fs::create_dir_all(dir).map_err(|e| StoreError::io(dir, "creating the folder", e))?;
        // A folder of something else gets no lock.
        if !dir.join(LOCK).exists() && has_results(dir)? {
            return Err(StoreError::NotEmpty { dir: dir.to_owned() });
        }
        let folder = Folder::lock(dir)?;
        if has_results(dir)? {
            return Err(StoreError::NotEmpty { dir: dir.to_owned() });
        }
        folder.create_logs()?;
        Ok(folder)
    }

    /// Takes a folder to continue the study in it. [`Folder::has_study`] tells whether there is one: a study that was ended
    /// during its builds or its preflight left a folder without a manifest, in which it begins again.
    ///
    /// # Errors
    /// [`StoreError::NoStudy`], [`StoreError::InUse`], or the system's error.
    pub(crate) fn open(dir: &Path) -> Result<Folder, StoreError> {
        let is_begun = || dir.join(MANIFEST).is_file() || (dir.is_dir() && has_results(dir).is_ok_and(|has| !has));
        if !is_begun() {
            return Err(StoreError::no_study(dir));
        }
        let folder = Folder::lock(dir)?;
        folder.create_logs()?;
        Ok(folder)
    }

    /// Whether the folder has the manifest of a study.
    pub(crate) fn has_study(&self) -> bool {
        self.dir.join(MANIFEST).is_file()
    }

    fn create_logs(&self) -> Result<(), StoreError> {
        let logs = self.logs();
        std::fs::create_dir_all(&logs).map_err(|e| StoreError::io(&logs, "creating the folder", e))
    }

    fn lock(dir: &Path) -> Result<Folder, StoreError> {
        let path = dir.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|e| StoreError::io(&path, "opening the lock", e))?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < RELEASED_AFTER => {
                    std::thread::sleep(RELEASED_AFTER / 50);
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { dir: dir.to_owned() }),
                Err(TryLockError::Error(e)) => return Err(StoreError::io(&path, "locking", e)),
            }
        }
        files::remove_left(dir);
        Ok(Folder { dir: dir.to_owned(), _lock: lock })
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of build logs, which exists.
    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join(LOGS)
    }

    /// Replaces the manifest as a whole.
    ///
    /// # Errors
    /// The system's error; the old manifest stays then.
    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.dir.join(MANIFEST);
        let bytes = serde_json::to_vec_pretty(manifest).map_err(|e| StoreError::io(&path, "formatting", e.into()))?;
        files::replace(&path, &bytes).map_err(|e| StoreError::io(&path, "writing", e))
    }

    /// Opens the records for appending.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn records(&self) -> Result<RecordWriter<File>, StoreError> {
        RecordWriter::open(&self.dir.join(RECORDS))
    }
}

/// Whether a folder has files beside those of a study that did not start, for example because its build failed, and the
/// note for git, which is written before it starts.
fn has_results(dir: &Path) -> Result<bool, StoreError> {
    let entries = std::fs::read_dir(dir).map_err(|e| StoreError::io(dir, "listing the folder", e))?;
    let is_result =
        |name: std::ffi::OsString| name != LOCK && name != LOGS && name != files::HIDDEN && !files::is_left(&name);
    Ok(entries.filter_map(Result::ok).any(|entry| is_result(entry.file_name())))
}

/// Whether a runner has the folder at this moment. Changes nothing.
pub(crate) fn is_in_use(dir: &Path) -> bool {
    let lock = File::open(dir.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Checks that a folder has a study, and tells one that was not begun from one that never was there.
///
/// # Errors
/// [`StoreError::NotYet`], [`StoreError::Ended`].
pub(crate) fn check_begun(dir: &Path) -> Result<(), StoreError> {
    match dir.join(LOCK).is_file() && !dir.join(MANIFEST).exists() {
        true if is_in_use(dir) => Err(StoreError::NotYet { dir: dir.to_owned() }),
        true => Err(StoreError::Ended { dir: dir.to_owned() }),
        false => Ok(()),
    }
}

/// Reads a study: the manifest, the records (of several with one key only the first), and the lines that are no
/// records.
///
/// # Errors
/// [`StoreError::NotAFolder`], [`StoreError::NoStudy`], [`StoreError::Unreadable`], or the system's error.
pub(crate) fn read(dir: &Path) -> Result<(Manifest, Vec<Record>, Vec<BadLine>), StoreError> {
    let manifest = ablate_format::read_manifest(dir)?;
    let mut records = Vec::new();
    let bad_lines = ablate_format::read_records(dir, |record| records.push(record))?;
    Ok((manifest, records, bad_lines))
}

/// [`read`] for a report: every record is checked by itself as soon as it is read ([`Judge`]), and only the data that a
/// report needs stay, so that a study of a million runs fits in memory.
///
/// # Errors
/// Those of [`read`], and [`StoreError::NoRecords`].
pub(crate) fn read_judged(dir: &Path) -> Result<(Manifest, Vec<JudgedRun>, Vec<BadLine>), StoreError> {
    let manifest = ablate_format::read_manifest(dir)?;
    // While a study runs, a report may have been made before its first record.
    if !is_in_use(dir) {
        check_records(dir)?;
    }
    let (mut runs, mut judge) = (Vec::new(), Judge::new(&manifest.plan));
    let bad_lines = ablate_format::read_records(dir, |record| runs.push(judge.judge(record)))?;
    drop(judge);
    Ok((manifest, runs, bad_lines))
}

/// Checks that a folder with a report has its records. Without them a report would replace it by an empty one.
///
/// # Errors
/// [`StoreError::NoRecords`].
pub(crate) fn check_records(dir: &Path) -> Result<(), StoreError> {
    let is_reported = || match ablate_format::read_effects(dir) {
        // The report of a study without a run, which has none either.
        Ok(effects) => effects.cells.iter().any(|cell| cell.status != NOT_RUN),
        Err(ReadError::Missing { .. }) => dir.join(REPORT).is_file(),
        Err(_) => true,
    };
    let has_records = std::fs::metadata(dir.join(RECORDS)).is_ok_and(|records| records.len() > 0);
    if !has_records && is_reported() { Err(StoreError::NoRecords { dir: dir.to_owned() }) } else { Ok(()) }
}

/// Key and status of a run, of a [`Record`] or of a [`JudgedRun`].
pub(crate) trait Keyed {
    /// Pass, block, workload, cell, as in [`Key`].
    fn run_key(&self) -> (Pass, u32, &str, &str);
    /// How it ended.
    fn status(&self) -> Status;
}

impl Keyed for Record {
    fn run_key(&self) -> (Pass, u32, &str, &str) {
        (self.pass, self.block, &self.workload, &self.cell)
    }

    fn status(&self) -> Status {
        self.status
    }
}

impl Keyed for JudgedRun {
    fn run_key(&self) -> (Pass, u32, &str, &str) {
        (self.pass, self.block, &self.workload, &self.cell)
    }

    fn status(&self) -> Status {
        self.status
    }
}

/// Number of blocks that have a timing run.
pub(crate) fn blocks<R: Keyed>(runs: &[R]) -> usize {
    let timed = runs.iter().filter(|run| run.run_key().0 == Pass::Timing && run.status() != Status::BuildFailed);
    timed.map(|run| run.run_key().1).collect::<HashSet<u32>>().len()
}

/// Leaves out the timing runs of unfinished blocks, because an interrupted block has only some of its cells, and the runs
/// of blocks that the study does not have: their numbers are damaged. Returns the other runs and the number of those left
/// out.
pub(crate) fn whole_blocks<R: Keyed>(manifest: &Manifest, mut runs: Vec<R>) -> (Vec<R>, usize) {
    let plan: &StudyPlan = &manifest.plan;
    let failed = |build: &str| manifest.builds.iter().any(|b| b.id == build && b.result.is_err());
    // Every pair of workload and cell gets a number, so that a block is a set of numbers.
    let mut pairs: HashMap<(&str, &str), usize> = HashMap::new();
    for workload in &plan.workloads {
        for cell in plan.cells.iter().filter(|cell| workload.runs(&cell.id) && !failed(&cell.build)) {
            let next = pairs.len();
            pairs.entry((&workload.name, &cell.id)).or_insert(next);
        }
    }
    let is_timed = |run: &R| run.run_key().0 == Pass::Timing && run.status() != Status::BuildFailed;
    let mut done: HashSet<(u32, usize)> = HashSet::new();
    let mut finished: HashMap<u32, usize> = HashMap::new();
    for run in runs.iter().filter(|run| is_timed(run)) {
        let (_, block, workload, cell) = run.run_key();
        let finished = finished.entry(block).or_default();
        if let Some(pair) = pairs.get(&(workload, cell)) {
            *finished += usize::from(done.insert((block, *pair)));
        }
    }
    let before = runs.len();
    let is_planned = |run: &R| match run.run_key() {
        (Pass::Timing | Pass::UnitCosts, block, ..) => block < manifest.blocks,
        _ => true,
    };
    let is_finished = |run: &R| !is_timed(run) || finished.get(&run.run_key().1) == Some(&pairs.len());
    runs.retain(|run| is_planned(run) && is_finished(run));
    let left_out = before - runs.len();
    (runs, left_out)
}

/// Number of planned runs that have a record, and number of planned runs; `None` when the config in the manifest cannot
/// be read.
///
/// A cell that could not be built has one record per workload that says so, and no other run is planned for it.
pub(crate) fn coverage<R: Keyed>(manifest: &Manifest, runs: &[R]) -> Option<(usize, usize)> {
    let plan = &manifest.plan;
    let config: toml::Table = manifest.config_text.parse().ok()?;
    let subject = config.get("subject")?.as_table()?;
    // A harness is not counted.
    let unless_set = if subject.contains_key("harness") { 0 } else { 2 };
    let repeats = match manifest.counting_repeats {
        Some(repeats) => i64::from(repeats),
        None => config.get("counting_repeats").map_or(Some(unless_set), toml::Value::as_integer)?,
    };
    let passes = 1 + usize::from(subject.contains_key("idle_args"));
    // Every shard counts by itself.
    let shards = manifest.shards.first().map_or(1, |shard| shard.of as usize);
    let counting = usize::try_from(repeats).ok()? * passes * shards;
    // Those of a shard that is missing from a merged study are planned too.
    let blocks = if manifest.shard.is_some() { shards::blocks(manifest) } else { manifest.blocks } as usize;
    let failed = |build: &str| manifest.builds.iter().any(|b| b.id == build && b.result.is_err());
    let each = |cell: &CellPlan| if failed(&cell.build) { 1 } else { blocks + counting };
    let of = |workload: &WorkloadPlan| plan.cells.iter().filter(|c| workload.runs(&c.id)).map(each).sum::<usize>();
    let planned = plan.workloads.iter().map(of).sum();
    let cells: HashSet<&str> = plan.cells.iter().map(|cell| cell.id.as_str()).collect();
    let workloads: HashSet<&str> = plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    let belongs = |(pass, block, workload, cell): &(Pass, u32, &str, &str)| {
        let known = cells.contains(cell) && workloads.contains(workload);
        known && (*pass != Pass::Timing || *block < manifest.blocks)
    };
    // Every shard has a record of its own of a cell that could not be built.
    let keys = runs.iter().map(|run| match (run.run_key(), run.status()) {
        ((pass, _, workload, cell), Status::BuildFailed) => (pass, 0, workload, cell),
        (key, _) => key,
    });
    let there: HashSet<(Pass, u32, &str, &str)> = keys.filter(belongs).collect();
    Some((there.len(), planned))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ablate_format::{BuildRecord, BuiltBinary, FORMAT, Machine};

    /// A manifest of the demo study.
    pub(crate) fn manifest() -> Manifest {
        let study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("the config is good");
        let design = crate::design::resolve(&study).expect("the design is good");
        let built = BuiltBinary { path: "/x".into(), sha256: "00".into(), code_sha256: None };
        let builds = design.builds.iter().map(|b| BuildRecord {
            id: b.id.clone(),
            features: b.features.clone(),
            settings: Default::default(),
            seconds: None,
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
            counting_repeats: None,
            plan: design.plan.clone(),
            builds: builds.collect(),
            libraries: Vec::new(),
            machine: Machine::default(),
            shard: None,
            shards: Vec::new(),
            machines: Vec::new(),
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
    fn a_folder_that_is_not_empty_is_refused() {
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
        assert!(matches!(error, StoreError::InUse { .. }) && is_in_use(dir.path()), "{error}");
        drop(first);
        assert!(!is_in_use(dir.path()));
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
        let back: Manifest = serde_json::from_value(json).expect("the key is optional");
        assert!(back.plan.workloads.iter().all(|w| w.response == ablate_format::MainResponse::P10));
    }

    #[test]
    fn a_copy_without_records_keeps_its_report() {
        let dir = folder();
        Folder::create(dir.path()).expect("empty").write_manifest(&manifest()).expect("writes");
        // A study that was ended before its first run has neither.
        assert_eq!(read_judged(dir.path()).expect("reads").1.len(), 0);
        std::fs::write(dir.path().join(REPORT), "what came out\n").expect("writes");
        let error = read_judged(dir.path()).expect_err("a report of nothing");
        assert!(error.is_usage() && error.to_string().contains("left out when the study was archived"), "{error}");
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
        let planned = records.len();
        records.push(record(Pass::Timing, 1, "small", "baseline"));
        // A block that the study of three does not have, whole as it is.
        let other = records[1..planned].iter().cloned().map(|record| Record { block: u32::MAX, ..record });
        records.extend(other.collect::<Vec<_>>());
        records.push(record(Pass::UnitCosts, u32::MAX, "small", "baseline"));
        let all = records.len();
        let (kept, left_out) = whole_blocks(&manifest, records);
        assert_eq!((kept.len(), left_out), (planned, all - planned));
    }
}
