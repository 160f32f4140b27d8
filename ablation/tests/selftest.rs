//! `ablate selftest` and its subject as their users see them. How near estimates come to the truth depends on what else
//! this machine does, so that no test asks for it; what does not depend on time must be right.

mod common;

use common::{Bench, ENV_ONLY, Said};
use std::time::{Duration, Instant};

/// The self-test on a page so wide that no row is broken, however long the intervals of a busy machine are.
fn selftest(bench: &Bench, options: &[&str]) -> Said {
    let mut command = bench.command(&[&["selftest"], options].concat());
    Said::from(command.env("ABLATE_COLUMNS", "400").output().expect("ablate starts"))
}

#[test]
fn every_row_is_answered_and_what_is_inert_is_invalid() {
    let bench = Bench::new(ENV_ONLY);
    let said = selftest(&bench, &["--idle", "--blocks", "10", "--out", "st"]);
    assert!([0, 1, 3].contains(&said.code), "{said:#?}");
    let answer = |what: &str| {
        let line = said.out.lines().find(|line| line.starts_with(what));
        line.unwrap_or_else(|| panic!("no row `{what}` in {said:#?}")).to_owned()
    };
    let planted = ["half ", "two ", "ten ", "fifty ", "left ", "right ", "all six ", "left × right ", "zero "];
    for what in planted.into_iter().chain(["faulty ", "calls ", "near ", "far ", "kernel "]) {
        let line = answer(what);
        assert!(line.contains("hit") || line.contains("miss: ") || line.contains("not known"), "{line}");
    }
    let inert = answer("inert ");
    assert!(inert.contains("invalid") && inert.ends_with("hit"), "{inert}");
    let faults = answer("faulty, page faults");
    assert!(faults.ends_with("hit") || faults.contains("not known"), "{faults}");
    let words = [(0, "Passed"), (1, "Failed"), (3, "Not known: no row")];
    assert!(words.iter().all(|(code, word)| said.out.contains(word) == (said.code == *code)), "{said:#?}");
    assert_eq!(said.code == 1, said.out.contains("miss: "), "{said:#?}");
    assert!(bench.path("st/idle/records.jsonl").is_file() && !bench.path("st/busy").exists());
    // Its study is one like any other.
    assert!(bench.ablate(&["report", "st/idle"]).out.contains("fifty"));
}

#[test]
fn the_synthetic_subject_obeys_its_levels_and_refuses_what_it_does_not_know() {
    let bench = Bench::new(ENV_ONLY);
    let run = |name: &str| {
        let mut command = bench.command(&["synthetic", "--batches", "4"]);
        let output = command.env(name, "1").output().expect("ablate starts");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("one line of JSON")
    };
    let (all, less) = (run("NOTHING"), run("SYNTHETIC_DISABLE_FAULTY"));
    assert_eq!(all["checksum"], less["checksum"]);
    assert_eq!((&all["levels"]["faulty"], &less["levels"]["faulty"]), (&"on".into(), &"off".into()));
    assert_eq!(less["counters"]["faulty"]["work"], 0);
    assert!(all["page_faults"].as_u64() >= Some(4), "{all}");
    // It works although it says that it is off: this is what must be found out.
    let inert = run("SYNTHETIC_DISABLE_INERT");
    assert_eq!(inert["levels"]["inert"], "off");
    assert!(inert["counters"]["inert"]["work"].as_u64() > Some(0), "{inert}");
    assert_eq!(run("SYNTHETIC_DISABLE_FITFY")["env_rejected"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_feature_between_builds_is_a_study_with_a_layout_for_each_block() {
    let bench = Bench::new(ENV_ONLY);
    let said = selftest(&bench, &["--builds", "--blocks", "10", "--out", "st"]);
    assert!([0, 1, 3].contains(&said.code), "{said:#?}");
    let row = said.out.lines().find(|line| line.starts_with("feature of a build"));
    assert!(row.is_some_and(|row| ["hit", "miss", "not known"].iter().any(|a| row.contains(a))), "{said:#?}");
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).expect("is there");
    let manifest: serde_json::Value = serde_json::from_str(&read("st/feature/manifest.json")).expect("JSON");
    let linked: Vec<usize> = manifest["builds"].as_array().expect("a list").iter().map(layouts).collect();
    if manifest["plan"]["layouts"] == 1 {
        assert!(said.out.contains("not known"), "{said:#?}");
        return;
    }
    assert_eq!((&manifest["plan"]["layouts"], linked), (&10.into(), vec![10, 10, 10]));
    // Both builds tell the truth: with the cost and without it.
    let records = read("st/feature/records.jsonl");
    let bad = records.lines().filter(|line| line.contains("\"status\":\"invalid\"")).count();
    assert_eq!(bad, 0, "{records}");
}

fn layouts(build: &serde_json::Value) -> usize {
    1 + build["layouts"].as_array().expect("a list").len()
}

#[test]
fn ctrl_c_says_what_stands_and_ends_with_130() {
    let bench = Bench::new(ENV_ONLY);
    let mut child = bench.command(&["selftest", "--idle", "--blocks", "1000", "--out", "st"]).spawn().expect("starts");
    let started = Instant::now();
    let blocks = || std::fs::read_to_string(bench.path("st/idle/records.jsonl")).unwrap_or_default();
    while !blocks().contains("\"pass\":\"timing\"") {
        assert!(started.elapsed() < Duration::from_secs(120), "it takes too long");
        assert!(child.try_wait().expect("can be asked").is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = i32::try_from(child.id()).expect("a pid");
    // SAFETY: numbers only; the child is not reaped.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let said = Said::from(child.wait_with_output().expect("ends"));
    assert_eq!(said.code, 130, "{said:#?}");
    let out = said.unwrapped();
    assert!(out.contains("Interrupted: the rows above") && out.contains("whole block"), "{said:#?}");
}
