//! Where the blocks of each thread lie in a trace, and its head.

use crate::block::{self, BlockHead};
use crate::error::TraceError;
use crate::header::{Header, MAGIC, VERSION};
use crate::source::Source;

/// Bytes before the head: the magic, the version, two lengths and a checksum.
const BEFORE_HEAD: u64 = 24;
/// The largest head in memory, so that a damaged length is no reason to take it.
const HEAD_MAX: u32 = 1 << 30;

/// A trace's bytes and its tables.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) source: Source,
    pub(crate) header: Header,
    /// Places of the blocks of each thread.
    pub(crate) blocks: Vec<Vec<(u64, BlockHead)>>,
    pub(crate) cut_off: Option<CutOff>,
}

/// A file whose end is missing or damaged. What comes before the end of its last whole group is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// Bytes of the file that are read.
    pub at: u64,
    /// Operations that are read, of those that the head tells.
    pub operations: u64,
}

impl Index {
    /// Reads the head and checks every block.
    ///
    /// # Errors
    /// The system's, another kind of file, another version, and a damaged head.
    pub(crate) fn new(source: Source) -> Result<Index, TraceError> {
        let (header, mut at) = read_header(&source)?;
        let mut blocks = vec![Vec::new(); header.threads.len()];
        let mut operations = 0;
        let mut group: Vec<(u64, BlockHead)> = Vec::new();
        // Where the last whole group ends.
        let mut whole = at;
        while at < source.len() {
            let Some(head) = read_block(&source, at, &header)? else { break };
            group.push((at + block::HEAD as u64, head));
            at += block::HEAD as u64 + u64::from(head.packed);
            if head.is_last {
                for (place, head) in group.drain(..) {
                    operations += u64::from(head.operations);
                    blocks[head.thread as usize].push((place, head));
                }
                whole = at;
            } else if group.iter().any(|(_, of)| of.group != head.group) {
                break;
            }
        }
        let is_whole = whole == source.len() && operations == header.operations;
        let cut_off = (!is_whole).then_some(CutOff { at: whole, operations });
        Ok(Index { source, header, blocks, cut_off })
    }

    /// A block of a thread, with its payload; `None` after the last.
    pub(crate) fn block(&self, thread: u32, number: usize) -> Result<Option<(BlockHead, Vec<u8>)>, TraceError> {
        let Some((at, head)) = self.blocks[thread as usize].get(number) else { return Ok(None) };
        // A file that became shorter while it was read has an empty payload, which is found to be damaged.
        let payload = self.source.read(*at, u64::from(head.packed))?.unwrap_or_default();
        Ok(Some((*head, payload)))
    }
}

/// The head, and where the blocks begin.
fn read_header(source: &Source) -> Result<(Header, u64), TraceError> {
    let path = source.path();
    let not_a_trace = || TraceError::NotATrace { path: source.path() };
    let start = source.read(0, BEFORE_HEAD)?.ok_or_else(not_a_trace)?;
    if !start.starts_with(MAGIC) {
        return Err(not_a_trace());
    }
    let word = |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]);
    let [version, packed_len, len, checksum] = [8, 12, 16, 20].map(word);
    if version != VERSION {
        return Err(TraceError::Version { path, version });
    }
    let damaged = |what: &str| TraceError::Head { path: path.clone(), what: what.to_owned() };
    let packed = source.read(BEFORE_HEAD, packed_len.into())?.ok_or_else(|| damaged("the file ends within it"))?;
    if crc32fast::hash(&packed) != checksum || len > HEAD_MAX {
        return Err(damaged("its checksum is another"));
    }
    let text = zstd::bulk::decompress(&packed, len as usize).map_err(|error| damaged(&error.to_string()))?;
    let header: Header = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
    let objects: u64 = header.threads.iter().map(|thread| u64::from(thread.objects)).sum();
    if objects + u64::from(header.shared_objects) > u64::from(u32::MAX) {
        return Err(damaged("it has more objects than ids"));
    }
    Ok((header, BEFORE_HEAD + u64::from(packed_len)))
}

/// The block at a place; `None` where there is no whole one.
fn read_block(source: &Source, at: u64, header: &Header) -> Result<Option<BlockHead>, TraceError> {
    let Some(bytes) = source.read(at, block::HEAD as u64)? else { return Ok(None) };
    let mut head = [0; block::HEAD];
    head.copy_from_slice(&bytes);
    let head = BlockHead::read(&head).filter(|head| (head.thread as usize) < header.threads.len());
    let Some(head) = head else { return Ok(None) };
    let payload = source.read(at + block::HEAD as u64, head.packed.into())?;
    Ok(payload.is_some_and(|payload| block::is_whole(&head, &payload)).then_some(head))
}
