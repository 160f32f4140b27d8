//! How an object is freed: into the slot list of the thread that frees it, or past it, found by its address and
//! verified.

use super::find::{Found, find};
use super::thread_cache::ThreadCache;
use super::thread_heap::Heap;
use super::transfer_batch::BATCH_SLOTS;
use super::{learning, mapping_pool, purge, release, thread};
use crate::class::Class;
use crate::config::{ActiveConfig, active};
use crate::factor;
use crate::factor::original::{bigcache, header};
use crate::fatal::{Fault, abort_with};
use crate::metadata::large_mapping::LargeMapping;
use core::ptr;

/// Frees an object; does nothing for null.
///
/// # Safety
/// - the address came from `allocate`, and the caller gives the object up.
#[inline(always)]
pub(crate) unsafe fn free(address: *mut u8) {
    let cache = thread::cache();
    if let Some(list) = cache.range.slot_list_at(address)
        && cache.push(list, address)
    {
        return;
    }
    // SAFETY: passed on.
    unsafe { free_slow(address) }
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
    thread::with_heap_or_none(|heap, counters, cache| {
        let active = active();
        let found = find(active.header(), counters, user).unwrap_or_else(|fault| abort_with(fault));
        if active.header().is_some() {
            // SAFETY: `find` verified it.
            unsafe { header::mark_freed(user) };
        }
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
    });
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
    match heap {
        Some(heap) if heap.cache.push(class.slot_list(), base) => false,
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
    let mut is_due = false;
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    let drained = heap.make_room(class, &mut objects);
    if drained > 0 {
        heap.cache.returned.add(drained as u64);
        is_due = release::pass_on(active, &heap.counters, class, &objects[..drained]);
    }
    if heap.cache.push(class.slot_list(), object) {
        return is_due;
    }
    heap.cache.returned.add(1);
    // The list is closed, so no thread would take the object from the transfer cache.
    release::give_back(active, &heap.counters, class, &[object]) || is_due
}

/// Frees a mapping without a size class.
fn free_mapping(active: ActiveConfig, counters: &factor::Counters, mapping: &'static LargeMapping) -> bool {
    if !mapping.mark_free() {
        abort_with(Fault::DoubleFree);
    }
    learning::of_free(active, mapping.strategy.get(), || {
        let mut is_due = false;
        let mut evict = |oldest| is_due |= release::give_mapping(active, counters, oldest);
        if mapping.pooled.get() {
            let keep = release::keep(active);
            mapping_pool::give(mapping, keep, evict) || is_due
        } else if active.bigcache_is_ring() && mapping.usable() >= bigcache::BYTES_MIN {
            bigcache::put(&counters.bigcache, mapping, evict);
            is_due
        } else {
            evict(mapping);
            is_due
        }
    })
}
