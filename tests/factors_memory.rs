//! The effect of each factor that decides where memory lies and what backs it, and its absence when it is off or not
//! compiled in: by its counters, and by what the kernel says of the memory.

mod common;

use common::kernel::{advice_at, has_huge_pages, huge_bytes, is_mapped, virtual_pages, without_system_calls};
use common::requests::{
    allocate, allocate_at, free, has_own_mapping, own_mappings, reallocate, requests, touch, use_once,
};
use common::{KIB, MIB, PAGE, assert_idle, counter, is_idle, level, off_or_absent, only, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};

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
