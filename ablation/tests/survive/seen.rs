//! What a study shows before its end: reports while it runs, and Ctrl-C.

use crate::common::{Bench, Said};
use crate::subject::{Kind, answer, call, lines, outcome, said, signal, start, study, until};
use std::process::Child;

fn ended(child: Child) -> Said {
    Said::from(child.wait_with_output().expect("ends"))
}

/// Runs the command that a call gave for continuing.
fn continued(bench: &Bench, stopped: &Said) -> Said {
    let (_, told) = stopped.err.split_once("To continue:\n").unwrap_or_else(|| panic!("{stopped:#?}"));
    let words: Vec<&str> = told.lines().next().expect("a line").split_whitespace().collect();
    assert_eq!(words[..2], ["cargo", "ablate"], "{stopped:#?}");
    said(bench, &words[2..])
}

#[test]
fn a_report_of_a_running_study_is_one_at_every_moment() {
    // On a busy machine a short study may end while one report is made.
    for (times, options) in [([80, 1000], &[][..]), ([30, 1000], Kind::Adaptive.options())] {
        assert!(times.into_iter().any(|ms| has_preliminary_reports(ms, options)), "{options:?}");
    }
}

/// Reports a study with processes of `ms` milliseconds again and again while it runs; returns whether any was preliminary.
fn has_preliminary_reports(ms: u32, options: &[&str]) -> bool {
    let bench = study(Kind::Slow(ms));
    let mut child = start(&bench, options);
    let mut told = [0; 4];
    while child.try_wait().expect("can be asked").is_none() {
        if !bench.path("out/.lock").exists() {
            continue;
        }
        let said = said(&bench, &["report", "out"]);
        let kind = match said.code {
            1 if said.err.contains("out: the study is still being built and checked") => 0,
            // Between the making of the lock and taking it.
            2 if said.err.contains("out holds no study yet") => 0,
            1 if said.out.contains("No block is finished") => 1,
            // A study that stops by itself has no block begun for a moment, and may go on.
            0 | 1 if said.err.contains(", so every interval is preliminary") => 2,
            0 => 3,
            _ => panic!("{said:#?}"),
        };
        told[kind] += 1;
        assert!(!said.err.contains("skipped:"), "{said:#?}");
    }
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:#?}");
    assert!(!done.err.contains("preliminary"), "{done:#?}");
    // The last report is of the whole study, whichever process wrote it last.
    let files =
        || ["effects.json", "report.md"].map(|name| std::fs::read(bench.path("out").join(name)).expect("is there"));
    let last = files();
    assert_eq!(said(&bench, &["report", "out"]).code, 0);
    assert!(last == files());
    println!("reports before a run, a block, the end, and after it: {told:?}");
    told[2] > 0
}

#[test]
fn one_interrupt_prints_what_is_known_and_the_command_that_continues() {
    let (bench, quick) = (study(Kind::Slow(200)), study(Kind::Plain));
    assert_eq!(said(&quick, &["run", "study.toml", "--out", "whole"]).code, 0);
    let mut child = start(&bench, &[]);
    // Three cells a block.
    until(&mut child, || lines(&bench) >= 7);
    signal(&child, libc::SIGINT);
    let stopped = ended(child);
    assert_eq!(stopped.code, 130, "{stopped:#?}");
    let shown = answer(&stopped);
    assert!(shown.contains(" of 6 blocks of 1 workload"), "{shown}");
    assert!(stopped.unwrapped().contains("So far the largest difference is red"), "{shown}");
    stopped.complains(&[
        " of 6 blocks are complete, so every interval is preliminary",
        "interrupted; finished runs are stored",
    ]);
    assert!(!shown.contains("[95 %]") && bench.path("out/report.md").is_file(), "{shown}");
    let whole = continued(&bench, &stopped);
    assert_eq!(whole.code, 0, "{whole:#?}");
    assert_eq!(outcome(&bench, "out"), outcome(&quick, "whole"));
}

#[test]
fn an_interrupt_before_the_first_run_is_continued_as_well() {
    for kind in [Kind::Made(500), Kind::Slow(600)] {
        let bench = study(kind);
        // In a folder that the call does not name.
        let mut child = call(&bench, &["run", "study.toml", "--blocks", "1"]).spawn().expect("starts");
        let ablate = bench.path("target/ablate");
        let begun = || {
            let folders = std::fs::read_dir(&ablate).into_iter().flatten().filter_map(Result::ok);
            folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("kept-")).any(|entry| {
                let logs = std::fs::read_dir(entry.path().join("logs")).map_or(0, Iterator::count);
                logs > 0 || (matches!(kind, Kind::Slow(_)) && entry.path().join("logs").exists())
            })
        };
        until(&mut child, begun);
        signal(&child, libc::SIGINT);
        let stopped = ended(child);
        assert_eq!(stopped.code, 130, "{kind:?}: {stopped:#?}");
        stopped.complains(&["interrupted", "--resume", "--blocks 1"]);
        let whole = continued(&bench, &stopped);
        assert_eq!(whole.code, 0, "{kind:?}: {whole:#?}");
        assert!(answer(&whole).contains("1 block of 1 workload"), "{whole:#?}");
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_another_build() {
    let bench = study(Kind::Made(1));
    std::fs::create_dir_all(bench.path("target/ablate")).expect("creates");
    let lock = std::fs::File::create(bench.path("target/ablate/build.lock")).expect("creates");
    lock.lock().expect("locks");
    let interrupted = |mut child: std::process::Child, logs: &str| {
        until(&mut child, || bench.path(logs).exists());
        signal(&child, libc::SIGINT);
        let stopped = ended(child);
        assert_eq!(stopped.code, 130, "{stopped:#?}");
        stopped
    };
    let stopped = interrupted(start(&bench, &["--seed", "7"]), "out/logs");
    stopped.complains(&["interrupted while building", "--out out --resume", "--seed 7"]);
    // Of a screening its own command goes on, and not that of its stage.
    let mut text = std::fs::read_to_string(bench.path("study.toml")).expect("is there");
    text += "[[factor]]\nname = \"blue\"\n[factor.levels]\non = {}\noff = { build_args = [\"y\"] }\n";
    std::fs::write(bench.path("two.toml"), text).expect("writes");
    let screening = call(&bench, &["screen", "two.toml", "--out", "screened"]).spawn().expect("starts");
    let screened = interrupted(screening, "screened/screen/logs");
    screened.complains(&["interrupted", "cargo ablate screen two.toml --out screened --resume"]);
    drop(lock);
    assert_eq!(continued(&bench, &stopped).code, 0);
    let manifest = std::fs::read_to_string(bench.path("out/manifest.json")).expect("is there");
    assert!(manifest.contains("\"seed\": 7,"), "{manifest}");
}

#[test]
fn a_report_of_a_study_that_was_interrupted_before_its_first_run_is_no_loss() {
    let bench = study(Kind::Slow(1000));
    let mut child = start(&bench, &[]);
    until(&mut child, || bench.path("out/records.jsonl").exists());
    signal(&child, libc::SIGINT);
    let stopped = ended(child);
    assert_eq!((stopped.code, lines(&bench)), (130, 0), "{stopped:#?}");
    for _ in 0..2 {
        let said = said(&bench, &["report", "out"]);
        assert!(said.code == 1 && said.out.contains("No block is finished"), "{said:#?}");
    }
}

#[test]
fn a_study_that_had_ended_by_its_rule_ends_again_without_a_block_more() {
    let bench = study(Kind::Slow(10));
    let options = ["--until-halfwidth", "1000ms", "--blocks", "40"];
    let first = said(&bench, &[&["run", "study.toml", "--out", "out"], &options[..]].concat());
    assert_eq!(first.code, 0, "{first:#?}");
    let before = outcome(&bench, "out");
    let again = said(&bench, &[&["run", "study.toml", "--out", "out", "--resume"], &options[..]].concat());
    assert_eq!(again.code, 0, "{again:#?}");
    assert_eq!(outcome(&bench, "out"), before);
}
