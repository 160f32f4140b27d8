//! The effect of each factor of the older research allocator in its own form, and its absence when it is off or not
//! compiled in: by its counters, and by what a program or the kernel can see. Each case is a child of one thread, so that
//! counts are exact. The newer forms are in tests/factors_forms.rs, what decides about memory in
//! tests/factors_memory.rs and tests/factors_purge.rs.

mod common;

use common::kernel::is_mapped;
use common::requests::{allocate, allocate_at, free, own_mappings, pages_of_two_mib, reallocate, requests, use_once};
use common::{KIB, MIB, assert_idle, counter, is_idle, level, off_or_absent, only, present};
use hakmem::Hakmem;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn bigcache_returns_a_span_to_its_site() {
    only("bigcache_returns_a_span_to_its_site", "on", &["bigcache"]).succeeds(|| {
        if !present("bigcache") {
            return assert_bigcache_is_idle();
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
    only("bigcache_returns_a_span_to_its_site", "off", &[]).succeeds(assert_bigcache_is_idle);
}

fn assert_bigcache_is_idle() {
    assert_eq!(level("bigcache"), off_or_absent("bigcache"));
    for _ in 0..100 {
        let object = allocate_at(2 * MIB, 77);
        free(object, 2 * MIB);
        assert!(!is_mapped(object), "a freed mapping goes back to the OS at once");
    }
    assert!(is_idle("bigcache"));
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn elo_varies_the_threshold_and_rates_it() {
    let name = "elo_varies_the_threshold_and_rates_it";
    only(name, "softmax", &["elo"]).succeeds(|| {
        if !present("elo") {
            return assert_threshold_is_fixed();
        }
        assert_eq!(level("elo"), "on");
        // Three of twelve thresholds are below 1.2 MiB, and before the first round all are equal.
        let own = own_mappings(1200 * KIB, 400);
        assert!((40..200).contains(&own), "{own} of 400 mapped");
        assert_eq!(*hakmem::stats().elo_ratings(), [1500.0; 12], "no round yet");
        for n in 0..6_000 {
            use_once(600 * KIB + n % 40 * 512 * KIB);
        }
        assert!(counter("elo", "rounds") >= 4, "{} rounds", counter("elo", "rounds"));
        let ratings = *hakmem::stats().elo_ratings();
        assert_ne!(ratings, [1500.0; 12]);
        assert!((ratings.iter().sum::<f64>() - 18_000.0).abs() < 1e-6, "points are only passed on: {ratings:?}");
        let stats = hakmem::stats();
        assert_eq!(counter("elo", "decisions"), stats.allocations);
        assert_eq!(counter("elo", "selections"), stats.allocations);
        assert_eq!(counter("elo", "samples"), 6_400);
    });
    only(name, "epsilon-greedy", &["elo"]).var("HAKMEM_ELO", "epsilon-greedy").succeeds(|| {
        if !present("elo") {
            return assert_threshold_is_fixed();
        }
        assert_eq!(level("elo"), "epsilon-greedy");
        // Nine of ten take the best one, 2 MiB at the start; a fortieth should be mapped.
        let own = own_mappings(1200 * KIB, 900);
        assert!((1..90).contains(&own), "{own} of 900 mapped");
    });
    only(name, "off", &[]).succeeds(assert_threshold_is_fixed);
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

fn assert_threshold_is_fixed() {
    assert_eq!(level("elo"), off_or_absent("elo"));
    assert_eq!(own_mappings(1200 * KIB, 200), 0);
    assert_eq!(own_mappings(2 * MIB - 1, 50), 0);
    assert_eq!(own_mappings(2 * MIB, 50), 50);
    assert_eq!(own_mappings(5 * MIB, 50), 50);
    assert_eq!(*hakmem::stats().elo_ratings(), [1500.0; 12]);
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
            return assert_no_header();
        }
        assert_eq!(level("header"), "on");
        for size in [1, 24, 1000, 100 * KIB, 600 * KIB, 2 * MIB, 5 * MIB + 1] {
            let object = allocate(size);
            assert_eq!(header_word(object, 0), size);
            assert!(header_word(object, 1) >= size + 32);
            free(object, size);
        }
        let object = allocate(1000);
        let object = reallocate(object, 1000, 990);
        assert_eq!(header_word(object, 0), 990, "a size that changes in place is noted");
        free(object, 990);
        assert_eq!(pages_of_two_mib(), (513, 32));
        assert_eq!(counter("header", "writes"), hakmem::stats().allocations);
        assert!(counter("header", "verified") >= hakmem::stats().frees);
    });
    only(name, "off", &[]).succeeds(assert_no_header);
}

fn assert_no_header() {
    assert_eq!(level("header"), off_or_absent("header"));
    assert_eq!(pages_of_two_mib(), (512, 0), "whole pages from a page's start");
    assert!(is_idle("header"));
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
            assert_eq!(hakmem::stats().ticks(), 0);
            return assert_idle("tick");
        }
        assert_eq!(level("tick"), "on");
        let stats = hakmem::stats();
        assert!(stats.allocations >= 5_000);
        assert_eq!(hakmem::stats().ticks(), stats.allocations);
        assert_eq!(counter("tick", "ticks"), stats.allocations);
    });
    // With the slot lists of the thread, so that most requests take the fast path.
    only("tick_counts_every_allocation", "off", &["thread-cache"]).succeeds(|| {
        work();
        assert!(hakmem::stats().allocations >= 5_000, "the fast path counts too");
        assert_eq!(hakmem::stats().ticks(), 0);
        assert_idle("tick");
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

#[test]
fn evolution_stops_and_restarts_learning() {
    let name = "evolution_stops_and_restarts_learning";
    let kept = ["evolution", "elo"];
    only(name, "auto", &kept).vars(QUICK).succeeds(|| {
        requests(64, 4 * 1024);
        if !present("evolution") {
            return assert_idle("evolution");
        }
        assert_eq!(level("evolution"), "on");
        assert_eq!(counter("evolution", "sizes"), hakmem::stats().allocations);
        assert!(counter("evolution", "latencies") >= 4 * 1024 / 16);
        assert!(counter("evolution", "visits") >= 4 && counter("evolution", "windows") >= 3);
        assert_eq!(counter("evolution", "freezes"), 1);
        let (selections, decisions) = (counter("elo", "selections"), counter("elo", "decisions"));
        requests(64, 1024);
        if present("elo") {
            assert_eq!(counter("elo", "selections"), selections, "nothing is drawn while learning is stopped");
            assert!(counter("elo", "decisions") >= decisions + 1024);
        }
        assert!(counter("evolution", "frozen_picks") > 1024);
        requests(64, 14 * 1024);
        assert!(counter("evolution", "trials") >= 1, "ten quiet windows, then a trial");
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
        assert_idle("evolution");
        if present("elo") {
            assert_eq!(counter("elo", "selections"), hakmem::stats().allocations, "learning never stops by itself");
        }
    };
    only(name, "policy-off", &kept).vars(QUICK).var("HAKMEM_EVO_POLICY", "off").succeeds(idle);
    only(name, "off", &["elo"]).vars(QUICK).succeeds(idle);
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn madvise_batch_unmaps_together() {
    let name = "madvise_batch_unmaps_together";
    only(name, "on", &["madvise-batch"]).succeeds(|| {
        if !present("madvise-batch") {
            return assert_unmapped_at_once();
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
    only(name, "off", &[]).succeeds(assert_unmapped_at_once);
}

fn assert_unmapped_at_once() {
    assert_eq!(level("madvise-batch"), off_or_absent("madvise-batch"));
    for _ in 0..10 {
        let object = allocate(2 * MIB);
        free(object, 2 * MIB);
        assert!(!is_mapped(object));
    }
    hakmem::flush();
    assert!(is_idle("madvise-batch"));
}
