//! The way of free objects past the caches: to the central free list, the arena, the madvise batch or the OS.
//!
//! The callers pass the levels that they read, and get what waits to be purged then.

use super::large_mappings::{self, Memory};
use super::waiting::Waiting;
use super::{arena, central_free_list, learning, transfer_cache};
use crate::class::Class;
use crate::config::ActiveConfig;
use crate::factor::{self, madvise_batch};
use crate::fatal::{Fault, abort_with};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::{Page, Use};
use crate::metadata::page_map::{self, Place};
use crate::os;

/// Passes objects on that a slot list gave up, to the transfer cache; what that does not take, to where it came from.
pub(super) fn pass_on(active: ActiveConfig, counters: &factor::Counters, class: Class, objects: &[*mut u8]) -> Waiting {
    match transfer_cache::push(class, objects) {
        Some(bytes) => Waiting::in_transfer(bytes),
        None => give_back(active, counters, class, objects),
    }
}

/// Gives objects of a class back to where they came from.
pub(super) fn give_back(
    active: ActiveConfig,
    counters: &factor::Counters,
    class: Class,
    objects: &[*mut u8],
) -> Waiting {
    if class.is_large() {
        counters.bigcache.evictions.add(objects.len() as u64);
    }
    if !class.is_run() {
        let give = || central_free_list::give(counters, class, objects);
        return if class.is_large() { learning::of_plan(active, counters, give) } else { give() };
    }
    let mut waiting = Waiting::NOTHING;
    for &object in objects {
        let after = match page_map::look_up(object) {
            Place::Page(page) if page.usage.get() == Use::Large && page.base.get() == object => {
                learning::of_plan(active, counters, || give_run(active, counters, page))
            }
            Place::Mapping(mapping) if mapping.user.get() == object && mapping.mark_free() => {
                give_mapping(active, counters, mapping)
            }
            Place::Page(_) | Place::Mapping(_) | Place::Foreign => abort_with(Fault::DoubleFree),
        };
        waiting = waiting.or(after);
    }
    waiting
}

/// Gives a run of blocks back to the arena.
pub(super) fn give_run(active: ActiveConfig, counters: &factor::Counters, page: &'static Page) -> Waiting {
    counters.arena.returns.add(u64::from(active.arena()));
    Waiting::in_runs(arena::give_run(page))
}

/// Forgets a large mapping and gives its memory back: the last station.
pub(super) fn give_mapping(
    active: ActiveConfig,
    counters: &factor::Counters,
    mapping: &'static LargeMapping,
) -> Waiting {
    match large_mappings::forget(mapping) {
        Memory::Run(page) => return give_run(active, counters, page),
        // SAFETY: the mapping is in no cache, and `forget` took it out of the page map.
        Memory::Mapping(base, mapped) if active.madvise_batch() => unsafe {
            madvise_batch::add(&counters.madvise_batch, base, mapped);
        },
        // SAFETY: as above.
        Memory::Mapping(base, mapped) => unsafe { os::unmap(base, mapped) },
    }
    Waiting::NOTHING
}
