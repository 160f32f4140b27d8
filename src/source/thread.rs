//! A thread's way to its heap, from its first request to the ones after its end.
//!
//! Two words of thread-local storage: the cache that the fast path uses, and the heap. A thread without a heap gets one
//! at its first slow request; a key of the C library calls back when the thread ends. Requests after that (other
//! destructors may come later) go through one shared heap under a lock, and frees to the owners of the pages.

use super::heap::{self, Heap};
use super::thread_cache::{EMPTY, ThreadCache};
use crate::config;
use crate::factor;
use crate::os;
use crate::sync::{Lock, Once, global};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The second word of a thread that has not asked for anything yet.
const NEW: usize = 0;
/// The second word of a thread whose heap is gone.
const GONE: usize = 1;

/// The cache of the calling thread's fast path.
#[inline(always)]
pub(super) fn cache() -> &'static ThreadCache {
    // SAFETY: the first word is always the address of a cache: of the empty one, or of a heap's, which lives for ever.
    unsafe { &*ptr::with_exposed_provenance(os::thread_word()) }
}

global! {
    /// The heap of threads that are gone, for their last requests.
    static LATE: Lock<Option<&'static Heap>> = Lock::new(None);
}

/// Runs with the calling thread's heap, or the shared one; returns null when there is no memory even for a heap.
pub(super) fn with_heap(run: impl FnOnce(&'static Heap) -> *mut u8) -> *mut u8 {
    if let Some(heap) = heap_or_new() {
        return run(heap);
    }
    let mut late = LATE.lock();
    if late.is_none() {
        *late = heap::take();
    }
    // The lock is held while the heap is used.
    late.map_or(ptr::null_mut(), run)
}

/// Runs with the calling thread's heap, if it has one, and with counters to count in.
pub(super) fn with_heap_or_none<T>(
    run: impl FnOnce(Option<&'static Heap>, &'static factor::Counters, &'static ThreadCache) -> T,
) -> T {
    match heap_or_new() {
        Some(heap) => run(Some(heap), &heap.counters, &heap.cache),
        None => {
            let mut late = LATE.lock();
            if late.is_none() {
                *late = heap::take();
            }
            match *late {
                // The slot itself goes to its page's owner, which may be this very heap: its queue takes it.
                Some(heap) => run(None, &heap.counters, &heap.cache),
                None => run(None, &NOWHERE.counters, &EMPTY_COUNTS),
            }
        }
    }
}

/// Counters of frees when there is no memory for a heap. Several threads may lose counts here, and nobody reads them.
struct Nowhere {
    counters: factor::Counters,
}

static NOWHERE: Nowhere = Nowhere { counters: factor::Counters::new() };
static EMPTY_COUNTS: ThreadCache = ThreadCache::new();

/// The calling thread's heap, made if need be; `None` when the thread is gone, or there is no memory.
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
    let heap = heap::take()?;
    // The words are set first: the C library may allocate while it notes the key's value.
    set_words(super::fast_cache(heap), ptr::from_ref(heap).expose_provenance());
    if let Some(key) = key {
        // SAFETY: the key was created. When the call fails for want of memory, the heap is not reused, and nothing else.
        unsafe { libc::pthread_setspecific(key, ptr::from_ref(heap).cast()) };
    }
    Some(heap)
}

fn set_words(cache: &'static ThreadCache, heap: usize) {
    let words = [ptr::from_ref(cache).expose_provenance(), heap];
    // SAFETY: the calling thread's words.
    unsafe { *os::thread_slots() = words };
}

/// The thread ends: its heap is given up.
unsafe extern "C" fn end(heap: *mut libc::c_void) {
    set_words(&EMPTY, GONE);
    // SAFETY: the value that `begin` noted: a heap, which lives for ever, and was this thread's until now.
    unsafe { &*heap.cast::<Heap>() }.retire();
}

global! {
    /// The key plus one.
    static KEY: Once = Once::new();
}

/// Whether somebody registered the handlers around a fork, or is about to.
static FORK_HANDLERS: AtomicU32 = AtomicU32::new(0);

/// The key whose destructor is [`end`]; made once. The first caller registers the handlers around a fork as well.
fn key() -> Option<libc::pthread_key_t> {
    let (key, _) = KEY.get_or_make(|| {
        let mut key = 0;
        // SAFETY: writes the key.
        let error = unsafe { libc::pthread_key_create(&raw mut key, Some(end)) };
        if error == 0 { u64::from(key) + 1 } else { 0 }
    });
    // Outside the lock: the C library calls the handlers, which take it, under a lock of its own.
    if FORK_HANDLERS.swap(1, Ordering::Relaxed) == 0 {
        crate::fork::register();
    }
    key.checked_sub(1).map(|key| key as libc::pthread_key_t)
}

/// Does what needs no levels before the program begins, so that no request has to. Whoever asks earlier, another library's
/// constructor or the loader, finds all of it done at the first request.
#[cfg(not(loom))]
#[used]
#[unsafe(link_section = ".init_array")]
static PREPARE: extern "C" fn() = {
    extern "C" fn prepare() {
        crate::range::reserve_once();
        key();
    }
    prepare
};

/// The locks, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    KEY.acquire();
    LATE.acquire();
}

/// Frees the locks after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took them.
pub(crate) unsafe fn release_after_fork() {
    // SAFETY: passed on.
    unsafe {
        LATE.release();
        KEY.release();
    }
}
