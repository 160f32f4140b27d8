//! Reads a study's folder. A file that is damaged is an error; a damaged line of the records is left out and reported.

use crate::effects::EffectsFile;
use crate::folder::{EFFECTS, MANIFEST, RECORDS, SCREENING};
use crate::manifest::Manifest;
use crate::record::{Pass, Record};
use crate::screening::Screening;
use crate::version::{FORMAT, OLDEST_FORMAT};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longest line of `records.jsonl` in bytes, with its line break. A longer line is not a record.
const MAX_LINE: u64 = 4 << 20;

/// A line of `records.jsonl` that is not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// The reason, for people.
    pub why: String,
    /// Whether the file ends within the line: a runner is writing it, or was ended meanwhile.
    pub is_torn: bool,
}

/// A study's folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The path is that of a file.
    #[error("{} is not a folder of a study; give the folder that `cargo ablate run` named", dir.display())]
    NotAFolder {
        /// The path.
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
    /// The file is damaged: it is not JSON, or a required key is missing.
    #[error("{} is damaged: {why}; take another copy, or run the study again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        why: String,
    },
    /// The system refused to read the file.
    #[error("{}: reading failed: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
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

/// Reads `screening.json` of a screening's folder.
///
/// # Errors
/// [`ReadError`]; a file of another version than [`OLDEST_FORMAT`] to [`FORMAT`] is [`ReadError::Version`].
pub fn read_screening(dir: &Path) -> Result<Screening, ReadError> {
    read_versioned(dir, SCREENING)
}

/// Gives every record of a study's folder to `each`, in the order of the file, and returns the lines that are not
/// records: one call of [`RecordReader::read`].
///
/// # Errors
/// [`ReadError::Io`].
pub fn read_records(dir: &Path, each: impl FnMut(Record)) -> Result<Vec<BadLine>, ReadError> {
    RecordReader::new(dir).read(each)
}

/// A reader of the records of one study. Each call of [`RecordReader::read`] continues where the last one ended, so
/// that a study can be read while it runs.
#[derive(Debug)]
pub struct RecordReader {
    path: PathBuf,
    /// Bytes that were read.
    offset: u64,
    /// Lines that were read.
    lines: usize,
    /// Bytes of the last line when it had no end yet.
    open: Option<u64>,
    seen: Seen,
}

impl RecordReader {
    /// A reader of `records.jsonl` in the folder of a study, from its first line. Opens no file.
    pub fn new(dir: &Path) -> RecordReader {
        RecordReader { path: dir.join(RECORDS), offset: 0, lines: 0, open: None, seen: Seen::default() }
    }

    /// Gives every record that was not read before to `each`, in the order of the file, and returns the lines that are
    /// not records.
    ///
    /// Of several records of one run (pass, block, workload and cell) only the first is given; the others are returned. A
    /// last line without its end that is no record yet is returned as well, and read again by the next call.
    /// A missing file has no lines: the study was ended before its first run.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn read(&mut self, each: impl FnMut(Record)) -> Result<Vec<BadLine>, ReadError> {
        let read = match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => Err(e),
            Ok(mut file) => file
                .seek(SeekFrom::Start(self.offset))
                .and_then(|_| self.read_lines(BufReader::with_capacity(1 << 16, file), each)),
        };
        read.map_err(|source| ReadError::Io { path: self.path.clone(), source })
    }

    fn read_lines(&mut self, mut input: impl BufRead, mut each: impl FnMut(Record)) -> io::Result<Vec<BadLine>> {
        let mut bad = Vec::new();
        let (mut text, mut lines) = (Vec::new(), Vec::new());
        loop {
            let is_over = self.fill(&mut input, &mut text, &mut lines)?;
            let open = self.open.take();
            for ((number, _), parsed) in lines.iter().zip(parse_all(&text, &lines)) {
                let open = open.filter(|_| *number == self.lines);
                let why = match parsed {
                    Ok(Some(record)) if self.seen.insert(&record) => {
                        each(record);
                        None
                    }
                    Ok(Some(_)) => Some("a second record of the same run".to_owned()),
                    Ok(None) => None,
                    Err(why) => {
                        self.offset -= open.unwrap_or(0);
                        Some(why)
                    }
                };
                let is_torn = why.is_some() && open.is_some();
                bad.extend(why.map(|why| BadLine { line: *number, why, is_torn }));
            }
            // What comes next belongs to the same line.
            self.lines -= usize::from(open.is_some());
            if is_over {
                return Ok(bad);
            }
        }
    }

    /// Reads at least [`CHUNK`] bytes of whole lines into `text`, as far as there are. `lines` has the number of each
    /// line and its range in `text`, `None` for one that is too long. Returns whether the input is over.
    fn fill(
        &mut self,
        input: &mut impl BufRead,
        text: &mut Vec<u8>,
        lines: &mut Vec<(usize, Option<Range<usize>>)>,
    ) -> io::Result<bool> {
        text.clear();
        lines.clear();
        while text.len() < CHUNK {
            let begin = text.len();
            let read = input.by_ref().take(MAX_LINE).read_until(b'\n', text)?;
            if read == 0 {
                return Ok(true);
            }
            self.offset += read as u64;
            self.lines += 1;
            let is_open = text.last() != Some(&b'\n');
            if is_open && read as u64 == MAX_LINE {
                self.offset += skip_line(input)?;
                text.truncate(begin);
                lines.push((self.lines, None));
            } else {
                self.open = is_open.then_some(read as u64);
                lines.push((self.lines, Some(begin..text.len())));
            }
        }
        Ok(false)
    }
}

/// Bytes of lines that are parsed together, by as many threads as there are processors.
const CHUNK: usize = 1 << 20;

/// Fewest lines per thread. Fewer take less time than the start of a thread.
const LEAST_LINES: usize = 64;

/// Parses lines, in their order: a record, `None` for an empty line, or the reason why it is not a record.
fn parse_all(text: &[u8], lines: &[(usize, Option<Range<usize>>)]) -> Vec<Result<Option<Record>, String>> {
    let parse = |(_, place): &(usize, Option<Range<usize>>)| match place {
        Some(place) => parse_line(&text[place.clone()]),
        None => Err(format!("longer than {MAX_LINE} bytes")),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(processors).max(LEAST_LINES);
    if lines.len() <= share {
        return lines.iter().map(parse).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            lines.chunks(share).map(|part| scope.spawn(move || part.iter().map(parse).collect::<Vec<_>>())).collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        done.flatten().collect()
    })
}

fn parse_line(line: &[u8]) -> Result<Option<Record>, String> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    match serde_json::from_slice::<Record>(line) {
        Ok(record) if !is_read(record.format) => Err(describe_version(record.format)),
        Ok(record) => Ok(Some(record)),
        // A record of another version need not have the keys of this one.
        Err(e) => match serde_json::from_slice::<Version>(line) {
            Ok(version) if !is_read(version.format) => Err(describe_version(version.format)),
            _ => Err(format!("not a record: {e}")),
        },
    }
}

/// Skips the rest of a line and returns its length in bytes.
fn skip_line(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let rest = input.fill_buf()?;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(rest.len(), |end| end + 1);
        let is_over = end.is_some() || length == 0;
        input.consume(length);
        skipped += length as u64;
        if is_over {
            return Ok(skipped);
        }
    }
}

/// Most records that [`mean_wall_ns`] reads.
const SAMPLE: u64 = 256;

/// Mean length of a record of a study in bytes, from the first ones of the file; `None` without a whole record.
pub fn mean_record_bytes(dir: &Path) -> Option<u64> {
    let mut input = BufReader::new(File::open(dir.join(RECORDS)).ok()?);
    let (mut line, mut sum, mut lines) = (Vec::new(), 0, 0);
    while lines < SAMPLE {
        line.clear();
        input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
        if line.last() != Some(&b'\n') {
            break;
        }
        (sum, lines) = (sum + line.len() as u64, lines + 1);
    }
    sum.checked_div(lines)
}

/// Mean wall time of the processes of a study in nanoseconds, over at most 256 records that are evenly spread in the
/// file, so that the call does not take longer for a larger study.
///
/// `None` when the file cannot be read or has no record with a wall time above 0.
pub fn mean_wall_ns(dir: &Path) -> Option<u64> {
    #[derive(Deserialize)]
    struct Wall {
        wall_ns: u64,
    }
    let file = File::open(dir.join(RECORDS)).ok()?;
    let size = file.metadata().ok()?.len();
    let mut input = BufReader::new(file);
    let (mut line, mut sum, mut runs, mut at) = (Vec::new(), 0, 0, 0);
    for step in 0..SAMPLE {
        let next = size / SAMPLE * step;
        if next > at {
            input.seek(SeekFrom::Start(next)).ok()?;
            at = next + skip_line(&mut input).ok()?;
        }
        line.clear();
        at += input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).ok()? as u64;
        if let Ok(Wall { wall_ns }) = serde_json::from_slice(&line)
            && wall_ns > 0
        {
            (sum, runs) = (sum + wall_ns, runs + 1);
        }
    }
    sum.checked_div(runs)
}

/// The version that every file and every record names.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Whether this crate reads a version.
fn is_read(format: u32) -> bool {
    (OLDEST_FORMAT..=FORMAT).contains(&format)
}

/// The reason why a version is not read, and what to do.
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
    // The version first, because a file of another version need not have the keys of this one.
    let version = match serde_json::from_slice::<Version>(&text) {
        Ok(version) => version,
        Err(e) => return Err(ReadError::Damaged { path, why: e.to_string() }),
    };
    if !is_read(version.format) {
        return Err(ReadError::Version { path, format: version.format });
    }
    serde_json::from_slice(&text).map_err(|e| ReadError::Damaged { path, why: e.to_string() })
}

/// Keys of the runs that were read, with each name stored once, because names repeat in every block.
#[derive(Debug, Default)]
struct Seen {
    names: HashMap<String, usize>,
    keys: HashSet<(Pass, u32, usize, usize)>,
}

impl Seen {
    /// Adds the run of a record; returns whether it is new.
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
        let (mut reader, mut records) = (RecordReader::new(Path::new("")), Vec::new());
        let bad = reader.read_lines(text.as_bytes(), |record| records.push(record)).expect("text is read");
        assert_eq!(reader.offset, text.len() as u64);
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
    fn numbers_are_read_as_they_were_written() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let written = crate::effects::Estimate { value: (state >> 11) as f64 * 1e-9, interval: None, blocks: 1 };
            let text = serde_json::to_string(&written).expect("formats");
            let read: crate::effects::Estimate = serde_json::from_str(&text).expect("reads");
            assert_eq!(read, written, "{text}");
        }
    }

    #[test]
    fn an_endless_line_is_skipped() {
        let long = "x".repeat(3 * MAX_LINE as usize / 2);
        let (records, bad) = parsed(&format!("{long}\n{}\n", line()));
        assert_eq!((records.len(), bad.len()), (1, 1));
    }

    #[test]
    fn lines_that_threads_share_keep_their_order_and_numbers() {
        let at = |block: usize| line().replace("\"block\":0", &format!("\"block\":{block}"));
        let all = 3 * CHUNK / line().len();
        let text: String = (0..all).map(|i| if i % 100 == 7 { "x\n".to_owned() } else { at(i) + "\n" }).collect();
        let (records, bad) = parsed(&text);
        let is_bad = |i: &usize| i % 100 == 7;
        let good: Vec<usize> = (0..all).filter(|i| !is_bad(i)).collect();
        assert_eq!(records.iter().map(|record| record.block as usize).collect::<Vec<_>>(), good);
        let numbers: Vec<usize> = (0..all).filter(is_bad).map(|i| i + 1).collect();
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn what_is_appended_is_read_by_the_next_look() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut reader = RecordReader::new(dir.path());
        let mut look = || {
            let mut blocks = Vec::new();
            let bad = reader.read(|record| blocks.push(record.block)).expect("reads");
            (blocks, bad.iter().map(|bad| bad.line).collect::<Vec<_>>())
        };
        assert_eq!(look(), (vec![], vec![]));
        let mut text = format!("{}\nx\n", line());
        std::fs::write(dir.path().join(RECORDS), &text).expect("writes");
        assert_eq!(look(), (vec![0], vec![2]));
        text.push_str(&format!("{}\n{}\n", line(), line().replace("\"block\":0", "\"block\":1")));
        std::fs::write(dir.path().join(RECORDS), &text).expect("writes");
        assert_eq!(look(), (vec![1], vec![3]), "the third line is a second record of the same run");
    }

    #[test]
    fn a_line_that_is_being_written_is_read_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut reader = RecordReader::new(dir.path());
        let all = format!("{}\n{}\nx\n", line(), line().replace("\"block\":0", "\"block\":1"));
        let mut read = Vec::new();
        for end in [0, 5, line().len(), line().len() + 1, line().len() + 9, all.len() - 3, all.len() - 1, all.len()] {
            std::fs::write(dir.path().join(RECORDS), &all[..end]).expect("writes");
            let bad = reader.read(|record| read.push(record.block)).expect("reads");
            let torn = |bad: &BadLine| (bad.line, bad.is_torn);
            let expected = match end {
                5 => vec![(1, true)],
                end if end == line().len() + 9 => vec![(2, true)],
                end if end == all.len() - 1 => vec![(3, true)],
                end if end == all.len() => vec![(3, false)],
                _ => vec![],
            };
            assert_eq!(bad.iter().map(torn).collect::<Vec<_>>(), expected, "{end} bytes");
        }
        assert_eq!(read, [0, 1]);
    }

    #[test]
    fn unknown_keys_are_ignored() {
        let (records, bad) = parsed(&line().replacen('{', "{\"later\":[1],", 1));
        assert_eq!((records.len(), bad.len()), (1, 0));
    }

    #[test]
    fn the_mean_wall_time_is_over_records_from_the_whole_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(mean_wall_ns(dir.path()), None, "there is no file");
        let at = |wall: u64| line().replace("\"wall_ns\":0", &format!("\"wall_ns\":{wall}")) + "\n";
        std::fs::write(dir.path().join(RECORDS), at(0)).expect("writes");
        assert_eq!(mean_wall_ns(dir.path()), None, "no process took time");
        std::fs::write(dir.path().join(RECORDS), format!("{}{}x\n", at(10), at(30))).expect("writes");
        assert_eq!(mean_wall_ns(dir.path()), Some(20));
        // 3,000 records of which the first half took 100 ns and the second half 300 ns.
        let text: String = (0..3000).map(|i| at(if i < 1500 { 100 } else { 300 })).collect();
        std::fs::write(dir.path().join(RECORDS), text).expect("writes");
        let mean = mean_wall_ns(dir.path()).expect("has records");
        assert!((195..=205).contains(&mean), "{mean}");
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
