//! Raw files that are written by hand, event by event, and what is made of them.

use super::convert_raw;
use ablate_trace::{Action, Trace, check};
use std::mem::offset_of;
use std::path::PathBuf;
use trace_recorder::layout::{Asked, CHUNK_BYTES, HEAD_BYTES, Head, Kind, MAGIC, NO_ALIGN, Sub, asked, first, other};

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
    vec![first(Kind::Free, address), ticks]
}

fn reallocates(from: u64, to: u64, ticks: u64, size: u64) -> Vec<u64> {
    let mut words = vec![first(Kind::ReallocateBegin, from), ticks];
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
