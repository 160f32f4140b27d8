//! Which station serves a request that the thread's cache does not: an object of a class from threads, pages or runs, one
//! without a class from a ring, a run or a mapping.
//!
//! The callers have passed the factors' hooks. What a station has not, the next one is asked for, in the order of the
//! picture in [`super::allocate`].

use super::huge_pages::Policy;
use super::large_mappings::{Placement, Reuse};
use super::mapping_pool::Origin;
use super::thread_heap::Heap;
use super::{arena, central_free_list, gather, large_mappings, learning, mapping_pool, purge, release};
use crate::class::{BLOCK, Class, Owner};
use crate::config::ActiveConfig;
use crate::factor::original::elo::Strategy;
use crate::factor::original::{self, bigcache, header};
use crate::factor::{self, elo, free_check, random_slots};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::segment::Kind;
use crate::os::{self, HUGE_PAGE};
use crate::request::{Request, Site};
use core::ptr;

/// Takes memory for a request, by its size class or as a large object without one.
pub(super) fn from_stations(
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
            if let Some(memory) = dense(heap, active, class, request) {
                return Some(memory);
            }
            let coloured =
                if active.arena() && class != plain { size_classed(heap, active, class, request) } else { None };
            coloured.or_else(|| size_classed(heap, active, plain, request))
        }
        None if are_runs_kept && prefix == 0 && (BLOCK..=HUGE_PAGE).contains(&request.align) => {
            aligned_run(heap, active, request).or_else(|| large_object(heap, active, request, strategy))
        }
        _ => large_object(heap, active, request, strategy),
    }
}

/// A mapping that is just as long as an object of a class, where addresses are scarce and the arena would have to grow for
/// it: a segment may hold one object of 2.1 MiB, or 31 of 100 KB.
fn dense(heap: &'static Heap, active: ActiveConfig, class: Class, request: &Request) -> Option<Memory> {
    let is_free =
        || !gather::must_grow(class, heap.cache.owner()) || !gather::must_grow(class.uncoloured(), heap.cache.owner());
    if !os::is_crowded() || heap.cache.held(class.uncoloured()) > 0 || is_free() {
        return None;
    }
    let memory = pooled(heap, active, request, None)?;
    heap.cache.received.add(1);
    Some(memory)
}

/// A mapping of the pool.
fn pooled(heap: &Heap, active: ActiveConfig, request: &Request, strategy: Option<Strategy>) -> Option<Memory> {
    let counters = &heap.counters;
    let evict = |oldest| _ = release::give_mapping(active, counters, oldest);
    let (mapping, origin) = mapping_pool::take(counters, placement(active), request, release::keep(active), evict)?;
    Some(begin_pooled(heap, active, request, strategy, (mapping, origin)))
}

/// What waits in the mapping pool serves an object of a class whose run would take memory from the OS.
fn pooled_before_growth(heap: &Heap, active: ActiveConfig, class: Class, request: &Request) -> Option<Memory> {
    let waits = || mapping_pool::waiting_bytes() >= class.slot_bytes();
    let blocks = class.blocks();
    if !(class.is_run() && active.arena() && waits() && arena::is_next_untouched(Kind::Large, blocks)) {
        return None;
    }
    let taken = mapping_pool::take_waiting(placement(active), request)?;
    heap.cache.received.add(1);
    Some(begin_pooled(heap, active, request, None, taken))
}

/// Begins the use of a mapping of the pool.
fn begin_pooled(
    heap: &Heap,
    active: ActiveConfig,
    request: &Request,
    strategy: Option<Strategy>,
    (mapping, origin): (&'static LargeMapping, Origin),
) -> Memory {
    let counters = &heap.counters;
    mapping.strategy.set(index_of(strategy));
    let zeroed = match origin {
        Origin::Os => {
            // Not touched yet: what waits in caches and in the arena goes before more is held than the program needs.
            if gather::is_worth_it(heap) {
                let is_due = gather::gather(active, heap, None);
                purge::request_if(is_due, active, counters);
            }
            purge::give_way(active, counters, mapping.mapped.get());
            true
        }
        Origin::Pool { is_joined, reuses, is_empty } => {
            // Hardening looks whether anything was written to free memory.
            let may_clear = !active.is_hardened();
            let reuse = Reuse { zeroed: request.zeroed, is_joined, reuses, may_clear, is_empty };
            large_mappings::begin_reuse(counters, placement(active), mapping, reuse)
        }
    };
    Memory::of_mapping(mapping, zeroed)
}

/// A run of a class that is aligned to more than a block: the newest of the thread's slot list, or a new one. `None`
/// where there is no class, or no run.
fn aligned_run(heap: &'static Heap, active: ActiveConfig, request: &Request) -> Option<Memory> {
    let counters = &heap.counters;
    let class = Class::of_run(request.size)?;
    counters.bigcache.lookups.add(1);
    let newest = heap.cache.pop(class);
    let (base, zeroed) = if !newest.is_null() && newest.addr().is_multiple_of(request.align) {
        (newest, false)
    } else {
        if !newest.is_null() {
            heap.cache.push(class, newest);
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
    let mut base = heap.cache.pop(class);
    if base.is_null() {
        if active.thread_cache() {
            heap.counters.thread_cache.refills.add(1);
        }
        base = heap.take_batch(class);
    }
    if base.is_null() {
        gather_before_growth(active, heap, class);
        let has_list = active.thread_cache() && class.slot_bytes() <= LISTED_BYTES_MAX;
        base = if active.random_slots() && !has_list {
            random_slot(heap, active, class)
        } else {
            heap.refill(policy(active), class)
        };
    }
    if base.is_null() {
        return None;
    }
    if heap.may_hold_much() {
        purge::request_look(active, &heap.counters);
    }
    if active.random_slots() {
        base = random_of_list(heap, class, base);
    }
    // SAFETY: the slot holds prefix and object.
    let user = unsafe { base.add(prefix) };
    Some(Memory { user, held: class.slot_bytes(), method: header::Method::Pages, zeroed: false })
}

/// Bytes of slots up to which a refill puts enough of them into a list to choose among.
const LISTED_BYTES_MAX: usize = 1024;

/// A random one of an object of a slot list's class and the newest ones in the list, which keeps the others.
fn random_of_list(heap: &'static Heap, class: Class, object: *mut u8) -> *mut u8 {
    let mut choices = [ptr::null_mut(); random_slots::CHOICES];
    let drained = heap.drain(class, &mut choices[..random_slots::CHOICES - 1]);
    choices[drained] = object;
    random_slots::pick(&heap.counters.random_slots, &mut choices[..=drained]);
    for &rest in &choices[..drained] {
        heap.cache.push(class, rest);
    }
    choices[drained]
}

/// A random one of several free slots of a page, of a class whose lists hold few or none. Null when there is no memory.
fn random_slot(heap: &'static Heap, active: ActiveConfig, class: Class) -> *mut u8 {
    let mut choices = [ptr::null_mut(); random_slots::CHOICES];
    let (taken, _) = central_free_list::take(&heap.counters, policy(active), class, heap.cache.owner(), &mut choices);
    if taken == 0 {
        return ptr::null_mut();
    }
    random_slots::pick(&heap.counters.random_slots, &mut choices[..taken]);
    let is_due = release::give_back(active, &heap.counters, class, &choices[..taken - 1]);
    purge::request_if(is_due, active, &heap.counters);
    heap.cache.received.add(1);
    if active.free_check() && free_check::is_marked(class) {
        // SAFETY: the slot is ours alone.
        unsafe { free_check::admit(&heap.counters.free_check, &choices[taken - 1..taken]) };
    }
    choices[taken - 1]
}

/// A large object of a class: from the thread's slot list, from the transfer cache, or new.
fn size_classed(heap: &'static Heap, active: ActiveConfig, class: Class, request: &Request) -> Option<Memory> {
    let counters = &heap.counters;
    let mut base = heap.cache.pop(class);
    let mut zeroed = false;
    if base.is_null() {
        counters.bigcache.lookups.add(1);
        base = heap.take_batch(class);
        if base.is_null() {
            gather_before_growth(active, heap, class);
            if active.random_slots() && !class.is_run() {
                base = random_slot(heap, active, class);
                if base.is_null() {
                    return None;
                }
            } else {
                if let Some(memory) = pooled_before_growth(heap, active, class, request) {
                    return Some(memory);
                }
                (base, zeroed) = new_size_classed(active, counters, class)?;
                heap.cache.received.add(1);
            }
        } else {
            counters.bigcache.hits.add(1);
        }
    }
    // SAFETY: the object holds prefix and request.
    let user = unsafe { base.add(request.prefix) };
    Some(Memory { user, held: class.slot_bytes(), method: header::Method::Pages, zeroed })
}

/// Has free memory gathered that waits elsewhere, if an object of the class takes new memory from the OS otherwise.
fn gather_before_growth(active: ActiveConfig, heap: &Heap, class: Class) {
    if gather::is_worth_it(heap) && gather::takes_new_memory(class, heap.cache.owner()) {
        let is_due = gather::gather(active, heap, Some(class));
        purge::request_if(is_due, active, &heap.counters);
    }
}

/// New memory for an object of a large class: a slot, a run of the arena, or a mapping.
fn new_size_classed(active: ActiveConfig, counters: &factor::Counters, class: Class) -> Option<(*mut u8, bool)> {
    if !class.is_run() {
        let mut slot = [ptr::null_mut()];
        let (taken, zeroed) = learning::of_plan(active, counters, || {
            central_free_list::take(counters, policy(active), class, Owner::NONE, &mut slot)
        });
        return (taken > 0).then_some((slot[0], zeroed));
    }
    if active.arena() {
        let (page, zeroed) =
            learning::of_plan(active, counters, || large_mappings::take_size_classed(counters, policy(active), class))?;
        counters.arena.runs.add(1);
        return Some((page.base.get(), zeroed));
    }
    let size = class.slot_bytes();
    let request =
        Request { size, align: os::OS_PAGE, site: Site::of_size(size), prefix: 0, grows: false, zeroed: false };
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
        None => from_threshold(heap, active, request, None)?,
        Some(strategy) => {
            let start = os::cycles();
            let memory = from_threshold(heap, active, request, Some(strategy))?;
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
fn from_threshold(heap: &Heap, active: ActiveConfig, request: &Request, strategy: Option<Strategy>) -> Option<Memory> {
    let counters = &heap.counters;
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
        return pooled(heap, active, request, strategy);
    }
    let mapping = large_mappings::map(counters, placement(active), request)?;
    mapping.strategy.set(index_of(strategy));
    Some(Memory::of_mapping(mapping, true))
}

/// A run of blocks without a class, if segments can hold the request.
pub(super) fn run(
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
pub(super) struct Memory {
    /// The object's address.
    pub(super) user: *mut u8,
    /// Bytes of its slot, run or mapping.
    pub(super) held: usize,
    /// How it was allocated, for the header.
    pub(super) method: header::Method,
    /// Whether the memory is known to be zero.
    pub(super) zeroed: bool,
}

impl Memory {
    fn of_mapping(mapping: &'static LargeMapping, zeroed: bool) -> Memory {
        Memory { user: mapping.user.get(), held: mapping.mapped.get(), method: header::Method::Mmap, zeroed }
    }
}

/// How the levels place new mappings.
pub(super) fn placement(active: ActiveConfig) -> Placement {
    // To align a mapping, more is mapped for a moment than it has.
    Placement { align: active.align().filter(|_| !os::is_crowded()), huge_pages: policy(active) }
}

/// What the levels say about huge pages.
fn policy(active: ActiveConfig) -> Policy {
    Policy { advice: active.thp(), by_plan: active.elo_plans() }
}
