//! Where an object comes from, and in which order the factors act on a request.
//!
//! ```text
//! request ── thread cache ── transfer cache ── central free list ── arena ── OS   small: up to 56 KiB; large: to 512 KiB
//!    │   └── thread cache ── transfer cache ─────────────────────── arena         large: up to 4 MiB
//!    │ hooks: tick, evolution, elo, header
//!    ├── bigcache ring ── large mapping ── OS       large in its ring form: at or above the mmap threshold
//!    │               └─── run of blocks ── arena    below it, or with the factor `arena`
//!    └── mapping pool ─── large mapping ── OS       beyond 4 MiB
//! ```
//!
//! [`allocate`] takes an object from the thread's cache, without a call. Every other request goes through
//! [`allocate_slow`], where the hooks are. When a factor must see every request, threads use a cache whose slot lists
//! are closed.

use super::stations::{Memory, from_stations, run};
use super::thread_cache::{self, Taken};
use super::thread_heap::Heap;
use super::{arena, bypass, hardening, purge, thread};
use crate::class::{self, BLOCK, Class};
use crate::config::{FREE_CHECK, active};
use crate::factor::original::elo::Pick;
use crate::factor::original::{self, header};
use crate::factor::{elo, evolution, free_check, thp, tick};
use crate::fatal::{self, Call};
use crate::metadata::range;
use crate::os::{self, density::Share};
use crate::request::{Request, Site};
use core::ptr;

/// Serves a request; null when there is no memory. The size may be 0.
#[inline(always)]
pub(crate) fn allocate(size: usize, align: usize, site: Option<Site>) -> *mut u8 {
    let slow = || allocate_slow(size, align, site, false);
    if align <= 16 { allocate_or_else(size, slow) } else { allocate_aligned_or_else(size, align, slow) }
}

/// As [`allocate_or_else`], for an alignment above 16 bytes. Most slot lists of a class hold aligned objects alone; of
/// the others, those of mappings and of runs, the newest object is looked at.
#[inline(never)]
fn allocate_aligned_or_else(size: usize, align: usize, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    let class = if align <= BLOCK { Class::aligned(size, align) } else { Class::of_run(size) };
    let Some(class) = class else {
        return slow();
    };
    let taken = thread_cache::take(class.slot_list());
    let object = taken.object;
    if !object.is_null() && !object.addr().is_multiple_of(align) {
        // The list has room for what it held. A signal handler that filled it meanwhile makes the object wait for ever.
        thread_cache::put(class.slot_list(), object);
        return slow();
    }
    or_else(taken, free_check::is_marked(class), slow)
}

/// Serves a request of an alignment up to 16 bytes from the thread's cache, or else by `slow`.
#[inline(always)]
pub(crate) fn allocate_or_else(size: usize, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    or_else(thread_cache::take_bytes(size), size <= free_check::MARKED_BYTES_MAX, slow)
}

/// As [`allocate_or_else`], for a function that is not inlined, and so knows no constant size: small sizes share no
/// code with larger ones, which `beyond` serves.
#[inline(always)]
#[allow(dead_code, reason = "only the C interface calls it")]
pub(crate) fn allocate_apart(size: usize, slow: impl FnOnce() -> *mut u8, beyond: impl FnOnce() -> *mut u8) -> *mut u8 {
    match thread_cache::take_small(size) {
        Some(taken) => or_else(taken, true, slow),
        None => beyond(),
    }
}

#[inline(always)]
fn or_else(taken: Taken, is_marked: bool, slow: impl FnOnce() -> *mut u8) -> *mut u8 {
    if taken.object.is_null() {
        return slow();
    }
    taken.count();
    // SAFETY: the object is the caller's.
    unsafe { hand_out(taken.object, is_marked) };
    taken.object
}

/// Notes for the factor `free-check` that an object of the range is live.
///
/// # Safety
/// - the object is the caller's, and of a class whose objects are marked while they are free, or not, as it says.
#[inline(always)]
unsafe fn hand_out(object: *mut u8, is_marked: bool) {
    match (FREE_CHECK, is_marked) {
        (false, _) => {}
        // SAFETY: the caller's promise.
        (true, true) => unsafe { free_check::unmark(object) },
        (true, false) => free_check::set_live(object),
    }
}

/// Serves a request with zeroed memory.
pub(crate) fn allocate_zeroed(size: usize, align: usize) -> *mut u8 {
    if size <= ZEROED_IN_CACHE_MAX {
        let object = allocate(size, align, None);
        if !object.is_null() {
            // SAFETY: the object holds the request.
            unsafe { object.write_bytes(0, size) };
        }
        return object;
    }
    allocate_slow(size, align, None, true)
}

/// Largest size in bytes that comes from a cache and is then zeroed. Above it, new memory may be zero already.
const ZEROED_IN_CACHE_MAX: usize = class::SMALL_BYTES_MAX;

/// Bytes that a process can have addresses for: 2^47 on x86-64, 2^48 on aarch64.
const ADDRESSES_MAX: usize = 1 << 48;

/// Serves a request that the thread's cache does not.
#[cold]
#[inline(never)]
pub(crate) fn allocate_slow(size: usize, align: usize, site: Option<Site>, zeroed: bool) -> *mut u8 {
    let site = site.unwrap_or_else(|| Site::of_size(size));
    serve(Request { size, align, site, prefix: 0, grows: false, zeroed })
}

/// Serves a request for an object that replaces a shorter one. Where it is a run, it is placed so that it can grow.
pub(super) fn allocate_to_grow(size: usize, align: usize) -> *mut u8 {
    if size <= class::SMALL_BYTES_MAX {
        return allocate(size, align, None);
    }
    serve(Request { size, align, site: Site::of_size(size), prefix: 0, grows: true, zeroed: false })
}

fn serve(request: Request) -> *mut u8 {
    let memory = thread::inside(|access| {
        let heap = access.heap()?;
        let memory = pass_hooks(heap, request)?;
        heap.cache.allocations.add(1);
        if free_check::is_on()
            && let Some(class) = range::slot_list_at(memory.user).class()
        {
            free_check::note(&heap.counters.free_check, class);
            // SAFETY: the object is ours, and of this class.
            unsafe { hand_out(memory.user, free_check::is_marked(class)) };
        }
        Some((memory.user, memory.zeroed))
    });
    let (user, is_zero) = match memory {
        Some(Some(memory)) => memory,
        Some(None) => return ptr::null_mut(),
        None => (bypass::allocate(request.size, request.align), false),
    };
    if request.zeroed && !is_zero && !user.is_null() {
        // SAFETY: the memory holds the request, and nothing else.
        unsafe { zero(user, request.size) };
    }
    user
}

/// Bytes from which on the OS always makes memory zero, by taking the pages back: what is not touched then costs nothing
/// and holds nothing. Where all is touched, writing is as fast from 16 MiB on, and faster below: 35 against 51 µs at 2 MiB
/// (measured, Zen 5).
const ZERO_BY_OS_ALWAYS: usize = 8 << 20;
/// Bytes from which on it does so where less than half of the memory is resident: the last use touched no more. To ask
/// for that costs a tenth of the writing. Only the level of `thp` that looks at memory asks: not all processes may.
const ZERO_BY_OS_MIN: usize = 128 << 10;

/// Makes memory zero.
///
/// # Safety
/// - `[base, base + bytes)` is the allocator's, and holds nothing.
unsafe fn zero(base: *mut u8, bytes: usize) {
    // Whole pages, also where they are a part of a huge page: what is before and after them is less than a page each.
    let page = os::kernel_page();
    let (start, end) = (base.addr().next_multiple_of(page), (base.addr() + bytes) & !(page - 1));
    let is_sparse = || match os::density::resident_share(start, end - start) {
        Share::Resident(resident, all) => 2 * resident < all,
        Share::Unmapped | Share::Refused => false,
    };
    let may_ask = bytes >= ZERO_BY_OS_MIN && active().thp() == Some(thp::Rule::Dense);
    let by_os = bytes >= ZERO_BY_OS_ALWAYS || (may_ask && is_sparse());
    let before = start.wrapping_sub(base.addr());
    // SAFETY: the caller's promise; the pages lie within, and so do the bytes before and after them.
    unsafe {
        if by_os && os::decommit(base.add(before), end - start) {
            base.write_bytes(0, before);
            let after = base.addr() + bytes - end;
            base.add(bytes - after).write_bytes(0, after);
        } else {
            base.write_bytes(0, bytes);
        }
    }
}

/// Calls the stations below, and the factors before and after them. The request has no prefix yet: the factor `header`
/// sets it.
fn pass_hooks(heap: &'static Heap, request: Request) -> Option<Memory> {
    let active = active();
    let counters = &heap.counters;
    // SAFETY: `with_heap` gives the heap to one caller at a time, and no callee asks for the state again.
    let locals = unsafe { heap.locals() };
    if active.tick() {
        original::tick::count(&counters.tick);
    } else if active.tick_is_batched() {
        tick::catch_up(&mut locals.tick, &counters.tick, heap.cache.allocations() + 1);
    }
    let watch =
        active.evolution().then(|| evolution::enter(&mut locals.evolution, &counters.evolution, request.size.max(1)));
    let strategy = active.elo().map(|selection| {
        let pick = match watch.map_or(evolution::Mode::Learn, |watch| watch.mode) {
            evolution::Mode::Learn => Pick::Learn,
            evolution::Mode::Frozen => Pick::Frozen,
            evolution::Mode::Trial => Pick::Candidate,
        };
        original::elo::choose(&mut locals.elo, &counters.elo, selection, pick)
    });
    let form = active.header();
    // An object of no bytes takes some. None of them may be written, and hardening verifies that.
    let size = request.size;
    let padded = if active.is_hardened() { hardening::padded(active, size.max(1)) } else { size.max(1) };
    let request = &Request { size: padded, prefix: form.map_or(0, |form| form.prefix(request.align)), ..request };
    let memory = from_stations(heap, active, request, strategy).or_else(|| {
        // No memory that is given back makes room for what no address space has room for.
        if request.size.saturating_add(request.align) > ADDRESSES_MAX {
            return None;
        }
        // What this thread's cache holds waits as well, for other sizes.
        _ = thread::drain(active, heap, false);
        purge::reclaim(active, counters);
        from_stations(heap, active, request, strategy).or_else(|| {
            let memory = run(active, counters, request, None)?;
            heap.cache.received.add(1);
            Some(memory)
        })
    });
    let growth = arena::take_growth();
    if growth > 0 {
        purge::give_way_to_arena(active, counters, growth);
    }
    if let Some(watch) = watch {
        match evolution::leave(&mut locals.evolution, &counters.evolution, watch) {
            None => {}
            Some(evolution::Event::Freeze) => {
                elo::freeze();
                original::elo::freeze();
            }
            Some(evolution::Event::Relearn) => elo::relearn(),
            Some(evolution::Event::Adopt) => original::elo::adopt_candidate(),
        }
    }
    let memory = memory?;
    if active.is_hardened() {
        // SAFETY: new memory for the request.
        let handed_out = unsafe { hardening::hand_out(active, counters, memory.user, size, memory.zeroed) };
        if let Err(fault) = handed_out {
            fatal::note(fault, Call::Free);
            return None;
        }
    }
    if let Some(form) = form {
        let facts = header::Facts {
            size: request.size,
            held: memory.held,
            site: request.site.id(),
            method: memory.method,
            prefix: request.prefix,
        };
        // SAFETY: the prefix before the object is the object's own, and at least as long as the header.
        unsafe { header::write(&counters.header, form, memory.user, &facts) };
    }
    Some(memory)
}
