//! Where an object comes from, and in which order the factors act on a request.
//!
//! ```text
//! request ── thread cache ── transfer cache ── central free list ── arena ── OS   small: up to 56 KiB; large: to 512 KiB
//!    │   └── thread cache ── transfer cache ─────────────────────── arena         large: up to 4 MiB
//!    │ hooks: tick, evolution, elo, header
//!    ├── bigcache ring ── large mapping ── OS       large in its ring form: at or above the mmap threshold
//!    │               └─── run of blocks ── arena    below it, or with the factor `arena`
//!    └── mapping pool ─── large mapping ── OS       beyond 4 MiB
//! ```
//!
//! [`allocate`] takes an object from the thread's cache, without a call. Every other request goes through
//! [`allocate_slow`], where the hooks are. When a factor must see every request, threads use a cache whose slot lists
//! are closed.

use super::huge_pages::Policy;
use super::large_mappings::Placement;
use super::thread_cache::{self, ThreadCache};
use super::thread_heap::Heap;
use super::{arena, bypass, central_free_list, gather, large_mappings, learning, mapping_pool, purge, release, thread};
use crate::class::{self, BLOCK, Class};
use crate::config::{ActiveConfig, FREE_CHECK, active};
use crate::factor::original::elo::{Pick, Strategy};
use crate::factor::original::{self, bigcache, header};
use crate::factor::{self, elo, evolution, free_check, tick};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::range;
use crate::os::{self, HUGE_PAGE};
use crate::request::{Request, Site};
use core::ptr;

/// Serves a request; null when there is no memory. The size may be 0.
#[inline(always)]
pub(crate) fn allocate(size: usize, align: usize, site: Option<Site>) -> *mut u8 {
    let slow = || allocate_slow(size, align, site, false);
    if align <= 16 { allocate_or_else(size, slow) } else { allocate_aligned_or_else(size, align, slow) }
}

/// As [`allocate_or_else`], for an alignment above 16 bytes. Most slot lists of a class hold aligned objects alone; of
/// the others, those of mappings and of runs, the newest object is looked at.
#[inline(never)]
fn allocate_aligned_or_else(size: usize, align: usize, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    let class = if align <= BLOCK { Class::aligned(size, align) } else { Class::of_run(size) };
    let Some(class) = class else {
        return slow();
    };
    let taken = thread_cache::take(class.slot_list());
    let object = taken.0;
    if !object.is_null() && !object.addr().is_multiple_of(align) {
        // The list has room for what it held. A signal handler that filled it meanwhile makes the object wait for ever.
        thread_cache::put(class.slot_list(), object);
        return slow();
    }
    or_else(taken, free_check::is_marked(class), slow)
}

/// Serves a request of an alignment up to 16 bytes from the thread's cache, or else by `slow`.
#[inline(always)]
pub(crate) fn allocate_or_else(size: usize, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    // Size 0, and sizes without a class, have a slot list that is always empty.
    or_else(thread_cache::take(class::slot_list_of(size)), size <= free_check::MARKED_BYTES_MAX, slow)
}

/// As [`allocate_or_else`], for a function that is not inlined, and so knows no constant size: small sizes share no
/// code with larger ones, which `beyond` serves.
#[inline(always)]
#[allow(dead_code, reason = "only the C interface calls it")]
pub(crate) fn allocate_apart(size: usize, slow: impl FnOnce() -> *mut u8, beyond: impl FnOnce() -> *mut u8) -> *mut u8 {
    match thread_cache::take_small(size) {
        Some(taken) => or_else(taken, true, slow),
        None => beyond(),
    }
}

#[inline(always)]
fn or_else((object, cache): (*mut u8, &ThreadCache), is_marked: bool, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    if object.is_null() {
        return slow();
    }
    cache.allocations.add(1);
    // SAFETY: the object is the caller's.
    unsafe { hand_out(object, is_marked) };
    object
}

/// Notes for the factor `free-check` that an object of the range is live.
///
/// # Safety
/// - the object is the caller's, and of a class whose objects are marked while they are free, or not, as it says.
#[inline(always)]
unsafe fn hand_out(object: *mut u8, is_marked: bool) {
    match (FREE_CHECK, is_marked) {
        (false, _) => {}
        // SAFETY: the caller's promise.
        (true, true) => unsafe { free_check::unmark(object) },
        (true, false) => free_check::set_live(object),
    }
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

/// Largest size in bytes that comes from a cache and is then zeroed. Above it, new memory may be zero already.
const ZEROED_IN_CACHE_MAX: usize = class::SMALL_BYTES_MAX;

/// Bytes that a process can have addresses for: 2^47 on x86-64, 2^48 on aarch64.
const ADDRESSES_MAX: usize = 1 << 48;

/// Serves a request that the thread's cache does not.
#[cold]
#[inline(never)]
pub(crate) fn allocate_slow(size: usize, align: usize, site: Option<Site>, zeroed: bool) -> *mut u8 {
    let site = site.unwrap_or_else(|| Site::of_size(size));
    serve(Request { size: size.max(1), align, site, prefix: 0, grows: false }, zeroed)
}

/// Serves a request for an object that replaces a shorter one. Where it is a run, it is placed so that it can grow.
pub(super) fn allocate_to_grow(size: usize, align: usize) -> *mut u8 {
    if size <= class::SMALL_BYTES_MAX {
        return allocate(size, align, None);
    }
    serve(Request { size, align, site: Site::of_size(size), prefix: 0, grows: true }, false)
}

fn serve(request: Request, zeroed: bool) -> *mut u8 {
    let memory = thread::inside(|access| {
        let heap = access.heap()?;
        let memory = pass_hooks(heap, request)?;
        heap.cache.allocations.add(1);
        Some((memory.user, memory.zeroed))
    });
    let (user, is_zero) = match memory {
        Some(Some(memory)) => memory,
        Some(None) => return ptr::null_mut(),
        None => (bypass::allocate(request.size, request.align), false),
    };
    if free_check::is_on()
        && let Some(class) = range::slot_list_at(user).class()
    {
        // SAFETY: the object is ours, and of this class.
        unsafe { hand_out(user, free_check::is_marked(class)) };
    }
    if zeroed && !is_zero && !user.is_null() {
        // SAFETY: the memory holds the request, and nothing else.
        unsafe { zero(user, request.size) };
    }
    user
}

/// Least bytes that the OS makes zero, by taking the pages back: what is not touched then costs nothing and holds nothing.
/// Where all is touched, writing is as fast from 16 MiB on, and faster below: 35 against 51 µs at 2 MiB (measured, Zen 5).
const ZERO_BY_OS_MIN: usize = 8 << 20;

/// Makes memory zero.
///
/// # Safety
/// - `[base, base + bytes)` is the allocator's, and holds nothing.
unsafe fn zero(base: *mut u8, bytes: usize) {
    // Whole huge pages: a part of one would be hundreds of page faults when it is used.
    let (start, end) = (base.addr().next_multiple_of(HUGE_PAGE), (base.addr() + bytes) & !(HUGE_PAGE - 1));
    let (before, after) = (start - base.addr(), base.addr() + bytes - end);
    // SAFETY: the caller's promise; the huge pages lie within, and so do the bytes before and after them.
    unsafe {
        if bytes < ZERO_BY_OS_MIN || !os::decommit(base.add(before), end - start) {
            return base.write_bytes(0, bytes);
        }
        base.write_bytes(0, before);
        base.add(bytes - after).write_bytes(0, after);
    }
}

/// Calls the stations below, and the factors before and after them. The request has no prefix yet: the factor `header`
/// sets it.
fn pass_hooks(heap: &'static Heap, request: Request) -> Option<Memory> {
    let active = active();
    let counters = &heap.counters;
    // SAFETY: `with_heap` gives the heap to one caller at a time, and no callee asks for the state again.
    let locals = unsafe { heap.locals() };
    if active.tick() {
        original::tick::count(&counters.tick);
    } else if active.tick_is_batched() {
        tick::catch_up(&mut locals.tick, &counters.tick, heap.cache.allocations.get() + 1);
    }
    let watch = active.evolution().then(|| evolution::enter(&mut locals.evolution, &counters.evolution, request.size));
    let strategy = active.elo().map(|selection| {
        let pick = match watch.map_or(evolution::Mode::Learn, |watch| watch.mode) {
            evolution::Mode::Learn => Pick::Learn,
            evolution::Mode::Frozen => Pick::Frozen,
            evolution::Mode::Trial => Pick::Candidate,
        };
        original::elo::choose(&mut locals.elo, &counters.elo, selection, pick)
    });
    let form = active.header();
    let request = &Request { prefix: form.map_or(0, |form| form.prefix(request.align)), ..request };
    let memory = from_stations(heap, active, request, strategy).or_else(|| {
        // No memory that is given back makes room for what no address space has room for.
        if request.size.saturating_add(request.align) > ADDRESSES_MAX {
            return None;
        }
        // What this thread's cache holds waits as well, for other sizes.
        _ = thread::drain(active, heap);
        purge::reclaim(active, counters);
        from_stations(heap, active, request, strategy).or_else(|| {
            let memory = run(active, counters, request, None)?;
            heap.cache.received.add(1);
            Some(memory)
        })
    });
    let growth = arena::take_growth();
    if growth > 0 {
        // The program turned to shorter objects: what waits for long ones goes before more is held than it needs.
        mapping_pool::give_way(growth, |oldest| _ = release::give_mapping(active, counters, oldest));
    }
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
    let memory = memory?;
    if let Some(form) = form {
        let facts = header::Facts {
            size: request.size,
            held: memory.held,
            site: request.site.id(),
            method: memory.method,
            prefix: request.prefix,
        };
        // SAFETY: the prefix before the object is the object's own, and at least as long as the header.
        unsafe { header::write(&counters.header, form, memory.user, &facts) };
    }
    Some(memory)
}

/// Takes memory for a request, by its size class or as a large object without one.
fn from_stations(
    heap: &'static Heap,
    active: ActiveConfig,
    request: &Request,
    strategy: Option<Strategy>,
) -> Option<Memory> {
    let prefix = request.prefix;
    let bytes = request.size.checked_add(prefix)?;
    let are_runs_kept = active.arena() && active.bigcache_is_direct();
    match Class::aligned(bytes, request.align) {
        Some(class) if !class.is_large() => slot(heap, active, class, prefix),
        // A run without a class can grow in its place; one with a class waits in caches for a request of its length.
        Some(_) if are_runs_kept && request.grows => large_object(heap, active, request, strategy),
        // The page map finds a mapping by the OS page of its start, which a longer prefix would leave, and a mapping is
        // aligned to no more than an OS page.
        Some(class)
            if active.bigcache_is_direct()
                && (active.arena() || (prefix < os::OS_PAGE && request.align <= os::OS_PAGE)) =>
        {
            let plain = class.uncoloured();
            let coloured =
                if active.arena() && class != plain { size_classed(heap, active, class, prefix) } else { None };
            coloured.or_else(|| size_classed(heap, active, plain, prefix))
        }
        None if are_runs_kept && prefix == 0 && (BLOCK..=HUGE_PAGE).contains(&request.align) => {
            aligned_run(heap, active, request).or_else(|| large_object(heap, active, request, strategy))
        }
        _ => large_object(heap, active, request, strategy),
    }
}

/// A run of a class that is aligned to more than a block: the newest of the thread's slot list, or a new one. `None`
/// where there is no class, or no run.
fn aligned_run(heap: &'static Heap, active: ActiveConfig, request: &Request) -> Option<Memory> {
    let counters = &heap.counters;
    let class = Class::of_run(request.size)?;
    counters.bigcache.lookups.add(1);
    let newest = heap.cache.pop(class.slot_list());
    let (base, zeroed) = if !newest.is_null() && newest.addr().is_multiple_of(request.align) {
        (newest, false)
    } else {
        if !newest.is_null() {
            heap.cache.push(class.slot_list(), newest);
        }
        let take = || large_mappings::take_size_classed_at(counters, policy(active), class, request);
        let (page, zeroed) = learning::of_plan(active, counters, take)?;
        counters.arena.runs.add(1);
        heap.cache.received.add(1);
        (page.base.get(), zeroed)
    };
    Some(Memory { user: base, held: class.slot_bytes(), method: header::Method::Pages, zeroed })
}

/// A small object: from the thread's slot list, or from a refill of it.
fn slot(heap: &'static Heap, active: ActiveConfig, class: Class, prefix: usize) -> Option<Memory> {
    let mut base = heap.cache.pop(class.slot_list());
    if base.is_null() {
        if active.thread_cache() {
            heap.counters.thread_cache.refills.add(1);
        }
        base = heap.take_batch(class);
    }
    if base.is_null() {
        gather_before_growth(active, heap, class);
        base = heap.refill(policy(active), class);
        if heap.may_hold_much() {
            purge::request_look(active, &heap.counters);
        }
    }
    if base.is_null() {
        return None;
    }
    // SAFETY: the slot holds prefix and object.
    let user = unsafe { base.add(prefix) };
    Some(Memory { user, held: class.slot_bytes(), method: header::Method::Pages, zeroed: false })
}

/// A large object of a class: from the thread's slot list, from the transfer cache, or new.
fn size_classed(heap: &'static Heap, active: ActiveConfig, class: Class, prefix: usize) -> Option<Memory> {
    let counters = &heap.counters;
    let mut base = heap.cache.pop(class.slot_list());
    let mut zeroed = false;
    if base.is_null() {
        counters.bigcache.lookups.add(1);
        base = heap.take_batch(class);
        if base.is_null() {
            gather_before_growth(active, heap, class);
            (base, zeroed) = new_size_classed(active, counters, class)?;
            heap.cache.received.add(1);
        } else {
            counters.bigcache.hits.add(1);
        }
    }
    // SAFETY: the object holds prefix and request.
    let user = unsafe { base.add(prefix) };
    Some(Memory { user, held: class.slot_bytes(), method: header::Method::Pages, zeroed })
}

/// Has free memory gathered that waits elsewhere, if an object of the class takes new memory from the OS otherwise.
fn gather_before_growth(active: ActiveConfig, heap: &Heap, class: Class) {
    if gather::is_worth_it(heap) && gather::must_grow(class) {
        let is_due = gather::gather(active, heap, class);
        purge::request_if(is_due, active, &heap.counters);
    }
}

/// New memory for an object of a large class: a slot, a run of the arena, or a mapping.
fn new_size_classed(active: ActiveConfig, counters: &factor::Counters, class: Class) -> Option<(*mut u8, bool)> {
    if !class.is_run() {
        let mut slot = [ptr::null_mut()];
        let (taken, zeroed) =
            learning::of_plan(active, counters, || central_free_list::take(counters, policy(active), class, &mut slot));
        return (taken > 0).then_some((slot[0], zeroed));
    }
    if active.arena() {
        let (page, zeroed) =
            learning::of_plan(active, counters, || large_mappings::take_size_classed(counters, policy(active), class))?;
        counters.arena.runs.add(1);
        return Some((page.base.get(), zeroed));
    }
    let size = class.slot_bytes();
    let request = Request { size, align: os::OS_PAGE, site: Site::of_size(size), prefix: 0, grows: false };
    let mapping = large_mappings::map(counters, placement(active), &request)?;
    mapping.size_classed.set(true);
    Some((mapping.user.get(), true))
}

/// A large object without a class: from BigCache's ring, or new. A new one is measured where a strategy chose its
/// threshold.
fn large_object(
    heap: &'static Heap,
    active: ActiveConfig,
    request: &Request,
    strategy: Option<Strategy>,
) -> Option<Memory> {
    let counters = &heap.counters;
    if active.bigcache_is_ring()
        && request.size >= bigcache::BYTES_MIN
        && let Some(mapping) = bigcache::get(&counters.bigcache, request)
    {
        mapping.site.set(request.site.id());
        // The strategy that chose the mapping was measured when it was made, and is not charged for this use.
        mapping.strategy.set(NO_STRATEGY);
        mapping.mark_live(request.size);
        heap.cache.received.add(1);
        return Some(Memory::of_mapping(mapping, false));
    }
    let memory = match strategy {
        None => from_threshold(active, counters, request, None)?,
        Some(strategy) => {
            let start = os::cycles();
            let memory = from_threshold(active, counters, request, Some(strategy))?;
            let cost = original::elo::Cost {
                cycles: os::cycles().saturating_sub(start),
                fresh_pages: if memory.zeroed { (memory.held / os::OS_PAGE) as u64 } else { 0 },
                spare_bytes: (memory.held - request.size) as u64,
            };
            original::elo::learn(&counters.elo, strategy, cost);
            memory
        }
    };
    heap.cache.received.add(1);
    Some(memory)
}

/// The strategy number of objects that no strategy chose.
pub(super) const NO_STRATEGY: u8 = u8::MAX;

/// The strategy number that an object's record gets.
fn index_of(strategy: Option<Strategy>) -> u8 {
    strategy.map_or(NO_STRATEGY, Strategy::index)
}

/// New memory for a large object without a class: from the mmap threshold on a mapping of its own, below it blocks of
/// the arena, or a mapping from the pool. With the factor `arena` blocks wherever a segment can hold them.
fn from_threshold(
    active: ActiveConfig,
    counters: &factor::Counters,
    request: &Request,
    strategy: Option<Strategy>,
) -> Option<Memory> {
    let threshold = strategy.map_or(elo::FIXED_THRESHOLD, Strategy::threshold);
    // BigCache's ring keeps large-mapping records, so a run of the arena gets one too.
    let is_kept_by_site = active.bigcache_is_ring() && request.size >= threshold;
    if active.arena()
        && is_kept_by_site
        && let Some((mapping, zeroed)) = large_mappings::mapping_of_run(counters, policy(active), request)
    {
        counters.arena.runs.add(1);
        mapping.strategy.set(index_of(strategy));
        return Some(Memory::of_mapping(mapping, zeroed));
    }
    if (request.size < threshold || active.arena())
        && let Some(memory) = run(active, counters, request, strategy)
    {
        return Some(memory);
    }
    if request.size < threshold || active.bigcache_is_direct() {
        let evict = |oldest| _ = release::give_mapping(active, counters, oldest);
        let (mapping, zeroed) = mapping_pool::take(counters, placement(active), request, release::keep(active), evict)?;
        mapping.strategy.set(index_of(strategy));
        return Some(Memory::of_mapping(mapping, zeroed));
    }
    let mapping = large_mappings::map(counters, placement(active), request)?;
    mapping.strategy.set(index_of(strategy));
    Some(Memory::of_mapping(mapping, true))
}

/// A run of blocks without a class, if segments can hold the request.
fn run(
    active: ActiveConfig,
    counters: &factor::Counters,
    request: &Request,
    strategy: Option<Strategy>,
) -> Option<Memory> {
    let (page, zeroed) = large_mappings::take_run(counters, policy(active), request)?;
    counters.arena.runs.add(u64::from(active.arena()));
    page.strategy.set(index_of(strategy));
    Some(Memory {
        // SAFETY: the run holds prefix and object.
        user: unsafe { page.base.get().add(request.prefix) },
        held: page.slot_bytes.get() as usize,
        method: header::Method::Pages,
        zeroed,
    })
}

/// Memory for an object, before its header is written.
struct Memory {
    /// The object's address.
    user: *mut u8,
    /// Bytes of its slot, run or mapping.
    held: usize,
    /// How it was allocated, for the header.
    method: header::Method,
    /// Whether the memory is known to be zero.
    zeroed: bool,
}

impl Memory {
    fn of_mapping(mapping: &'static LargeMapping, zeroed: bool) -> Memory {
        Memory { user: mapping.user.get(), held: mapping.mapped.get(), method: header::Method::Mmap, zeroed }
    }
}

/// How the levels place new mappings.
pub(super) fn placement(active: ActiveConfig) -> Placement {
    Placement { align: active.align(), huge_pages: policy(active) }
}

/// What the levels say about huge pages.
fn policy(active: ActiveConfig) -> Policy {
    Policy { advice: active.thp(), by_plan: active.elo_plans() }
}
