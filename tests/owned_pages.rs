//! Threads do not share cache lines after they freed one another's small objects.

mod common;

use common::requests::{allocate, free};
use common::{case, eventually, present};
use hakmem::Hakmem;
use hakmem::factors::FactorId;
use std::collections::BTreeMap;
use std::sync::{Barrier, Mutex};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

const OBJECTS: usize = 4_000;
const CACHE_LINE: usize = 64;

/// Addresses of objects.
type Objects = Vec<usize>;

fn request(bytes: usize, count: usize) -> Objects {
    (0..count).map(|_| allocate(bytes).expose_provenance()).collect()
}

fn give_up(objects: impl IntoIterator<Item = usize>, bytes: usize) {
    objects.into_iter().for_each(|object| free(std::ptr::with_exposed_provenance_mut(object), bytes));
}

/// Slots in all pages for objects of this size.
fn slots(bytes: usize) -> usize {
    let stats = hakmem::stats();
    let class = stats.classes().iter().find(|class| class.object_bytes == bytes).expect("a size class");
    [class.live, class.thread_caches, class.transfer_cache, class.free_slots]
        .iter()
        .map(|part| part.objects as usize)
        .sum()
}

/// Each of the threads requests objects, frees every second one of the next thread's, and requests as many again. Returns the
/// share of the cache lines with objects of several threads, of all that have any.
fn shared_lines(threads: usize, bytes: usize) -> f64 {
    let tables: Vec<Mutex<Objects>> = (0..threads).map(|_| Mutex::default()).collect();
    let (step, lines) = (Barrier::new(threads), Mutex::new(BTreeMap::<usize, usize>::new()));
    std::thread::scope(|scope| {
        for own in 0..threads {
            let (tables, step, lines) = (&tables, &step, &lines);
            scope.spawn(move || {
                let table = |thread: usize| tables[thread % threads].lock().expect("no panic");
                *table(own) = request(bytes, OBJECTS);
                step.wait();
                let freed: Objects =
                    (0..OBJECTS).filter(|place| place % 2 == 1).map(|place| table(own + 1)[place]).collect();
                step.wait();
                give_up(freed, bytes);
                step.wait();
                let again = request(bytes, OBJECTS / 2);
                let mut live: Objects = table(own).iter().copied().step_by(2).collect();
                live.extend(again);
                {
                    let mut lines = lines.lock().expect("no panic");
                    live.iter().for_each(|object| *lines.entry(object / CACHE_LINE).or_default() |= 1 << own);
                }
                step.wait();
                give_up(live, bytes);
            });
        }
    });
    let lines = lines.into_inner().expect("no panic");
    lines.values().filter(|owners| owners.count_ones() > 1).count() as f64 / lines.len() as f64
}

#[test]
fn threads_that_free_their_neighbours_do_not_share_cache_lines() {
    if !present("owned-pages") || !present("thread-cache") {
        return;
    }
    for threads in [2, 5] {
        for bytes in [8, 16, 24, 32, 48, 80, 96, 112] {
            case("threads_that_free_their_neighbours_do_not_share_cache_lines", &format!("{threads} {bytes}"))
                .succeeds(|| {
                    let shared = shared_lines(threads, bytes);
                    assert!(shared < 0.05, "{threads} threads, {bytes} B: {shared}");
                    let counter = |name| hakmem::stats().factor(FactorId::OwnedPages).counter(name);
                    assert!(counter("sent") >= Some((threads * OBJECTS / 4) as u64), "{:?}", counter("sent"));
                });
        }
    }
}

/// What the test above measures is there where nothing prevents it.
#[test]
fn without_owners_they_do() {
    if !present("thread-cache") {
        return;
    }
    case("without_owners_they_do", "16").var("HAKMEM_DISABLE_OWNED_PAGES", "1").succeeds(|| {
        let shared = shared_lines(2, 16);
        assert!(shared > 0.3, "{shared}");
    });
}

/// Threads that end leave their pages: the next ones, and the first one, use the free slots before new pages.
#[test]
fn pages_of_ended_threads_are_used_by_others() {
    if !hakmem::factors::registry().iter().all(|factor| factor.present) {
        return;
    }
    case("pages_of_ended_threads_are_used_by_others", "").succeeds(|| {
        const THREADS: usize = 40;
        const BYTES: usize = 64;
        let mut kept = Vec::new();
        // All at once, so that each has an owner of its own, as far as there are owners.
        let barrier = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let objects = request(BYTES, OBJECTS);
                        barrier.wait();
                        let (kept, freed): (Vec<_>, Vec<_>) = objects.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
                        give_up(freed, BYTES);
                        kept
                    })
                })
                .collect();
            kept.extend(threads.into_iter().flat_map(|thread| thread.join().expect("no panic")));
        });
        eventually("what the threads' caches held goes to its pages", || hakmem::stats().transfer_cache.bytes == 0);
        let before = slots(BYTES);
        let again = request(BYTES, THREADS * OBJECTS / 4);
        let new = slots(BYTES) - before;
        assert!(new < THREADS * OBJECTS / 4 / 4, "{new} slots of new pages, where half of the old ones are free");
        give_up(again, BYTES);
        give_up(kept, BYTES);
    });
}

/// One thread frees what others requested, more owners and sizes than it has return lists. The objects go back: their
/// threads get them again, each object once, and do not request new pages.
#[test]
fn objects_return_by_lists_that_change_their_owners() {
    if !present("owned-pages") || !present("thread-cache") {
        return;
    }
    case("objects_return_by_lists_that_change_their_owners", "").succeeds(|| {
        const THREADS: usize = 6;
        const ROUNDS: usize = 4;
        const SIZES: [usize; 7] = [16, 32, 48, 64, 80, 96, 112];
        let tables: Vec<Mutex<Vec<(usize, Objects)>>> = (0..THREADS).map(|_| Mutex::default()).collect();
        let step = Barrier::new(THREADS + 1);
        let all_slots = || SIZES.iter().map(|&bytes| slots(bytes)).sum::<usize>();
        let mut most_slots = [0; ROUNDS];
        std::thread::scope(|scope| {
            for table in &tables {
                let step = &step;
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        *table.lock().expect("no panic") =
                            SIZES.iter().map(|&bytes| (bytes, request(bytes, OBJECTS))).collect();
                        step.wait();
                        step.wait();
                    }
                });
            }
            for most in &mut most_slots {
                step.wait();
                *most = all_slots();
                let mut seen = BTreeMap::<usize, usize>::new();
                for (thread, table) in tables.iter().enumerate() {
                    for (bytes, objects) in table.lock().expect("no panic").drain(..) {
                        for &object in &objects {
                            assert_eq!(seen.insert(object, thread), None, "an address that two requests got");
                        }
                        give_up(objects, bytes);
                    }
                }
                step.wait();
            }
        });
        let counter = |name| hakmem::stats().factor(FactorId::OwnedPages).counter(name);
        // Less what waits in outboxes and return lists, a stack of 126 each.
        let most = ROUNDS * THREADS * SIZES.len() * OBJECTS;
        let least = most - (SIZES.len() + 8) * 126;
        assert!((Some(least as u64)..=Some(most as u64)).contains(&counter("sent")), "{:?}", counter("sent"));
        assert!(counter("lists") >= Some((THREADS * SIZES.len()) as u64), "{:?}", counter("lists"));
        let [first, .., last] = most_slots;
        assert!(4 * last < 5 * first, "{last} slots in the last round, {first} in the first one");
    });
}
