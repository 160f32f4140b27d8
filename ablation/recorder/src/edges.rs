//! The beginning and the regular end of the process, as the loader tells them.

use crate::switch::{self, OFF, UNKNOWN};
use crate::{chunks, maps, next, start, sys, thread};
use core::sync::atomic::Ordering;

/// Runs when the library is loaded, if no call came before.
extern "C" fn at_load() {
    if next::is_there() && switch::generation() == UNKNOWN {
        sys::keeping_errno(start::start);
    }
}

/// Runs at the regular end of the process.
extern "C" fn at_exit() {
    if [UNKNOWN, OFF].contains(&switch::generation()) {
        return;
    }
    thread::name_this();
    maps::note();
    // SAFETY: a process that records has a head.
    let head = unsafe { &*chunks::head() };
    head.last_ticks.store(switch::ticks(), Ordering::Relaxed);
    head.last_ns.store(switch::now_ns(), Ordering::Relaxed);
    head.ended.store(1, Ordering::Relaxed);
}

#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;
