//! How an object's size changes: in its place, by moving the OS pages of its mapping, or as a copy.

use super::allocate::{allocate, placement};
use super::free::free;
use super::inspect::{Lengths, lengths};
use super::{large_mappings, mapping_pool, release, thread};
use crate::config::{ActiveConfig, active};
use crate::factor::original::header;
use crate::factor::purge;
use crate::metadata::page_map::{self, Place};
use crate::os;
use crate::request::{Request, Site};
use core::ptr;

/// Changes an object's size to `size` bytes, in its place or elsewhere. Returns null when there is no memory; the
/// object is then as it was.
///
/// # Safety
/// - the address came from `allocate` with this alignment, and no other thread uses the object.
pub(crate) unsafe fn reallocate(user: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    let active = active();
    let Lengths { usable, held } = lengths(active, user);
    // In its place, if at least half of the usable bytes would be used.
    if size <= usable && size >= usable / 2 {
        if let Some(form) = active.header() {
            // SAFETY: `lengths` verified it.
            unsafe { header::resize(form, user, size, held) };
        }
        // SAFETY: the object is the caller's, who gives up what is beyond the size.
        unsafe { give_tail_back(active, user, size, usable) };
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

/// Least bytes of a tail that are worth a system call and the page faults of a later growth.
const TAIL_BYTES_MIN: usize = 1 << 20;

/// Gives back to the OS what a shorter object no longer uses, in whole pages; its addresses stay.
///
/// # Safety
/// - the object is live, has `usable` bytes, and no thread uses those from `size` on.
unsafe fn give_tail_back(active: ActiveConfig, user: *mut u8, size: usize, usable: usize) {
    let page = os::kernel_page();
    let start = (user.addr() + size).next_multiple_of(page);
    let end = (user.addr() + usable) & !(page - 1);
    if active.purge().is_none() || start.saturating_add(TAIL_BYTES_MIN) > end {
        return;
    }
    thread::with_heap_or_none(|_, counters, _| {
        let tail = user.wrapping_add(start - user.addr());
        // SAFETY: the caller's promise; the pages lie within the object.
        unsafe { purge::decommit(&counters.purge, tail, end - start) };
    });
}

/// Lengthens an object that has a mapping of its own, by moving the OS pages. `None` when it cannot be done.
fn grow(active: ActiveConfig, user: *mut u8, align: usize, size: usize) -> Option<*mut u8> {
    let Place::Mapping(mapping) = page_map::look_up(user) else {
        return None;
    };
    if mapping.size_classed.get() || large_mappings::run_of(mapping).is_some() {
        return None;
    }
    let prefix = active.header().map_or(0, |form| form.prefix(align));
    let request = Request { size, align, site: Site::new(mapping.site.get()), prefix };
    thread::with_heap_or_none(|_, counters, _| {
        let before = mapping.mapped.get();
        let longer = large_mappings::grow(counters, placement(active), mapping, &request)?;
        if longer.pooled.get() {
            let evict = |oldest| _ = release::give_mapping(active, counters, oldest);
            mapping_pool::note_growth(longer.mapped.get() - before, release::keep(active), evict);
        }
        if let Some(form) = active.header() {
            // SAFETY: the header moved along with the OS pages.
            unsafe { header::resize(form, longer.user.get(), size, longer.mapped.get()) };
        }
        Some(longer.user.get())
    })
}
