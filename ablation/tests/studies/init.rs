//! First configs: they load, they run, and nothing is overwritten.

use crate::common::{self, Bench};
use std::path::Path;

#[test]
fn a_config_for_a_package_runs_as_it_is() {
    let bench = Bench::new("");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject").display().to_string();
    let said = bench.ablate(&["init", &fixture, "--args", "--work 5000"]);
    assert_eq!(said.code, 0, "{said:?}");
    bench.snapshot("init_of_a_package", &said);
    let text = std::fs::read_to_string(bench.path("subject.toml")).expect("is there");
    // The fixture has no default features; all of its features are there as comments.
    common::snapshot("config_of_a_package", &text, &["manifest = "]);
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
fn a_config_for_a_command_has_the_switches_of_its_help() {
    let bench = Bench::new("");
    let script = "#!/bin/sh\ncase $1 in --help) printf '  --no-cache  forget\\n  --mode {a,b}  how\\n'; exit 0 ;; esac\n\
                  case \" $* \" in *\" --no-cache \"*) : ;; *) for i in 1 2 3; do /bin/true; done ;; esac\n";
    std::fs::write(bench.path("tool"), script).expect("writes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.path("tool"), mode).expect("allows");
    let said = bench.ablate(&["init", "--", "./tool", "input"]);
    assert_eq!(said.code, 0, "{said:?}");
    common::snapshot("config_of_a_command", &std::fs::read_to_string(bench.path("tool.toml")).expect("is there"), &[]);
    let said = bench.ablate(&["run", "tool.toml", "--out", "out", "--blocks", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    let cells: std::collections::BTreeSet<String> =
        bench.runs().iter().map(|run| run["cell"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(cells.contains("no-cache@args"), "{cells:?}");
}

#[test]
fn a_first_config_never_replaces_a_file_and_says_what_it_needs() {
    let bench = Bench::new("");
    let wrong = |name: &str, args: &[&str]| bench.snapshot(name, &bench.ablate(&[&["init"], args].concat()));
    wrong("init_over_a_file", &["--out", "study.toml", "--", "sh"]);
    assert_eq!(std::fs::read_to_string(bench.path("study.toml")).expect("is there"), "");
    wrong("init_of_no_package", &["nowhere"]);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject").display().to_string();
    wrong("init_of_no_binary", &[&fixture, "--bin", "sbject"]);
    wrong("init_with_an_open_quote", &[&fixture, "--args", "'open"]);
}
