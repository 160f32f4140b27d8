//! The decoded trace as flat tables in memory that no allocator served.
//!
//! A child process decodes the trace into a file in memory, which this process then maps. So the reader's own requests are
//! in no heap that is measured, also where the measured allocator is `malloc` itself.

use super::decode::decode;
use super::decoder::PROOF_REQUESTS;
use super::entry::Entry;
use super::plan::{ReplayPlan, Touch};
use super::script::{Counts, Decoded, Spawn};
use super::touching::Touching;
use crate::os::{OS_PAGE, child};
use clap::ValueEnum;
use std::fs::File;
use std::io::{Error, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use thiserror::Error;

/// Why there are no tables.
#[derive(Debug, Error)]
pub(crate) enum ImageError {
    /// The trace is refused, by a sentence with the file and the way out.
    #[error("{0}")]
    Refused(String),
    /// The system refused.
    #[error("the trace cannot be put into memory: {doing} failed: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        source: Error,
    },
}

/// Values that may be written to and read from memory as they are.
///
/// # Safety
/// - The type has no padding, no pointers and no `Drop`, and its alignment is at most 8.
unsafe trait Plain: Copy {}

// SAFETY: whole numbers in `repr(C)`, by the sizes below without padding.
unsafe impl Plain for Head {}
// SAFETY: as above.
unsafe impl Plain for ThreadRow {}
// SAFETY: as above; the `bool` and the kind come from this program.
unsafe impl Plain for Entry {}
// SAFETY: as above.
unsafe impl Plain for Spawn {}
// SAFETY: a number.
unsafe impl Plain for u32 {}
// SAFETY: a number.
unsafe impl Plain for u8 {}

/// What the file begins with.
#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    counts: Counts,
    /// How much objects are touched, by classes.
    parts: [u32; 64],
    /// Values in each table, in the order of [`Image`].
    lengths: [u64; 10],
}

const _: () = assert!(size_of::<Head>() == size_of::<Counts>() + 64 * 4 + 10 * 8 && size_of::<Counts>() == 14 * 8);
const _: () = assert!(size_of::<ThreadRow>() == 6 * 8 && size_of::<Spawn>() == 8 && size_of::<Entry>() == 16);

/// One thread: where its parts of the tables lie.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct ThreadRow {
    entries: u64,
    entries_end: u64,
    preamble: u64,
    addresses: u64,
    addresses_end: u64,
    ends: u64,
}

/// One thread's part of the tables.
#[derive(Clone, Copy)]
pub(super) struct ThreadTables<'a> {
    /// Its steps.
    pub(super) entries: &'a [Entry],
    /// Recorded nanoseconds before each, where gaps are asked for; else empty.
    pub(super) gaps_ns: &'a [u32],
    /// How many steps come before the timed part.
    pub(super) preamble: usize,
    /// Addresses of its objects, where they are precomputed.
    pub(super) addresses: &'a [u32],
    /// Whether its end was seen.
    pub(super) ends: bool,
}

/// The tables of a trace. They stay to the end of the process.
pub(crate) struct Image {
    /// What is counted in the trace.
    pub(super) counts: Counts,
    /// How objects are touched.
    pub(super) touching: Touching,
    /// The whole mapping.
    all: &'static [u8],
    threads: &'static [ThreadRow],
    entries: &'static [Entry],
    gaps_ns: &'static [u32],
    addresses: &'static [u32],
    /// The threads that others start, in the order of their starts.
    pub(super) spawns: &'static [Spawn],
    /// The threads that end, in that order.
    pub(super) ends: &'static [u32],
    /// The threads that are there when timing begins.
    pub(super) early: &'static [u32],
    /// The frees of what is live at the end.
    pub(super) leftovers: &'static [Entry],
    /// Sizes for the proof.
    pub(super) proof_sizes: &'static [u32],
    /// The program and its arguments.
    pub(super) program: &'static str,
}

impl Image {
    /// Decodes the trace of a plan.
    ///
    /// # Errors
    /// Traces that cannot be replayed, and the system's.
    pub(crate) fn load(plan: &ReplayPlan) -> Result<Image, ImageError> {
        let system = |doing| move |source| ImageError::System { doing, source };
        // SAFETY: the name ends with zero.
        let fd = unsafe { libc::memfd_create(c"trace".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(system("memfd_create")(Error::last_os_error()));
        }
        // SAFETY: just opened, and owned by nothing else.
        let file = unsafe { File::from_raw_fd(fd) };
        child::run(|| {
            let written = match decode(plan) {
                Ok(decoded) => write(&file, &decoded),
                Err(refused) => (&file).write_all(&[REFUSED]).and_then(|()| write!(&file, "{refused}")),
            };
            if let Err(error) = written {
                eprintln!("error: the decoded trace cannot be written: {error}");
                // SAFETY: ends the child, whose parent sees that it failed.
                unsafe { libc::_exit(1) };
            }
        })
        .map_err(system("decoding it"))?;
        let bytes = file.metadata().map_err(system("reading its size"))?.len();
        let mapped = map(&file, bytes as usize).map_err(system("mapping it"))?;
        match mapped.split_first() {
            Some((&REFUSED, text)) => Err(ImageError::Refused(String::from_utf8_lossy(text).into_owned())),
            _ => Ok(Image::of(mapped)),
        }
    }

    /// The tables in the file's bytes.
    fn of(bytes: &'static [u8]) -> Image {
        let mut at = size_of::<u64>();
        let head: Head = table::<Head>(bytes, &mut at, 1)[0];
        let [threads, leftovers, entries, spawns, gaps_ns, addresses, ends, early, proof_sizes, program] =
            head.lengths.map(|length| length as usize);
        let touch = Touch::value_variants()[head.counts.touch as usize];
        Image {
            counts: head.counts,
            touching: Touching::of(touch, head.parts),
            all: bytes,
            threads: table(bytes, &mut at, threads),
            leftovers: table(bytes, &mut at, leftovers),
            entries: table(bytes, &mut at, entries),
            spawns: table(bytes, &mut at, spawns),
            gaps_ns: table(bytes, &mut at, gaps_ns),
            addresses: table(bytes, &mut at, addresses),
            ends: table(bytes, &mut at, ends),
            early: table(bytes, &mut at, early),
            proof_sizes: table(bytes, &mut at, proof_sizes),
            program: std::str::from_utf8(table(bytes, &mut at, program)).unwrap_or_default(),
        }
    }

    /// How objects are touched.
    pub(crate) fn touch(&self) -> Touch {
        Touch::value_variants()[self.counts.touch as usize]
    }

    /// Resident bytes of the mapping.
    pub(super) fn bytes(&self) -> u64 {
        (self.all.len() as u64).next_multiple_of(OS_PAGE.into())
    }

    /// Makes the tables resident in a child process, which begins without them.
    pub(super) fn fault_in(&self) {
        for page in self.all.iter().step_by(OS_PAGE as usize) {
            // SAFETY: a byte of the mapping.
            unsafe { std::ptr::from_ref(page).read_volatile() };
        }
    }

    /// The addresses for the proof of the allocator, which follow the first thread's.
    pub(super) fn proof_addresses(&self) -> &[u32] {
        let addresses = self.thread(self.counts.main as usize).addresses;
        &addresses[addresses.len().saturating_sub(PROOF_REQUESTS)..]
    }

    /// The part of a thread.
    pub(super) fn thread(&self, thread: usize) -> ThreadTables<'_> {
        let row = self.threads[thread];
        let entries: Range<usize> = row.entries as usize..row.entries_end as usize;
        ThreadTables {
            gaps_ns: if self.gaps_ns.is_empty() { &[] } else { &self.gaps_ns[entries.clone()] },
            entries: &self.entries[entries],
            preamble: row.preamble as usize,
            addresses: &self.addresses[row.addresses as usize..row.addresses_end as usize],
            ends: row.ends != 0,
        }
    }
}

/// The first byte of the file, where a sentence follows instead of tables; else 0.
const REFUSED: u8 = 1;

/// Writes the tables.
fn write(file: &File, decoded: &Decoded) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    let threads = &decoded.threads;
    let sum = |count: fn(&super::script::ThreadScript) -> usize| threads.iter().map(count).sum::<usize>();
    let lengths = [
        threads.len(),
        decoded.leftovers.len(),
        sum(|thread| thread.entries.len()),
        decoded.spawns.len(),
        sum(|thread| thread.gaps_ns.len()),
        sum(|thread| thread.addresses.len()),
        decoded.ends.len(),
        decoded.early.len(),
        decoded.proof_sizes.len(),
        decoded.program.len(),
    ];
    let touch = Touch::value_variants()[decoded.counts.touch as usize];
    let parts = Touching::new(touch, decoded.model.as_ref()).parts();
    out.write_all(&[0; size_of::<u64>()])?;
    put(&mut out, &[Head { counts: decoded.counts, parts, lengths: lengths.map(|length| length as u64) }])?;
    let (mut entries, mut addresses) = (0, 0);
    for thread in threads {
        let row = ThreadRow {
            entries,
            entries_end: entries + thread.entries.len() as u64,
            preamble: thread.preamble as u64,
            addresses,
            addresses_end: addresses + thread.addresses.len() as u64,
            ends: u64::from(thread.ends),
        };
        (entries, addresses) = (row.entries_end, row.addresses_end);
        put(&mut out, &[row])?;
    }
    put(&mut out, &decoded.leftovers)?;
    threads.iter().try_for_each(|thread| put(&mut out, &thread.entries))?;
    put(&mut out, &decoded.spawns)?;
    threads.iter().try_for_each(|thread| put(&mut out, &thread.gaps_ns))?;
    threads.iter().try_for_each(|thread| put(&mut out, &thread.addresses))?;
    for numbers in [&decoded.ends, &decoded.early, &decoded.proof_sizes] {
        put(&mut out, numbers)?;
    }
    out.write_all(decoded.program.as_bytes())?;
    out.flush()
}

/// Writes values as they lie in memory.
fn put<T: Plain>(out: &mut impl Write, values: &[T]) -> std::io::Result<()> {
    // SAFETY: a plain value has no byte that is not written.
    out.write_all(unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
}

/// The next `length` values.
fn table<T: Plain>(bytes: &'static [u8], at: &mut usize, length: usize) -> &'static [T] {
    let part = &bytes[*at..*at + length * size_of::<T>()];
    *at += part.len();
    let start: *const T = part.as_ptr().cast();
    assert!(start.is_aligned(), "tables of large values come first");
    // SAFETY: within the mapping, aligned, and written by `put` as values of this type.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// Maps the file for good, every OS page of it.
fn map(file: &File, bytes: usize) -> std::io::Result<&'static [u8]> {
    let (access, flags) = (libc::PROT_READ, libc::MAP_SHARED | libc::MAP_POPULATE);
    // SAFETY: a new mapping anywhere.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // SAFETY: the mapping has these bytes and is never removed; the file is written to no more.
    Ok(unsafe { std::slice::from_raw_parts(start.cast(), bytes) })
}
