//! The threads of a pass: they begin and end as the recorded ones did.

use super::context::{Context, ThreadState};
use super::worker::{Purpose, Worker};
use crate::allocator::Allocator;
use std::ffi::c_void;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a thread's stack: enough for the loop and for every allocator's slow paths.
const STACK: usize = 512 << 10;

/// Starts the thread of a row of the spawns, after those of the rows before it and after the end of the threads that had
/// ended by then: so never more are alive than were alive in the recorded program.
pub(super) fn start<A: Allocator, P: Purpose>(context: &Context<'_, A, P>, row: u32) {
    let (image, tables) = (context.image, context.tables);
    let spawn = image.spawns[row as usize];
    tables.started.wait_for(row);
    let before = row.checked_sub(1).map_or(0, |row| image.spawns[row as usize].ends);
    for thread in &image.ends[before as usize..spawn.ends as usize] {
        tables.join(*thread);
    }
    create(context, spawn.thread);
    tables.started.set(row + 1);
}

/// Creates a thread of the system for a thread of the trace.
pub(super) fn create<A: Allocator, P: Purpose>(context: &Context<'_, A, P>, thread: u32) {
    let state = context.tables.thread(thread);
    state.number.store(thread, Relaxed);
    state.context.store(std::ptr::from_ref(context).cast_mut().cast(), Relaxed);
    // SAFETY: all zero is a valid value before `init`, and so is 0 as a handle.
    let (mut attributes, mut handle): (libc::pthread_attr_t, libc::pthread_t) = unsafe { std::mem::zeroed() };
    // SAFETY: the attributes are initialised before they are used. The state outlives the thread, which every pass joins.
    let failed = unsafe {
        libc::pthread_attr_init(&raw mut attributes);
        libc::pthread_attr_setstacksize(&raw mut attributes, STACK);
        let state = std::ptr::from_ref(state).cast_mut().cast();
        let failed = libc::pthread_create(&raw mut handle, &raw const attributes, run::<A, P>, state);
        libc::pthread_attr_destroy(&raw mut attributes);
        failed
    };
    if failed != 0 {
        let error = std::io::Error::from_raw_os_error(failed);
        eprintln!("error: thread {thread} of the trace cannot be started: {error}: allow more threads (ulimit -u)");
        std::process::exit(1);
    }
    state.handle.store(handle, Relaxed);
    state.created.set(1);
}

/// What each thread but the first does.
extern "C" fn run<A: Allocator, P: Purpose>(state: *mut c_void) -> *mut c_void {
    // SAFETY: `create` gave a state of the tables, which outlive the thread.
    let state = unsafe { &*state.cast::<ThreadState>() };
    // SAFETY: the context that created this thread; it outlives the pass.
    let context = unsafe { &*state.context.load(Relaxed).cast::<Context<'_, A, P>>() };
    let number = state.number.load(Relaxed) as usize;
    let tables = context.tables;
    let script = context.image.thread(number);
    context.a.begin_thread(script.addresses);
    let mut worker = Worker::new(context, number);
    let (preamble, rest) = script.entries.split_at(script.preamble);
    if context.image.early.contains(&(number as u32)) {
        // SAFETY: the first steps of this thread.
        unsafe { worker.run(preamble, &[]) };
        tables.ready.add();
        tables.begin.wait_for(1);
    }
    let gaps_ns = script.gaps_ns.get(script.preamble..).unwrap_or_default();
    // SAFETY: the steps after those.
    unsafe { worker.run(rest, gaps_ns) };
    state.sum.store(worker.sum(), Relaxed);
    tables.finished.add();
    if !script.ends {
        // It was there to the end of the program.
        tables.release.wait_for(1);
    }
    std::ptr::null_mut()
}
