//! Fifty studies that are killed somewhere: while folders are made and locked, binaries built, cells checked and counted, a
//! manifest, records and reports written. Each is continued to its end, which must be that of an unbroken study.

use crate::common::Bench;
use crate::subject::{Kind, answer, call, has_strace, outcome, said, strace, study};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// Most lives of one study before it is continued to its end.
const LIVES: usize = 6;

/// Calls that do not come before the last moment, or as often as the machine is busy.
const VARYING: [&str; 8] = ["execve", "exit_group", "futex", "ppoll", "poll", "read", "brk", "madvise"];

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// Where a runner is killed.
#[derive(Debug, Clone, PartialEq)]
enum Point {
    /// On entering the call of this number by this name, which does not happen then.
    Call(String, usize),
    /// On entering this write to the records.
    Record(usize),
    /// After this share of the time of an unbroken run, in thousandths.
    Time(usize),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::Call(name, nth) => write!(f, "{name} {nth}"),
            Point::Record(nth) => write!(f, "record {nth}"),
            Point::Time(share) => write!(f, "{} % of the time", *share as f64 / 10.0),
        }
    }
}

/// An unbroken run.
struct Whole {
    bench: Bench,
    kind: Kind,
    time: Duration,
    answer: String,
    outcome: Value,
    /// How often each system call was made, where that could be traced.
    calls: BTreeMap<String, usize>,
}

fn whole(kind: Kind, is_traced: bool) -> Whole {
    let bench = study(kind);
    let args = [&["run", "study.toml", "--out", "whole"], kind.options()].concat();
    let started = Instant::now();
    let said = said(&bench, &args);
    let time = started.elapsed();
    assert_eq!(said.code, 0, "{said:#?}");
    let mut calls = BTreeMap::new();
    if is_traced {
        // What was built is found again, so it is another run that is traced.
        std::fs::remove_dir_all(bench.path("target")).unwrap_or_default();
        let trace = bench.path("trace").display().to_string();
        let args = [&["run", "study.toml", "--out", "traced"], kind.options()].concat();
        let out = strace(&["-o".to_owned(), trace], &call(&bench, &args)).output().expect("strace starts");
        assert!(out.status.success(), "{out:?}");
        for line in std::fs::read_to_string(bench.path("trace")).expect("is there").lines() {
            if let Some((name, _)) = line.split_once('(') {
                *calls.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    Whole { kind, time, answer: answer(&said), outcome: outcome(&bench, "whole"), calls, bench }
}

impl Whole {
    /// Runs the study in `out` until it is killed at a point; returns whether it was.
    fn kill(&self, point: &Point, resumes: bool) -> bool {
        let resume: &[&str] = if resumes { &["--resume"] } else { &[] };
        let args = [&["run", "study.toml", "--out", "out"], self.kind.options(), resume].concat();
        let command = call(&self.bench, &args);
        let mut options = vec!["-o".to_owned(), "/dev/null".to_owned()];
        let inject =
            |name: &str, nth: usize| [format!("--trace={name}"), format!("--inject={name}:signal=KILL:when={nth}")];
        match point {
            Point::Call(name, nth) => options.extend(inject(name, *nth)),
            Point::Record(nth) => {
                options.extend(["-P".to_owned(), self.bench.path("out/records.jsonl").display().to_string()]);
                options.extend(inject("write", *nth));
            }
            Point::Time(share) => {
                let mut command = command;
                let mut child = command.spawn().expect("ablate starts");
                std::thread::sleep(self.time.mul_f64(*share as f64 / 1e3));
                child.kill().expect("may");
                let out = child.wait_with_output().expect("ends");
                return out.status.signal() == Some(libc::SIGKILL);
            }
        }
        let out = strace(&options, &command).output().expect("strace starts");
        let is_killed = out.status.signal() == Some(libc::SIGKILL);
        assert!(is_killed || out.status.success(), "{point}: {}", String::from_utf8_lossy(&out.stderr));
        is_killed
    }

    /// Continues the study in `out`, and compares it with the unbroken one.
    fn compare(&self, kills: &[String]) {
        let resume: &[&str] = if self.bench.path("out").exists() { &["--resume"] } else { &[] };
        let args = [&["run", "study.toml", "--out", "out"], resume, self.kind.options()].concat();
        let said = said(&self.bench, &args);
        assert_eq!(said.code, 0, "{:?}, killed at {kills:?}: {said:#?}", self.kind);
        let own = outcome(&self.bench, "out");
        assert_eq!(own, self.outcome, "{:?}, killed at {kills:?}", self.kind);
        assert_eq!(answer(&said), self.answer, "{:?}, killed at {kills:?}", self.kind);
        let left = std::fs::read_dir(self.bench.path("out")).expect("lists").map(|entry| entry.expect("is there"));
        let left: Vec<String> = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        assert!(!left.iter().any(|name| name.starts_with(".new")), "{left:?}, killed at {kills:?}");
        self.forget();
    }

    /// Removes the study and what was built for it.
    fn forget(&self) {
        std::fs::remove_dir_all(self.bench.path("out")).unwrap_or_default();
        std::fs::remove_dir_all(self.bench.path("target")).unwrap_or_default();
    }

    /// What a killed study shows. No moment of it is an error that a reader cannot understand.
    fn look(&self, kills: &[String]) {
        if !self.bench.path("out").exists() {
            return;
        }
        let said = said(&self.bench, &["report", "out"]);
        let is_known = match said.code {
            0 => true,
            1 => said.err.contains("planned runs have records"),
            2 => said.err.contains("holds no study"),
            _ => false,
        };
        assert!(is_known, "killed at {kills:?}: {said:#?}");
    }
}

/// The end of a line is lost, as when the machine stops while it is written.
fn tear(bench: &Bench, random: &mut Random) {
    let path = bench.path("out/records.jsonl");
    let Ok(text) = std::fs::read(&path) else { return };
    let last =
        text.len() - text[..text.len().saturating_sub(1)].rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
    if last < text.len() {
        let keep = last + random.below(text.len() - last);
        std::fs::write(&path, &text[..keep]).expect("writes");
    }
}

/// Points all over a study of one kind.
fn points(whole: &Whole, number: usize, random: &mut Random) -> Vec<Point> {
    let of = |name: &str| whole.calls.get(name).copied().unwrap_or(0);
    if whole.calls.is_empty() {
        return (0..number).map(|_| Point::Time(random.below(800))).collect();
    }
    let records = whole.outcome["records"].as_array().map_or(1, Vec::len);
    let mut out = Vec::new();
    // Each file that is replaced: before its content is synced, and before it has its name.
    let all = |name: &str| (1..=of(name)).map(|nth| Point::Call(name.to_owned(), nth)).collect::<Vec<_>>();
    let mut replaced = [all("renameat"), all("fsync")].concat();
    while out.len() < number / 4 && !replaced.is_empty() {
        out.push(replaced.swap_remove(random.below(replaced.len())));
    }
    while out.len() < number / 2 {
        out.push(Point::Record(1 + random.below(records)));
    }
    while out.len() < number * 3 / 4 {
        out.push(Point::Time(random.below(800)));
    }
    let names: Vec<&String> = whole.calls.keys().filter(|name| !VARYING.contains(&name.as_str())).collect();
    while out.len() < number {
        // Each name as likely as any other, because those that are seldom called change the state of a study.
        let name = names[random.below(names.len())];
        out.push(Point::Call(name.clone(), 1 + random.below(of(name))));
    }
    for last in (1..out.len()).rev() {
        out.swap(last, random.below(last + 1));
    }
    out
}

/// Kills studies of a kind at this many points.
fn kill_and_continue(kind: Kind, number: usize) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_u64);
    let is_traced = has_strace();
    let mut random = Random(seed);
    let whole = whole(kind, is_traced);
    whole.forget();
    let points = points(&whole, number, &mut random);
    let shown: Vec<String> = points.iter().map(ToString::to_string).collect();
    println!("{kind:?}, seed {seed} (another with SEED=N): {}", shown.join("; "));
    let mut kills: Vec<String> = Vec::new();
    for mut point in points {
        // A study that is nearly finished ends before the point comes. A fresh one gets there; where only the clock says
        // when, and this machine is faster now, at an earlier moment.
        while !whole.kill(&point, whole.bench.path("out").exists()) {
            point = match point {
                Point::Time(share) => Point::Time(share / 2),
                // As often as that it was called in the traced study alone.
                _ if kills.is_empty() => Point::Time(500),
                point => point,
            };
            whole.compare(&kills);
            kills.clear();
        }
        kills.push(point.to_string());
        if matches!(point, Point::Record(_)) && random.below(2) == 0 {
            tear(&whole.bench, &mut random);
            kills.push("torn".to_owned());
        }
        whole.look(&kills);
        if kills.len() >= LIVES {
            whole.compare(&kills);
            kills.clear();
        }
    }
    whole.compare(&kills);
}

#[test]
fn a_study_that_is_killed_anywhere_ends_like_one_that_is_not() {
    kill_and_continue(Kind::Plain, 20);
}

#[test]
fn so_does_one_with_counts() {
    kill_and_continue(Kind::Counted, 10);
}

#[test]
fn so_does_one_that_builds_its_programs() {
    kill_and_continue(Kind::Made(30), 10);
}

#[test]
fn so_does_one_that_decides_how_many_blocks_it_takes() {
    kill_and_continue(Kind::Adaptive, 10);
}
