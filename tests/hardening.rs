//! What the factors against misuse do, one at a time over the default, and that they do nothing while they are off. Each
//! case is a child of its own; what ends it is SIGABRT with one fixed sentence, or a guard.

mod common;

use common::kernel::resident_pages;
use common::{Case, KIB, MIB, PAGE, assert_idle, case, counter, level, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};
use std::os::unix::process::ExitStatusExt;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

const DOUBLE: &str = "hakmem: double free\n";
const INTERIOR: &str = "hakmem: free of a pointer inside an object, not at its start\n";
const BEHIND: &str = "hakmem: memory behind an object overwritten\n";
const BEFORE: &str = "hakmem: memory before an object overwritten\n";
const FREED: &str = "hakmem: freed memory overwritten\n";

/// Slots, coloured slots, runs and mappings.
const SIZES: [usize; 12] = [1, 8, 24, 100, 128, 1000, 4 * KIB, 20_000, 56 * KIB, 256 * KIB, 3 * MIB, 6 * MIB];

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("far from overflow")
}

fn allocate(size: usize) -> *mut u8 {
    // SAFETY: the size is not 0.
    let object = unsafe { GLOBAL.alloc(layout(size)) };
    assert!(!object.is_null());
    object
}

fn free(object: *mut u8) {
    // SAFETY: the object is live, or the misuse is what is tested.
    unsafe { GLOBAL.dealloc(object, Layout::new::<u128>()) };
}

fn reallocate(object: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: as in `free`.
    unsafe { GLOBAL.realloc(object, layout(old), new) }
}

/// Changes every bit of so many bytes.
fn flip(start: *mut u8, bytes: usize) {
    // SAFETY: the memory is mapped. It is not the program's, which is what is tested.
    (0..bytes).for_each(|at| unsafe { start.add(at).write_volatile(!start.add(at).read_volatile()) });
}

/// A case with the factor on, over the default; `None` where this build does not have it.
fn on<'a>(test: &'a str, label: &str, factor: &str) -> Option<Case<'a>> {
    let variable = format!("HAKMEM_{}", factor.to_uppercase().replace('-', "_"));
    present(factor).then(|| case(test, label).var(variable, "on"))
}

/// The sizes whose objects this build keeps where the default does: without the stations of large ones each is a mapping.
fn sizes() -> impl Iterator<Item = usize> {
    SIZES.into_iter().filter(|&size| has_stations() || size < 56 * KIB)
}

fn has_stations() -> bool {
    ["bigcache", "arena", "thread-cache"].into_iter().all(present)
}

/// Runs the misuse with an object of each size.
fn check(test: &str, factor: &str, family: &str, sentence: &str, misuse: impl Fn(usize) + Copy) {
    for size in sizes() {
        if let Some(case) = on(test, &format!("{family}, {size} bytes"), factor) {
            case.aborts_with(sentence, || misuse(size));
        }
    }
}

/// Whether a byte can be read, as the kernel says.
fn is_readable(at: *mut u8) -> bool {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: at.cast(), iov_len: 1 };
    // SAFETY: writes a byte, and reads memory of this process, which the kernel checks.
    unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) == 1 }
}

/// Expects a child to die by SIGSEGV.
fn faults(case: Case, misuse: impl FnOnce()) {
    if let Some(output) = case.run(misuse) {
        let (stdout, stderr) = common::texts(&output);
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{}\n{stdout}\n{stderr}", output.status);
    }
}

#[test]
fn canary_finds_what_runs_on() {
    let name = "canary_finds_what_runs_on";
    let check = |family, sentence, misuse: fn(usize)| check(name, "canary", family, sentence, misuse);
    check("a byte", BEHIND, |size| {
        let object = allocate(size);
        flip(object.wrapping_add(size), 1);
        free(object);
    });
    check("8 bytes", BEHIND, |size| {
        let object = allocate(size);
        flip(object.wrapping_add(size), 8);
        free(object);
    });
    check("a string's end", BEHIND, |size| {
        // A seal's own byte may be 0 already, but not seven of eight. Where the eighth is, all would be: the seal of no object.
        let bytes = if hakmem_gap(size) > 0 { 1 } else { 7 };
        // SAFETY: as in `flip`.
        let is_seen = |object: &*mut u8| bytes == 1 || unsafe { object.add(size + 7).read_volatile() } != 0;
        let object = std::iter::repeat_with(|| allocate(size)).find(is_seen).expect("one of them");
        // SAFETY: as in `flip`.
        unsafe { object.add(size).write_bytes(0, bytes) };
        free(object);
    });
    check("a byte, realloc", BEHIND, |size| {
        let object = allocate(size);
        flip(object.wrapping_add(size), 1);
        reallocate(object, size, 2 * size + 100);
    });
    check("a byte, freed by another thread", BEHIND, |size| {
        let object = allocate(size);
        flip(object.wrapping_add(size), 1);
        let object = object.expose_provenance();
        std::thread::spawn(move || free(std::ptr::with_exposed_provenance_mut(object))).join().expect("it aborts");
    });
    check("a byte, after a resize", BEHIND, |size| {
        let object = reallocate(allocate(size), size, size + 5);
        flip(object.wrapping_add(size + 5), 1);
        free(object);
    });
    check("usable bytes", "hakmem: memory behind an object overwritten\n", |size| {
        let object = allocate(size);
        flip(object.wrapping_add(size), 1);
        // SAFETY: the object is live.
        std::hint::black_box(unsafe { hakmem::usable_bytes(object) });
    });
    check("freed twice", DOUBLE, |size| {
        let object = allocate(size);
        free(object);
        free(object);
    });
    check("freed twice, 1,024 pairs in between", DOUBLE, |size| {
        let object = allocate(size);
        free(object);
        (0..1024).for_each(|_| free(allocate(size)));
        free(object);
    });
    for size in sizes().filter(|&size| size > 1) {
        if let Some(case) = on(name, &format!("inside, {size} bytes"), "canary") {
            case.aborts_with(INTERIOR, || free(allocate(size).wrapping_add(size.min(PAGE) / 2)));
        }
    }
    for size in sizes().filter(|&size| size < 64 * KIB) {
        for bytes in [1, 8, 32] {
            if let Some(case) = on(name, &format!("{bytes} bytes before, {size} bytes"), "canary") {
                case.aborts_with(BEFORE, || {
                    let [a, b] = [allocate(size), allocate(size)];
                    let object = a.max(b);
                    flip(object.wrapping_sub(bytes), bytes);
                    free(object);
                });
            }
        }
    }
}

#[test]
fn the_bytes_before_a_large_slot_are_verified() {
    let name = "the_bytes_before_a_large_slot_are_verified";
    for size in [60 * KIB, 100 * KIB, 256 * KIB, 400 * KIB] {
        for bytes in [1, 32] {
            let Some(case) = on(name, &format!("{bytes} bytes, {size} bytes"), "canary") else { continue };
            if present("guard-pages") && has_stations() {
                case.var("HAKMEM_GUARD_PAGES", "on").aborts_with(BEFORE, || {
                    let [a, b] = [allocate(size), allocate(size)];
                    let object = a.max(b);
                    flip(object.wrapping_sub(bytes), bytes);
                    free(object);
                });
            }
        }
    }
}

/// Bytes between an object of so many bytes, in a slot, and its seal.
fn hakmem_gap(size: usize) -> usize {
    // Slots are multiples of 16 bytes.
    if (size + 8).is_multiple_of(16) { 0 } else { 1 }
}

#[test]
fn canary_keeps_what_is_right() {
    let name = "canary_keeps_what_is_right";
    if let Some(case) = on(name, "on", "canary") {
        case.succeeds(|| {
            assert_eq!(level("canary"), "on");
            let sealed = counter("canary", "sealed");
            for size in SIZES.into_iter().chain(1..300) {
                let object = allocate(size);
                // SAFETY: the object is live, and has so many bytes.
                unsafe {
                    assert_eq!(hakmem::usable_bytes(object), size, "what was requested");
                    object.write_bytes(7, size);
                }
                let mut last = size;
                let mut object = object;
                for new in [size + 1, size / 2 + 1, 3 * size, size.max(2) - 1, size + 70_000, size] {
                    object = reallocate(object, last, new);
                    let kept = last.min(new).min(size / 2 + 1).min(size.max(2) - 1);
                    // SAFETY: as above.
                    unsafe {
                        assert!((0..kept).all(|at| object.add(at).read() == 7), "{size} to {new}");
                        assert_eq!(hakmem::usable_bytes(object), new);
                        object.write_bytes(7, new);
                    }
                    last = new;
                }
                free(object);
            }
            assert!(counter("canary", "sealed") > sealed && counter("canary", "verified") > 0);
        });
    }
    case(name, "off").succeeds(|| {
        let object = allocate(100);
        // SAFETY: the object is live.
        assert!(unsafe { hakmem::usable_bytes(object) } > 100, "all of the slot");
        free(object);
        assert_idle("canary");
    });
}

#[test]
fn zero_free_finds_a_write_after_free() {
    let name = "zero_free_finds_a_write_after_free";
    for factors in [&["zero-free"][..], &["zero-free", "canary"]] {
        for size in sizes() {
            let places = [0, 8, size / 2, size - 1].into_iter().filter(|&at| at < size);
            // A slot that came back to its page is marked anew there.
            for at in places.filter(|at| present("thread-cache") || size > KIB || !(8..16).contains(at)) {
                let label = format!("{factors:?}, {size} bytes, at {at}");
                let Some(mut case) = on(name, &label, "zero-free") else { continue };
                if factors.contains(&"canary") {
                    case = case.var("HAKMEM_CANARY", "on");
                }
                case.aborts_with(FREED, || {
                    let object = allocate(size);
                    free(object);
                    flip(object.wrapping_add(at), 1);
                    (0..1000).for_each(|_| _ = allocate(size));
                });
            }
        }
    }
}

#[test]
fn zero_free_leaves_zeroes() {
    let name = "zero_free_leaves_zeroes";
    if let Some(case) = on(name, "on", "zero-free") {
        case.succeeds(|| {
            for size in sizes() {
                let object = allocate(size);
                // SAFETY: the object is live. The second word of a small free slot is a mark.
                unsafe {
                    object.write_bytes(0xa5, size);
                    free(object);
                    let is_mark = |at: usize| size <= KIB && (8..16).contains(&at);
                    assert!((0..size).all(|at| is_mark(at) || object.add(at).read_volatile() == 0), "{size}");
                }
            }
            if sizes().any(|size| size == 3 * MIB) {
                let object = allocate(3 * MIB);
                // SAFETY: the object is live.
                unsafe { object.write_bytes(1, 3 * MIB) };
                free(object);
                assert!(resident_pages(object, 3 * MIB) <= 1, "it went back to the OS");
            }
            // Memory that takes another shape is zero as well.
            for round in 0..3 {
                for size in sizes() {
                    let objects: Vec<*mut u8> = (0..40).map(|_| allocate(size)).collect();
                    for &object in &objects {
                        // SAFETY: the objects are live.
                        unsafe {
                            assert!((0..size).all(|at| object.add(at).read() == 0), "{size} in round {round}");
                            object.write_bytes(0xa5, size);
                        }
                    }
                    objects.into_iter().for_each(free);
                }
                hakmem::flush();
            }
            assert!(counter("zero-free", "wiped_bytes") > 0 && counter("zero-free", "verified") > 0);
        });
    }
    case(name, "off").succeeds(|| {
        let object = allocate(5000);
        // SAFETY: the object is live, and then waits in the thread's cache.
        unsafe {
            object.write_bytes(0xa5, 5000);
            free(object);
            assert_eq!(object.add(4000).read_volatile(), 0xa5);
        }
        assert_idle("zero-free");
    });
}

#[test]
fn quarantine_delays_reuse() {
    let name = "quarantine_delays_reuse";
    for size in sizes().filter(|&size| size <= 4 * MIB) {
        if let Some(case) = on(name, &format!("on, {size} bytes"), "quarantine") {
            case.succeeds(|| {
                let first = allocate(size);
                free(first);
                let early = (0..8).filter(|_| {
                    let object = allocate(size);
                    free(object);
                    object == first
                });
                assert_eq!(early.count(), 0, "at least as many frees as a ring has places");
                // It comes back in the end, and what waits is bounded.
                let again = (0..100_000).any(|_| {
                    let object = allocate(size);
                    free(object);
                    object == first
                });
                assert!(again || size > MIB, "it is not lost");
                let (entered, left) = (counter("quarantine", "entered"), counter("quarantine", "left"));
                assert!(entered > left && entered - left <= 10 * 128, "{entered} {left}");
                let live = hakmem::stats().live.objects;
                let held: Vec<*mut u8> = (0..10).map(|_| allocate(size)).collect();
                held.into_iter().for_each(free);
                assert_eq!(hakmem::stats().live.objects, live, "what waits is not live");
            });
        }
        case(name, &format!("off, {size} bytes")).succeeds(|| {
            let first = allocate(size);
            free(first);
            let again = (0..8).any(|_| {
                let object = allocate(size);
                free(object);
                object == first
            });
            assert!(again, "the newest one is the next");
            assert_idle("quarantine");
        });
    }
    // What waits is free by its mark, or in the table.
    if !present("free-check") {
        return;
    }
    check(name, "quarantine", "freed twice while it waits", DOUBLE, |size| {
        let object = allocate(size);
        free(object);
        (0..4).for_each(|_| free(allocate(size)));
        free(object);
    });
}

#[test]
fn guard_pages_stop_what_runs_on() {
    let name = "guard_pages_stop_what_runs_on";
    for size in [57 * KIB, 64 * KIB, 256 * KIB, 256 * KIB + 1, 600 * KIB, 2 * MIB, 3 * MIB, 6 * MIB, 40 * MIB] {
        if let Some(case) = on(name, &format!("behind, {size} bytes"), "guard-pages") {
            faults(case, || {
                let object = allocate(size);
                // SAFETY: the object's own bytes.
                unsafe { object.write_bytes(1, size) };
                (size..4 * size).step_by(PAGE).for_each(|at| flip(object.wrapping_add(at), 1));
            });
        }
        if let Some(case) = on(name, &format!("reuse, {size} bytes"), "guard-pages") {
            case.succeeds(|| {
                let object = allocate(size);
                let guard = (size..2 * size + 64 * KIB).find(|&at| !is_readable(object.wrapping_add(at)));
                assert!(guard.is_some_and(|at| object.addr().wrapping_add(at).is_multiple_of(PAGE)), "{guard:?}");
                free(object);
                for round in 0..10 {
                    let object = allocate(size);
                    let longer = reallocate(object, size, size + (round * 40) * KIB);
                    // SAFETY: the object is live.
                    unsafe { longer.write_bytes(1, size + (round * 40) * KIB) };
                    free(longer);
                }
                assert!(counter("guard-pages", "installed") >= 10);
                assert_eq!(counter("guard-pages", "refusals"), 0);
            });
        }
    }
    // Slots of every length: the page's last bytes trap.
    for size in [16, 100, 1000, 4 * KIB, 20_000] {
        if let Some(case) = on(name, &format!("pages of slots, {size} bytes"), "guard-pages") {
            faults(case, || {
                let object = allocate(size);
                (0..16 * MIB).step_by(PAGE).for_each(|at| flip(object.wrapping_add(at), 1));
            });
        }
    }
    case(name, "off").succeeds(|| {
        let object = allocate(256 * KIB);
        assert!((0..MIB).step_by(PAGE).all(|at| is_readable(object.wrapping_add(at))), "slots of a page");
        assert_idle("guard-pages");
    });
}

#[test]
fn random_slots_come_in_no_order() {
    let name = "random_slots_come_in_no_order";
    for size in [16, 100, 1000, 4 * KIB, 20_000, 256 * KIB] {
        if size > 56 * KIB && !has_stations() {
            continue;
        }
        if let Some(case) = on(name, &format!("on, {size} bytes"), "random-slots") {
            case.succeeds(|| {
                let objects: Vec<*mut u8> = (0..64).map(|_| allocate(size)).collect();
                let ascending = objects.windows(2).filter(|pair| pair[0] < pair[1]).count();
                assert!((8..56).contains(&ascending), "{ascending} of 63 steps go up");
                let different: std::collections::BTreeSet<_> = objects.iter().collect();
                assert_eq!(different.len(), 64);
                assert!(counter("random-slots", "picks") > 0);
                objects.into_iter().for_each(free);
            });
        }
    }
    case(name, "off").succeeds(|| {
        let objects: Vec<*mut u8> = (0..64).map(|_| allocate(48 * KIB)).collect();
        let ascending = objects.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!(ascending > 56, "{ascending} of 63: lowest addresses first");
        assert_idle("random-slots");
    });
}

#[test]
fn the_preset_switches_all_of_them_on() {
    let factors = ["canary", "guard-pages", "quarantine", "zero-free", "random-slots"];
    case("the_preset_switches_all_of_them_on", "hardened").var("HAKMEM_MODE", "hardened").succeeds(|| {
        for factor in factors {
            assert_eq!(level(factor), if present(factor) { "on" } else { "absent" });
        }
    });
    case("the_preset_switches_all_of_them_on", "default").succeeds(|| factors.into_iter().for_each(assert_idle));
}
