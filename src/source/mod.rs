//! Where memory comes from, and in which order the factors act on a request: written once, here.
//!
//! ```text
//! request ── thread cache ── heap's pages ── central ── arena ── OS      up to 448 KiB
//!    │ hooks: tick, evolution, elo, header; where a span is mapped: align, thp
//!    └── bigcache ── mapped span ── OS            at or above the mmap threshold
//!                 └─ run of units ── central      below it, up to 4 MiB
//!                 └─ pool ── mapped span          below it, beyond 4 MiB
//! free: header ── bigcache ── madvise batch ── OS
//! ```
//!
//! A request whose slot waits in the thread's cache is served by [`allocate`] without a call. Everything else passes
//! [`allocate_slow`], where the hooks are: when a factor must see every request, no thread has a cache to be served from.

mod arena;
pub(crate) mod central;
pub(crate) mod heap;
pub(crate) mod large;
pub(crate) mod pool;
pub(crate) mod thread;
pub(crate) mod thread_cache;

use crate::class::{CLASSES, Class, MAX_BYTES};
use crate::factor::{self, Active, align, bigcache, elo, evolution, header, madvise_batch, thp, tick};
use crate::fatal::{Fault, die};
use crate::map::{self, Place};
use crate::os;
use crate::page::{Object, Page, Use};
use crate::request::{Pick, Request, Site};
use crate::span::Span;
use core::ptr;
use heap::Heap;
use thread_cache::ThreadCache;

/// Memory for an object, before its header is written.
struct Block {
    user: *mut u8,
    /// Bytes that the object takes, slot or mapping.
    held: usize,
    method: header::Method,
    zeroed: bool,
}

/// Serves a request; null when there is no memory. The size may be 0.
#[inline(always)]
pub(crate) fn allocate(size: usize, align: usize, site: Option<Site>) -> *mut u8 {
    // Size 0 wraps and takes the slow path, as do the large ones.
    if align <= 16 && size.wrapping_sub(1) < MAX_BYTES {
        let cache = thread::cache();
        if let Some(object) = cache.pop(Class::of(size)) {
            cache.allocations.add(1);
            return ptr::from_ref(object).cast_mut().cast();
        }
    }
    allocate_slow(size, align, site, false)
}

/// Serves a request with zeroed memory.
pub(crate) fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    allocate_slow(size, align, None, true)
}

/// Takes an object back. `address` is not null.
///
/// # Safety
/// - the address came from [`allocate`] and nobody uses the object any more.
#[inline(always)]
pub(crate) unsafe fn free(address: *mut u8) {
    if let Some(page) = map::page_of(address) {
        let cache = thread::cache();
        if cache.push(page.class_index.get(), address.cast()) {
            cache.frees.add(1);
            return;
        }
    }
    // SAFETY: passed on.
    unsafe { free_slow(address) }
}

#[cold]
#[inline(never)]
fn allocate_slow(size: usize, align: usize, site: Option<Site>, zeroed: bool) -> *mut u8 {
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
    let active = factor::active();
    let counters = &heap.counters;
    // SAFETY: `with_heap` gives the heap to one caller at a time, and nothing below asks for the state again.
    let locals = unsafe { heap.locals() };
    if active.tick() {
        tick::count(&counters.tick);
    }
    let watch = active.evolution().then(|| evolution::enter(&mut locals.evolution, &counters.evolution, request.size));
    let strategy = active.elo().map(|selection| {
        let pick = watch.map_or(Pick::Learn, |watch| watch.pick);
        elo::choose(&mut locals.elo, &counters.elo, selection, pick)
    });
    let prefix = if active.header() { header::prefix(request.align) } else { 0 };
    let block = from_sources(heap, active, request, prefix, strategy).or_else(|| {
        reclaim(active, counters);
        from_sources(heap, active, request, prefix, strategy).or_else(|| run(request, prefix, NO_STRATEGY))
    });
    if let Some(watch) = watch {
        match evolution::leave(&mut locals.evolution, &counters.evolution, watch) {
            None => {}
            Some(evolution::Event::Freeze) => elo::freeze(),
            Some(evolution::Event::Adopt) => elo::adopt_candidate(),
        }
    }
    let block = block?;
    if active.header() {
        // SAFETY: the sources left `prefix` bytes, at least a header's, before the object.
        unsafe {
            header::write(
                &counters.header,
                block.user,
                block.method,
                request.size,
                block.held,
                request.site.id(),
                prefix,
            );
        };
    }
    Some(block)
}

fn from_sources(
    heap: &'static Heap,
    active: Active,
    request: &Request,
    prefix: usize,
    strategy: Option<elo::Strategy>,
) -> Option<Block> {
    let bytes = request.size.checked_add(prefix)?;
    match Class::aligned(bytes, request.align) {
        Some(class) => slot(heap, class, prefix),
        None => large_object(heap, active, request, prefix, strategy),
    }
}

fn slot(heap: &'static Heap, class: Class, prefix: usize) -> Option<Block> {
    let object = heap.cache.pop(class).or_else(|| heap.refill(class))?;
    let base = ptr::from_ref(object).cast_mut().cast::<u8>();
    Some(Block {
        // SAFETY: the slot holds prefix and object.
        user: unsafe { base.add(prefix) },
        held: class.slot_bytes(),
        method: header::Method::Pages,
        zeroed: false,
    })
}

fn large_object(
    heap: &'static Heap,
    active: Active,
    request: &Request,
    prefix: usize,
    strategy: Option<elo::Strategy>,
) -> Option<Block> {
    if active.bigcache()
        && request.size >= bigcache::BYTES_MIN
        && let Some(span) = bigcache::get(&heap.counters.bigcache, request)
    {
        span.site.set(request.site.id());
        // The one that mapped it is not measured again: its sample counts once.
        span.strategy.set(NO_STRATEGY);
        span.revive();
        return Some(Block::of_span(span, false));
    }
    let Some(strategy) = strategy else {
        return from_threshold(heap, active, request, prefix, elo::FIXED_THRESHOLD, NO_STRATEGY);
    };
    let start = os::cycles();
    let block = from_threshold(heap, active, request, prefix, strategy.threshold(), strategy.index())?;
    let cost = elo::Cost {
        cycles: os::cycles().saturating_sub(start),
        fresh_pages: if block.zeroed { (block.held / os::OS_PAGE) as u64 } else { 0 },
        spare_bytes: (block.held - request.size) as u64,
    };
    elo::learn(&heap.counters.elo, strategy, cost);
    Some(block)
}

/// What objects carry that no strategy chose.
const NO_STRATEGY: u8 = u8::MAX;

fn from_threshold(
    heap: &Heap,
    active: Active,
    request: &Request,
    prefix: usize,
    threshold: usize,
    strategy: u8,
) -> Option<Block> {
    let counters = &heap.counters;
    let map_span = || map_span(active, counters, request, prefix).inspect(|span| advise(active, counters, span));
    if request.size < threshold {
        if let Some(block) = run(request, prefix, strategy) {
            return Some(block);
        }
        let (span, zeroed) = pool::take(request, map_span)?;
        span.strategy.set(strategy);
        return Some(Block::of_span(span, zeroed));
    }
    let span = map_span()?;
    span.strategy.set(strategy);
    Some(Block::of_span(span, true))
}

/// A new span, placed as `align` wants it.
fn map_span(active: Active, counters: &factor::Counters, request: &Request, prefix: usize) -> Option<&'static Span> {
    let Some(start) = active.align() else {
        return large::map_span(request, prefix, os::map);
    };
    let lead = align::lead(start, request.size, prefix);
    large::map_span(request, lead.object, |bytes| align::map(&counters.align, bytes, lead.boundary))
}

/// Tells the kernel what `thp` has to say about a mapping that is new, or that moved.
fn advise(active: Active, counters: &factor::Counters, span: &Span) {
    if let Some(advice) = active.thp() {
        // SAFETY: the span's mapping is ours.
        unsafe { thp::advise(&counters.thp, advice, span.base.get(), span.mapped.get()) };
    }
}

/// A run of units, if segments can hold the request.
fn run(request: &Request, prefix: usize, strategy: u8) -> Option<Block> {
    let page = large::take_run(request, prefix)?;
    page.strategy.set(strategy);
    Some(Block {
        // SAFETY: the run holds prefix and object.
        user: unsafe { page.base.get().add(prefix) },
        held: page.slot_bytes.get() as usize,
        method: header::Method::Pages,
        zeroed: false,
    })
}

impl Block {
    fn of_span(span: &'static Span, zeroed: bool) -> Block {
        Block { user: span.user.get(), held: span.mapped.get(), method: header::Method::Mmap, zeroed }
    }
}

/// An object that is held by a user, found by its address.
enum Found {
    Slot(&'static Page, *mut u8),
    Run(&'static Page, *mut u8),
    Span(&'static Span),
}

/// Finds the object of an address, and verifies its header when there are headers.
fn find(active: Active, counters: &factor::Counters, user: *mut u8) -> Result<Found, Fault> {
    match map::look_up(user) {
        Place::Foreign => Err(Fault::Foreign),
        Place::Span(span) => {
            if span.user.get() != user {
                return Err(Fault::Interior);
            }
            if !span.is_live() {
                return Err(Fault::DoubleFree);
            }
            if active.header() {
                // SAFETY: the span's mapping has a header's bytes before the object.
                unsafe { header::verify(&counters.header, user) }?;
            }
            Ok(Found::Span(span))
        }
        Place::Page(page) => {
            let usage = page.usage.get();
            if usage == Use::Free {
                return Err(Fault::DoubleFree);
            }
            let mut base = user;
            if active.header() {
                let room = user.addr() - page.base.get().addr();
                if room < header::BYTES || !user.addr().is_multiple_of(16) {
                    return Err(Fault::Interior);
                }
                // SAFETY: the page is in use, and a header's bytes lie between its start and the address.
                let header = unsafe { header::verify(&counters.header, user) }?;
                if header.prefix() > room {
                    return Err(Fault::Header);
                }
                base = user.wrapping_sub(header.prefix());
            }
            if !page.starts_at(base) {
                return Err(Fault::Interior);
            }
            Ok(if usage == Use::Slots { Found::Slot(page, base) } else { Found::Run(page, base) })
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn free_slow(user: *mut u8) {
    thread::with_heap_or_none(|heap, counters, cache| {
        let active = factor::active();
        let found = find(active, counters, user).unwrap_or_else(|fault| die(fault));
        if active.header() {
            // SAFETY: `find` verified it.
            unsafe { header::retire(user) };
        }
        cache.frees.add(1);
        match found {
            Found::Slot(page, base) => free_slot(heap, page, base.cast()),
            Found::Run(page, _) => {
                let start = active.elo().map(|_| os::cycles());
                let strategy = page.strategy.get();
                central::give_run(page);
                if let Some(start) = start {
                    elo::learn_free(strategy, os::cycles().saturating_sub(start));
                }
            }
            Found::Span(span) => free_span(active, counters, span),
        }
    });
}

fn free_slot(heap: Option<&'static Heap>, page: &'static Page, object: *mut Object) {
    let class_index = page.class_index.get();
    match heap {
        Some(heap) if heap.cache.push(class_index, object) => {}
        Some(heap) => {
            let class = Class::all().nth(usize::from(class_index).min(CLASSES - 1));
            if let Some(class) = class {
                heap.overflow(class, object);
            }
        }
        // SAFETY: the slot is free, readable, and linked from nowhere.
        None => heap::free_elsewhere(page, unsafe { &*object }),
    }
}

fn free_span(active: Active, counters: &'static factor::Counters, span: &'static Span) {
    if !span.retire() {
        die(Fault::DoubleFree);
    }
    let start = active.elo().map(|_| os::cycles());
    let strategy = span.strategy.get();
    let evict = |oldest| release_span(active, counters, oldest);
    if span.kept.get() {
        pool::give(span, evict);
    } else if active.bigcache() && span.usable() >= bigcache::BYTES_MIN {
        bigcache::put(&counters.bigcache, span, evict);
    } else {
        release_span(active, counters, span);
    }
    if let Some(start) = start {
        elo::learn_free(strategy, os::cycles().saturating_sub(start));
    }
}

/// The last station of a span.
fn release_span(active: Active, counters: &factor::Counters, span: &'static Span) {
    let (base, mapped) = large::forget(span);
    if active.madvise_batch() {
        // SAFETY: the span is in no cache, and `forget` took it out of the map.
        unsafe { madvise_batch::add(&counters.madvise_batch, base, mapped) };
    } else {
        // SAFETY: as above.
        unsafe { os::unmap(base, mapped) };
    }
}

/// Makes an object longer or shorter, in its place or in another; null when there is no memory, and then it is as it was.
///
/// # Safety
/// - the address came from [`allocate`] with this alignment, and nobody else uses the object.
pub(crate) unsafe fn reallocate(user: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    let active = factor::active();
    let (usable, held) = room(active, user);
    // In place while at least half of what is held would be used.
    if size <= usable && size >= usable / 2 {
        if active.header() {
            // SAFETY: `room` verified it.
            unsafe { header::resize(user, size, held) };
        }
        return user;
    }
    if size > usable
        && let Some(moved) = grow(active, user, align, size)
    {
        return moved;
    }
    let other = allocate(size, align, None);
    if !other.is_null() {
        // SAFETY: both objects hold at least the shorter length, and a new object overlaps no other.
        unsafe { ptr::copy_nonoverlapping(user, other, old_size.min(size)) };
        // SAFETY: the caller gives the old object up.
        unsafe { free(user) };
    }
    other
}

/// Lengthens an object with a mapping of its own by moving the pages.
fn grow(active: Active, user: *mut u8, align: usize, size: usize) -> Option<*mut u8> {
    let Place::Span(span) = map::look_up(user) else {
        return None;
    };
    let prefix = if active.header() { header::prefix(align) } else { 0 };
    let request = Request { size, align, site: Site::new(span.site.get()) };
    thread::with_heap_or_none(|_, counters, _| {
        let longer = map_span(active, counters, &request, prefix)?;
        if !large::grow_span(span, longer) {
            return None;
        }
        // After the move: the new mapping has come with the advice of the old one, which may have been too short for any.
        advise(active, counters, longer);
        if active.header() {
            // SAFETY: the header moved along with the pages.
            unsafe { header::resize(longer.user.get(), size, longer.mapped.get()) };
        }
        Some(longer.user.get())
    })
}

/// Bytes that the object may use, to the end of its slot or mapping; and those that it takes, slot or mapping.
fn room(active: Active, user: *mut u8) -> (usize, usize) {
    thread::with_heap_or_none(|_, counters, _| match find(active, counters, user) {
        Ok(Found::Slot(page, base) | Found::Run(page, base)) => {
            let held = page.slot_bytes.get() as usize;
            (held - (user.addr() - base.addr()), held)
        }
        Ok(Found::Span(span)) => (span.usable(), span.mapped.get()),
        Err(fault) => die(fault),
    })
}

/// Bytes that the object may use: at least what was asked for.
pub(crate) fn usable_bytes(address: *mut u8) -> usize {
    room(factor::active(), address).0
}

/// Whether the address is that of a live large object, or lies in a page in use.
pub(crate) fn owns(address: *const u8) -> bool {
    match map::look_up(address) {
        Place::Foreign => false,
        Place::Page(page) => page.usage.get() != Use::Free,
        Place::Span(span) => span.user.get().cast_const() == address && span.is_live(),
    }
}

/// Gives back to the OS every mapping that waits in a cache, the pool or the batch.
pub(crate) fn flush() {
    thread::with_heap_or_none(|_, counters, _| reclaim(factor::active(), counters));
}

/// As [`flush`]; also what is done before a request fails for want of memory.
#[cold]
#[inline(never)]
fn reclaim(active: Active, counters: &factor::Counters) {
    let evict = |span| release_span(active, counters, span);
    if active.bigcache() {
        bigcache::drain(&counters.bigcache, evict);
    }
    pool::drain(evict);
    if active.madvise_batch() {
        madvise_batch::flush(&counters.madvise_batch);
    }
}

/// The cache that a thread's fast path may use: its own, unless a factor must see every request.
fn fast_cache(heap: &'static Heap) -> &'static ThreadCache {
    if factor::active().per_request() { &thread_cache::EMPTY } else { &heap.cache }
}
