//! How an object's size changes: in its place, by moving the OS pages of its mapping, or as a copy.
//!
//! | object | shorter | longer |
//! |---|---|---|
//! | a slot | in place down to three quarters, up to 1 KiB down to a half, else a copy | a copy; from 56 KiB on as a run with room behind it |
//! | a run of blocks | in place down to a half, its last blocks are free then; else a copy | takes the blocks behind it, if they are free, else a copy |
//! | a mapping of its own | in place above 4 MiB, or down to a half; a tail of 1 MiB goes back to the OS | takes what the pool has behind it, or addresses that are free; else its OS pages move to a longer mapping |
//!
//! Objects that grow step by step get more addresses than they asked for when they move, so that they move seldom. The
//! memory comes as it is touched.

use super::allocate::{allocate, allocate_to_grow};
use super::free::free;
use super::inspect::{Lengths, known_lengths, lengths};
use super::stations::{NO_STRATEGY, placement};
use super::thread::Access;
use super::{bypass, deferred_frees, hardening, large_mappings, mapping_pool, release, thread};
use crate::class::{BLOCK, CLASS_BYTES_MAX, SMALL_BYTES_MAX, SlotListOffset};
use crate::config::{ActiveConfig, active};
use crate::factor::original::header;
use crate::factor::{self, align, free_check, purge};
use crate::fatal::{self, Call, Fault};
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::{Page, Use};
use crate::metadata::page_map::{self, Place};
use crate::metadata::range;
use crate::metadata::segment::SEGMENT;
use crate::os::{HUGE_PAGE, OS_PAGE};
use crate::request::{Request, Site};
use core::ptr;

/// Least bytes of a tail that are worth a system call and the page faults of a later growth.
const TAIL_BYTES_MIN: usize = 1 << 20;
/// Bytes of a slot from which on a copy is made for a quarter of it.
const QUARTERED_BYTES_MIN: usize = 1 << 10;
/// Least bytes of an object that, once it was copied into a longer one, does not wait for a request of its length.
const OUTGROWN_BYTES_MIN: usize = 256 << 10;
/// Most addresses that a growing mapping gets beyond what was asked for.
const SPARE_BYTES_MAX: usize = 1 << 30;

/// Changes an object's size to `size` bytes, in its place or elsewhere. Of an object that moves, `old_size` bytes are kept,
/// or all usable ones where it has fewer. Returns null when there is no memory; the object is then as it was.
///
/// # Safety
/// - the address came from `allocate` with this alignment, and no other thread uses the object.
pub(crate) unsafe fn reallocate(user: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    let active = active();
    if active.is_hardened() {
        // SAFETY: passed on.
        return unsafe { reallocate_hardened(active, user, old_size, align, size) };
    }
    // SAFETY: passed on.
    let known = unsafe { known_lengths(active, user) };
    let lengths = known.unwrap_or_else(|| lengths(active, user, Call::Realloc));
    let Lengths { usable, held } = lengths;
    let place = if usable > SMALL_BYTES_MAX { large_place(user) } else { Large::No };
    if size <= usable {
        // SAFETY: the object is the caller's, who gives up what is beyond the size.
        if unsafe { shorten(active, user, size, usable, place) } {
            return user;
        }
        if size >= usable - spare_of(usable, place) {
            // The bypass's objects have its own header alone.
            if let Some(form) = active.header().filter(|_| !bypass::owns(user)) {
                // SAFETY: `lengths` verified it.
                unsafe { header::resize(form, user, size, held) };
            }
            return user;
        }
    } else if let Some(longer) = lengthen(active, user, align, size, usable, place) {
        return longer;
    }
    let other = if grows_by_step(usable, size) { allocate_to_grow(size, align) } else { allocate(size, align, None) };
    if !other.is_null() {
        // All that the program may have used: it may have asked for the usable bytes.
        let kept = old_size.min(usable).min(size);
        // SAFETY: both objects hold at least the shorter length, a new object overlaps no other, and the caller gives
        // the old one up.
        unsafe {
            if matches!(place, Large::Mapping(_)) {
                move_contents(active, user, other, kept);
            } else {
                ptr::copy_nonoverlapping(user, other, kept);
            }
            if size > usable && usable >= OUTGROWN_BYTES_MIN { free_past_cache(active, user) } else { free(user) }
        }
    }
    other
}

/// Whether an object of `usable` bytes grows by a step, at most to twice its length, so that it will probably do so again.
fn grows_by_step(usable: usize, size: usize) -> bool {
    size > usable && size / 2 <= usable
}

/// The bytes beyond its size that an object keeps; with more it moves.
fn spare_of(usable: usize, place: Large) -> usize {
    let is_slot = matches!(place, Large::No) && usable > QUARTERED_BYTES_MIN;
    if is_slot { usable / 4 } else { usable - usable / 2 }
}

/// As [`reallocate`], where factors surround objects: what is behind the object changes with its length.
///
/// # Safety
/// - as [`reallocate`].
#[cold]
unsafe fn reallocate_hardened(
    active: ActiveConfig,
    user: *mut u8,
    old_size: usize,
    align: usize,
    size: usize,
) -> *mut u8 {
    let Lengths { usable, .. } = lengths(active, user, Call::Realloc);
    let known = hardening::usable(active, user, usable, Call::Realloc);
    let kept = old_size.min(known).min(size);
    let place = if usable > SMALL_BYTES_MAX && !bypass::owns(user) { large_place(user) } else { Large::No };
    let counters = &thread::NO_HEAP_COUNTERS;
    let room = hardening::room(active, user);
    if matches!(place, Large::No) {
        if room.is_some_and(|room| size <= room && size >= room / 2) {
            // SAFETY: the object is the caller's, and there is room.
            unsafe { hardening::end_resize(active, counters, user, size) };
            return user;
        }
    } else {
        let padded = hardening::padded(active, size);
        // SAFETY: the object is the caller's, who gives up what is beyond the size; it is sealed again in any case.
        unsafe {
            hardening::begin_resize(active, user);
            let resized = if padded <= usable {
                (shorten(active, user, padded, usable, place) || padded >= usable / 2).then_some(user)
            } else {
                lengthen(active, user, align, padded, usable, place)
            };
            hardening::end_resize(
                active,
                counters,
                resized.unwrap_or(user),
                if resized.is_some() { size } else { known },
            );
            if let Some(resized) = resized {
                return resized;
            }
        }
    }
    let other = if grows_by_step(known, size) { allocate_to_grow(size, align) } else { allocate(size, align, None) };
    if !other.is_null() {
        // SAFETY: both objects hold as many bytes, and the caller gives the old one up.
        unsafe {
            ptr::copy_nonoverlapping(user, other, kept);
            free(user);
        }
    }
    other
}

/// What can change its length in its place.
#[derive(Clone, Copy, Debug)]
enum Large {
    /// A slot, a mapping of a size class, or a run that BigCache's ring takes.
    No,
    /// A run of blocks.
    Run(&'static Page),
    /// A mapping of its own.
    Mapping(&'static LargeMapping),
}

fn large_place(user: *mut u8) -> Large {
    match page_map::look_up(user) {
        Place::Page(page) if page.usage.get() == Use::Large => Large::Run(page),
        Place::Mapping(mapping) if !mapping.size_classed.get() && large_mappings::run_of(mapping).is_none() => {
            Large::Mapping(mapping)
        }
        _ => Large::No,
    }
}

/// Gives back what a shorter object no longer uses. Returns whether the object has its new size in its place; else it is
/// as it was, but its tail may be lost.
///
/// # Safety
/// - the object is live, has `usable` bytes, and no thread uses those from `size` on.
unsafe fn shorten(active: ActiveConfig, user: *mut u8, size: usize, usable: usize, place: Large) -> bool {
    match place {
        Large::Mapping(mapping) => {
            let bytes = bytes_of(mapping, size).next_multiple_of(OS_PAGE);
            let is_shorter = size < mapping.size.get();
            // A copy of at most this length costs less than the page faults that the mapping would cost its next object.
            if size <= CLASS_BYTES_MAX && size < usable / 2 {
                return false;
            }
            if is_shorter
                && active.purge().is_some()
                && align::can_cut()
                && mapping.mapped.get() - bytes >= TAIL_BYTES_MIN
            {
                // SAFETY: the caller's promise. Where the thread must not be inside, the end stays.
                _ = thread::inside(|_| unsafe { release::cut_mapping(mapping, bytes) });
            }
            note_size(active, user, size, mapping);
            true
        }
        Large::Run(page) if size >= usable / 2 => cut_run(active, user, size, page),
        Large::No | Large::Run(_) => false,
    }
}

/// Gives back the last blocks of a run. Returns whether there were enough, and the object has its new size.
fn cut_run(active: ActiveConfig, user: *mut u8, size: usize, page: &'static Page) -> bool {
    let have = usize::from(page.blocks.get());
    let needed = (size + (user.addr() - page.base.get().addr())).div_ceil(BLOCK);
    if have - needed < have.div_ceil(8) {
        return false;
    }
    let had_class = range::slot_list_at(user) != SlotListOffset::NONE;
    let cut = thread::inside(|access| {
        // SAFETY: the caller of `shorten` gives up what is beyond the size.
        let is_due = unsafe { release::cut_run(active, page, needed) };
        super::purge::request_if(is_due, active, access.counts().0);
    });
    if cut.is_none() {
        return false;
    }
    begin_without_class(active, user, size, page, had_class);
    true
}

/// Notes that a run changed its length, and has no class any more.
fn begin_without_class(active: ActiveConfig, user: *mut u8, size: usize, page: &Page, had_class: bool) {
    page.strategy.set(NO_STRATEGY);
    // Its records alone verify it.
    if had_class {
        free_check::set_free(user);
    }
    if let Some(form) = active.header() {
        // SAFETY: `lengths` verified it.
        unsafe { header::resize(form, user, size, page.slot_bytes.get() as usize) };
    }
}

/// Lengthens an object in its place, or moves the OS pages of its mapping. Returns its address; `None` where it has to be
/// copied.
fn lengthen(
    active: ActiveConfig,
    user: *mut u8,
    align: usize,
    size: usize,
    usable: usize,
    place: Large,
) -> Option<*mut u8> {
    match place {
        Large::No => None,
        Large::Run(page) => {
            let bytes = size.checked_add(user.addr() - page.base.get().addr())?;
            let had_class = range::slot_list_at(user) != SlotListOffset::NONE;
            let extend = |_: Access| large_mappings::extend_run(page, bytes.div_ceil(BLOCK));
            if bytes > SEGMENT || thread::inside(extend) != Some(true) {
                return None;
            }
            begin_without_class(active, user, size, page, had_class);
            Some(user)
        }
        Large::Mapping(mapping) => {
            let prefix = active.header().map_or(0, |form| form.prefix(align));
            let site = Site::new(mapping.site.get());
            let request = Request { size, align, site, prefix, grows: true, zeroed: false };
            // Who grows by a little will do so again.
            let spare = if size - usable < size / 4 { (size / 4).min(SPARE_BYTES_MAX) } else { 0 };
            let lengthen = |access: Access| lengthen_mapping(active, access.counts().0, mapping, request, spare);
            thread::inside(lengthen).flatten()
        }
    }
}

fn lengthen_mapping(
    active: ActiveConfig,
    counters: &factor::Counters,
    mapping: &'static LargeMapping,
    request: Request,
    spare: usize,
) -> Option<*mut u8> {
    let Request { size, .. } = request;
    let (user, before) = (mapping.user.get(), mapping.mapped.get());
    let needed = bytes_of(mapping, size).checked_next_multiple_of(OS_PAGE)?;
    let roomy = needed.checked_add(spare)?.checked_next_multiple_of(OS_PAGE)?;
    let evict = |oldest| _ = release::give_mapping(active, counters, oldest);
    if mapping.pooled.get() && mapping_pool::extend(mapping, needed) {
        note_size(active, user, size, mapping);
        return Some(user);
    }
    if large_mappings::extend(mapping, roomy) || (spare > 0 && large_mappings::extend(mapping, needed)) {
        if before < HUGE_PAGE {
            large_mappings::advise(counters, placement(active), mapping);
        }
        if mapping.pooled.get() {
            mapping_pool::note_growth(counters, mapping.mapped.get() - before, release::keep(active), evict);
        }
        note_size(active, user, size, mapping);
        return Some(user);
    }
    let grow = |size| large_mappings::grow(counters, placement(active), mapping, &Request { size, ..request });
    let longer = grow(size.checked_add(spare)?).or_else(|| if spare > 0 { grow(size) } else { None })?;
    if longer.pooled.get() {
        mapping_pool::note_growth(counters, longer.mapped.get() - before, release::keep(active), evict);
    }
    note_size(active, longer.user.get(), size, longer);
    Some(longer.user.get())
}

/// Notes the new size of an object that is a mapping.
fn note_size(active: ActiveConfig, user: *mut u8, size: usize, mapping: &LargeMapping) {
    mapping.size.set(size);
    if let Some(form) = active.header() {
        // SAFETY: `lengths` verified the header, which moved along with the OS pages.
        unsafe { header::resize(form, user, size, mapping.mapped.get()) };
    }
}

/// Bytes of a mapping from its start to the end of an object of `size` bytes in it.
fn bytes_of(mapping: &LargeMapping, size: usize) -> usize {
    (mapping.user.get().addr() - mapping.base.get().addr()).saturating_add(size)
}

/// Copies a mapping's contents into another object. The OS pages that were copied go back step by step, so that what is
/// resident does not double.
///
/// # Safety
/// - the old object is given up; both have `bytes` bytes, and are different objects.
unsafe fn move_contents(active: ActiveConfig, from: *mut u8, to: *mut u8, bytes: usize) {
    let in_steps = |access: Access| {
        let counters = access.counts().0;
        let mut done = 0;
        while done < bytes {
            // Up to a huge page's end, so that it goes back whole.
            let end = (from.addr() + done + 1).next_multiple_of(HUGE_PAGE).min(from.addr() + bytes);
            let step = end - from.addr() - done;
            let (start, whole) = (from.wrapping_add(done), step / OS_PAGE * OS_PAGE);
            // SAFETY: the caller's promise. The first step may begin within an OS page, which has the header, and the
            // last may end within one: neither goes back.
            unsafe {
                ptr::copy_nonoverlapping(start, to.wrapping_add(done), step);
                if start.addr().is_multiple_of(HUGE_PAGE) {
                    purge::decommit(&counters.purge, start, whole);
                }
            }
            done += step;
        }
    };
    let has_steps = bytes >= 2 * HUGE_PAGE && active.purge().is_some();
    if !has_steps || thread::inside(in_steps).is_none() {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to, bytes) };
    }
}

/// Frees an object that became too short, past the thread's slot list: a program that lengthens its objects asks for
/// longer ones next.
///
/// # Safety
/// - the object is live, and given up.
unsafe fn free_past_cache(active: ActiveConfig, user: *mut u8) {
    let class = range::slot_list_at(user).class().filter(|class| class.is_large());
    match class.filter(|_| active.header().is_none()) {
        Some(class) => {
            if !free_check::set_free(user) {
                return fatal::abort_with(Fault::DoubleFree, Call::Realloc);
            }
            let freed = thread::inside(|access| {
                let (counters, cache) = access.counts();
                cache.returned.add(1);
                let is_due = release::give_back(active, counters, class, &[user]);
                super::purge::request_if(is_due, active, counters);
            });
            // SAFETY: the object is given up.
            if freed.is_none() && !unsafe { deferred_frees::defer(user) } {
                fatal::abort_with(Fault::DoubleFree, Call::Realloc);
            }
        }
        // SAFETY: passed on.
        None => unsafe { free(user) },
    }
}
