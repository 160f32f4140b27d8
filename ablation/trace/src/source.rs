//! The bytes of a trace: a file, or memory.

use crate::error::TraceError;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Where a trace is read from. Threads may read at once.
#[derive(Debug)]
pub(crate) enum Source {
    File { file: File, path: PathBuf, len: u64 },
    Memory(Vec<u8>),
}

impl Source {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn open(path: PathBuf) -> Result<Source, TraceError> {
        let file = File::open(&path).map_err(TraceError::system(&path, "opening"))?;
        let about = file.metadata().map_err(TraceError::system(&path, "reading"))?;
        if !about.is_file() {
            return Err(TraceError::NotATrace { path });
        }
        Ok(Source::File { file, path, len: about.len() })
    }

    /// Its name for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Source::File { path, .. } => path.clone(),
            Source::Memory(_) => PathBuf::from("(memory)"),
        }
    }

    /// Bytes of the whole.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Source::File { len, .. } => *len,
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// So many bytes from a place. `None` where the source ends before.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read(&self, at: u64, len: u64) -> Result<Option<Vec<u8>>, TraceError> {
        if at.checked_add(len).is_none_or(|end| end > self.len()) {
            return Ok(None);
        }
        match self {
            Source::Memory(bytes) => Ok(Some(bytes[at as usize..(at + len) as usize].to_vec())),
            Source::File { file, path, .. } => {
                let mut bytes = vec![0; len as usize];
                file.read_exact_at(&mut bytes, at).map_err(TraceError::system(path, "reading"))?;
                Ok(Some(bytes))
            }
        }
    }
}
