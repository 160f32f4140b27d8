//! The examples run, and print what their comments promise.

mod common;

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Runs an example of this build and returns what it prints.
#[track_caller]
fn run(name: &str) -> String {
    let test = env::current_exe().expect("the test binary has a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("the folder of the profile").join("examples");
    let path: PathBuf = folder.join(name);
    // `cargo test` builds the examples; `cargo test --test examples` does not.
    assert!(path.exists(), "{} is not built; run: cargo build --examples", path.display());
    let output = Command::new(&path).output().expect("the example starts");
    let (stdout, stderr) = common::texts(&output);
    assert!(output.status.success(), "{name}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

#[test]
fn the_global_allocator_s_objects_have_usable_bytes() {
    let printed = run("global_allocator");
    assert!(printed.lines().count() > 5 && printed.contains("usable bytes"), "{printed}");
}

#[test]
fn call_sites_allocate() {
    assert_eq!(run("call_site").lines().count(), 4);
}

#[test]
fn the_statistics_close_at_the_end() {
    let printed = run("statistics");
    let last = printed.lines().last().expect("a line");
    let (mapped, sum) = last
        .strip_prefix("mapped: ")
        .and_then(|line| line.split_once(" bytes; the parts sum to "))
        .unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(mapped, sum, "{printed}");
}

#[cfg(feature = "allocator-api2")]
#[test]
fn collections_take_the_allocator() {
    let printed = run("collections");
    assert!(printed.starts_with("numbers: hakmem's: true\nothers: hakmem's: false\n"), "{printed}");
}
