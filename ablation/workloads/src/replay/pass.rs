//! One pass over the whole trace.

use super::context::Context;
use super::threads;
use super::worker::{Purpose, Worker};
use crate::allocator::Allocator;
use crate::os::{clock, usage};
use std::sync::atomic::Ordering::Relaxed;

/// What a pass took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// Wall time of the timed part, nanoseconds.
    pub(super) ns: u64,
    /// Page faults of the timed part.
    pub(super) page_faults: u64,
    /// What the pass added up to.
    pub(super) sum: u64,
}

/// Replays the trace once. The first thread of the trace is the calling one. What is live at the end is freed after the
/// timing.
pub(super) fn pass<A: Allocator, P: Purpose>(context: &Context<'_, A, P>) -> Pass {
    let (image, tables) = (context.image, context.tables);
    let main = image.counts.main as usize;
    let script = image.thread(main);
    tables.reset();
    context.a.begin_thread(script.addresses);
    image.early.iter().for_each(|thread| threads::create(context, *thread));
    let mut worker = Worker::new(context, main);
    let (preamble, rest) = script.entries.split_at(script.preamble);
    // SAFETY: the first steps of this thread.
    unsafe { worker.run(preamble, &[]) };
    tables.ready.wait_for_least(image.early.len() as u32);

    let faults_before = usage::page_faults();
    let began = clock::now_ns();
    tables.begin.set(1);
    let gaps_ns = script.gaps_ns.get(script.preamble..).unwrap_or_default();
    // SAFETY: the steps after those.
    unsafe { worker.run(rest, gaps_ns) };
    tables.finished.wait_for_least((image.early.len() + image.spawns.len()) as u32);
    image.ends.iter().for_each(|thread| tables.join(*thread));
    let ns = clock::now_ns() - began;
    let page_faults = usage::page_faults() - faults_before;

    tables.release.set(1);
    let others = image.early.iter().copied().chain(image.spawns.iter().map(|spawn| spawn.thread));
    others.for_each(|thread| tables.join(thread));
    for entry in image.leftovers {
        // SAFETY: all steps of all threads are done.
        unsafe { worker.free_leftover(*entry) };
    }
    tables.thread(main as u32).sum.store(worker.sum(), Relaxed);
    Pass { ns, page_faults, sum: tables.sum() }
}
