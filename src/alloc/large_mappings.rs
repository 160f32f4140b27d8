//! Large objects: spans mapped for one object, and runs of units of the arena.
//!
//! Which of the two serves a request is decided above. A span that is freed goes to whoever the caller names (a cache, the
//! batch, the OS); this file only maps, describes and unmaps.

use super::arena;
use crate::class::{Class, UNIT};
use crate::factor;
use crate::metadata::allocator;
use crate::metadata::large_mapping::Span;
use crate::metadata::page::{Kind, Page, SEGMENT};
use crate::metadata::page_map;
use crate::metadata::range;
use crate::os::{self, OS_PAGE};
use crate::request::Request;
use crate::sync::{Lock, global, held_at_fork};
use core::ptr;

global! {
    /// Records of spans that are gone, for the next ones.
    static SPARE: Lock<SpareSpans> = Lock::new(SpareSpans { first: None });
}

#[derive(Debug)]
struct SpareSpans {
    first: Option<&'static Span>,
}

/// Bytes to map for an object whose user part starts `prefix` bytes in; `None` when no mapping can be that long.
fn mapping_bytes(request: &Request, prefix: usize) -> Option<usize> {
    // Mappings start at an OS page; stricter alignments need room to move up.
    let slack = if request.align > OS_PAGE { request.align } else { 0 };
    let bytes = request.size.checked_add(prefix)?.checked_add(slack)?.checked_next_multiple_of(OS_PAGE)?;
    (bytes <= isize::MAX as usize).then_some(bytes)
}

/// Maps a span for a request, its user part at least `prefix` bytes in. `from_os` gets bytes and returns as
/// many that are zero, or null.
pub(crate) fn map_span(
    request: &Request,
    prefix: usize,
    from_os: impl FnOnce(usize) -> *mut u8,
) -> Option<&'static Span> {
    let mapped = mapping_bytes(request, prefix)?;
    let span = take_record()?;
    let base = from_os(mapped);
    if base.is_null() {
        give_record(span);
        return None;
    }
    describe(span, base, mapped, request, prefix);
    if !page_map::enter_span(span.user.get(), span) {
        // SAFETY: nobody has seen the mapping.
        unsafe { os::unmap(base, mapped) };
        give_record(span);
        return None;
    }
    Some(span)
}

/// Makes a run of units a span for a request, if a segment can hold it. Says whether its memory is known to be zero.
pub(crate) fn span_of_run(
    counters: &factor::Counters,
    request: &Request,
    prefix: usize,
) -> Option<(&'static Span, bool)> {
    let bytes = mapping_bytes(request, prefix)?;
    if bytes > SEGMENT {
        return None;
    }
    let span = take_record()?;
    let Some((page, zeroed)) = arena::take_run(counters, Kind::Large, bytes.div_ceil(UNIT), bytes) else {
        give_record(span);
        return None;
    };
    page.begin_large(None);
    describe(span, page.base.get(), bytes, request, prefix);
    page.span.set(Some(span));
    Some((span, zeroed))
}

/// Fills the record of a span in whose memory the request and so many bytes before it have room.
fn describe(span: &'static Span, base: *mut u8, bytes: usize, request: &Request, prefix: usize) {
    let offset = (base.addr() + prefix).next_multiple_of(request.align) - base.addr();
    span.base.set(base);
    span.mapped.set(bytes);
    // SAFETY: `mapping_bytes` left room for prefix and alignment.
    span.user.set(unsafe { base.add(offset) });
    span.site.set(request.site.id());
    span.kept.set(false);
    span.classed.set(false);
    span.revive();
}

/// What a span was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory {
    /// A mapping of its own.
    Mapping(*mut u8, usize),
    /// Units of a segment.
    Run(&'static Page),
}

/// The run that a span was made of, if it was.
pub(crate) fn run_of(span: &'static Span) -> Option<&'static Page> {
    page_map::page_of(span.base.get()).filter(|page| page.span.get().is_some_and(|known| ptr::eq(known, span)))
}

/// Forgets a span and returns its memory, which is now the caller's to give back.
pub(crate) fn forget(span: &'static Span) -> Memory {
    let memory = match run_of(span) {
        Some(page) => Memory::Run(page),
        None => {
            page_map::remove_span(span.user.get(), span);
            Memory::Mapping(span.base.get(), span.mapped.get())
        }
    };
    give_record(span);
    memory
}

/// Moves the pages of a live mapping over those of a longer one that nobody has seen, so that the user's address changes.
/// Returns whether it was done; else the live span is as it was, and the longer one is gone.
pub(crate) fn grow_span(span: &'static Span, longer: &'static Span) -> bool {
    // Moving keeps offsets, so the user's part must start as far in as before.
    let offset_of = |span: &Span| span.user.get().addr() - span.base.get().addr();
    if offset_of(span) != offset_of(longer) {
        if let Memory::Mapping(base, mapped) = forget(longer) {
            // SAFETY: nobody has seen it.
            unsafe { os::unmap(base, mapped) };
        }
        return false;
    }
    // Out of the map before the move: the kernel may give the old addresses to another thread right after it.
    page_map::remove_span(span.user.get(), span);
    // SAFETY: the new mapping is ours and unused; the old one's user waits for us.
    if !unsafe { os::move_pages(span.base.get(), span.mapped.get(), longer.base.get(), longer.mapped.get()) } {
        // The leaf is there, so this cannot fail.
        page_map::enter_span(span.user.get(), span);
        // The new mapping stays, untouched: a call that failed half-way may have unmapped it, and then the addresses are
        // somebody else's by now.
        forget(longer);
        return false;
    }
    longer.site.set(span.site.get());
    longer.strategy.set(span.strategy.get());
    longer.kept.set(span.kept.get());
    longer.classed.set(false);
    give_record(span);
    true
}

/// Takes a run of units for a request, if segments can hold it. Says whether its memory is known to be zero.
pub(crate) fn take_run(counters: &factor::Counters, request: &Request, prefix: usize) -> Option<(&'static Page, bool)> {
    let bytes = request.size.checked_add(prefix)?;
    if bytes > SEGMENT || request.align > UNIT {
        return None;
    }
    let (page, zeroed) = arena::take_run(counters, Kind::Large, bytes.div_ceil(UNIT), bytes)?;
    page.begin_large(None);
    Some((page, zeroed))
}

/// Takes a run of units that is an object of a class. Says whether its memory is known to be zero.
pub(crate) fn take_classed(counters: &factor::Counters, class: Class) -> Option<(&'static Page, bool)> {
    let (page, zeroed) = arena::take_run(counters, Kind::Large, class.units(), class.slot_bytes())?;
    page.begin_large(Some(class));
    range::set_bin(page.base.get(), class.bin());
    Some((page, zeroed))
}

fn take_record() -> Option<&'static Span> {
    let mut spare = SPARE.lock();
    if let Some(span) = spare.first {
        spare.first = span.next.take();
        return Some(span);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and all zeroes are a dead span.
    allocator::allocate::<Span>().map(|span| unsafe { span.as_ref() })
}

fn give_record(span: &'static Span) {
    let mut spare = SPARE.lock();
    span.retire();
    span.next.set(spare.first);
    spare.first = Some(span);
}

held_at_fork!(SPARE);
