//! Runs the measured program and reads its output.

use serde_json::Value;
use std::process::{Command, Output};

/// Runs the program with these arguments and a clean environment.
pub(crate) fn run(line: &str) -> Output {
    command(line).output().expect("the program was built and can be started")
}

fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench_allocators"));
    command.args(line.split_whitespace()).env_clear();
    command
}

/// Runs it with `--json` and returns the line.
pub(crate) fn json(line: &str) -> Value {
    json_with(line, &[])
}

/// The same with these environment variables.
pub(crate) fn json_with(line: &str, environment: &[(&str, &str)]) -> Value {
    let output = command(line).arg("--json").envs(environment.iter().copied()).output().expect("can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {} {stderr}", output.status);
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(stdout.lines().count(), 1, "{line}: {stdout}");
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{line}: {e}: {stdout}"))
}

/// Runs it, and expects exit status 2 and a message with these parts.
pub(crate) fn refused(line: &str, parts: &[&str]) {
    let output = run(line);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{line}: no '{part}' in: {stderr}");
    }
    assert!(output.stdout.is_empty());
}

/// The allocators of this build.
pub(crate) fn built_in() -> Vec<String> {
    let list = json("--list");
    let rows = list["allocators"].as_array().expect("a list");
    rows.iter().filter(|a| a["built_in"] == true).map(|a| a["name"].as_str().expect("a name").to_owned()).collect()
}

/// The allocators of this build that can run the line; the floor runs few scenarios and lifetimes.
pub(crate) fn serving(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |name| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).copied();
    let known_sizes = after("--scenario").is_some_and(|s| ["json", "mir", "vm", "mixed", "fixed"].contains(&s));
    let known_lives = after("--lifetime").is_none_or(|lifetime| ["lifo", "ring"].contains(&lifetime));
    built_in().into_iter().filter(|name| name != "floor" || known_sizes && known_lives).collect()
}

/// Asserts that every allocator does the same operations.
pub(crate) fn same_checksums(line: &str) {
    let mut first: Option<(String, Value, Value)> = None;
    for allocator in serving(line) {
        let record = json(&format!("--allocator {allocator} {line}"));
        let (checksum, operations) = (record["checksum"].clone(), record["operations"].clone());
        assert!(checksum.as_str().is_some_and(|c| c.len() == 16), "{allocator} {line}: {checksum}");
        match &first {
            None => first = Some((allocator, checksum, operations)),
            Some((other, expected, count)) => {
                assert_eq!((&checksum, &operations), (expected, count), "{line}: {allocator} against {other}");
            }
        }
    }
}
