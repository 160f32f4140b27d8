//! Blocks: the operations of one thread within a stretch of time, compressed, with a checksum.
//!
//! Blocks of the same stretch are a *group*. A group ends the operations of all threads at one moment, so that the whole
//! groups of a file that was cut off are a trace: no operation waits for one that is missing.

use crate::columns::{Columns, Cursors};

/// The first bytes of a block.
const MAGIC: u32 = u32::from_le_bytes(*b"ABLK");
/// Bytes before the payload.
pub(crate) const HEAD: usize = 32;
/// The largest payload, so that a damaged length is no reason to take memory.
const UNPACKED_MAX: u32 = 256 << 20;

/// What stands before the payload of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) thread: u32,
    /// The number of its group.
    pub(crate) group: u32,
    /// Whether it ends its group.
    pub(crate) is_last: bool,
    /// How many operations it has.
    pub(crate) operations: u32,
    unpacked: u32,
    /// Bytes of the payload in the file.
    pub(crate) packed: u32,
    checksum: u32,
}

/// Compresses the operations of a thread, which are taken out of the columns.
///
/// # Errors
/// The compressor's.
pub(crate) fn pack(
    columns: &mut Columns,
    (thread, group, is_last, operations): (u32, u32, bool, u32),
    level: i32,
) -> std::io::Result<Vec<u8>> {
    let payload = columns.take();
    let packed = zstd::bulk::compress(&payload, level)?;
    let mut head = BlockHead {
        thread,
        group,
        is_last,
        operations,
        unpacked: payload.len() as u32,
        packed: packed.len() as u32,
        checksum: 0,
    };
    head.checksum = checksum(&head.bytes(), &packed);
    let mut block = Vec::from(head.bytes());
    block.extend(packed);
    Ok(block)
}

/// Whether a block is as it was written.
pub(crate) fn is_whole(head: &BlockHead, payload: &[u8]) -> bool {
    checksum(&head.bytes(), payload) == head.checksum && head.unpacked <= UNPACKED_MAX
}

/// The columns of a payload; `None` where it is damaged.
pub(crate) fn unpack(head: &BlockHead, payload: &[u8]) -> Option<Cursors> {
    if !is_whole(head, payload) {
        return None;
    }
    let payload = zstd::bulk::decompress(payload, head.unpacked as usize).ok()?;
    (payload.len() == head.unpacked as usize).then(|| Cursors::new(payload))?
}

impl BlockHead {
    fn bytes(&self) -> [u8; HEAD] {
        let words = [
            MAGIC,
            self.thread,
            self.group,
            u32::from(self.is_last),
            self.operations,
            self.unpacked,
            self.packed,
            self.checksum,
        ];
        let mut bytes = [0; HEAD];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a head; `None` where there is none.
    pub(crate) fn read(bytes: &[u8; HEAD]) -> Option<BlockHead> {
        let word =
            |at: usize| u32::from_le_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]]);
        (word(0) == MAGIC && word(3) < 2).then(|| BlockHead {
            thread: word(1),
            group: word(2),
            is_last: word(3) == 1,
            operations: word(4),
            unpacked: word(5),
            packed: word(6),
            checksum: word(7),
        })
    }
}

/// Of a head, all but its own last four bytes, and of a payload.
fn checksum(head: &[u8; HEAD], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..HEAD - 4]);
    hasher.update(payload);
    hasher.finalize()
}
