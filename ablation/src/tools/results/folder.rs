//! Reads a folder of results.

use crate::analyse::{Analysis, analyse_proven};
use crate::prove::{self, JudgedRun};
use crate::report;
use crate::store::{self, StoreError};
use crate::support::count::counted;
use crate::support::progress::note;
use ablate_format::{EffectsFile, Manifest, Pass, ReadError, Status};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder that was read.
#[derive(Debug)]
pub(crate) struct Results {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// What was planned, built and found.
    pub(crate) manifest: Manifest,
    /// What it says.
    pub(crate) effects: EffectsFile,
    /// Its records and what they say in full; `None` for an archived folder without records.
    pub(crate) measured: Option<Measured>,
}

/// The records of a folder.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The runs, judged each and together.
    pub(crate) records: Vec<JudgedRun>,
    /// What they say.
    pub(crate) analysis: Analysis,
}

impl Results {
    /// Blocks that were timed in full; `None` for a folder without records.
    pub(crate) fn blocks(&self) -> Option<usize> {
        self.measured.as_ref().map(|measured| store::blocks(&measured.records))
    }

    /// What the runs of each workload did, as far as they tell it: number of operations and checksum, which all proven runs of
    /// one workload have in common.
    pub(crate) fn work(&self) -> BTreeMap<&str, (u64, &str)> {
        let records = self.measured.iter().flat_map(|measured| &measured.records);
        let timed = records.filter(|run| run.pass == Pass::Timing && run.status == Status::Ok);
        let told = timed.filter_map(|run| {
            let told = run.measured.as_ref().filter(|told| !told.checksum.is_empty())?;
            Some((&*run.workload, (told.operations, &*told.checksum)))
        });
        told.collect()
    }
}

/// Reads a folder. Damaged lines and unfinished blocks are left out and noted, as by `cargo ablate report`.
///
/// # Errors
/// [`StoreError`]: no folder of a study, or one that cannot be read.
pub(crate) fn read(dir: &Path) -> Result<Results, StoreError> {
    let dir = dir.to_owned();
    if store::is_in_use(&dir) {
        note(&format!("a study is still running in {}; what is read covers the runs so far", dir.display()));
    }
    let (manifest, records, bad_lines) = match store::read_judged(&dir) {
        Err(StoreError::NoRecords { .. }) => {
            let manifest = ablate_format::read_manifest(&dir)?;
            let effects = match ablate_format::read_effects(&dir) {
                Err(ReadError::Missing { .. }) => return Err(StoreError::NoRecords { dir }),
                read => read?,
            };
            return Ok(Results { dir, manifest, effects, measured: None });
        }
        read => read?,
    };
    for bad in &bad_lines {
        note(&format!("{}:{}: skipped: {}", dir.join(store::RECORDS).display(), bad.line, bad.why));
    }
    let (mut records, left_out) = store::whole_blocks(&manifest, records);
    if left_out > 0 {
        note(&format!("{}: left out: {} of an unfinished block", dir.display(), counted(left_out, "run")));
    }
    prove::prove_together(&manifest.plan, &mut records);
    let analysis = analyse_proven(&manifest, &records);
    let effects = report::effects(&manifest, &records, &analysis);
    Ok(Results { dir, manifest, effects, measured: Some(Measured { records, analysis }) })
}
