//! What is noted of each call: before it, or after it.

use crate::layout::{Asked, Kind, Sub, asked, first, other};
use crate::{switch, thread, touch};
use core::ffi::c_void;

/// Notes a new object, after it was made. Nothing for null.
#[inline(always)]
pub(crate) fn allocated(object: *mut c_void, of: Asked) {
    if object.is_null() {
        return;
    }
    let address = object.expose_provenance();
    let mut is_watched = false;
    let written = thread::write(3, |thread| {
        thread.countdown -= 1;
        is_watched = thread.countdown == 0;
        if is_watched {
            thread.countdown = touch::countdown();
        }
        asked(Kind::Allocate, address as u64, switch::ticks(), of)
    });
    if !written {
        thread::write_slow(3, || asked(Kind::Allocate, address as u64, switch::ticks(), of));
    } else if is_watched {
        crate::sys::keeping_errno(|| touch::watch(address, of.size as usize, of.zeroed));
    }
}

/// Notes the end of an object, before it is freed.
#[inline(always)]
pub(crate) fn freeing(object: *mut c_void) {
    before(Kind::Free, object);
}

/// Notes that an object is being reallocated, before it is.
#[inline(always)]
pub(crate) fn reallocating(object: *mut c_void) {
    before(Kind::ReallocateBegin, object);
}

/// Notes how the thread's last open reallocation ended.
#[inline(always)]
pub(crate) fn reallocated(object: *mut c_void, of: Asked) {
    let address = object.addr() as u64;
    if !thread::write(3, |_| asked(Kind::ReallocateEnd, address, switch::ticks(), of)) {
        thread::write_slow(3, || asked(Kind::ReallocateEnd, address, switch::ticks(), of));
    }
}

/// Notes something else, with a second value of 64 bits.
pub(crate) fn note(sub: Sub, value: u64, ticks: u64, second: u64) {
    thread::write_slow(3, || other(sub, value, ticks, second));
}

#[inline(always)]
fn before(kind: Kind, object: *mut c_void) {
    let address = object.addr();
    if touch::is_watched(address) {
        seen(address);
    }
    let word = first(kind, address as u64);
    if !thread::write(2, |_| [word, switch::ticks(), 0]) {
        thread::write_slow(2, || [word, switch::ticks(), 0]);
    }
}

/// Notes what was written to a watched object.
#[cold]
#[inline(never)]
fn seen(address: usize) {
    // In the child of a fork that does not record, the objects of its parent stay as they are.
    if [switch::OFF, switch::UNKNOWN].contains(&switch::generation()) {
        return;
    }
    let Some(seen) = crate::sys::keeping_errno(|| touch::end(address)) else { return };
    let sub = if seen.by_pages { Sub::Resident } else { Sub::Touched };
    note(sub, seen.written, switch::ticks(), seen.size);
}
