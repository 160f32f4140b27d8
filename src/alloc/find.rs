//! Finds the live object at an address. The records verify it, and its header does, where objects have headers.

use crate::factor;
use crate::factor::original::header;
use crate::fatal::Fault;
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::{Page, Use};
use crate::metadata::page_map::{self, Place};

/// A live object: its record, and where its slot or run begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// A slot in a page.
    Slot(&'static Page, *mut u8),
    /// A run of blocks.
    Run(&'static Page, *mut u8),
    /// A mapping of its own.
    Mapping(&'static LargeMapping),
}

/// Finds the live object at an address. Verifies its header, if objects have headers of this form.
///
/// # Errors
/// No live object starts at the address: which fault a free of it is.
pub(super) fn find(form: Option<header::Form>, counters: &factor::Counters, user: *mut u8) -> Result<Found, Fault> {
    match page_map::look_up(user) {
        Place::Foreign => Err(Fault::Foreign),
        Place::Mapping(mapping) => find_mapping(form, counters, user, mapping),
        Place::Page(page) => find_in_page(form, counters, user, page),
    }
}

fn find_mapping(
    form: Option<header::Form>,
    counters: &factor::Counters,
    user: *mut u8,
    mapping: &'static LargeMapping,
) -> Result<Found, Fault> {
    // An object with a size class begins with the mapping, header included.
    let own_start = if mapping.size_classed.get() { form.map_or(0, header::Form::bytes) } else { 0 };
    if user < mapping.user.get().wrapping_add(own_start) || (own_start == 0 && user != mapping.user.get()) {
        return Err(Fault::Interior);
    }
    if !mapping.is_live() {
        return Err(Fault::DoubleFree);
    }
    if let Some(form) = form {
        // SAFETY: the mapping has a header's bytes before the object.
        let prefix = unsafe { header::verify(&counters.header, form, user) }?;
        if own_start > 0 && user.wrapping_sub(prefix) != mapping.user.get() {
            return Err(Fault::Header);
        }
    }
    Ok(Found::Mapping(mapping))
}

fn find_in_page(
    form: Option<header::Form>,
    counters: &factor::Counters,
    user: *mut u8,
    page: &'static Page,
) -> Result<Found, Fault> {
    let usage = page.usage.get();
    if usage == Use::Free {
        return Err(Fault::DoubleFree);
    }
    let mut base = user;
    if let Some(form) = form {
        let before = user.addr() - page.base.get().addr();
        if before < form.bytes() || !user.addr().is_multiple_of(16) {
            return Err(Fault::Interior);
        }
        // SAFETY: the page is in use, and a header's bytes lie between its start and the address.
        let prefix = unsafe { header::verify(&counters.header, form, user) }?;
        if prefix > before {
            return Err(Fault::Header);
        }
        base = user.wrapping_sub(prefix);
    }
    if !page.starts_at(base) {
        return Err(Fault::Interior);
    }
    Ok(if usage == Use::Slots { Found::Slot(page, base) } else { Found::Run(page, base) })
}
