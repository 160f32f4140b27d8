//! Each factor's effect when it is on, and its absence when it is off or not compiled in: by its counters, and by what
//! a program or the kernel can see. Each case is a child of one thread, so that counts are exact.

mod common;

use common::{Case, all_off_but, counter, is_idle, level, present};
use hakmem::{Hakmem, Site};
use std::alloc::{GlobalAlloc, Layout};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

/// A case with these factors on and all others off.
fn only<'a>(test: &'a str, label: &str, kept: &[&str]) -> Case<'a> {
    common::case(test, label).vars(&all_off_but(kept))
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("far from overflow")
}

fn allocate_at(size: usize, site: usize) -> *mut u8 {
    // SAFETY: any layout is allowed.
    let object = unsafe { GLOBAL.alloc_at(layout(size), Site::new(site)) };
    assert!(!object.is_null());
    object
}

fn allocate(size: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    let object = unsafe { GLOBAL.alloc(layout(size)) };
    assert!(!object.is_null());
    object
}

fn free(object: *mut u8, size: usize) {
    // SAFETY: the callers made it with this size, and free it once.
    unsafe { GLOBAL.dealloc(object, layout(size)) };
}

fn use_once(size: usize) {
    free(allocate(size), size);
}

/// Whether the kernel has a mapping at the address. Nothing may map between the event of interest and the question.
fn is_mapped(address: *mut u8) -> bool {
    let page = address.map_addr(|address| address & !(PAGE - 1));
    let mut state = 0_u8;
    // SAFETY: writes one byte for the one page that is asked for.
    unsafe { libc::mincore(page.cast(), PAGE, &raw mut state) == 0 }
}

/// Whether a large object has a mapping of its own: inside one of those, hakmem owns no address but the object's.
fn has_own_mapping(object: *mut u8) -> bool {
    assert!(hakmem::owns(object));
    !hakmem::owns(object.wrapping_add(64 * KIB))
}

/// How many of `count` requests of this size get mappings of their own.
fn own_mappings(size: usize, count: usize) -> usize {
    (0..count)
        .filter(|_| {
            let object = allocate(size);
            let own = has_own_mapping(object);
            free(object, size);
            own
        })
        .count()
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn bigcache_returns_a_span_to_its_site() {
    only("bigcache_returns_a_span_to_its_site", "on", &["bigcache"]).succeeds(|| {
        if !present("bigcache") {
            return assert_bigcache_is_idle("absent");
        }
        assert_eq!(level("bigcache"), "on");
        for size in [2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 3 * MIB, 4 * MIB - 1, 8 * MIB - 1, 9 * MIB] {
            let site = size;
            let first = allocate_at(size, site);
            free(first, size);
            assert!(is_mapped(first), "the cache keeps it");
            let again = allocate_at(size, site);
            assert_eq!(again, first, "{size}");
            let other_site = allocate_at(size, site + 1_000_003);
            assert_ne!(other_site, first);
            free(other_site, size);
            free(again, size);
        }
        let (lookups, hits) = (counter("bigcache", "lookups"), counter("bigcache", "hits"));
        for _ in 0..100 {
            let objects = [(); 2].map(|()| allocate_at(2 * MIB, 77));
            objects.into_iter().for_each(|object| free(object, 2 * MIB));
        }
        let (lookups, hits) = (counter("bigcache", "lookups") - lookups, counter("bigcache", "hits") - hits);
        assert_eq!(lookups, 200);
        assert!(hits * 10 > lookups * 9, "{hits} hits of {lookups}");
        let evictions = counter("bigcache", "evictions");
        let objects = [(); 6].map(|()| allocate_at(2 * MIB, 4242));
        objects.into_iter().for_each(|object| free(object, 2 * MIB));
        assert!(counter("bigcache", "evictions") >= evictions + 2, "a ring holds four");
        assert!(!is_mapped(objects[0]), "the oldest went back to the OS");
        assert!(is_mapped(objects[5]));
    });
    only("bigcache_returns_a_span_to_its_site", "off", &[]).succeeds(|| {
        assert_bigcache_is_idle(if present("bigcache") { "off" } else { "absent" });
    });
}

fn assert_bigcache_is_idle(expected: &str) {
    assert_eq!(level("bigcache"), expected);
    for _ in 0..100 {
        let object = allocate_at(2 * MIB, 77);
        free(object, 2 * MIB);
        assert!(!is_mapped(object), "a freed span goes back to the OS at once");
    }
    assert!(is_idle("bigcache"));
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn elo_varies_the_threshold_and_rates_it() {
    let name = "elo_varies_the_threshold_and_rates_it";
    only(name, "softmax", &["elo"]).succeeds(|| {
        if !present("elo") {
            return assert_threshold_is_fixed("absent");
        }
        assert_eq!(level("elo"), "on");
        // Three of twelve thresholds are below 1.2 MiB, and before the first round all are equal.
        let own = own_mappings(1200 * KIB, 400);
        assert!((40..200).contains(&own), "{own} of 400 mapped");
        assert_eq!(hakmem::elo_ratings(), [1500.0; 12], "no round yet");
        for n in 0..6_000 {
            use_once(600 * KIB + n % 40 * 512 * KIB);
        }
        assert!(counter("elo", "rounds") >= 4, "{} rounds", counter("elo", "rounds"));
        let ratings = hakmem::elo_ratings();
        assert_ne!(ratings, [1500.0; 12]);
        assert!((ratings.iter().sum::<f64>() - 18_000.0).abs() < 1e-6, "points are only passed on: {ratings:?}");
        let receipt = hakmem::receipt();
        assert_eq!(counter("elo", "decisions"), receipt.allocations);
        assert_eq!(counter("elo", "selections"), receipt.allocations);
        assert_eq!(counter("elo", "samples"), 6_400);
    });
    only(name, "epsilon-greedy", &["elo"]).var("HAKMEM_ELO", "epsilon-greedy").succeeds(|| {
        if !present("elo") {
            return assert_threshold_is_fixed("absent");
        }
        assert_eq!(level("elo"), "epsilon-greedy");
        // Nine of ten take the best one, 2 MiB at the start; a fortieth should be mapped.
        let own = own_mappings(1200 * KIB, 900);
        assert!((1..90).contains(&own), "{own} of 900 mapped");
    });
    only(name, "off", &[]).succeeds(|| {
        assert_threshold_is_fixed(if present("elo") { "off" } else { "absent" });
    });
    only(name, "bigcache-hits-are-no-samples", &["elo", "bigcache"]).succeeds(|| {
        if present("elo") && present("bigcache") {
            let site = 5;
            let size = 40 * MIB;
            free(allocate_at(size, site), size);
            let samples = counter("elo", "samples");
            free(allocate_at(size, site), size);
            assert_eq!(counter("elo", "samples"), samples);
            assert_eq!(counter("bigcache", "hits"), 1);
        }
    });
}

fn assert_threshold_is_fixed(expected: &str) {
    assert_eq!(level("elo"), expected);
    assert_eq!(own_mappings(1200 * KIB, 200), 0);
    assert_eq!(own_mappings(2 * MIB - 1, 50), 0);
    assert_eq!(own_mappings(2 * MIB, 50), 50);
    assert_eq!(own_mappings(5 * MIB, 50), 50);
    assert_eq!(hakmem::elo_ratings(), [1500.0; 12]);
    assert!(is_idle("elo"));
}

// ---------------------------------------------------------------------------------------------------------------------

/// A word of the 32 bytes before an object: 0 is the size that was asked for, 1 what the object takes, slot or mapping.
fn header_word(object: *mut u8, word: usize) -> usize {
    // SAFETY: only called while headers are on; they are readable, and aligned to 8.
    unsafe { object.sub(32).cast::<usize>().add(word).read() }
}

#[test]
fn header_precedes_every_object() {
    let name = "header_precedes_every_object";
    only(name, "on", &["header"]).succeeds(|| {
        if !present("header") {
            return assert_no_header("absent");
        }
        assert_eq!(level("header"), "on");
        for size in [1, 24, 1000, 100 * KIB, 600 * KIB, 2 * MIB, 5 * MIB + 1] {
            let object = allocate(size);
            assert_eq!(header_word(object, 0), size);
            assert!(header_word(object, 1) >= size + 32);
            free(object, size);
        }
        let object = allocate(1000);
        // SAFETY: made with this layout.
        let object = unsafe { GLOBAL.realloc(object, layout(1000), 990) };
        assert_eq!(header_word(object, 0), 990, "a size that changes in place is noted");
        free(object, 990);
        assert_eq!(pages_of_two_mib(), (513, 32));
        assert_eq!(counter("header", "writes"), hakmem::receipt().allocations);
        assert!(counter("header", "verified") >= hakmem::receipt().frees);
    });
    only(name, "off", &[]).succeeds(|| {
        assert_no_header(if present("header") { "off" } else { "absent" });
    });
}

fn assert_no_header(expected: &str) {
    assert_eq!(level("header"), expected);
    assert_eq!(pages_of_two_mib(), (512, 0), "whole pages from a page's start");
    assert!(is_idle("header"));
}

/// OS pages that an object of 2 MiB maps, and how far into its first page it starts.
fn pages_of_two_mib() -> (usize, usize) {
    use_once(2 * MIB);
    let before = virtual_pages();
    let object = allocate(2 * MIB);
    let after = virtual_pages();
    free(object, 2 * MIB);
    (after - before, object.addr() % PAGE)
}

/// The kernel's count of this process's mapped pages, read without an allocation.
fn virtual_pages() -> usize {
    let mut text = [0_u8; 256];
    // SAFETY: a path that ends with a zero.
    let file = unsafe { libc::open(c"/proc/self/statm".as_ptr(), libc::O_RDONLY) };
    // SAFETY: reads at most the buffer's length into it.
    let len = unsafe { libc::read(file, text.as_mut_ptr().cast(), text.len()) };
    // SAFETY: opened above.
    unsafe { libc::close(file) };
    let digits = text.iter().take(usize::try_from(len).expect("procfs is there")).take_while(|byte| **byte != b' ');
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn tick_counts_every_allocation() {
    let work = || {
        for n in 1..5_000 {
            use_once(n % 700 + 1);
        }
        use_once(3 * MIB);
    };
    only("tick_counts_every_allocation", "on", &["tick"]).succeeds(|| {
        work();
        if !present("tick") {
            assert_eq!(level("tick"), "absent");
            assert_eq!(hakmem::ticks(), 0);
            return assert!(is_idle("tick"));
        }
        assert_eq!(level("tick"), "on");
        let receipt = hakmem::receipt();
        assert!(receipt.allocations >= 5_000);
        assert_eq!(hakmem::ticks(), receipt.allocations);
        assert_eq!(counter("tick", "ticks"), receipt.allocations);
    });
    only("tick_counts_every_allocation", "off", &[]).succeeds(|| {
        work();
        assert_eq!(level("tick"), if present("tick") { "off" } else { "absent" });
        assert!(hakmem::receipt().allocations >= 5_000, "the fast path counts too");
        assert_eq!(hakmem::ticks(), 0);
        assert!(is_idle("tick"));
    });
}

// ---------------------------------------------------------------------------------------------------------------------

/// Learning stops after the second window, and only the size distribution starts it again.
const QUICK: &[(&str, &str)] = &[
    ("HAKMEM_EVO_FREEZE_SECONDS", "0"),
    ("HAKMEM_EVO_FREEZE_EPSILON", "1e9"),
    ("HAKMEM_EVO_FREEZE_WINDOWS", "1"),
    ("HAKMEM_EVO_RELEARN_DELTA", "1e9"),
    ("HAKMEM_EVO_WINDOW_OPS", "1024"),
];

fn requests(size: usize, count: usize) {
    for _ in 0..count {
        use_once(size);
    }
}

#[test]
fn evolution_stops_and_restarts_learning() {
    let name = "evolution_stops_and_restarts_learning";
    let kept = ["evolution", "elo"];
    only(name, "auto", &kept).vars(QUICK).succeeds(|| {
        requests(64, 4 * 1024);
        if !present("evolution") {
            return assert_evolution_is_idle("absent");
        }
        assert_eq!(level("evolution"), "on");
        assert_eq!(counter("evolution", "sizes"), hakmem::receipt().allocations);
        assert!(counter("evolution", "latencies") >= 4 * 1024 / 16);
        assert!(counter("evolution", "ticks") >= 4 && counter("evolution", "windows") >= 3);
        assert_eq!(counter("evolution", "freezes"), 1);
        let (selections, decisions) = (counter("elo", "selections"), counter("elo", "decisions"));
        requests(64, 1024);
        if present("elo") {
            assert_eq!(counter("elo", "selections"), selections, "nothing is drawn while learning is stopped");
            assert!(counter("elo", "decisions") >= decisions + 1024);
        }
        assert!(counter("evolution", "frozen_picks") > 1024);
        requests(64, 14 * 1024);
        assert!(counter("evolution", "canaries") >= 1, "ten quiet windows, then a trial");
        assert_eq!(counter("evolution", "relearns"), 0);
        requests(4096, 2 * 1024);
        assert!(counter("evolution", "relearns") >= 1, "other sizes start learning again");
    });
    only(name, "learn", &kept).vars(QUICK).var("HAKMEM_EVO_POLICY", "learn").succeeds(|| {
        requests(64, 6 * 1024);
        if present("evolution") {
            assert_eq!(level("evolution"), "learn");
            assert!(counter("evolution", "windows") >= 5);
            assert_eq!((counter("evolution", "freezes"), counter("evolution", "frozen_picks")), (0, 0));
        }
    });
    only(name, "frozen", &kept).var("HAKMEM_EVO_POLICY", "frozen").succeeds(|| {
        requests(64, 6 * 1024);
        if present("evolution") {
            assert_eq!(level("evolution"), "frozen");
            assert_eq!(counter("evolution", "frozen_picks"), counter("evolution", "sizes"));
            if present("elo") {
                assert_eq!(counter("elo", "selections"), 0);
                assert!(counter("elo", "decisions") > 6 * 1024);
                assert_eq!(own_mappings(1200 * KIB, 100), 0, "the frozen strategy is the neutral one");
                assert_eq!(own_mappings(2 * MIB, 20), 20);
            }
        }
    });
    let idle = || {
        requests(64, 6 * 1024);
        assert_evolution_is_idle(if present("evolution") { "off" } else { "absent" });
        if present("elo") {
            assert_eq!(counter("elo", "selections"), hakmem::receipt().allocations, "learning never stops by itself");
        }
    };
    only(name, "policy-off", &kept).vars(QUICK).var("HAKMEM_EVO_POLICY", "off").succeeds(idle);
    only(name, "off", &["elo"]).vars(QUICK).succeeds(idle);
}

fn assert_evolution_is_idle(expected: &str) {
    assert_eq!(level("evolution"), expected);
    assert!(is_idle("evolution"));
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn madvise_batch_unmaps_together() {
    let name = "madvise_batch_unmaps_together";
    only(name, "on", &["madvise-batch"]).succeeds(|| {
        if !present("madvise-batch") {
            return assert_unmapped_at_once("absent");
        }
        assert_eq!(level("madvise-batch"), "on");
        let objects = [(); 2].map(|()| allocate(2 * MIB));
        free(objects[0], 2 * MIB);
        assert!(is_mapped(objects[0]), "2 MiB wait");
        assert_eq!((counter("madvise-batch", "adds"), counter("madvise-batch", "flushes")), (1, 0));
        free(objects[1], 2 * MIB);
        assert!(!is_mapped(objects[0]) && !is_mapped(objects[1]), "4 MiB go");
        assert_eq!((counter("madvise-batch", "adds"), counter("madvise-batch", "flushes")), (2, 1));
        assert!((1..=2).contains(&counter("madvise-batch", "unmapped_ranges")));

        let waiting = allocate(2 * MIB);
        free(waiting, 2 * MIB);
        assert!(is_mapped(waiting));
        hakmem::flush();
        assert!(!is_mapped(waiting), "a flush does not wait for more");
        hakmem::flush();
        assert_eq!(counter("madvise-batch", "flushes"), 2, "an empty batch is not flushed");

        let objects: Vec<*mut u8> = (0..64).map(|_| allocate(2 * MIB)).collect();
        objects.iter().for_each(|&object| free(object, 2 * MIB));
        assert_eq!(counter("madvise-batch", "adds"), 67);
        assert_eq!(counter("madvise-batch", "flushes"), 34);
        assert!(counter("madvise-batch", "unmapped_ranges") <= 67);
        assert!(objects.iter().all(|&object| !is_mapped(object)));
    });
    only(name, "off", &[]).succeeds(|| {
        assert_unmapped_at_once(if present("madvise-batch") { "off" } else { "absent" });
    });
}

fn assert_unmapped_at_once(expected: &str) {
    assert_eq!(level("madvise-batch"), expected);
    for _ in 0..10 {
        let object = allocate(2 * MIB);
        free(object, 2 * MIB);
        assert!(!is_mapped(object));
    }
    hakmem::flush();
    assert!(is_idle("madvise-batch"));
}

// ---------------------------------------------------------------------------------------------------------------------

/// Sizes of spans that can hold a huge page, whatever comes before the object.
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
            return assert_align_is_idle("absent");
        }
        assert_eq!(level("align"), "on");
        assert_eq!(placements(), [(0, 0); 6], "at a multiple, and nothing of the room is left");
        assert_eq!((counter("align", "placed"), counter("align", "refusals")), (made, 0));
        assert!(counter("align", "trims") >= made / 2, "four of six are no multiple of 2 MiB long");

        let object = allocate(2 * MIB);
        // SAFETY: made with this layout.
        let object = unsafe { GLOBAL.realloc(object, layout(2 * MIB), 7 * MIB) };
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
            return assert_align_is_idle("absent");
        }
        assert_eq!(level("align"), "user");
        let header_page = usize::from(present("header"));
        assert_eq!(placements(), [(0, header_page); 6], "the header is on the page before");
        assert_eq!((counter("align", "placed"), counter("align", "refusals")), (made, 0));
        if present("header") {
            let object = allocate(2 * MIB);
            assert_eq!(header_word(object, 0), 2 * MIB);
            free(object, 2 * MIB);
        }
    });
    let idle = || assert_align_is_idle(if present("align") { "off" } else { "absent" });
    only(name, "off", &[]).succeeds(idle);
    common::case(name, "default").succeeds(idle);
}

fn assert_align_is_idle(expected: &str) {
    assert_eq!(level("align"), expected);
    let header = if level("header") == "on" { 32 } else { 0 };
    for size in HUGE_SIZES {
        let object = allocate(size);
        assert_eq!(object.addr() % PAGE, header);
        free(object, size);
    }
    assert!(is_idle("align"));
}

// ---------------------------------------------------------------------------------------------------------------------

/// The kernel's flags of the mapping that holds an address.
fn mapping_flags(address: *mut u8) -> Vec<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("procfs is there");
    let mut is_it = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
        if let Some((Ok(from), Ok(to))) = bounds {
            is_it = (from..to).contains(&address.addr());
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_it) {
            return flags.split_whitespace().map(str::to_owned).collect();
        }
    }
    panic!("no mapping at {address:?}");
}

/// Whether the kernel was told that huge pages are welcome (`hg`), and that they are not (`nh`).
fn advice_at(address: *mut u8) -> (bool, bool) {
    let flags = mapping_flags(address);
    let is_set = |flag: &str| flags.iter().any(|known| known == flag);
    (is_set("hg"), is_set("nh"))
}

#[test]
fn thp_advises_on_large_spans() {
    let name = "thp_advises_on_large_spans";
    let advised = |expected: &str, advice: (bool, bool)| {
        assert_eq!(level("thp"), expected);
        let object = allocate(3 * MIB);
        assert_eq!(counter("thp", "calls"), 1);
        if counter("thp", "refusals") == 1 {
            return assert_eq!(counter("thp", "advised_bytes"), 0, "a kernel without huge pages");
        }
        assert_eq!(counter("thp", "advised_bytes"), 3 * MIB as u64);
        assert_eq!(advice_at(object), advice);
        // SAFETY: made with this layout.
        let object = unsafe { GLOBAL.realloc(object, layout(3 * MIB), 7 * MIB) };
        assert_eq!(advice_at(object), advice, "what grows is advised on as well");
        assert_eq!((counter("thp", "calls"), counter("thp", "advised_bytes")), (2, 10 * MIB as u64));
        free(object, 7 * MIB);
        let small = allocate(MIB);
        assert_eq!(counter("thp", "calls"), 2, "nothing below 2 MiB");
        assert_eq!(advice_at(small), (false, false));
        free(small, MIB);
    };
    only(name, "on", &["thp"]).succeeds(|| {
        if !present("thp") {
            return assert_no_advice("absent");
        }
        advised("on", (true, false));
    });
    only(name, "never", &["thp"]).var("HAKMEM_THP", "never").succeeds(|| {
        if !present("thp") {
            return assert_no_advice("absent");
        }
        advised("never", (false, true));
    });
    only(name, "reused", &["thp", "bigcache"]).succeeds(|| {
        if present("thp") && present("bigcache") {
            (0..10).for_each(|_| free(allocate_at(3 * MIB, 1), 3 * MIB));
            assert_eq!(counter("thp", "calls"), 1, "once a mapping, not once a request");
        }
    });
    let idle = || assert_no_advice(if present("thp") { "off" } else { "absent" });
    only(name, "off", &[]).succeeds(idle);
    common::case(name, "default").succeeds(idle);
    common::case(name, "preset").var("HAKMEM_MODE", "fast").succeeds(|| {
        assert_eq!(level("thp"), if present("thp") { "on" } else { "absent" });
    });
}

fn assert_no_advice(expected: &str) {
    assert_eq!(level("thp"), expected);
    let object = allocate(3 * MIB);
    assert_eq!(advice_at(object), (false, false));
    free(object, 3 * MIB);
    assert!(is_idle("thp"));
}
