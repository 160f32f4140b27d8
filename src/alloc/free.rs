//! How an object is freed: into the slot list of the thread that frees it, or past it, found by its address and
//! verified.

use super::find::{Found, find};
use super::thread::Access;
use super::thread_cache::{self, ThreadCache};
use super::thread_heap::Heap;
use super::transfer_batch::BATCH_SLOTS;
use super::{bypass, deferred_frees, hardening, learning, mapping_pool, outbox, purge, release, thread};
use crate::class::{Class, SlotListOffset};
use crate::config::{ActiveConfig, FREE_CHECK, active};
use crate::factor::original::{bigcache, header};
use crate::factor::{self, free_check};
use crate::fatal::{self, Call, Fault};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::range;
use core::ptr;

/// Frees an object; does nothing for null.
///
/// # Safety
/// - the address came from `allocate`, and the caller gives the object up.
#[inline(always)]
pub(crate) unsafe fn free(address: *mut u8) {
    let Some(block) = range::block_objects(address) else {
        // SAFETY: passed on.
        return unsafe { free_slow(address) };
    };
    if FREE_CHECK {
        // SAFETY: a slot starts there, and was handed out.
        let is_verified = free_check::was_handed_out(block, address) && unsafe { free_check::mark(address) };
        if !is_verified {
            // SAFETY: passed on.
            return unsafe { free_unmarked(address, block.list()) };
        }
    }
    if !thread_cache::put(block.list(), address) {
        // SAFETY: passed on.
        unsafe { free_past_list(address, block.list()) }
    }
}

/// Frees an object of the range that the list of its block did not take: it is full, or another owner's.
///
/// # Safety
/// - as [`free`], and the list is that of the address's block.
#[inline(never)]
unsafe fn free_past_list(address: *mut u8, list: SlotListOffset) {
    if !outbox::put(list, address) {
        // SAFETY: passed on.
        unsafe { free_slow(address) }
    }
}

/// Frees an object of the range that has no mark while it is free: verifies it by the table, if it has a class. Aborts
/// where the address is no live object's.
///
/// # Safety
/// - as [`free`], and the list is that of the address's block.
#[inline(never)]
unsafe fn free_unmarked(address: *mut u8, list: SlotListOffset) {
    let is_fault = if free_check::is_list_of_larger(list) {
        !free_check::set_free(address)
    } else {
        list != SlotListOffset::NONE && free_check::is_on()
    };
    if is_fault {
        return fatal::abort_with(fault_of(address), Call::Free);
    }
    if !thread_cache::put(list, address) {
        // SAFETY: passed on.
        unsafe { free_past_list(address, list) }
    }
}

/// What is wrong with a free that the factor `free-check` refused.
#[cold]
fn fault_of(address: *mut u8) -> Fault {
    match find(None, &thread::NO_HEAP_COUNTERS, address) {
        Ok(_) => Fault::DoubleFree,
        Err(fault) => fault,
    }
}

/// Frees an object that the thread's slot list did not take, or whose address lies outside the range.
///
/// # Safety
/// - as [`free`].
#[cold]
#[inline(never)]
unsafe fn free_slow(user: *mut u8) {
    if user.is_null() {
        return;
    }
    if bypass::owns(user) {
        // SAFETY: passed on.
        if !unsafe { bypass::free(user) } {
            fatal::abort_with(Fault::DoubleFree, Call::Free);
        }
        if bypass::is_due() {
            _ = thread::inside(|access| purge::give_bypass(active(), access.counts().0));
        }
        return;
    }
    let freed = thread::inside(|access| {
        // Those first: a second free of one of them finds it free.
        deferred_frees::take_all(|object| free_found(access, object));
        free_found(access, user);
        purge::request_if(bypass::is_due(), active(), access.counts().0);
    });
    if freed.is_none() {
        // SAFETY: the object is verified, and no caller may look for it under a lock.
        unsafe { defer(user) };
    }
}

/// Frees an object past the caches of the fast path.
fn free_found(access: Access, user: *mut u8) {
    let active = active();
    let (counters, cache) = access.counts();
    let found = match find(active.header(), counters, user) {
        Ok(found) => found,
        Err(fault) => return fatal::note(fault, Call::Free),
    };
    if active.header().is_some() {
        // SAFETY: `find` verified it.
        unsafe { header::mark_freed(user) };
    }
    if active.is_hardened()
        // SAFETY: `find` found it.
        && let Err(fault) = unsafe { hardening::take_back(active, counters, user) }
    {
        return fatal::note(fault, Call::Free);
    }
    let heap = access.own_heap();
    let is_due = match found {
        Found::Slot(page, base) | Found::Run(page, base) => {
            match Class::from_index(usize::from(page.class_index.get())) {
                Some(class) => free_size_classed(active, heap, counters, cache, class, base),
                None => {
                    cache.returned.add(1);
                    let strategy = page.strategy.get();
                    learning::of_free(active, strategy, || release::give_run(active, counters, page))
                }
            }
        }
        Found::Mapping(mapping) => match class_of_mapping(mapping) {
            Some(class) => free_size_classed(active, heap, counters, cache, class, mapping.user.get()),
            None => {
                cache.returned.add(1);
                free_mapping(active, counters, mapping)
            }
        },
    };
    purge::request_if(is_due, active, counters);
}

/// Leaves an object to the next free that may take locks.
///
/// # Safety
/// - as [`free`].
unsafe fn defer(user: *mut u8) {
    if let Err(fault) = find(None, &thread::NO_HEAP_COUNTERS, user).or_else(|fault| match fault {
        // A header lies before the object, and the records know of none.
        Fault::Interior if active().header().is_some() => find(active().header(), &thread::NO_HEAP_COUNTERS, user),
        fault => Err(fault),
    }) {
        return fatal::abort_with(fault, Call::Free);
    }
    if active().is_hardened()
        // SAFETY: the records know the object.
        && let Err(fault) = unsafe { hardening::defer(active(), user) }
    {
        return fatal::abort_with(fault, Call::Free);
    }
    // SAFETY: the object is live.
    if !unsafe { deferred_frees::defer(user) } {
        fatal::abort_with(Fault::DoubleFree, Call::Free);
    }
}

/// The size class of an object that is a mapping of its own, if it has one. Such a mapping is as long as a run of the
/// class.
fn class_of_mapping(mapping: &LargeMapping) -> Option<Class> {
    Class::of(mapping.mapped.get()).filter(|_| mapping.size_classed.get()).map(Class::uncoloured)
}

/// Frees an object of a size class. Returns whether the purge is due, as do the functions below.
fn free_size_classed(
    active: ActiveConfig,
    heap: Option<&'static Heap>,
    counters: &factor::Counters,
    cache: &ThreadCache,
    class: Class,
    base: *mut u8,
) -> bool {
    let Some(base) = hardening::wait(active, heap, class, base) else { return false };
    match heap {
        Some(heap) if outbox::is_foreign(heap, base) => outbox::give(active, heap, class, base),
        Some(heap) if heap.cache.push(class, base) => false,
        Some(heap) => overflow(active, heap, class, base),
        None => {
            cache.returned.add(1);
            release::give_back(active, counters, class, &[base])
        }
    }
}

/// Frees an object whose slot list did not take it: makes room in the list, passes on the objects taken out, and puts
/// the object into the list if that is open.
#[cold]
#[inline(never)]
fn overflow(active: ActiveConfig, heap: &Heap, class: Class, object: *mut u8) -> bool {
    if heap.may_hold_much() {
        purge::request_look(active, &heap.counters);
    }
    let mut is_due = false;
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    let drained = heap.make_room(class, &mut objects);
    if drained > 0 {
        heap.cache.returned.add(drained as u64);
        is_due = release::pass_on(active, &heap.counters, class, heap.cache.owner(), &objects[..drained]);
    }
    if heap.cache.push(class, object) {
        return is_due;
    }
    heap.cache.returned.add(1);
    // A list that may not hold anything now leaves the object to other threads; a closed one of all threads does not.
    is_due
        | if heap.is_open(class) {
            release::pass_on(active, &heap.counters, class, heap.cache.owner(), &[object])
        } else {
            release::give_back(active, &heap.counters, class, &[object])
        }
}

/// Frees a mapping without a size class.
fn free_mapping(active: ActiveConfig, counters: &factor::Counters, mapping: &'static LargeMapping) -> bool {
    if !mapping.mark_free() {
        fatal::note(Fault::DoubleFree, Call::Free);
        return false;
    }
    learning::of_free(active, mapping.strategy.get(), || {
        let mut is_due = false;
        let mut evict = |oldest| is_due |= release::give_mapping(active, counters, oldest);
        if mapping.pooled.get() {
            let keep = release::keep(active);
            mapping_pool::give(counters, mapping, keep, evict) || is_due
        } else if active.bigcache_is_ring() && mapping.usable() >= bigcache::BYTES_MIN {
            bigcache::put(&counters.bigcache, mapping, evict);
            is_due
        } else {
            evict(mapping);
            is_due
        }
    })
}
