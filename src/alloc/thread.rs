//! A thread's start and end, and its way past its cache in between.
//!
//! A thread has three words of thread-local storage: the cache that the fast path uses, that cache's lists of classes
//! with owners, and its heap. It gets a heap at
//! its first slow request. A key of the C library calls back when the thread ends, and the heap is emptied. Later
//! requests, from destructors, go through one shared heap ([`thread_end`]); later frees go past the caches.
//!
//! Every slow request and free goes through [`inside`]. Meanwhile the third word is marked, the others are the empty
//! cache's, and the heap's lock is held:
//! - The mark tells a signal handler that it interrupted the allocator. Its requests are served by [`super::bypass`]. On
//!   the fast path it may interrupt anything ([`os::pop`]).
//! - With the lock the purge waits for the thread, or the thread for the purge, which empties caches that are not used
//!   ([`super::idle_caches`]).
//! - A fork waits until no thread is inside ([`gate`]).

use super::thread_cache::{EMPTY, ThreadCache};
use super::thread_heap::{self, Heap, OpenLists};
use super::transfer_batch::BATCH_SLOTS;
use super::{gate, outbox, purge, release, thread_end};
use crate::class::Class;
use crate::config::{self, ActiveConfig, active};
use crate::factor::{self, owned_pages};
use crate::sync::{Lock, global};
use crate::{fatal, os};
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

/// The third word of a thread that has no heap yet.
const NEW: usize = 0;
/// The third word of a thread that gave its heap up.
const GONE: usize = 1;
/// Marks the third word while the thread is inside.
const INSIDE: usize = 2;
/// What [`begin_child_inside`] is told where the thread is not inside: no third word.
const OUTSIDE: usize = usize::MAX;

global! {
    /// Held by a thread that makes its heap.
    static BEGIN: Lock<()> = Lock::new(());
}

/// The heap that a caller of [`inside`] uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    heap: Option<&'static Heap>,
    /// Whether the heap is the calling thread's; else it is that of ended threads.
    is_own: bool,
}

impl Access {
    /// The heap to take objects from; `None` when there is no memory for one.
    pub(super) fn heap(self) -> Option<&'static Heap> {
        self.heap
    }

    /// The heap that keeps freed objects, if there is one: that of ended threads keeps none.
    pub(super) fn own_heap(self) -> Option<&'static Heap> {
        self.heap.filter(|_| self.is_own)
    }

    /// The counters and the cache to count in.
    pub(super) fn counts(self) -> (&'static factor::Counters, &'static ThreadCache) {
        self.heap.map_or((&NO_HEAP_COUNTERS, &NO_HEAP_CACHE), |heap| (&heap.counters, &heap.cache))
    }
}

/// Counts when there is no memory for a heap, or the thread must not be inside. Threads may overwrite each other's counts
/// here, which are never read.
pub(super) static NO_HEAP_COUNTERS: factor::Counters = factor::Counters::new();
static NO_HEAP_CACHE: ThreadCache = ThreadCache::new();

/// Calls `run` with the calling thread's heap, made if it has none yet, or with the shared one of ended threads. Returns
/// `None`, and calls nothing, when the thread must not go past its cache now: it is there already, which means that the
/// caller is a signal handler or code that the allocator called, or the process forks.
pub(super) fn inside<T>(run: impl FnOnce(Access) -> T) -> Option<T> {
    let before = heap_word();
    if before & INSIDE != 0 {
        return None;
    }
    set_heap_word(before | INSIDE);
    if gate::is_unannounced_child() {
        // The thread is marked, and holds nothing yet.
        begin_child_inside(OUTSIDE);
    }
    let (heap, is_new) = match before {
        NEW => (begin(), true),
        GONE => (None, false),
        heap => (Some(heap_at(heap)), false),
    };
    let done = match heap {
        Some(heap) => inside_heap(heap, run),
        None => thread_end::with_late_heap(open_lists(active()), |heap| run(Access { heap, is_own: false })),
    };
    let after = match heap {
        Some(heap) => ptr::from_ref(heap).expose_provenance(),
        None => before,
    };
    set_heap_word(after);
    fatal::abort_if_noted();
    if is_new && let Some(heap) = heap {
        note_at_c_library(heap);
    }
    done
}

/// Calls `run` under a heap's lock, while the thread's cache is the empty one.
fn inside_heap<T>(heap: &'static Heap, run: impl FnOnce(Access) -> T) -> Option<T> {
    let _guard = gate::pass(&heap.inside)?;
    set_cache_words(&EMPTY);
    let done = run(Access { heap: Some(heap), is_own: true });
    // Before the lock is free: the purge sets these words while it holds the lock.
    set_cache_words(fast_cache(active(), heap));
    Some(done)
}

/// Makes the calling thread's heap. Seals the levels before that. `None` when there is no memory, or the process forks.
#[cold]
#[inline(never)]
fn begin() -> Option<&'static Heap> {
    let _guard = gate::pass(&BEGIN)?;
    config::seal_once();
    os::use_registrations();
    let heap = thread_heap::take(open_lists(active()))?;
    if thread_heap::all().nth(1).is_some() {
        gate::mark();
    }
    Some(heap)
}

/// Tells the C library to call [`end`] when the thread ends. It may allocate meanwhile.
fn note_at_c_library(heap: &'static Heap) {
    // SAFETY: the key was created.
    let noted = thread_end::key(end)
        .is_some_and(|key| unsafe { libc::pthread_setspecific(key, ptr::from_ref(heap).cast()) } == 0);
    // Else the heap is never used again. As nothing tells when the thread's words are gone, no other thread may change
    // them.
    if noted {
        _ = inside(|_| heap.words.store(os::thread_slots().addr(), Ordering::Relaxed));
    }
}

/// The cache that a thread's fast path may use: its own, unless a factor must see every request.
pub(super) fn fast_cache(active: ActiveConfig, heap: &'static Heap) -> &'static ThreadCache {
    if active.per_request() { &EMPTY } else { &heap.cache }
}

/// The slot lists that a heap opens at these levels.
fn open_lists(active: ActiveConfig) -> OpenLists {
    OpenLists {
        small: active.thread_cache(),
        large: active.bigcache_is_direct(),
        marked: active.free_check(),
        owned: active.owned_pages(),
    }
}

fn heap_at(address: usize) -> &'static Heap {
    // SAFETY: the callers pass the third word of a thread that has a heap, and heaps live for ever.
    unsafe { &*ptr::with_exposed_provenance(address) }
}

fn heap_word() -> usize {
    // SAFETY: the calling thread's words, and no reference to them is kept.
    unsafe { (&raw const (*os::thread_slots())[2]).read_volatile() }
}

fn set_heap_word(word: usize) {
    // A signal handler must see it before what follows, and what came before it.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the calling thread's words.
    unsafe { (&raw mut (*os::thread_slots())[2]).write_volatile(word) };
    compiler_fence(Ordering::SeqCst);
}

/// Sets the words of the fast path. A signal handler may find one of them set and the other not: each sequence uses one.
fn set_cache_words(cache: &'static ThreadCache) {
    compiler_fence(Ordering::SeqCst);
    let words = os::thread_slots().cast::<[usize; 2]>();
    // SAFETY: as above. The purge changes these words too, under the heap's lock, which the callers hold.
    unsafe { words.write_volatile(cache.words()) };
    compiler_fence(Ordering::SeqCst);
}

/// Called by the C library when a thread ends: empties its heap and gives it up.
unsafe extern "C" fn end(heap: *mut libc::c_void) {
    let before = heap_word();
    if before & INSIDE != 0 {
        // A signal handler ended the thread in the midst of a call, whose locks stay held.
        return;
    }
    set_heap_word(before | INSIDE);
    // SAFETY: the value that `note_at_c_library` set: a heap, which lives for ever, and was this thread's until now.
    let heap = unsafe { &*heap.cast::<Heap>() };
    if let Some(_guard) = gate::pass_in_the_end(&heap.inside) {
        set_cache_words(&EMPTY);
        give_up(heap);
    } else {
        set_cache_words(&EMPTY);
    }
    set_heap_word(GONE);
    fatal::abort_if_noted();
}

/// Empties a heap and gives its record up.
pub(super) fn give_up(heap: &'static Heap) {
    let active = active();
    heap.words.store(0, Ordering::Relaxed);
    let is_due = drain(active, heap, true);
    // Before another thread can take the record, whose counters count the request.
    purge::request_if(is_due, active, &heap.counters);
    heap.recycle();
    fatal::abort_if_noted();
}

/// Empties all slot lists of a heap: into batches for other threads, or back to where the objects came from. Returns
/// whether the purge is due.
pub(super) fn drain(active: ActiveConfig, heap: &Heap, batches: bool) -> bool {
    let mut is_due = false;
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    for class in Class::all() {
        while heap.cache.held(class) > 0 {
            let taken = heap.drain(class, &mut objects);
            heap.cache.returned.add(taken as u64);
            is_due |= if batches {
                release::pass_on(active, &heap.counters, class, heap.cache.owner(), &objects[..taken])
            } else {
                release::give_back(active, &heap.counters, class, &objects[..taken])
            };
        }
    }
    is_due | outbox::empty_all(active, heap, batches)
}

/// Whether the calling thread is inside: a signal handler has interrupted the allocator.
pub(super) fn is_inside() -> bool {
    heap_word() & INSIDE != 0
}

/// Waits until no thread is inside, after the gate was closed. Where the calling thread is inside itself, since a signal
/// handler forks, another one may wait for it, and the child is told apart by [`begin_child`].
pub(super) fn wait_until_outside() {
    if is_inside() || gate::is_broken() {
        return;
    }
    thread_heap::all().for_each(|heap| drop(heap.inside.lock()));
    drop(BEGIN.lock());
    thread_end::wait_until_outside();
}

/// Begins the child of a fork, which has the calling thread alone. Where a thread that it does not have was inside, what
/// that thread used is not whole, and the child is served by the bypass for ever.
pub(super) fn begin_child() {
    // What the calling thread is inside of, if a signal handler forked.
    let own = heap_word();
    begin_child_inside(if own & INSIDE == 0 { OUTSIDE } else { own & !INSIDE });
}

fn begin_child_inside(inside: usize) {
    gate::mark_child();
    let is_inside = |heap: &'static Heap| heap_address(heap) != inside && heap.inside.try_lock().is_none();
    let is_whole = !gate::is_closed()
        && !thread_heap::all().any(is_inside)
        && (inside == NEW || BEGIN.try_lock().is_some())
        && (inside == GONE || !thread_end::is_inside())
        && !purge::is_working();
    let own = heap_word() & !INSIDE;
    for heap in thread_heap::all().filter(|heap| heap_address(heap) != own) {
        if heap.words.swap(0, Ordering::Relaxed) != 0 {
            heap.count_thread(owned_pages::end_thread);
        }
    }
    purge::forget_after_fork();
    if !is_whole {
        gate::close_for_ever();
    }
}

fn heap_address(heap: &'static Heap) -> usize {
    ptr::from_ref(heap).addr()
}

/// Makes the key whose destructor is [`end`].
pub(super) fn make_key() {
    _ = thread_end::key(end);
}
