//! The effect of each factor that decides where memory lies, what backs it and when it goes back, and its absence when it
//! is off or not compiled in: by its counters, and by what the kernel says of the memory.

mod common;

use common::kernel::{
    advice_at, has_huge_pages, huge_bytes, is_mapped, resident_pages, threads, virtual_pages, without_system_calls,
};
use common::requests::{
    allocate, allocate_at, free, has_own_mapping, own_mappings, reallocate, requests, touch, use_once,
};
use common::{KIB, MIB, PAGE, assert_idle, counter, is_idle, level, off_or_absent, only, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};
use std::time::{Duration, Instant};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

// ---------------------------------------------------------------------------------------------------------------------

/// Sizes of large mappings that can hold a huge page, whatever comes before the object.
const HUGE_SIZES: [usize; 6] = [2 * MIB, 2 * MIB + 1, 3 * MIB, 4 * MIB, 5 * MIB + 1, 9 * MIB];

/// What a mapping lies like: for each of [`HUGE_SIZES`], how far the object is behind a multiple of 2 MiB, and by how
/// many pages the process grew beyond those of the object. All live at once, so that no address comes twice.
fn placements() -> [(usize, usize); HUGE_SIZES.len()] {
    // The map's own memory for these addresses may be new; it is not to be counted.
    HUGE_SIZES.map(allocate).into_iter().zip(HUGE_SIZES).for_each(|(object, size)| free(object, size));
    let placed = HUGE_SIZES.map(|size| {
        let before = virtual_pages();
        let object = allocate(size);
        let spare = virtual_pages() - before - size.div_ceil(PAGE);
        // SAFETY: the object is that long.
        unsafe {
            object.write(1);
            object.add(size - 1).write(1);
        }
        (object, spare)
    });
    placed.iter().zip(HUGE_SIZES).for_each(|(&(object, _), size)| free(object, size));
    placed.map(|(object, spare)| (object.addr() % (2 * MIB), spare))
}

#[test]
fn align_places_mappings_or_objects() {
    let name = "align_places_mappings_or_objects";
    let made = 2 * HUGE_SIZES.len() as u64;
    only(name, "on", &["align"]).succeeds(|| {
        if !present("align") {
            return assert_align_is_idle();
        }
        assert_eq!(level("align"), "on");
        assert_eq!(placements(), [(0, 0); 6], "at a multiple, and nothing of the room is left");
        assert_eq!((counter("align", "placed"), counter("align", "refusals")), (made, 0));
        assert!(counter("align", "trims") >= made / 2, "four of six are no multiple of 2 MiB long");

        let object = allocate(2 * MIB);
        let object = reallocate(object, 2 * MIB, 7 * MIB);
        assert_eq!(object.addr() % (2 * MIB), 0, "what grows is placed as well");
        free(object, 7 * MIB);

        let placed = counter("align", "placed");
        let wide = Layout::from_size_align(100 * KIB, 128 * KIB).expect("a power of two");
        // SAFETY: the size is not 0, and the object is freed once.
        unsafe { GLOBAL.dealloc(GLOBAL.alloc(wide), wide) };
        assert_eq!(counter("align", "placed"), placed, "a mapping below 2 MiB lies where it lies");
    });
    only(name, "with-header", &["align", "header"]).succeeds(|| {
        if present("align") && present("header") {
            let spare = HUGE_SIZES.map(|size| (32, (size + 32).div_ceil(PAGE) - size.div_ceil(PAGE)));
            assert_eq!(placements(), spare, "the header is inside the first huge page");
            assert_eq!(counter("align", "placed"), made);
        }
    });
    only(name, "user", &["align", "header"]).var("HAKMEM_ALIGN", "user").succeeds(|| {
        if !present("align") {
            return assert_align_is_idle();
        }
        assert_eq!(level("align"), "user");
        let header_page = usize::from(present("header"));
        assert_eq!(placements(), [(0, header_page); 6], "the header is on the page before");
        assert_eq!((counter("align", "placed"), counter("align", "refusals")), (made, 0));
        if present("header") {
            let object = allocate(2 * MIB);
            // SAFETY: the header's bytes lie before the object; its first word is the size.
            assert_eq!(unsafe { object.sub(32).cast::<usize>().read() }, 2 * MIB);
            free(object, 2 * MIB);
        }
    });
    only(name, "off", &[]).succeeds(assert_align_is_idle);
    common::case(name, "original").var("HAKMEM_MODE", "original").succeeds(assert_align_is_idle);
}

fn assert_align_is_idle() {
    assert_eq!(level("align"), off_or_absent("align"));
    let header = if level("header") == "on" { 32 } else { 0 };
    for size in HUGE_SIZES {
        let object = allocate(size);
        assert_eq!(object.addr() % PAGE, header);
        free(object, size);
    }
    assert!(is_idle("align"));
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn thp_advises_on_what_is_large() {
    let name = "thp_advises_on_what_is_large";
    let advised = |expected: &str, advice: (bool, bool)| {
        assert_eq!(level("thp"), expected);
        let object = allocate(3 * MIB);
        assert_eq!(counter("thp", "calls"), 1);
        if counter("thp", "refusals") == 1 {
            return assert_eq!(counter("thp", "advised_bytes"), 0, "a kernel without huge pages");
        }
        assert_eq!(counter("thp", "advised_bytes"), 3 * MIB as u64);
        assert_eq!(advice_at(object), advice);
        let object = reallocate(object, 3 * MIB, 7 * MIB);
        assert_eq!(advice_at(object), advice, "what grows is advised on as well");
        assert_eq!((counter("thp", "calls"), counter("thp", "advised_bytes")), (2, 10 * MIB as u64));
        free(object, 7 * MIB);

        let runs = [MIB, 100 * KIB, MIB].map(allocate);
        assert_eq!(counter("thp", "calls"), 3, "one for a segment, or for all of the arena that became memory");
        assert!(runs.iter().all(|&run| advice_at(run) == advice));
        let first = allocate(1000);
        assert_eq!(advice_at(first), (false, false), "a small program's objects stay on OS pages");
        let many = (1..100_000).fold(allocate(1000), |_, _| allocate(1000));
        assert_eq!(advice_at(many), advice, "those of a large one do not");
    };
    only(name, "on", &["thp"]).succeeds(|| {
        if !present("thp") {
            return assert_no_advice();
        }
        advised("on", (true, false));
    });
    only(name, "never", &["thp"]).var("HAKMEM_THP", "never").succeeds(|| {
        if !present("thp") {
            return assert_no_advice();
        }
        advised("never", (false, true));
    });
    // What a half begins with decides: below a MiB, OS pages.
    only(name, "sparse", &["thp", "arena"]).succeeds(|| {
        if present("thp") && present("arena") {
            let objects = [(); 40].map(|()| allocate(64 * KIB));
            assert!(objects.iter().all(|&object| advice_at(object) == (false, false)));
            assert_eq!(counter("thp", "calls"), 0);
            assert_eq!(advice_at(allocate(2 * MIB)), (true, false));
        }
    });
    only(name, "reused", &["thp", "bigcache"]).succeeds(|| {
        if present("thp") && present("bigcache") {
            (0..10).for_each(|_| free(allocate_at(3 * MIB, 1), 3 * MIB));
            assert_eq!(counter("thp", "calls"), 1, "once a mapping, not once a request");
        }
    });
    only(name, "off", &[]).succeeds(assert_no_advice);
    common::case(name, "original").var("HAKMEM_MODE", "original").succeeds(assert_no_advice);
    common::case(name, "preset").var("HAKMEM_MODE", "fast").succeeds(|| {
        assert_eq!(level("thp"), if present("thp") { "on" } else { "absent" });
    });
}

fn assert_no_advice() {
    assert_eq!(level("thp"), off_or_absent("thp"));
    for size in [MIB, 3 * MIB] {
        let object = allocate(size);
        assert_eq!(advice_at(object), (false, false));
        free(object, size);
    }
    assert!(is_idle("thp"));
}

/// Where the kernel gives huge pages, the advice tells: for a run of the arena and for an aligned mapping.
#[test]
fn huge_pages_back_what_was_advised_on() {
    let name = "huge_pages_back_what_was_advised_on";
    for (label, kept) in [("run", ["thp", "arena"]), ("mapping", ["thp", "align"])] {
        for (value, expected) in [("on", true), ("never", false)] {
            only(name, &format!("{label}, {value}"), &kept).var("HAKMEM_THP", value).succeeds(|| {
                if !kept.iter().all(|factor| present(factor)) || !has_huge_pages() {
                    return;
                }
                let object = allocate(4 * MIB);
                touch(object, 4 * MIB);
                let huge = huge_bytes(object);
                assert_eq!(huge >= 4 * MIB, expected, "{huge} bytes on huge pages");
                assert!(expected || huge == 0, "{huge} bytes on huge pages");
                free(object, 4 * MIB);
            });
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// Sizes above the default mmap threshold and below it, none larger than a segment.
const ARENA_SIZES: [usize; 5] = [100 * KIB, MIB + 1, 2 * MIB, 3 * MIB, 4 * MIB];

#[test]
fn arena_serves_large_objects_from_one_range() {
    let name = "arena_serves_large_objects_from_one_range";
    let all_at_once = || {
        let objects = ARENA_SIZES.map(allocate);
        objects.into_iter().zip(ARENA_SIZES).for_each(|(object, size)| free(object, size));
    };
    only(name, "on", &["arena"]).succeeds(|| {
        if !present("arena") {
            return assert_no_arena();
        }
        assert_eq!(level("arena"), "on");
        all_at_once();
        let before = virtual_pages();
        without_system_calls(|| (0..100).for_each(|_| all_at_once()));
        (0..100).for_each(|_| all_at_once());
        assert_eq!(virtual_pages(), before, "no mapping comes or goes");
        let made = 101 * ARENA_SIZES.len() as u64;
        assert_eq!((counter("arena", "runs"), counter("arena", "returns")), (made, made));
        for size in ARENA_SIZES {
            assert_eq!(own_mappings(size, 10), 0);
        }
        let kept = allocate(4 * MIB);
        free(kept, 4 * MIB);
        assert!(is_mapped(kept), "its addresses stay");
        let runs = counter("arena", "runs");
        assert_eq!(own_mappings(4 * MIB + 1, 10), 10, "what no segment holds is mapped");
        assert_eq!(counter("arena", "runs"), runs);
    });
    only(name, "off", &[]).succeeds(assert_no_arena);
    common::case(name, "original").var("HAKMEM_MODE", "original").succeeds(|| {
        requests(3 * MIB, 100);
        assert_idle("arena");
    });
    // With the direct BigCache, which may keep mappings or runs.
    let direct = || only(name, "direct", &["bigcache", "arena"]).var("HAKMEM_BIGCACHE", "direct");
    direct().succeeds(|| {
        if present("bigcache") && present("arena") {
            all_at_once();
            assert!(ARENA_SIZES.iter().all(|&size| own_mappings(size, 10) == 0));
            assert_eq!(counter("arena", "runs"), ARENA_SIZES.len() as u64, "only the first ones are new");
        }
    });
    // With the ring, which keeps runs by site as it keeps mappings.
    let ring = || only(name, "ring", &["bigcache", "arena"]).var("HAKMEM_BIGCACHE", "ring");
    ring().succeeds(|| {
        if present("bigcache") && present("arena") {
            let first = allocate(3 * MIB);
            touch(first, 3 * MIB);
            free(first, 3 * MIB);
            let reuse = || {
                for _ in 0..100 {
                    let again = allocate(3 * MIB);
                    assert_eq!(again, first);
                    free(again, 3 * MIB);
                }
            };
            without_system_calls(reuse);
            reuse();
            assert_eq!(
                (counter("bigcache", "hits"), counter("arena", "runs"), counter("arena", "returns")),
                (100, 1, 0)
            );
            let object = allocate(3 * MIB);
            // SAFETY: the object is that long.
            unsafe { object.write(7) };
            let grown = reallocate(object, 3 * MIB, 4 * MIB);
            // SAFETY: a longer object holds what the shorter one did.
            assert_eq!(unsafe { grown.read() }, 7);
            free(grown, 4 * MIB);
            let many = [(); 6].map(|()| allocate(3 * MIB));
            many.into_iter().for_each(|object| free(object, 3 * MIB));
            assert!(counter("arena", "returns") > 0, "the ring holds four, and what is over goes back");
            assert_eq!(counter("align", "placed"), 0, "nothing was mapped");
        }
    });
}

fn assert_no_arena() {
    assert_eq!(level("arena"), off_or_absent("arena"));
    for size in [2 * MIB, 3 * MIB, 4 * MIB] {
        let object = allocate(size);
        assert!(has_own_mapping(object));
        free(object, size);
        assert!(!is_mapped(object), "a mapping a request");
    }
    use_once(100 * KIB);
    assert!(is_idle("arena"));
}

// ---------------------------------------------------------------------------------------------------------------------

/// Waits for something that takes about two seconds on an idle machine.
#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

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

/// A long zeroed object that was in use before is zero again, and holds what is touched alone.
#[test]
fn zeroed_memory_that_is_used_again_stays_sparse() {
    for size in [20_000_000, 64 * MIB + 5] {
        let case = common::case("zeroed_memory_that_is_used_again_stays_sparse", &size.to_string());
        case.succeeds(|| {
            let layout = Layout::from_size_align(size, 16).expect("a power of two");
            for _ in 0..4 {
                // SAFETY: the size is not 0, and the object is freed once.
                let object = unsafe { GLOBAL.alloc_zeroed(layout) };
                // SAFETY: the object has that many bytes.
                let bytes = unsafe { std::slice::from_raw_parts_mut(object, size) };
                for at in [0, size / 2, size - 1] {
                    assert_eq!(std::mem::replace(&mut bytes[at], 7), 0);
                }
                assert!(resident_pages(object, size) * PAGE <= 12 * MIB);
                // SAFETY: as above.
                unsafe { GLOBAL.dealloc(object, layout) };
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
