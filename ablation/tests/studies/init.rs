//! First configs: they load, they run, and nothing is overwritten.

use crate::common::{Bench, Said};
use std::path::Path;

#[test]
fn a_config_for_a_package_runs_as_it_is() {
    let bench = Bench::new("");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject").display().to_string();
    let said = bench.ablate(&["init", &fixture, "--args", "--work 5000"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("ablate run subject.toml"), "{}", said.out);
    let text = std::fs::read_to_string(bench.path("subject.toml")).expect("is there");
    assert!(text.contains("args = [\"--work\", \"5000\"]"), "{text}");
    // The fixture has no default features; all of its features are there as comments.
    for feature in ["red", "blue", "broken"] {
        assert!(text.contains(&format!("# feature = \"{feature}\"")), "{text}");
    }
    // A feature becomes a factor when its # is removed.
    let red = text.find("# [[factor]]\n# name = \"red\"").expect("is there");
    let end = red + text[red..].find("\n\n").expect("it ends");
    let factor: String = text[red..end].lines().map(|line| format!("{}\n", &line[2..])).collect();
    let text = format!("{}{factor}{}", &text[..red], &text[end..]);
    std::fs::write(bench.path("subject.toml"), text).expect("writes");
    let said = bench.ablate(&["run", "subject.toml", "--out", "out", "--blocks", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(bench.manifest()["builds"].as_array().map(Vec::len), Some(2));
    assert!(bench.runs().iter().all(|record| record["status"] == "ok"), "{:#?}", bench.troubles());
}

#[test]
fn a_config_for_a_command_runs_as_it_is() {
    let bench = Bench::new("");
    let said = bench.ablate(&["init", "--out", "mine.toml", "--", "sh", "-c", "echo 'a b'"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = bench.ablate(&["run", "mine.toml", "--out", "out", "--blocks", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_first_config_never_replaces_a_file_and_says_what_it_needs() {
    let bench = Bench::new("");
    let wrong = |args: &[&str], parts: &[&str]| {
        let said: Said = bench.ablate(&[&["init"], args].concat());
        assert_eq!(said.code, 2, "{said:?}");
        said.complains(parts);
    };
    wrong(&["--out", "study.toml", "--", "sh"], &["study.toml exists already", "--out"]);
    assert_eq!(std::fs::read_to_string(bench.path("study.toml")).expect("is there"), "");
    wrong(&["nowhere"], &["no package at", "CRATE@VERSION"]);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject").display().to_string();
    wrong(&[&fixture, "--bin", "sbject"], &["no binary `sbject`", "--bin subject"]);
    wrong(&[&fixture, "--args", "'open"], &["--args", "does not close"]);
}
