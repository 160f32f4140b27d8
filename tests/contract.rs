//! What every allocator owes its program, held at every level of every factor.
//!
//! [`the_contract_holds`] checks all clauses at the levels of this process, [`every_level_of_every_factor`] again in
//! children at other levels. Absent levels are reached by the feature sets that the CI builds. Programs that are drawn at
//! random are in tests/model.rs, forks in tests/fork.rs, and what happens when memory is short in tests/limits.rs.

mod common;

use common::kernel::{limit_addresses_to, resident_bytes, virtual_bytes};
use common::object::{Object, assert_disjoint, class_bytes, layout};
use common::{KIB, MIB, PAGE, case};
use hakmem::Hakmem;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// How much of a clause is tried.
#[derive(Clone, Copy, PartialEq)]
enum Effort {
    Full,
    /// In the children: the same clauses, fewer sizes and rounds.
    Brief,
}

/// Sizes where something changes: each class and its neighbours, with headers and without, pages, thresholds.
fn sizes(effort: Effort) -> Vec<usize> {
    // In the children every fourth; programs drawn at random meet all of them there.
    let (step, headers) = if effort == Effort::Brief { (4, &[0][..]) } else { (1, &[0, 16, 32][..]) };
    let bounds = class_bytes().into_iter().step_by(step);
    let mut sizes: Vec<usize> = bounds
        .flat_map(|class| headers.iter().map(move |header| class.saturating_sub(*header)))
        .flat_map(|bound| [bound.saturating_sub(1), bound, bound + 1])
        .filter(|&size| size > 0)
        .collect();
    sizes.extend([1, 7, 8, 9, PAGE - 1, PAGE, PAGE + 1, 512 * KIB - 1, 2 * MIB - 1, 2 * MIB, 4 * MIB, 4 * MIB + 1]);
    sizes.extend([5 * MIB].into_iter().chain((effort == Effort::Full).then_some(33 * MIB)));
    sizes
}

fn aligns(effort: Effort) -> impl Iterator<Item = usize> {
    (0..=22).step_by(if effort == Effort::Brief { 3 } else { 1 }).chain([22]).map(|log| 1 << log)
}

// ---------------------------------------------------------------------------------------------------------------------
// The clauses

fn every_size_at_every_alignment(effort: Effort) {
    for align in aligns(effort) {
        let objects: Vec<Object> = sizes(effort).into_iter().map(|size| Object::new(size, align)).collect();
        assert_disjoint(&objects);
        objects.into_iter().for_each(Object::free);
    }
}

fn zeroed_memory_is_zero_after_dirty_use(effort: Effort) {
    for size in sizes(effort) {
        for align in [1, 64, PAGE, 128 * KIB] {
            Object::new(size, align).free();
            Object::zeroed(size, align).free();
        }
    }
}

fn resized_objects_keep_contents_and_alignment(effort: Effort) {
    // Slots of one and of other classes, runs, mappings, the pool's mappings, and back.
    let regimes = [1, 16, 17, 500, 3_000, 60 * KIB, 448 * KIB, 700 * KIB, 1500 * KIB, 3 * MIB, 5 * MIB, 9 * MIB];
    let aligns: &[usize] =
        if effort == Effort::Full { &[1, 16, 32, 64, PAGE, 64 * KIB, 128 * KIB, 2 * MIB] } else { &[8, 128 * KIB] };
    for &align in aligns {
        for from in regimes {
            for to in regimes {
                let mut object = Object::new(from, align);
                let neighbour = Object::new(from, align);
                object.resize(to);
                object.resize(to + to / 3 + 1);
                object.resize(from);
                neighbour.free();
                object.free();
            }
        }
    }
    let mut object = Object::new(1, 16);
    while object.size() < 20 * MIB {
        object.resize(object.size() * 7 / 5 + 1);
    }
    while object.size() > 1 {
        object.resize(object.size() / 3 + 1 - usize::from(object.size() <= 3));
    }
    object.free();
}

fn absurd_sizes_are_null_and_change_nothing(_: Effort) {
    let kept = Object::new(1000, 16);
    let mut long = Object::new(3 * MIB, 16);
    for align in [1, 16, 32, PAGE, 64 * KIB, 4 * MIB, 1 << 40, 1 << 62] {
        let most = isize::MAX as usize - (align - 1);
        for size in [most, most - 1, most - most.min(31), most - most.min(PAGE), most / 2 + 1] {
            // Sizes that the machine might have after all are no test.
            let Ok(layout) = Layout::from_size_align(size, align) else { continue };
            if size < 1 << 50 && align < 1 << 50 {
                continue;
            }
            // SAFETY: the size is not 0.
            unsafe {
                assert!(GLOBAL.alloc(layout).is_null(), "{layout:?}");
                assert!(GLOBAL.alloc_zeroed(layout).is_null(), "{layout:?}");
                assert!(GLOBAL.alloc_at(layout, hakmem::site!()).is_null(), "{layout:?}");
            }
            if align <= 16 {
                for object in [&kept, &long] {
                    // SAFETY: made with this layout, which stays its own when the answer is null.
                    assert!(unsafe { GLOBAL.realloc(object.base, object.layout, size) }.is_null());
                    object.check(object.size(), object.size());
                }
            }
        }
    }
    long.resize(4 * MIB);
    long.free();
    kept.free();
    Object::new(5 * MIB, 16).free();
}

fn size_0_is_served_by_alloc_at(_: Effort) {
    for align in [1, 8, 64, PAGE, 64 * KIB, MIB] {
        let layout = layout(0, align);
        // SAFETY: size 0 is allowed here; the objects are freed with their layout, once.
        unsafe {
            let (a, b) = (GLOBAL.alloc_at(layout, hakmem::site!()), GLOBAL.alloc_at(layout, hakmem::site!()));
            assert!(!a.is_null() && !b.is_null() && a != b);
            assert!(a.addr() % align == 0 && b.addr() % align == 0);
            GLOBAL.dealloc(a, layout);
            GLOBAL.dealloc(b, layout);
        }
    }
}

fn objects_outlive_their_threads(_: Effort) {
    for round in 0..6_usize {
        let objects: Vec<Object> = std::thread::spawn(move || {
            (0..400).map(|n| Object::new(1 + (n * 37 * (round + 1)) % 5000, 1 << (n % 8))).collect()
        })
        .join()
        .expect("the thread ends well");
        let (left, right): (Vec<_>, Vec<_>) = objects.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
        // The heap of the first thread may serve another one by now; both sides free at once.
        let free = |half: Vec<(usize, Object)>| half.into_iter().for_each(|(_, object)| object.free());
        std::thread::scope(|scope| {
            scope.spawn(|| free(left));
            scope.spawn(|| (0..300).map(|n| Object::new(1 + n * 11, 16)).for_each(Object::free));
            free(right);
        });
    }
}

fn a_consumer_that_only_frees_keeps_memory_bounded(effort: Effort) {
    let objects = if effort == Effort::Full { 40_000 } else { 4_000 };
    let before = resident_bytes();
    let (send, receive) = mpsc::sync_channel::<Object>(256);
    let consumer = std::thread::spawn(move || receive.into_iter().for_each(Object::free));
    for n in 0..objects {
        send.send(Object::new(1 + n * 31 % 3000, 16)).expect("the consumer lives");
    }
    drop(send);
    consumer.join().expect("all contents were whole");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 48 * MIB, "{} KiB more after {objects} objects", grown / KIB);
}

fn large_objects_change_hands_and_size(effort: Effort) {
    let steps = if effort == Effort::Full { 200 } else { 40 };
    let shelf = Mutex::new(Vec::<Object>::new());
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let shelf = &shelf;
            scope.spawn(move || {
                for n in 0..steps {
                    let size = 460 * KIB + (n * 7 + thread * 13) % 29 * 200 * KIB;
                    let mut object = Object::new(size, 1 << (n % 18));
                    object.resize(size + (n % 5) * 300 * KIB);
                    // Most objects that a thread takes from the shelf were made by the other threads.
                    let mut waiting = shelf.lock().expect("no thread panicked");
                    waiting.push(object);
                    let other = if waiting.len() > 6 { Some(waiting.swap_remove(n % 5)) } else { None };
                    drop(waiting);
                    if let Some(mut other) = other {
                        other.resize(other.size() / 2 + 1);
                        other.free();
                    }
                }
            });
        }
    });
    shelf.into_inner().expect("no thread panicked").into_iter().for_each(Object::free);
}

/// What a thread's destructors do: frees what it is given, allocates and frees small and large, and re-arms itself.
unsafe extern "C" fn late_requests(value: *mut libc::c_void) {
    // SAFETY: the value is a box that `arm` leaked.
    let (key, rounds, object) = *unsafe { Box::from_raw(value.cast::<(libc::pthread_key_t, u32, Object)>()) };
    object.free();
    let mixed: Vec<Object> = (1..40).map(|n| Object::new(n * n, 16)).collect();
    let mut long = Object::zeroed(3 * MIB, 64);
    long.resize(5 * MIB);
    long.free();
    mixed.into_iter().for_each(|mut object| {
        object.resize(object.size() * 3);
        object.free();
    });
    LATE_RUNS.fetch_add(1, Ordering::Relaxed);
    if rounds > 0 {
        arm(key, rounds - 1);
    }
}

static LATE_RUNS: AtomicUsize = AtomicUsize::new(0);

fn arm(key: libc::pthread_key_t, rounds: u32) {
    let value = Box::into_raw(Box::new((key, rounds, Object::new(100, 16))));
    // SAFETY: the key was created.
    assert_eq!(unsafe { libc::pthread_setspecific(key, value.cast()) }, 0);
}

fn make_key() -> libc::pthread_key_t {
    let mut key = 0;
    // SAFETY: writes the key.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(late_requests)) }, 0);
    key
}

/// Created as the program starts, before hakmem's own key if its first request comes later.
#[used]
#[unsafe(link_section = ".preinit_array")]
static MAKE_EARLY_KEY: extern "C" fn() = {
    extern "C" fn make() {
        EARLY_KEY.store(make_key() as usize + 1, Ordering::Relaxed);
    }
    make
};
static EARLY_KEY: AtomicUsize = AtomicUsize::new(0);

fn destructors_of_ending_threads_allocate_and_free(effort: Effort) {
    let waves = if effort == Effort::Full { 8 } else { 2 };
    let early = EARLY_KEY.load(Ordering::Relaxed).checked_sub(1).expect("made at start") as libc::pthread_key_t;
    let later = make_key();
    let before = LATE_RUNS.load(Ordering::Relaxed);
    for _ in 0..waves {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Three rounds of a C library's four: 1 + 2 re-arms for each key.
                    arm(early, 2);
                    arm(later, 2);
                });
            }
        });
    }
    // Scoped threads are done when their closures are; their destructors may still run for a moment.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while LATE_RUNS.load(Ordering::Relaxed) - before < waves * 4 * 2 * 3 {
        assert!(std::time::Instant::now() < deadline, "{} runs", LATE_RUNS.load(Ordering::Relaxed) - before);
        std::thread::yield_now();
    }
    // Every thread has run its last destructor's last request by now, or is about to: the key can stay.
}

fn short_threads_leave_nothing_behind(effort: Effort) {
    let churn = |threads: usize| {
        for _ in 0..threads / 4 {
            let barrier = Barrier::new(4);
            std::thread::scope(|scope| {
                for n in 0..4_usize {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let objects: Vec<Object> = (1..50).map(|k| Object::new(k * (n + 3), 16)).collect();
                        barrier.wait();
                        objects.into_iter().for_each(Object::free);
                    });
                }
            });
        }
    };
    churn(200);
    let before = resident_bytes();
    churn(if effort == Effort::Full { 2_000 } else { 200 });
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 * MIB, "{} KiB more", grown / KIB);
}

fn children_of_a_busy_program_allocate(effort: Effort) {
    const BUSY: usize = 0;
    const RESTING: usize = 1;
    const DONE: usize = 2;
    let phase = AtomicUsize::new(BUSY);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let phase = &phase;
            scope.spawn(move || {
                let mut live: Vec<Object> = Vec::new();
                for n in 0_usize.. {
                    // The threads are busy while the program forks, and leave the processor to the child then.
                    while phase.load(Ordering::Relaxed) == RESTING {
                        std::thread::sleep(std::time::Duration::from_micros(200));
                    }
                    if phase.load(Ordering::Relaxed) == DONE {
                        break;
                    }
                    let size = if n % 512 == thread { 1500 * KIB + n % 7 * MIB / 2 } else { 1 + n * 13 % 900 };
                    live.push(Object::new(size, 16));
                    if live.len() > 40 {
                        live.drain(..20).for_each(Object::free);
                    }
                }
                live.into_iter().for_each(Object::free);
            });
        }
        let kept: Vec<Object> = (1..100).map(|n| Object::new(n * 50, 16)).collect();
        for _ in 0..if effort == Effort::Full { 50 } else { 3 } {
            // SAFETY: the child uses this allocator, which is what is tested, and nothing else that locks.
            match unsafe { libc::fork() } {
                -1 => panic!("no child: {}", std::io::Error::last_os_error()),
                0 => in_the_child_of_a_fork(&kept),
                child => {
                    phase.store(RESTING, Ordering::Relaxed);
                    let mut status = 0;
                    // SAFETY: waits for the child, and writes its status.
                    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                    assert_eq!(status, 0, "14 is a child that hung, 6 or 11 one whose heap was broken");
                    phase.store(BUSY, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        }
        phase.store(DONE, Ordering::Relaxed);
        kept.into_iter().for_each(Object::free);
    });
}

fn in_the_child_of_a_fork(kept: &[Object]) -> ! {
    // SAFETY: ends this process if it hangs.
    unsafe { libc::alarm(20) };
    // What fails here must not unwind into the parent's test harness.
    let whole = std::panic::catch_unwind(|| {
        let mut live: Vec<Object> = Vec::new();
        for n in 0..1_000_usize {
            live.push(Object::new(if n % 100 == 0 { MIB + n * KIB } else { 1 + n * 17 % 2000 }, 16));
            if n % 3 == 0 {
                live.swap_remove(n % live.len()).free();
            }
        }
        live.into_iter().for_each(Object::free);
        for object in kept {
            object.check(object.size(), object.size());
            // SAFETY: this process's copy of the object, freed once.
            unsafe { GLOBAL.dealloc(object.base, object.layout) };
        }
    });
    // SAFETY: ends the process without the parent's exit handlers.
    unsafe { libc::_exit(i32::from(whole.is_err())) }
}

// ---------------------------------------------------------------------------------------------------------------------
// The levels

/// One clause of the contract.
type Clause = fn(Effort);

const CONTRACT: &[Clause] = &[
    every_size_at_every_alignment,
    zeroed_memory_is_zero_after_dirty_use,
    resized_objects_keep_contents_and_alignment,
    absurd_sizes_are_null_and_change_nothing,
    size_0_is_served_by_alloc_at,
    objects_outlive_their_threads,
    a_consumer_that_only_frees_keeps_memory_bounded,
    large_objects_change_hands_and_size,
    destructors_of_ending_threads_allocate_and_free,
    short_threads_leave_nothing_behind,
    children_of_a_busy_program_allocate,
];

/// All clauses in one thread, one after another: they measure memory, and fork.
#[test]
fn the_contract_holds() {
    CONTRACT.iter().for_each(|clause| clause(Effort::Full));
}

#[test]
fn every_level_of_every_factor() {
    let treatments = common::treatments();
    common::at_each("every_level_of_every_factor", &treatments, || {
        CONTRACT.iter().for_each(|clause| clause(Effort::Brief));
    });
}

/// Alone in a child: other threads map stacks, and what is hoarded shows only while nothing waits for reuse yet.
#[test]
fn wide_alignments_hoard_nothing() {
    for (label, variables) in [("default", vec![]), ("nothing", common::all_off_but(&[])), ("all", common::all_on())] {
        case("wide_alignments_hoard_nothing", label).vars(&variables).succeeds(|| {
            let churn = |count: usize| (0..count).for_each(|n| Object::new(100 + n % 50, 2 * MIB).free());
            churn(4);
            let before = virtual_bytes();
            churn(200);
            let grown = virtual_bytes().saturating_sub(before);
            assert!(grown < 48 * MIB, "{} MiB of addresses more", grown / MIB);
        });
    }
}

#[test]
fn memory_that_waits_is_used_before_a_request_fails() {
    let name = "memory_that_waits_is_used_before_a_request_fails";
    for (label, variables) in [
        ("default", vec![]),
        ("no BigCache", vec![("HAKMEM_DISABLE_BIGCACHE", "1")]),
        ("fixed threshold", vec![("HAKMEM_DISABLE_ELO", "1")]),
        ("nothing", common::all_off_but(&[])),
        ("all", common::all_on()),
        ("aligned objects", vec![("HAKMEM_ALIGN", "user"), ("HAKMEM_THP", "on")]),
    ] {
        case(name, label).vars(&variables).succeeds(|| {
            limit_addresses_to(virtual_bytes() + 200 * MIB);
            // One at a time, in sizes that no cache has: what earlier ones left must give way.
            for n in 0..400 {
                Object::new(MIB + (n * 7919 * 4096) % (15 * MIB), 16).free();
            }
        });
    }
}

#[test]
fn flush_gives_back_what_waits() {
    for (label, variables) in [("default", vec![]), ("all", common::all_on())] {
        case("flush_gives_back_what_waits", label).vars(&variables).succeeds(|| {
            hakmem::flush();
            let before = virtual_bytes();
            for n in 0..64 {
                Object::new(2 * MIB + n * 65_536, 16).free();
            }
            hakmem::flush();
            let grown = virtual_bytes().saturating_sub(before);
            // An arena of 64 MiB may have been reserved for those below the threshold.
            assert!(grown < 80 * MIB, "{} MiB of addresses wait", grown / MIB);
        });
    }
}
