//! `records.jsonl`: one record a line, appended whole, read with care.

use super::StoreError;
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

/// All readable records, of one key only the first, each after `settle` had it, and the bad lines. A file that is not
/// there has no lines.
pub(super) fn read(path: &Path, settle: impl FnMut(&mut Record)) -> Result<(Vec<Record>, Vec<BadLine>), StoreError> {
    match File::open(path) {
        Ok(file) => {
            read_lines(BufReader::with_capacity(1 << 16, file), settle).map_err(|e| StoreError::io(path, "reading", e))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), Vec::new())),
        Err(e) => Err(StoreError::io(path, "opening", e)),
    }
}

fn read_lines(mut input: impl BufRead, mut settle: impl FnMut(&mut Record)) -> io::Result<(Vec<Record>, Vec<BadLine>)> {
    let (mut records, mut bad) = (Vec::new(), Vec::new());
    let mut seen = Seen::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
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
            Ok(record) if record.format != FORMAT => {
                complain(format!("its format is {}, this ablate reads {FORMAT}", record.format))
            }
            Ok(record) if !seen.insert(&record) => complain("a second record of the same run".to_owned()),
            Ok(mut record) => {
                settle(&mut record);
                records.push(record);
            }
            Err(e) => complain(format!("no record: {e}")),
        }
    }
    Ok((records, bad))
}

/// Keys of the runs that were read. Names repeat in every block, so that each is kept once.
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
    use crate::store::tests::record;

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
        let (records, bad) = read(&path, |_| ()).expect("reads");
        assert_eq!(records.iter().map(|r| r.block).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn rubbish_duplicates_and_other_formats_are_bad_lines() {
        let one = serde_json::to_string(&record(Pass::Timing, 0, "w", "c")).expect("formats");
        let other = one.replace("\"format\":1", "\"format\":2");
        let text = format!("\0\0\n{one}\n\n{one}\n{other}\n[]\n{{}}\n");
        let (records, bad) = read_lines(text.as_bytes(), |_| ()).expect("reads");
        assert_eq!(records.len(), 1);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [1, 4, 5, 6, 7]);
    }

    #[test]
    fn an_endless_line_is_skipped() {
        let one = serde_json::to_string(&record(Pass::Timing, 0, "w", "c")).expect("formats");
        let long = "x".repeat(3 * MAX_LINE as usize / 2);
        let (records, bad) = read_lines(format!("{long}\n{one}\n").as_bytes(), |_| ()).expect("reads");
        assert_eq!((records.len(), bad.len()), (1, 1));
    }
}
