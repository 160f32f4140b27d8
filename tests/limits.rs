//! What happens when addresses or memory are short: requests are served or answered with null, never with an end of the
//! process, and what is freed serves again.

mod common;

use common::kernel::{has_flag, limit_addresses_to, virtual_bytes};
use common::object::{Object, layout};
use common::requests::{allocate, free};
use common::{KIB, MIB, case, only};
use hakmem::Hakmem;
use std::alloc::GlobalAlloc;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// Most objects that a case makes at once.
const OBJECTS_MAX: usize = 400_000;

/// Makes objects of this size until there are no more, and writes to each.
fn fill(objects: &mut Vec<*mut u8>, size: usize) {
    // No memory is to be had for a longer list.
    while objects.len() < objects.capacity() {
        // SAFETY: the size is not 0.
        let object = unsafe { GLOBAL.alloc(layout(size, 16)) };
        if object.is_null() {
            break;
        }
        // SAFETY: the object is that long.
        unsafe { object.write(1) };
        objects.push(object);
    }
}

fn free_all(objects: &mut Vec<*mut u8>, size: usize) {
    objects.drain(..).for_each(|object| free(object, size));
}

/// A program that starts under a limit on its addresses, as a shell's `ulimit -v` sets it.
#[test]
fn a_program_starts_under_a_limit_on_addresses() {
    let name = "a_program_starts_under_a_limit_on_addresses";
    let environments = [
        ("default", vec![]),
        ("nothing", common::all_off_but(&[])),
        ("all", common::all_on()),
        ("original", vec![("HAKMEM_MODE", "original")]),
        ("no arena", vec![("HAKMEM_DISABLE_ARENA", "1")]),
        ("at once", vec![("HAKMEM_PURGE", "immediate"), ("HAKMEM_HEADER", "16")]),
    ];
    for limit in [2 << 30, 256 * MIB, 64 * MIB] {
        // The largest takes the longest to fill.
        let environments = if limit > 256 * MIB { &environments[..2] } else { &environments[..] };
        for (label, variables) in environments {
            case(name, &format!("{} MiB, {label}", limit / MIB)).vars(variables).address_limit(limit).succeeds(|| {
                assert!(virtual_bytes() <= limit, "the limit is in force, the range among what it counts");
                let mut objects = Vec::with_capacity(OBJECTS_MAX);
                let mut served = Vec::new();
                for round in 0..2 {
                    for (nth, size) in [40 * KIB, 1000, MIB, 5 * MIB, 300 * KIB].into_iter().enumerate() {
                        fill(&mut objects, size);
                        let bytes = objects.len() * size;
                        if size <= MIB {
                            assert!(bytes >= limit / 16, "{} KiB of {size}", bytes / KIB);
                        }
                        // SAFETY: the size is not 0.
                        let more = unsafe { GLOBAL.alloc(layout(limit, 16)) };
                        assert!(more.is_null(), "there are not so many addresses");
                        free_all(&mut objects, size);
                        hakmem::flush();
                        if round == 0 {
                            served.push(bytes);
                        } else {
                            assert!(
                                bytes >= served[nth] / 2,
                                "{} KiB of {size} after {}",
                                bytes / KIB,
                                served[nth] / KIB
                            );
                        }
                    }
                }
                (1..200).map(|n| Object::new(n * 100, 16)).collect::<Vec<_>>().into_iter().for_each(Object::free);
                // A new thread may be refused its stack, and its heap, but must do no harm.
                let thread = std::thread::Builder::new().stack_size(256 * KIB).spawn(|| {
                    // SAFETY: the size is not 0.
                    let object = unsafe { GLOBAL.alloc(layout(100 * KIB, 16)) };
                    free(object, 100 * KIB);
                });
                assert!(thread.is_ok_and(|thread| thread.join().is_ok()) || limit <= 256 * MIB);
            });
        }
    }
}

/// Nothing grows with the number of requests that fail.
#[test]
fn failures_cost_nothing_that_stays() {
    let name = "failures_cost_nothing_that_stays";
    for (label, variables) in [
        ("default", vec![]),
        ("nothing", common::all_off_but(&[])),
        ("all", common::all_on()),
        ("original", vec![("HAKMEM_MODE", "original")]),
    ] {
        case(name, label).vars(&variables).address_limit(256 * MIB).succeeds(|| {
            let mut objects = Vec::with_capacity(1_000);
            fill(&mut objects, 3 * MIB);
            assert!((10..100).contains(&objects.len()));
            let before = virtual_bytes();
            for n in 0..2_000 {
                // SAFETY: the size is not 0.
                assert!(unsafe { GLOBAL.alloc(layout(4 * MIB - n, 16)) }.is_null());
            }
            let grown = virtual_bytes() - before;
            assert!(grown < MIB, "{} KiB of addresses went with failures", grown / KIB);
            free_all(&mut objects, 3 * MIB);
            Object::new(3 * MIB, 16).free();
        });
    }
}

/// The arena's last resort is counted as any other object.
#[test]
fn counts_are_right_when_memory_was_short() {
    let name = "counts_are_right_when_memory_was_short";
    let work = || {
        // Below every mmap threshold that may be chosen: the arena gets memory, and has room for more.
        free(allocate(256 * KIB), 256 * KIB);
        let mut objects = Vec::with_capacity(4);
        let before = hakmem::stats();
        limit_addresses_to(virtual_bytes());
        fill(&mut objects, 3 * MIB);
        let full = hakmem::stats();
        assert!(!objects.is_empty(), "no mapping can be had, and the arena serves");
        let live = |stats: &hakmem::Stats| stats.allocations - stats.frees;
        assert_eq!(live(&full) - live(&before), objects.len() as u64);
        let made = objects.len() as u64;
        free_all(&mut objects, 3 * MIB);
        let after = hakmem::stats();
        assert_eq!(live(&after), live(&before));
        assert_eq!((after.allocations - before.allocations, after.frees - before.frees), (made, made));
    };
    only(name, "nothing", &[]).succeeds(work);
    only(name, "header", &["header"]).succeeds(work);
    case(name, "original").var("HAKMEM_MODE", "original").succeeds(work);
}

/// Addresses that are not used yet count nowhere: not in a limit, not for `mlockall`, and not in a core dump, where they
/// would be gigabytes of zeroes.
#[test]
fn a_core_dump_has_the_memory_of_objects_alone() {
    case("a_core_dump_has_the_memory_of_objects_alone", "default").succeeds(|| {
        let small = allocate(100);
        assert!(!has_flag(small, "dd"));
        assert!(virtual_bytes() < 256 * MIB, "{} MiB", virtual_bytes() / MIB);
        let objects: Vec<*mut u8> = (0..1_000).map(|_| allocate(100 * KIB)).collect();
        assert!(objects.iter().all(|&object| !has_flag(object, "dd")));
        objects.into_iter().for_each(|object| free(object, 100 * KIB));
        free(small, 100);
    });
}
