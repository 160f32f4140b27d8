//! Tests of the system calls.

use super::*;
use core::sync::atomic::AtomicU32;

#[test]
fn maps_zeroed_memory_and_gives_it_back() {
    let base = map(3 * OS_PAGE);
    assert!(!base.is_null());
    // SAFETY: the mapping is ours and three pages long.
    unsafe {
        assert_eq!(*base.add(2 * OS_PAGE), 0);
        *base = 7;
        assert!(decommit(base, OS_PAGE));
        assert_eq!(*base, 0, "decommitted memory reads as zero");
        unmap(base, 3 * OS_PAGE);
    }
}

#[test]
fn reserved_addresses_become_zeroed_memory() {
    let base = reserve(1 << 30);
    assert!(!base.is_null());
    // SAFETY: the range is ours.
    unsafe {
        assert!(commit(base, 2 * OS_PAGE));
        assert_eq!(*base.add(OS_PAGE), 0);
        unmap(base, 1 << 30);
    }
}

#[test]
fn faults_are_counted() {
    let before = minor_faults();
    let base = map(64 * OS_PAGE);
    for page in 0..64 {
        // SAFETY: the mapping is ours and that long. Volatile: it is not read.
        unsafe { base.add(page * OS_PAGE).write_volatile(1) };
    }
    assert!(minor_faults() >= before + 4, "even with the largest folios");
    // SAFETY: the mapping is ours.
    unsafe { unmap(base, 64 * OS_PAGE) };
}

#[test]
fn the_thread_runs_and_can_be_started_again() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn work() {
        RUNS.fetch_add(1, Ordering::Release);
    }
    for run in 1..=50 {
        // SAFETY: one after the other, and the work touches a static.
        assert!(unsafe { spawn(work) });
        while RUNS.load(Ordering::Acquire) < run {
            std::thread::yield_now();
        }
    }
}

#[test]
fn residency_is_what_was_touched() {
    let base = map(64 * OS_PAGE);
    let resident = || resident_bytes(base, 64 * OS_PAGE);
    assert_eq!(resident(), 0);
    // SAFETY: the mapping is ours and that long. Huge pages would make more of it resident.
    unsafe {
        assert!(advise_huge(base, 64 * OS_PAGE, false));
        base.add(3 * OS_PAGE).write_volatile(1);
        base.add(60 * OS_PAGE).write_volatile(1);
        assert_eq!(resident(), 2 * OS_PAGE);
        assert!(decommit(base, 32 * OS_PAGE));
        assert_eq!(resident(), OS_PAGE);
        unmap(base, 64 * OS_PAGE);
    }
    // No mapping lies so low: a range whose mapping is gone may be another thread's by now.
    assert_eq!(resident_bytes(ptr::without_provenance(1 << 30), 64 * OS_PAGE), 0, "not mapped");
}

#[test]
fn refusals_are_null() {
    assert!(map(usize::MAX / 2).is_null());
}

#[test]
fn moved_pages_keep_their_contents() {
    let from = map(OS_PAGE);
    let to = map(4 * OS_PAGE);
    // SAFETY: both mappings are ours; `from` is given up by the move.
    unsafe {
        *from.add(5) = 42;
        assert!(move_pages(from, OS_PAGE, to, 4 * OS_PAGE));
        assert_eq!(*to.add(5), 42);
        assert_eq!(*to.add(3 * OS_PAGE), 0);
        unmap(to, 4 * OS_PAGE);
    }
}

#[test]
fn free_addresses_are_left_free_and_taken_once() {
    const LEN: usize = 1 << 30;
    let base = free_addresses(LEN, 4 << 20).expect("a 64-bit process has addresses");
    assert_eq!(base.addr() % (4 << 20), 0);
    assert!(map_at(base, OS_PAGE) && map_at(base.wrapping_add(LEN - OS_PAGE), OS_PAGE));
    assert!(!map_at(base, 2 * OS_PAGE), "what is there stays");
    let other = free_addresses(LEN, 4 << 20).expect("the next place is free");
    assert!(other.addr().abs_diff(base.addr()) >= LEN, "the first is taken at its ends");
    // SAFETY: the mappings are ours.
    unsafe {
        *base = 1;
        unmap(base, OS_PAGE);
        unmap(base.wrapping_add(LEN - OS_PAGE), OS_PAGE);
    }
}
