//! Clocks that step, a machine that sleeps, processors that are taken away, and neighbours.

use crate::common::{Bench, Said};
use crate::subject::{Kind, answer, call, has_strace, lines, outcome, said, signal, start, study, until};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const RUN: [&str; 4] = ["run", "study.toml", "--out", "out"];
const RESUME: [&str; 5] = ["run", "study.toml", "--out", "out", "--resume"];

/// A library whose `clock_gettime` lies: the time of day jumps by a year, to and fro, and the clock that goes on during a
/// suspend jumps by five seconds at the call of number `SLEPT_AT`, or at each call from there on with `SLEPT_ON`.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *at) {
    static long days, boots, slept;
    int result = syscall(SYS_clock_gettime, id, at);
    if (id == CLOCK_REALTIME && getenv("STEPS"))
        at->tv_sec += (days++ % 2 ? 1 : -1) * 365L * 86400;
    const char *when = getenv("SLEPT_AT");
    if (id == CLOCK_BOOTTIME && when) {
        long first = atol(when);
        boots++;
        if (boots == first || (boots > first && getenv("SLEPT_ON")))
            slept += 5;
        at->tv_sec += slept;
    }
    return result;
}
"#;

/// The library, or `None` without a C compiler.
fn shim(bench: &Bench) -> Option<PathBuf> {
    let (source, library) = (bench.path("shim.c"), bench.path("shim.so"));
    std::fs::write(&source, SHIM).expect("writes");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    match built {
        Ok(status) if status.success() => Some(library),
        _ => {
            eprintln!("skipped: no C compiler");
            None
        }
    }
}

fn with_clock(bench: &Bench, library: &PathBuf, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = call(bench, args);
    command.env("LD_PRELOAD", library).envs(env.iter().copied());
    command
}

#[test]
fn steps_of_the_time_of_day_change_nothing() {
    let bench = study(Kind::Plain);
    let Some(library) = shim(&bench) else { return };
    assert_eq!(said(&bench, &[&RUN[..3], &["whole"]].concat()).code, 0);
    let steps = [("STEPS", "1")];
    let said = Said::from(with_clock(&bench, &library, &RUN, &steps).output().expect("starts"));
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(outcome(&bench, "out"), outcome(&bench, "whole"));
    // A study that decides by time alone, one without a name, and what is read afterwards.
    let rules: [&[&str]; 3] = [&["run", "study.toml", "--budget", "1s"], &["run", "study.toml"], &["report", "out"]];
    for args in rules {
        let said = Said::from(with_clock(&bench, &library, args, &steps).output().expect("starts"));
        assert_eq!(said.code, 0, "{said:#?}");
    }
    // One that is continued.
    let mut child = with_clock(&bench, &library, &[&RUN[..3], &["again"]].concat(), &steps).spawn().expect("starts");
    until(&mut child, || std::fs::metadata(bench.path("again/records.jsonl")).is_ok_and(|file| file.len() > 0));
    signal(&child, libc::SIGKILL);
    child.wait().expect("ends");
    let again = [&RUN[..3], &["again", "--resume"]].concat();
    let said = Said::from(with_clock(&bench, &library, &again, &steps).output().expect("starts"));
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(outcome(&bench, "again"), outcome(&bench, "whole"));
}

#[test]
fn a_run_during_which_the_machine_slept_is_repeated() {
    let bench = study(Kind::Plain);
    let Some(library) = shim(&bench) else { return };
    assert_eq!(said(&bench, &[&RUN[..3], &["whole"]].concat()).code, 0);
    // Two readings a process, three cells in the preflight: the end of the second run.
    let said = Said::from(with_clock(&bench, &library, &RUN, &[("SLEPT_AT", "10")]).output().expect("starts"));
    assert_eq!(said.code, 0, "{said:#?}");
    said.complains(&["the machine was suspended during this run, so it is repeated: w, cell "]);
    assert_eq!(outcome(&bench, "out"), outcome(&bench, "whole"));
    let repeated: Vec<u64> = bench.runs().iter().filter_map(|record| record["suspended_runs"].as_u64()).collect();
    assert_eq!(repeated, [1]);
    // One that cannot be had on this machine does not count, and says why.
    std::fs::remove_dir_all(bench.path("out")).expect("removes");
    let env = [("SLEPT_AT", "8"), ("SLEPT_ON", "1")];
    let args = [&RUN[..], &["--blocks", "1"]].concat();
    let said = Said::from(with_clock(&bench, &library, &args, &env).output().expect("starts"));
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(bench.troubles().contains(&("invalid".to_owned(), "the machine was suspended during this run".to_owned())));
    assert!(said.unwrapped().contains("the machine was suspended during this run"), "{said:#?}");
}

#[test]
fn a_study_whose_processor_is_taken_away_stops_and_goes_on_when_it_is_back() {
    if !has_strace() {
        return;
    }
    let (bench, quick) = (study(Kind::Slow(200)), study(Kind::Plain));
    assert_eq!(said(&quick, &[&RUN[..3], &["whole"]].concat()).code, 0);
    let mut child = start(&bench, &[]);
    until(&mut child, || lines(&bench) >= 4);
    // What the kernel says to a process that asks for a processor outside its cpuset.
    let refused = ["-f", "-qq", "-o", "/dev/null", "--trace=sched_setaffinity"];
    let mut strace = Command::new("strace");
    strace.args(refused).args(["--inject=sched_setaffinity:error=EINVAL", "-p", &child.id().to_string()]);
    let mut strace = strace.stderr(Stdio::null()).spawn().expect("strace starts");
    let stopped = Said::from(child.wait_with_output().expect("ends"));
    let traced = strace.wait().expect("ends with it");
    if stopped.code == 0 && !traced.success() {
        return eprintln!("skipped: a running process may not be traced here");
    }
    assert_eq!(stopped.code, 1, "{stopped:#?}");
    stopped.complains(&["cannot run on processor ", "which the study began with", "give it back and add --resume"]);
    let resumed = said(&bench, &RESUME);
    assert_eq!(resumed.code, 0, "{resumed:#?}");
    assert_eq!(outcome(&bench, "out"), outcome(&quick, "whole"));
}

#[test]
fn a_runner_that_is_moved_to_another_processor_measures_where_it_did() {
    let bench = study(Kind::Slow(40));
    let script = std::fs::read_to_string(bench.path("subject.sh")).expect("is there");
    let tells = format!("#!/bin/sh\ngrep Cpus_allowed: /proc/self/status >>{}", bench.path("seen").display());
    std::fs::write(bench.path("subject.sh"), script.replacen("#!/bin/sh", &tells, 1)).expect("writes");
    let mut child = start(&bench, &[]);
    until(&mut child, || lines(&bench) >= 3);
    // To the last processor, which is that of the measured processes.
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    let moved = Command::new("taskset").args(["-pc", &last.to_string(), &child.id().to_string()]).output();
    if !moved.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: no taskset, or that processor is not allowed");
    }
    let said = Said::from(child.wait_with_output().expect("ends"));
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(answer(&said).contains("6 blocks of 1 workload"), "{said:#?}");
    let seen = std::fs::read_to_string(bench.path("seen")).expect("every process told its processors");
    let mut processors: Vec<&str> = seen.lines().collect();
    assert!(processors.len() >= 18, "{seen}");
    processors.dedup();
    assert_eq!(processors.len(), 1, "{seen}");
}

/// Busy loops, ended when the value is dropped.
struct Neighbours(Vec<Child>);

impl Neighbours {
    fn on_every_processor() -> Neighbours {
        let number = std::thread::available_parallelism().map_or(1, usize::from);
        let busy = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh starts");
        Neighbours((0..number).map(|_| busy()).collect())
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Reports sixteen batches of which one lies between quiet contention probes.
const FLOODED: &str = r#"#!/bin/sh
case "$LEVEL" in
    off) level=off; hits=0; cost=100 ;;
    *) level=on; hits=3; cost=110 ;;
esac
batches=$cost; probes=0.5,0.5
for i in 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do batches=$batches,$cost; probes=$probes,0.9; done
echo "{\"format\":2,\"operations\":16,\"checksum\":\"c\",\"latency_over\":\"batches\",\"samples\":16,\"latency_ns_p10\":$cost,\"latency_ns_p50\":$cost,\"latency_ns_p99\":$cost,\"latency_ns_mean\":$cost,\"levels\":{\"red\":\"$level\"},\"counters\":{\"red\":{\"hits\":$hits}},\"batches_ns\":[$batches],\"contention_probes_ns\":[$probes]}"
"#;

#[test]
fn a_study_beside_busy_neighbours_ends_and_says_what_they_disturbed() {
    let neighbours = Neighbours::on_every_processor();
    let bench = study(Kind::Plain);
    std::fs::write(bench.path("subject.sh"), FLOODED).expect("writes");
    let config = std::fs::read_to_string(bench.path("study.toml")).expect("is there");
    std::fs::write(bench.path("study.toml"), config.replace("response = \"value:cost_ns\"\n", "")).expect("writes");
    let said = said(&bench, &RUN);
    drop(neighbours);
    assert_eq!(said.code, 0, "{said:#?}");
    let text = said.unwrapped();
    assert!(text.contains("of the batches were undisturbed"), "{text}");
    assert!(text.contains("too few to use, so all batches count"), "{text}");
    assert_eq!(bench.effects()["contention"]["applied"], false);
}
