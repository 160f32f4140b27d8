//! Revisions, build settings and build commands, end to end: real repositories, builds and runs. The programs report a
//! cost that their sources state, so that what is right is known.

mod files;
mod gate;
mod interrupted;
mod shapes;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package in a repository of its own, whose program reports a cost.
struct Repository {
    dir: tempfile::TempDir,
}

/// What a call of ablate said.
#[derive(Debug)]
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A program that reports a cost, give or take a thousandth that differs from run to run. It comes from the length of the
/// padding, which the seed decides, so that an answer never depends on what else the machine does.
const PROGRAM: &str = r###"fn main() {
    let noise = std::env::var("ABLATE_PAD").map_or(0, |pad| pad.len() % 8) as f64 * 0.0125;
    let cost: f64 = COST + noise;
    let line = r##"{"format":2,"operations":1,"checksum":"c","latency_over":"operations","samples":1,"latency_ns_p10":1,
        "latency_ns_p50":1,"latency_ns_p99":1,"latency_ns_mean":1,"values":{"cost_ns":@}}"##;
    println!("{}", line.replace("\n", "").replace('@', &cost.to_string()));
}
"###;

impl Repository {
    fn new() -> Repository {
        let repository = Repository { dir: tempfile::tempdir().expect("a temporary folder") };
        std::fs::create_dir(repository.root()).expect("creates");
        let manifest = "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
        repository.write("Cargo.toml", manifest);
        repository.write(".gitignore", "target\nout*\n");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["config", "user.name", "t"]);
        repository.git(&["config", "user.email", "t"]);
        repository.cost("100.0", "first");
        repository
    }

    /// The folder of the repository, which is not the only one in its parent.
    fn root(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
        std::fs::write(path, text).expect("writes");
    }

    /// Sources of a program that reports this cost.
    fn source(&self, cost: &str) {
        self.write("src/main.rs", &PROGRAM.replace("COST", cost));
    }

    /// Commits a program of this cost.
    fn cost(&self, cost: &str, title: &str) {
        self.source(cost);
        self.commit(title);
    }

    fn commit(&self, title: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", title]);
    }

    fn git(&self, args: &[&str]) -> String {
        let out = Command::new("git").args(args).current_dir(self.root()).output().expect("git starts");
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn ablate(&self, args: &[&str]) -> Said {
        ablate(&self.root(), args, &[])
    }

    /// A comparison by the cost that the program reports.
    fn diff(&self, args: &[&str]) -> Said {
        let more = ["--response", "value:cost_ns", "--blocks", "12", "--layouts", "2", "--gate"];
        self.ablate(&[&["diff"], args, &more].concat())
    }
}

/// A call of ablate without the settings of the caller.
fn call(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-ablate"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env_remove("RUSTFLAGS");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ABLATE_")) {
        command.env_remove(name);
    }
    command
}

fn ablate(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Said {
    let mut command = call(folder, args);
    let out = command.envs(env.iter().copied()).output().expect("ablate starts");
    Said {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

#[test]
fn a_change_for_the_worse_closes_the_gate_and_one_for_the_better_does_not() {
    let repository = Repository::new();
    repository.cost("103.0", "slower");
    let said = repository.diff(&["HEAD~1..HEAD", "--junit", "out.xml", "--markdown", "out.md", "--json"]);
    assert_eq!(said.code, 1, "{said:#?}");
    let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("only JSON");
    let row = &json["parts"][0]["workloads"][0];
    assert_eq!((row["verdict"].as_str(), json["gate"].as_str()), (Some("worse"), Some("worse")));
    let change = row["change"]["value"].as_f64().expect("a number");
    assert!((change - 0.03).abs() < 0.002, "{change}");
    let read = |name: &str| std::fs::read_to_string(repository.path(name)).expect("is written");
    assert!(read("out.xml").contains("failures=\"1\"") && read("out.md").contains("% worse"), "{}", read("out.md"));
    repository.cost("99.0", "faster");
    let said = repository.diff(&[]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.contains("tool is ") && said.stdout.contains("% better"), "{said:#?}");
    assert!(said.stdout.contains("base: HEAD~1 = ") && said.stdout.contains(" slower\n"), "{said:#?}");
    assert!(said.stderr.contains("gate: good"), "{said:#?}");
}

#[test]
fn a_change_within_the_margin_is_the_same_and_one_about_it_is_undecided() {
    let repository = Repository::new();
    repository.cost("100.5", "half a percent");
    let said = repository.diff(&["HEAD~1..", "--margin", "2"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.contains("No change: 1 workload within ± 2 %"), "{said:#?}");
    let said = repository.diff(&["HEAD~1..", "--margin", "0.5"]);
    assert_eq!(said.code, 3, "{said:#?}");
    assert!(said.stdout.contains("undecided") && said.stdout.starts_with("Undecided: "), "{said:#?}");
}

#[test]
fn the_same_code_is_the_same_binary_and_nothing_is_run() {
    let repository = Repository::new();
    let text = std::fs::read_to_string(repository.path("src/main.rs")).expect("is there");
    repository.write("src/main.rs", &format!("{text}// a comment\n"));
    repository.write("notes.txt", "not part of the program");
    repository.commit("only words");
    let said = repository.diff(&["main~1..main"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.contains("both revisions are the same machine code"), "{said:#?}");
    assert!(!said.stderr.contains("timing, block"), "{said:#?}");
}

#[test]
fn uncommitted_changes_are_compared_and_the_repository_stays_as_it_is() {
    let repository = Repository::new();
    repository.source("110.0");
    repository.write("src/new.rs", "");
    let before = (repository.git(&["status", "--porcelain"]), repository.git(&["worktree", "list"]));
    let said = repository.diff(&["--json"]);
    assert_eq!(said.code, 1, "{said:#?}");
    let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("only JSON");
    let (base, head) = (json["base"].as_str().expect("text"), json["head"].as_str().expect("text"));
    assert!(base.starts_with("HEAD = ") && base.ends_with(" first"), "{base}");
    assert!(head.starts_with("worktree = ") && head.ends_with("2 changed files"), "{head}");
    assert_eq!((repository.git(&["status", "--porcelain"]), repository.git(&["worktree", "list"])), before);
}

#[test]
fn the_first_worse_commit_is_found_over_one_that_cannot_be_built() {
    let repository = Repository::new();
    repository.commit("nothing changes here");
    repository.cost("100.01", "another binary");
    repository.cost("100.0 + no_such_name", "does not build");
    repository.cost("108.0", "the culprit");
    repository.cost("108.02", "after it");
    repository.write("notes.txt", "x");
    repository.commit("the last");
    let more = ["--response", "value:cost_ns", "--blocks", "12", "--layouts", "1", "--out", "out"];
    let said = repository.ablate(&[&["bisect", "HEAD~6", "HEAD"], &more[..]].concat());
    assert_eq!(said.code, 3, "{said:#?}");
    let list: Vec<&str> =
        said.stdout.lines().skip(1).map(|line| line.trim().split_once(' ').expect("a title").1).collect();
    assert_eq!(list, ["does not build", "the culprit"], "{said:#?}");
    let more = [&more[..6], &["--out", "out2"]].concat();
    let said = repository.ablate(&[&["bisect", "HEAD~2", "HEAD"], &more[..]].concat());
    assert_eq!(said.code, 3, "there is no change after the culprit: {said:#?}");
    let more = [&more[..6], &["--out", "out3"]].concat();
    let said = repository.ablate(&[&["bisect", "HEAD~3", "HEAD"], &more[..]].concat());
    assert!(said.code == 3 && said.stderr.contains("HEAD~3 does not build"), "{said:#?}");
    assert!(said.stderr.contains("no_such_name") && said.stderr.contains("build-full.log"), "{said:#?}");
    let more = [&more[..6], &["--out", "out4"]].concat();
    let said = repository.ablate(&[&["bisect", "HEAD~6", "HEAD~3"], &more[..]].concat());
    assert!(said.code == 3 && said.stderr.contains("HEAD~3 does not build"), "{said:#?}");
    assert!(said.stderr.contains("no_such_name") && said.stderr.contains("build-with-revision.bad.log"), "{said:#?}");
    assert!(!said.stdout.contains("--max-time"), "more time does not build it: {said:#?}");
    let said = repository.ablate(&[&["bisect", "HEAD", "HEAD~3"], &more[..]].concat());
    assert!(said.code == 2 && said.stderr.contains("is not a commit before"), "{said:#?}");
}

#[test]
fn wrong_calls_name_what_is_missing() {
    let repository = Repository::new();
    repository.cost("101.0", "second");
    for (args, part) in [
        (&["diff", "mian..HEAD"][..], "did you mean `main`?"),
        (&["diff", "--bench", "parse"], "there is no benchmark target `parse` in package `tool`"),
        (&["diff", "--bin", "tol"], "did you mean `tool`?"),
        (&["diff", "--package", "x"], "there is no package `x`"),
        (&["diff", "--margin", "0"], "0.01 to 100"),
        (
            &["diff", "--filter", "x"],
            "--filter has no effect here: it selects benchmarks, and binary `tool` is what runs",
        ),
        (&["diff", "--bin", "tool", "--filter", "x"], "cannot be used with '--filter"),
        (&["diff", "--json", "--annotate"], "cannot be used with"),
    ] {
        let said = repository.ablate(args);
        assert!(said.code == 2 && said.stderr.contains(part), "{args:?}: {said:#?}");
    }
    let outside = tempfile::tempdir().expect("a temporary folder");
    let said = ablate(outside.path(), &["diff"], &[]);
    assert!(said.code == 2 && said.stderr.contains("--config STUDY.toml"), "{said:#?}");
}

#[test]
fn options_that_a_study_or_a_benchmark_leaves_without_effect_are_refused() {
    let repository = Repository::new();
    repository.write("study.toml", SETTINGS);
    let said = repository.ablate(&["diff", "--config", "study.toml", "--", "x"]);
    assert!(said.code == 2 && said.stderr.contains("`-- ARGS` has no effect here"), "{said:#?}");
    let manifest = std::fs::read_to_string(repository.path("Cargo.toml")).expect("is there");
    let bench = "[[bench]]\nname = \"speed\"\n";
    repository.write("Cargo.toml", &format!("{manifest}{bench}"));
    repository.write("benches/speed.rs", "#![feature(test)]\nextern crate test;\n");
    repository.commit("a benchmark");
    let said = repository.ablate(&["diff", "--response", "wall"]);
    assert!(said.code == 2 && said.stderr.contains("--response has no effect here"), "{said:#?}");
}

#[test]
fn a_binary_that_wants_arguments_and_gets_none_says_so_once() {
    let repository = Repository::new();
    let program = |end: u32| {
        let wants = "std::env::args().nth(1).expect(\"usage: tool COUNT\");";
        repository.write("src/main.rs", &format!("fn main() {{\n    {wants}\n    println!(\"{end}\");\n}}\n"));
    };
    program(1);
    repository.commit("one");
    program(2);
    let said = repository.ablate(&["diff", "--layouts", "1"]);
    assert_eq!((said.code, said.stderr.matches("usage: tool COUNT").count()), (1, 1), "{said:#?}");
    assert!(said.stderr.contains("give them after `--`") && said.stderr.contains("-- ARGS"), "{said:#?}");
}

#[test]
fn the_folder_of_the_results_is_no_change_of_the_repository() {
    let repository = Repository::new();
    repository.source("103.0");
    let before = repository.git(&["status", "--porcelain"]);
    let said = repository.diff(&["--out", "results"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert!(said.stdout.contains("head: worktree = ") && said.stdout.contains("and 1 changed file"), "{said:#?}");
    // A folder that has files of its own is refused, and stays as it is.
    let said = repository.ablate(&["diff", "--out", "."]);
    assert_eq!((said.code, repository.git(&["status", "--porcelain"])), (2, before), "{said:#?}");
}

/// A study of build settings, whose program reports what it was built with.
const SETTINGS: &str = r#"
study = "settings"
seed = 1
blocks = 6
counting_repeats = 0
[subject]
package = "tool"
[[factor]]
name = "checks"
baseline = "off"
[factor.levels]
off = {}
on = { debug-assertions = true }
[[factor]]
name = "flag"
baseline = "none"
[factor.levels]
none = {}
set = { rustflags = ["--cfg", "costly"] }
[[workload]]
name = "w"
args = []
response = "value:cost_ns"
"#;

#[test]
fn build_settings_reach_the_binary_and_are_recorded_and_compared() {
    let repository = Repository::new();
    repository.source("100.0 + f64::from(cfg!(debug_assertions)) * 7.0 + f64::from(cfg!(costly)) * 9.0");
    repository.write("study.toml", SETTINGS);
    let said = repository.ablate(&["run", "study.toml", "--out", "out"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(repository.path(name)).expect("is there")).expect("is JSON")
    };
    let effects = read("out/effects.json");
    let rows = effects["effects"].as_array().expect("a list");
    let of = |factor: &str| {
        let row = rows.iter().find(|row| row["factor"] == factor && row["response"] == "value:cost_ns");
        row.and_then(|row| row["estimate"].as_f64()).expect("was measured")
    };
    assert!((of("checks") + 7.0).abs() < 0.2 && (of("flag") + 9.0).abs() < 0.2, "{effects:#}");
    let manifest = read("out/manifest.json");
    let builds = manifest["builds"].as_array().expect("a list");
    let settings = |id: &str| builds.iter().find(|build| build["id"] == id).expect("was built")["settings"].clone();
    assert_eq!(settings("with-checks.on")["debug-assertions"], "true");
    assert_eq!(settings("with-flag.set")["rustflags"], "--cfg costly");
    assert!(settings("full")["compiler"].as_str().expect("text").starts_with("rustc "), "{manifest:#}");
    // Flags of the environment are kept beside those of a level, and a study is not continued with others.
    let with_flags = [("RUSTFLAGS", "--cfg other")];
    let said = ablate(&repository.root(), &["run", "study.toml", "--out", "out", "--resume"], &with_flags);
    assert!(said.code == 2 && said.stderr.contains("RUSTFLAGS of build `full` was not set"), "{said:#?}");
    let said = ablate(&repository.root(), &["run", "study.toml", "--out", "out2"], &with_flags);
    assert_eq!(said.code, 0, "{said:#?}");
    let flag = read("out2/effects.json");
    let rows = flag["effects"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["factor"] == "flag" && row["response"] == "value:cost_ns").expect("is there");
    assert!((row["estimate"].as_f64().expect("was measured") + 9.0).abs() < 0.2, "{row:#}");
}

#[test]
fn a_program_of_a_build_command_is_built_for_each_level_and_by_revision() {
    let repository = Repository::new();
    repository.write("made/text", "100");
    let study = r#"
study = "made"
seed = 1
blocks = 6
counting_repeats = 0
[subject.build]
command = ["sh", "-c", "sed \"s/COST/$(cat text)$1/\" line > tool; chmod +x tool", "sh"]
artefact = "tool"
[[factor]]
name = "more"
[factor.levels]
on = { build_args = [".5"] }
off = {}
[[workload]]
name = "w"
args = []
response = "value:cost_ns"
"#;
    repository.write("made/study.toml", study);
    let line = "#!/bin/sh\necho '{\"format\":2,\"operations\":1,\"checksum\":\"c\",\"latency_over\":\"operations\",\
                \"samples\":1,\"latency_ns_p10\":1,\"latency_ns_p50\":1,\"latency_ns_p99\":1,\"latency_ns_mean\":1,\
                \"values\":{\"cost_ns\":COST}}'\n";
    repository.write("made/line", line);
    repository.commit("a build");
    let said = repository.ablate(&["run", "made/study.toml", "--out", "out"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let effects: serde_json::Value =
        serde_json::from_slice(&std::fs::read(repository.path("out/effects.json")).expect("is there"))
            .expect("is JSON");
    let row = effects["effects"].as_array().expect("a list").iter().find(|row| row["factor"] == "more").cloned();
    assert_eq!(row.expect("a row")["estimate"], 0.5);
    repository.write("made/text", "120");
    repository.commit("dearer");
    let said = repository.ablate(&["diff", "HEAD~1..HEAD", "--config", "made/study.toml", "--blocks", "8", "--gate"]);
    assert!(said.code == 1 && said.stdout.contains("w is 19.9 % worse"), "{said:#?}");
}

#[test]
fn the_shipped_c_program_proves_its_parts() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples/c-program/study.toml");
    let out = tempfile::tempdir().expect("a temporary folder");
    let (config, folder) = (config.display().to_string(), out.path().join("out").display().to_string());
    let target = out.path().join("target").display().to_string();
    let args = ["run", config.as_str(), "--out", folder.as_str(), "--blocks", "6"];
    let said = ablate(out.path(), &args, &[("ABLATE_TARGET_DIR", &target)]);
    assert_eq!(said.code, 0, "{said:#?}");
    let effects: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.path().join("out/effects.json")).expect("is there"))
            .expect("is JSON");
    let rows = effects["effects"].as_array().expect("a list");
    for factor in ["cache", "header"] {
        let row = rows.iter().find(|row| row["factor"] == factor).expect("a row");
        assert_eq!(row["proof"], "proven", "{row:#}");
    }
    let cache = rows.iter().find(|row| row["factor"] == "cache").expect("a row");
    assert!(
        cache["estimate"].as_f64().expect("was measured") < -5.0,
        "without it every request walks a list: {cache:#}"
    );
}
