//! What a program may ask about an object: its usable bytes, and whether an address is one of an object.

use super::find::{Found, find};
use super::{bypass, deferred_frees, hardening, thread};
use crate::config::{ActiveConfig, FREE_CHECK, active};
use crate::factor::free_check;
use crate::fatal::{self, Call, Fault};
use crate::metadata::page::Use;
use crate::metadata::page_map::{self, Place};
use crate::metadata::range;

/// Lengths of an object, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// From the object's address to the end of its slot, run or mapping.
    pub(super) usable: usize,
    /// The whole slot, run or mapping.
    pub(super) held: usize,
}

/// The lengths of a live object with a class and without a header, which the factor `free-check` verifies at less cost
/// than its record. `None` for all others, and where the address is at fault.
///
/// # Safety
/// - the address came from `allocate`.
#[inline(always)]
pub(super) unsafe fn known_lengths(active: ActiveConfig, user: *mut u8) -> Option<Lengths> {
    let block = range::block_objects(user).filter(|_| FREE_CHECK && active.header().is_none())?;
    // SAFETY: where a small slot was handed out, or an object without a mark is live, there are 16 bytes or more.
    let is_live = unsafe {
        let has_object = (free_check::was_handed_out(block, user) && !free_check::has_mark(user))
            || (free_check::is_list_of_larger(block.list()) && free_check::is_live(user));
        has_object && !deferred_frees::waits(user)
    };
    let held = if is_live { block.list().class()?.slot_bytes() } else { return None };
    Some(Lengths { usable: held, held })
}

/// The lengths of a live object. Verifies its header, if it has one. Ends the process where it finds no live object.
pub(super) fn lengths(active: ActiveConfig, user: *mut u8, call: Call) -> Lengths {
    // Without headers an object with a class starts at its slot, and the slot list tells the slot's length.
    if let Some(class) = range::slot_list_at(user).class()
        && active.header().is_none()
        && page_map::page_of(user).is_some_and(|page| page.starts_at(user))
    {
        // SAFETY: a slot or run of the class starts there.
        if unsafe { free_check::is_free(user, class) || deferred_frees::waits(user) } {
            fatal::abort_with(Fault::DoubleFree, call);
        }
        return Lengths { usable: class.slot_bytes(), held: class.slot_bytes() };
    }
    if let Some(usable) = bypass::usable_bytes(user) {
        return Lengths { usable, held: usable };
    }
    let find = |counters| match find(active.header(), counters, user) {
        // SAFETY: the records know a live object.
        Ok(_) if unsafe { deferred_frees::waits(user) } => {
            fatal::note(Fault::DoubleFree, call);
            Lengths { usable: 0, held: 0 }
        }
        Ok(Found::Slot(page, base) | Found::Run(page, base)) => {
            let held = page.slot_bytes.get() as usize;
            Lengths { usable: held - (user.addr() - base.addr()), held }
        }
        Ok(Found::Mapping(mapping)) => {
            let before = user.addr() - mapping.user.get().addr();
            Lengths { usable: mapping.usable() - before, held: mapping.mapped.get() }
        }
        Err(fault) => {
            fatal::note(fault, call);
            Lengths { usable: 0, held: 0 }
        }
    };
    let found = thread::inside(|access| find(access.counts().0));
    found.unwrap_or_else(|| {
        let found = find(&thread::NO_HEAP_COUNTERS);
        fatal::abort_if_noted();
        found
    })
}

/// Bytes that a live object may use: at least the requested ones.
pub(crate) fn usable_bytes(address: *mut u8, call: Call) -> usize {
    let active = active();
    // SAFETY: the caller asks for an object that is ours.
    let known = unsafe { known_lengths(active, address) };
    let held = known.unwrap_or_else(|| lengths(active, address, call)).usable;
    if active.is_hardened() { hardening::usable(active, address, held, call) } else { held }
}

/// Whether the address is that of a live large mapping's object, or lies in a page that is in use.
pub(crate) fn owns(address: *const u8) -> bool {
    if bypass::owns(address) {
        return bypass::usable_bytes(address.cast_mut()).is_some();
    }
    match page_map::look_up(address) {
        Place::Foreign => false,
        Place::Page(page) => page.usage.get() != Use::Free,
        Place::Mapping(mapping) => {
            // A header may lie before the object of a mapping with a class, on the same OS page.
            let user = mapping.user.get().cast_const();
            let is_start =
                address == user || (mapping.size_classed.get() && active().header().is_some() && address > user);
            is_start && mapping.is_live()
        }
    }
}
