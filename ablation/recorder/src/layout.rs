//! The raw file: a head of one page, then chunks of 128 KiB, each written by one thread at a time.
//!
//! A chunk is a row of events of two or three words of 64 bits, in the byte order of the machine. Words that are zero are not
//! written yet: the first word of an event is written last, and is never 0. The file may end in the middle of everything.
//!
//! | word | bits | content |
//! |---|---|---|
//! | first | 0 to 2 | [`Kind`] |
//! | | 3 to 47 | the object's address, shifted by three; or a [`Sub`] and its first value |
//! | | 48 to 63 | bits 0 to 15 of the size |
//! | second | 0 to 47 | the time in ticks since the head's |
//! | | 48 to 63 | bits 16 to 31 of the size |
//! | third | 0 to 47 | the return address of the call |
//! | | 48 to 53 | the binary logarithm of the alignment, [`NO_ALIGN`] for none |
//! | | 54 | whether zeroes were asked for |
//! | | 55 to 63 | bits 32 to 40 of the size |

use core::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of the head.
pub const HEAD_BYTES: u64 = 4096;
/// Bytes of a chunk.
pub const CHUNK_BYTES: u64 = 128 << 10;
/// The first bytes of the file: letters, and what the layout is made of. A reader that was built with another layout finds
/// another number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"ABLRAW\0\0")
    | ((size_of::<Head>() as u64 ^ CHUNK_BYTES ^ core::mem::offset_of!(Head, lost) as u64 ^ LAYOUT) & 0xffff) << 48;
/// Raised when the meaning of events changes.
const LAYOUT: u64 = 1 << 12;
/// The environment variable that says where to record: the process that asks, 1 for all processes or 0, the largest file in
/// bytes or 0, how many allocations to one watched or 0, and the folder, with a blank between.
pub const VARIABLE: &str = "ABLATE_TRACE_INTO";
/// The alignment of a call that has none.
pub const NO_ALIGN: u8 = 63;
/// The largest size that an event holds. Larger ones are written as this.
pub const SIZE_MAX: u64 = (1 << 41) - 1;

/// The head of the file. It is shared by the threads of the process, and read while these may still write.
#[derive(Debug)]
#[repr(C)]
pub struct Head {
    /// [`MAGIC`], written last.
    pub magic: AtomicU64,
    /// The process.
    pub process: u32,
    /// Its parent.
    pub parent: u32,
    /// [`CLOCK_TSC`] and the like.
    pub clock: u32,
    /// One allocation in so many was watched for what is written to it; 0 for none.
    pub one_in: u32,
    /// Where the ticks of events begin.
    pub start_ticks: u64,
    /// The monotonic clock at that moment, in nanoseconds.
    pub start_ns: u64,
    /// Seconds since 1970 at that moment.
    pub start_unix: u64,
    /// Chunks that were claimed.
    pub chunks: AtomicU64,
    /// Stretches of events of one thread that were begun.
    pub stretches: AtomicU64,
    /// Threads that were seen.
    pub threads: AtomicU32,
    /// Why recording ended early: 0, or [`STOPPED_LIMIT`] and the like.
    pub stopped: AtomicU32,
    /// The system's error number where [`STOPPED_SYSTEM`].
    pub stopped_errno: AtomicU32,
    /// 1 when the process has come to its regular end.
    pub ended: AtomicU32,
    /// Ticks since the start, at the last time that the clocks were compared.
    pub last_ticks: AtomicU64,
    /// Nanoseconds since the start, at that time.
    pub last_ns: AtomicU64,
    /// Events that could not be written.
    pub lost: AtomicU64,
    /// Bytes of the command line that follow.
    pub command_bytes: u64,
    /// The program and its arguments, each with a 0 at its end; the last may be incomplete.
    pub command: [u8; COMMAND_MAX],
    /// The path of the allocator that calls are passed on to, with a 0 at its end.
    pub allocator: [u8; ALLOCATOR_MAX],
}

/// The longest command line that is kept.
pub const COMMAND_MAX: usize = 3072;
/// The longest path of the allocator that is kept.
pub const ALLOCATOR_MAX: usize = 512;

const _: () = assert!(size_of::<Head>() <= HEAD_BYTES as usize, "the head fits its page");

/// Ticks are those of the time-stamp counter.
pub const CLOCK_TSC: u32 = 1;
/// Ticks are those of aarch64's counter.
pub const CLOCK_COUNTER: u32 = 2;
/// Ticks are nanoseconds of the monotonic clock.
pub const CLOCK_MONOTONIC: u32 = 3;

/// The file reached its limit.
pub const STOPPED_LIMIT: u32 = 1;
/// The system refused, for example because the disk is full.
pub const STOPPED_SYSTEM: u32 = 2;

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A new object, after it was made. Three words.
    Allocate = 1,
    /// The end of an object, before it. Two words.
    Free = 2,
    /// A reallocation, before it, with the old address. Two words.
    ReallocateBegin = 3,
    /// The end of the thread's last open reallocation, with the new address, 0 where it failed or freed. Three words.
    ReallocateEnd = 4,
    /// All others. Three words; the third is a value.
    Other = 5,
}

/// What an event of [`Kind::Other`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Sub {
    /// What follows in the chunk is of the thread with this number. The third word is a number that only this stretch of
    /// events has: a stretch can be in the file twice, of which the longer one counts.
    Thread = 1,
    /// The thread's handle of the C library, once it is known: the third word.
    Handle = 2,
    /// The thread ends.
    End = 3,
    /// The thread has started another, with the handle in the third word. The time is that before the call.
    Spawn = 4,
    /// The thread has waited for the end of another, with the handle in the third word.
    Join = 5,
    /// The first eight bytes of the thread's name.
    NameFirst = 6,
    /// Its other bytes.
    NameRest = 7,
    /// An object of the size in the third word was watched by its pattern; the first value is how many bytes were written.
    Touched = 8,
    /// The same by its resident pages.
    Resident = 9,
    /// Lines of `/proc/self/maps` follow: bytes in the third word, padded to whole words.
    Maps = 10,
}

/// The words of an event.
pub type Words = [u64; 3];

const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// What an allocation or reallocation asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Bytes.
    pub size: u64,
    /// The binary logarithm of the alignment, or [`NO_ALIGN`].
    pub align_log2: u8,
    /// Whether zeroes were asked for.
    pub zeroed: bool,
    /// The return address.
    pub site: u64,
}

/// The first word of an event with an address.
#[inline(always)]
#[must_use]
pub const fn first(kind: Kind, address: u64) -> u64 {
    kind as u64 | (address & TIME_MASK & !7)
}

/// The words of an allocation, or of a reallocation's end.
#[inline(always)]
#[must_use]
pub const fn asked(kind: Kind, address: u64, ticks: u64, of: Asked) -> Words {
    let size = if of.size > SIZE_MAX { SIZE_MAX } else { of.size };
    [
        first(kind, address) | (size << 48),
        (ticks & TIME_MASK) | ((size >> 16) << 48),
        (of.site & TIME_MASK) | ((of.align_log2 as u64) << 48) | ((of.zeroed as u64) << 54) | ((size >> 32) << 55),
    ]
}

/// The words of another event. The first value has 45 bits, the third word is the second.
#[inline]
#[must_use]
pub const fn other(sub: Sub, value: u64, ticks: u64, second: u64) -> Words {
    [Kind::Other as u64 | ((sub as u64) << 3) | (value << 8), ticks & TIME_MASK, second]
}

/// An event as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// [`Kind::Allocate`].
    Allocate {
        /// Where it is.
        address: u64,
        /// What was asked for.
        asked: Asked,
    },
    /// [`Kind::Free`].
    Free {
        /// Where it is.
        address: u64,
    },
    /// [`Kind::ReallocateBegin`].
    ReallocateBegin {
        /// Where it was.
        address: u64,
    },
    /// [`Kind::ReallocateEnd`].
    ReallocateEnd {
        /// Where it is, or 0.
        address: u64,
        /// What was asked for.
        asked: Asked,
    },
    /// [`Kind::Other`].
    Other {
        /// What it is: a [`Sub`], as a number.
        sub: u8,
        /// Its first value.
        value: u64,
        /// Its second value.
        second: u64,
    },
}

/// Reads the event at the start of these words: the event, its ticks, and how many words it has. `None` where none is
/// written, and where it does not end within the words.
#[must_use]
pub fn read(words: &[u64]) -> Option<(Event, u64, usize)> {
    let (&first, &time) = (words.first()?, words.get(1)?);
    let (address, ticks) = (first & TIME_MASK & !7, time & TIME_MASK);
    let kind = first & 7;
    match kind {
        2 => return Some((Event::Free { address }, ticks, 2)),
        3 => return Some((Event::ReallocateBegin { address }, ticks, 2)),
        1 | 4 | 5 => {}
        _ => return None,
    }
    let &third = words.get(2)?;
    if kind == 5 {
        return Some((Event::Other { sub: (first >> 3) as u8 & 31, value: first >> 8, second: third }, ticks, 3));
    }
    let asked = Asked {
        size: (first >> 48) | ((time >> 48) << 16) | ((third >> 55) << 32),
        align_log2: (third >> 48) as u8 & 63,
        zeroed: (third >> 54) & 1 == 1,
        site: third & TIME_MASK,
    };
    let event = if kind == 1 { Event::Allocate { address, asked } } else { Event::ReallocateEnd { address, asked } };
    Some((event, ticks, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let of = Asked { size: 0x123_4567_89ab, align_log2: 12, zeroed: true, site: 0x7fff_1234_5678 };
        let words = asked(Kind::Allocate, 0x7f12_3456_7890, 0x1234_5678_9abc, of);
        let event = Event::Allocate { address: 0x7f12_3456_7890, asked: of };
        assert_eq!(read(&words), Some((event, 0x1234_5678_9abc, 3)));
        assert_eq!(read(&words[..2]), None, "an event that does not end");
        let failed = asked(Kind::ReallocateEnd, 0, 5, Asked { size: u64::MAX, ..of });
        let event = Event::ReallocateEnd { address: 0, asked: Asked { size: SIZE_MAX, ..of } };
        assert_eq!(read(&failed), Some((event, 5, 3)));
        assert_eq!(read(&[first(Kind::Free, 0x18), 7]), Some((Event::Free { address: 0x18 }, 7, 2)));
        let words = other(Sub::Touched, 12345, 9, 1 << 60);
        let event = Event::Other { sub: Sub::Touched as u8, value: 12345, second: 1 << 60 };
        assert_eq!(read(&words), Some((event, 9, 3)));
        assert_eq!(read(&[0, 0, 0]), None, "not written yet");
    }
}
