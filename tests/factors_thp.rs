//! Huge pages where memory is used densely, and nowhere else: by what is resident for shapes of use, under the levels
//! that a program starts with.

mod common;

use common::kernel::{advice_at, has_flag, has_huge_pages, resident_bytes, resident_pages, smaps};
use common::requests::{allocate, free, touch};
use common::{KIB, MIB, PAGE, case, eventually, level, present};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// What the allocator holds for itself, at most, beside what the shapes below count.
const SLACK: usize = 5 * MIB;

/// Sizes of every kind: slots of a page of one block and of eight, coloured slots, runs, runs that cover half a segment,
/// and mappings.
const SIZES: [usize; 17] = [
    9_000,
    20_000,
    33_000,
    56_000,
    66_000,
    70_000,
    100_000,
    200_000,
    300_000,
    600_000,
    1_100_000,
    1_900_000,
    2 * MIB,
    2_200_000,
    3 * MIB + 1,
    4 * MIB,
    5_000_000,
];

/// Whether the kernel gives huge pages on advice, and only then.
fn kernel_waits_to_be_asked() -> bool {
    let policy = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    !policy.contains("[always]") && has_huge_pages()
}

/// By how many bytes the process grows by the work.
fn growth(work: impl FnOnce()) -> usize {
    let before = resident_bytes();
    work();
    resident_bytes().saturating_sub(before)
}

#[test]
fn objects_of_which_a_byte_is_touched_hold_an_os_page() {
    let name = "objects_of_which_a_byte_is_touched_hold_an_os_page";
    for size in SIZES {
        let count = (512 * MIB / size).min(20_000);
        case(name, &format!("{size}")).succeeds(|| {
            if !kernel_waits_to_be_asked() {
                return;
            }
            // SAFETY: the objects are that long.
            let grown = growth(|| (0..count).for_each(|_| unsafe { allocate(size).write(1) }));
            // A first large object of its length may have one huge page.
            let most = count * PAGE * 5 / 4 + SLACK;
            assert!(grown <= most, "{count} objects of {size} bytes: {} KiB resident", grown / KIB);
        });
        // One object in sixteen is written to, all of it.
        case(name, &format!("{size}, some")).succeeds(|| {
            if !kernel_waits_to_be_asked() || size < 200_000 {
                return;
            }
            let written = count.div_ceil(16) * size.next_multiple_of(PAGE);
            let grown = growth(|| {
                for n in 0..count {
                    let object = allocate(size);
                    if n % 16 == 0 {
                        touch(object, size);
                    }
                }
            });
            assert!(grown <= written * 11 / 10 + count * PAGE + SLACK, "{size} bytes: {} KiB resident", grown / KIB);
        });
    }
}

/// The records of a segment of large objects are one OS page, or two where it has more than a dozen.
/// It does not matter where in a long object the byte is.
#[test]
fn long_objects_of_which_some_byte_is_touched_hold_an_os_page() {
    let name = "long_objects_of_which_some_byte_is_touched_hold_an_os_page";
    for size in [4_300_000, 7 * MIB, 21 * MIB + 5, 100_000_000] {
        for eighth in [1, 4, 7] {
            common::case(name, &format!("{size} {eighth}")).succeeds(|| {
                if !hakmem::factors::registry().iter().all(|factor| factor.present) {
                    return;
                }
                let before = hakmem::stats().resident_bytes;
                let objects: Vec<*mut u8> = (0..40)
                    .map(|_| {
                        let object = allocate(size);
                        // SAFETY: within the object.
                        unsafe { object.add(size / 8 * eighth).write(1) };
                        object
                    })
                    .collect();
                let held = hakmem::stats().resident_bytes - before;
                assert!(held < 8 * MIB as u64, "{held} bytes for 40 of {size}");
                objects.into_iter().for_each(|object| free(object, size));
            });
        }
    }
}

#[test]
fn objects_that_are_not_touched_hold_their_records() {
    let name = "objects_that_are_not_touched_hold_their_records";
    for size in [70_000, 600_000, 1_100_000, 2_200_000] {
        case(name, &format!("{size}")).succeeds(|| {
            if !kernel_waits_to_be_asked() || !present("arena") {
                return;
            }
            // 10 GiB of addresses.
            let count = (10 << 30) / size;
            let grown = growth(|| (0..count).for_each(|_| _ = allocate(size)));
            let segments = 11 * 1024 / 4;
            // The factor `free-check` has an OS page of its table for each segment that is used. A segment has room for one
            // object beyond 2 MiB.
            let used = if size > 2 << 20 { count } else { count * size.next_multiple_of(64 * KIB) / (4 << 20) };
            let table = if present("free-check") { used * PAGE } else { 0 };
            assert!(grown <= segments * 2 * PAGE + table + SLACK, "{size} bytes: {} KiB resident", grown / KIB);
        });
    }
}

#[test]
fn objects_that_are_written_hold_what_they_are_long() {
    let name = "objects_that_are_written_hold_what_they_are_long";
    for size in SIZES {
        case(name, &format!("{size}")).succeeds(|| {
            if !kernel_waits_to_be_asked() {
                return;
            }
            let count = 128 * MIB / size;
            let grown = growth(|| (0..count).for_each(|_| touch(allocate(size), size)));
            let most = count * size.next_multiple_of(PAGE) * 11 / 10 + SLACK;
            assert!(grown <= most, "{count} objects of {size} bytes: {} KiB resident", grown / KIB);
        });
    }
}

#[test]
fn small_objects_of_strict_alignment_hold_an_os_page() {
    let name = "small_objects_of_strict_alignment_hold_an_os_page";
    for align in [4 * KIB, 16 * KIB, 32 * KIB, 64 * KIB] {
        case(name, &format!("{align}")).succeeds(|| {
            if !kernel_waits_to_be_asked() {
                return;
            }
            let count = 10_000;
            let layout = Layout::from_size_align(64, align).expect("a power of two");
            // SAFETY: the size is not 0, and the objects are that long.
            let grown = growth(|| (0..count).for_each(|_| unsafe { GLOBAL.alloc(layout).write_bytes(1, 64) }));
            assert!(grown <= count * PAGE * 5 / 4 + SLACK, "alignment {align}: {} KiB resident", grown / KIB);
        });
    }
}

/// Bytes on huge pages in this process.
fn huge_bytes_of_all() -> usize {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("procfs is there");
    let line = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).expect("the kernel says it");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * KIB
}

#[test]
fn dense_use_gets_huge_pages() {
    let name = "dense_use_gets_huge_pages";
    // Sizes that fill their slots and halves.
    for size in [64, KIB, 20 * KIB, 64 * KIB, 256 * KIB, 512 * KIB, 2 * MIB, 4 * MIB, 6 * MIB] {
        case(name, &format!("{size}")).succeeds(|| {
            if !present("thp") || !present("arena") || !present("bigcache") || !has_huge_pages() {
                return;
            }
            assert_eq!(level("thp"), "dense");
            let bytes = 128 * MIB;
            (0..bytes / size).for_each(|_| touch(allocate(size), size));
            let huge = huge_bytes_of_all();
            // All but the first 4 MiB of small objects, and the first halves.
            assert!(huge >= bytes * 3 / 4, "{size} bytes: {} MiB on huge pages", huge / MIB);
        });
    }
}

/// Where objects of many classes are made, and by several threads, a part of the newest memory waits in caches.
#[test]
fn dense_use_of_many_sizes_gets_huge_pages() {
    let name = "dense_use_of_many_sizes_gets_huge_pages";
    for (threads, size_max) in [(1, 1000), (4, 1000), (8, 4000)] {
        case(name, &format!("{threads} threads, {size_max}")).succeeds(|| {
            if !["thp", "thread-cache"].iter().all(|factor| present(factor)) || !has_huge_pages() {
                return;
            }
            let fill = |seed: usize| {
                let (mut random, mut left) = (seed, 256 * MIB / threads);
                while left > size_max {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let size = 16 + (random >> 33) % size_max;
                    // SAFETY: the object is that long.
                    unsafe { allocate(size).write_bytes(1, size) };
                    left -= size.min(left);
                }
            };
            std::thread::scope(|scope| (0..threads).for_each(|seed| _ = scope.spawn(move || fill(seed))));
            let huge = huge_bytes_of_all();
            assert!(huge >= 128 * MIB, "{} MiB on huge pages", huge / MIB);
        });
    }
}

/// Lets the kernel refuse these system calls from here on.
fn refuse(calls: &[libc::c_long]) {
    let rule = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let (load, equal, give) = (0x20, 0x15, 0x06);
    let mut program = vec![rule(load, 0, 0, 0)];
    for &call in calls {
        let number = u32::try_from(call).expect("a system call's number");
        program.extend([rule(equal, 0, 1, number), rule(give, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32)]);
    }
    program.push(rule(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which is that long.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
    }
}

/// Some filters of containers refuse `process_vm_readv`. Then memory with ordinary pages decides, one piece in six.
#[test]
fn where_looking_is_refused_nothing_breaks() {
    let name = "where_looking_is_refused_nothing_breaks";
    for (label, calls, least) in [
        ("inside", &[libc::SYS_process_vm_readv][..], 64 * MIB),
        ("at all", &[libc::SYS_process_vm_readv, libc::SYS_mincore][..], 0),
    ] {
        for size in [KIB, 2 * MIB] {
            case(name, &format!("{label}, {size}")).succeeds(|| {
                if !kernel_waits_to_be_asked() || !present("thp") || !present("arena") || !present("bigcache") {
                    return;
                }
                refuse(calls);
                let bytes = 128 * MIB;
                (0..bytes / size).for_each(|_| touch(allocate(size), size));
                let huge = huge_bytes_of_all();
                assert!(huge >= least, "{size} bytes: {} MiB on huge pages", huge / MIB);
                // SAFETY: the objects are that long.
                let grown = growth(|| (0..4000).for_each(|_| unsafe { allocate(size * 8).write(1) }));
                assert!(grown <= 4000 * PAGE * (size * 8).div_ceil(PAGE).min(4) + 32 * MIB, "{} MiB", grown / MIB);
            });
        }
    }
}

/// A ring of 2 MiB objects that are all written has huge pages from its first on: what it costs to learn is nothing.
#[test]
fn a_ring_of_large_objects_takes_few_faults() {
    case("a_ring_of_large_objects_takes_few_faults", "default").succeeds(|| {
        if !present("thp") || !present("arena") || !has_huge_pages() {
            return;
        }
        let before = common::kernel::minor_faults();
        let mut ring: [*mut u8; 16] = [std::ptr::null_mut(); 16];
        for n in 0..100 {
            if !ring[n % 16].is_null() {
                free(ring[n % 16], 2 * MIB);
            }
            ring[n % 16] = allocate(2 * MIB);
            touch(ring[n % 16], 2 * MIB);
        }
        let faults = common::kernel::minor_faults() - before;
        assert!(faults < 200, "{faults} faults for 16 objects");
    });
}

/// A zeroed object.
fn allocate_zeroed(size: usize) -> *mut u8 {
    let layout = Layout::from_size_align(size, 16).expect("far from overflow");
    // SAFETY: the size is not 0.
    let object = unsafe { GLOBAL.alloc_zeroed(layout) };
    assert!(!object.is_null());
    object
}

/// A freed mapping serves the next request, and keeps no huge page where little of it is used.
#[test]
fn a_mapping_that_is_used_again_holds_what_is_touched() {
    for (size, zeroed) in [(5 * MIB, true), (16 * MIB, true), (64 * MIB, true), (16 * MIB, false), (64 * MIB, false)] {
        let label = format!("{size}, zeroed {zeroed}");
        case("a_mapping_that_is_used_again_holds_what_is_touched", &label).succeeds(|| {
            if !kernel_waits_to_be_asked() || !present("thp") || !present("bigcache") {
                return;
            }
            let request = || if zeroed { allocate_zeroed(size) } else { allocate(size) };
            let mut resident = 0;
            for n in 0..100 {
                let object = request();
                for at in [100, size / 16 * (n % 16) + 8] {
                    // SAFETY: the object is that long, and holds zeroes where that was asked for.
                    unsafe {
                        assert!(!zeroed || object.add(at).read() == 0, "{n}");
                        object.add(at).write_volatile(1);
                    }
                }
                resident = resident_pages(object, size) * PAGE;
                free(object, size);
            }
            assert!(resident <= 256 * KIB, "{} KiB resident", resident / KIB);
            // What is written as a whole has huge pages again.
            let mut faults = 0;
            for _ in 0..8 {
                let object = allocate_zeroed(size);
                let before = common::kernel::minor_faults();
                touch(object, size);
                faults = common::kernel::minor_faults() - before;
                free(object, size);
            }
            assert!(usize::try_from(faults).expect("a count") <= size / MIB, "{faults} faults");
        });
    }
}

/// Objects that are written as a whole, freed and asked for again, never lose their memory.
#[test]
fn a_mapping_that_is_used_densely_again_takes_no_faults() {
    case("a_mapping_that_is_used_densely_again_takes_no_faults", "default").succeeds(|| {
        if !present("thp") || !present("bigcache") || !has_huge_pages() {
            return;
        }
        let size = 16 * MIB;
        let before = common::kernel::minor_faults();
        for _ in 0..200 {
            let object = allocate(size);
            touch(object, size);
            free(object, size);
        }
        let faults = common::kernel::minor_faults() - before;
        assert!(faults < 100, "{faults} faults");
    });
}

#[test]
fn memory_that_turns_sparse_or_dense_is_judged_anew() {
    case("memory_that_turns_sparse_or_dense_is_judged_anew", "default").succeeds(|| {
        if !kernel_waits_to_be_asked() || !present("thp") || !present("arena") {
            return;
        }
        for size in [100 * KIB, 2 * MIB] {
            let dense = 128 * MIB / size;
            (0..dense).for_each(|_| touch(allocate(size), size));
            let count = 1024 * MIB / size;
            // SAFETY: the objects are that long.
            let grown = growth(|| (0..count).for_each(|_| unsafe { allocate(size).write(1) }));
            assert!(grown <= 64 * MIB + count * PAGE, "{size} bytes, sparse: {} MiB", grown / MIB);
        }
    });
}

/// The kernel collapses 2 MiB of which a page is used into a huge page within minutes, unless it is told not to.
#[test]
fn no_huge_page_comes_back_where_parts_were_given_back() {
    let name = "no_huge_page_comes_back_where_parts_were_given_back";
    for (size, keep_every) in [(KIB, 64), (7 * KIB, 64), (48 * KIB, 40), (64 * KIB, 40), (256 * KIB, 10)] {
        case(name, &format!("{size}")).succeeds(|| {
            if !["thp", "arena", "purge", "bigcache", "thread-cache"].iter().all(|factor| present(factor)) {
                return;
            }
            let count = 96 * MIB / size;
            let objects: Vec<*mut u8> = (0..count)
                .map(|_| {
                    let object = allocate(size);
                    // SAFETY: the object is that long.
                    unsafe { object.write_bytes(1, size) };
                    object
                })
                .collect();
            let last = objects[count * 3 / 4];
            if has_huge_pages() {
                assert_eq!(advice_at(last), (true, false), "dense memory is for huge pages");
            }
            let is_kept = |n: &usize| n.is_multiple_of(keep_every);
            (0..count).filter(|n| !is_kept(n)).for_each(|n| free(objects[n], size));
            // What caches keep stays in place for a while; most of the rest is gone soon.
            let resident = || objects.iter().map(|&object| resident_pages(object, size.min(PAGE))).sum::<usize>();
            let whole = resident();
            eventually("what is free goes", || resident() < whole / 4);
            let (mut refused, mut welcome) = (0, 0);
            for n in (0..count).filter(is_kept).step_by((count / keep_every / 50).max(1)) {
                let (is_welcome, is_refused) = advice_at(objects[n]);
                welcome += usize::from(is_welcome);
                refused += usize::from(is_refused);
            }
            assert!(refused >= 9 * welcome, "{size} bytes: {refused} of {} are refused", refused + welcome);

            // Memory that is given back as a whole, and used densely again, is for huge pages again.
            (0..count).filter(is_kept).for_each(|n| free(objects[n], size));
            hakmem::flush();
            eventually("all of it goes", || resident() < whole / 16);
            let again: Vec<*mut u8> = (0..count)
                .map(|_| {
                    let object = allocate(size);
                    // SAFETY: the object is that long.
                    unsafe { object.write_bytes(1, size) };
                    object
                })
                .collect();
            let welcome = again.iter().step_by(count / 50).filter(|object| has_flag(**object, "hg")).count();
            if has_huge_pages() {
                assert!(welcome >= 25, "{welcome} of 50; {}", smaps(again[0], "VmFlags"));
            }
        });
    }
}
