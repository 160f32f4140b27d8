//! Comparisons and searches that go on.

use crate::{Repository, Said, call};
use std::os::unix::process::ExitStatusExt;
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
    let words = shell_words::split(command.trim()).expect("a command");
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
fn a_comparison_that_was_interrupted_while_it_was_built_goes_on_with_its_revisions() {
    let repository = Repository::new();
    repository.cost("104.0", "dearer");
    repository.cost("50.0", "later");
    let args = [&["diff", "HEAD~2..HEAD~1", "--gate"], &HOW[..]].concat();
    let said = interrupted(&repository, &[&args[..], &["--out", "out"]].concat(), "out/logs/build-full.log");
    assert_eq!(said.code, 130, "{said:#?}");
    assert!(!repository.path("out/manifest.json").exists());
    let words = told(&said);
    let said = repository.ablate(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.code == 1 && said.stdout.contains("head: HEAD~1 = "), "{said:#?}");
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

/// A program whose cost is that of its sources and the length of the padding, which the seed decides.
const STEADY: &str = r###"fn main() {
    let pad = std::env::var("ABLATE_PAD").map_or(0, |pad| pad.len());
    println!("{}", r#"{"cost_ns":@}"#.replace('@', &(COST + pad as f64 / 1000.0).to_string()));
}
"###;

/// Kills a call after this time, or on entering a system call of this name and number. Returns whether it was killed.
fn killed(repository: &Repository, args: &[&str], point: &Result<(&str, usize), Duration>) -> bool {
    let command = call(&repository.root(), args);
    let mut command = match point {
        Ok((name, nth)) => {
            let mut traced = Command::new("strace");
            traced.args(["-qq", "-o", "/dev/null", &format!("--trace={name}")]);
            traced.arg(format!("--inject={name}:signal=KILL:when={nth}"));
            traced.arg(command.get_program()).args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => traced.env(name, value),
                    None => traced.env_remove(name),
                };
            }
            traced.current_dir(repository.root());
            traced
        }
        Err(_) => command,
    };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    if let Err(time) = point {
        std::thread::sleep(*time);
        child.kill().expect("may");
    }
    child.wait().expect("ends").signal() == Some(libc::SIGKILL)
}

#[test]
fn a_comparison_that_is_killed_anywhere_ends_like_one_that_is_not() {
    let repository = Repository::new();
    for (cost, title) in [("100.0", "base"), ("101.0", "dearer")] {
        repository.write("src/main.rs", &STEADY.replace("COST", cost));
        repository.commit(title);
    }
    // The margin is out of reach, so that the number of blocks does not depend on the time.
    let how = ["--margin", "0.01", "--stop", "never", "--blocks", "8", "--layouts", "1", "--response", "value:cost_ns"];
    let whole = |out: &str, more: &[&str]| {
        let args = [&["diff", "HEAD~1..HEAD", "--json", "--out", out], &how[..], more].concat();
        let said = repository.ablate(&args);
        assert_eq!(said.code, 0, "{said:#?}");
        let mut json: serde_json::Value = serde_json::from_str(&said.stdout).expect("is JSON");
        for part in json["parts"].as_array_mut().into_iter().flatten() {
            part.as_object_mut().expect("an object").retain(|key, _| !["results", "outlook"].contains(&key.as_str()));
        }
        json
    };
    let traces =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|end| end.success());
    let ms = |ms| Err(Duration::from_millis(ms));
    // While git and cargo work, while the files of a revision are put in place, and while a manifest is replaced.
    let mut points = vec![ms(150), ms(400), ms(700), ms(1100), ms(300)];
    match traces {
        true => points.extend([
            Ok(("rename", 2)),
            Ok(("renameat", 1)),
            Ok(("mkdir", 3)),
            Ok(("renameat", 4)),
            Ok(("rename", 5)),
        ]),
        false => eprintln!("tracing is not permitted here, so only times are tried"),
    }
    let mut kills = 0;
    for point in &points {
        let resume: &[&str] = if repository.path("out").exists() { &["--resume"] } else { &[] };
        let args = [&["diff", "HEAD~1..HEAD", "--json", "--out", "out"], &how[..], resume].concat();
        kills += usize::from(killed(&repository, &args, point));
    }
    assert!(kills > 0, "none of {} points came", points.len());
    let own = whole("out", &["--resume"]);
    assert_eq!(own, whole("unbroken", &[]));
}
