//! A subject whose numbers depend on the cell and the seed alone, and the parts of a study that must be equal.

use crate::common::{Bench, Said};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Its cost is that of the level and the length of the padding, which the seed decides.
const SCRIPT: &str = r#"#!/bin/sh
PAUSE
case "$LEVEL" in
    off) level=off; hits=0; cost=100 ;;
    *) level=on; hits=3; cost=110 ;;
esac
echo "{\"format\":2,\"levels\":{\"red\":\"$level\"},\"counters\":{\"red\":{\"hits\":$hits}},\"values\":{\"cost_ns\":$cost.${#ABLATE_PAD}}}"
"#;

/// One factor, three cells, six blocks: 18 timed processes.
const STUDY: &str = r#"
study = "kept"
seed = 3
blocks = 6
counting_repeats = 0
arms = ["env"]
design = ["leave-one-out"]
timeout_seconds = 60
[subject]
SUBJECT
[[factor]]
name = "red"
proof = ["red.hits"]
[factor.levels]
on = {}
off = { LEVELS }
[[workload]]
name = "w"
args = []
response = "value:cost_ns"
"#;

/// What is run, besides 18 short processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Plain,
    /// Every process takes this many milliseconds.
    Slow(u32),
    /// Each cell is counted twice as well.
    Counted,
    /// A command builds a program for each level, and takes twice this many milliseconds for it.
    Made(u32),
    /// Blocks are run until a width is reached that is out of reach, so that it ends at its eighth block.
    Adaptive,
}

impl Kind {
    /// Options of the call.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Kind::Adaptive => &["--until-halfwidth", "0.000001%", "--blocks", "8"],
            _ => &[],
        }
    }
}

/// A study in a folder of its own.
pub(crate) fn study(kind: Kind) -> Bench {
    let seconds = |ms: u32| f64::from(ms) / 1e3;
    let build = "[subject.build]\ncommand = [\"sh\", \"-c\", \"sleep TIME; cp subject.sh program; sleep TIME\", \"sh\"]\n\
                 artefact = \"program\"\nfolder = \"sources\"\n";
    let (subject, levels) = match kind {
        Kind::Made(ms) => (&*build.replace("TIME", &seconds(ms).to_string()), "LEVEL = \"off\", build_args = [\"x\"]"),
        _ => ("command = [\"./subject.sh\"]\n", "LEVEL = \"off\""),
    };
    let repeats = if kind == Kind::Counted { "counting_repeats = 2" } else { "counting_repeats = 0" };
    let text = STUDY.replace("SUBJECT\n", subject).replace("LEVELS", levels).replace("counting_repeats = 0", repeats);
    let is_made = matches!(kind, Kind::Made(_));
    let arms = if is_made { text.replace("arms = [\"env\"]\n", "") } else { text };
    let bench = Bench::new(&arms);
    let pause = match kind {
        Kind::Slow(ms) => format!("sleep {}", seconds(ms)),
        _ => String::new(),
    };
    // By themselves, because all that is beside the sources is copied for a build.
    let folder = if is_made { "sources" } else { "." };
    std::fs::create_dir_all(bench.path(folder)).expect("creates");
    let script = bench.path(folder).join("subject.sh");
    std::fs::write(&script, SCRIPT.replace("PAUSE", &pause)).expect("writes");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("may");
    bench
}

/// A call with a target folder of its own, so that builds are this study's alone.
pub(crate) fn call(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.command(args);
    command.env("ABLATE_TARGET_DIR", bench.path("target"));
    command
}

/// The same, to its end.
pub(crate) fn said(bench: &Bench, args: &[&str]) -> Said {
    Said::from(call(bench, args).output().expect("ablate starts"))
}

/// Starts the study into `out`.
pub(crate) fn start(bench: &Bench, more: &[&str]) -> Child {
    call(bench, &[&["run", "study.toml", "--out", "out"], more].concat()).spawn().expect("ablate starts")
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: i32) {
    let pid = i32::try_from(child.id()).expect("a pid");
    // SAFETY: numbers only; the child is not reaped.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Waits until `ready` says so, at most two minutes.
pub(crate) fn until(child: &mut Child, ready: impl Fn() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(120), "it takes too long");
        assert!(child.try_wait().expect("can be asked").is_none(), "ablate ended early");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lines of the records in `out`.
pub(crate) fn lines(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.path("out/records.jsonl")).map_or(0, |text| text.lines().count())
}

/// A program under strace with these options, or the reason why that is not possible here.
pub(crate) fn strace(options: &[String], command: &Command) -> Command {
    let mut traced = Command::new("strace");
    traced.arg("-qq").args(options).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced.current_dir(command.get_current_dir().unwrap_or(Path::new("."))).stdin(Stdio::null());
    traced.stdout(Stdio::piped()).stderr(Stdio::piped());
    traced
}

/// Whether strace can trace here; says so when it cannot.
pub(crate) fn has_strace() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let works = tried.is_ok_and(|out| out.status.success());
    if !works {
        eprintln!("skipped: strace is not installed, or tracing is not permitted here");
    }
    works
}

/// What a study of this subject ends with, as far as it depends on the config and the seed.
pub(crate) fn outcome(bench: &Bench, folder: &str) -> Value {
    let dir = bench.path(folder);
    let file = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.join(name)).expect("is there")).expect("is JSON")
    };
    let (effects, manifest) = (file("effects.json"), file("manifest.json"));
    let of_cost = |row: &&Value| row["response"] == "value:cost_ns";
    let rows: Vec<Value> = effects["effects"].as_array().expect("a list").iter().filter(of_cost).cloned().collect();
    let cells: Vec<Value> = effects["cells"].as_array().expect("a list").iter().map(cell).collect();
    json!({
        "effects": rows,
        "cells": cells,
        "gaps": effects["gaps"],
        "plan": manifest["plan"],
        "seed": manifest["seed"],
        "blocks": manifest["blocks"],
        "records": records(&dir.join("records.jsonl")),
    })
}

fn cell(row: &Value) -> Value {
    json!([row["workload"], row["treatment"], row["arm"], row["status"], row["value"], row["proof"]])
}

/// The records that count, in the order of the plan.
fn records(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("there are records");
    let mut seen = std::collections::BTreeSet::new();
    let mut rows: Vec<(String, Value)> = Vec::new();
    for record in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if record["pass"] == "unit-costs" {
            continue;
        }
        let [pass, block, order] = [&record["pass"], &record["block"], &record["order"]];
        let key = format!("{pass} {:>4} {:>4}", block.to_string(), order.to_string());
        assert!(seen.insert(key.clone()), "two records of {key}");
        let what =
            json!([key, record["workload"], record["cell"], record["status"], record["layout"], record["measured"]]);
        rows.push((key, what));
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// What a terminal shows first: the answer and its table.
pub(crate) fn answer(said: &Said) -> String {
    said.out.split("\nThe study\n").next().unwrap_or_default().to_owned()
}
