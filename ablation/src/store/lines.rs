//! `records.jsonl`: appends one record per line, each line in one write.

use super::error::StoreError;
use ablate_format::Record;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A writer of records that appends each line in one write.
#[derive(Debug)]
pub(crate) struct RecordWriter<W> {
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
                // The last runner ended within a line. That part stays, as a bad line of its own.
                out.write_all(b"\n").map_err(error)?;
            }
        }
        Ok(RecordWriter { out, path: path.to_owned() })
    }

    /// Syncs the records, so that they survive a power loss.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.out.sync_data().map_err(|e| StoreError::io(&self.path, "syncing", e))
    }
}

impl<W: Write> RecordWriter<W> {
    /// Appends one record as one line.
    ///
    /// # Errors
    /// [`StoreError::Full`] or the system's error.
    pub(crate) fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        let error = |e| StoreError::io(&self.path, "appending a record", e);
        let mut line = serde_json::to_vec(record).map_err(|e| error(e.into()))?;
        line.push(b'\n');
        self.out.write_all(&line).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::record;
    use ablate_format::Pass;
    use std::io;

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
        assert!(error.contains("/dev/full") && error.contains("make room"), "{error}");
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
        let mut blocks = Vec::new();
        let bad = ablate_format::read_records(dir.path(), |record| blocks.push(record.block)).expect("reads");
        assert_eq!(blocks, [0, 1]);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [2]);
    }
}
