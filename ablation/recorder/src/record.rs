//! What is noted of each call: before it, or after it.

use crate::layout::{Asked, Kind, Sub, asked, first, other, time};
use crate::{switch, thread, touch};
use core::ffi::c_void;

/// Notes a new object, after it was made. Nothing for null.
#[inline(always)]
pub(crate) fn allocated(object: *mut c_void, of: Asked) {
    if object.is_null() {
        return;
    }
    let address = object.expose_provenance();
    let quick = thread::write_quick(address, |thread| {
        if thread.countdown <= 1 {
            return false;
        }
        let is_known = thread.put_again(Kind::Allocate, address as u64, of);
        thread.countdown -= u32::from(is_known);
        is_known
    });
    if !quick {
        allocated_rest(address, of);
    }
}

/// Notes a new object that is watched, or needs a time, or is the first of its request.
#[inline(never)]
fn allocated_rest(address: usize, of: Asked) {
    let mut is_watched = false;
    let written = thread::write(address, |thread| {
        thread.countdown = thread.countdown.saturating_sub(1);
        is_watched = thread.countdown == 0;
        thread.put_request(Kind::Allocate, address as u64, of);
    });
    if !written {
        thread::write_slow(address, || asked(Kind::Allocate, address as u64, switch::ticks(), of));
    } else if is_watched {
        watch(address, of);
    }
}

/// Watches a new object.
#[cold]
#[inline(never)]
fn watch(address: usize, of: Asked) {
    thread::count_down_from(touch::countdown());
    crate::sys::keeping_errno(|| touch::watch(address, of.size as usize, of.zeroed));
}

/// Notes the end of an object, before it is freed.
#[inline(always)]
pub(crate) fn freeing(object: *mut c_void) {
    let address = object.addr();
    if touch::is_watched(address) {
        seen(address);
    }
    let word = first(Kind::Free, address as u64);
    if !thread::write_quick(address, |thread| thread.put_free(word)) {
        before_rest(address, word);
    }
}

/// Notes that an object is being reallocated, before it is.
#[inline(always)]
pub(crate) fn reallocating(object: *mut c_void) {
    let address = object.addr();
    if touch::is_watched(address) {
        seen(address);
    }
    let word = first(Kind::ReallocateBegin, address as u64);
    let put = |thread: &mut thread::Thread| {
        thread.put_word(word);
        true
    };
    if !thread::write_quick(address, put) {
        before_rest(address, word);
    }
}

/// Notes how the thread's last open reallocation ended.
#[inline(always)]
pub(crate) fn reallocated(object: *mut c_void, of: Asked) {
    let address = object.addr();
    if !thread::write(address, |thread| thread.put_request(Kind::ReallocateEnd, address as u64, of)) {
        thread::write_slow(address, || asked(Kind::ReallocateEnd, address as u64, switch::ticks(), of));
    }
}

/// Notes something else, with a second value of 64 bits.
pub(crate) fn note(sub: Sub, value: u64, ticks: u64, second: u64) {
    thread::write_slow(0, || other(sub, value, ticks, second));
}

/// Notes the end of an object, or of its place, that needs a time.
#[inline(never)]
fn before_rest(address: usize, word: u64) {
    if !thread::write(address, |thread| thread.put_word(word)) {
        thread::write_slow(address, || [time(switch::ticks()), word, 0]);
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
