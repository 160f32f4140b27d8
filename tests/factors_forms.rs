//! The effect of the newer form of each factor that has one, and of the thread cache; and their absence: by counters, and
//! by what a program or the kernel can see. Each case is a child of one thread, so that counts are exact.

mod common;

use common::kernel::{is_mapped, minor_faults, without_system_calls};
use common::requests::{
    allocate, free, has_own_mapping, own_mappings, pages_of_two_mib, reallocate, requests, slow_requests, touch,
    use_once,
};
use common::{KIB, MIB, PAGE, assert_idle, case, counter, is_idle, level, off_or_absent, only, present};
use hakmem::Hakmem;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// Sizes that have a large class each.
const LARGE: [usize; 5] = [100 * KIB, MIB, 2 * MIB, 3 * MIB, 4 * MIB];

#[test]
fn bigcache_direct_reuses_large_objects() {
    let name = "bigcache_direct_reuses_large_objects";
    let direct = |label: &str, kept: &[&str]| only(name, label, kept).var("HAKMEM_BIGCACHE", "direct");
    let is_direct = || {
        assert_eq!(level("bigcache"), if present("bigcache") { "direct" } else { "absent" });
        present("bigcache")
    };
    // Alone, so that every object is a mapping; and with the arena, so that every one is a run.
    for (label, kept) in [("alone", &["bigcache"][..]), ("with the arena", &["bigcache", "arena"])] {
        direct(&format!("again, {label}"), kept).succeeds(|| {
            if !is_direct() {
                return assert!(is_idle("bigcache"));
            }
            let objects = LARGE.map(|size| {
                let object = allocate(size);
                touch(object, size);
                object
            });
            objects.into_iter().zip(LARGE).for_each(|(object, size)| free(object, size));
            assert!(objects.iter().all(|&object| is_mapped(object)));
            assert_eq!(LARGE.map(allocate), objects, "each class gives back what it got");
            objects.into_iter().zip(LARGE).for_each(|(object, size)| free(object, size));

            let (lookups, faults) = (counter("bigcache", "lookups"), minor_faults());
            assert_eq!(lookups, LARGE.len() as u64, "one for each that was new");
            let steady = || {
                for size in LARGE.into_iter().cycle().take(500) {
                    let object = allocate(size);
                    touch(object, size);
                    free(object, size);
                }
            };
            steady();
            assert!(minor_faults() - faults < 32, "it is there already, but for a page of code or stack");
            without_system_calls(steady);
            assert_eq!(counter("bigcache", "lookups"), lookups, "and the thread's own slot list has it");
            assert_eq!((counter("bigcache", "puts"), counter("bigcache", "hits")), (0, 0));
        });
        direct(&format!("others' frees, {label}"), kept).succeeds(|| {
            if !is_direct() {
                return;
            }
            let mut objects = [(); 20].map(|()| allocate(MIB));
            objects.iter().for_each(|&object| touch(object, MIB));
            let lookups = counter("bigcache", "lookups");
            let addresses = objects.map(|object| object.expose_provenance());
            let give =
                move || addresses.into_iter().for_each(|at| free(std::ptr::with_exposed_provenance_mut(at), MIB));
            std::thread::spawn(give).join().expect("it only frees");
            assert!(counter("bigcache", "puts") > 0, "a slot list does not hold twenty");
            assert!(objects.iter().all(|&object| is_mapped(object)));
            let faults = minor_faults();
            let mut again = objects.map(|_| allocate(MIB));
            again.iter().for_each(|&object| touch(object, MIB));
            assert!(minor_faults() - faults < 32, "another thread freed them, and they are still in memory");
            let lookups = counter("bigcache", "lookups") - lookups;
            assert_eq!(counter("bigcache", "hits"), lookups, "batches of the other thread's");
            assert!((1..=20).contains(&lookups));
            again.sort_unstable();
            objects.sort_unstable();
            assert_eq!(again, objects);
            let give =
                move || addresses.into_iter().for_each(|at| free(std::ptr::with_exposed_provenance_mut(at), MIB));
            std::thread::spawn(give).join().expect("it only frees");
            without_system_calls(|| objects.iter().for_each(|_| _ = allocate(MIB)));
        });
    }
    direct("bounds", &["bigcache"]).succeeds(|| {
        if !is_direct() {
            return;
        }
        let objects: Vec<*mut u8> = (0..64).map(|_| allocate(4 * MIB)).collect();
        assert!(objects.iter().all(|&object| has_own_mapping(object)));
        objects.iter().for_each(|&object| free(object, 4 * MIB));
        let kept = objects.iter().filter(|&&object| is_mapped(object)).count();
        assert!((1..=16).contains(&kept), "{kept} of 64 are kept");
        assert_eq!(counter("bigcache", "evictions"), 64 - kept as u64);
        hakmem::flush();
        assert!(objects.iter().all(|&object| !is_mapped(object)));
        assert_eq!(counter("bigcache", "evictions"), 64);
        requests(40 * KIB, 1000);
        assert_eq!(counter("bigcache", "lookups"), 64, "small objects are not its concern");
        assert_eq!(own_mappings(4 * MIB + 1, 10), 10, "nor those that have no class");
        assert_eq!(counter("bigcache", "lookups"), 64);
    });
    only(name, "off", &[]).succeeds(assert_nothing_is_kept);
}

fn assert_nothing_is_kept() {
    assert_eq!(level("bigcache"), off_or_absent("bigcache"));
    for size in [2 * MIB, 3 * MIB, 4 * MIB] {
        let object = allocate(size);
        free(object, size);
        assert!(!is_mapped(object), "a freed mapping goes back to the OS at once");
    }
    assert!(is_idle("bigcache"));
}

// ---------------------------------------------------------------------------------------------------------------------

/// What the form of ELO and of evolution that looks at the slow path has work with.
const SLOW_PATH: [&str; 5] = ["elo", "evolution", "bigcache", "arena", "thread-cache"];

fn on_slow_path<'a>(name: &'a str, label: &str, kept: &[&str]) -> common::Case<'a> {
    let forms = [("HAKMEM_ELO", "slow-path"), ("HAKMEM_EVO_POLICY", "slow-path"), ("HAKMEM_BIGCACHE", "direct")];
    only(name, label, kept).vars(&forms)
}

fn has(factors: &[&str]) -> bool {
    factors.iter().all(|factor| present(factor))
}

/// Sixteen runs that no cache has, and that go back to the arena: 32 samples.
fn sixteen_runs() {
    let objects = [(); 16].map(|()| allocate(600 * KIB));
    objects.into_iter().for_each(|object| free(object, 600 * KIB));
    hakmem::flush();
}

/// Has the kernel bring so many pages, none of them hakmem's.
fn fault(pages: usize) {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let bytes = (pages + 1) * PAGE;
    // SAFETY: a new mapping disturbs nothing.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    touch(base.cast(), bytes);
    // SAFETY: mapped above.
    unsafe { libc::munmap(base, bytes) };
}

#[test]
fn elo_slow_path_learns_where_no_cache_serves() {
    let name = "elo_slow_path_learns_where_no_cache_serves";
    let kept = ["elo", "bigcache", "arena", "thread-cache"];
    on_slow_path(name, "learns", &kept).succeeds(|| {
        if !has(&kept) {
            return;
        }
        assert_eq!(level("elo"), "slow-path");
        for n in 1..20_000 {
            use_once(n % 1000 + 1);
        }
        assert!(is_idle("elo"), "small objects are not its concern");
        sixteen_runs();
        assert_eq!((counter("elo", "samples"), counter("elo", "windows")), (32, 0));
        sixteen_runs();
        assert_eq!((counter("elo", "samples"), counter("elo", "windows")), (64, 1));

        use_once(100 * KIB);
        let samples = counter("elo", "samples");
        requests(100 * KIB, 20_000);
        assert_eq!(counter("elo", "samples"), samples, "what the caches serve costs nothing");
        without_system_calls(|| requests(100 * KIB, 1_000));

        assert_eq!(*hakmem::stats().elo_ratings(), [1500.0; 12], "no round yet");
        // 36 windows of the best plan, one of each of the twelve, 64 samples each. What each costs in page faults grows.
        for n in 0..110 {
            sixteen_runs();
            fault(n);
        }
        assert_eq!(counter("elo", "rounds"), 1);
        assert_eq!(counter("elo", "windows"), counter("elo", "samples") / 64);
        let ratings = *hakmem::stats().elo_ratings();
        assert_ne!(ratings, [1500.0; 12]);
        assert!((ratings.iter().sum::<f64>() - 18_000.0).abs() < 1e-6, "points are only passed on: {ratings:?}");
        assert_eq!((counter("elo", "decisions"), counter("elo", "selections")), (0, 0), "no request draws a threshold");
    });
    // A plan that is tried may hold many times the memory, so a program has to ask for it.
    common::case(name, "default").succeeds(|| {
        (0..110).for_each(|_| sixteen_runs());
        assert!(is_idle("elo") && is_idle("evolution"));
        assert_eq!((level("elo"), level("evolution")), (off_or_absent("elo"), off_or_absent("evolution")));
    });
    // Learning stops when evolution says so, and then nothing is looked at.
    let steady = [
        ("HAKMEM_EVO_FREEZE_SECONDS", "0"),
        ("HAKMEM_EVO_FREEZE_EPSILON", "1e9"),
        ("HAKMEM_EVO_FREEZE_WINDOWS", "1"),
        ("HAKMEM_EVO_RELEARN_DELTA", "1e9"),
        ("HAKMEM_EVO_DIST_DELTA", "2"),
        ("HAKMEM_EVO_WINDOW_OPS", "1024"),
    ];
    on_slow_path(name, "stops", &SLOW_PATH).vars(&steady).succeeds(|| {
        if !has(&SLOW_PATH) {
            return;
        }
        sixteen_runs();
        assert_eq!(counter("elo", "samples"), 32);
        slow_requests(64, 4 * 1024);
        assert_eq!(counter("evolution", "freezes"), 1);
        (0..10).for_each(|_| sixteen_runs());
        assert_eq!((counter("elo", "samples"), counter("elo", "windows")), (32, 0), "what is learned is learned");
    });
    on_slow_path(name, "frozen", &SLOW_PATH).var("HAKMEM_EVO_POLICY", "frozen").succeeds(|| {
        if has(&SLOW_PATH) {
            (0..10).for_each(|_| sixteen_runs());
            assert!(is_idle("elo"), "learning never began");
        }
    });
    on_slow_path(name, "off", &kept).var("HAKMEM_DISABLE_ELO", "1").succeeds(|| {
        (0..10).for_each(|_| sixteen_runs());
        assert_eq!(*hakmem::stats().elo_ratings(), [1500.0; 12]);
        assert_idle("elo");
    });
}

#[test]
fn evolution_slow_path_sees_what_no_cache_serves() {
    let name = "evolution_slow_path_sees_what_no_cache_serves";
    let quick = [
        ("HAKMEM_EVO_FREEZE_SECONDS", "0"),
        ("HAKMEM_EVO_FREEZE_EPSILON", "1e9"),
        ("HAKMEM_EVO_FREEZE_WINDOWS", "1"),
        ("HAKMEM_EVO_RELEARN_DELTA", "1e9"),
        ("HAKMEM_EVO_WINDOW_OPS", "1024"),
    ];
    on_slow_path(name, "on", &SLOW_PATH).vars(&quick).succeeds(|| {
        if !present("evolution") {
            return assert_idle("evolution");
        }
        assert_eq!(level("evolution"), "slow-path");
        if has(&SLOW_PATH) {
            use_once(64);
            use_once(100 * KIB);
            let sizes = counter("evolution", "sizes");
            requests(64, 20_000);
            requests(100 * KIB, 1_000);
            assert_eq!(counter("evolution", "sizes"), sizes, "what the caches serve costs nothing");
            assert!(hakmem::stats().allocations > sizes + 21_000);
        }
        let sizes = counter("evolution", "sizes");
        slow_requests(64, 4 * 1024);
        assert_eq!(counter("evolution", "sizes"), sizes + 4 * 1024);
        assert!(counter("evolution", "latencies") >= 4 * 1024 / 16);
        assert!(counter("evolution", "visits") >= 4 && counter("evolution", "windows") >= 3);
        assert_eq!((counter("evolution", "freezes"), counter("evolution", "relearns")), (1, 0));
        slow_requests(64, 16 * 1024);
        assert_eq!(counter("evolution", "trials"), 0, "no single request can try a plan");
        assert_eq!(counter("evolution", "freezes"), 1);
        slow_requests(4096, 2 * 1024);
        assert!(counter("evolution", "relearns") >= 1, "other sizes start learning again");
    });
    on_slow_path(name, "off", &SLOW_PATH).var("HAKMEM_EVO_POLICY", "off").succeeds(|| {
        slow_requests(64, 4 * 1024);
        assert_idle("evolution");
    });
}

// ---------------------------------------------------------------------------------------------------------------------

/// What the 16 bytes before an object say of its size and of what it takes beyond.
fn packed_header(object: *mut u8) -> (usize, usize) {
    // SAFETY: only called while there are headers; they are readable, and aligned to 16.
    let [first, second] = unsafe { object.sub(16).cast::<[u64; 2]>().read() };
    ((first & 0xffff_ffff_ffff) as usize, (second >> 32 & 0xff_ffff) as usize * 16)
}

#[test]
fn header_16_precedes_every_object() {
    let name = "header_16_precedes_every_object";
    for (label, kept) in [("alone", &["header"][..]), ("with all", &["header", "bigcache", "arena", "thread-cache"])] {
        only(name, label, kept).vars(&[("HAKMEM_HEADER", "16"), ("HAKMEM_BIGCACHE", "direct")]).succeeds(|| {
            if !present("header") {
                return assert_no_header();
            }
            assert_eq!(level("header"), "16");
            for size in [1, 24, 1000, 57_000, 100 * KIB, 600 * KIB, 2 * MIB, 4 * MIB - 16, 5 * MIB + 1] {
                let object = allocate(size);
                // SAFETY: it lives, and hakmem allocated it.
                let usable = unsafe { hakmem::usable_bytes(object) };
                let (told, spare) = packed_header(object);
                assert_eq!(told, size);
                assert!(usable >= size && spare >= usable - size, "{size}: {usable} of which {spare} spare");
                assert_eq!(object.addr() % 64, if size > 100_000 { 16 } else { object.addr() % 64 });
                free(object, size);
            }
            let object = reallocate(allocate(1000), 1000, 990);
            assert_eq!(packed_header(object).0, 990, "a size that changes in place is noted");
            free(object, 990);
            // A slot has room for 16 bytes beside it, and not for one more.
            let (fits, spills) = (allocate(112), allocate(113));
            // SAFETY: both live, and hakmem allocated them.
            assert_eq!(unsafe { (hakmem::usable_bytes(fits), hakmem::usable_bytes(spills)) }, (112, 128));
            free(fits, 112);
            free(spills, 113);
            if kept.len() == 1 {
                assert_eq!(pages_of_two_mib(), (513, 16));
            }
            assert_eq!(counter("header", "writes"), hakmem::stats().allocations);
            assert!(counter("header", "verified") >= hakmem::stats().frees);
        });
    }
    only(name, "off", &[]).succeeds(assert_no_header);
    only(name, "off by name", &["header"]).var("HAKMEM_HEADER", "off").succeeds(assert_no_header);
}

fn assert_no_header() {
    assert_eq!(level("header"), off_or_absent("header"));
    if level("arena") != "on" && level("bigcache") != "direct" {
        assert_eq!(pages_of_two_mib(), (512, 0), "whole pages from a page's start");
    }
    let object = allocate(128);
    // SAFETY: it lives, and hakmem allocated it.
    assert_eq!(unsafe { hakmem::usable_bytes(object) }, 128, "a slot that is all the object's");
    free(object, 128);
    assert!(is_idle("header"));
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn tick_batched_catches_up() {
    let name = "tick_batched_catches_up";
    let batched = |label, kept: &[&str]| only(name, label, kept).var("HAKMEM_TICK", "batched");
    batched("on", &["tick", "thread-cache"]).succeeds(|| {
        if !present("tick") {
            requests(64, 10_000);
            assert_eq!(hakmem::stats().ticks(), 0);
            return assert_idle("tick");
        }
        assert_eq!(level("tick"), "batched");
        use_once(64);
        let before = hakmem::stats().ticks();
        requests(64, 10_000);
        if present("thread-cache") {
            assert_eq!(hakmem::stats().ticks(), before, "caches serve without a count");
        }
        slow_requests(64, 1);
        // What the threads of the test harness counted and did not bring yet.
        let others = hakmem::stats().allocations - hakmem::stats().ticks();
        assert!(others < 100);
        for _ in 0..3 {
            requests(64, 100);
            slow_requests(64, 1);
            let allocations = hakmem::stats().allocations;
            assert_eq!(hakmem::stats().ticks() + others, allocations, "a request that no cache serves brings all");
        }
        let work = || {
            requests(100, 5_000);
            slow_requests(64, 1);
        };
        let threads = [(); 4].map(|()| std::thread::spawn(work));
        threads.into_iter().for_each(|thread| thread.join().expect("it only allocates"));
        slow_requests(64, 1);
        let (ticks, allocations) = (hakmem::stats().ticks(), hakmem::stats().allocations);
        assert!(ticks <= allocations && allocations - ticks < 100, "{ticks} of {allocations}");
        assert!(ticks > 30_000);
        assert_eq!(counter("tick", "ticks"), ticks);
    });
    batched("without a cache", &["tick"]).succeeds(|| {
        if present("tick") {
            requests(64, 1_000);
            assert_eq!(hakmem::stats().ticks(), hakmem::stats().allocations, "then every request brings its own");
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------

#[test]
fn thread_cache_fills_and_empties_bins_by_batches() {
    let name = "thread_cache_fills_and_empties_bins_by_batches";
    only(name, "on", &["thread-cache"]).succeeds(|| {
        if !present("thread-cache") {
            return assert_no_thread_cache();
        }
        assert_eq!(level("thread-cache"), "on");
        let [low, high] = two_slots_in_order();
        free(low, 1000);
        free(high, 1000);
        assert_eq!([allocate(1000), allocate(1000)], [high, low], "the newest first");

        let refills = counter("thread-cache", "refills");
        let mut objects: Vec<*mut u8> = Vec::with_capacity(10_000);
        (0..10_000).for_each(|_| objects.push(allocate(200)));
        let refills = counter("thread-cache", "refills") - refills;
        assert!((10_000 / 126..10_000 / 16).contains(&refills), "{refills} batches for 10,000 objects");
        objects.iter().for_each(|&object| free(object, 200));
        let drains = counter("thread-cache", "drains");
        assert!((10..10_000 / 16).contains(&drains), "{drains} batches of 10,000 objects");
        let (refills, drains) = (counter("thread-cache", "refills"), counter("thread-cache", "drains"));
        without_system_calls(|| requests(200, 10_000));
        requests(200, 10_000);
        assert_eq!((counter("thread-cache", "refills"), counter("thread-cache", "drains")), (refills, drains));
    });
    only(name, "another thread's", &["thread-cache"]).succeeds(|| {
        if !present("thread-cache") {
            return;
        }
        let mut objects: Vec<*mut u8> = (0..5_000).map(|_| allocate(200)).collect();
        let addresses: Vec<usize> = objects.iter().map(|object| object.expose_provenance()).collect();
        let give = move || addresses.iter().for_each(|&at| free(std::ptr::with_exposed_provenance_mut(at), 200));
        std::thread::spawn(give).join().expect("it only frees");
        let mut again: Vec<*mut u8> = Vec::with_capacity(5_000);
        (0..5_000).for_each(|_| again.push(allocate(200)));
        objects.sort_unstable();
        again.sort_unstable();
        let known = again.iter().filter(|object| objects.binary_search(object).is_ok()).count();
        assert!(known > 4_800, "{known} of 5,000 came back, from the transfer cache or from their pages");
    });
    only(name, "off", &[]).succeeds(assert_no_thread_cache);
}

/// Two small objects, the one at the lower address first.
fn two_slots_in_order() -> [*mut u8; 2] {
    let mut slots = [(); 2].map(|()| allocate(1000));
    slots.sort_unstable();
    slots
}

fn assert_no_thread_cache() {
    assert_eq!(level("thread-cache"), off_or_absent("thread-cache"));
    let [low, high] = two_slots_in_order();
    free(low, 1000);
    free(high, 1000);
    assert_eq!([allocate(1000), allocate(1000)], [low, high], "straight from the page: the lowest first");
    let objects: Vec<*mut u8> = (0..10_000).map(|_| allocate(200)).collect();
    objects.iter().for_each(|&object| free(object, 200));
    requests(200, 10_000);
    assert!(is_idle("thread-cache"));
}

// ---------------------------------------------------------------------------------------------------------------------

/// What is verified is counted where no cache had the object, and nothing is while the factor is off or not compiled in.
#[test]
fn free_check_counts_what_it_verifies() {
    let name = "free_check_counts_what_it_verifies";
    let use_all = || {
        for size in [16, 100, 1000, 2000, 100_000, 600_000, 2_000_000] {
            free(allocate(size), size);
        }
    };
    let count = || ["marked", "noted"].map(|name| counter("free-check", name) > 0);
    case(name, "on").succeeds(|| {
        use_all();
        let is_there = present("free-check") && level("free-check") == "on";
        assert_eq!(count(), [is_there; 2]);
    });
    case(name, "off").vars(&[("HAKMEM_DISABLE_FREE_CHECK", "1")]).succeeds(|| {
        use_all();
        assert_eq!(count(), [false; 2]);
    });
}
