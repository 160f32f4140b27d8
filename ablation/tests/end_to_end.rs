//! A whole study of the fixture subject, and one that is interrupted and continued.

mod common;

use common::{Bench, ENV_ONLY, Said};
use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

/// Both arms and a peer.
fn both_arms() -> String {
    let text = ENV_ONLY.replace("arms = [\"env\"]", "arms = [\"env\", \"feature\"]");
    format!("{text}[[peer]]\nname = \"other\"\nargs = [\"--peer\"]\nserved_by = \"other\"\n")
}

#[test]
fn a_study_runs_from_config_to_report() {
    let bench = Bench::new(&both_arms());
    let said = bench.run(&[], 0);
    assert!(said.out.contains("plain"), "{said:?}");
    for file in ["manifest.json", "records.jsonl", "effects.json", "report.md", "logs/build-full.log"] {
        assert!(bench.path("out").join(file).is_file(), "{file}");
    }
    // Seven cells: counting at work and idle, and two blocks, each with the unit costs of the machine.
    let (unit_costs, records): (Vec<_>, Vec<_>) = bench.records().into_iter().partition(|r| r["pass"] == "unit-costs");
    assert!(
        unit_costs.len() == 2 && unit_costs.iter().all(|r| r["unit_costs_ns"]["syscall"].as_f64() > Some(0.0)),
        "{unit_costs:#?}"
    );
    assert_eq!(records.len(), 7 * 4);
    assert!(records.iter().all(|record| record["status"] == "ok"), "{:#?}", bench.troubles());
    assert!(records.iter().all(|record| record["process_page_faults"].as_u64() > Some(0)));
    let manifest = bench.manifest();
    assert_eq!(manifest["builds"].as_array().map(Vec::len), Some(3));
    // What is unavailable says why; what is available was counted in every counting run and never while timing.
    for instrument in manifest["instruments"].as_array().expect("a list") {
        let name = instrument["name"].as_str().expect("a name");
        for record in &records {
            let expected = instrument["unavailable"].is_null() && record["pass"] != "timing";
            assert_eq!(record["counts"].get(name).is_some(), expected, "{name}: {record}");
        }
    }
}

#[test]
fn exact_counts_agree_between_repeats() {
    let bench = Bench::new(&ENV_ONLY.replace("counting_repeats = 1", "counting_repeats = 2"));
    bench.run(&["--blocks", "1"], 0);
    let records = bench.records();
    let counts = |block: u64| -> Vec<(String, serde_json::Value)> {
        let own = records.iter().filter(|r| r["pass"] == "counting" && r["block"] == block);
        own.map(|r| (r["cell"].to_string(), r["counts"]["syscalls"].clone())).collect()
    };
    assert_eq!(counts(0).len(), 4);
    assert_eq!(counts(0), counts(1));
    let manifest = bench.manifest();
    let instruments = manifest["instruments"].as_array().expect("a list");
    let syscalls = instruments.iter().find(|instrument| instrument["name"] == "syscalls").expect("is listed");
    assert!(counts(0).iter().all(|(_, count)| count.is_number() == syscalls["unavailable"].is_null()), "{syscalls}");
}

#[test]
fn counting_arguments_are_for_counting_only() {
    let text = both_arms().replace("idle_args =", "counting_args = [\"--no-proof\"]\nidle_args =");
    let bench = Bench::new(&text);
    let said = bench.run(&["--blocks", "1"], 0);
    assert!(!said.err.contains("preflight"), "{said:?}");
    for record in bench.records() {
        assert_eq!(record["measured"]["served_by"].is_null(), record["pass"] != "timing", "{record}");
    }
}

#[test]
fn a_plan_starts_nothing() {
    let bench = Bench::new(&both_arms());
    let said = bench.ablate(&["plan", "study.toml"]);
    assert_eq!(said.code, 0, "{said:?}");
    bench.snapshot_but("plan", &said, common::PLAN_DIFFERS);
    let widest = said.out.lines().filter(|line| !line.starts_with("time:")).map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?}");
    assert!(!bench.path("out").exists());
}

#[test]
fn timing_differs_from_counting_in_environment_only_where_it_should() {
    // The subject refuses a switch that leaks in: nothing of the caller's environment reaches it.
    let bench = Bench::new(ENV_ONLY);
    let mut command = bench.command(&["run", "study.toml", "--out", "out"]);
    let said = Said::from(command.env("NO_BLUE", "1").output().expect("ablate starts"));
    assert_eq!(said.code, 0, "{said:?}");
}

/// A study that takes some seconds.
fn slow() -> Bench {
    Bench::new(
        &ENV_ONLY.replace("args = [\"--work\", \"200\"]", "args = [\"--work\", \"200\", \"--trouble\", \"slow\"]"),
    )
}

fn start(bench: &Bench) -> Child {
    bench.command(&["run", "study.toml", "--out", "out"]).spawn().expect("ablate starts")
}

/// Waits until `ready` says so, at most two minutes.
fn until(child: &mut Child, ready: impl Fn() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(120), "it takes too long");
        assert!(child.try_wait().expect("can be asked").is_none(), "ablate ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).expect("a pid");
    // SAFETY: numbers only; the child is not reaped.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
}

/// Which line is torn depends on when the study was interrupted.
const TORN: &[&str] = &["out/records.jsonl:"];

fn lines(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.path("out/records.jsonl")).map_or(0, |text| text.lines().count())
}

#[test]
fn an_interrupted_study_keeps_its_records_and_is_continued() {
    let bench = slow();
    let mut child = start(&bench);
    until(&mut child, || lines(&bench) >= 3);
    interrupt(&child);
    let said = Said::from(child.wait_with_output().expect("ends"));
    assert_eq!(said.code, 130, "{said:?}");
    said.complains(&["finished runs are stored", "ablate run study.toml --out out --resume"]);
    let kept = std::fs::read_to_string(bench.path("out/records.jsonl")).expect("is there");
    let rows = kept.lines().count();
    // Four cells: counting at work and idle, two blocks.
    assert!((3..16).contains(&rows), "{rows} rows");

    // As a dying machine would leave it.
    std::fs::write(bench.path("out/records.jsonl"), format!("{kept}{{\"format\":2,\"pa")).expect("writes");
    let said = bench.run(&["--resume"], 0);
    said.complains(&[&format!("records.jsonl:{}: skipped", rows + 1)]);
    let text = std::fs::read_to_string(bench.path("out/records.jsonl")).expect("is there");
    assert!(text.starts_with(&kept), "earlier rows were touched");
    let records: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let keys: BTreeSet<String> =
        records.iter().map(|r| format!("{} {} {}", r["pass"], r["block"], r["cell"])).collect();
    // Each block has the unit costs of the machine besides.
    assert_eq!((records.len(), keys.len()), (18, 18));

    // Nothing is left to do, and another seed or config does not belong.
    bench.run(&["--resume"], 0);
    assert_eq!(lines(&bench), 19);
    bench.snapshot_but("resume_with_another_seed", &bench.run(&["--resume", "--seed", "5"], 2), TORN);
    bench.snapshot_but("resume_with_fewer_blocks", &bench.run(&["--resume", "--blocks", "1"], 2), TORN);
    let config = std::fs::read_to_string(bench.path("study.toml")).expect("reads");
    std::fs::write(bench.path("study.toml"), format!("{config}# another\n")).expect("writes");
    bench.snapshot_but("resume_with_another_config", &bench.run(&["--resume"], 2), TORN);
    assert_eq!(bench.ablate(&["report", "out"]).code, 0);

    // A run that is missing is a failure, whatever is left of it.
    let short: Vec<&str> =
        text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).collect();
    std::fs::write(bench.path("out/records.jsonl"), short[1..].join("\n") + "\n").expect("writes");
    let said = bench.ablate(&["report", "out"]);
    assert_eq!(said.code, 1, "{said:?}");
    said.complains(&["15 of 16 planned runs have records"]);
    assert!(said.out.contains("15 of 16 planned runs") && !said.out.contains("None: all"), "{}", said.out);
    // Without any record the reports that are there stay as they are.
    std::fs::write(bench.path("out/records.jsonl"), "").expect("writes");
    let before = std::fs::read(bench.path("out/report.md")).expect("there is a report");
    let said = bench.ablate(&["report", "out"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    said.complains(&["has reports and no records.jsonl, or an empty one"]);
    assert_eq!(std::fs::read(bench.path("out/report.md")).expect("it is still there"), before);
}

#[test]
fn two_runners_do_not_share_a_folder() {
    let bench = slow();
    // More blocks than can be run while the second runner begins and waits, however busy the machine is.
    let mut command = bench.command(&["run", "study.toml", "--out", "out", "--blocks", "1000"]);
    let mut child = command.spawn().expect("ablate starts");
    until(&mut child, || lines(&bench) >= 1);
    bench.snapshot("folder_in_use", &bench.run(&["--resume"], 2));
    interrupt(&child);
    assert_eq!(child.wait().expect("ends").code(), Some(130));
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let hang = "args = [\"--work\", \"200\", \"--trouble\", \"hang\"]";
    let bench = Bench::new(&ENV_ONLY.replace("args = [\"--work\", \"200\"]", hang));
    let mut child = start(&bench);
    // Both the program and the child that left its process group.
    until(&mut child, || bench.pids().len() >= 2);
    interrupt(&child);
    // Without this pause both signals may arrive as one.
    std::thread::sleep(Duration::from_millis(200));
    interrupt(&child);
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    bench.assert_gone(2);
}
