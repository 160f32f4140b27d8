//! Large objects: mappings for one object each, and runs of arena blocks.
//!
//! Which of the two serves a request is decided above, and so is where the memory of a freed mapping goes. This file maps,
//! places, describes and moves.

use super::arena;
use super::huge_pages::{self, New, Policy};
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
use crate::sync::{Lock, global, held_at_fork};
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

/// How a mapping is placed, and what the kernel is told about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// What starts at a multiple of 2 MiB, if anything.
    pub(super) align: Option<align::Start>,
    /// What the factors say of huge pages.
    pub(super) huge_pages: Policy,
}

/// Maps zeroed memory for a request, and tells the kernel about huge pages.
pub(super) fn map(
    counters: &factor::Counters,
    placement: Placement,
    request: &Request,
) -> Option<&'static LargeMapping> {
    map_untold(counters, placement, request).inspect(|mapping| tell(counters, placement, mapping))
}

fn map_untold(counters: &factor::Counters, placement: Placement, request: &Request) -> Option<&'static LargeMapping> {
    let Some(start) = placement.align else {
        return map_by(request, os::map);
    };
    let lead = align::lead(start, request.size, request.prefix);
    map_by(&Request { prefix: lead.object, ..*request }, |bytes| align::map(&counters.align, bytes, lead.boundary))
}

/// Tells the kernel whether huge pages are wanted behind a mapping that is new, or that moved.
fn tell(counters: &factor::Counters, placement: Placement, mapping: &LargeMapping) {
    let (base, bytes) = (mapping.base.get(), mapping.mapped.get());
    // SAFETY: the mapping is ours.
    unsafe { huge_pages::advise(placement.huge_pages, &counters.thp, New::Mapping, base, bytes) };
}

/// Maps and describes memory for a request. `from_os` gets bytes and returns as many that are zero, or null.
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

/// Takes a run of blocks and describes it as a mapping for a request, so that BigCache can keep it by call site, if a segment
/// can hold it. Returns it, and whether its memory is known to be zero.
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

/// Fills the record of a mapping whose memory, so many bytes, has room for the request and its prefix.
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

/// What a mapping was made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Memory {
    /// A mapping of its own.
    Mapping(*mut u8, usize),
    /// Blocks of a segment.
    Run(&'static Page),
}

/// The run that a mapping was made of, if it was.
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

/// Lengthens a live mapping for a request: maps a longer one and moves the OS pages over it, so that the object's address
/// changes. Returns the longer mapping; `None` when it could not be done, and then the live mapping is as it was.
pub(super) fn grow(
    counters: &factor::Counters,
    placement: Placement,
    mapping: &'static LargeMapping,
    request: &Request,
) -> Option<&'static LargeMapping> {
    let longer = map_untold(counters, placement, request)?;
    if !move_over(mapping, longer) {
        return None;
    }
    // After the move: the OS pages have come with the advice of the old mapping, which may have been too short for any.
    tell(counters, placement, longer);
    Some(longer)
}

/// Moves the OS pages of a live mapping over those of a longer one that no other thread has seen. Returns whether it was done;
/// else the live mapping is as it was, and the longer one is gone.
fn move_over(mapping: &'static LargeMapping, longer: &'static LargeMapping) -> bool {
    // Moving keeps offsets, so the user's part must start as far in as before.
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
    // SAFETY: the new mapping is ours and unused; the old one's user waits for us.
    if !unsafe { os::move_pages(mapping.base.get(), mapping.mapped.get(), longer.base.get(), longer.mapped.get()) } {
        // The leaf is there, so this cannot fail.
        page_map::enter_mapping(mapping.user.get(), mapping);
        // The new mapping stays, untouched: a call that failed half-way may have unmapped it, and then the addresses may
        // be another mapping's by now.
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

/// Takes a run of blocks for a request, if segments can hold it. Returns it, and whether its memory is known to be zero.
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

/// Takes a run of blocks that is an object of a class. Returns it, and whether its memory is known to be zero.
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

held_at_fork!(SPARE);
