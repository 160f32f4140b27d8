//! Comparisons and searches that go on.

use crate::{Repository, Said, call};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Interrupts a call as soon as a file has something in it. Returns what it said.
fn interrupted(repository: &Repository, args: &[&str], file: &str) -> Said {
    let mut command = call(&repository.root(), args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ablate starts");
    let end = Instant::now() + Duration::from_secs(120);
    let is_there = || std::fs::metadata(repository.path(file)).is_ok_and(|file| file.len() > 0);
    while !is_there() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill starts");
    assert!(kill.success());
    let out = child.wait_with_output().expect("ends");
    Said {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// The words of the command that the last lines of a call give.
fn told(said: &Said) -> Vec<String> {
    let (_, command) = said.stderr.split_once("To continue:\n").unwrap_or_else(|| panic!("{said:#?}"));
    let words = command.trim().split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words[..2], ["cargo", "ablate"], "{said:#?}");
    words[2..].to_vec()
}

const SLOW: &str = "{ std::thread::sleep(std::time::Duration::from_millis(60)); COST }";

const HOW: [&str; 6] = ["--response", "value:cost_ns", "--blocks", "12", "--layouts", "1"];

#[test]
fn a_comparison_goes_on_with_the_commits_that_it_began_with() {
    let repository = Repository::new();
    repository.cost(&SLOW.replace("COST", "100.0"), "base");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository.cost(&SLOW.replace("COST", "104.0"), "dearer");
    let args = [&["diff", "main..topic", "--out", "out", "--gate"], &HOW[..]].concat();
    let said = interrupted(&repository, &args, "out/records.jsonl");
    assert!(said.code == 130 && said.stderr.contains("--resume"), "{said:#?}");
    // The branches move, and one is gone.
    repository.cost(&SLOW.replace("COST", "90.0"), "faster");
    repository.git(&["branch", "-D", "--quiet", "main"]);
    let args = [&["diff", "--out", "out", "--resume", "--gate"], &HOW[..]].concat();
    let said = repository.ablate(&args);
    assert!(said.code == 1 && said.stdout.contains("% worse"), "{said:#?}");
    assert!(said.stdout.contains("base: main = ") && said.stdout.contains("head: topic = "), "{said:#?}");
    let seconds = repository.ablate(&args);
    assert!(seconds.code == 1 && !seconds.stderr.contains("timing, block"), "it is complete: {seconds:#?}");
    assert!(seconds.stderr.contains("out goes on with its revisions: comparing topic = "), "{seconds:#?}");
    // Others than those of the folder are refused, and the same ones are not.
    let with = |range: &str| repository.ablate(&[&["diff", range], &args[1..]].concat());
    let said = with("topic~1..topic");
    assert!(said.code == 2 && said.stderr.contains("out compares topic = "), "{said:#?}");
    assert!(said.stderr.contains("this call asks for topic = ") && said.stderr.contains("another --out"), "{said:#?}");
    assert_eq!(with("topic~2..topic~1").code, 1);
}

#[test]
fn uncommitted_changes_stay_those_that_the_comparison_began_with() {
    let repository = Repository::new();
    repository.source(&SLOW.replace("COST", "104.0"));
    let args = [&["diff", "--out", "out", "--gate"], &HOW[..]].concat();
    let said = interrupted(&repository, &args, "out/records.jsonl");
    assert_eq!(said.code, 130, "{said:#?}");
    repository.source(&SLOW.replace("COST", "50.0"));
    let words = told(&said);
    let said = repository.ablate(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.code == 1 && said.stdout.contains("head: worktree = "), "{said:#?}");
}

#[test]
fn a_search_that_was_interrupted_tells_the_command_that_continues_it() {
    let repository = Repository::new();
    repository.cost(&SLOW.replace("COST", "100.0"), "good");
    repository.cost(&SLOW.replace("COST", "100.1"), "still good");
    repository.cost(&SLOW.replace("COST", "108.0"), "the culprit");
    repository.cost(&SLOW.replace("COST", "108.1"), "after it");
    let args = [&["bisect", "HEAD~3", "HEAD", "--out", "out"], &HOW[..]].concat();
    let said = interrupted(&repository, &args, "out/step-2/records.jsonl");
    assert_eq!(said.code, 130, "{said:#?}");
    let first = std::fs::read(repository.path("out/step-1/records.jsonl")).expect("is there");
    // The ends that the call names are others now.
    repository.cost(&SLOW.replace("COST", "20.0"), "later");
    let words = told(&said);
    let said = repository.ablate(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.code == 0 && said.stdout.contains("the culprit"), "{said:#?}");
    let again = std::fs::read(repository.path("out/step-1/records.jsonl")).expect("is there");
    assert!(again.starts_with(&first), "what was recorded stays: {said:#?}");
}
