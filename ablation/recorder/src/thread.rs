//! The record of a thread, and how it writes events.

use crate::chunks::{self, Chunk};
use crate::layout::{Sub, Words, other};
use crate::switch::{self, BUSY, OFF, UNKNOWN};
use crate::{arch, maps, start, sys};
use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

/// What a thread has.
#[derive(Debug)]
pub(crate) struct Thread {
    /// The process's generation while the thread may write; [`BUSY`] while it does.
    open: u64,
    /// Where the next event goes.
    at: *mut u64,
    /// Events of three words begin before here.
    limit: *mut u64,
    /// Allocations until the next one is watched.
    pub(crate) countdown: u32,
    /// The process that it is a thread of.
    generation: u64,
    number: u32,
    /// How often its end was put off.
    ends: u32,
    chunk: Chunk,
    /// For what a signal's handler does while the thread is busy.
    nested: Chunk,
    is_nested: bool,
}

/// What the thread's word holds besides the address of a [`Thread`].
const NONE: usize = 0;
const IN_THE_MAKING: usize = 1;
const ENDED: usize = 2;

const RECORD_BYTES: usize = 4096;
const _: () = assert!(size_of::<Thread>() <= RECORD_BYTES, "a record fits its page");

/// The key whose destructor sees the end of a thread; 0 for none, else its number and 1.
static KEY: AtomicU32 = AtomicU32::new(0);

/// The key, which the first thread makes. `None` where the system has no more.
fn key() -> Option<libc::pthread_key_t> {
    let made = KEY.load(Ordering::Relaxed);
    if made != 0 {
        return Some(made - 1);
    }
    let mut key = 0;
    // SAFETY: the key is written to its place.
    let refused = unsafe { libc::pthread_key_create(&raw mut key, Some(at_end)) } != 0;
    // Two threads that come at once make two keys, of which one is not used.
    let made = (!refused).then(|| KEY.compare_exchange(0, key + 1, Ordering::Relaxed, Ordering::Relaxed))?;
    Some(made.err().unwrap_or(key + 1) - 1)
}

/// Writes an event on the way that needs nothing: the thread may write, and there is room. `words` is called when the
/// thread is busy, so that a signal's handler cannot have an earlier place and a later time. `false` where it was not
/// written.
#[inline(always)]
pub(crate) fn write(count: usize, words: impl FnOnce(&mut Thread) -> Words) -> bool {
    // SAFETY: the calling thread's own word.
    let word = unsafe { *arch::thread_word() };
    if word <= ENDED {
        return false;
    }
    let thread: *mut Thread = ptr::with_exposed_provenance_mut(word);
    // SAFETY: the calling thread's own record; a signal's handler leaves it as it was.
    let thread = unsafe { &mut *thread };
    if thread.open != switch::generation() || thread.at >= thread.limit {
        return false;
    }
    thread.open = BUSY;
    compiler_fence(Ordering::SeqCst);
    let words = words(thread);
    // SAFETY: the limit leaves room for three words.
    unsafe { put(thread.at, words, count) };
    thread.at = thread.at.wrapping_add(count);
    compiler_fence(Ordering::SeqCst);
    thread.open = thread.generation;
    true
}

/// Writes the words of an event, the first one last: a reader of the file sees whole events.
///
/// # Safety
/// - there is room for so many words.
#[inline(always)]
unsafe fn put(at: *mut u64, words: Words, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { at.add(1).write_volatile(words[1]) };
    if count == 3 {
        // SAFETY: the caller's promise.
        unsafe { at.add(2).write_volatile(words[2]) };
    }
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the caller's promise.
    unsafe { at.write_volatile(words[0]) };
}

/// Writes an event where [`write`] could not. `words` is called when the clock has started.
#[cold]
#[inline(never)]
pub(crate) fn write_slow(count: usize, words: impl FnOnce() -> Words) {
    if switch::generation() != OFF {
        sys::keeping_errno(|| {
            if switch::generation() == UNKNOWN {
                start::start();
            }
            let words = words();
            with_record(|thread| thread.append(&words[..count]));
        });
    }
}

/// Runs something with the calling thread's record, which is made if it is missing.
fn with_record(work: impl FnOnce(&mut Thread)) {
    let generation = switch::generation();
    if generation == OFF || generation == UNKNOWN {
        return;
    }
    let word = arch::thread_word();
    // SAFETY: the calling thread's own word.
    let thread: *mut Thread = match unsafe { *word } {
        IN_THE_MAKING | ENDED => return chunks::lose(),
        NONE => ptr::null_mut(),
        address => ptr::with_exposed_provenance_mut(address),
    };
    // SAFETY: null, or the calling thread's own record.
    match unsafe { thread.as_mut() } {
        Some(thread) if thread.generation == generation => work(thread),
        of_parent => {
            // SAFETY: the calling thread's own word.
            unsafe { *word = IN_THE_MAKING };
            if let Some(thread) = of_parent {
                // The child of a fork: the mappings are those of the parent's file.
                thread.chunk.close();
                thread.nested.close();
            }
            let thread = make(generation, thread);
            // SAFETY: as above.
            unsafe { *word = thread.expose_provenance() };
            // SAFETY: null, or the new record.
            match unsafe { thread.as_mut() } {
                Some(thread) => {
                    thread.introduce();
                    work(thread);
                }
                None => chunks::lose(),
            }
        }
    }
}

/// Makes the record of the calling thread, out of an old one if there is one. Null where there is no memory.
fn make(generation: u64, old: *mut Thread) -> *mut Thread {
    let thread: *mut Thread = if old.is_null() { sys::map_memory(RECORD_BYTES).cast() } else { old };
    let head = chunks::head();
    if thread.is_null() || head.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the head lives for ever.
    let number = unsafe { (*head).threads.fetch_add(1, Ordering::Relaxed) };
    if number > 0 {
        switch::note_threads();
    }
    let made = Thread {
        open: generation,
        at: ptr::null_mut(),
        limit: ptr::null_mut(),
        countdown: number % 61 + 1,
        generation,
        number,
        ends: 0,
        chunk: Chunk::NONE,
        nested: Chunk::NONE,
        is_nested: false,
    };
    // SAFETY: a page of its own.
    unsafe { thread.write(made) };
    if let Some(key) = key() {
        // It may allocate, which the thread's word refuses to record.
        // SAFETY: the key is there.
        unsafe { libc::pthread_setspecific(key, thread.cast::<c_void>()) };
    }
    thread
}

impl Thread {
    /// Appends words, with a new chunk if it must be.
    fn append(&mut self, words: &[u64]) {
        if self.open == BUSY {
            // A signal's handler within the recorder.
            if core::mem::replace(&mut self.is_nested, true) {
                return chunks::lose();
            }
            compiler_fence(Ordering::SeqCst);
            let mut nested = self.nested;
            self.append_to(&mut nested, words);
            self.nested = nested;
            compiler_fence(Ordering::SeqCst);
            self.is_nested = false;
            return;
        }
        self.open = BUSY;
        compiler_fence(Ordering::SeqCst);
        let mut chunk = Chunk { at: self.at, ..self.chunk };
        self.append_to(&mut chunk, words);
        (self.at, self.limit, self.chunk) = (chunk.at, chunk.limit(), chunk);
        compiler_fence(Ordering::SeqCst);
        self.open = self.generation;
    }

    fn append_to(&self, chunk: &mut Chunk, words: &[u64]) {
        if chunk.room() < words.len() {
            if chunk.limit().is_null() {
                let Some(claimed) = chunks::claim(true) else { return };
                *chunk = claimed;
            } else if chunks::move_out(chunk).is_none() {
                return;
            }
            append_event(chunk, other(Sub::Thread, self.number.into(), switch::ticks(), chunks::serial()));
            maps::note_changes();
        }
        let mut all = [0; 3];
        all[..words.len()].copy_from_slice(words);
        // SAFETY: there is room.
        unsafe { put(chunk.at, all, words.len()) };
        chunk.at = chunk.at.wrapping_add(words.len());
    }

    /// Writes by which handle the C library knows the thread.
    fn introduce(&mut self) {
        // SAFETY: has no conditions.
        let handle = unsafe { libc::pthread_self() };
        self.append(&other(Sub::Handle, 0, switch::ticks(), handle as u64));
        if self.number == 0 {
            maps::note();
        }
    }

    /// Writes the thread's name.
    fn name(&mut self) {
        let mut name = [0_u8; 16];
        // SAFETY: the name is written to its place, which is as long as the kernel's.
        unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        let half = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&name[from..from + 8]);
            u64::from_ne_bytes(bytes)
        };
        self.append(&other(Sub::NameFirst, 0, switch::ticks(), half(0)));
        self.append(&other(Sub::NameRest, 0, switch::ticks(), half(8)));
    }
}

/// Appends an event to a chunk that has room.
fn append_event(chunk: &mut Chunk, words: Words) {
    // SAFETY: an empty chunk has room, and the rest of another at least as much.
    unsafe { put(chunk.at, words, 3) };
    chunk.at = chunk.at.wrapping_add(3);
}

/// Writes the calling thread's name, at the end of the process.
pub(crate) fn name_this() {
    if ![OFF, UNKNOWN].contains(&switch::generation()) {
        with_record(Thread::name);
    }
}

/// How often the C library calls destructors of a thread at least.
const ROUNDS: u32 = 4;

/// The destructor of [`KEY`]. Other destructors may free objects after it, so it comes again until the last round.
unsafe extern "C" fn at_end(record: *mut c_void) {
    let thread: *mut Thread = record.cast();
    // SAFETY: the calling thread's own record.
    let thread = unsafe { &mut *thread };
    thread.ends += 1;
    if thread.ends < ROUNDS {
        // SAFETY: the key is there: this is its destructor.
        let _: c_int = unsafe { libc::pthread_setspecific(KEY.load(Ordering::Relaxed) - 1, record) };
        return;
    }
    if thread.generation == switch::generation() {
        thread.name();
        thread.append(&other(Sub::End, 0, switch::ticks(), 0));
    }
    // SAFETY: the calling thread's own word.
    unsafe { *arch::thread_word() = ENDED };
    if thread.generation == switch::generation() {
        thread.chunk = Chunk { at: thread.at, ..thread.chunk };
        thread.chunk.leave();
        thread.nested.leave();
    } else {
        thread.chunk.close();
        thread.nested.close();
    }
    // SAFETY: the record is not used again.
    unsafe { sys::unmap(record.cast(), RECORD_BYTES) };
}
