//! What may be asked about an object: how many bytes of it may be used, and whether an address is one.

use super::find::{Found, find};
use super::thread;
use crate::config::{ActiveConfig, active};
use crate::fatal::abort_with;
use crate::metadata::page::Use;
use crate::metadata::page_map::{self, Place};
use crate::metadata::range;

/// Lengths of an object, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// What the user may use: to the end of the slot or mapping.
    pub(super) usable: usize,
    /// What the object takes: its slot or mapping.
    pub(super) held: usize,
}

/// The lengths of a live object, whose header is verified if it has one.
pub(super) fn lengths(active: ActiveConfig, user: *mut u8) -> Lengths {
    // Without headers, what has a class starts at its slot, and the slot list tells how long that is.
    if let Some(class) = range::slot_list_at(user).class()
        && active.header().is_none()
    {
        return Lengths { usable: class.slot_bytes(), held: class.slot_bytes() };
    }
    thread::with_heap_or_none(|_, counters, _| match find(active.header(), counters, user) {
        Ok(Found::Slot(page, base) | Found::Run(page, base)) => {
            let held = page.slot_bytes.get() as usize;
            Lengths { usable: held - (user.addr() - base.addr()), held }
        }
        Ok(Found::Mapping(mapping)) => {
            let before = user.addr() - mapping.user.get().addr();
            Lengths { usable: mapping.usable() - before, held: mapping.mapped.get() }
        }
        Err(fault) => abort_with(fault),
    })
}

/// Bytes that a live object may use: at least what was asked for.
pub(crate) fn usable_bytes(address: *mut u8) -> usize {
    lengths(active(), address).usable
}

/// Whether the address is that of a live large object, or lies in a page in use.
pub(crate) fn owns(address: *const u8) -> bool {
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
