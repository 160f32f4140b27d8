//! A thread's start and end, and its way to its heap in between.
//!
//! Two words of thread-local storage: the cache that the fast path uses, and the heap. A thread without a heap gets one at
//! its first slow request; a key of the C library calls back when the thread ends, and the heap is emptied. Requests after
//! that, from destructors that run later, go through one shared heap ([`thread_end`]); frees go past the caches.

use super::thread_cache::{EMPTY, ThreadCache};
use super::thread_heap::{self, Heap, OpenLists};
use super::transfer_batch::BATCH_SLOTS;
use super::{fork, purge, release, thread_end};
use crate::class::Class;
use crate::config::{self, ActiveConfig, active};
use crate::factor;
use crate::os;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The second word of a thread that has allocated nothing yet.
const NEW: usize = 0;
/// The second word of a thread whose heap was given up.
const GONE: usize = 1;

/// The cache of the calling thread's fast path.
#[inline(always)]
pub(super) fn cache() -> &'static ThreadCache {
    // SAFETY: the first word is always the address of a cache: of the empty one, or of a heap's, which lives for ever.
    unsafe { &*ptr::with_exposed_provenance(os::thread_word()) }
}

/// Runs with the calling thread's heap, or the shared one of ended threads; returns null when there is no memory even for a
/// heap.
pub(super) fn with_heap(run: impl FnOnce(&'static Heap) -> *mut u8) -> *mut u8 {
    if let Some(heap) = heap_or_new() {
        return run(heap);
    }
    thread_end::with_late_heap(open_lists(active()), |heap| heap.map_or(ptr::null_mut(), run))
}

/// Runs with the calling thread's heap, if it has one, and with counters to count in.
pub(super) fn with_heap_or_none<T>(
    run: impl FnOnce(Option<&'static Heap>, &'static factor::Counters, &'static ThreadCache) -> T,
) -> T {
    if let Some(heap) = heap_or_new() {
        return run(Some(heap), &heap.counters, &heap.cache);
    }
    thread_end::with_late_heap(open_lists(active()), |heap| match heap {
        // The counters alone: the object goes past the slot lists.
        Some(heap) => run(None, &heap.counters, &heap.cache),
        None => run(None, &NOWHERE, &EMPTY_COUNTS),
    })
}

/// Counters of frees when there is no memory for a heap. Several threads may lose counts here, and nothing reads them.
static NOWHERE: factor::Counters = factor::Counters::new();
static EMPTY_COUNTS: ThreadCache = ThreadCache::new();

/// The calling thread's heap, made if need be; `None` when the thread has ended, or there is no memory.
fn heap_or_new() -> Option<&'static Heap> {
    // SAFETY: the calling thread's words, and no reference to them is kept.
    match unsafe { (*os::thread_slots())[1] } {
        NEW => begin(),
        GONE => None,
        // SAFETY: any other value is the address of a heap, which lives for ever.
        heap => Some(unsafe { &*ptr::with_exposed_provenance(heap) }),
    }
}

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
        // SAFETY: the key was created. When the call fails for want of memory, the heap is not reused, and nothing else.
        unsafe { libc::pthread_setspecific(key, ptr::from_ref(heap).cast()) };
    }
    Some(heap)
}

/// The cache that a thread's fast path may use: its own, unless a factor must see every request.
fn fast_cache(active: ActiveConfig, heap: &'static Heap) -> &'static ThreadCache {
    if active.per_request() { &EMPTY } else { &heap.cache }
}

fn open_lists(active: ActiveConfig) -> OpenLists {
    OpenLists { small: active.thread_cache(), large: active.bigcache_is_direct() }
}

fn set_words(cache: &'static ThreadCache, heap: usize) {
    let words = [ptr::from_ref(cache).expose_provenance(), heap];
    // SAFETY: the calling thread's words.
    unsafe { *os::thread_slots() = words };
}

/// The thread ends: its heap is emptied and given up.
unsafe extern "C" fn end(heap: *mut libc::c_void) {
    set_words(&EMPTY, GONE);
    // SAFETY: the value that `begin` noted: a heap, which lives for ever, and was this thread's until now.
    give_up(unsafe { &*heap.cast::<Heap>() });
}

/// Empties a heap and gives its record up.
pub(super) fn give_up(heap: &'static Heap) {
    let active = active();
    let is_due = drain(active, heap);
    // Before the record is another thread's, since its counters count the request.
    purge::request_if(is_due, active, &heap.counters);
    heap.recycle();
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

/// Whether the handlers around a fork are registered, or about to be.
static FORK_HANDLERS: AtomicU32 = AtomicU32::new(0);

/// The key whose destructor is [`end`]. The first call registers the handlers around a fork as well.
fn key() -> Option<libc::pthread_key_t> {
    let key = thread_end::key(end);
    // Outside the key's lock: the C library calls the handlers, which take it, under a lock of its own.
    if FORK_HANDLERS.swap(1, Ordering::Relaxed) == 0 {
        fork::register();
    }
    key
}

/// Does what needs no levels before the program begins, so that no request has to. A request that comes earlier, from
/// another library's constructor or the loader, does the same.
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
