//! Folders whose names are not UTF-8.

use crate::common::{self, Bench, Said};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with such a name in that of a study.
fn odd(bench: &Bench) -> PathBuf {
    let folder = bench.path("").join(OsStr::from_bytes(b"f\xff"));
    std::fs::create_dir_all(&folder).expect("makes the folder");
    folder
}

fn said(command: &mut Command) -> Said {
    Said::from(command.output().expect("ablate starts"))
}

/// Runs, resumes and reports the study in a folder, with results, binaries and scratch folders in it too.
fn run_in(bench: &Bench, folder: &Path, target: Option<&Path>) -> Vec<Said> {
    let call = |args: &[&str]| {
        let mut command = bench.command(args);
        match target {
            Some(target) => command.env("ABLATE_TARGET_DIR", target),
            None => command.env_remove("ABLATE_TARGET_DIR"),
        };
        // Started elsewhere, so that the paths are in the arguments.
        command.current_dir("/").env("HOME", bench.path("")).env_remove("XDG_CACHE_HOME");
        command
    };
    let (config, out) = (folder.join("study.toml"), folder.join("out"));
    let run = |more: &[&str]| said(call(&["run"]).arg(&config).arg("--out").arg(&out).args(more));
    let first = run(&[]);
    assert_eq!(first.code, 0, "{first:#?}");
    let resumed = run(&["--resume", "--blocks", "3"]);
    assert_eq!(resumed.code, 0, "{resumed:#?}");
    let plan = said(call(&["plan"]).arg(&config));
    let report = said(call(&["report"]).arg(&out));
    assert_eq!((plan.code, report.code), (0, 0), "{plan:#?} {report:#?}");
    for name in ["manifest.json", "effects.json", "report.md", "records.jsonl"] {
        let bytes = std::fs::read(out.join(name)).expect("is there");
        assert!(std::str::from_utf8(&bytes).is_ok(), "{name}");
    }
    vec![first, resumed, plan, report]
}

fn records(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("out/records.jsonl")).expect("there are records");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

const SHELL: &str = r#"
study = "odd"
seed = 1
blocks = 2
counting_repeats = 1
arms = ["env"]
design = ["leave-one-out"]
[subject]
command = ["./work.sh"]
stdin = "input"
before_run = ["sh", "-c", "cp \"$INPUT\" {scratch}/copy"]
scratch_in = "."
env = { INPUT = "{scratch}/../input", PATH = "/usr/bin:/bin" }
[[factor]]
name = "slow"
[factor.levels]
on = {}
off = { FAST = "1" }
[[workload]]
name = "plain"
args = ["{scratch}/copy"]
response = "wall"
"#;

#[test]
fn a_command_is_measured_in_a_folder_of_any_name() {
    let bench = Bench::new("");
    let folder = odd(&bench);
    std::fs::write(folder.join("study.toml"), SHELL).expect("writes");
    std::fs::write(folder.join("input"), "given\n").expect("writes");
    let script = folder.join("work.sh");
    std::fs::write(&script, "#!/bin/sh\nread word\ntest \"$word\" = \"$(cat \"$1\")\" && test -f study.toml\n")
        .expect("writes");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("allows");
    run_in(&bench, &folder, None);
    let records = records(&folder);
    let runs: Vec<_> = records.iter().filter(|record| record["pass"] != "unit-costs").collect();
    assert_eq!(runs.len(), 3 * 4);
    assert!(runs.iter().all(|run| run["status"] == "ok"), "{runs:#?}");
    // Every byte of the program's path is in the manifest.
    let manifest = ablate_format::read_manifest(&folder.join("out")).expect("reads");
    let built = manifest.builds[0].result.as_ref().expect("found");
    assert_eq!(ablate_format::path_of_text(&built.path), script);
    assert!(built.path.contains("/f\0ff/work.sh"), "{:?}", built.path);
}

#[test]
fn a_package_is_built_in_a_folder_of_any_name() {
    let bench = Bench::new("");
    let folder = odd(&bench);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject");
    std::fs::create_dir_all(folder.join("src")).expect("makes the folder");
    for name in ["Cargo.toml", "src/main.rs"] {
        std::fs::copy(fixture.join(name), folder.join(name)).expect("copies");
    }
    let text = common::ENV_ONLY.replace("manifest = \"@MANIFEST@\"\n", "").replace("@PIDS@", "/dev/null");
    std::fs::write(folder.join("study.toml"), text).expect("writes");
    // The target folder of the package, and one of the runner's.
    run_in(&bench, &folder, None);
    let first = ablate_format::read_manifest(&folder.join("out")).expect("reads");
    std::fs::remove_dir_all(folder.join("out")).expect("removes");
    run_in(&bench, &folder, Some(&folder.join("elsewhere")));
    assert!(folder.join("elsewhere/ablate/bin").is_dir() && folder.join("target/ablate/bin").is_dir());
    let second = ablate_format::read_manifest(&folder.join("out")).expect("reads");
    for manifest in [first, second] {
        let built = manifest.builds[0].result.as_ref().expect("built");
        assert!(ablate_format::path_of_text(&built.path).is_file(), "{:?}", built.path);
    }
}
