//! What is written is read back: random programs of threads, cut-off files and damaged ones.

use ablate_trace::{About, Action, Builder, Live, Request, Site, Trace, TraceError, check};
use proptest::prelude::*;
use std::io::Cursor;

/// A step of a random program: which thread, what, and numbers to choose by.
type Step = (u8, u8, u16, u32);

/// What was asked for, per thread, in the words of the reader but for ids.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Begin,
    End,
    Spawn(u32),
    Allocate { size: u64, align: Option<u64>, zeroed: bool, site: u32, crosses: bool, key: usize },
    Reallocate { key: usize, size: u64, site: u32 },
    Free { key: usize },
}

/// Writes the program; gives the file, and what each thread asked for, with its time.
fn written(steps: &[Step], group: u64) -> (Vec<u8>, Vec<Vec<(u64, Asked)>>) {
    let mut builder = Builder::new(Cursor::new(Vec::new()), About::default(), 1);
    builder.group_operations(group);
    let sites: Vec<u32> = (0..5).map(|offset| builder.site(Site { offset, ..Site::default() })).collect();
    let mut asked: Vec<Vec<(u64, Asked)>> = Vec::new();
    let mut live: Vec<(usize, Live, u32, bool)> = Vec::new();
    let mut keys = 0;
    let mut at = 0;
    for thread in 0..3 {
        assert_eq!(builder.thread("", thread).expect("begins"), thread as u32);
        asked.push(vec![(thread, Asked::Begin)]);
    }
    for &(thread, what, choice, number) in steps {
        let thread = u32::from(thread % 3);
        at += u64::from(number) >> (number % 32);
        let site = sites[usize::from(choice) % sites.len()];
        let own = |at: &usize| live[*at].3 || live[*at].2 == thread;
        let chosen = (0..live.len()).filter(own).nth(usize::from(choice) % live.len().max(1));
        let what = match (what % 8, chosen) {
            (4, Some(at_live)) => {
                let (key, object, ..) = &live[at_live];
                builder.reallocate(thread, at, object, number.into(), site).expect("is live");
                Asked::Reallocate { key: *key, size: number.into(), site }
            }
            (5..7, Some(at_live)) => {
                let (key, object, ..) = live.swap_remove(at_live);
                builder.free(thread, at, object).expect("is live");
                Asked::Free { key }
            }
            (7, _) => {
                builder.spawn(thread, at, 2).expect("is known");
                Asked::Spawn(2)
            }
            _ => {
                let size = u64::from(number) >> (choice % 32);
                let align = (choice % 7 == 0).then_some(1 << (choice % 20));
                let (zeroed, crosses) = (choice % 5 == 0, choice % 3 == 0);
                let request = Request { size, align, zeroed, site };
                live.push((keys, builder.allocate(thread, at, request, crosses).expect("is valid"), thread, crosses));
                keys += 1;
                Asked::Allocate { size, align, zeroed, site, crosses, key: keys - 1 }
            }
        };
        asked[thread as usize].push((at, what));
    }
    builder.end(1, at).expect("runs");
    asked[1].push((at, Asked::End));
    let mut file = Vec::new();
    builder.finish(&mut file).expect("writes");
    (file, asked)
}

/// The operations that can be read of each thread are the first ones that were asked for, and nearly all at their times.
fn assert_reads(trace: &Trace, asked: &[Vec<(u64, Asked)>]) {
    // The object that each id has, by the order of turns.
    let mut keys: std::collections::HashMap<(u32, u32), usize> = std::collections::HashMap::new();
    let first_shared = trace.header().first_shared();
    let mut frees = Vec::new();
    for (thread, asked) in asked.iter().enumerate() {
        let mut own = std::collections::HashMap::new();
        let mut clock = 0;
        let operations = trace.thread(thread as u32).expect("is there");
        let mut count = 0;
        for (operation, (at, asked)) in operations.zip(asked) {
            let operation = operation.expect("is whole");
            let gap = operation.gap_ns;
            clock += gap;
            assert!(clock.abs_diff(*at) <= 10_000, "{clock} for {at}, after {gap}");
            count += 1;
            let same = match (operation.action, asked) {
                (Action::Begin, Asked::Begin) | (Action::End, Asked::End) => true,
                (Action::Spawn { thread }, Asked::Spawn(of)) => thread == *of,
                (
                    Action::Allocate { object, size, align, zeroed, site },
                    Asked::Allocate { size: s, align: a, zeroed: z, site: t, crosses, key },
                ) => {
                    if let Some(turn) = object.turn {
                        keys.insert((object.id, turn), *key);
                    } else {
                        assert!(own.insert(object.id, *key).is_none(), "its id was free");
                    }
                    assert_eq!(object.id >= first_shared, *crosses);
                    (size, align, zeroed, site) == (*s, *a, *z, *t)
                }
                (Action::Reallocate { object, size, site }, Asked::Reallocate { key, size: s, site: t }) => {
                    match object.turn {
                        Some(turn) => frees.push((object.id, turn, *key)),
                        None => assert_eq!(own.get(&object.id), Some(key)),
                    }
                    (size, site) == (*s, *t)
                }
                (Action::Free { object }, Asked::Free { key }) => {
                    match object.turn {
                        Some(turn) => frees.push((object.id, turn, *key)),
                        None => assert_eq!(own.remove(&object.id), Some(*key)),
                    }
                    true
                }
                _ => false,
            };
            assert!(same, "{operation:?} for {asked:?}");
        }
        assert_eq!(count, trace.operations_of(thread as u32));
    }
    // An operation in its turn is of the object that the id got last.
    for (id, turn, key) in frees {
        let last = (0..turn).rev().find_map(|turn| keys.get(&(id, turn)));
        assert_eq!(last, Some(&key), "id {id}, turn {turn}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(steps in proptest::collection::vec(any::<Step>(), 0..600), group in 1..300_u64) {
        let (file, asked) = written(&steps, group);
        let trace = Trace::from_bytes(file).expect("is a trace");
        prop_assert_eq!(trace.cut_off(), None);
        assert_reads(&trace, &asked);
        let count = asked.iter().map(Vec::len).sum::<usize>() as u64;
        let checked = check(&trace).expect("is valid");
        prop_assert_eq!((checked.operations, trace.header().operations), (count, count));
        for (thread, asked) in asked.iter().enumerate() {
            prop_assert_eq!(trace.operations_of(thread as u32), asked.len() as u64);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_a_trace(steps in proptest::collection::vec(any::<Step>(), 100..400), cut in 0..1000_usize) {
        let (mut file, asked) = written(&steps, 20);
        file.truncate(file.len() * cut / 1000);
        match Trace::from_bytes(file) {
            Ok(trace) => {
                prop_assert!(trace.cut_off().is_some());
                assert_reads(&trace, &asked);
                check(&trace).expect("whole groups are valid");
            }
            Err(error) => prop_assert!(matches!(error, TraceError::NotATrace { .. } | TraceError::Head { .. }), "{error}"),
        }
    }

    #[test]
    fn a_damaged_file_is_no_panic(steps in proptest::collection::vec(any::<Step>(), 0..200), at in any::<usize>(), bit in 0..8_u8) {
        let (mut file, _) = written(&steps, 50);
        let at = at % file.len();
        file[at] ^= 1_u8 << bit;
        if let Ok(trace) = Trace::from_bytes(file) {
            prop_assert!(trace.cut_off().is_some());
            check(&trace).expect("what is whole is valid");
        }
    }
}

#[test]
fn an_object_of_another_thread_must_have_been_announced() {
    let mut builder = Builder::new(Cursor::new(Vec::new()), About::default(), 1);
    let (first, second) = (builder.thread("", 0).expect("begins"), builder.thread("", 0).expect("begins"));
    let own = builder.allocate(first, 1, Request::of(8), false).expect("is valid");
    let error = builder.free(second, 2, own).expect_err("it is the first thread's").to_string();
    assert!(error.contains("thread 1 touches an object of thread 0"), "{error}");
    let odd = Request { align: Some(24), ..Request::of(8) };
    builder.allocate(first, 1, odd, false).expect_err("24 is no power of two");
    builder.free(7, 1, builder_live()).expect_err("there is no thread 7");
}

fn builder_live() -> Live {
    let mut builder = Builder::new(Cursor::new(Vec::new()), About::default(), 1);
    let thread = builder.thread("", 0).expect("begins");
    builder.allocate(thread, 0, Request::of(1), true).expect("is valid")
}

#[test]
fn ids_are_reused_and_bounded_by_what_is_live() {
    let mut builder = Builder::new(Cursor::new(Vec::new()), About::default(), 1);
    let (first, second) = (builder.thread("", 0).expect("begins"), builder.thread("", 0).expect("begins"));
    for at in 0..10_000 {
        let own = builder.allocate(first, at, Request::of(8), false).expect("is valid");
        let passed = builder.allocate(first, at, Request::of(8), true).expect("is valid");
        builder.free(first, at, own).expect("is live");
        builder.free(second, at, passed).expect("is live");
    }
    let mut file = Vec::new();
    let header = builder.finish(&mut file).expect("writes");
    assert_eq!(header.threads[0].objects, 1);
    assert!(header.objects() < 300, "{}", header.objects());
    assert!(file.len() < 20_000, "{} bytes", file.len());
    let checked = check(&Trace::from_bytes(file).expect("is a trace")).expect("is valid");
    assert_eq!((checked.allocations, checked.frees, checked.handovers), (20_000, 20_000, 10_000));
}

#[test]
fn other_files_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("text");
    std::fs::write(&path, "no trace at all, but some bytes").expect("writes");
    let error = Trace::open(&path).expect_err("is text").to_string();
    assert!(error.contains("text: this is no trace"), "{error}");
    let (mut file, _) = written(&[], 1);
    file[8] = 9;
    let error = Trace::from_bytes(file).expect_err("is later").to_string();
    assert!(error.contains("format 9, and this program reads format 1"), "{error}");
    let error = Trace::open(dir.path().join("none")).expect_err("is not there").to_string();
    assert!(error.contains("none: opening failed"), "{error}");
}
