//! The process: what happens before it begins, and around a fork.
//!
//! A fork closes the gate and waits until no thread is past its cache ([`super::gate`]). Then every structure is whole and
//! every lock free, in the parent and in the child. The child has no other thread: the objects in the caches of those
//! that the parent has stay where they are, and what the child frees goes to its own thread's cache.

use super::{gate, purge, thread};

/// Reserves the range, makes the key that calls back when a thread ends, and registers the handlers, before the program
/// begins, so that no request has to. The first two also come with the first request, which may be earlier: from another
/// library's constructor, or the loader.
#[cfg(not(loom))]
#[used]
#[unsafe(link_section = ".init_array")]
static PREPARE: extern "C" fn() = {
    extern "C" fn prepare() {
        crate::metadata::range::reserve_once();
        crate::os::use_registrations();
        thread::make_key();
        // SAFETY: the handlers use only statics. If the call fails for lack of memory, a child is taken for one of a fork
        // that no handler is called for.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after_in_child)) };
    }
    prepare
};

unsafe extern "C" fn before() {
    if thread::inside(|_| purge::stop()).is_none() {
        // A signal handler forks, and interrupted the allocator.
        purge::pause();
    }
    gate::close(!thread::is_inside());
    thread::wait_until_outside();
}

unsafe extern "C" fn after() {
    gate::open();
    purge::go_on_after_fork();
}

unsafe extern "C" fn after_in_child() {
    gate::open_in_child();
    thread::begin_child();
}
