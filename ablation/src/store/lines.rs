//! `records.jsonl`: one record a line, appended whole, read with care.

use super::{RECORDS, StoreError};
use ablate_format::{FORMAT, Pass, Record};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest line that is read; a longer one is not a record.
const MAX_LINE: u64 = 4 << 20;

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Number from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Appends records; every record reaches the file in one write.
#[derive(Debug)]
pub struct RecordWriter<W> {
    out: W,
    path: PathBuf,
}

impl RecordWriter<File> {
    pub(super) fn open(path: &Path) -> Result<RecordWriter<File>, StoreError> {
        let error = |e| StoreError::io(path, "opening", e);
        let mut out = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(error)?;
        if out.seek(SeekFrom::End(0)).map_err(error)? > 0 {
            let mut last = [0_u8];
            out.seek(SeekFrom::End(-1)).map_err(error)?;
            out.read_exact(&mut last).map_err(error)?;
            if last != *b"\n" {
                // The last runner died within a line: it stays, as a bad line of its own.
                out.write_all(b"\n").map_err(error)?;
            }
        }
        Ok(RecordWriter { out, path: path.to_owned() })
    }

    /// Makes what was appended survive a power loss.
    ///
    /// # Errors
    /// What the system said.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.out.sync_data().map_err(|e| StoreError::io(&self.path, "syncing", e))
    }
}

impl<W: Write> RecordWriter<W> {
    /// Appends one line.
    ///
    /// # Errors
    /// [`StoreError::Full`] or what the system said.
    pub fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        let error = |e| StoreError::io(&self.path, "appending a record", e);
        let mut line = serde_json::to_vec(record).map_err(|e| error(e.into()))?;
        line.push(b'\n');
        self.out.write_all(&line).map_err(error)
    }
}

/// Reads the records of a study, and later those that were appended since.
#[derive(Debug)]
pub struct RecordReader {
    path: PathBuf,
    /// Bytes and lines that were read.
    offset: u64,
    lines: usize,
    seen: Seen,
}

impl RecordReader {
    /// For the records in the folder of a study.
    pub fn new(dir: &Path) -> RecordReader {
        RecordReader::of(dir.join(RECORDS))
    }

    fn of(path: PathBuf) -> RecordReader {
        RecordReader { path, offset: 0, lines: 0, seen: Seen::default() }
    }

    /// Gives every readable record that was not read before to `take`, of one key only the first, and returns the lines
    /// that are no records. A file that is not there has no lines.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(&mut self, take: impl FnMut(Record)) -> Result<Vec<BadLine>, StoreError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::io(&self.path, "opening", e)),
        };
        let offset = self.offset;
        let read = file.seek(SeekFrom::Start(offset));
        let read = read.and_then(|_| self.read_lines(BufReader::with_capacity(1 << 16, file), take));
        read.map_err(|e| StoreError::io(&self.path, "reading", e))
    }

    fn read_lines(&mut self, mut input: impl BufRead, mut take: impl FnMut(Record)) -> io::Result<Vec<BadLine>> {
        let mut bad = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(bad);
            }
            self.offset += read as u64;
            self.lines += 1;
            let number = self.lines;
            let mut complain = |why: String| bad.push(BadLine { line: number, why });
            if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
                complain(format!("longer than {MAX_LINE} bytes"));
                self.offset += skip_line(&mut input)?;
                continue;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice::<Record>(&line) {
                Ok(record) if record.format != FORMAT => {
                    complain(format!("its format is {}, this ablate reads {FORMAT}", record.format))
                }
                Ok(record) if !self.seen.insert(&record) => complain("a second record of the same run".to_owned()),
                Ok(record) => take(record),
                Err(e) => complain(format!("no record: {e}")),
            }
        }
    }
}

/// Skips the rest of a line and tells how long it was.
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

/// Records that [`mean_wall_ns`] looks at, at most.
const SAMPLE: u64 = 256;

/// Mean wall time of the processes of a study in nanoseconds, over records that lie evenly spread in the file: how long
/// that takes does not depend on the size of the study. `None` without a process that took time.
pub fn mean_wall_ns(dir: &Path) -> Option<u64> {
    #[derive(serde::Deserialize)]
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

/// Keys of the runs that were read. Names repeat in every block, so that each is kept once.
#[derive(Debug, Default)]
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
    use crate::store::tests::record;

    fn read_all(reader: &mut RecordReader) -> (Vec<Record>, Vec<BadLine>) {
        let mut records = Vec::new();
        let bad = reader.read(|record| records.push(record)).expect("reads");
        (records, bad)
    }

    fn read_text(text: &str) -> (Vec<Record>, Vec<BadLine>) {
        let mut records = Vec::new();
        let mut reader = RecordReader::of(PathBuf::new());
        let bad = reader.read_lines(text.as_bytes(), |record| records.push(record)).expect("reads");
        assert_eq!(reader.offset, text.len() as u64);
        (records, bad)
    }

    struct FullDisk;

    impl Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_stops_with_a_clear_line() {
        let one = record(Pass::Timing, 0, "w", "c");
        let mut writer = RecordWriter { out: FullDisk, path: "records.jsonl".into() };
        assert!(matches!(writer.append(&one), Err(StoreError::Full { .. })));
        let mut device = RecordWriter::<File>::open(Path::new("/dev/full")).expect("opens");
        let error = device.append(&one).expect_err("the device is always full").to_string();
        assert!(error.contains("/dev/full") && error.contains("no space left"), "{error}");
    }

    #[test]
    fn a_torn_line_is_closed_and_skipped_with_its_number() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("records.jsonl");
        let one = serde_json::to_string(&record(Pass::Timing, 0, "w", "c")).expect("formats");
        std::fs::write(&path, format!("{one}\n{}", &one[..40])).expect("writes");
        let mut writer = RecordWriter::<File>::open(&path).expect("opens");
        writer.append(&record(Pass::Timing, 1, "w", "c")).expect("appends");
        writer.sync().expect("syncs");
        let mut reader = RecordReader::of(path.clone());
        let (records, bad) = read_all(&mut reader);
        assert_eq!(records.iter().map(|r| r.block).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [2]);
        assert_eq!(read_all(&mut reader), (Vec::new(), Vec::new()));
        writer.append(&record(Pass::Timing, 2, "w", "c")).expect("appends");
        writer.append(&record(Pass::Timing, 0, "w", "c")).expect("appends");
        let (records, bad) = read_all(&mut reader);
        assert_eq!(records.iter().map(|r| r.block).collect::<Vec<_>>(), [2], "only what is new");
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn rubbish_duplicates_and_other_formats_are_bad_lines() {
        let one = serde_json::to_string(&record(Pass::Timing, 0, "w", "c")).expect("formats");
        let other = one.replace("\"format\":1", "\"format\":2");
        let text = format!("\0\0\n{one}\n\n{one}\n{other}\n[]\n{{}}\n");
        let (records, bad) = read_text(&text);
        assert_eq!(records.len(), 1);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [1, 4, 5, 6, 7]);
    }

    #[test]
    fn the_mean_time_of_a_process_is_that_of_all_in_a_small_study_and_of_some_in_a_large_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(mean_wall_ns(dir.path()), None);
        let mut writer = RecordWriter::<File>::open(&dir.path().join(RECORDS)).expect("opens");
        for block in 0..4_000 {
            let wall_ns = 1_000 + u64::from(block % 2) * 500;
            writer.append(&Record { wall_ns, ..record(Pass::Timing, block, "w", "c") }).expect("appends");
            if block == 3 {
                assert_eq!(mean_wall_ns(dir.path()), Some(1_250));
            }
        }
        let mean = mean_wall_ns(dir.path()).expect("some");
        assert!((1_200..1_300).contains(&mean), "{mean}");
    }

    #[test]
    fn an_endless_line_is_skipped() {
        let one = serde_json::to_string(&record(Pass::Timing, 0, "w", "c")).expect("formats");
        let long = "x".repeat(3 * MAX_LINE as usize / 2);
        let (records, bad) = read_text(&format!("{long}\n{one}\n"));
        assert_eq!((records.len(), bad.len()), (1, 1));
    }
}
