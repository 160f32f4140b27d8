//! Models of several stations together: threads pass on objects and pages.
//!
//! Three things that other allocators have to prove here, and what corresponds to them:
//! - *Remote free*, a free by a thread that does not own the page. The object joins the freeing thread's stack, or its
//!   outbox, then the transfer cache, then the central free list, under the class's lock.
//! - *Change of owner of a page*, under the same lock, while threads have its objects.
//! - *Change of owner when a thread ends*: a heap owns only its stacks, which [`give_up`] empties; another thread gets
//!   the record alone.
//! - *Adoption of segments*: none. Segments are the arena's, whichever threads' objects are in them.

use super::huge_pages::Policy;
use super::thread::{self as threads, give_up};
use super::thread_cache::{self, EMPTY};
use super::thread_heap::{self, Heap, OpenLists};
use super::{arena, central_free_list, idle_caches, outbox, purge as driver, transfer_cache};
use crate::class::{BLOCK, Class, Owner, SEGMENT_BLOCKS};
use crate::config;
use crate::factor::Counters;
use crate::factor::purge::{self, WAIT_EPOCHS};
use crate::metadata::page::Page;
use crate::metadata::segment::{HALF_BLOCKS, Kind};
use crate::model::check;
use crate::os;
use crate::sync::Lock;
use crate::sync::atomic::Ordering;
use crate::sync::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use std::vec::Vec;

mod memory;

/// No advice on huge pages.
const POLICY: Policy = Policy { advice: None, by_plan: false };
const OPEN: OpenLists = OpenLists { small: true, large: true, marked: false, owned: false };

fn counters() -> &'static Counters {
    driver::counters()
}

/// Objects of one page by their slots, each held by one thread at a time.
struct Objects(Vec<UnsafeCell<bool>>);

impl Objects {
    fn new() -> Arc<Objects> {
        Arc::new(Objects((0..64).map(|_| UnsafeCell::new(false)).collect()))
    }

    /// Notes that an object is taken (`held`) or given back, and asserts that it was not so before.
    #[track_caller]
    fn set(&self, object: *mut u8, held: bool) {
        assert!(!object.is_null());
        let cell = &self.0[object.addr() % BLOCK / 16];
        // SAFETY: the checker panics on an access that is not ordered with this one.
        let before = unsafe { core::mem::replace(&mut *cell.get(), held) };
        assert_ne!(before, held, "an object is two threads' at once");
    }
}

fn class() -> Class {
    Class::of(16).expect("a class")
}

/// Two threads take slots of one page and give them back; the page goes back when it is empty.
#[test]
fn loom_pages_hand_slots_out_once() {
    check(|| {
        crate::metadata::range::reserve_once();
        let objects = Objects::new();
        let work = |objects: &Objects| {
            let mut slots = [core::ptr::null_mut(); 1];
            assert_eq!(central_free_list::take(counters(), POLICY, class(), Owner::ALL, &mut slots).0, 1);
            objects.set(slots[0], true);
            objects.set(slots[0], false);
            central_free_list::give(class(), &slots, |page| _ = arena::give_run(page));
        };
        let other = thread::spawn({
            let objects = objects.clone();
            move || work(&objects)
        });
        work(&objects);
        central_free_list::give_empty(|_, page| _ = arena::give_run(page));
        other.join().expect("no panic");
        assert_all_free();
    });
}

/// While the purge has a page, its last slot in use comes back, and slots are taken: from the spare page, or a new one,
/// or from the page when the purge has put it back.
#[test]
fn loom_pages_at_the_purge_take_slots_back_and_hand_none_out() {
    check(|| {
        crate::metadata::range::reserve_once();
        let give_slot = |slot| central_free_list::give(class(), &[slot], |page| _ = arena::give_run(page));
        let mut slots = [core::ptr::null_mut(); 2];
        assert_eq!(central_free_list::take(counters(), POLICY, class(), Owner::ALL, &mut slots).0, 2);
        let [kept, freed] = slots;
        give_slot(freed);
        assert_eq!(central_free_list::waiting_bytes(), class().slot_bytes());
        let purger = thread::spawn(|| {
            let evict = |_, page| _ = arena::give_run(page);
            central_free_list::purge_older_than(counters(), 0, evict, || true);
        });
        give_slot(kept);
        let mut one = [core::ptr::null_mut(); 1];
        assert_eq!(central_free_list::take(counters(), POLICY, class(), Owner::ALL, &mut one).0, 1);
        give_slot(one[0]);
        purger.join().expect("no panic");
        assert_eq!(central_free_list::waiting_bytes(), 0, "no page has a slot in use");
        assert_all_free();
    });
}

/// Heaps by the addresses of their records, each held by one thread at a time.
struct Heaps([UnsafeCell<bool>; 8]);

impl Heaps {
    fn new() -> Arc<Heaps> {
        Arc::new(Heaps(core::array::from_fn(|_| UnsafeCell::new(false))))
    }

    /// Notes that a heap is taken (`held`) or about to be given up, and asserts that it was not so before.
    #[track_caller]
    fn set(&self, heap: &'static Heap, held: bool) {
        let cell = &self.0[core::ptr::from_ref(heap).addr() / size_of::<Heap>() % self.0.len()];
        // SAFETY: the checker panics on an access that is not ordered with this one.
        let before = unsafe { core::mem::replace(&mut *cell.get(), held) };
        assert_ne!(before, held, "a heap is two threads' at once");
    }

    fn take(&self) -> &'static Heap {
        let heap = thread_heap::take(OPEN).expect("there is room for a record");
        self.set(heap, true);
        heap
    }

    fn give_up(&self, heap: &'static Heap) {
        self.set(heap, false);
        give_up(heap);
    }
}

/// Gives all objects in the transfer cache and all empty pages back, and asserts that the first segment is free again.
fn assert_all_free() {
    transfer_cache::drain(|class, objects| {
        central_free_list::give(class, objects, |page| _ = arena::give_run(page));
    });
    central_free_list::give_empty(|_, page| _ = arena::give_run(page));
    let (page, _) = arena::take_run(counters(), POLICY, Kind::Small, SEGMENT_BLOCKS, SEGMENT_BLOCKS * BLOCK)
        .expect("there is room");
    assert_eq!(page.base.get(), crate::metadata::range::bounds().0, "the first segment is free again");
}

/// An object goes to another thread, which frees it and ends, while the thread that allocated it ends as well.
#[test]
fn loom_objects_are_freed_by_others_while_their_thread_ends() {
    check(|| {
        config::seal_once();
        let (heaps, objects) = (Heaps::new(), Objects::new());
        let heap = heaps.take();
        let handed = heap.refill(POLICY, class());
        objects.set(handed, true);
        let other = thread::spawn({
            let (heaps, objects, handed) = (heaps.clone(), objects.clone(), handed.expose_provenance());
            move || {
                let heap = heaps.take();
                let handed = core::ptr::with_exposed_provenance_mut(handed);
                objects.set(handed, false);
                assert!(heap.cache.push(class(), handed));
                heaps.give_up(heap);
            }
        });
        heaps.give_up(heap);
        other.join().expect("no panic");
        assert_all_free();
    });
}

/// Two owners' threads: one frees an object of the other's page, and sends it back; the other takes slots meanwhile, ends,
/// and leaves the page, which the first one may go on with.
#[test]
fn loom_owned_pages_get_their_objects_back_and_change_their_owner() {
    check(|| {
        config::seal_once();
        let (heaps, objects) = (Heaps::new(), Objects::new());
        let owned = OpenLists { owned: true, ..OPEN };
        let take = move |heaps: &Heaps| {
            let heap = thread_heap::take(owned).expect("there is room for a record");
            heaps.set(heap, true);
            heap
        };
        let heap = take(&heaps);
        let handed = heap.refill(POLICY, class());
        objects.set(handed, true);
        let other = thread::spawn({
            let (heaps, objects, handed) = (heaps.clone(), objects.clone(), handed.expose_provenance());
            move || {
                let heap = take(&heaps);
                let handed = core::ptr::with_exposed_provenance_mut(handed);
                objects.set(handed, false);
                if outbox::is_foreign(heap, handed) {
                    assert!(heap.cache.push_outbox(class(), handed));
                    outbox::empty(config::active(), heap, class(), true);
                } else {
                    // The heap is the one that the other thread has given up.
                    assert!(heap.cache.push(class(), handed));
                }
                let own = heap.refill(POLICY, class());
                objects.set(own, true);
                objects.set(own, false);
                assert!(heap.cache.push(class(), own));
                heaps.give_up(heap);
            }
        });
        heaps.give_up(heap);
        other.join().expect("no panic");
        assert_all_free();
    });
}

/// A thread begins while another ends: it may get that thread's record and objects, or new ones.
#[test]
fn loom_heaps_and_objects_go_from_a_thread_that_ends_to_one_that_begins() {
    check(|| {
        config::seal_once();
        let (heaps, objects) = (Heaps::new(), Objects::new());
        let heap = heaps.take();
        let object = heap.refill(POLICY, class());
        objects.set(object, true);
        let other = thread::spawn({
            let (heaps, objects) = (heaps.clone(), objects.clone());
            move || {
                let heap = heaps.take();
                let object = heap.refill(POLICY, class());
                objects.set(object, true);
                objects.set(object, false);
                assert!(heap.cache.push(class(), object));
                heaps.give_up(heap);
            }
        });
        objects.set(object, false);
        assert!(heap.cache.push(class(), object));
        heaps.give_up(heap);
        other.join().expect("no panic");
        assert_all_free();
    });
}

/// Gives the calling thread a heap, as its first slow request would.
fn settle(heap: &'static Heap) {
    let words = os::thread_slots();
    let [cache, lists] = heap.cache.words();
    let own = [cache, lists, core::ptr::from_ref(heap).expose_provenance()];
    // SAFETY: no other thread has seen the heap, whose lock of zeroes the checker does not know; the words are the calling
    // thread's.
    unsafe {
        (&raw const heap.inside).cast_mut().write(Lock::new(()));
        *words = own;
    }
    heap.words.store(words.expose_provenance(), Ordering::Relaxed);
}

/// The cache that the calling thread's fast path uses.
fn first_word() -> usize {
    // SAFETY: the calling thread's words.
    unsafe { (*os::thread_slots())[0] }
}

/// A thread uses its heap's list on the fast path and inside, while `purge` does something about it in another one. `using`
/// is called whenever the thread uses the list.
fn use_heap(using: impl Fn(), purge: impl FnOnce(&'static Heap, &Objects) + 'static) {
    let (heaps, objects) = (Heaps::new(), Objects::new());
    let heap = heaps.take();
    let list = class().slot_list().of_owner(Owner::ALL);
    let object = heap.refill(POLICY, class());
    objects.set(object, true);
    settle(heap);
    let purger = thread::spawn({
        let objects = objects.clone();
        move || purge(heap, &objects)
    });
    let note = || {
        if first_word() == core::ptr::from_ref(&heap.cache).addr() {
            using();
        }
    };
    let free = |object: *mut u8| {
        objects.set(object, false);
        let put = || {
            note();
            thread_cache::put(list, object)
        };
        if os::sequence(put) {
            return;
        }
        let is_closed = || first_word() == core::ptr::from_ref(&EMPTY).addr();
        let freed = threads::inside(|access| {
            assert!(is_closed(), "a signal handler finds closed lists");
            using();
            let heap = access.own_heap().expect("the thread has one");
            assert!(heap.cache.push(class(), object));
            thread::yield_now();
            assert!(is_closed(), "a signal handler finds closed lists");
            using();
        });
        assert!(freed.is_some(), "no fork is under way");
    };
    free(object);
    let take = || {
        note();
        thread_cache::take(class().slot_list()).object
    };
    let newest = os::sequence(take);
    if !newest.is_null() {
        objects.set(newest, true);
        free(newest);
    }
    purger.join().expect("no panic");
    assert_eq!(first_word(), core::ptr::from_ref(&heap.cache).addr(), "the thread has its cache again");
    heaps.give_up(heap);
    assert_all_free();
}

/// The purge empties a heap whose thread is on its fast path, goes inside and comes back. What the purge gives back is
/// taken by another thread, here its own.
#[test]
fn loom_idle_caches_are_emptied_beside_their_thread() {
    check(|| {
        config::seal_once();
        let purge = |heap: &'static Heap, objects: &Objects| {
            idle_caches::empty_heap(config::active(), counters(), heap);
            let mut slot = [core::ptr::null_mut(); 1];
            assert_eq!(central_free_list::take(counters(), POLICY, class(), Owner::ALL, &mut slot).0, 1);
            objects.set(slot[0], true);
            objects.set(slot[0], false);
            central_free_list::give(class(), &slot, |page| _ = arena::give_run(page));
        };
        use_heap(|| {}, purge);
    });
}

/// A heap's lists are used by its thread or by the purge, one after the other.
#[test]
fn loom_idle_caches_are_left_alone_by_their_thread() {
    check(|| {
        config::seal_once();
        let lists = Arc::new(UnsafeCell::new(0));
        // SAFETY: the checker panics if another thread uses them, and nothing orders the two.
        let using = |lists: &UnsafeCell<u32>| unsafe { *lists.get() += 1 };
        let purge = {
            let lists = lists.clone();
            move |heap: &'static Heap, _: &Objects| {
                idle_caches::while_stopped(heap, || {
                    using(&lists);
                    thread::yield_now();
                    using(&lists);
                });
            }
        };
        use_heap(|| using(&lists), purge);
    });
}
