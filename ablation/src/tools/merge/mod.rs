//! `cargo ablate merge`: shards of a study, run by `cargo ablate run --shard` on several machines, as one folder.
//!
//! Nothing is computed here. Records are copied with the machine that they ran on, and the manifest tells which shards and
//! machines there are; every subcommand that takes a study then takes the merged one.

mod same;

use crate::store::{self, Folder, StoreError, shards};
use crate::support::count::counted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::progress::{note, warn};
use ablate_format::{InstrumentStatus, Manifest, Pass, Shard, StudyMachine};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Shards that cannot be joined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    /// A folder of a shard, or that of the result.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder has no shard.
    #[error("{dir} is no shard but {what}; give folders of `cargo ablate run --shard I/N`")]
    NoShard {
        /// The folder.
        dir: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A shard is still running.
    #[error("{dir}: a study is still running in this folder; wait for its end")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The number of a shard cannot be.
    #[error("{dir} is damaged: it says that it is shard {number} of {of}; run this shard again")]
    NoSuchShard {
        /// The folder.
        dir: PathBuf,
        /// Number of the shard.
        number: u32,
        /// Number of shards.
        of: u32,
    },
    /// The result would be a part of its own source.
    #[error("{out} lies inside of {dir}, which is merged into it; give another folder with --out")]
    Inside {
        /// The folder of the result.
        out: PathBuf,
        /// The folder of the shard.
        dir: PathBuf,
    },
    /// The folder of the result has files.
    #[error("{dir} is not empty; give the name of a new folder with --out")]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// Two folders have the same blocks.
    #[error(
        "{first} and {second} overlap: both are shard {number} of {of}, so their blocks have the same numbers; leave one out"
    )]
    Overlap {
        /// One folder.
        first: PathBuf,
        /// The other folder.
        second: PathBuf,
        /// Number of the shard.
        number: u32,
        /// Number of shards.
        of: u32,
    },
    /// Two folders are of different studies.
    #[error("{first} and {second} cannot be merged: {what}; run the shards from one config, source and bundle")]
    Differ {
        /// One folder.
        first: PathBuf,
        /// The other folder.
        second: PathBuf,
        /// The first difference.
        what: String,
    },
}

impl ExitStatus for MergeError {
    fn exit(&self) -> ShellCode {
        match self {
            MergeError::Store(error) => error.exit(),
            _ => ShellCode::WrongCall,
        }
    }
}

/// One folder that is joined.
struct Part {
    dir: PathBuf,
    manifest: Manifest,
    shard: Shard,
}

/// Joins the shards in `dirs` into the new or empty folder `out`, and tells which are missing.
///
/// # Errors
/// [`MergeError`]; nothing is written unless all folders belong together.
pub(crate) fn merge(dirs: &[PathBuf], out: &Path) -> Result<(), MergeError> {
    let mut parts = dirs.iter().map(|dir| part(dir)).collect::<Result<Vec<Part>, _>>()?;
    check(&parts)?;
    let place = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let place = place.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or(place);
    let around = parts.iter().find(|part| part.dir.canonicalize().is_ok_and(|dir| place.starts_with(dir)));
    if let Some(part) = around {
        return Err(MergeError::Inside { out: out.to_owned(), dir: part.dir.clone() });
    }
    parts.sort_by_key(|part| part.shard.number);
    let (machines, of_part) = machines(&parts);
    let merged = manifest(&parts, machines);
    let folder = Folder::create(out).map_err(|error| match error {
        StoreError::NotEmpty { dir } => MergeError::NotEmpty { dir },
        other => other.into(),
    })?;
    let mut records = folder.records()?;
    for (part, machine) in parts.iter().zip(of_part) {
        let mut written = Ok(());
        let (mut there, mut foreign, mut known) = (0, 0, HashSet::new());
        let read = ablate_format::read_records(&part.dir, |mut record| {
            record.machine = machine;
            let is_own = record.pass != Pass::Timing || part.shard.has(record.block);
            if !is_own || !known.insert(store::key(&record)) {
                foreign += 1;
            } else if written.is_ok() {
                there += 1;
                written = records.append(&record);
            }
        });
        for bad in read.map_err(StoreError::from)? {
            let path = part.dir.join(store::RECORDS);
            note(&format!("{}:{}: left out: {}", path.display(), bad.line, bad.why));
        }
        written?;
        if there == 0 {
            warn(&format!("{} has no records, so its blocks are missing", part.dir.display()));
        }
        if foreign > 0 {
            let (dir, records) = (part.dir.display(), counted(foreign, "record"));
            note(&format!("{dir}: left out: {records} of another shard, or of a run that is there already"));
        }
    }
    records.sync()?;
    // As the last file, so that a merge that was interrupted leaves no study.
    folder.write_manifest(&merged)?;
    let there = counted(merged.machines.len(), "machine");
    note(&format!("merged {} of {there} into {}", counted(parts.len(), "shard"), out.display()));
    if let Some(missing) = shards::missing(&merged) {
        warn(&missing);
    }
    Ok(())
}

fn part(dir: &Path) -> Result<Part, MergeError> {
    let manifest = ablate_format::read_manifest(dir).map_err(StoreError::from)?;
    if store::is_in_use(dir) {
        return Err(MergeError::InUse { dir: dir.to_owned() });
    }
    let no_shard = |what| Err(MergeError::NoShard { dir: dir.to_owned(), what });
    match manifest.shard.clone() {
        _ if !manifest.shards.is_empty() => no_shard("a study that was merged already"),
        None => no_shard("a whole study"),
        Some(Shard { number, of, .. }) if number == 0 || number > of => {
            Err(MergeError::NoSuchShard { dir: dir.to_owned(), number, of })
        }
        Some(shard) => Ok(Part { dir: dir.to_owned(), manifest, shard }),
    }
}

fn check(parts: &[Part]) -> Result<(), MergeError> {
    for (at, part) in parts.iter().enumerate() {
        if let Some(what) = same::first_difference(&parts[0].manifest, &part.manifest) {
            return Err(MergeError::Differ { first: parts[0].dir.clone(), second: part.dir.clone(), what });
        }
        if let Some(other) = parts[..at].iter().find(|other| other.shard.number == part.shard.number) {
            let Shard { number, of, .. } = part.shard;
            return Err(MergeError::Overlap { first: other.dir.clone(), second: part.dir.clone(), number, of });
        }
    }
    Ok(())
}

/// The machines in the order of the shards, and that of each part. A shard whose machine is unknown counts as one of its
/// own.
fn machines(parts: &[Part]) -> (Vec<StudyMachine>, Vec<u32>) {
    let mut machines: Vec<StudyMachine> = Vec::new();
    let mut of_part = Vec::new();
    for part in parts {
        let id = &part.shard.machine;
        let known = machines.iter().position(|machine| machine.id == *id && !id.is_empty());
        let at = known.unwrap_or_else(|| {
            machines.push(StudyMachine { id: id.clone(), facts: part.manifest.machine.facts.clone() });
            machines.len() - 1
        });
        // As many as there are folders among the arguments of a call.
        of_part.push(at as u32);
    }
    (machines, of_part)
}

fn manifest(parts: &[Part], machines: Vec<StudyMachine>) -> Manifest {
    let first = &parts[0].manifest;
    let mut instruments = first.instruments.clone();
    for (at, status) in instruments.iter_mut().enumerate() {
        // Counts of the machines that have it are there.
        let all = parts.iter().filter_map(|part| part.manifest.instruments.get(at));
        let mut available = all.filter(|other| other.name == status.name && other.unavailable.is_none());
        if let Some(other) = available.next().filter(|_| status.unavailable.is_some()) {
            *status = InstrumentStatus::clone(other);
        }
    }
    Manifest {
        started_unix_s: parts.iter().map(|part| part.manifest.started_unix_s).min().unwrap_or_default(),
        shard: None,
        shards: parts.iter().map(|part| part.shard.clone()).collect(),
        machines,
        instruments,
        ..first.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest as study;

    #[test]
    fn shards_of_one_machine_are_one_machine_and_unknown_ones_are_not() {
        let part = |number: u32, machine: &str| Part {
            dir: PathBuf::from(format!("s{number}")),
            manifest: study(),
            shard: Shard { number, of: 5, machine: machine.to_owned() },
        };
        let parts = [part(1, "a"), part(2, "b"), part(3, "a"), part(4, ""), part(5, "")];
        let (machines, of_part) = machines(&parts);
        assert_eq!((machines.len(), of_part), (4, vec![0, 1, 0, 2, 3]));
    }
}
