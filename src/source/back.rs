//! How an object comes back: found by its address, verified, and passed to whoever keeps it or to where it came from; and
//! what of it may be used until then. The fast path of a free is above; here is what it leaves.

use super::heap::Heap;
use super::house::keep_house;
use super::large::Memory;
use super::thread_cache::ThreadCache;
use super::{advise, allocate, arena, central, free, large, learning, map_span, pool, thread};
use crate::class::Class;
use crate::config::{self, ActiveConfig};
use crate::factor::{self, madvise_batch, original};
use crate::fatal::{Fault, die};
use crate::map::{self, Place};
use crate::os;
use crate::page::{Page, Use};
use crate::range;
use crate::request::{Request, Site};
use crate::span::Span;
use core::ptr;

/// An object that is held by a user, found by its address.
enum Found {
    Slot(&'static Page, *mut u8),
    Run(&'static Page, *mut u8),
    Span(&'static Span),
}

/// Finds the object of an address, and verifies its header when there are headers.
fn find(active: ActiveConfig, counters: &factor::Counters, user: *mut u8) -> Result<Found, Fault> {
    match map::look_up(user) {
        Place::Foreign => Err(Fault::Foreign),
        Place::Span(span) => {
            // What has a class begins with the mapping, header and all.
            let own_start = if span.classed.get() { active.header().map_or(0, |form| form.bytes()) } else { 0 };
            if user < span.user.get().wrapping_add(own_start) || (own_start == 0 && user != span.user.get()) {
                return Err(Fault::Interior);
            }
            if !span.is_live() {
                return Err(Fault::DoubleFree);
            }
            if let Some(form) = active.header() {
                // SAFETY: the span's mapping has a header's bytes before the object.
                let prefix = unsafe { original::header::verify(&counters.header, form, user) }?;
                if own_start > 0 && user.wrapping_sub(prefix) != span.user.get() {
                    return Err(Fault::Header);
                }
            }
            Ok(Found::Span(span))
        }
        Place::Page(page) => {
            let usage = page.usage.get();
            if usage == Use::Free {
                return Err(Fault::DoubleFree);
            }
            let mut base = user;
            if let Some(form) = active.header() {
                let room = user.addr() - page.base.get().addr();
                if room < form.bytes() || !user.addr().is_multiple_of(16) {
                    return Err(Fault::Interior);
                }
                // SAFETY: the page is in use, and a header's bytes lie between its start and the address.
                let prefix = unsafe { original::header::verify(&counters.header, form, user) }?;
                if prefix > room {
                    return Err(Fault::Header);
                }
                base = user.wrapping_sub(prefix);
            }
            if !page.starts_at(base) {
                return Err(Fault::Interior);
            }
            Ok(if usage == Use::Slots { Found::Slot(page, base) } else { Found::Run(page, base) })
        }
    }
}

/// Frees what the thread's bin did not take, or what the fast path does not know.
///
/// # Safety
/// - as [`super::free`].
#[cold]
#[inline(never)]
pub(super) unsafe fn free_slow(user: *mut u8) {
    if user.is_null() {
        return;
    }
    thread::with_heap_or_none(|heap, counters, cache| {
        let active = config::active();
        let found = find(active, counters, user).unwrap_or_else(|fault| die(fault));
        if let Some(form) = active.header() {
            // SAFETY: `find` verified it.
            unsafe { original::header::mark_freed(form, user) };
        }
        match found {
            Found::Slot(page, base) | Found::Run(page, base) => {
                match Class::from_index(usize::from(page.class_index.get())) {
                    Some(class) => free_classed(heap, counters, cache, class, base),
                    None => {
                        cache.returned.add(1);
                        timed_free(active, page.strategy.get(), || give_run(active, counters, page));
                    }
                }
            }
            Found::Span(span) => match class_of_mapping(span) {
                Some(class) => free_classed(heap, counters, cache, class, span.user.get()),
                None => {
                    cache.returned.add(1);
                    free_span(active, counters, span);
                }
            },
        }
    });
}

/// The class of an object that is a mapping of its own, if it has one: the mapping is as long as a run of the class.
fn class_of_mapping(span: &Span) -> Option<Class> {
    Class::of(span.mapped.get()).filter(|_| span.classed.get()).map(Class::uncoloured)
}

fn free_classed(
    heap: Option<&'static Heap>,
    counters: &'static factor::Counters,
    cache: &ThreadCache,
    class: Class,
    base: *mut u8,
) {
    match heap {
        Some(heap) if heap.cache.push(class.bin(), base) => {}
        Some(heap) => heap.overflow(class, base),
        None => {
            cache.returned.add(1);
            release(counters, class, &[base]);
        }
    }
}

/// Gives objects of a class back to where they came from.
pub(super) fn release(counters: &factor::Counters, class: Class, objects: &[*mut u8]) {
    let active = config::active();
    if class.is_large() {
        counters.bigcache.evictions.add(objects.len() as u64);
    }
    if !class.is_run() {
        let give = || central::give(counters, class, objects);
        return if class.is_large() { learning(active, counters, give) } else { give() };
    }
    for &object in objects {
        match map::look_up(object) {
            Place::Page(page) if page.usage.get() == Use::Large && page.base.get() == object => {
                learning(active, counters, || give_run(active, counters, page));
            }
            Place::Span(span) if span.user.get() == object && span.retire() => release_span(active, counters, span),
            Place::Page(_) | Place::Span(_) | Place::Foreign => die(Fault::DoubleFree),
        }
    }
}

fn give_run(active: ActiveConfig, counters: &factor::Counters, page: &'static Page) {
    counters.arena.returns.add(u64::from(active.arena()));
    arena::give_run(counters, page);
}

/// Frees what a strategy chose, and adds what that takes to its costs.
fn timed_free(active: ActiveConfig, strategy: u8, free: impl FnOnce()) {
    if active.elo().is_none() {
        return free();
    }
    let start = os::cycles();
    free();
    original::elo::learn_free(strategy, os::cycles().saturating_sub(start));
}

fn free_span(active: ActiveConfig, counters: &'static factor::Counters, span: &'static Span) {
    if !span.retire() {
        die(Fault::DoubleFree);
    }
    timed_free(active, span.strategy.get(), || {
        let evict = |oldest| release_span(active, counters, oldest);
        if span.kept.get() {
            pool::give(span, evict);
            if active.purge().is_some() {
                keep_house(counters);
            }
        } else if active.bigcache_is_ring() && span.usable() >= original::bigcache::BYTES_MIN {
            original::bigcache::put(&counters.bigcache, span, evict);
        } else {
            release_span(active, counters, span);
        }
    });
}

/// The last station of a span.
pub(super) fn release_span(active: ActiveConfig, counters: &factor::Counters, span: &'static Span) {
    match large::forget(span) {
        Memory::Run(page) => give_run(active, counters, page),
        // SAFETY: the span is in no cache, and `forget` took it out of the map.
        Memory::Mapping(base, mapped) if active.madvise_batch() => unsafe {
            madvise_batch::add(&counters.madvise_batch, base, mapped);
        },
        // SAFETY: as above.
        Memory::Mapping(base, mapped) => unsafe { os::unmap(base, mapped) },
    }
}

/// Makes an object longer or shorter, in its place or in another; null when there is no memory, and then it is as it was.
///
/// # Safety
/// - the address came from [`super::allocate`] with this alignment, and nobody else uses the object.
pub(crate) unsafe fn reallocate(user: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    let active = config::active();
    let (usable, held) = room(active, user);
    // In place while at least half of what is held would be used.
    if size <= usable && size >= usable / 2 {
        if let Some(form) = active.header() {
            // SAFETY: `room` verified it.
            unsafe { original::header::resize(form, user, size, held) };
        }
        return user;
    }
    if size > usable
        && let Some(moved) = grow(active, user, align, size)
    {
        return moved;
    }
    let other = allocate(size, align, None);
    if !other.is_null() {
        // SAFETY: both objects hold at least the shorter length, and a new object overlaps no other.
        unsafe { ptr::copy_nonoverlapping(user, other, old_size.min(size)) };
        // SAFETY: the caller gives the old object up.
        unsafe { free(user) };
    }
    other
}

/// Lengthens an object with a mapping of its own by moving the pages.
fn grow(active: ActiveConfig, user: *mut u8, align: usize, size: usize) -> Option<*mut u8> {
    let Place::Span(span) = map::look_up(user) else {
        return None;
    };
    if span.classed.get() || large::run_of(span).is_some() {
        return None;
    }
    let prefix = active.header().map_or(0, |form| form.prefix(align));
    let request = Request { size, align, site: Site::new(span.site.get()) };
    thread::with_heap_or_none(|_, counters, _| {
        let longer = map_span(active, counters, &request, prefix)?;
        if !large::grow_span(span, longer) {
            return None;
        }
        // After the move: the new mapping has come with the advice of the old one, which may have been too short for any.
        advise(active, counters, longer);
        if let Some(form) = active.header() {
            // SAFETY: the header moved along with the pages.
            unsafe { original::header::resize(form, longer.user.get(), size, longer.mapped.get()) };
        }
        Some(longer.user.get())
    })
}

/// Bytes that the object may use, to the end of its slot or mapping; and those that it takes, slot or mapping.
fn room(active: ActiveConfig, user: *mut u8) -> (usize, usize) {
    // Without headers, what has a class starts at its slot, and the bin tells how long that is.
    if let Some(class) = range::bin_at(user).class()
        && active.header().is_none()
    {
        return (class.slot_bytes(), class.slot_bytes());
    }
    thread::with_heap_or_none(|_, counters, _| match find(active, counters, user) {
        Ok(Found::Slot(page, base) | Found::Run(page, base)) => {
            let held = page.slot_bytes.get() as usize;
            (held - (user.addr() - base.addr()), held)
        }
        Ok(Found::Span(span)) => (span.usable() - (user.addr() - span.user.get().addr()), span.mapped.get()),
        Err(fault) => die(fault),
    })
}

/// Bytes that the object may use: at least what was asked for.
pub(crate) fn usable_bytes(address: *mut u8) -> usize {
    room(config::active(), address).0
}

/// Whether the address is that of a live large object, or lies in a page in use.
pub(crate) fn owns(address: *const u8) -> bool {
    match map::look_up(address) {
        Place::Foreign => false,
        Place::Page(page) => page.usage.get() != Use::Free,
        Place::Span(span) => {
            // A header may lie before the object of a span with a class, on the same OS page.
            let is_start = span.user.get().cast_const() == address
                || (span.classed.get()
                    && config::active().header().is_some()
                    && address > span.user.get().cast_const());
            is_start && span.is_live()
        }
    }
}
