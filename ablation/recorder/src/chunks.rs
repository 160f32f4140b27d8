//! The raw file: its head, and the chunks that threads claim.

use crate::layout::{CHUNK_BYTES, HEAD_BYTES, Head, STOPPED_LIMIT, STOPPED_SYSTEM};
use crate::{switch, sys};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering, compiler_fence};

/// Chunks that get their place on the disk together.
const RESERVED: u64 = 8;

/// Words of a chunk.
pub(crate) const WORDS: usize = CHUNK_BYTES as usize / 8;

/// The path of the file, with a 0 at its end. It is opened for each chunk, because a program may close all files that it
/// does not know, and reuse their numbers.
pub(crate) struct Path(UnsafeCell<[u8; PATH_MAX]>);

pub(crate) const PATH_MAX: usize = 4096;

// SAFETY: it is written before the file is used, by one thread.
unsafe impl Sync for Path {}

pub(crate) static PATH: Path = Path(UnsafeCell::new([0; PATH_MAX]));

impl Path {
    /// The bytes, for the one who names the file.
    pub(crate) fn bytes(&self) -> *mut [u8; PATH_MAX] {
        self.0.get()
    }

    fn as_c(&self) -> &CStr {
        // SAFETY: it ends with a 0, and is not changed any more.
        unsafe { CStr::from_ptr(self.0.get().cast::<c_char>()) }
    }
}

static HEAD: AtomicPtr<Head> = AtomicPtr::new(ptr::null_mut());
/// The largest file, in bytes.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Unfinished chunks of threads that have ended: the chunk's number and 1, and how many of its words are written.
static UNFINISHED: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// The head of this process's file. Null before it has one.
pub(crate) fn head() -> *mut Head {
    // Acquire: pairs with the release in `create`.
    HEAD.load(Ordering::Acquire)
}

/// Creates the file of this process, which must not exist, with a head of zeroes. `false` where the system refuses;
/// `EEXIST` is left in `errno` where there is such a file.
pub(crate) fn create(limit: u64) -> bool {
    if sys::file_limit() < HEAD_BYTES {
        return false;
    }
    let Some(file) = sys::File::open(PATH.as_c(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL) else { return false };
    if !file.reserve(0, HEAD_BYTES) {
        return false;
    }
    let head: *mut Head = file.map(0, HEAD_BYTES).cast();
    if head.is_null() {
        return false;
    }
    let (device, inode) = file.identity().unwrap_or_default();
    DEVICE.store(device, Ordering::Relaxed);
    INODE.store(inode, Ordering::Relaxed);
    UNFINISHED.iter().for_each(|one| one.store(0, Ordering::Relaxed));
    LIMIT.store(if limit == 0 { u64::MAX } else { limit }, Ordering::Relaxed);
    // Release: pairs with the acquire in `head`.
    HEAD.store(head, Ordering::Release);
    true
}

/// A chunk that a thread writes into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    pub(crate) number: u64,
    pub(crate) start: *mut u64,
    /// The next word.
    pub(crate) at: *mut u64,
}

impl Chunk {
    /// No chunk, without room.
    pub(crate) const NONE: Chunk = Chunk { number: 0, start: ptr::null_mut(), at: ptr::null_mut() };

    /// Events of three words with a word for their time begin before here.
    pub(crate) fn limit(&self) -> *mut u64 {
        if self.start.is_null() { ptr::null_mut() } else { self.start.wrapping_add(WORDS - 3) }
    }

    /// How many words are free.
    pub(crate) fn room(&self) -> usize {
        if self.start.is_null() { 0 } else { WORDS - (self.at.addr() - self.start.addr()) / 8 }
    }

    /// Gives the mapping back. What was written stays in the file.
    pub(crate) fn close(&mut self) {
        if !self.start.is_null() {
            // SAFETY: the thread that has the chunk gives it up.
            unsafe { sys::unmap(self.start.cast(), CHUNK_BYTES as usize) };
        }
        *self = Chunk::NONE;
    }

    /// The same, and leaves the rest to the next thread.
    pub(crate) fn leave(&mut self) {
        if self.room() >= 64 {
            let rest = ((self.number + 1) << 32) | (WORDS - self.room()) as u64;
            let free =
                |place: &&AtomicU64| place.compare_exchange(0, rest, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            let _ = UNFINISHED.iter().find(free);
        }
        self.close();
    }
}

/// A chunk that is mapped: the rest of one whose thread has ended, or a new one. `None` when recording ends.
pub(crate) fn claim(unfinished_too: bool) -> Option<Chunk> {
    let rest = match unfinished_too {
        true => UNFINISHED.iter().map(|place| place.swap(0, Ordering::Relaxed)).find(|rest| *rest != 0),
        false => None,
    };
    let (number, written) = match rest {
        Some(rest) => ((rest >> 32) - 1, rest as u32 as usize),
        None => (next_number()?, 0),
    };
    let file = reserve(number)?;
    let start = file.map(place(number), CHUNK_BYTES);
    if start.is_null() {
        return stop(STOPPED_SYSTEM, sys::errno());
    }
    Some(Chunk { number, start, at: start.wrapping_add(written) })
}

/// Copies a full chunk to a new place in the file, and empties it. Writing into the same pages again costs a fifth of
/// mapping new ones. Gives `None`, and the chunk stays as it is, when recording ends.
///
/// Between the copy and the emptying, what was written is in the file twice. A reader knows it by its serial number.
pub(crate) fn move_out(chunk: &mut Chunk) -> Option<()> {
    let number = next_number()?;
    let Some(file) = open() else { return stop(STOPPED_SYSTEM, sys::errno()) };
    if number.is_multiple_of(RESERVED) {
        // Writing finds its place without this, more slowly. It is also what tells that the disk is full.
        let end = place(number + RESERVED);
        if end <= LIMIT.load(Ordering::Relaxed).min(sys::file_limit()) {
            let _ = file.reserve(place(number), RESERVED * CHUNK_BYTES);
        }
    }
    if !file.write(place(number), chunk.start.cast(), CHUNK_BYTES as usize) {
        return stop(STOPPED_SYSTEM, sys::errno());
    }
    // SAFETY: the chunk is mapped. The first word goes first: without it, a reader sees nothing.
    unsafe { chunk.start.write_volatile(0) };
    compiler_fence(Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { chunk.start.write_bytes(0, WORDS) };
    compiler_fence(Ordering::SeqCst);
    chunk.at = chunk.start;
    Some(())
}

/// A number for a stretch of events, which no other has.
pub(crate) fn serial() -> u64 {
    // SAFETY: null, or the head, which lives for ever.
    unsafe { head().as_ref() }.map_or(0, |head| head.stretches.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Where a chunk begins in the file.
fn place(number: u64) -> u64 {
    HEAD_BYTES + number * CHUNK_BYTES
}

/// The number of a new chunk, if the file may have it. Compares the clocks, too.
fn next_number() -> Option<u64> {
    // SAFETY: a thread that claims a chunk is of a process with a file.
    let head = unsafe { &*head() };
    head.last_ticks.store(switch::ticks(), Ordering::Relaxed);
    head.last_ns.store(switch::now_ns(), Ordering::Relaxed);
    let number = head.chunks.fetch_add(1, Ordering::Relaxed);
    let end = place(number + 1);
    if end > LIMIT.load(Ordering::Relaxed) {
        return stop(STOPPED_LIMIT, 0);
    }
    if end > sys::file_limit() {
        return stop(STOPPED_SYSTEM, libc::EFBIG);
    }
    Some(number)
}

/// The file.
fn open() -> Option<sys::File> {
    sys::File::open(PATH.as_c(), libc::O_RDWR).or_else(|| {
        let errno = sys::errno();
        let kept = kept();
        if kept.is_none() {
            // What the path says is why.
            // SAFETY: the calling thread's own word.
            unsafe { *libc::__errno_location() = errno };
        }
        kept
    })
}

/// The number that the file is kept open by; negative for none.
static KEPT: AtomicI32 = AtomicI32::new(-1);
/// Which file this process has: the device, and its number there.
static DEVICE: AtomicU64 = AtomicU64::new(0);
static INODE: AtomicU64 = AtomicU64::new(0);

/// The file, by the number that it is kept open by. The program may have closed it, and use the number for another one.
fn kept() -> Option<sys::File> {
    let number = KEPT.load(Ordering::Relaxed);
    let file = sys::File::again(number, 0).filter(|_| number >= 0)?;
    let own = (DEVICE.load(Ordering::Relaxed), INODE.load(Ordering::Relaxed));
    (file.identity() == Some(own)).then_some(file)
}

/// Keeps the file open, by a number that programs hardly use: its path may lead nowhere soon.
pub(crate) fn keep_open() {
    if kept().is_some() {
        return;
    }
    let Some(file) = sys::File::open(PATH.as_c(), libc::O_RDWR) else { return };
    let at_least = (sys::open_limit() / 2).min(1 << 9) as c_int;
    let number = file.again_above(at_least).map_or(-1, sys::File::leave_open);
    KEPT.store(number, Ordering::Relaxed);
}

/// The file, with room on the disk for a chunk.
fn reserve(number: u64) -> Option<sys::File> {
    let Some(file) = open() else { return stop(STOPPED_SYSTEM, sys::errno()) };
    if !file.reserve(place(number), CHUNK_BYTES) {
        return stop(STOPPED_SYSTEM, sys::errno());
    }
    Some(file)
}

/// Ends recording, with the reason for the reader.
fn stop<T>(why: u32, errno: i32) -> Option<T> {
    // SAFETY: as in `next_number`.
    let head = unsafe { &*head() };
    if head.stopped.compare_exchange(0, why, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        head.stopped_errno.store(errno as u32, Ordering::Relaxed);
    }
    switch::set(switch::OFF);
    None
}

/// Counts an event that could not be written.
pub(crate) fn lose() {
    // SAFETY: null, or the head, which lives for ever.
    if let Some(head) = unsafe { head().as_ref() } {
        head.lost.fetch_add(1, Ordering::Relaxed);
    }
}
