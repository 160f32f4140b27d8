//! Reads a study's folder: whole files strictly, records line by line with care.

use super::{EFFECTS, EffectsFile, FORMAT, MANIFEST, Manifest, OLDEST_FORMAT, Pass, RECORDS, Record};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Longest line of `records.jsonl` in bytes, with its end; a longer one is not a record.
pub const MAX_LINE: u64 = 4 << 20;

/// A line of `records.jsonl` that is not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Why a study's folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file was given instead of a folder.
    #[error("{} is not a folder of a study; give the folder that `cargo ablate run` named", dir.display())]
    NotAFolder {
        /// What was given.
        dir: PathBuf,
    },
    /// The file is missing.
    #[error("{} is missing; give the folder that `cargo ablate run` named", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file has a version that this crate does not read.
    #[error("{}: {}", path.display(), describe_version(*format))]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that the file names.
        format: u32,
    },
    /// The file is damaged: no JSON, or a required key is missing.
    #[error("{}: {why}; the file is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system refused.
    #[error("{}: reading failed: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads `manifest.json` of a study's folder.
///
/// # Errors
/// [`ReadError`]; a manifest of another version than [`OLDEST_FORMAT`] to [`FORMAT`] is [`ReadError::Version`].
pub fn read_manifest(dir: &Path) -> Result<Manifest, ReadError> {
    read_versioned(dir, MANIFEST)
}

/// Reads `effects.json` of a study's folder.
///
/// # Errors
/// [`ReadError`]; a file of another version than [`OLDEST_FORMAT`] to [`FORMAT`] is [`ReadError::Version`].
pub fn read_effects(dir: &Path) -> Result<EffectsFile, ReadError> {
    read_versioned(dir, EFFECTS)
}

/// Reads `records.jsonl` of a study's folder, and gives every record to `each` as soon as it is read.
///
/// Of several records of one run (pass, block, workload and cell) only the first counts. Lines that are not records are
/// skipped and returned. A file that is missing has no lines: the study was ended before its first run.
///
/// # Errors
/// [`ReadError::Io`].
pub fn read_records(dir: &Path, each: impl FnMut(Record)) -> Result<Vec<BadLine>, ReadError> {
    let path = dir.join(RECORDS);
    let failed = |source| ReadError::Io { path: path.clone(), source };
    match File::open(&path) {
        Ok(file) => parse_records(BufReader::with_capacity(1 << 16, file), each).map_err(failed),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(failed(e)),
    }
}

/// [`read_records`] of the text itself.
///
/// # Errors
/// Those of `input`.
pub fn parse_records(mut input: impl BufRead, mut each: impl FnMut(Record)) -> io::Result<Vec<BadLine>> {
    let mut bad = Vec::new();
    let mut seen = Seen::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if io::Read::take(input.by_ref(), MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let mut complain = |why: String| bad.push(BadLine { line: number, why });
        if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
            complain(format!("longer than {MAX_LINE} bytes"));
            input.skip_until(b'\n')?;
            continue;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Record>(&line) {
            Ok(record) if !is_read(record.format) => complain(describe_version(record.format)),
            Ok(record) if !seen.insert(&record) => complain("a second record of the same run".to_owned()),
            Ok(record) => each(record),
            // A record of another version need not have the keys of this one.
            Err(e) => match serde_json::from_slice::<Version>(&line) {
                Ok(version) if !is_read(version.format) => complain(describe_version(version.format)),
                _ => complain(format!("no record: {e}")),
            },
        }
    }
    Ok(bad)
}

/// What every file and every line says first.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

fn is_read(format: u32) -> bool {
    (OLDEST_FORMAT..=FORMAT).contains(&format)
}

/// Why a version is not read, and what to do.
fn describe_version(format: u32) -> String {
    if format > FORMAT {
        format!("written in format {format}, and this ablate reads up to {FORMAT}; read it with a newer ablate")
    } else {
        format!("written in format {format}, and the oldest that is read is {OLDEST_FORMAT}; run the study again")
    }
}

fn read_versioned<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<T, ReadError> {
    let path = dir.join(name);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(ReadError::NotAFolder { dir: dir.to_owned() });
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ReadError::Missing { path }),
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    // The version first: a file of another one need not have the keys of this one.
    let version = match serde_json::from_slice::<Version>(&text) {
        Ok(version) => version,
        Err(e) => return Err(ReadError::Damaged { path, why: e.to_string() }),
    };
    if !is_read(version.format) {
        return Err(ReadError::Version { path, format: version.format });
    }
    serde_json::from_slice(&text).map_err(|e| ReadError::Damaged { path, why: e.to_string() })
}

/// Keys of the runs that were read. Names repeat in every block, so that each is stored once.
#[derive(Default)]
struct Seen {
    names: HashMap<String, usize>,
    keys: HashSet<(Pass, u32, usize, usize)>,
}

impl Seen {
    /// Whether the run is new.
    fn insert(&mut self, record: &Record) -> bool {
        let [workload, cell] = [&record.workload, &record.cell].map(|name| match self.names.get(name) {
            Some(number) => *number,
            None => {
                let number = self.names.len();
                self.names.insert(name.clone(), number);
                number
            }
        });
        self.keys.insert((record.pass, record.block, workload, cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<Record>, Vec<BadLine>) {
        let mut records = Vec::new();
        let bad = parse_records(text.as_bytes(), |record| records.push(record)).expect("text is read");
        (records, bad)
    }

    fn line() -> String {
        serde_json::to_string(&Record::new(Pass::Timing, 0, "w", "c")).expect("formats")
    }

    #[test]
    fn damaged_lines_duplicates_and_other_versions_are_bad_lines() {
        let one = line();
        let other = |format: &str| one.replace("\"format\":2", format);
        let text = format!("\0\0\n{one}\n\n{one}\n{}\n[]\n{{}}\n{{\"format\":1}}\n", other("\"format\":3"));
        let (records, bad) = parsed(&text);
        assert_eq!(records.len(), 1);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [1, 4, 5, 6, 7, 8]);
        assert!(bad[2].why.contains("newer ablate"), "{}", bad[2].why);
        assert!(bad[5].why.contains("run the study again"), "{}", bad[5].why);
    }

    #[test]
    fn an_endless_line_is_skipped() {
        let long = "x".repeat(3 * MAX_LINE as usize / 2);
        let (records, bad) = parsed(&format!("{long}\n{}\n", line()));
        assert_eq!((records.len(), bad.len()), (1, 1));
    }

    #[test]
    fn unknown_keys_are_ignored() {
        let (records, bad) = parsed(&line().replacen('{', "{\"later\":[1],", 1));
        assert_eq!((records.len(), bad.len()), (1, 0));
    }

    #[test]
    fn a_folder_that_cannot_be_read_says_why() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let manifest = dir.path().join(MANIFEST);
        assert!(matches!(read_manifest(dir.path()), Err(ReadError::Missing { .. })));
        std::fs::write(&manifest, "{\"format\": 99}").expect("writes");
        assert!(matches!(read_manifest(dir.path()), Err(ReadError::Version { format: 99, .. })));
        std::fs::write(&manifest, "{\"format\": 2}").expect("writes");
        assert!(matches!(read_manifest(dir.path()), Err(ReadError::Damaged { .. })));
        assert!(matches!(read_manifest(&manifest), Err(ReadError::NotAFolder { .. })));
        assert_eq!(read_records(dir.path(), |_| ()).expect("none yet"), []);
    }
}
