//! Large objects: their memory is found again when it is asked for again, is no more than the program needed lately, and
//! goes back when it is not used; stricter alignments hold no more than the object; an object that grows is seldom moved.

mod common;

use common::kernel::{is_mapped, minor_faults, processor_time, resident_bytes, resident_pages, without_system_calls};
use common::requests::{allocate, free, reallocate, touch};
use common::{KIB, MIB, PAGE, case, eventually};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};
use std::time::Instant;

const GIB: usize = 1 << 30;

/// Whether this build has the factors that the default's memory depends on.
fn is_default() -> bool {
    ["arena", "bigcache", "purge", "thread-cache"].iter().all(|factor| common::present(factor))
}

/// A case under the defaults, but on OS pages alone, so that page faults and residency are exact.
#[track_caller]
fn on_os_pages(test: &str, label: &str, work: impl FnOnce()) {
    case(test, label).var("HAKMEM_THP", "never").succeeds(|| {
        if is_default() {
            work();
        }
    });
}

fn aligned(size: usize, align: usize) -> *mut u8 {
    let layout = Layout::from_size_align(size, align).expect("a power of two");
    // SAFETY: the size is not 0.
    let object = unsafe { Hakmem.alloc(layout) };
    assert!(!object.is_null() && object.addr().is_multiple_of(align), "{size} at {align}: {object:?}");
    object
}

fn free_aligned(object: *mut u8, size: usize, align: usize) {
    // SAFETY: the callers made it with this layout, and free it once.
    unsafe { Hakmem.dealloc(object, Layout::from_size_align(size, align).expect("a power of two")) };
}

/// Numbers in a row without order.
struct Random(u64);

impl Random {
    fn between(&mut self, least: usize, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        least + (self.0 >> 33) as usize % (most - least)
    }
}

/// Page faults of the work.
fn faults(work: impl FnOnce()) -> usize {
    let before = minor_faults();
    work();
    usize::try_from(minor_faults() - before).expect("it only grows")
}

#[test]
fn a_freed_mapping_serves_again_and_goes_back_when_unused() {
    let name = "a_freed_mapping_serves_again_and_goes_back_when_unused";
    for size in [5 * MIB, 33 * MIB + 1, 160 * MIB, 200 * MIB, GIB] {
        on_os_pages(name, &size.to_string(), || {
            let first = allocate(size);
            touch(first, size);
            free(first, size);
            assert!(is_mapped(first) && resident_pages(first, size) == 0, "nothing has shown yet that it is wanted");
            free(allocate(size), size);
            let kept = allocate(size);
            touch(kept, size);
            free(kept, size);
            for shorter in [0, 1, size / 16, size / 3].into_iter().filter(|shorter| size - shorter > 4 * MIB) {
                let again = allocate(size - shorter);
                let faults = faults(|| touch(again, size - shorter));
                assert!(faults < 64, "{faults} page faults of {} OS pages", (size - shorter) / PAGE);
                free(again, size - shorter);
            }
            eventually("it goes back", || !is_mapped(first));
        });
    }
}

/// A long mapping serves several shorter objects, and is whole again when they are freed.
#[test]
fn a_mapping_is_split_and_joined_again() {
    on_os_pages("a_mapping_is_split_and_joined_again", "default", || {
        let whole = 120 * MIB;
        free(allocate(whole), whole);
        // It is wanted back, so that its memory is kept from now on.
        let first = allocate(whole);
        touch(first, whole);
        free(first, whole);
        for parts in [2, 3, 5, 9, 15] {
            let size = whole / parts - 2 * MIB;
            let objects: Vec<*mut u8> = (0..parts).map(|_| allocate(size)).collect();
            let faults = faults(|| objects.iter().for_each(|&object| touch(object, size)));
            assert!(faults < 64, "{faults} page faults of {parts} parts");
            objects.iter().for_each(|&object| assert!((first..first.wrapping_add(whole)).contains(&object)));
            // From both ends to the middle.
            (0..parts).for_each(|n| free(objects[if n % 2 == 0 { n / 2 } else { parts - 1 - n / 2 }], size));
            let again = allocate(whole);
            assert_eq!(again, first, "joined again of {parts} parts");
            free(again, whole);
        }
    });
}

/// Objects of random lengths in a ring find their memory again, and what waits is never more than what may.
#[test]
fn a_ring_of_random_lengths_uses_its_memory_again() {
    let name = "a_ring_of_random_lengths_uses_its_memory_again";
    let shapes = [(1, 5 * MIB, 64 * MIB, 8), (4, 5 * MIB, 64 * MIB, 16), (12, 4 * MIB + 1, 20 * MIB, 8)];
    for (count, least, most, part) in shapes {
        on_os_pages(name, &format!("{count} of {least}"), || {
            let mut random = Random(7);
            let mut ring = vec![(std::ptr::null_mut(), 0); count];
            let (mut live, mut most_live, mut touched, mut faulted) = (0, 0, 0, 0);
            let rounds = 40 * count;
            let (began, worked) = (Instant::now(), processor_time());
            for round in 0..rounds {
                let (old, old_size) = std::mem::take(&mut ring[round % count]);
                if old_size > 0 {
                    free(old, old_size);
                    live -= old_size;
                }
                let size = random.between(least, most);
                let object = allocate(size);
                ring[round % count] = (object, size);
                live += size;
                most_live = most_live.max(live);
                let faults = faults(|| touch(object, size));
                if round >= rounds / 4 {
                    touched += size / PAGE;
                    faulted += faults;
                }
                let stats = hakmem::stats();
                let held = stats.unclassed.bytes + stats.mapping_pool.bytes;
                // Objects of 16 MiB and more end at a huge page.
                let bound = most_live + most_live / 8 + 128 * MIB;
                assert!(held <= bound as u64, "{} MiB of {} live", held >> 20, most_live >> 20);
            }
            // The purge goes by the clock: where this thread waited for a processor for half as long as it worked, memory went
            // back that would have been used again.
            let has_waited = began.elapsed() > (processor_time() - worked) * 3 / 2;
            assert!(has_waited || faulted < touched / part, "{faulted} page faults of {touched} OS pages");
            ring.drain(..).for_each(|(object, size)| free(object, size));
            eventually("all of it goes back", || hakmem::stats().mapping_pool.bytes == 0);
        });
    }
}

/// A program that turns from long objects to shorter ones holds no more than the larger of both.
#[test]
fn freed_mappings_make_way_for_shorter_objects() {
    let name = "freed_mappings_make_way_for_shorter_objects";
    for (long, shorter) in [(300 * MIB, 1000), (40 * MIB, 20 * KIB), (9 * MIB, 300 * KIB), (64 * MIB, 3 * MIB)] {
        on_os_pages(name, &format!("{long} to {shorter}"), || {
            let total = 300 * MIB;
            let before = resident_bytes();
            let objects: Vec<*mut u8> = (0..total / long).map(|_| allocate(long)).collect();
            objects.iter().for_each(|&object| touch(object, long));
            objects.iter().for_each(|&object| free(object, long));
            let mut most = 0;
            let objects: Vec<*mut u8> = (0..total * 5 / 6 / shorter)
                .map(|_| {
                    let object = allocate(shorter);
                    touch(object, shorter);
                    most = most.max(resident_bytes().saturating_sub(before));
                    object
                })
                .collect();
            assert!(most < total + total / 8, "{} MiB", most >> 20);
            objects.iter().for_each(|&object| free(object, shorter));
        });
    }
}

/// Thousands of freed mappings: the oldest go back, and none is lost.
#[test]
fn more_mappings_than_the_pool_has_places_for() {
    on_os_pages("more_mappings_than_the_pool_has_places_for", "default", || {
        let size = 4 * MIB + 1;
        for _ in 0..3 {
            let objects: Vec<*mut u8> = (0..1500).map(|_| allocate(size)).collect();
            objects.iter().enumerate().filter(|(n, _)| n % 2 == 0).for_each(|(_, &object)| free(object, size));
            objects.iter().enumerate().filter(|(n, _)| n % 2 == 1).for_each(|(_, &object)| free(object, size));
            assert!(hakmem::stats().mapping_pool.objects <= 512);
        }
        eventually("all of it goes back", || hakmem::stats().mapped_bytes < 64 * MIB as u64);
        assert_eq!(hakmem::stats().lost_bytes, 0);
    });
}

#[test]
fn strict_alignments_hold_the_object_alone() {
    let name = "strict_alignments_hold_the_object_alone";
    for log in 17..=30 {
        let align = 1_usize << log;
        // A huge page under two runs of the arena counts for both: another test's matter.
        let policy = if align <= 2 * MIB { "never" } else { "on" };
        case(name, &align.to_string()).var("HAKMEM_THP", policy).succeeds(|| {
            if !is_default() {
                return;
            }
            for size in [64, 4 * KIB, 256 * KIB, 3 * MIB, 5 * MIB + 1] {
                let count = if align > 64 * MIB { 4 } else { 24 };
                for round in 0..3 {
                    let before = resident_bytes();
                    let objects: Vec<*mut u8> = (0..count).map(|_| aligned(size, align)).collect();
                    objects.iter().for_each(|&object| touch(object, size));
                    let held = resident_bytes().saturating_sub(before);
                    // For each a record, a leaf of the page map and a part of a huge page, which its neighbours share.
                    let most = count * (size.next_multiple_of(PAGE) + 24 * KIB) + count * size / 4 + 4 * MIB;
                    assert!(round > 0 || held <= most, "{held} for {count} of {size} at {align}");
                    objects.iter().for_each(|&object| free_aligned(object, size, align));
                }
            }
        });
    }
}

/// Aligned requests up to half a segment come from the thread's cache once they were made.
#[test]
fn strict_alignments_are_kept_by_threads() {
    common::case("strict_alignments_are_kept_by_threads", "default").succeeds(|| {
        if !is_default() {
            return;
        }
        let shapes =
            [(64 * KIB, 64 * KIB), (128 * KIB, 128 * KIB), (256 * KIB, 2 * MIB), (100, MIB), (2 * MIB, 2 * MIB)];
        shapes.iter().for_each(|&(size, align)| free_aligned(aligned(size, align), size, align));
        without_system_calls(|| {
            for (size, align) in shapes {
                for _ in 0..100 {
                    free_aligned(aligned(size, align), size, align);
                }
            }
        });
        // What a thread keeps of a class need not be aligned as strictly as the next request.
        for align in [128 * KIB, 512 * KIB, 2 * MIB] {
            let plain: Vec<*mut u8> = (0..4).map(|_| aligned(128 * KIB, 64 * KIB)).collect();
            plain.iter().for_each(|&object| free_aligned(object, 128 * KIB, 64 * KIB));
            let strict: Vec<*mut u8> = (0..4).map(|_| aligned(128 * KIB, align)).collect();
            strict.iter().for_each(|&object| free_aligned(object, 128 * KIB, align));
        }
    });
}

/// Grows an object from `from` to `to` bytes, writes what is new, and returns how often it was moved, and the most that
/// was resident beyond what was before.
fn grow(from: usize, to: usize, longer: impl Fn(usize) -> usize) -> (usize, usize) {
    let before = resident_bytes();
    let (mut object, mut size) = (allocate(from), from);
    let (mut moves, mut most) = (0, 0);
    let mark = |object: *mut u8, start: usize, end: usize| {
        for at in (start.next_multiple_of(PAGE)..end).step_by(PAGE) {
            // SAFETY: the object is that long.
            unsafe { object.add(at).cast::<u32>().write((at / PAGE) as u32) };
        }
    };
    mark(object, 0, size);
    while size < to {
        let next = longer(size);
        let other = reallocate(object, size, next);
        moves += usize::from(other != object);
        mark(other, size, next & !3);
        (object, size) = (other, next);
        most = most.max(resident_bytes().saturating_sub(before));
    }
    for at in (0..size & !3).step_by(PAGE) {
        // SAFETY: the object is that long.
        assert_eq!(unsafe { object.add(at).cast::<u32>().read() }, (at / PAGE) as u32, "at {at} of {size}");
    }
    free(object, size);
    (moves, most)
}

#[test]
fn an_object_that_grows_is_seldom_moved_and_never_held_twice() {
    let name = "an_object_that_grows_is_seldom_moved_and_never_held_twice";
    for step in [64 * KIB, 100_000, MIB] {
        on_os_pages(name, &format!("by {step}"), || {
            let (moves, most) = grow(step, 64 * MIB, |size| size + step);
            assert!(moves <= 16, "{moves} moves");
            assert!(most <= 64 * MIB * 5 / 4, "{most} bytes");
        });
    }
    for (from, to) in [(64 * KIB, 4 * MIB), (MIB, 40 * MIB), (6 * MIB, 300 * MIB)] {
        on_os_pages(name, &format!("from {from}"), || {
            let (moves, most) = grow(from, to, |size| size + size / 10);
            assert!(moves <= 12, "{moves} moves");
            assert!(most <= to * 6 / 5 + 9 * MIB, "{most} bytes");
        });
    }
}

/// Objects that grow side by side, among others that come and go: what is in them stays.
#[test]
fn objects_that_grow_side_by_side_keep_their_contents() {
    common::case("objects_that_grow_side_by_side_keep_their_contents", "default").succeeds(|| {
        let mut random = Random(1);
        let mut objects: Vec<(*mut u8, usize)> = Vec::new();
        let ends = |object: *mut u8, size: usize| {
            // SAFETY: the object is that long.
            unsafe { (object.cast::<usize>().read(), object.add((size / 2) & !7).cast::<usize>().read()) }
        };
        let mark = |object: *mut u8, size: usize| {
            // SAFETY: as above.
            unsafe {
                object.cast::<usize>().write(size);
                object.add((size / 2) & !7).cast::<usize>().write(!size);
            }
        };
        for _ in 0..3000 {
            if objects.len() < 24 {
                let size = random.between(50 * KIB, 6 * MIB);
                let object = allocate(size);
                mark(object, size);
                objects.push((object, size));
                continue;
            }
            let chosen = random.between(0, objects.len());
            let (object, size) = objects[chosen];
            assert_eq!(ends(object, size), (size, !size));
            let (least, most) = [(size, size + size / 4), (size / 8 + 64, size)][random.between(0, 2)];
            let next = random.between(least, most).min(40 * MIB);
            if random.between(0, 4) == 0 {
                free(object, size);
                objects.swap_remove(chosen);
                continue;
            }
            let object = reallocate(object, size, next);
            // SAFETY: the object is that long.
            assert_eq!(unsafe { object.cast::<usize>().read() }, size);
            if next > size {
                assert_eq!(ends(object, size), (size, !size));
            }
            mark(object, next);
            objects[chosen] = (object, next);
        }
        objects.drain(..).for_each(|(object, size)| free(object, size));
    });
}

/// A mapping that is joined of several cannot be moved as one: it is copied, and is never held twice.
#[test]
fn a_joined_mapping_grows_without_being_held_twice() {
    on_os_pages("a_joined_mapping_grows_without_being_held_twice", "default", || {
        let size = 32 * MIB;
        let parts: Vec<*mut u8> = (0..4).map(|_| allocate(size)).collect();
        parts.iter().for_each(|&part| touch(part, size));
        parts.iter().for_each(|&part| free(part, size));
        let whole = 4 * size;
        let object = allocate(whole);
        touch(object, whole);
        let before = resident_bytes();
        let grown = reallocate(object, whole, whole + size);
        assert!(resident_bytes() <= before + size);
        for at in (0..whole).step_by(PAGE) {
            // SAFETY: the object is that long.
            assert_eq!(unsafe { grown.add(at).read() }, 1, "at {at}");
        }
        free(grown, whole + size);
    });
}

#[test]
fn an_object_that_is_cut_gives_its_tail_back_and_grows_again() {
    let name = "an_object_that_is_cut_gives_its_tail_back_and_grows_again";
    for (from, to) in [(400, 210), (64, 32), (64, 7), (1000, 5), (9, 6)].map(|(from, to)| (from * MIB, to * MIB + 1)) {
        on_os_pages(name, &format!("{from} to {to}"), || {
            let object = allocate(from);
            touch(object, from);
            let before = resident_bytes();
            let shorter = reallocate(object, from, to);
            assert_eq!(shorter, object, "in its place");
            assert!(resident_pages(object, to) * PAGE >= to);
            assert!(before - resident_bytes() >= from - to - MIB);
            let again = reallocate(shorter, to, from);
            // SAFETY: the object is that long.
            assert_eq!(unsafe { again.add(to - 1).read() }, 1);
            touch(again, from);
            free(again, from);
            eventually("all of it goes back", || hakmem::stats().mapping_pool.bytes == 0);
        });
    }
}

/// The last blocks of runs that become shorter in their place serve other objects.
#[test]
fn runs_that_are_cut_leave_their_last_blocks_to_others() {
    const RUNS: usize = 64;
    case("runs_that_are_cut_leave_their_last_blocks_to_others", "").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        let runs: Vec<*mut u8> = (0..RUNS).map(|_| allocate(1000 * KIB)).collect();
        runs.iter().for_each(|&run| touch(run, 1000 * KIB));
        let free_before = hakmem::stats().free_block_bytes;
        for &run in &runs {
            assert_eq!(reallocate(run, 1000 * KIB, 600 * KIB), run, "in its place");
        }
        let cut = hakmem::stats().free_block_bytes - free_before;
        // 16 blocks of 64 KiB became 10.
        assert_eq!(cut as usize, RUNS * 6 * 64 * KIB);
        let mapped = hakmem::stats().mapped_bytes;
        let others: Vec<*mut u8> = (0..RUNS / 2).map(|_| aligned(380 * KIB, 64 * KIB)).collect();
        others.iter().for_each(|&other| touch(other, 380 * KIB));
        assert_eq!(hakmem::stats().mapped_bytes, mapped, "no new memory for the others");
        for &run in &runs {
            // SAFETY: the object is that long.
            assert!((0..600 * KIB).step_by(PAGE).all(|at| unsafe { run.add(at).read() } == 1));
            free(run, 600 * KIB);
        }
        others.into_iter().for_each(|other| free(other, 380 * KIB));
    });
}

/// Slots become shorter by a copy where a quarter or more of them would be lost.
#[test]
fn slots_that_would_lose_a_quarter_are_left() {
    case("slots_that_would_lose_a_quarter_are_left", "").succeeds(|| {
        if !hakmem::factors::registry().iter().all(|factor| factor.present) {
            return;
        }
        for (from, to, stays) in [
            (5000, 3900, true),
            (5000, 2600, false),
            (300 * KIB, 250 * KIB, true),
            (300 * KIB, 160 * KIB, false),
            (1000, 600, true),
            (1000, 400, false),
        ] {
            let object = allocate(from);
            touch(object, from);
            let shorter = reallocate(object, from, to);
            assert_eq!(shorter == object, stays, "{from} to {to}");
            // SAFETY: the object is that long.
            assert!((0..to).step_by(PAGE).all(|at| unsafe { shorter.add(at).read() } == 1));
            free(shorter, to);
        }
    });
}
