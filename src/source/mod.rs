//! Where memory comes from, and in which order the factors act on a request: written once, here.
//!
//! ```text
//! request ── thread cache ── depot ── central ── arena ── OS      small: up to 56 KiB
//!    │   └────── direct ──── depot ── central ── arena            to 512 KiB, BigCache in its direct form
//!    │   └────── direct ──── depot ───────────── arena            large: up to 4 MiB
//!    │ hooks: tick, evolution, elo, header; where a span is mapped: align, thp
//!    ├── bigcache ring ── mapped span ── OS       large in its ring form: at or above the mmap threshold
//!    │               └─ run of units ── arena     below it, or with the factor `arena`
//!    └── pool ── mapped span ── OS                beyond 4 MiB
//! free: header ── thread cache or bigcache ── depot ── central ── arena ── purge
//!                                        └── pool ── madvise batch ── OS
//! ```
//!
//! A request whose object waits in the thread's cache is served by [`allocate`] without a call. Everything else passes
//! [`allocate_slow`], where the hooks are: when a factor must see every request, no thread has a cache to be served from.

pub(crate) mod arena;
mod back;
mod batch;
pub(crate) mod central;
mod depot;
pub(crate) mod heap;
pub(crate) mod house;
pub(crate) mod large;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod pool;
pub(crate) mod thread;
pub(crate) mod thread_cache;

use crate::class::{self, Class};
use crate::config::{self, ActiveConfig};
use crate::factor::original::{self, Pick};
use crate::factor::{self, align, elo, evolution, madvise_batch, thp, tick};
use crate::os;
use crate::request::{Request, Site};
use crate::span::Span;
use back::{free_slow, release, release_span};
pub(crate) use back::{owns, reallocate, usable_bytes};
use core::ptr;
use heap::Heap;
use house::keep_house;
use thread_cache::{Bin, ThreadCache};

/// Bytes of one class in the depot from which on somebody looks whether they are needed.
const DEPOT_BYTES_WATCHED: usize = 1 << 20;

/// Memory for an object, before its header is written.
struct Block {
    user: *mut u8,
    /// Bytes that the object takes, slot or mapping.
    held: usize,
    method: original::header::Method,
    zeroed: bool,
}

/// Serves a request; null when there is no memory. The size may be 0.
#[inline(always)]
pub(crate) fn allocate(size: usize, align: usize, site: Option<Site>) -> *mut u8 {
    let slow = || allocate_slow(size, align, site, false);
    if align <= 16 { allocate_or_else(size, slow) } else { allocate_aligned_or_else(size, align, slow) }
}

/// As [`allocate_or_else`], of stricter alignment, up to an OS page's: beyond it a bin may hold mappings that are aligned to
/// no more.
#[inline(never)]
fn allocate_aligned_or_else(size: usize, align: usize, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    match Class::aligned(size, align).filter(|_| align <= os::OS_PAGE) {
        Some(class) => {
            let cache = thread::cache();
            take_or_else(cache, cache.bin(class.bin()), slow)
        }
        None => slow(),
    }
}

/// Serves a request of ordinary alignment from the thread's cache, or else by `slow`.
#[inline(always)]
pub(crate) fn allocate_or_else(size: usize, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    // Size 0, and what has no class, are of a bin that is always empty.
    let cache = thread::cache();
    take_or_else(cache, cache.bin(class::bin_of(size)), slow)
}

/// As [`allocate_or_else`], for code that is apart from its caller's: small sizes share nothing with what
/// is `beyond` them, and where no cache has an object `slow` serves.
#[inline(always)]
#[allow(dead_code, reason = "the C interface alone is apart")]
pub(crate) fn allocate_apart(size: usize, slow: impl FnOnce() -> *mut u8, beyond: impl FnOnce() -> *mut u8) -> *mut u8 {
    let cache = thread::cache();
    match cache.small_bin_of(size) {
        Some(bin) => take_or_else(cache, bin, slow),
        None => beyond(),
    }
}

#[inline(always)]
fn take_or_else(cache: &ThreadCache, bin: &Bin, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    let object = bin.pop();
    if object.is_null() {
        return slow();
    }
    cache.allocations.add(1);
    object
}

/// Serves a request with zeroed memory.
pub(crate) fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    if size <= ZEROED_IN_CACHE_MAX {
        let object = allocate(size, align, None);
        if !object.is_null() {
            // SAFETY: the object holds the request.
            unsafe { object.write_bytes(0, size) };
        }
        return object;
    }
    allocate_slow(size, align, None, true)
}

/// Up to here an object from a cache is zeroed; above, new memory may be zero already.
const ZEROED_IN_CACHE_MAX: usize = class::SMALL_BYTES_MAX;

/// Takes an object back. Null is nobody's.
///
/// # Safety
/// - the address came from [`allocate`] and nobody uses the object any more.
#[inline(always)]
pub(crate) unsafe fn free(address: *mut u8) {
    let cache = thread::cache();
    if let Some(bin) = cache.range.bin_at(address)
        && cache.push(bin, address)
    {
        return;
    }
    // SAFETY: passed on.
    unsafe { free_slow(address) }
}

/// Serves a request that the thread's cache does not.
#[cold]
#[inline(never)]
pub(crate) fn allocate_slow(size: usize, align: usize, site: Option<Site>, zeroed: bool) -> *mut u8 {
    let site = site.unwrap_or_else(|| Site::of_size(size));
    let request = Request { size: size.max(1), align, site };
    thread::with_heap(|heap| {
        let block = pass_hooks(heap, &request);
        let Some(block) = block else {
            return ptr::null_mut();
        };
        heap.cache.allocations.add(1);
        if zeroed && !block.zeroed {
            // SAFETY: the block holds the request.
            unsafe { block.user.write_bytes(0, request.size) };
        }
        block.user
    })
}

/// The factors around one call of the sources.
fn pass_hooks(heap: &'static Heap, request: &Request) -> Option<Block> {
    let active = config::active();
    let counters = &heap.counters;
    // SAFETY: `with_heap` gives the heap to one caller at a time, and nothing below asks for the state again.
    let locals = unsafe { heap.locals() };
    if active.tick() {
        original::tick::count(&counters.tick);
    } else if active.tick_is_batched() {
        tick::catch_up(&mut locals.tick, &counters.tick, heap.cache.allocations.get() + 1);
    }
    let watch = active.evolution().then(|| evolution::enter(&mut locals.evolution, &counters.evolution, request.size));
    let strategy = active.elo().map(|selection| {
        let pick = watch.map_or(Pick::Learn, |watch| watch.pick);
        original::elo::choose(&mut locals.elo, &counters.elo, selection, pick)
    });
    let form = active.header();
    let prefix = form.map_or(0, |form| form.prefix(request.align));
    let block = from_sources(heap, active, request, prefix, strategy).or_else(|| {
        reclaim(active, counters);
        from_sources(heap, active, request, prefix, strategy).or_else(|| {
            let block = run(counters, request, prefix, NO_STRATEGY)?;
            heap.cache.received.add(1);
            Some(block)
        })
    });
    if let Some(watch) = watch {
        match evolution::leave(&mut locals.evolution, &counters.evolution, watch) {
            None => {}
            Some(evolution::Event::Freeze) => {
                elo::freeze();
                original::elo::freeze();
            }
            Some(evolution::Event::Relearn) => elo::relearn(),
            Some(evolution::Event::Adopt) => original::elo::adopt_candidate(),
        }
    }
    let block = block?;
    if let Some(form) = form {
        let facts = original::header::Facts {
            size: request.size,
            held: block.held,
            site: request.site.id(),
            method: block.method,
            prefix,
        };
        // SAFETY: the sources left `prefix` bytes, at least a header's, before the object.
        unsafe { original::header::write(&counters.header, form, block.user, &facts) };
    }
    Some(block)
}

fn from_sources(
    heap: &'static Heap,
    active: ActiveConfig,
    request: &Request,
    prefix: usize,
    strategy: Option<original::elo::Strategy>,
) -> Option<Block> {
    let bytes = request.size.checked_add(prefix)?;
    match Class::aligned(bytes, request.align) {
        Some(class) if !class.is_large() => slot(heap, active, class, prefix),
        // A mapping is found by the OS page of its object, which a longer prefix would leave, and is aligned to no more.
        Some(class)
            if active.bigcache_is_direct()
                && (active.arena() || (prefix < os::OS_PAGE && request.align <= os::OS_PAGE)) =>
        {
            let plain = class.uncoloured();
            let coloured = if active.arena() && class != plain { classed(heap, active, class, prefix) } else { None };
            coloured.or_else(|| classed(heap, active, plain, prefix))
        }
        _ => large_object(heap, active, request, prefix, strategy),
    }
}

fn slot(heap: &'static Heap, active: ActiveConfig, class: Class, prefix: usize) -> Option<Block> {
    let mut base = heap.cache.pop(class.bin());
    if base.is_null() {
        if active.thread_cache() {
            heap.counters.thread_cache.refills.add(1);
        }
        base = heap.refill(class);
    }
    if base.is_null() {
        return None;
    }
    // SAFETY: the slot holds prefix and object.
    let user = unsafe { base.add(prefix) };
    Some(Block { user, held: class.slot_bytes(), method: original::header::Method::Pages, zeroed: false })
}

/// A large object of a class: from the thread's bin, from what others left, or new.
fn classed(heap: &'static Heap, active: ActiveConfig, class: Class, prefix: usize) -> Option<Block> {
    let counters = &heap.counters;
    let mut base = heap.cache.pop(class.bin());
    let mut zeroed = false;
    if base.is_null() {
        counters.bigcache.lookups.add(1);
        base = heap.refill_large(class);
        if base.is_null() {
            (base, zeroed) = new_classed(active, counters, class)?;
            heap.cache.received.add(1);
        } else {
            counters.bigcache.hits.add(1);
        }
    }
    // SAFETY: the object holds prefix and request.
    let user = unsafe { base.add(prefix) };
    Some(Block { user, held: class.slot_bytes(), method: original::header::Method::Pages, zeroed })
}

/// New memory for an object of a large class: a slot, a run of the arena, or a mapping.
fn new_classed(active: ActiveConfig, counters: &factor::Counters, class: Class) -> Option<(*mut u8, bool)> {
    if !class.is_run() {
        let mut slot = [ptr::null_mut()];
        let (taken, zeroed) = learning(active, counters, || central::take(counters, class, &mut slot));
        return (taken > 0).then_some((slot[0], zeroed));
    }
    if active.arena() {
        let (page, zeroed) = learning(active, counters, || large::take_classed(counters, class))?;
        counters.arena.runs.add(1);
        return Some((page.base.get(), zeroed));
    }
    let request = Request { size: class.slot_bytes(), align: os::OS_PAGE, site: Site::of_size(class.slot_bytes()) };
    let span = map_span(active, counters, &request, 0)?;
    advise(active, counters, span);
    span.classed.set(true);
    Some((span.user.get(), true))
}

/// Runs a part of the slow path, and lets ELO learn from what it took.
fn learning<T>(active: ActiveConfig, counters: &factor::Counters, part: impl FnOnce() -> T) -> T {
    if !active.elo_plans() || !elo::is_learning() {
        return part();
    }
    let start = os::cycles();
    let done = part();
    elo::learn_plan(&counters.elo, os::cycles().saturating_sub(start), arena::waiting_bytes);
    done
}

fn large_object(
    heap: &'static Heap,
    active: ActiveConfig,
    request: &Request,
    prefix: usize,
    strategy: Option<original::elo::Strategy>,
) -> Option<Block> {
    let counters = &heap.counters;
    if active.bigcache_is_ring()
        && request.size >= original::bigcache::BYTES_MIN
        && let Some(span) = original::bigcache::get(&counters.bigcache, request)
    {
        span.site.set(request.site.id());
        // The one that mapped it is not measured again: its sample counts once.
        span.strategy.set(NO_STRATEGY);
        span.revive();
        heap.cache.received.add(1);
        return Some(Block::of_span(span, false));
    }
    let block = match strategy {
        None => from_threshold(active, counters, request, prefix, elo::FIXED_THRESHOLD, NO_STRATEGY)?,
        Some(strategy) => {
            let start = os::cycles();
            let block = from_threshold(active, counters, request, prefix, strategy.threshold(), strategy.index())?;
            let cost = original::elo::Cost {
                cycles: os::cycles().saturating_sub(start),
                fresh_pages: if block.zeroed { (block.held / os::OS_PAGE) as u64 } else { 0 },
                spare_bytes: (block.held - request.size) as u64,
            };
            original::elo::learn(&counters.elo, strategy, cost);
            block
        }
    };
    heap.cache.received.add(1);
    Some(block)
}

/// What objects carry that no strategy chose.
const NO_STRATEGY: u8 = u8::MAX;

fn from_threshold(
    active: ActiveConfig,
    counters: &factor::Counters,
    request: &Request,
    prefix: usize,
    threshold: usize,
    strategy: u8,
) -> Option<Block> {
    let map_span = || map_span(active, counters, request, prefix).inspect(|span| advise(active, counters, span));
    // What would be mapped is a span also where the arena has its memory, so that a ring can keep it.
    let is_kept_by_site = active.bigcache_is_ring() && request.size >= threshold;
    if active.arena()
        && is_kept_by_site
        && let Some((span, zeroed)) = large::span_of_run(counters, request, prefix)
    {
        counters.arena.runs.add(1);
        span.strategy.set(strategy);
        return Some(Block::of_span(span, zeroed));
    }
    if (request.size < threshold || active.arena())
        && let Some(block) = run(counters, request, prefix, strategy)
    {
        return Some(block);
    }
    if request.size < threshold || active.bigcache_is_direct() {
        let (span, zeroed) = pool::take(request, map_span)?;
        span.strategy.set(strategy);
        return Some(Block::of_span(span, zeroed));
    }
    let span = map_span()?;
    span.strategy.set(strategy);
    Some(Block::of_span(span, true))
}

/// A new span, placed as `align` wants it.
fn map_span(
    active: ActiveConfig,
    counters: &factor::Counters,
    request: &Request,
    prefix: usize,
) -> Option<&'static Span> {
    let Some(start) = active.align() else {
        return large::map_span(request, prefix, os::map);
    };
    let lead = align::lead(start, request.size, prefix);
    large::map_span(request, lead.object, |bytes| align::map(&counters.align, bytes, lead.boundary))
}

/// Tells the kernel what `thp` has to say about a mapping that is new, or that moved.
fn advise(active: ActiveConfig, counters: &factor::Counters, span: &Span) {
    if let Some(advice) = active.thp() {
        // SAFETY: the span's mapping is ours.
        unsafe { thp::advise(&counters.thp, advice, span.base.get(), span.mapped.get()) };
    }
}

/// A run of units without a class, if segments can hold the request.
fn run(counters: &factor::Counters, request: &Request, prefix: usize, strategy: u8) -> Option<Block> {
    let (page, zeroed) = large::take_run(counters, request, prefix)?;
    counters.arena.runs.add(u64::from(config::active().arena()));
    page.strategy.set(strategy);
    Some(Block {
        // SAFETY: the run holds prefix and object.
        user: unsafe { page.base.get().add(prefix) },
        held: page.slot_bytes.get() as usize,
        method: original::header::Method::Pages,
        zeroed,
    })
}

impl Block {
    fn of_span(span: &'static Span, zeroed: bool) -> Block {
        Block { user: span.user.get(), held: span.mapped.get(), method: original::header::Method::Mmap, zeroed }
    }
}

/// Gives back to the OS all memory that waits: in the caller's cache, the depot, BigCache, the pool, the arena and the
/// batch.
pub(crate) fn flush() {
    thread::with_heap_or_none(|heap, counters, _| {
        if let Some(heap) = heap {
            heap.drain_all();
        }
        reclaim(config::active(), counters);
    });
}

/// As [`flush`], without the caller's cache; also what is done before a request fails for want of memory.
#[cold]
#[inline(never)]
fn reclaim(active: ActiveConfig, counters: &factor::Counters) {
    let _house = house::lock();
    depot::drain(|class, objects| release(counters, class, objects));
    central::give_empty(counters);
    let evict = |span| release_span(active, counters, span);
    if active.bigcache_is_ring() {
        original::bigcache::drain(&counters.bigcache, evict);
    }
    pool::drain(evict);
    if active.madvise_batch() {
        madvise_batch::flush(&counters.madvise_batch);
    }
    if active.purge().is_some() {
        arena::purge_older_than(counters, 0, true);
        central::purge_older_than(counters, 0);
    }
}

/// The cache that a thread's fast path may use: its own, unless a factor must see every request.
fn fast_cache(heap: &'static Heap) -> &'static ThreadCache {
    if config::active().per_request() { &thread_cache::EMPTY } else { &heap.cache }
}

/// Objects that users hold, by what the caches count; exact while no thread allocates or frees.
pub(crate) fn live_objects() -> u64 {
    let of =
        |cache: &ThreadCache| cache.received.get().wrapping_sub(cache.returned.get()).wrapping_sub(cache.held_all());
    heap::all().fold(0, |sum, heap| sum.wrapping_add(of(&heap.cache)))
}
