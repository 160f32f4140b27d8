//! Reads a trace.

use crate::decode::Operations;
use crate::error::TraceError;
use crate::header::{Header, MAGIC};
use crate::index::{CutOff, Index};
use crate::merged::Merged;
use crate::source::Source;
use std::path::{Path, PathBuf};

/// A trace that is open for reading. Its threads can be read at once, by several threads.
#[derive(Debug)]
pub struct Trace {
    index: Index,
}

impl Trace {
    /// Opens a trace and checks every block.
    ///
    /// # Errors
    /// The system's, another kind of file, another version, and a damaged head.
    pub fn open(path: impl Into<PathBuf>) -> Result<Trace, TraceError> {
        Ok(Trace { index: Index::new(Source::open(path.into())?)? })
    }

    /// A trace in memory.
    ///
    /// # Errors
    /// As [`Trace::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Trace, TraceError> {
        Ok(Trace { index: Index::new(Source::Memory(bytes))? })
    }

    /// Whether a file begins as a trace does.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        let start = Source::open(path.to_owned()).and_then(|source| source.read(0, MAGIC.len() as u64));
        matches!(start, Ok(Some(start)) if start == MAGIC)
    }

    /// What stands before the operations. Of a file that is cut off, counts and tables are those of the whole.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.index.header
    }

    /// What is missing, if the file is not whole.
    #[must_use]
    pub fn cut_off(&self) -> Option<&CutOff> {
        self.index.cut_off.as_ref()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.index.source.len()
    }

    /// How many operations of a thread can be read; 0 for a thread that there is not.
    #[must_use]
    pub fn operations_of(&self, thread: u32) -> u64 {
        let blocks = self.index.blocks.get(thread as usize).map_or(&[][..], Vec::as_slice);
        blocks.iter().map(|(_, head)| u64::from(head.operations)).sum()
    }

    /// The operations of a thread, in its order.
    ///
    /// # Errors
    /// A thread that there is not.
    pub fn thread(&self, thread: u32) -> Result<Operations<'_>, TraceError> {
        let threads = self.index.header.threads.len();
        match (thread as usize) < threads {
            true => Ok(Operations::new(&self.index, thread)),
            false => Err(TraceError::NoThread { thread, threads }),
        }
    }

    /// The operations of all threads, in an order in which they can have happened.
    #[must_use]
    pub fn merged(&self) -> Merged<'_> {
        Merged::new(&self.index)
    }
}
