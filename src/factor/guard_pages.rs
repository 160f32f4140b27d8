//! Guard pages: an OS page without access ends each object beyond 56 KiB, and each page of smaller slots. By default off.
//!
//! A read or write that runs on from one object into the next ends the process by SIGSEGV there, whatever it does, and so
//! does one that runs backwards into the memory before. An object's end need not be that of an OS page: the bytes up to
//! the guard, less than an OS page for objects whose length is a multiple of one, are the factor `canary`'s.
//!
//! Costs two OS pages of addresses per object beyond 56 KiB, of which none is resident, and one per page of slots (a
//! sixteenth of the addresses of slots up to 7 KiB). Slots of a page keep their guards as long as the page lasts: a system
//! call per slot when it is made; beyond 512 KiB two system calls per object. An object of a power of
//! two takes an OS page more than huge pages cover. Before Linux 6.13 each guard splits a mapping of the kernel's. It sees
//! every request, so that none takes the fast path.

use crate::os::{self, OS_PAGE};
use crate::sync::counters;
use core::sync::atomic::{AtomicBool, Ordering};

counters! {
    /// Guards that were installed.
    installed,
    /// Guards that the kernel refused.
    refusals,
}

/// Bytes of a guard.
const GUARD: usize = OS_PAGE;
/// Bytes by which a request of a large object is longer: a guard, and what lies between the last OS page's end and the
/// end of a coloured slot.
pub(crate) const PADDING: usize = 2 * OS_PAGE;

/// Whether there are guards. Written before the first request.
static GUARDS_PAGES: AtomicBool = AtomicBool::new(false);

/// Whether there can be guards: not where the kernel's pages are longer than one.
pub(crate) fn is_possible() -> bool {
    os::kernel_page() == GUARD
}

/// Begins to guard, before the first request.
pub(crate) fn begin() {
    GUARDS_PAGES.store(true, Ordering::Relaxed);
}

/// Bytes at the end of a page of slots that no slot takes; 0 while there are no guards.
pub(crate) fn page_tail() -> usize {
    if GUARDS_PAGES.load(Ordering::Relaxed) { GUARD } else { 0 }
}

/// Where in a large object's memory the guard begins: its last whole OS page.
pub(crate) fn offset_in(object: *mut u8, bytes: usize) -> usize {
    (object.addr() + bytes) / GUARD * GUARD - GUARD - object.addr()
}

/// Installs a guard.
///
/// # Safety
/// - an OS page of ours that holds nothing lies there.
pub(crate) unsafe fn install(counters: &Counters, guard: *mut u8) {
    // SAFETY: passed on.
    let count = if unsafe { os::guard::install(guard, GUARD) } { &counters.installed } else { &counters.refusals };
    count.add(1);
}

/// Installs the guards of a new page of slots of `slot_bytes`, which begins at `base`: behind each, where they are large,
/// and at its end.
///
/// # Safety
/// - the page is `bytes` long, is ours, and holds nothing; no slot has a part of its last [`page_tail`] bytes.
pub(crate) unsafe fn install_all(counters: &Counters, base: *mut u8, bytes: usize, slot_bytes: usize, is_large: bool) {
    let slots = if is_large { (bytes - GUARD) / slot_bytes } else { 0 };
    // SAFETY: passed on; each guard lies within its slot.
    unsafe {
        for slot in (0..slots).map(|slot| base.add(slot * slot_bytes)) {
            install(counters, slot.add(offset_in(slot, slot_bytes)));
        }
        install(counters, base.add(bytes - GUARD));
    }
}

/// Removes all guards of a page of slots.
///
/// # Safety
/// - the page is ours, and [`install_all`] was called for it.
pub(crate) unsafe fn remove_all(base: *mut u8, bytes: usize) {
    // SAFETY: passed on.
    unsafe { os::guard::remove(base, bytes) };
}

/// Removes a guard, if one is there.
///
/// # Safety
/// - an OS page of ours lies there, that [`install`] was called for.
pub(crate) unsafe fn remove(guard: *mut u8) {
    // SAFETY: passed on.
    unsafe { os::guard::remove(guard, GUARD) };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_the_last_whole_page() {
        let at = |address| core::ptr::without_provenance_mut(address);
        assert_eq!(offset_in(at(0x10000), 0x10000), 0xf000);
        assert_eq!(offset_in(at(0x20040), 0x10040), 0xefc0, "a coloured slot");
        for colour in 0..15 {
            let bytes = 0x10040;
            let object = at(0x20000 + colour * bytes);
            let guard = offset_in(object, bytes);
            assert!(bytes - guard < 2 * OS_PAGE && (object.addr() + guard).is_multiple_of(OS_PAGE));
        }
    }
}
