//! Fork: the child gets every lock free and every structure whole.
//!
//! Before a fork all locks are taken, in the order in which they nest; afterwards parent and child free them. The heaps
//! of threads that do not exist in the child stay as they are: the child cannot use the objects in their caches, and
//! what it frees goes to its own thread's cache.

use super::{arena, central_free_list, large_mappings, mapping_pool, purge, thread_end, thread_heap};
use crate::metadata::{allocator, page_map, range};
use crate::{config, factor};

/// Registers the handlers, once.
pub(super) fn register() {
    // SAFETY: the handlers only take and free locks, and reset the purge. If the call fails for lack of memory,
    // children of this process may hang when they allocate.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after_in_child)) };
}

unsafe extern "C" fn before() {
    purge::stop();
    thread_end::acquire_for_fork();
    purge::acquire_for_fork();
    config::acquire_for_fork();
    factor::acquire_for_fork();
    mapping_pool::acquire_for_fork();
    thread_heap::acquire_for_fork();
    range::acquire_for_fork();
    central_free_list::acquire_for_fork();
    arena::acquire_for_fork();
    large_mappings::acquire_for_fork();
    page_map::acquire_for_fork();
    allocator::acquire_for_fork();
}

unsafe extern "C" fn after() {
    // SAFETY: `before` took them, in this process or in its parent.
    unsafe {
        allocator::release_after_fork();
        page_map::release_after_fork();
        large_mappings::release_after_fork();
        arena::release_after_fork();
        central_free_list::release_after_fork();
        range::release_after_fork();
        thread_heap::release_after_fork();
        mapping_pool::release_after_fork();
        factor::release_after_fork();
        config::release_after_fork();
        purge::release_after_fork();
        thread_end::release_after_fork();
    }
}

unsafe extern "C" fn after_in_child() {
    // SAFETY: as the parent's.
    unsafe { after() };
    purge::forget_after_fork();
}
