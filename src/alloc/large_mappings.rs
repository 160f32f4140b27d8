//! Large objects: mappings for one object each, and runs of arena blocks.
//!
//! The callers decide which of the two serves a request, and where the memory of a freed mapping goes. This file maps
//! memory, places it, fills its record and moves it.

use super::arena;
use super::huge_pages::{self, NewMemory, Policy};
use crate::class::{BLOCK, Class};
use crate::factor::{self, align};
use crate::metadata::allocator;
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::Page;
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::{Kind, SEGMENT};
use crate::os::{self, OS_PAGE};
use crate::request::Request;
use crate::sync::{Lock, global};
use core::ptr;

global! {
    /// Records of mappings that were unmapped, for the next ones.
    static SPARE: Lock<SpareRecords> = Lock::new(SpareRecords { first: None });
}

#[derive(Debug)]
struct SpareRecords {
    first: Option<&'static LargeMapping>,
}

/// Bytes to map for a request; `None` when no mapping can be that long.
fn mapping_bytes(request: &Request) -> Option<usize> {
    // Mappings start at an OS page; stricter alignments need room to move up.
    let slack = if request.align > OS_PAGE { request.align } else { 0 };
    let bytes = request.size.checked_add(request.prefix)?.checked_add(slack)?.checked_next_multiple_of(OS_PAGE)?;
    (bytes <= isize::MAX as usize).then_some(bytes)
}

/// How a mapping is placed, and which advice the kernel gets on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// What starts at a multiple of 2 MiB, if anything.
    pub(super) align: Option<align::Start>,
    /// What the factors say about huge pages.
    pub(super) huge_pages: Policy,
}

/// Maps zeroed memory for a request, and advises the kernel on huge pages.
pub(super) fn map(
    counters: &factor::Counters,
    placement: Placement,
    request: &Request,
) -> Option<&'static LargeMapping> {
    map_unadvised(counters, placement, request).inspect(|mapping| advise(counters, placement, mapping))
}

fn map_unadvised(
    counters: &factor::Counters,
    placement: Placement,
    request: &Request,
) -> Option<&'static LargeMapping> {
    let Some(start) = placement.align else {
        return map_by(request, os::map);
    };
    let lead = align::lead(start, request.size, request.prefix);
    map_by(&Request { prefix: lead.object, ..*request }, |bytes| align::map(&counters.align, bytes, lead.boundary))
}

/// Gives the kernel the advice on a mapping that is new, or that was moved.
fn advise(counters: &factor::Counters, placement: Placement, mapping: &LargeMapping) {
    let (base, bytes) = (mapping.base.get(), mapping.mapped.get());
    // SAFETY: the mapping is the allocator's.
    unsafe { huge_pages::advise(placement.huge_pages, &counters.thp, NewMemory::Mapping, base, bytes) };
}

/// Maps memory for a request and fills its record. `from_os` maps as many zeroed bytes as it is given, or returns null.
fn map_by(request: &Request, from_os: impl FnOnce(usize) -> *mut u8) -> Option<&'static LargeMapping> {
    let mapped = mapping_bytes(request)?;
    let mapping = take_record()?;
    let base = from_os(mapped);
    if base.is_null() {
        give_record(mapping);
        return None;
    }
    describe(mapping, base, mapped, request);
    if !page_map::enter_mapping(mapping.user.get(), mapping) {
        // SAFETY: no other thread has seen the mapping.
        unsafe { os::unmap(base, mapped) };
        give_record(mapping);
        return None;
    }
    Some(mapping)
}

/// Takes a run of blocks and gives it a large-mapping record, so that BigCache can keep it by call site. `None` when no
/// segment can hold it. Returns the record, and whether the memory is known to be zero.
pub(super) fn mapping_of_run(
    counters: &factor::Counters,
    policy: Policy,
    request: &Request,
) -> Option<(&'static LargeMapping, bool)> {
    let bytes = mapping_bytes(request)?;
    if bytes > SEGMENT {
        return None;
    }
    let mapping = take_record()?;
    let Some((page, zeroed)) = arena::take_run(counters, policy, Kind::Large, bytes.div_ceil(BLOCK), bytes) else {
        give_record(mapping);
        return None;
    };
    page.begin_large(None);
    describe(mapping, page.base.get(), bytes, request);
    page.mapping.set(Some(mapping));
    Some((mapping, zeroed))
}

/// Fills the record of a mapping of `bytes` bytes from `base`, which have room for the request and its prefix.
fn describe(mapping: &'static LargeMapping, base: *mut u8, bytes: usize, request: &Request) {
    let offset = (base.addr() + request.prefix).next_multiple_of(request.align) - base.addr();
    mapping.base.set(base);
    mapping.mapped.set(bytes);
    // SAFETY: `mapping_bytes` left room for prefix and alignment.
    mapping.user.set(unsafe { base.add(offset) });
    mapping.site.set(request.site.id());
    mapping.pooled.set(false);
    mapping.size_classed.set(false);
    mapping.mark_live();
}

/// The memory of a large mapping.
#[derive(Clone, Copy, Debug)]
pub(super) enum Memory {
    /// A mapping of its own: first address and bytes.
    Mapping(*mut u8, usize),
    /// Blocks of a segment.
    Run(&'static Page),
}

/// The run of blocks that a mapping consists of; `None` for a mapping of its own.
pub(super) fn run_of(mapping: &'static LargeMapping) -> Option<&'static Page> {
    page_map::page_of(mapping.base.get()).filter(|page| page.mapping.get().is_some_and(|known| ptr::eq(known, mapping)))
}

/// Forgets a mapping and returns its memory, which is now the caller's to give back.
pub(super) fn forget(mapping: &'static LargeMapping) -> Memory {
    let memory = match run_of(mapping) {
        Some(page) => Memory::Run(page),
        None => {
            page_map::remove_mapping(mapping.user.get(), mapping);
            Memory::Mapping(mapping.base.get(), mapping.mapped.get())
        }
    };
    give_record(mapping);
    memory
}

/// Lengthens a live mapping for a request: maps a longer one and moves the OS pages there, so that the object's address
/// changes. Returns the longer mapping. `None` when it cannot be done; the live mapping is then as it was.
pub(super) fn grow(
    counters: &factor::Counters,
    placement: Placement,
    mapping: &'static LargeMapping,
    request: &Request,
) -> Option<&'static LargeMapping> {
    let longer = map_unadvised(counters, placement, request)?;
    if !move_over(mapping, longer) {
        return None;
    }
    // After the move: the OS pages come with the advice of the old mapping, which may have been too short for any.
    advise(counters, placement, longer);
    Some(longer)
}

/// Moves the OS pages of a live mapping over those of a longer one, which no other thread has seen. Returns `false`
/// when it cannot be done; the live mapping is then as it was, and the longer one is gone.
fn move_over(mapping: &'static LargeMapping, longer: &'static LargeMapping) -> bool {
    // Moving keeps offsets, so the object must start at the same offset in both.
    let offset_of = |mapping: &LargeMapping| mapping.user.get().addr() - mapping.base.get().addr();
    if offset_of(mapping) != offset_of(longer) {
        if let Memory::Mapping(base, mapped) = forget(longer) {
            // SAFETY: no other thread has seen it.
            unsafe { os::unmap(base, mapped) };
        }
        return false;
    }
    // Out of the map before the move: the kernel may give the old addresses to another thread right after it.
    page_map::remove_mapping(mapping.user.get(), mapping);
    // SAFETY: the new mapping is unused; the old one's user waits for this call.
    if !unsafe { os::move_pages(mapping.base.get(), mapping.mapped.get(), longer.base.get(), longer.mapped.get()) } {
        // The leaf of the address exists, so this cannot fail.
        page_map::enter_mapping(mapping.user.get(), mapping);
        // The new mapping is given up without unmapping: a call that failed half-way may have unmapped it, and the
        // addresses may be another mapping's by now.
        os::lose(longer.mapped.get());
        forget(longer);
        return false;
    }
    longer.site.set(mapping.site.get());
    longer.strategy.set(mapping.strategy.get());
    longer.pooled.set(mapping.pooled.get());
    longer.size_classed.set(false);
    give_record(mapping);
    true
}

/// Takes a run of blocks for a request; `None` when no segment can hold it. Returns its page, and whether its memory is
/// known to be zero.
pub(super) fn take_run(
    counters: &factor::Counters,
    policy: Policy,
    request: &Request,
) -> Option<(&'static Page, bool)> {
    let bytes = request.size.checked_add(request.prefix)?;
    if bytes > SEGMENT || request.align > BLOCK {
        return None;
    }
    let (page, zeroed) = arena::take_run(counters, policy, Kind::Large, bytes.div_ceil(BLOCK), bytes)?;
    page.begin_large(None);
    Some((page, zeroed))
}

/// Takes a run of blocks as an object of a class. Returns its page, and whether its memory is known to be zero.
pub(super) fn take_size_classed(
    counters: &factor::Counters,
    policy: Policy,
    class: Class,
) -> Option<(&'static Page, bool)> {
    let (page, zeroed) = arena::take_run(counters, policy, Kind::Large, class.blocks(), class.slot_bytes())?;
    page.begin_large(Some(class));
    range::set_slot_list(page.base.get(), class.slot_list());
    Some((page, zeroed))
}

fn take_record() -> Option<&'static LargeMapping> {
    let mut spare = SPARE.lock();
    if let Some(mapping) = spare.first {
        spare.first = mapping.next.take();
        return Some(mapping);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and all zeroes are a dead mapping.
    allocator::allocate::<LargeMapping>().map(|mapping| unsafe { mapping.as_ref() })
}

fn give_record(mapping: &'static LargeMapping) {
    let mut spare = SPARE.lock();
    mapping.mark_free();
    mapping.next.set(spare.first);
    spare.first = Some(mapping);
}
