//! The effect of the factor that gives memory back, and its absence when it is off or not compiled in; and which memory
//! goes back, stays, or is never touched, as programs get it.

mod common;

use common::kernel::{resident_pages, threads};
use common::requests::{allocate, free, reallocate, touch};
use common::{KIB, MIB, PAGE, counter, eventually, is_idle, level, off_or_absent, only, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};
use std::time::Duration;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// Objects of 2 MiB, each in half a segment of its own, in memory.
fn touched_halves<const COUNT: usize>() -> [*mut u8; COUNT] {
    [(); COUNT].map(|()| {
        let object = allocate(2 * MIB);
        touch(object, 2 * MIB);
        object
    })
}

fn resident(objects: &[*mut u8]) -> usize {
    objects.iter().map(|&object| resident_pages(object, 2 * MIB)).sum()
}

const HALF_PAGES: usize = 2 * MIB / PAGE;

#[test]
fn purge_gives_memory_back() {
    let name = "purge_gives_memory_back";
    let kept = ["purge", "arena"];
    let is_there = || kept.iter().all(|factor| present(factor));
    only(name, "batched, idle", &kept).succeeds(|| {
        if !is_there() {
            return;
        }
        assert_eq!(level("purge"), "on");
        let threads_before = threads();
        for round in 1..=2 {
            let objects = touched_halves::<16>();
            assert_eq!(resident(&objects), 16 * HALF_PAGES);
            let epochs = counter("purge", "epochs");
            objects.into_iter().for_each(|object| free(object, 2 * MIB));
            let after = resident(&objects);
            // On a slow machine the purge may have run already.
            let has_looked = counter("purge", "epochs") > epochs;
            assert!(after == 16 * HALF_PAGES || has_looked, "{after} pages: memory went with the free, not by time");
            eventually("the process does nothing, and its memory goes", || resident(&objects) == 0);
            assert_eq!(counter("purge", "starts"), round, "one thread does it");
            // Of the small objects' memory, what the harness left may go as well.
            assert!(counter("purge", "calls") >= 16 * round);
            let bytes = 16 * round * 2 * MIB as u64;
            eventually("what went is counted once the kernel has taken it", || counter("purge", "bytes") >= bytes);
            assert!(counter("purge", "epochs") >= round);
            eventually("nothing waits, and the thread ends", || threads() == threads_before);
        }
    });
    only(name, "batched, light traffic", &kept).succeeds(|| {
        if !is_there() {
            return;
        }
        let objects = touched_halves::<16>();
        objects.into_iter().for_each(|object| free(object, 2 * MIB));
        eventually("what the traffic does not use goes, also the other half of the segment that it uses", || {
            let object = allocate(2 * MIB);
            touch(object, 2 * MIB);
            free(object, 2 * MIB);
            let other_half = object.map_addr(|address| address ^ (2 * MIB));
            // It may change between segments, and what it left is young.
            resident(&objects) <= 2 * HALF_PAGES && resident(&[other_half]) == 0
        });
    });
    only(name, "immediate", &kept).var("HAKMEM_PURGE", "immediate").succeeds(|| {
        if !is_there() {
            return;
        }
        assert_eq!(level("purge"), "immediate");
        let threads_before = threads();
        let objects = touched_halves::<16>();
        for (nth, object) in objects.into_iter().enumerate() {
            free(object, 2 * MIB);
            assert_eq!(resident(&objects), (15 - nth) * HALF_PAGES, "with the free");
        }
        assert_eq!((counter("purge", "calls"), counter("purge", "bytes")), (16, 32 * MIB as u64));
        assert_eq!((counter("purge", "starts"), counter("purge", "epochs")), (0, 0));
        assert_eq!(threads(), threads_before);
        // SAFETY: the size is not 0.
        let object = unsafe { GLOBAL.alloc_zeroed(common::requests::layout(2 * MIB)) };
        assert_eq!(resident(&[object]), 0, "the memory is known to be zero, so no byte was written");
    });
    only(name, "never", &kept).var("HAKMEM_PURGE", "never").succeeds(|| {
        if present("arena") {
            assert_purge_is_idle();
        }
    });
    only(name, "off", &["arena"]).succeeds(|| {
        if present("arena") {
            assert_purge_is_idle();
        }
    });
}

fn assert_purge_is_idle() {
    assert_eq!(level("purge"), off_or_absent("purge"));
    let threads_before = threads();
    let objects = touched_halves::<16>();
    objects.into_iter().for_each(|object| free(object, 2 * MIB));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(resident(&objects), 16 * HALF_PAGES, "nothing goes");
    assert_eq!(threads(), threads_before);
    assert!(is_idle("purge"));
}

/// Two threads give the halves of one segment up at the same moment: neither may be forgotten.
#[test]
fn purge_sees_both_halves_of_a_segment() {
    let name = "purge_sees_both_halves_of_a_segment";
    only(name, "immediate", &["purge", "arena"]).var("HAKMEM_PURGE", "immediate").succeeds(|| {
        if !present("purge") || !present("arena") {
            return;
        }
        let barrier = std::sync::Barrier::new(2);
        let freed = std::sync::Mutex::new(Vec::new());
        let work = || {
            for _ in 0..300 {
                let object = allocate(2 * MIB);
                touch(object, 2 * MIB);
                freed.lock().expect("no thread panicked").push(object.expose_provenance());
                barrier.wait();
                free(object, 2 * MIB);
                barrier.wait();
                let mut freed = freed.lock().expect("no thread panicked");
                let left: usize =
                    freed.drain(..).map(|at| resident(&[std::ptr::with_exposed_provenance_mut(at)])).sum();
                assert_eq!(left, 0, "the segment is unused, so both halves went back");
                drop(freed);
                barrier.wait();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            work();
        });
    });
}

/// As programs get it: what thread caches and the transfer cache keep is little beside what was freed.
#[test]
fn memory_goes_back_by_default() {
    let name = "memory_goes_back_by_default";
    let all = || hakmem::factors::registry().iter().all(|factor| factor.present);
    for (label, size) in [("large", MIB), ("small", 1000), ("beyond a segment", 5 * MIB)] {
        common::case(name, label).succeeds(|| {
            if !all() {
                return;
            }
            let before = common::kernel::resident_bytes();
            let objects: Vec<*mut u8> = (0..256 * MIB / size).map(|_| allocate(size)).collect();
            objects.iter().for_each(|&object| touch(object, size));
            let grown = || common::kernel::resident_bytes().saturating_sub(before);
            assert!(grown() > 250 * MIB);
            objects.iter().for_each(|&object| free(object, size));
            // A sixth, which is what the plan for reliability allows.
            eventually("most of it goes", || grown() < 40 * MIB);
        });
    }
}

/// A request that no address space has room for gives nothing back that waits for the next one.
/// What shorter objects left in caches goes before longer ones take new memory.
#[test]
fn long_objects_take_the_place_of_shorter_ones() {
    let name = "long_objects_take_the_place_of_shorter_ones";
    for short in [3 * MIB, MIB, 300_000, 60_000] {
        common::case(name, &short.to_string()).succeeds(|| {
            if !hakmem::factors::registry().iter().all(|factor| factor.present) {
                return;
            }
            let hold = |size: usize, bytes: usize| {
                let objects: Vec<*mut u8> = (0..bytes / size).map(|_| allocate(size)).collect();
                objects.iter().for_each(|&object| touch(object, size));
                let resident = hakmem::stats().resident_bytes as usize;
                objects.into_iter().for_each(|object| free(object, size));
                resident
            };
            let before = hold(short, 48 * MIB);
            let after = hold(12 * MIB, 48 * MIB);
            assert!(after < before + 16 * MIB, "{after} bytes, {before} with objects of {short}");
        });
    }
}

#[test]
fn an_impossible_request_purges_nothing() {
    common::case("an_impossible_request_purges_nothing", "default").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        let objects = touched_halves::<16>();
        objects.into_iter().for_each(|object| free(object, 2 * MIB));
        let waits = resident(&objects);
        assert!(waits > 8 * HALF_PAGES, "most of it waits: {waits}");
        for (size, align) in [(isize::MAX as usize - 15, 16), (1 << 50, 16), (1 << 49, PAGE)] {
            let layout = Layout::from_size_align(size, align).expect("a power of two");
            // SAFETY: the size is not 0.
            assert!(unsafe { GLOBAL.alloc(layout) }.is_null());
        }
        assert_eq!(counter("purge", "bytes"), 0);
        assert_eq!(resident(&objects), waits);
    });
}

/// An object that `realloc` makes shorter in its place gives its tail back.
#[test]
fn a_shorter_object_gives_its_tail_back() {
    let name = "a_shorter_object_gives_its_tail_back";
    for (from, to) in [(64 * MIB, 33 * MIB), (400 * MIB, 210 * MIB), (4 * MIB, 2 * MIB + 1), (5 * MIB, 3 * MIB)] {
        common::case(name, &format!("{from}-{to}")).succeeds(|| {
            if !present("purge") {
                return;
            }
            let object = allocate(from);
            touch(object, from);
            // SAFETY: the object has that many bytes.
            unsafe {
                object.write(7);
                object.add(to - 1).write(9);
            }
            let object = reallocate(object, from, to);
            assert!(resident_pages(object, from) * PAGE < to + 2 * MIB);
            // SAFETY: as above.
            assert_eq!(unsafe { (object.read(), object.add(to - 1).read()) }, (7, 9));
            let object = reallocate(object, to, from);
            touch(object, from);
            free(object, from);
        });
        common::case(name, &format!("{from}-{to}-off")).var("HAKMEM_DISABLE_PURGE", "1").succeeds(|| {
            if present("purge") {
                let object = allocate(from);
                touch(object, from);
                reallocate(object, from, to);
                assert_eq!(counter("purge", "calls"), 0);
            }
        });
    }
}

/// What is freed in pages that gave memory back before goes back as well.
#[test]
fn pages_that_are_freed_in_steps_give_memory_back_at_each() {
    common::case("pages_that_are_freed_in_steps_give_memory_back_at_each", "default").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        let before = common::kernel::resident_bytes();
        let grown = || common::kernel::resident_bytes().saturating_sub(before);
        let objects: Vec<*mut u8> = (0..64 * MIB / 1000).map(|_| allocate(1000)).collect();
        objects.iter().for_each(|&object| touch(object, 1000));
        assert!(grown() > 62 * MIB);
        let is_kept = |step: usize, at: usize| at % 64 < if step == 0 { 24 } else { 1 };
        for (step, most) in [(0, 34 * MIB), (1, 14 * MIB)] {
            let freed = objects.iter().enumerate();
            let freed = freed.filter(|(at, _)| !is_kept(step, *at) && (step == 0 || is_kept(0, *at)));
            freed.for_each(|(_, &object)| free(object, 1000));
            eventually("what is free goes", || grown() < most);
        }
    });
}

/// What is freed in two steps leaves what one step would: the OS pages of the objects that are kept, and what caches hold.
/// Huge pages are left out, since the kernel may make new ones of what was given back.
#[test]
fn objects_of_any_size_that_are_freed_in_steps_leave_their_os_pages() {
    let name = "objects_of_any_size_that_are_freed_in_steps_leave_their_os_pages";
    for size in [100, 700, 3_000, 9_000, 30_000, 70_000, 300_000] {
        common::case(name, &size.to_string()).var("HAKMEM_THP", "never").succeeds(|| {
            if !hakmem::factors::registry().iter().all(|factor| factor.present) {
                return;
            }
            let before = common::kernel::resident_bytes();
            let grown = || common::kernel::resident_bytes().saturating_sub(before);
            let mut objects: Vec<*mut u8> = (0..64 * MIB / size).map(|_| allocate(size)).collect();
            objects.iter().for_each(|&object| touch(object, size));
            for step in 0..2 {
                let is_kept = |at: usize| at.is_multiple_of(512) || (step == 0 && at % 32 < 10);
                for at in (0..objects.len()).filter(|&at| !is_kept(at)) {
                    let object = std::mem::replace(&mut objects[at], std::ptr::null_mut());
                    if !object.is_null() {
                        free(object, size);
                    }
                }
                let os_pages = |object: *mut u8| object.addr() / PAGE..=(object.addr() + size - 1) / PAGE;
                let kept = objects.iter().filter(|object| !object.is_null());
                let live = kept.flat_map(|&object| os_pages(object)).collect::<std::collections::HashSet<_>>().len();
                let most = live * PAGE + if step == 0 { 16 * MIB } else { 7 * MIB };
                eventually("what is free goes", || grown() < most);
            }
        });
    }
}

/// Little memory of each size class is much of all together: a survivor in every page pins no more than its OS page.
#[test]
fn a_survivor_in_every_page_of_every_class_pins_its_os_page() {
    common::case("a_survivor_in_every_page_of_every_class_pins_its_os_page", "default").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        let before = common::kernel::resident_bytes();
        let grown = || common::kernel::resident_bytes().saturating_sub(before);
        let sizes = (1..=8).map(|n| 16 * n).chain((8..30).map(|n| (4 + n % 4) << (n / 4 + 3)));
        let mut kept = Vec::new();
        for size in sizes {
            let objects: Vec<*mut u8> = (0..4 * MIB / size).map(|_| allocate(size)).collect();
            objects.iter().for_each(|&object| touch(object, size));
            for (at, object) in objects.into_iter().enumerate() {
                if at % (64 * KIB / size) == 0 {
                    kept.push((object, size));
                } else {
                    free(object, size);
                }
            }
        }
        // Caches keep up to a MiB of each class, and those slots pin their OS pages too.
        eventually("most of it goes", || grown() < 64 * MIB);
        kept.into_iter().for_each(|(object, size)| free(object, size));
    });
}

/// Work in bursts a little more than a second apart finds its memory, once the purge has regretted that it was given back. When the bursts end,
/// it goes.
#[test]
fn bursts_find_their_memory_and_leave_none() {
    common::case("bursts_find_their_memory_and_leave_none", "default").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        let mut objects = Vec::new();
        // Memory that was freed by the burst before, and is there. On a busy machine a pause may be too long for it: such
        // a burst does not count.
        let (mut bursts, mut found) = (0, false);
        for burst in 0..60 {
            objects = touched_halves::<32>().to_vec();
            objects.iter().for_each(|&object| free(object, 2 * MIB));
            let began = std::time::Instant::now();
            std::thread::sleep(Duration::from_millis(1_150));
            let pages = resident(&objects);
            assert!(burst > 0 || pages < 16 * HALF_PAGES, "the first burst's memory is not kept: {pages}");
            bursts += u32::from(began.elapsed() < Duration::from_millis(1_300));
            found = pages > 24 * HALF_PAGES;
            if found || bursts == 15 {
                break;
            }
        }
        assert!(found || bursts < 15, "no burst found its memory");
        // The thread's cache keeps up to four.
        eventually("all goes when no burst comes", || resident(&objects) <= 4 * HALF_PAGES);
    });
}

/// Processor time of the process without the calling thread's, in seconds.
fn others_processor_seconds() -> f64 {
    let of = |who| {
        // SAFETY: zeroes are a `struct rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: writes the struct.
        assert_eq!(unsafe { libc::getrusage(who, &raw mut usage) }, 0);
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) - of(libc::RUSAGE_THREAD)
}

/// Twelve times as many pages with a survivor each take about twelve times as long, not the square of it. No object is
/// touched, so that what the kernel does for each page is little.
#[test]
fn giving_back_takes_time_in_proportion() {
    common::case("giving_back_takes_time_in_proportion", "default").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        const SIZE: usize = 7 * KIB;
        let seconds = |pages: usize| {
            let objects: Vec<*mut u8> = (0..9 * pages).map(|_| allocate(SIZE)).collect();
            let (begin, bytes) = (others_processor_seconds(), counter("purge", "bytes"));
            objects.iter().enumerate().filter(|(at, _)| at % 9 != 4).for_each(|(_, &object)| free(object, SIZE));
            let expected = (pages * 40 * KIB) as u64;
            eventually("the pages are given back", || counter("purge", "bytes") - bytes > expected);
            let taken = others_processor_seconds() - begin;
            objects.iter().skip(4).step_by(9).for_each(|&object| free(object, SIZE));
            taken
        };
        let (few, many) = (seconds(8_000), seconds(96_000));
        assert!(many < 36.0 * few, "{few} and {many} seconds");
    });
}

/// Long zeroed objects that were in use before are zero again, and hold what is touched, and few huge pages.
#[test]
fn zeroed_memory_that_is_used_again_stays_sparse() {
    const OBJECTS: usize = 8;
    for size in [150_000, 1_000_003, 3_300_000, 20_000_000, 64 * MIB + 5] {
        let case = common::case("zeroed_memory_that_is_used_again_stays_sparse", &size.to_string());
        case.succeeds(|| {
            if !hakmem::factors::registry().iter().all(|factor| factor.present) {
                return;
            }
            let layout = Layout::from_size_align(size, 16).expect("a power of two");
            for round in 0..4 {
                // SAFETY: the size is not 0, and the objects are freed once.
                let objects = [(); OBJECTS].map(|()| unsafe { GLOBAL.alloc_zeroed(layout) });
                for object in objects {
                    // SAFETY: the object has that many bytes.
                    let bytes = unsafe { std::slice::from_raw_parts_mut(object, size) };
                    for at in [0, size / 2, size - 1] {
                        assert_eq!(std::mem::replace(&mut bytes[at], 7), 0);
                    }
                }
                let resident: usize = objects.iter().map(|&object| resident_pages(object, size) * PAGE).sum();
                // Long ones have huge pages at first, before it is known how such memory is used: what is given back as it is
                // freed the first time shows nothing.
                assert!(round <= usize::from(size > 4 * MIB) || resident <= OBJECTS * size / 4, "{resident}");
                // SAFETY: as above.
                objects.iter().for_each(|&object| unsafe { GLOBAL.dealloc(object, layout) });
            }
            let object = allocate(size);
            touch(object, size);
            free(object, size);
            // SAFETY: as above.
            let object = unsafe { GLOBAL.alloc_zeroed(layout) };
            // SAFETY: as above.
            assert!(unsafe { std::slice::from_raw_parts(object, size) }.iter().all(|byte| *byte == 0));
        });
    }
}
