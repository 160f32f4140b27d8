//! What the hardening factors do to an object when it is handed out and taken back, in which order, and where in its memory.
//!
//! ```text
//! small   | object, as requested | gap | seal |                        canary: up to the seal
//! large   | object, as requested | gap | seal | guard | rest |         beyond 56 KiB; guard-pages: a whole OS page; what
//!                                                                      is left of a coloured slot is the next one's front
//! ```
//!
//! The records tell where an object's memory ends, and so where its seal and its guard are. A thread has the object alone
//! while it calls these functions. The callers are past the thread's cache, in the slow path of a request or a free.

use crate::class::{Class, SMALL_BYTES_MAX};
use crate::config::ActiveConfig;
use crate::factor::{self, canary, free_check, guard_pages, zero_free};
use crate::fatal::{self, Call, Fault};
use crate::metadata::page::Use;
use crate::metadata::page_map::{self, Place};
use crate::os::OS_PAGE;

use super::thread_heap::Heap;

/// The memory of an object.
#[derive(Clone, Copy, Debug)]
struct Extent {
    object: *mut u8,
    /// Bytes from the object to the end of its slot, run or mapping.
    bytes: usize,
    /// The class of its slot or run.
    class: Option<Class>,
    /// Whether it is a slot, and another of its class lies before it.
    is_slot: bool,
    follows_slot: bool,
}

impl Extent {
    /// The memory of the object at an address; `None` where it is none of the stations'.
    fn of(object: *mut u8) -> Option<Extent> {
        match page_map::look_up(object) {
            Place::Foreign => None,
            Place::Page(page) => Some(Extent {
                object,
                bytes: page.slot_bytes.get() as usize,
                class: Class::from_index(usize::from(page.class_index.get())),
                is_slot: page.usage.get() == Use::Slots,
                follows_slot: page.usage.get() == Use::Slots && object != page.base.get(),
            }),
            Place::Mapping(mapping) => {
                let bytes = mapping.usable();
                let class = Class::of(mapping.mapped.get()).filter(|_| mapping.size_classed.get());
                Some(Extent { object, bytes, class, is_slot: false, follows_slot: false })
            }
        }
    }

    fn is_large(&self) -> bool {
        self.bytes > SMALL_BYTES_MAX
    }

    /// Where the guard begins, if the object has one.
    fn guard(&self, active: ActiveConfig) -> Option<*mut u8> {
        let guards = active.guard_pages() && self.is_large();
        guards.then(|| self.object.wrapping_add(guard_pages::offset_in(self.object, self.bytes)))
    }

    /// The guard, where it lasts as long as the object: that of a slot lasts as long as the page.
    fn own_guard(&self, active: ActiveConfig) -> Option<*mut u8> {
        self.guard(active).filter(|_| !self.is_slot)
    }

    /// Bytes between the guard of the slot before and the object, which no other object has.
    fn front(&self, active: ActiveConfig) -> usize {
        let is_after_guard = self.follows_slot && self.guard(active).is_some();
        if is_after_guard { (self.object.addr() % OS_PAGE).min(canary::FRONT_BYTES_MAX) } else { 0 }
    }

    /// Bytes from the object to its seal, or to what the seal would be before: the most that it can have.
    fn limit(&self, active: ActiveConfig) -> usize {
        let end = self.guard(active).map_or(self.bytes, |guard| guard.addr() - self.object.addr());
        if active.canary() { end - canary::SEAL_BYTES } else { end }
    }
}

/// Bytes to take for a request of `size` bytes; more than any address space has, where the sum overflows.
pub(super) fn padded(active: ActiveConfig, size: usize) -> usize {
    let seal = if active.canary() { canary::SEAL_BYTES } else { 0 };
    let sealed = size.saturating_add(seal);
    if active.guard_pages() && sealed > SMALL_BYTES_MAX { sealed.saturating_add(guard_pages::PADDING) } else { sealed }
}

/// Prepares new memory for an object of `size` bytes. `is_zero` says that nothing was in it before.
///
/// # Errors
/// Something was written to it while it was free.
///
/// # Safety
/// - the memory is the caller's, holds nothing, and came from the stations for a request of [`padded`] bytes.
pub(super) unsafe fn hand_out(
    active: ActiveConfig,
    counters: &factor::Counters,
    object: *mut u8,
    size: usize,
    is_zero: bool,
) -> Result<(), Fault> {
    let Some(extent) = Extent::of(object) else { return Ok(()) };
    // SAFETY: the extent is the object's memory.
    unsafe {
        if active.zero_free() && !is_zero && !is_untouched(active, counters, &extent) {
            return Err(Fault::Freed);
        }
        seal(active, counters, &extent, size);
    }
    Ok(())
}

/// Whether nothing was written to memory since it was freed.
///
/// # Safety
/// - the memory holds no object.
unsafe fn is_untouched(active: ActiveConfig, counters: &factor::Counters, extent: &Extent) -> bool {
    let Extent { object, .. } = *extent;
    let limit = extent.limit(active);
    let counters = &counters.zero_free;
    // SAFETY: the caller's promise. A marked slot has its mark in the second word, and nothing else.
    unsafe {
        match extent.class {
            Some(class) if active.free_check() && free_check::is_marked(class) => {
                free_check::is_free(object, class)
                    && zero_free::is_zero(counters, object, 8)
                    && zero_free::is_zero(counters, object.add(16), limit - 16)
            }
            _ => (!active.canary() || canary::is_free(object, limit)) && zero_free::is_zero(counters, object, limit),
        }
    }
}

/// Installs the guard of an object, and seals it.
///
/// # Safety
/// - the extent is the object's, and what lies behind `size` bytes holds nothing.
unsafe fn seal(active: ActiveConfig, counters: &factor::Counters, extent: &Extent, size: usize) {
    // SAFETY: the caller's promise: the seal and the guard lie in the extent, behind the object.
    unsafe {
        if let Some(guard) = extent.own_guard(active) {
            guard_pages::install(&counters.guard_pages, guard);
        }
        if active.canary() {
            canary::seal(&counters.canary, extent.object, size, extent.limit(active));
            canary::fill_front(extent.object, extent.front(active));
        }
    }
}

/// Verifies an object that is freed, and makes its memory what free memory is.
///
/// # Errors
/// It is free already, or something was written behind it or before it.
///
/// # Safety
/// - the records know a slot, run or mapping that starts at the address.
pub(super) unsafe fn take_back(
    active: ActiveConfig,
    counters: &factor::Counters,
    object: *mut u8,
) -> Result<(), Fault> {
    let Some(extent) = Extent::of(object) else { return Ok(()) };
    let limit = extent.limit(active);
    // SAFETY: the extent is the object's memory. Without a guard the slot before it ends with its seal.
    unsafe {
        if active.canary() {
            let size = canary::verify(&counters.canary, object, limit)?;
            if extent.follows_slot && extent.guard(active).is_none() {
                canary::verify_before(&counters.canary, object, limit)?;
            }
            canary::verify_front(object, extent.front(active))?;
            canary::mark_free(object, size, limit, extent.class.is_some())?;
        }
        if let Some(guard) = extent.own_guard(active) {
            guard_pages::remove(guard);
        }
        if active.zero_free() {
            let is_marked = active.free_check() && extent.class.is_some_and(free_check::is_marked);
            if is_marked {
                zero_free::wipe(&counters.zero_free, object, 8, false);
                zero_free::wipe(&counters.zero_free, object.add(16), limit - 16, false);
            } else {
                zero_free::wipe(&counters.zero_free, object, limit, extent.is_large());
            }
        }
    }
    Ok(())
}

/// Verifies an object whose free waits for a thread that may take locks, and whose first word is a link until then.
///
/// # Errors
/// As [`take_back`].
///
/// # Safety
/// - as [`take_back`].
pub(super) unsafe fn defer(active: ActiveConfig, object: *mut u8) -> Result<(), Fault> {
    let Some(extent) = Extent::of(object).filter(|_| active.canary()) else { return Ok(()) };
    let (counters, limit) = (&super::thread::NO_HEAP_COUNTERS.canary, extent.limit(active));
    // SAFETY: the extent is the object's memory. The link would overwrite the gap behind a shorter object.
    unsafe {
        if canary::verify(counters, object, limit)? < LINK_BYTES {
            canary::seal(counters, object, LINK_BYTES, limit);
        }
    }
    Ok(())
}

/// Bytes of the link of an object whose free waits.
const LINK_BYTES: usize = size_of::<usize>();

/// Lets a freed object wait. Returns the one that is free instead, if there is one.
pub(super) fn wait(active: ActiveConfig, heap: Option<&Heap>, class: Class, object: *mut u8) -> Option<*mut u8> {
    let Some(heap) = heap.filter(|_| active.quarantine()) else { return Some(object) };
    if class.is_large() && !active.zero_free() {
        // SAFETY: the object is free. What waits long holds no memory.
        unsafe { zero_free::give_back(object, class.slot_bytes()) };
    }
    // SAFETY: the heap is the calling thread's, and no caller has its state.
    let local = unsafe { &mut heap.locals().quarantine };
    let left = local.exchange(&heap.counters.quarantine, class, object);
    // What waits is in no cache, and no program holds it.
    if left != Some(object) {
        heap.cache.returned.add(1);
        heap.cache.received.add(u64::from(left.is_some()));
    }
    left
}

/// Bytes that a live object may use, of which the records know `held`. Ends the process where it is not live, or something
/// was written behind it.
pub(super) fn usable(active: ActiveConfig, object: *mut u8, held: usize, call: Call) -> usize {
    if !active.canary() && !active.guard_pages() {
        return held;
    }
    let Some(extent) = Extent::of(object) else { return held };
    let limit = extent.limit(active);
    if !active.canary() {
        return limit;
    }
    // SAFETY: the records know an object that starts there.
    match unsafe { canary::verify(&super::thread::NO_HEAP_COUNTERS.canary, object, limit) } {
        Ok(size) => size,
        Err(fault) => {
            fatal::abort_with(fault, call);
            0
        }
    }
}

/// Removes the guard of a live object whose memory is about to change its length.
///
/// # Safety
/// - the object is live, and the caller's.
pub(super) unsafe fn begin_resize(active: ActiveConfig, object: *mut u8) {
    if let Some(guard) = Extent::of(object).and_then(|extent| extent.own_guard(active)) {
        // SAFETY: it was installed when the object was handed out.
        unsafe { guard_pages::remove(guard) };
    }
}

/// Seals a live object of `size` bytes anew, wherever its memory ends now.
///
/// # Safety
/// - the object is live, the caller's, and its memory has [`padded`] bytes.
pub(super) unsafe fn end_resize(active: ActiveConfig, counters: &factor::Counters, object: *mut u8, size: usize) {
    if let Some(extent) = Extent::of(object) {
        // SAFETY: passed on.
        unsafe { seal(active, counters, &extent, size) };
    }
}

/// The most bytes that a live object can have where it lies.
pub(super) fn room(active: ActiveConfig, object: *mut u8) -> Option<usize> {
    Extent::of(object).map(|extent| extent.limit(active))
}
