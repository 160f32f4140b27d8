//! The record of a thread, and how it writes events.

use crate::chunks::{self, Chunk};
use crate::layout::{self, Asked, Kind, REQUESTS, Sub, Words, other};
use crate::switch::{self, BUSY, OFF, UNKNOWN};
use crate::{arch, maps, owners, start, sys};
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
    /// Events begin before here. Null where the next one needs more than its place.
    limit: *mut u64,
    /// Allocations until the next one is watched.
    pub(crate) countdown: u32,
    /// Events until the clock is read.
    until_time: u32,
    /// How many events there are from one reading of the clock to the next.
    events_per_time: u32,
    /// What places of [`owners`] hold of this thread.
    own: u16,
    /// The clock when it was read last.
    last_ticks: u64,
    /// Ticks between the calls of a burst, at most.
    burst_ticks: u64,
    /// The process that it is a thread of.
    generation: u64,
    number: u32,
    /// How often its end was put off.
    ends: u32,
    chunk: Chunk,
    /// For what a signal's handler does while the thread is busy.
    nested: Chunk,
    is_nested: bool,
    /// How often such a handler wrote.
    handlers: u32,
}

/// What the thread's word holds besides the address of a [`Thread`].
const NONE: usize = 0;
const IN_THE_MAKING: usize = 1;
const ENDED: usize = 2;

/// Requests that can be named again, behind the record.
type Requests = [[u64; 2]; REQUESTS];

const REQUESTS_AT: usize = 4096;
const RECORD_BYTES: usize = REQUESTS_AT + size_of::<Requests>();
const _: () = assert!(size_of::<Thread>() <= REQUESTS_AT, "a record fits its page");

/// In a burst, the clock is read for one event of so many: reading it takes longer than all the rest.
const EVENTS_PER_TIME: u32 = 16;

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

/// The calling thread's record, if it may write and is not inside already; it is busy until [`Thread::done`].
#[inline(always)]
fn enter() -> Option<&'static mut Thread> {
    let word = arch::thread_word_value();
    if word <= ENDED {
        return None;
    }
    let thread: *mut Thread = ptr::with_exposed_provenance_mut(word);
    // SAFETY: the calling thread's own record; a signal's handler leaves it as it was.
    let thread = unsafe { &mut *thread };
    if thread.open != switch::generation() {
        return None;
    }
    thread.open = BUSY;
    compiler_fence(Ordering::SeqCst);
    // What follows is read after this, because a handler may have come before it.
    Some(thread)
}

/// Writes an event of one word on the way that needs nothing: no other thread had the address, and the clock need not be
/// read. `put` may refuse, too. `false` where it was not written.
#[inline(always)]
pub(crate) fn write_quick(address: usize, put: impl FnOnce(&mut Thread) -> bool) -> bool {
    let Some(thread) = enter() else { return false };
    let is_quick = thread.until_time > 0
        && thread.at < thread.limit
        && !(switch::has_threads() && owners::is_of_another(address, thread.own));
    let is_written = is_quick && put(thread);
    thread.until_time -= u32::from(is_written);
    thread.done();
    is_written
}

/// Writes an event where there is room. `put` is called when the thread is busy, so that a signal's handler cannot have an
/// earlier place and a later time. `false` where it was not written.
#[inline(always)]
pub(crate) fn write(address: usize, put: impl FnOnce(&mut Thread)) -> bool {
    let Some(thread) = enter() else { return false };
    let has_room = thread.at < thread.limit;
    if has_room {
        if switch::has_threads() && owners::is_of_another(address, thread.own) {
            owners::take(address, thread.own);
            thread.put_time(switch::ticks());
        } else if thread.until_time == 0 {
            thread.put_time(switch::ticks_at_most());
        } else {
            thread.until_time -= 1;
        }
        put(thread);
    }
    thread.done();
    has_room
}

/// Watches the calling thread's next allocation but so many.
pub(crate) fn count_down_from(countdown: u32) {
    // SAFETY: the calling thread's own word.
    let thread: *mut Thread = ptr::with_exposed_provenance_mut(unsafe { *arch::thread_word() });
    // SAFETY: the calling thread's own record, which has written an event.
    unsafe { (*thread).countdown = countdown };
}

/// Writes the words of an event, the first one last: a reader of the file sees whole events.
///
/// # Safety
/// - there is room for three words.
#[inline(always)]
unsafe fn put(at: *mut u64, words: &Words) {
    // SAFETY: the caller's promise.
    unsafe { at.add(1).write_volatile(words[1]) };
    // SAFETY: the caller's promise.
    unsafe { at.add(2).write_volatile(words[2]) };
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the caller's promise.
    unsafe { at.write_volatile(words[0]) };
}

/// How many words these are: a time and an event of one word, or an event of three.
fn length(words: &Words) -> usize {
    if words[0] & 7 == Kind::Time as u64 { 2 } else { 3 }
}

/// Writes an event at an address, or without one, where [`write`] could not. `words` is called when the clock has started.
#[cold]
#[inline(never)]
pub(crate) fn write_slow(address: usize, words: impl FnOnce() -> Words) {
    if switch::generation() != OFF {
        sys::keeping_errno(|| {
            if switch::generation() == UNKNOWN {
                start::start();
            }
            with_record(|thread| {
                if address != 0 && switch::has_threads() {
                    owners::take(address, thread.own);
                }
                thread.append(&words());
            });
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
        owners::used();
    }
    let made = Thread {
        open: generation,
        at: ptr::null_mut(),
        limit: ptr::null_mut(),
        countdown: number % 61 + 1,
        until_time: 0,
        events_per_time: 1,
        own: owners::of(number),
        last_ticks: 0,
        burst_ticks: switch::burst_ticks(),
        generation,
        number,
        ends: 0,
        chunk: Chunk::NONE,
        nested: Chunk::NONE,
        is_nested: false,
        handlers: 0,
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
    /// The end of an entry.
    #[inline(always)]
    fn done(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.open = self.generation;
    }

    /// Writes the time of the event that follows.
    fn put_time(&mut self, ticks: u64) {
        let events = self.events_per_time - self.until_time;
        let is_burst = ticks.wrapping_sub(self.last_ticks) <= u64::from(events) * self.burst_ticks;
        self.events_per_time = if is_burst { EVENTS_PER_TIME } else { 1 };
        self.until_time = self.events_per_time - 1;
        self.last_ticks = ticks;
        self.put_word(layout::time(ticks));
    }

    /// Writes a word, for which there is room.
    #[inline(always)]
    pub(crate) fn put_word(&mut self, word: u64) {
        // SAFETY: the limit leaves room for a time and three words.
        unsafe { self.at.write_volatile(word) };
        self.at = self.at.wrapping_add(1);
    }

    /// Writes a request that the stretch has already. `false` for another.
    #[inline(always)]
    pub(crate) fn put_again(&mut self, kind: Kind, address: u64, of: Asked) -> bool {
        let Some(request) = of.request(kind) else { return false };
        let place = layout::place(request);
        // SAFETY: the place is one of them.
        let is_known = unsafe { *self.requests().cast::<[u64; 2]>().add(place) } == request;
        if is_known {
            self.put_word(layout::again(place, address));
        }
        is_known
    }

    /// Writes a free, where it can be into the word of the allocation before it. Gives `true`.
    #[inline(always)]
    pub(crate) fn put_free(&mut self, word: u64) -> bool {
        // Where the last word is one of three, it is no address with the bits of an event.
        let last = self.at.wrapping_sub(1);
        // SAFETY: a stretch begins with an event of three words, and the clock was read there.
        match layout::freed(unsafe { last.read_volatile() }, word) {
            // SAFETY: as above.
            Some(both) => unsafe { last.write_volatile(both) },
            None => self.put_word(word),
        }
        true
    }

    /// Writes a request: in one word if the stretch has it already.
    pub(crate) fn put_request(&mut self, kind: Kind, address: u64, of: Asked) {
        if self.put_again(kind, address, of) {
            return;
        }
        let words = layout::asked(kind, address, self.last_ticks, of);
        self.remember(&words);
        // SAFETY: the limit leaves room for a time and three words.
        unsafe { put(self.at, &words) };
        self.at = self.at.wrapping_add(3);
    }

    /// Remembers a request that stands in the stretch, for [`Thread::again`].
    fn remember(&mut self, words: &Words) {
        let request = layout::request(words);
        // SAFETY: this thread's own.
        unsafe { (*self.requests())[layout::place(request)] = request };
    }

    /// The requests that can be named again.
    #[inline(always)]
    fn requests(&mut self) -> *mut Requests {
        let record: *mut u8 = ptr::from_mut(self).cast();
        record.wrapping_add(REQUESTS_AT).cast()
    }

    /// Appends an event, with a new chunk if it must be.
    fn append(&mut self, words: &Words) {
        if self.open == BUSY {
            // A signal's handler within the recorder.
            if core::mem::replace(&mut self.is_nested, true) {
                return chunks::lose();
            }
            compiler_fence(Ordering::SeqCst);
            let mut nested = self.nested;
            self.append_to(&mut nested, words, true);
            self.nested = nested;
            // The thread's next event comes after this one, and needs a time.
            self.handlers = self.handlers.wrapping_add(1);
            self.limit = ptr::null_mut();
            compiler_fence(Ordering::SeqCst);
            self.is_nested = false;
            return;
        }
        self.open = BUSY;
        compiler_fence(Ordering::SeqCst);
        let handlers = self.handlers;
        let mut chunk = Chunk { at: self.at, ..self.chunk };
        self.append_to(&mut chunk, words, false);
        (self.at, self.limit, self.chunk) = (chunk.at, chunk.limit(), chunk);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: a handler may have changed it since it was read.
        if unsafe { (&raw const self.handlers).read_volatile() } != handlers {
            self.limit = ptr::null_mut();
        }
        self.open = self.generation;
    }

    fn append_to(&mut self, chunk: &mut Chunk, words: &Words, is_nested: bool) {
        let length = length(words);
        if chunk.room() < 3 {
            if chunk.limit().is_null() {
                let Some(claimed) = chunks::claim(true) else { return };
                *chunk = claimed;
            } else if chunks::move_out(chunk).is_none() {
                return;
            }
            append_event(chunk, &other(Sub::Thread, self.number.into(), switch::ticks(), chunks::serial()), 3);
            if !is_nested {
                // Each stretch is read by itself.
                // SAFETY: this thread's own.
                unsafe { self.requests().write_bytes(0, 1) };
            }
            maps::note_changes();
        }
        if !is_nested && [Kind::Allocate as u64, Kind::ReallocateEnd as u64].contains(&(words[0] & 7)) {
            self.remember(words);
        }
        append_event(chunk, words, length);
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

/// Appends an event to a chunk that has room for three words.
fn append_event(chunk: &mut Chunk, words: &Words, length: usize) {
    // SAFETY: an empty chunk has room, and the rest of another at least as much.
    unsafe { put(chunk.at, words) };
    chunk.at = chunk.at.wrapping_add(length);
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
