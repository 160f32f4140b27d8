//! A thread's start and end, and its way to its heap in between.
//!
//! A thread has two words of thread-local storage: the cache that the fast path uses, and its heap. It gets a heap at
//! its first slow request. A key of the C library calls back when the thread ends, and the heap is emptied. Later
//! requests, from destructors, go through one shared heap ([`thread_end`]); later frees go past the caches.

use super::thread_cache::{EMPTY, ThreadCache};
use super::thread_heap::{self, Heap, OpenLists};
use super::transfer_batch::BATCH_SLOTS;
use super::{fork, purge, release, thread_end};
use crate::class::Class;
use crate::config::{self, ActiveConfig, active};
use crate::{factor, fatal, os};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The second word of a thread that has no heap yet.
const NEW: usize = 0;
/// The second word of a thread that gave its heap up.
const GONE: usize = 1;

/// The cache of the calling thread's fast path.
#[inline(always)]
pub(super) fn cache() -> &'static ThreadCache {
    // SAFETY: the first word is always the address of a cache: of the empty one, or of a heap's, which lives for ever.
    unsafe { &*ptr::with_exposed_provenance(os::thread_word()) }
}

/// Calls `run` with the calling thread's heap, or with the shared one of ended threads. Returns null when there is no
/// memory for a heap.
pub(super) fn with_heap(run: impl FnOnce(&'static Heap) -> *mut u8) -> *mut u8 {
    let object = match heap_or_new() {
        Some(heap) => run(heap),
        None => thread_end::with_late_heap(open_lists(active()), |heap| heap.map_or(ptr::null_mut(), run)),
    };
    fatal::abort_if_noted();
    object
}

/// Calls `run` with the calling thread's heap, if it has one, and with the counters and cache to count in.
pub(super) fn with_heap_or_none<T>(
    run: impl FnOnce(Option<&'static Heap>, &'static factor::Counters, &'static ThreadCache) -> T,
) -> T {
    let result = match heap_or_new() {
        Some(heap) => run(Some(heap), &heap.counters, &heap.cache),
        None => thread_end::with_late_heap(open_lists(active()), |heap| match heap {
            // The counters alone: the object goes past the slot lists.
            Some(heap) => run(None, &heap.counters, &heap.cache),
            None => run(None, &NO_HEAP_COUNTERS, &NO_HEAP_CACHE),
        }),
    };
    fatal::abort_if_noted();
    result
}

/// Counts frees when there is no memory for a heap. Threads may overwrite each other's counts here, which are never
/// read.
static NO_HEAP_COUNTERS: factor::Counters = factor::Counters::new();
static NO_HEAP_CACHE: ThreadCache = ThreadCache::new();

/// The calling thread's heap, made if it has none yet; `None` when the thread is ending, or there is no memory.
fn heap_or_new() -> Option<&'static Heap> {
    // SAFETY: the calling thread's words, and no reference to them is kept.
    match unsafe { (*os::thread_slots())[1] } {
        NEW => begin(),
        GONE => None,
        // SAFETY: any other value is the address of a heap, which lives for ever.
        heap => Some(unsafe { &*ptr::with_exposed_provenance(heap) }),
    }
}

/// Makes the calling thread's heap. Seals the levels before that.
#[cold]
#[inline(never)]
fn begin() -> Option<&'static Heap> {
    config::seal_once();
    let key = key();
    let active = active();
    let heap = thread_heap::take(open_lists(active))?;
    // The words are set first: the C library may allocate while it notes the key's value.
    set_words(fast_cache(active, heap), ptr::from_ref(heap).expose_provenance());
    if let Some(key) = key {
        // SAFETY: the key was created. If the call fails for lack of memory, only the reuse of this heap is lost.
        unsafe { libc::pthread_setspecific(key, ptr::from_ref(heap).cast()) };
    }
    Some(heap)
}

/// The cache that a thread's fast path may use: its own, unless a factor must see every request.
fn fast_cache(active: ActiveConfig, heap: &'static Heap) -> &'static ThreadCache {
    if active.per_request() { &EMPTY } else { &heap.cache }
}

/// The slot lists that a heap opens at these levels.
fn open_lists(active: ActiveConfig) -> OpenLists {
    OpenLists { small: active.thread_cache(), large: active.bigcache_is_direct() }
}

fn set_words(cache: &'static ThreadCache, heap: usize) {
    let words = [ptr::from_ref(cache).expose_provenance(), heap];
    // SAFETY: the calling thread's words.
    unsafe { *os::thread_slots() = words };
}

/// Called by the C library when a thread ends: empties its heap and gives it up.
unsafe extern "C" fn end(heap: *mut libc::c_void) {
    set_words(&EMPTY, GONE);
    // SAFETY: the value that `begin` set: a heap, which lives for ever, and was this thread's until now.
    give_up(unsafe { &*heap.cast::<Heap>() });
}

/// Empties a heap and gives its record up.
pub(super) fn give_up(heap: &'static Heap) {
    let active = active();
    let is_due = drain(active, heap);
    // Before another thread can take the record, whose counters count the request.
    purge::request_if(is_due, active, &heap.counters);
    heap.recycle();
    fatal::abort_if_noted();
}

/// Empties all slot lists of a heap. Returns whether the purge is due.
pub(super) fn drain(active: ActiveConfig, heap: &Heap) -> bool {
    let mut is_due = false;
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    for class in Class::all() {
        while heap.cache.held(class) > 0 {
            let taken = heap.drain(class, &mut objects);
            heap.cache.returned.add(taken as u64);
            is_due |= release::pass_on(active, &heap.counters, class, &objects[..taken]);
        }
    }
    is_due
}

/// 1 when the fork handlers are registered, or about to be.
static FORK_HANDLERS: AtomicU32 = AtomicU32::new(0);

/// The key whose destructor is [`end`]. The first call also registers the fork handlers.
fn key() -> Option<libc::pthread_key_t> {
    let key = thread_end::key(end);
    // Not under the key's lock: the C library calls the handlers, which take that lock, under a lock of its own.
    if FORK_HANDLERS.swap(1, Ordering::Relaxed) == 0 {
        fork::register();
    }
    key
}

/// Reserves the range and makes the key before the program begins, so that no request has to. A request that comes
/// earlier, from another library's constructor or the loader, does the same.
#[cfg(not(loom))]
#[used]
#[unsafe(link_section = ".init_array")]
static PREPARE: extern "C" fn() = {
    extern "C" fn prepare() {
        crate::metadata::range::reserve_once();
        key();
    }
    prepare
};
