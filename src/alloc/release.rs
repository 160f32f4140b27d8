//! Gives free objects back past the caches: to the central free list, the arena, the madvise batch or the OS.
//!
//! The callers pass the levels that they read. Every function returns whether the background purge is due, which means
//! that enough memory waits at a station.

use super::large_mappings::{self, Memory};
use super::mapping_pool::Keep;
use super::{arena, central_free_list, learning, mapping_pool, transfer_cache};
use crate::class::{BLOCK, Class, Owner};
use crate::config::ActiveConfig;
use crate::factor::purge::When;
use crate::factor::{self, guard_pages, madvise_batch, zero_free};
use crate::fatal::{self, Call, Fault};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::{Page, Use};
use crate::metadata::page_map::{self, Place};
use crate::os;

/// Passes the objects that a slot list gave up to the transfer cache, for threads of the owner. What that does not take goes back to where it
/// came from.
pub(super) fn pass_on(
    active: ActiveConfig,
    counters: &factor::Counters,
    class: Class,
    owner: Owner,
    objects: &[*mut u8],
) -> bool {
    transfer_cache::push(class, owner, objects).unwrap_or_else(|| give_back(active, counters, class, objects))
}

/// Gives objects of a class back to where they came from: pages, the arena, or the OS.
pub(super) fn give_back(active: ActiveConfig, counters: &factor::Counters, class: Class, objects: &[*mut u8]) -> bool {
    if class.is_large() {
        counters.bigcache.evictions.add(objects.len() as u64);
    }
    if !class.is_run() {
        let give = || {
            let mut pages_are_due = false;
            let evict = |page| pages_are_due |= give_page(active, counters, class, page);
            let slots_are_due = central_free_list::give(class, objects, evict);
            pages_are_due || slots_are_due
        };
        return if class.is_large() { learning::of_plan(active, counters, give) } else { give() };
    }
    let mut is_due = false;
    for &object in objects {
        is_due |= match page_map::look_up(object) {
            Place::Page(page) if page.usage.get() == Use::Large && page.base.get() == object => {
                learning::of_plan(active, counters, || give_run(active, counters, page))
            }
            Place::Mapping(mapping) if mapping.user.get() == object && mapping.mark_free() => {
                give_mapping(active, counters, mapping)
            }
            Place::Page(_) | Place::Mapping(_) | Place::Foreign => {
                fatal::note(Fault::DoubleFree, Call::Free);
                false
            }
        };
    }
    is_due
}

/// Gives a page of slots, of which none is in use, back to the arena.
pub(super) fn give_page(active: ActiveConfig, counters: &factor::Counters, class: Class, page: &'static Page) -> bool {
    counters.arena.returns.add(u64::from(class.is_large()));
    give_blocks(active, counters, page)
}

/// Gives a run of blocks, which was one large object, back to the arena.
pub(super) fn give_run(active: ActiveConfig, counters: &factor::Counters, page: &'static Page) -> bool {
    counters.arena.returns.add(u64::from(active.arena()));
    give_blocks(active, counters, page)
}

/// Gives blocks back to the arena, and with `HAKMEM_PURGE=immediate` all that waits there to the OS. The purge is part
/// of the free, so that the factor `elo`, which measures the callers, sees what it costs.
fn give_blocks(active: ActiveConfig, counters: &factor::Counters, page: &'static Page) -> bool {
    let (base, bytes) = (page.base.get(), usize::from(page.blocks.get()) * BLOCK);
    if active.guard_pages() && page.usage.get() == Use::Slots {
        // SAFETY: the page has no used slot.
        unsafe { guard_pages::remove_all(base, bytes) };
    }
    if active.zero_free() || active.canary() {
        // What is handed out next has another shape, and must not find contents, marks and seals in its midst.
        // SAFETY: the blocks are free.
        unsafe { zero_free::clear(base, bytes, true) };
    }
    let is_due = arena::give_run(page);
    if active.purge() == Some(When::AtOnce) {
        arena::purge_older_than(counters, 0, false, || true);
    }
    is_due
}

/// Gives back the last blocks of a live run, which keeps its first `blocks` blocks. Returns whether the purge is due.
///
/// # Safety
/// - nothing is in what is given back.
pub(super) unsafe fn cut_run(active: ActiveConfig, page: &'static Page, blocks: usize) -> bool {
    if active.zero_free() || active.canary() {
        let bytes = (usize::from(page.blocks.get()) - blocks) * BLOCK;
        // As in `give_blocks`.
        // SAFETY: the caller's promise.
        unsafe { zero_free::clear(page.base.get().wrapping_add(blocks * BLOCK), bytes, true) };
    }
    large_mappings::cut_run(page, blocks)
}

/// What the mapping pool keeps of what is freed. Hardening looks later whether anything was written to it.
pub(super) fn keep(active: ActiveConfig) -> Keep {
    match active.purge() {
        Some(When::ByTime) if active.is_hardened() => Keep::ForEpochs,
        Some(When::ByTime) => Keep::Wanted,
        Some(When::AtOnce) if !active.is_hardened() => Keep::Addresses,
        Some(When::AtOnce) | None => Keep::ForEver,
    }
}

/// Forgets a large mapping and gives its memory back to the arena, the madvise batch or the OS.
pub(super) fn give_mapping(active: ActiveConfig, counters: &factor::Counters, mapping: &'static LargeMapping) -> bool {
    match large_mappings::forget(mapping) {
        Memory::Run(page) => return give_run(active, counters, page),
        // SAFETY: the mapping is in no cache, and `forget` took it out of the page map.
        Memory::Mapping(base, mapped) if active.madvise_batch() => unsafe {
            madvise_batch::add(&counters.madvise_batch, base, mapped);
        },
        // SAFETY: as above.
        Memory::Mapping(base, mapped) => unsafe { os::unmap(base, mapped) },
    }
    false
}

/// Gives back the end of a live mapping, which keeps its first `bytes` bytes.
///
/// # Safety
/// - nothing is in the end, and `bytes` are whole OS pages.
pub(super) unsafe fn cut_mapping(mapping: &'static LargeMapping, bytes: usize) {
    let cut = mapping.mapped.get() - bytes;
    mapping.mapped.set(bytes);
    if mapping.pooled.get() {
        mapping_pool::note_cut(cut);
    }
    // At once, past the madvise batch: the program is short of memory, or it would not shorten an object.
    // SAFETY: the caller's promise; no record covers the end any more.
    unsafe { os::unmap(mapping.base.get().wrapping_add(bytes), cut) };
}
