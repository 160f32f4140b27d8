//! Large objects: mappings for one object each, and runs of arena blocks.
//!
//! The callers decide which of the two serves a request, and where the memory of a freed mapping goes. This file maps
//! memory, places it, fills its record and moves it.

use super::arena::{self, Place};
use super::huge_pages::{self, Policy};
use crate::class::{BLOCK, Class, SEGMENT_BLOCKS, SlotListOffset};
use crate::factor::{self, align};
use crate::metadata::allocator;
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::Page;
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::{HALF_BLOCKS, Kind, SEGMENT};
use crate::os::{self, HUGE_PAGE, OS_PAGE};
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

/// How a mapping is placed, and which advice the kernel gets on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// What starts at a multiple of 2 MiB, if anything.
    pub(super) align: Option<align::Start>,
    /// What the factors say about huge pages.
    pub(super) huge_pages: Policy,
}

/// How a request lies in a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Bytes to map, whole OS pages.
    pub(super) bytes: usize,
    /// Least bytes before the object.
    before: usize,
    /// Alignment of the object.
    align: usize,
    /// The address `at` bytes in is to be a multiple of `multiple`, both whole OS pages.
    at: usize,
    multiple: usize,
    /// Whether the factor `align` wants that.
    is_wanted: bool,
    /// Whether the object needs that.
    is_needed: bool,
}

impl Shape {
    /// The shape of a request; `None` when no mapping can be that long.
    pub(super) fn of(placement: Placement, request: &Request) -> Option<Shape> {
        let Request { size, align, prefix, .. } = *request;
        // Mappings start at an OS page. A stricter alignment leaves an OS page before the object for its header, and so
        // no more addresses than the object's own.
        let is_strict = align > OS_PAGE;
        let prefix = if is_strict { prefix.min(OS_PAGE) } else { prefix };
        let lead = placement.align.map(|start| align::lead(start, size, prefix));
        let before = if is_strict { prefix.next_multiple_of(OS_PAGE) } else { lead.map_or(prefix, |lead| lead.object) };
        let bytes = size.checked_add(before)?.checked_next_multiple_of(OS_PAGE)?;
        let mut at = lead.map_or(0, |lead| lead.boundary);
        if is_strict {
            at = before;
        }
        let is_wanted = lead.is_some() && bytes - at >= HUGE_PAGE;
        let least = if is_wanted { HUGE_PAGE } else { OS_PAGE };
        let mut shape = Shape { bytes, before, align, at, multiple: least.max(align), is_wanted, is_needed: is_strict };
        if is_strict && !align::can_cut() {
            // Room to move up.
            shape = Shape { bytes: bytes.checked_add(align)?, at: 0, multiple: OS_PAGE, ..shape };
            (shape.is_wanted, shape.is_needed) = (false, false);
        }
        let most = shape.bytes.checked_add(shape.multiple)?;
        (most <= isize::MAX as usize).then_some(shape)
    }

    /// The shape, longer by less than a huge page, so that the mapping ends where a huge page does.
    pub(super) fn rounded(self) -> Shape {
        Shape { bytes: (self.bytes - self.at).next_multiple_of(HUGE_PAGE) + self.at, ..self }
    }

    /// Where a mapping of this shape can start within `bytes` bytes from the address `base`, a multiple of the OS page.
    pub(super) fn start_in(&self, base: usize, bytes: usize) -> Option<usize> {
        let room = bytes.checked_sub(self.bytes)?;
        let start = (base + self.at).checked_next_multiple_of(self.multiple)? - self.at;
        if start - base <= room {
            return Some(start);
        }
        (!self.is_needed).then_some(base)
    }

    /// The object's address in a mapping that starts at `base`.
    pub(super) fn object_in(&self, base: *mut u8) -> *mut u8 {
        let offset = (base.addr() + self.before).next_multiple_of(self.align) - base.addr();
        base.wrapping_add(offset)
    }

    /// Maps zeroed memory of this shape, or returns null.
    fn map(&self, counters: &factor::Counters) -> *mut u8 {
        if self.is_wanted {
            let base = align::map(&counters.align, self.bytes, self.at, self.multiple);
            if base.is_null() || !self.is_needed || self.object_in(base) == base.wrapping_add(self.before) {
                return base;
            }
            // The kernel refused a longer mapping, so the object cannot be aligned.
            // SAFETY: the mapping is new, and no other code knows its address.
            unsafe { os::unmap(base, self.bytes) };
            return ptr::null_mut();
        }
        if self.is_needed { align::map_at(self.bytes, self.at, self.multiple).base } else { os::map(self.bytes) }
    }
}

/// Maps zeroed memory for a request, and advises the kernel on huge pages.
pub(super) fn map(
    counters: &factor::Counters,
    placement: Placement,
    request: &Request,
) -> Option<&'static LargeMapping> {
    map_shape(counters, placement, &Shape::of(placement, request)?, request)
}

/// As [`map`], for a request whose shape is known.
pub(super) fn map_shape(
    counters: &factor::Counters,
    placement: Placement,
    shape: &Shape,
    request: &Request,
) -> Option<&'static LargeMapping> {
    map_unadvised(counters, shape, request).inspect(|mapping| advise(counters, placement, mapping))
}

/// Gives the kernel the advice on a mapping that is new, or that was moved or lengthened. Its length is that of its object.
pub(super) fn advise(counters: &factor::Counters, placement: Placement, mapping: &LargeMapping) {
    // Parts of a longer mapping may have other advice, or were too short for any.
    advise_where(counters, placement, mapping, (!mapping.is_huge.get()).then_some(false));
}

/// Gives the kernel the advice on a mapping, where it differs from the last advice on all of it.
fn advise_where(counters: &factor::Counters, placement: Placement, mapping: &LargeMapping, was_huge: Option<bool>) {
    let (base, bytes) = (mapping.base.get(), mapping.mapped.get());
    // SAFETY: the mapping is the allocator's.
    let is_huge = unsafe { huge_pages::advise_mapping(placement.huge_pages, &counters.thp, base, bytes, was_huge) };
    mapping.is_huge.set(is_huge);
}

/// Judges a mapping that waited in the pool, by what became of its last object, and advises the kernel anew. A mapping of
/// which little was used gives that little back, with its huge pages, so that its next object holds what it touches.
/// Returns whether its memory is zero.
pub(super) fn begin_reuse(
    counters: &factor::Counters,
    placement: Placement,
    mapping: &LargeMapping,
    Reuse { zeroed, is_joined, reuses, may_clear, is_empty }: Reuse,
) -> bool {
    if is_empty {
        // Nothing is left of its last object. The advice on it holds, but where parts of it had different advice.
        if is_joined {
            advise(counters, placement, mapping);
        }
        return true;
    }
    // A look costs as much as ten requests that touch nothing, and little beside a huge page that is made zero.
    let was_huge = mapping.is_huge.get();
    let unseen = if zeroed { ZEROED_UNSEEN_MAX } else { REUSES_UNSEEN_MAX };
    let is_due = (zeroed && was_huge) || reuses.is_power_of_two() || reuses.is_multiple_of(unseen);
    match (is_joined, may_clear && is_due) {
        (true, _) => advise(counters, placement, mapping),
        (false, true) => advise_where(counters, placement, mapping, Some(was_huge)),
        (false, false) if zeroed => {}
        (false, false) => return false,
    }
    let is_cleared =
        may_clear && placement.huge_pages.is_by_density() && !mapping.is_huge.get() && (was_huge || zeroed);
    // SAFETY: the mapping holds no object.
    is_cleared && unsafe { os::decommit(mapping.base.get(), mapping.mapped.get()) }
}

/// Mappings that are used again, at most, between two looks at what became of one.
const REUSES_UNSEEN_MAX: u32 = 16;
/// As many of those whose memory is made zero by the OS: what is written as a whole takes 512 page faults in each 2 MiB
/// until it is seen.
const ZEROED_UNSEEN_MAX: u32 = 4;

/// What is known of a mapping that is used again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reuse {
    /// Whether its object is to be zero.
    pub(super) zeroed: bool,
    /// Whether it was joined of several.
    pub(super) is_joined: bool,
    /// How many mappings were used again so far.
    pub(super) reuses: u32,
    /// Whether what is in it may be given back.
    pub(super) may_clear: bool,
    /// Whether its memory was given back while it waited.
    pub(super) is_empty: bool,
}

/// Maps memory for a request and fills its record.
fn map_unadvised(counters: &factor::Counters, shape: &Shape, request: &Request) -> Option<&'static LargeMapping> {
    let mapping = take_record()?;
    let base = shape.map(counters);
    if base.is_null() {
        give_record(mapping);
        return None;
    }
    describe(mapping, base, shape.bytes, shape.object_in(base), request.site.id());
    mapping.mark_live(request.size);
    mapping.is_joined.set(false);
    mapping.is_huge.set(false);
    if !page_map::enter_mapping(mapping.user.get(), mapping) {
        // SAFETY: no other thread has seen the mapping.
        unsafe { os::unmap(base, shape.bytes) };
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
    // Runs start at a block; stricter alignments need room to move up.
    let slack = if request.align > BLOCK { request.align } else { 0 };
    let bytes = request.size.checked_add(request.prefix)?.checked_add(slack)?.checked_next_multiple_of(OS_PAGE)?;
    if bytes > SEGMENT {
        return None;
    }
    let mapping = take_record()?;
    let Some((page, zeroed)) = arena::take_run(counters, policy, Kind::Large, bytes.div_ceil(BLOCK), bytes) else {
        give_record(mapping);
        return None;
    };
    page.begin_large(None);
    let base = page.base.get();
    let offset = (base.addr() + request.prefix).next_multiple_of(request.align) - base.addr();
    describe(mapping, base, bytes, base.wrapping_add(offset), request.site.id());
    mapping.mark_live(request.size);
    mapping.is_joined.set(false);
    page.mapping.set(Some(mapping));
    Some((mapping, zeroed))
}

/// Fills the record of a mapping of `bytes` bytes from `base`, whose object is at `user`, and was allocated at this site.
pub(super) fn describe(mapping: &'static LargeMapping, base: *mut u8, bytes: usize, user: *mut u8, site: usize) {
    mapping.base.set(base);
    mapping.mapped.set(bytes);
    mapping.user.set(user);
    mapping.site.set(site);
    mapping.pooled.set(false);
    mapping.size_classed.set(false);
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

/// Lengthens a live mapping to `bytes` bytes in its place. Returns `false` where the kernel has no room behind it.
pub(super) fn extend(mapping: &'static LargeMapping, bytes: usize) -> bool {
    // SAFETY: the mapping is the allocator's.
    let is_longer = !mapping.is_joined.get() && unsafe { os::extend(mapping.base.get(), mapping.mapped.get(), bytes) };
    if is_longer {
        mapping.mapped.set(bytes);
    }
    is_longer
}

/// Lengthens a live mapping for a request: maps a longer one and moves the OS pages there, so that the object's address
/// changes. Returns the longer mapping. `None` when it cannot be done; the live mapping is then as it was.
pub(super) fn grow(
    counters: &factor::Counters,
    placement: Placement,
    mapping: &'static LargeMapping,
    request: &Request,
) -> Option<&'static LargeMapping> {
    if mapping.is_joined.get() {
        return None;
    }
    let longer = map_unadvised(counters, &Shape::of(placement, request)?, request)?;
    if !move_over(mapping, longer) {
        return None;
    }
    longer.is_huge.set(mapping.is_huge.get());
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
    if bytes > SEGMENT || request.align > HALF_BLOCKS * BLOCK {
        return None;
    }
    let blocks = bytes.div_ceil(BLOCK);
    let step = request.align.div_ceil(BLOCK);
    let at = |place| arena::take_run_at(counters, policy, blocks, place, bytes);
    let roomy = request.grows.then(|| {
        // As much room again, so that it is moved at most once per doubling. Where a huge page fits, at a huge page.
        let room = (2 * blocks).min(SEGMENT_BLOCKS);
        at(Place { step: if room >= HALF_BLOCKS { HALF_BLOCKS } else { step }, room })
    });
    let run = roomy.flatten().or_else(|| match step {
        0 | 1 => arena::take_run(counters, policy, Kind::Large, blocks, bytes),
        _ => at(Place { step, room: blocks }),
    });
    let (page, zeroed) = run?;
    page.begin_large(None);
    Some((page, zeroed))
}

/// Takes a run of blocks as an object of a class. Returns its page, and whether its memory is known to be zero.
pub(super) fn take_size_classed(
    counters: &factor::Counters,
    policy: Policy,
    class: Class,
) -> Option<(&'static Page, bool)> {
    arena::take_run(counters, policy, Kind::Large, class.blocks(), class.slot_bytes()).map(|run| begin(class, run))
}

/// As [`take_size_classed`], for a request of a stricter alignment, up to half a segment's. It may be much shorter than
/// the run, which then is no reason for a huge page.
pub(super) fn take_size_classed_at(
    counters: &factor::Counters,
    policy: Policy,
    class: Class,
    request: &Request,
) -> Option<(&'static Page, bool)> {
    let place = Place { step: request.align.div_ceil(BLOCK), room: class.blocks() };
    arena::take_run_at(counters, policy, class.blocks(), place, request.size).map(|run| begin(class, run))
}

/// Makes a new run an object of a class.
fn begin(class: Class, run: (&'static Page, bool)) -> (&'static Page, bool) {
    run.0.begin_large(Some(class));
    range::set_slot_list(run.0.base.get(), class.slot_list());
    run
}

/// Lengthens a live run to `blocks` blocks in its place. It has no class then: no request of its length may come again.
/// Returns `false` where the blocks behind it are not free.
pub(super) fn extend_run(page: &'static Page, blocks: usize) -> bool {
    let is_longer = arena::extend_run(page, blocks);
    if is_longer {
        range::set_slot_list(page.base.get(), SlotListOffset::NONE);
        page.begin_large(None);
    }
    is_longer
}

/// Shortens a live run to `blocks` blocks in its place. It has no class then, as above. Returns whether the purge is due.
pub(super) fn cut_run(page: &'static Page, blocks: usize) -> bool {
    let is_due = arena::cut_run(page, blocks);
    range::set_slot_list(page.base.get(), SlotListOffset::NONE);
    page.begin_large(None);
    is_due
}

/// A record that describes no mapping; `None` when there is no memory for one.
pub(super) fn take_record() -> Option<&'static LargeMapping> {
    let mut spare = SPARE.lock();
    if let Some(mapping) = spare.first {
        spare.first = mapping.next.take();
        return Some(mapping);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and all zeroes are a dead mapping.
    allocator::allocate::<LargeMapping>().map(|mapping| unsafe { mapping.as_ref() })
}

/// Gives a record up, which describes no mapping any more.
pub(super) fn give_record(mapping: &'static LargeMapping) {
    let mut spare = SPARE.lock();
    mapping.mark_free();
    mapping.next.set(spare.first);
    spare.first = Some(mapping);
}
