//! Empties slot lists that are not used, whichever thread they belong to.
//!
//! A thread that sleeps or computes cannot empty its cache itself, and the objects in it pin the pages that they lie on.
//! The purge looks at every heap once an epoch. A list whose stack pointer has not moved for [`STILL`] looks is empty for
//! the last time: all of them, where the whole thread was still, and those of [`BYTES_MIN`] or more in a thread that
//! goes on.
//!
//! The purge takes the heap's lock and sets the thread's first two words to the empty cache's address. A thread that is on
//! its fast path at that moment is restarted ([`os::restart_sequences`]), finds the empty cache, and waits for the lock.
//! Costs one system call for up to [`HEAPS`] heaps, and nothing where no list is still. Where the kernel or the C library
//! has no restartable sequences, caches are emptied by their own threads alone.

use super::outbox;
use super::release;
use super::thread_cache::EMPTY;
use super::thread_heap::{self, Heap};
use super::transfer_batch::BATCH_SLOTS;
use crate::class::{CLASSES, Class};
use crate::config::ActiveConfig;
use crate::factor;
use crate::os;
use crate::sync::Guard;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Looks in a row without a change, after which a list is emptied.
const STILL: u8 = 2;
/// Least bytes of a list in a thread that goes on: what is worth stopping the thread for.
const BYTES_MIN: usize = 32 << 10;
/// Heaps whose threads are restarted with one system call.
const HEAPS: usize = 4;
/// Least bytes of a thread, and of all threads, that let the purge look again.
const HOLDS_MIN: usize = 64 << 10;
const HOLD_MIN: usize = 1 << 20;
/// Batches of a thread that goes on that are taken at one look, so that it waits for some microseconds at most.
const BATCHES_MAX: usize = 16;

/// What is done about a heap.
#[derive(Clone, Copy, Debug)]
struct Finding {
    heap: &'static Heap,
    /// A bit for each class whose list is emptied, and [`OUTBOXES`].
    lists: u128,
    /// Whether the whole thread was still.
    is_still: bool,
}

/// The outboxes' bit.
const OUTBOXES: u128 = 1 << CLASSES;

const _: () = assert!(CLASSES < u128::BITS as usize);

/// Looks at every heap and empties what is not used. `next` is called between steps; if it returns `false`, the rest is
/// left for later. Returns whether the purge is due for what came of it, and whether
/// a thread holds enough for a later look.
pub(super) fn drain(active: ActiveConfig, counters: &factor::Counters, mut next: impl FnMut() -> bool) -> (bool, bool) {
    if !os::are_restarted() {
        return (false, false);
    }
    let (mut is_due, mut holds, mut held) = (false, false, 0);
    let mut found: [Option<Finding>; HEAPS] = [None; HEAPS];
    let mut count = 0;
    for heap in thread_heap::all().filter(|heap| heap.words.load(Ordering::Relaxed) != 0) {
        // SAFETY: the purge is one thread at a time.
        let (finding, bytes) = look_at(heap, unsafe { &mut *heap.watch.get() });
        held += bytes;
        holds |= bytes >= HOLDS_MIN || held >= HOLD_MIN;
        if let Some(finding) = finding {
            found[count] = Some(finding);
            count += 1;
        }
        if count == HEAPS {
            is_due |= empty(active, counters, &found);
            (found, count) = ([None; HEAPS], 0);
            if !next() {
                return (is_due, true);
            }
        }
    }
    is_due |= count > 0 && empty(active, counters, &found[..count]);
    (is_due, holds)
}

/// Empties the lists of all heaps whose threads are not past their caches at this moment, whether they are used or not.
pub(super) fn drain_all(active: ActiveConfig, counters: &factor::Counters) {
    if !os::are_restarted() {
        return;
    }
    for heap in thread_heap::all().filter(|heap| heap.words.load(Ordering::Relaxed) != 0) {
        // The background purge is not requested: the caller gives back all that waits.
        _ = empty(active, counters, &[Some(Finding { heap, lists: u128::MAX, is_still: true })]);
    }
}

/// Notes what moved in a heap since the last look. Returns what is to be done, and how many bytes the lists hold.
fn look_at(heap: &'static Heap, watch: &mut thread_heap::Watch) -> (Option<Finding>, usize) {
    let allocations = heap.cache.allocations();
    let mut is_still = watch.allocations == allocations;
    watch.allocations = allocations;
    let (mut lists, mut large, mut bytes) = (0, 0, 0);
    for class in Class::all() {
        let index = class.index();
        let position = heap.cache.position(class);
        if watch.positions[index] != position {
            watch.positions[index] = position;
            watch.still[index] = 0;
            is_still = false;
        }
        let held = heap.cache.held(class).min(class.cache_slots());
        if held == 0 {
            continue;
        }
        bytes += held * class.slot_bytes();
        watch.still[index] = watch.still[index].saturating_add(1);
        if watch.still[index] > STILL {
            lists |= 1 << index;
            if held * class.slot_bytes() >= BYTES_MIN {
                large |= 1 << index;
            }
        }
    }
    let position = heap.cache.outbox_position();
    if watch.outbox_position != position {
        watch.outbox_position = position;
        is_still = false;
    }
    let owned = Class::all().take_while(|class| class.has_owners());
    let foreign: usize = owned.map(|class| heap.cache.held_in_outbox(class) * class.slot_bytes()).sum();
    if is_still && foreign > 0 {
        lists |= OUTBOXES;
    }
    let lists = if is_still { lists } else { large };
    ((lists != 0).then_some(Finding { heap, lists, is_still }), bytes + foreign)
}

/// Empties the lists that were found. Returns whether the purge is due.
fn empty(active: ActiveConfig, counters: &factor::Counters, found: &[Option<Finding>]) -> bool {
    // A heap whose thread is past its cache at this moment is in use.
    let stopped: [Option<(Finding, Stopped)>; HEAPS] = core::array::from_fn(|n| {
        let finding = found.get(n).copied().flatten()?;
        Some((finding, Stopped::stop(finding.heap)?))
    });
    if !os::restart_sequences() {
        return false;
    }
    let mut is_due = false;
    for (finding, stopped) in stopped.into_iter().flatten() {
        is_due |= empty_lists(active, counters, finding);
        drop(stopped);
    }
    is_due
}

fn empty_lists(active: ActiveConfig, counters: &factor::Counters, finding: Finding) -> bool {
    let (heap, mut is_due) = (finding.heap, false);
    let mut left = if finding.is_still { usize::MAX } else { BATCHES_MAX };
    let mut objects = [ptr::null_mut(); BATCH_SLOTS];
    for class in Class::all().filter(|class| finding.lists & (1 << class.index()) != 0) {
        while left > 0 && heap.cache.held(class) > 0 {
            let taken = heap.drain(class, &mut objects);
            heap.cache.returned.add(taken as u64);
            is_due |= release::give_back(active, counters, class, &objects[..taken]);
            left -= 1;
        }
        heap.narrow(class);
    }
    if finding.lists & OUTBOXES != 0 {
        is_due |= outbox::empty_all(active, heap, false);
    }
    is_due
}

/// A heap whose thread cannot use it.
struct Stopped {
    words: &'static [AtomicUsize; 2],
    before: [usize; 2],
    _inside: Guard<'static, ()>,
}

impl Stopped {
    /// Stops a heap's thread: on its fast path from the next [`os::restart_sequences`] on. `None` when the thread is past
    /// its cache, or has ended.
    fn stop(heap: &'static Heap) -> Option<Stopped> {
        let inside = heap.inside.try_lock()?;
        let words = heap.words.load(Ordering::Relaxed);
        // SAFETY: while the lock is held and the heap belongs to a thread, the thread's words are there.
        let words: &[AtomicUsize; 2] = unsafe { ptr::with_exposed_provenance::<[AtomicUsize; 2]>(words).as_ref()? };
        let [empty, own] = EMPTY.words();
        let before = [words[0].swap(empty, Ordering::Relaxed), words[1].swap(own, Ordering::Relaxed)];
        Some(Stopped { words, before, _inside: inside })
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Release: the thread may use the lists again without taking the lock.
        for (word, before) in self.words.iter().zip(self.before) {
            word.store(before, Ordering::Release);
        }
    }
}

/// Empties a heap's lists, as if none of them had moved. For the models.
#[cfg(all(test, loom))]
pub(super) fn empty_heap(active: ActiveConfig, counters: &factor::Counters, heap: &'static Heap) -> bool {
    empty(active, counters, &[Some(Finding { heap, lists: u128::MAX, is_still: true })])
}

/// Calls `run` while a heap's thread cannot use its lists, unless the thread is past its cache. For the models.
#[cfg(all(test, loom))]
pub(super) fn while_stopped(heap: &'static Heap, run: impl FnOnce()) {
    if let Some(_stopped) = Stopped::stop(heap)
        && os::restart_sequences()
    {
        run();
    }
}
