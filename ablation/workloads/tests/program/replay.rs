//! Replays of small traces that are made here: every allocator does every operation of them, in the recorded order where
//! threads depend on each other.

use crate::common::{built_in, json, json_with, refused, run};
use ablate_trace::{About, Builder, Live, Request, TouchClass, TouchModel};
use serde_json::Value;
use std::io::Cursor;
use std::path::Path;
use tempfile::TempDir;

type Memory = Builder<Cursor<Vec<u8>>>;

/// Writes a trace that `make` fills, and gives its path.
fn trace(folder: &TempDir, name: &str, make: impl FnOnce(&mut Memory)) -> String {
    let about = About { program: vec!["made".to_owned(), "here".to_owned()], ..About::default() };
    let mut builder = Builder::new(Cursor::new(Vec::new()), about, 3);
    make(&mut builder);
    let mut file = Vec::new();
    builder.finish(&mut file).expect("a trace");
    let path = folder.path().join(name);
    std::fs::write(&path, file).expect("can be written");
    path.to_str().expect("a plain name").to_owned()
}

fn own(builder: &mut Memory, thread: u32, at: u64, request: Request) -> Live {
    builder.allocate(thread, at, request, false).expect("an allocation")
}

fn shared(builder: &mut Memory, thread: u32, at: u64, request: Request) -> Live {
    builder.allocate(thread, at, request, true).expect("an allocation")
}

/// One thread: sizes of all kinds, zeroes over memory that was written, alignments, sizes that change, and objects that stay.
fn of_one_thread(builder: &mut Memory) {
    let main = builder.thread("main", 0).expect("a thread");
    let mut at = 0;
    let mut now = || {
        at += 150;
        at
    };
    let mut live = Vec::new();
    for round in 0..40_u64 {
        for size in [0, 1, 7, 24, 100, 1000, 5000, 40_000] {
            let request = Request { zeroed: (round + size) % 3 == 0, ..Request::of(size + round) };
            live.push(own(builder, main, now(), request));
        }
        let align = Some(64 << (round % 7));
        live.push(own(builder, main, now(), Request { align, zeroed: round % 2 == 0, ..Request::of(200 + round) }));
        for (number, object) in live.iter().enumerate().skip(round as usize) {
            let size = 1 + (round * 37 + number as u64 * 911) % 3000;
            builder.reallocate(main, now(), object, size, 0).expect("another size");
        }
        while live.len() > 12 {
            let object = live.swap_remove((round as usize * 5) % live.len());
            builder.free(main, now(), object).expect("a free");
        }
    }
}

/// As many threads at a time as are asked for, of which each gets objects of the one before, and passes others on. Some
/// end, and others are started after them.
fn of_threads(builder: &mut Memory, threads: u32, generations: u32) {
    let main = builder.thread("main", 0).expect("a thread");
    let mut at = 0;
    for _ in 0..generations {
        let workers: Vec<u32> = (0..threads)
            .map(|_| {
                let thread = builder.declare("worker");
                at += 10;
                builder.spawn(main, at, thread).expect("a start");
                builder.begin(thread, at + 1).expect("a beginning");
                thread
            })
            .collect();
        let mut passed: Vec<Live> = Vec::new();
        for round in 0..6_u64 {
            for thread in &workers {
                at += 20;
                for object in passed.drain(..) {
                    builder.reallocate(*thread, at, &object, 500 + round * 300, 0).expect("a hand-over");
                    builder.free(*thread, at, object).expect("a hand-over");
                }
                let kept = own(builder, *thread, at, Request::of(64 + u64::from(*thread)));
                passed.push(shared(builder, *thread, at, Request::of(40 + 100 * round)));
                passed.push(shared(builder, *thread, at, Request { zeroed: true, ..Request::of(3000) }));
                builder.free(*thread, at, kept).expect("a free");
            }
        }
        for (number, thread) in workers.into_iter().enumerate() {
            at += 10;
            builder.end(thread, at).expect("an end");
            // The others end unseen by their creator.
            if number % 2 == 0 {
                builder.join(main, at + 1, thread).expect("a join");
            }
        }
        for object in passed {
            builder.free(main, at + 2, object).expect("a free");
        }
    }
    // It is there to the end.
    let last = builder.thread("unseen start", at + 3).expect("a thread");
    let object = own(builder, last, at + 4, Request::of(77));
    builder.free(last, at + 5, object).expect("a free");
    let _stays = own(builder, last, at + 6, Request::of(78));
}

/// Objects that are live when the trace begins, in two threads.
fn of_a_cut(builder: &mut Memory) {
    let (main, other) = (builder.thread("main", 0).expect("a thread"), builder.thread("other", 0).expect("a thread"));
    let old: Vec<Live> = (0..50).map(|i| own(builder, main, 0, Request::of(100 + i))).collect();
    let passed = shared(builder, other, 0, Request::of(1 << 20));
    let kept = own(builder, other, 0, Request::of(10));
    builder.end_preamble();
    for object in old {
        builder.free(main, 1000, object).expect("a free");
    }
    builder.free(main, 2000, passed).expect("a hand-over");
    builder.free(other, 3000, kept).expect("a free");
}

/// Replays under every allocator of this build; gives what each printed.
fn all(line: &str) -> Vec<(String, Value)> {
    let names = built_in();
    names.into_iter().map(|name| (name.clone(), json(&format!("--allocator {name} {line}")))).collect()
}

/// Asserts that every allocator did the whole trace and was proven.
fn check(file: &str, more: &str, operations: u64) {
    let mut checksums = Vec::new();
    for (name, record) in all(&format!("--trace {file} {more}")) {
        let served_by = match name.as_str() {
            name if name.starts_with("hakmem") => "hakmem",
            "preloaded" => "c",
            name => name,
        };
        assert_eq!(record["served_by"], served_by, "{name} {more}: {}", record["served_proof"]);
        assert_eq!(record["trace"]["operations"], operations, "{name} {more}");
        let passes = record["iterations"].as_u64().expect("passes");
        assert_eq!(record["operations"], passes * operations, "{name} {more}");
        assert_eq!(record["samples"], passes, "{name} {more}");
        checksums.push(record["checksum"].clone());
    }
    assert!(checksums.windows(2).all(|two| two[0] == two[1]), "{more}: {checksums:?}");
}

#[test]
fn every_allocator_replays_one_thread_whole() {
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "one.trace", of_one_thread);
    let record = json(&format!("--allocator system --trace {file}"));
    let count = |name: &str| record["trace"][name].as_u64().expect("a count");
    assert_eq!(count("allocations"), 40 * 9);
    assert_eq!(count("frees"), 40 * 9 - 12, "twelve objects stay");
    let operations = count("allocations") + count("reallocations") + count("frees");
    for touch in ["none", "page", "full"] {
        check(&file, &format!("--touch {touch} --passes 3 --samples 5"), operations);
    }
    check(&file, "--gaps 0.5 --samples 0 --no-tail", operations);
}

#[test]
fn threads_begin_pass_objects_on_and_end_however_many_there_are() {
    let folder = TempDir::new().expect("a folder");
    for (threads, generations) in [(2, 3), (40, 2)] {
        let file = trace(&folder, "threads.trace", |builder| of_threads(builder, threads, generations));
        let record = json(&format!("--allocator system --trace {file} --touch full"));
        assert_eq!(record["threads"], threads * generations + 2);
        let operations = record["trace"]["operations"].as_u64().expect("a number");
        assert!(record["trace"]["handovers"].as_u64().is_some_and(|handovers| handovers > u64::from(threads * 10)));
        check(&file, "--passes 2 --touch full --samples 3", operations);
        check(&file, "--passes 20 --touch none --samples 0 --no-tail", operations);
    }
}

#[test]
fn what_was_live_at_a_cut_is_requested_before_the_timing() {
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "cut.trace", of_a_cut);
    check(&file, "--passes 2 --samples 4", 52);
    let record = json(&format!("--allocator system --trace {file}"));
    assert_eq!((&record["trace"]["preamble_operations"], &record["trace"]["allocations"]), (&52.into(), &52.into()));
}

#[test]
fn memory_is_compared_with_what_is_live() {
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "grow.trace", |builder| {
        let main = builder.thread("main", 0).expect("a thread");
        let live: Vec<Live> = (0..64).map(|i| own(builder, main, i, Request::of(1 << 20))).collect();
        live.into_iter().for_each(|object| builder.free(main, 100, object).expect("a free"));
    });
    let values = |line: &str| json(&format!("--trace {file} {line}"))["values"].clone();
    let full = values("--allocator system --touch full --samples 16");
    assert_eq!(full["live_peak_bytes"], (64_u64 << 20) as f64);
    let over = full["resident_peak_per_live"].as_f64().expect("a number");
    assert!((0.9..1.5).contains(&over), "{full}");
    assert!(
        full["live_mean_bytes"].as_f64().is_some_and(|live| (live / (32 << 20) as f64 - 1.0).abs() < 0.2),
        "{full}"
    );
    assert!(full["call_p50_ns"].as_f64() <= full["call_p999_ns"].as_f64() && full["call_max_ns"].is_number(), "{full}");
    // What is not touched is not resident, and of addresses that were computed before, all is.
    for line in ["--allocator system --touch none", "--allocator floor --touch full", "--allocator system --samples 0"]
    {
        assert!(values(line)["resident_mean_bytes"].is_null(), "{line}");
    }
    assert!(values("--allocator system --no-tail")["call_p50_ns"].is_null());
    // Counters that are read from outside are those of the timed passes alone.
    let record = json(&format!("--allocator system --trace {file} --no-proof"));
    assert!(record["values"].is_null() && record["served_by"].is_null(), "{record}");
}

#[test]
fn objects_are_touched_as_recorded_where_the_trace_knows() {
    let folder = TempDir::new().expect("a folder");
    let make = |written: u64| {
        move |builder: &mut Memory| {
            let main = builder.thread("main", 0).expect("a thread");
            let class = TouchClass { size_max: 1 << 24, objects: 1, bytes: 100, written };
            builder.set_touch(Some(TouchModel { one_in: 1, classes: vec![class] }));
            let object = own(builder, main, 10, Request::of(16 << 20));
            builder.free(main, 20, object).expect("a free");
        }
    };
    let faults = |written| {
        let file = trace(&folder, "touch.trace", make(written));
        let record = json(&format!("--allocator system --trace {file}"));
        assert_eq!(record["touch"], "recorded");
        record["values"]["resident_peak_bytes"].as_f64().expect("a number")
    };
    assert!(faults(100) - faults(10) > (8 << 20) as f64);
    let file = trace(&folder, "one.trace", of_one_thread);
    assert_eq!(json(&format!("--allocator system --trace {file}"))["touch"], "full", "it was not sampled");
}

#[test]
fn no_pass_is_no_operation() {
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "threads.trace", |builder| of_threads(builder, 2, 1));
    for (name, record) in all(&format!("--trace {file} --passes 0")) {
        assert_eq!((&record["operations"], &record["samples"]), (&0.into(), &0.into()), "{name}");
        assert_ne!(record["served_by"], "unproven", "{name}: {}", record["served_proof"]);
    }
}

#[test]
fn a_factor_shows_in_its_counters() {
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "threads.trace", |builder| of_threads(builder, 3, 2));
    let allocations = |record: &Value| record["counters"]["tick"]["ticks"].as_u64().expect("a counter");
    let line = format!("--allocator hakmem-evolving --trace {file} --passes 2");
    let (on, off) = (json(&line), json_with(&line, &[("HAKMEM_DISABLE_TICK", "1")]));
    assert_eq!((on["levels"]["tick"].as_str(), off["levels"]["tick"].as_str()), (Some("on"), Some("off")));
    assert!(allocations(&on) >= 2 * on["trace"]["allocations"].as_u64().expect("a count"), "{}", on["counters"]);
    assert_eq!(allocations(&off), 0);
    assert_eq!(on["checksum"], off["checksum"]);
}

#[test]
fn the_preloaded_library_serves_the_trace() {
    let library = Path::new("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2");
    if !library.exists() {
        eprintln!("{} is not installed", library.display());
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "threads.trace", |builder| of_threads(builder, 5, 2));
    let line = format!("--allocator preloaded --trace {file} --passes 2");
    let record = json_with(&line, &[("LD_PRELOAD", library.to_str().expect("a plain name"))]);
    assert_eq!(record["served_by"], "jemalloc", "{}", record["served_proof"]);
    assert_eq!(record["checksum"], json(&line)["checksum"]);
}

/// Expects exit status 1 and a message with these parts.
fn fails(line: &str, parts: &[&str]) {
    let output = run(line);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{line}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{line}: no '{part}' in: {stderr}");
    }
}

#[test]
fn a_file_that_is_no_whole_trace_is_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let file = trace(&folder, "whole.trace", of_one_thread);
    let bytes = std::fs::read(&file).expect("a file");
    let damaged = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("can be written");
        path.to_str().expect("a plain name").to_owned()
    };
    let check = |path: &str, parts: &[&str]| {
        fails(&format!("--allocator system --trace {path}"), &[&[path], parts].concat());
    };
    check(&damaged("short.trace", &bytes[..bytes.len() - 9]), &["operations can be read", "take another copy"]);
    let mut flipped = bytes.clone();
    let middle = bytes.len() - bytes.len() / 8;
    flipped[middle] ^= 0x10;
    check(&damaged("flipped.trace", &flipped), &["take another copy"]);
    check(&damaged("head.trace", &bytes[..30]), &["damaged"]);
    check(&damaged("empty.trace", &[]), &["no trace"]);
    check(&damaged("text.trace", b"allocations: many"), &["no trace"]);
    check("/nowhere/at/all.trace", &["No such file"]);
    check(folder.path().to_str().expect("a plain name"), &[]);
    let nothing = trace(&folder, "nothing.trace", |builder| {
        builder.thread("main", 0).expect("a thread");
    });
    check(&nothing, &["no operation to replay"]);
    refused(&format!("--allocator system --trace {file} --scenario vm"), &["drop --scenario"]);
    refused("--allocator system --passes 3 --scenario vm --iterations 1", &["--trace"]);
}
