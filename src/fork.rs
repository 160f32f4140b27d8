//! Fork: the child gets every lock free and every structure whole.
//!
//! Before a fork all locks are taken, in the order in which they nest; afterwards both sides free them. The heaps of
//! threads that do not exist in the child stay as they are: what the child frees into them is queued and not reused.

use crate::source::{arena, central, heap, house, large, pool, thread};
use crate::{config, factor, map, meta, range};

/// Registers the handlers, once.
pub(crate) fn register() {
    // SAFETY: the handlers take and free locks and do nothing else. A failure for want of memory leaves a process
    // whose children must not allocate, as it would be without the call.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after_in_child)) };
}

unsafe extern "C" fn before() {
    thread::acquire_for_fork();
    house::acquire_for_fork();
    config::acquire_for_fork();
    factor::acquire_for_fork();
    pool::acquire_for_fork();
    heap::acquire_for_fork();
    range::acquire_for_fork();
    central::acquire_for_fork();
    arena::acquire_for_fork();
    large::acquire_for_fork();
    map::acquire_for_fork();
    meta::acquire_for_fork();
}

unsafe extern "C" fn after() {
    // SAFETY: `before` took them, in this process or in its parent.
    unsafe {
        meta::release_after_fork();
        map::release_after_fork();
        large::release_after_fork();
        arena::release_after_fork();
        central::release_after_fork();
        range::release_after_fork();
        heap::release_after_fork();
        pool::release_after_fork();
        factor::release_after_fork();
        config::release_after_fork();
        house::release_after_fork();
        thread::release_after_fork();
    }
}

unsafe extern "C" fn after_in_child() {
    // SAFETY: as the parent's.
    unsafe { after() };
    house::forget_after_fork();
}
