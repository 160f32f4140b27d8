//! The raw file: a head of one page, then chunks of 128 KiB, each written by one thread at a time.
//!
//! A chunk is a row of events of one or three words of 64 bits, in the byte order of the machine. Words that are zero are not
//! written yet: the first word of an event is written last, and is never 0. The file may end in the middle of everything.
//!
//! | word | bits | content |
//! |---|---|---|
//! | first | 0 to 2 | [`Kind`] |
//! | | 3 to 47 | the object's address, shifted by three; or a [`Sub`] and its first value |
//! | | 48 to 63 | of three words: bits 0 to 15 of the size; of [`Kind::Again`]: which of the requests before, and bit 58 |
//! | second | 0 to 47 | the time in ticks since the head's |
//! | | 48 to 63 | bits 16 to 31 of the size |
//! | third | 0 to 47 | the return address of the call |
//! | | 48 to 53 | the binary logarithm of the alignment, [`NO_ALIGN`] for none |
//! | | 54 | whether zeroes were asked for |
//! | | 55 to 63 | bits 32 to 40 of the size |
//!
//! The word of [`Kind::Time`] has ticks in bits 3 to 50, those of the event that follows. An event without a time came at that
//! of the one before it, or later. A time is never later than its event, but between two events on one address by different
//! threads the later one has its own, read after the earlier event was over. So events that are ordered by the last time
//! before them are in order, address by address.

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
const LAYOUT: u64 = 2 << 12;
/// The environment variable that says where to record: the process that asks, 1 for all processes or 0, the largest file in
/// bytes or 0, how many allocations to one watched or 0, and the folder, with a blank between.
pub const VARIABLE: &str = "ABLATE_TRACE_INTO";
/// The file in that folder which tells that a process was left out.
pub const LEFT_OUT: &str = "left-out";
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
    /// The end of an object, before it. One word.
    Free = 2,
    /// A reallocation, before it, with the old address. One word.
    ReallocateBegin = 3,
    /// The end of the thread's last open reallocation, with the new address, 0 where it failed or freed. Three words.
    ReallocateEnd = 4,
    /// All others. Three words; the third is a value.
    Other = 5,
    /// As the last [`Kind::Allocate`] or [`Kind::ReallocateEnd`] of the stretch that had this [`place`], but for the address.
    /// One word, which also says whether the thread's next event is the free of this object: bit 58.
    Again = 6,
    /// The time of the event that follows. One word.
    Time = 7,
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

impl Asked {
    /// As [`request`] of the words. `None` of 4 GiB and more, and of a call at an address of more than 48 bits.
    #[inline(always)]
    #[must_use]
    pub const fn request(self, kind: Kind) -> Option<[u64; 2]> {
        if self.size >> 32 != 0 || self.site > TIME_MASK {
            return None;
        }
        let third = self.site | ((self.align_log2 as u64) << 48) | ((self.zeroed as u64) << 54);
        Some([third, (kind as u64) << 32 | self.size])
    }
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

/// How many requests of a stretch can be named again.
pub const REQUESTS: usize = 1 << 10;

/// What two events must have in common to be the same request: the third word, and the kind with the rest of the size.
#[inline(always)]
#[must_use]
pub const fn request(words: &Words) -> [u64; 2] {
    [words[2], (words[0] & 7) << 32 | words[0] >> 48 | (words[1] >> 48) << 16]
}

/// Where a request stands among those that can be named again.
#[inline(always)]
#[must_use]
pub const fn place(request: [u64; 2]) -> usize {
    // The golden ratio's multiplicative hash (Knuth, The Art of Computer Programming 3, 6.4) lays sizes of one call site
    // beside each other; another odd number does so for sites.
    let size = request[1].wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = size.wrapping_add(request[0].wrapping_mul(0xd6e8_feb8_6659_fd93));
    (mixed >> (64 - REQUESTS.trailing_zeros())) as usize
}

/// The word of an event whose request stands at this place.
#[inline(always)]
#[must_use]
pub const fn again(place: usize, address: u64) -> u64 {
    first(Kind::Again, address) | (place as u64) << 48
}

/// Set in a word of [`Kind::Again`] whose object is freed by the thread's next event.
const FREED: u64 = 1 << 58;

/// The word of [`Kind::Again`] with the free of its object, if the free with the second word is of that.
#[inline(always)]
#[must_use]
pub const fn freed(again: u64, free: u64) -> Option<u64> {
    let is_its = again & !((REQUESTS as u64 - 1) << TIME_BITS) == free ^ Kind::Free as u64 ^ Kind::Again as u64;
    if is_its { Some(again | FREED) } else { None }
}

/// The word that gives the next event its time.
#[inline(always)]
#[must_use]
pub const fn time(ticks: u64) -> u64 {
    Kind::Time as u64 | (ticks & TIME_MASK) << 3
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

/// Reads the events of a stretch, one after the other.
#[derive(Debug)]
pub struct Reader {
    /// Requests by their place; zeroes where there was none.
    requests: [[u64; 2]; REQUESTS],
    /// The last time.
    ticks: u64,
    /// The object whose free is the next event.
    freed: Option<u64>,
}

/// An event, and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    /// The event.
    pub event: Event,
    /// The last time at it or before it. It never goes back.
    pub ticks: u64,
    /// The time that it was written with.
    pub own: u64,
    /// Whether the time is its own, and later than the one before.
    pub has_time: bool,
    /// How many words it has, with its time; 0 where it stands in the word of the event before.
    pub words: usize,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader { requests: [[0; 2]; REQUESTS], ticks: 0, freed: None }
    }
}

impl Reader {
    /// Reads the event at the start of these words. `None` where none is written, where it does not end within the words, and
    /// where it names a request that was not there.
    #[must_use]
    pub fn read(&mut self, words: &[u64]) -> Option<Timed> {
        let before = self.ticks;
        if let Some(address) = self.freed.take() {
            let event = Event::Free { address };
            return Some(Timed { event, ticks: before, own: before, has_time: false, words: 0 });
        }
        let (mut at, mut own) = (0, before);
        while words.get(at)? & 7 == Kind::Time as u64 {
            own = words[at] >> 3 & TIME_MASK;
            self.ticks = self.ticks.max(own);
            at += 1;
        }
        let first = words[at];
        let address = first & TIME_MASK & !7;
        let (event, count) = match first & 7 {
            2 => (Event::Free { address }, 1),
            3 => (Event::ReallocateBegin { address }, 1),
            6 => {
                let event = again_as(self.requests[(first >> TIME_BITS) as usize % REQUESTS], address)?;
                self.freed = (first & FREED != 0).then_some(address);
                (event, 1)
            }
            1 | 4 | 5 => {
                let words: &Words = words.get(at..at + 3)?.try_into().ok()?;
                own = words[1] & TIME_MASK;
                self.ticks = self.ticks.max(own);
                if first & 7 == 5 {
                    let sub = (first >> 3) as u8 & 31;
                    if sub == Sub::Thread as u8 {
                        self.requests = [[0; 2]; REQUESTS];
                    }
                    (Event::Other { sub, value: first >> 8, second: words[2] }, 3)
                } else {
                    let request = request(words);
                    self.requests[place(request)] = request;
                    (again_as(request, address)?, 3)
                }
            }
            _ => return None,
        };
        Some(Timed { event, ticks: self.ticks, own, has_time: self.ticks > before, words: at + count })
    }

    /// How many events follow before one with a later time, and that time, where there is one within the words that follow.
    #[must_use]
    pub fn until_next_time(&self, words: &[u64]) -> (u64, Option<u64>) {
        let (mut count, mut at) = (u64::from(self.freed.is_some()), 0);
        while let Some(&first) = words.get(at) {
            let (time, length) = match first & 7 {
                7 => (first >> 3 & TIME_MASK, 1),
                1 | 4 | 5 => (words.get(at + 1).map_or(0, |time| time & TIME_MASK), 3),
                2 | 3 | 6 => (0, 1),
                _ => break,
            };
            if time > self.ticks {
                return (count, Some(time));
            }
            count += u64::from(first & 7 != 7) + u64::from(first & 7 == 6 && first & FREED != 0);
            at += length;
        }
        (count, None)
    }
}

/// The event of a request. `None` for a place where none is.
fn again_as([third, rest]: [u64; 2], address: u64) -> Option<Event> {
    let asked = Asked {
        size: (rest & 0xffff_ffff) | ((third >> 55) << 32),
        align_log2: (third >> 48) as u8 & 63,
        zeroed: (third >> 54) & 1 == 1,
        site: third & TIME_MASK,
    };
    match rest >> 32 {
        1 => Some(Event::Allocate { address, asked }),
        4 => Some(Event::ReallocateEnd { address, asked }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type All = [Option<(Event, u64, bool)>; 8];

    /// What the words say, event by event, with their times.
    fn all(words: &[u64]) -> (All, usize) {
        let (mut reader, mut found, mut at) = (Reader::default(), [None; 8], 0);
        for place in &mut found {
            let Some(timed) = reader.read(&words[at..]) else { break };
            *place = Some((timed.event, timed.ticks, timed.has_time));
            at += timed.words;
        }
        (found, at)
    }

    #[test]
    fn what_is_written_is_read() {
        let of = Asked { size: 0x123_4567_89ab, align_log2: 12, zeroed: true, site: 0x7fff_1234_5678 };
        let words = asked(Kind::Allocate, 0x7f12_3456_7890, 0x1234_5678_9abc, of);
        let event = Event::Allocate { address: 0x7f12_3456_7890, asked: of };
        assert_eq!(all(&words).0[0], Some((event, 0x1234_5678_9abc, true)));
        assert_eq!(all(&words[..2]).0[0], None, "an event that does not end");
        let failed = asked(Kind::ReallocateEnd, 0, 5, Asked { size: u64::MAX, ..of });
        let event = Event::ReallocateEnd { address: 0, asked: Asked { size: SIZE_MAX, ..of } };
        assert_eq!(all(&failed).0[0], Some((event, 5, true)));
        assert_eq!(all(&[time(7), first(Kind::Free, 0x18)]).0[0], Some((Event::Free { address: 0x18 }, 7, true)));
        assert_eq!(all(&[time(7)]), ([None; 8], 0), "a time without an event");
        let words = other(Sub::Touched, 12345, 9, 1 << 60);
        let event = Event::Other { sub: Sub::Touched as u8, value: 12345, second: 1 << 60 };
        assert_eq!(all(&words).0[0], Some((event, 9, true)));
        assert_eq!(all(&[0, 0, 0]).0[0], None, "not written yet");
    }

    #[test]
    fn a_request_is_named_again() {
        let of = Asked { size: 0x2345_6789, align_log2: NO_ALIGN, zeroed: true, site: 0x7fff_1234_5678 };
        let [one, two, three] = asked(Kind::Allocate, 0x10, 5, of);
        let request = request(&[one, two, three]);
        assert_eq!(of.request(Kind::Allocate), Some(request));
        assert_eq!(Asked { size: 1 << 32, ..of }.request(Kind::Allocate), None);
        let words = [one, two, three, again(place(request), 0x20), time(9), again(place(request), 0x30), 0];
        let (found, at) = all(&words);
        assert_eq!(found[1], Some((Event::Allocate { address: 0x20, asked: of }, 5, false)));
        assert_eq!(found[2], Some((Event::Allocate { address: 0x30, asked: of }, 9, true)));
        assert_eq!((found[3], at), (None, 6));
        let at_first = Reader { ticks: 5, ..Reader::default() };
        assert_eq!(at_first.until_next_time(&words[3..]), (1, Some(9)));
        assert_eq!(at_first.until_next_time(&words[3..4]), (1, None));
        // The same, freed at once.
        let both = freed(again(place(request), 0x30), first(Kind::Free, 0x30)).expect("is its free");
        let (found, at) = all(&[one, two, three, time(9), both, first(Kind::Free, 0x10)]);
        assert_eq!(found[1], Some((Event::Allocate { address: 0x30, asked: of }, 9, true)));
        assert_eq!(found[2], Some((Event::Free { address: 0x30 }, 9, false)));
        assert_eq!((found[3], at), (Some((Event::Free { address: 0x10 }, 9, false)), 6));
        assert_eq!(at_first.until_next_time(&[both, 0]), (2, None));
        for other in [again(place(request), 0x38), time(0x30), both, 0x30, first(Kind::Free, 0x30)] {
            assert_eq!(freed(other, first(Kind::Free, 0x30)), None);
        }
        // Another request, of a reallocation, and one that was never there.
        let again_only = [again((place(request) + 1) % REQUESTS, 0x20)];
        assert_eq!(all(&again_only).0[0], None);
        assert_ne!(super::request(&asked(Kind::ReallocateEnd, 0x10, 5, of)), request);
        // A new stretch forgets.
        let [begin, second, last] = other(Sub::Thread, 1, 1, 1);
        let (found, at) = all(&[one, two, three, begin, second, last, again(place(request), 0x20)]);
        assert_eq!((found[2], at), (None, 6));
    }

    #[test]
    fn sizes_of_one_site_have_places_of_their_own() {
        let mut taken = [false; REQUESTS];
        for size in 0..300 {
            let of = Asked { size, align_log2: NO_ALIGN, zeroed: false, site: 0x5555_1234_5678 };
            taken[place(request(&asked(Kind::Allocate, 0, 0, of)))] = true;
        }
        let places = taken.iter().filter(|is_taken| **is_taken).count();
        assert!(places > 250, "{places} places for 300 sizes");
    }
}
