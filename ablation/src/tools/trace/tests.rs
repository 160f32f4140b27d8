//! Raw files that are written by hand, event by event, and what is made of them.

use super::convert_raw;
use ablate_trace::{Action, Trace, check};
use std::mem::offset_of;
use std::path::PathBuf;
use trace_recorder::layout::{
    Asked, CHUNK_BYTES, HEAD_BYTES, Head, Kind, MAGIC, NO_ALIGN, Sub, again, asked, first, other, place, request, time,
};

/// A raw file with chunks of these words.
fn raw(chunks: &[Vec<u64>]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES as usize];
    let mut put = |at: usize, number: u64| bytes[at..at + 8].copy_from_slice(&number.to_ne_bytes());
    put(offset_of!(Head, magic), MAGIC);
    put(offset_of!(Head, last_ticks), 1000);
    put(offset_of!(Head, last_ns), 1000);
    for chunk in chunks {
        let from = bytes.len();
        bytes.extend(chunk.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.resize(from + CHUNK_BYTES as usize, 0);
    }
    bytes
}

fn begins(thread: u64, ticks: u64, serial: u64) -> Vec<u64> {
    other(Sub::Thread, thread, ticks, serial).to_vec()
}

fn of(size: u64) -> Asked {
    Asked { size, align_log2: NO_ALIGN, zeroed: false, site: 0x1000 }
}

fn allocates(address: u64, ticks: u64, size: u64) -> Vec<u64> {
    asked(Kind::Allocate, address, ticks, of(size)).to_vec()
}

fn frees(address: u64, ticks: u64) -> Vec<u64> {
    vec![time(ticks), first(Kind::Free, address)]
}

fn reallocates(from: u64, to: u64, ticks: u64, size: u64) -> Vec<u64> {
    let mut words = vec![time(ticks), first(Kind::ReallocateBegin, from)];
    words.extend(asked(Kind::ReallocateEnd, to, ticks + 1, of(size)));
    words
}

/// The trace of such a file, and what each thread does in it.
#[track_caller]
fn converted(chunks: &[Vec<u64>]) -> (Trace, Vec<Vec<Action>>) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    std::fs::write(path("raw"), raw(chunks)).expect("writes");
    convert_raw(&path("raw"), &path("trace"), 1).expect("is converted");
    let trace = Trace::open(path("trace")).expect("is a trace");
    check(&trace).expect("is valid");
    let threads = 0..trace.header().threads.len() as u32;
    let actions = threads.map(|thread| {
        let operations = trace.thread(thread).expect("is there");
        operations.map(|operation| operation.expect("is whole").action).collect()
    });
    let actions = actions.collect();
    (trace, actions)
}

#[test]
fn reallocations_move_fail_and_free() {
    let chunk = [
        begins(0, 1, 1),
        allocates(0x100, 10, 16),
        reallocates(0x100, 0x200, 20, 32),
        reallocates(0x200, 0, 30, 1 << 40), // fails: the object stays
        reallocates(0x200, 0x200, 40, 48),
        reallocates(0x200, 0, 50, 0), // frees
        allocates(0x200, 60, 8),
        reallocates(0x900, 0x300, 70, 24), // of an object that is not known: a new one
        frees(0x900, 80),
    ];
    let (trace, actions) = converted(&[chunk.concat()]);
    let sizes: Vec<_> = actions[0]
        .iter()
        .map(|action| match *action {
            Action::Allocate { size, .. } => ("new", size),
            Action::Reallocate { size, .. } => ("again", size),
            Action::Free { .. } => ("free", 0),
            _ => ("", 0),
        })
        .collect();
    let expected = [("", 0), ("new", 16), ("again", 32), ("again", 48), ("free", 0), ("new", 8), ("new", 24)];
    assert_eq!(sizes, expected);
    assert_eq!(trace.header().about.unknown_frees, 2);
}

#[test]
fn threads_are_merged_by_time() {
    let maker = [begins(0, 1, 1), allocates(0x100, 10, 1), allocates(0x200, 20, 2), allocates(0x100, 50, 3)];
    let user = [begins(1, 5, 2), frees(0x100, 30), reallocates(0x200, 0x200, 40, 4)];
    let (trace, actions) = converted(&[user.concat(), maker.concat()]);
    let moments: Vec<_> = trace.merged().map(|moment| moment.expect("is whole").thread).collect();
    assert_eq!(moments, [0, 1, 0, 0, 1, 1, 0]);
    assert!(matches!(actions[1][1], Action::Free { object } if object.handed_over && object.turn == Some(1)));
    let Action::Allocate { object, .. } = actions[0][3] else { panic!("{:?}", actions[0]) };
    assert_eq!(object.turn, None, "the last object is one thread's own");
}

#[test]
fn a_free_that_is_seen_too_late_ends_the_earlier_object() {
    // The clocks of two processors disagree: the address is given out again before its free.
    let maker = [begins(0, 1, 1), allocates(0x100, 10, 1), allocates(0x100, 20, 2), frees(0x100, 40)];
    let user = [begins(1, 5, 2), frees(0x100, 25)];
    let (trace, _) = converted(&[maker.concat(), user.concat()]);
    let checked = check(&trace).expect("is valid");
    assert_eq!((checked.allocations, checked.frees, checked.live_objects), (2, 2, 0));
    assert_eq!(trace.header().about.unknown_frees, 0);
}

#[test]
fn an_allocation_that_is_seen_twice_costs_one_free_only() {
    // An allocator's `malloc` calls its own `memalign`, and both are seen.
    let maker = [begins(0, 1, 1), allocates(0x100, 10, 1), allocates(0x100, 11, 1)];
    let pairs = (0..5).map(|pair| [frees(0x100, 20 + 10 * pair), allocates(0x100, 25 + 10 * pair, 1)].concat());
    let (trace, actions) = converted(&[[maker.concat(), pairs.collect::<Vec<_>>().concat()].concat()]);
    assert_eq!((trace.header().operations, trace.header().about.unknown_frees), (14, 0));
    let last = [&actions[0][10], &actions[0][11], &actions[0][12], &actions[0][13]];
    assert!(matches!(
        last,
        [Action::Free { .. }, Action::Allocate { .. }, Action::Free { .. }, Action::Allocate { .. }]
    ));
    let at = times(&trace, 0);
    assert_eq!(at[10..], [50, 55, 60, 65], "each free is where it was");
}

#[test]
fn a_stretch_that_is_there_twice_counts_once() {
    let whole = [begins(0, 1, 7), allocates(0x100, 10, 1), frees(0x100, 20)].concat();
    let half = [begins(0, 1, 7), allocates(0x100, 10, 1)].concat();
    for chunks in [[whole.clone(), half.clone()], [half, whole]] {
        let (trace, _) = converted(&chunks);
        assert_eq!(trace.header().operations, 3);
    }
}

#[test]
fn a_started_thread_is_found_by_its_handle() {
    let spawn = |ticks, handle| other(Sub::Spawn, 0, ticks, handle).to_vec();
    let join = |ticks, handle| other(Sub::Join, 0, ticks, handle).to_vec();
    let handle = |ticks, handle| other(Sub::Handle, 0, ticks, handle).to_vec();
    let end = |ticks| other(Sub::End, 0, ticks, 0).to_vec();
    let starts = [
        begins(0, 1, 1),
        allocates(0x100, 2, 1),
        spawn(10, 77),
        join(50, 77),
        spawn(60, 77), // a thread without an allocation, whose handle is used again
        join(65, 77),
        spawn(70, 77),
    ];
    let one = [begins(1, 12, 2), handle(12, 77), allocates(0x200, 13, 1), end(40)];
    let two = [begins(2, 75, 3), handle(75, 77), allocates(0x300, 76, 1)];
    let (_, actions) = converted(&[starts.concat(), one.concat(), two.concat()]);
    let expected = [Action::Spawn { thread: 1 }, Action::Join { thread: 1 }, Action::Spawn { thread: 2 }];
    assert_eq!(actions[0][2..], expected);
    assert_eq!(actions[1].last(), Some(&Action::End));
}

/// An allocation in one word, like the one before of this size.
fn allocates_again(address: u64, size: u64) -> Vec<u64> {
    let [one, two, three] = asked(Kind::Allocate, 0, 0, of(size));
    vec![again(place(request(&[one, two, three])), address)]
}

/// When each operation of a thread was.
fn times(trace: &Trace, thread: u32) -> Vec<u64> {
    let mut at = 0;
    let operations = trace.thread(thread).expect("is there");
    let next = |operation: Result<ablate_trace::Operation, _>| {
        at += operation.expect("is whole").gap_ns;
        at
    };
    operations.map(next).collect()
}

#[test]
fn events_between_two_readings_of_the_clock_are_spread() {
    let free = |address| vec![first(Kind::Free, address)];
    let chunk = [
        begins(0, 1, 1),
        allocates(0x100, 11, 8),
        free(0x100),               // 13
        allocates_again(0x200, 8), // 15
        vec![time(17)],
        free(0x200),
        allocates_again(0x100, 8), // 19
        vec![time(8211)],          // a pause
        free(0x100),
        allocates_again(0x300, 8), // no other reading follows
    ];
    let (trace, _) = converted(&[chunk.concat()]);
    assert_eq!(trace.header().operations, 8);
    assert_eq!(times(&trace, 0), [1, 11, 13, 15, 17, 19, 8211, 8211]);
}

#[test]
fn order_between_threads_needs_times_only_where_objects_pass() {
    // The first thread reads its clock at 10, and goes on to its end without. The second takes an object from it, with a time.
    let maker = [begins(0, 10, 1), allocates(0x100, 10, 8), allocates_again(0x200, 8), vec![first(Kind::Free, 0x200)]];
    let user = [begins(1, 12, 2), frees(0x100, 30), allocates(0x100, 31, 8), vec![first(Kind::Free, 0x100)]];
    for chunks in [[maker.concat(), user.concat()], [user.concat(), maker.concat()]] {
        let (trace, _) = converted(&chunks);
        let checked = check(&trace).expect("is valid");
        assert_eq!((checked.allocations, checked.frees, checked.handovers), (3, 3, 1));
        assert_eq!((checked.live_objects, trace.header().about.unknown_frees), (0, 0));
    }
}

#[test]
fn an_object_that_is_reallocated_by_another_thread_is_its_own_from_then_on() {
    let maker = [begins(0, 1, 1), allocates(0x100, 10, 16), frees(0x200, 60)];
    let user = [begins(1, 5, 2), reallocates(0x100, 0x200, 20, 32), reallocates(0x200, 0x200, 30, 48)];
    // The place of the old address is used again while the object is at its new one.
    let third = [begins(2, 6, 3), allocates(0x100, 22, 8), frees(0x100, 40)];
    let (trace, actions) = converted(&[maker.concat(), user.concat(), third.concat()]);
    let checked = check(&trace).expect("is valid");
    assert_eq!((checked.allocations, checked.reallocations, checked.frees), (2, 2, 2));
    assert_eq!((checked.handovers, checked.live_objects, trace.header().about.unknown_frees), (2, 0, 0));
    let turns: Vec<_> = actions.iter().flatten().filter_map(|action| action.object()?.turn).collect();
    assert_eq!(turns, [0, 3, 1, 2], "allocated, freed, and reallocated twice between");
}

#[test]
fn any_damage_of_a_raw_file_gives_a_trace_or_an_error() {
    let maker = [begins(0, 1, 1), allocates(0x100, 10, 1), allocates(0x200, 20, 2), allocates_again(0x100, 1)];
    let user = [begins(1, 5, 2), frees(0x100, 30), reallocates(0x200, 0x300, 40, 4)];
    let end = [other(Sub::Touched, 8, 50, 16), other(Sub::Maps, 0, 60, 16), [0x6162, 0x6364, 0]];
    let whole = raw(&[[user.concat(), end.concat()].concat(), maker.concat()]);
    let dir = tempfile::tempdir().expect("a folder");
    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = |below: usize| {
        // Marsaglia's xorshift64 (Journal of Statistical Software 8, 2003).
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below
    };
    let (mut traces, mut errors) = (0, 0);
    for number in 0..600 {
        let mut bytes = whole.clone();
        match number % 3 {
            0 if random(2) == 0 => bytes.truncate(random(HEAD_BYTES as usize + 200)),
            0 => bytes.truncate(random(whole.len())),
            1 => {
                // Where something stands: the head, and the first words of both chunks.
                let chunk = HEAD_BYTES as usize + random(2) * CHUNK_BYTES as usize;
                let at = if random(4) == 0 { random(HEAD_BYTES as usize) } else { chunk + random(200) };
                bytes[at] ^= 1 << random(8);
            }
            _ => {
                let at = HEAD_BYTES as usize + random(CHUNK_BYTES as usize);
                let length = random(300);
                (0..length).for_each(|next| bytes[at + next] = random(256) as u8);
            }
        }
        let path = |name: &str| dir.path().join(format!("{number}.{name}"));
        std::fs::write(path("raw"), bytes).expect("writes");
        match convert_raw(&path("raw"), &path("trace"), 1) {
            Ok(_) => {
                check(&Trace::open(path("trace")).expect("is a trace")).expect("is valid");
                traces += 1;
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.contains("no raw file of the recorder") || told.contains("no allocation"), "{told}");
                assert!(!path("trace").exists(), "no half trace is left");
                errors += 1;
            }
        }
    }
    assert!(traces > 100 && errors > 20, "{traces} traces and {errors} errors");
}
