//! What the integration tests share: a folder with a study of the fixture subject, and the `ablate` binary.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One study in a temporary folder.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// What differs between two plans of one study.
pub(crate) const PLAN_DIFFERS: &[&str] = &["time: at least "];

/// Two factors, in the environment arm only: four cells.
pub(crate) const ENV_ONLY: &str = r#"
study = "demo"
seed = 1
blocks = 2
counting_repeats = 1
arms = ["env"]
design = ["leave-one-out"]
timeout_seconds = 60
[subject]
package = "subject"
binary = "subject"
manifest = "@MANIFEST@"
profile = "dev"
idle_args = ["--work", "0"]
served_by = "subject"
env = { PID_FILE = "@PIDS@" }
[[factor]]
name = "red"
feature = "red"
proof = ["red.hits"]
[factor.levels]
on = {}
off = { NO_RED = "1" }
[[factor]]
name = "blue"
feature = "blue"
proof = ["blue.hits"]
[factor.levels]
on = {}
off = { NO_BLUE = "1" }
[[workload]]
name = "plain"
args = ["--work", "200"]
"#;

impl Bench {
    /// A study with this text; `@MANIFEST@` and `@PIDS@` are filled in.
    pub(crate) fn new(text: &str) -> Bench {
        let bench = Bench { dir: tempfile::tempdir().expect("a temporary folder") };
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject/Cargo.toml");
        let text = text.replace("@MANIFEST@", &manifest.display().to_string());
        let text = text.replace("@PIDS@", &bench.path("pids").display().to_string());
        std::fs::write(bench.path("study.toml"), text).expect("writes the study");
        bench
    }

    /// A path within the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ablate` with these arguments, in the folder, with binaries shared by all tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-ablate"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ABLATE_") {
                command.env_remove(name);
            }
        }
        command.env("ABLATE_TARGET_DIR", subjects());
        command
    }

    /// Runs `ablate` to its end.
    pub(crate) fn ablate(&self, args: &[&str]) -> Said {
        Said::from(self.command(args).output().expect("ablate starts"))
    }

    /// Runs the study into `out`, expects an exit code, and returns what was said.
    pub(crate) fn run(&self, more: &[&str], code: i32) -> Said {
        let said = self.ablate(&[&["run", "study.toml", "--out", "out"], more].concat());
        assert_eq!(said.code, code, "{said:#?}");
        said
    }

    /// Lines of `records.jsonl`.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path("out/records.jsonl")).expect("there are records");
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// The records of measured processes, without those of unit costs.
    pub(crate) fn runs(&self) -> Vec<serde_json::Value> {
        self.records().into_iter().filter(|record| record["pass"] != "unit-costs").collect()
    }

    /// The manifest of the study in `out`.
    pub(crate) fn manifest(&self) -> serde_json::Value {
        self.json("out/manifest.json")
    }

    /// The effects of the study in `out`.
    pub(crate) fn effects(&self) -> serde_json::Value {
        self.json("out/effects.json")
    }

    fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).expect("is there")).expect("is JSON")
    }

    /// Statuses of the records that are not `ok`, with their reasons.
    pub(crate) fn troubles(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let bad = self.records().into_iter().filter(|record| record["status"] != "ok");
        bad.map(|record| (text(&record["status"]), text(&record["reason"]))).collect()
    }

    /// Holds what a command said to its snapshot, `snapshots/TEST__NAME.snap` (CONTRIBUTING.md has how to change one).
    #[track_caller]
    pub(crate) fn snapshot(&self, name: &str, said: &Said) {
        snapshot(name, &self.shown(said), &[]);
    }

    /// The same, with `[…]` for what differs from call to call: the rest of the lines that have one of these in them.
    #[track_caller]
    pub(crate) fn snapshot_but(&self, name: &str, said: &Said, differs: &[&str]) {
        snapshot(name, &self.shown(said), differs);
    }

    /// What a command said, without what differs between machines and calls: `[folder]` is this study's folder,
    /// `[ablation]` the package's, and `[subjects]` that of the binaries, which tests at the same time wait for.
    fn shown(&self, said: &Said) -> String {
        let folder = self.dir.path().canonicalize().expect("the folder is there");
        let text =
            format!("exit code {}\n-- standard output\n{}\n-- standard error\n{}", said.code, said.out, said.err);
        text.replace(&folder.display().to_string(), "[folder]")
            .replace(&self.dir.path().display().to_string(), "[folder]")
            .replace(&subjects().display().to_string(), "[subjects]")
            .replace(env!("CARGO_MANIFEST_DIR"), "[ablation]")
            .replace("waiting for another ablate to finish building\n", "")
    }

    /// Process numbers that the subject noted.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.path("pids")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// At least `least` processes were noted, and none of them lives.
    pub(crate) fn assert_gone(&self, least: usize) {
        let pids = self.pids();
        assert!(pids.len() >= least, "{pids:?}");
        for pid in pids {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            assert_ne!(name.trim(), "subject", "process {pid} lives");
        }
    }
}

/// Where binaries are built, shared by all tests.
fn subjects() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("subjects")
}

/// Holds a text to its snapshot, with `[…]` for the rest of the lines that have one of `differs` in them.
#[track_caller]
pub(crate) fn snapshot(name: &str, text: &str, differs: &[&str]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let same = |line: &str| {
        let end = differs.iter().chain(&["built in "]).find_map(|word| Some(line.find(word)? + word.len()));
        end.map_or_else(|| format!("{line}\n"), |end| format!("{}[…]\n", &line[..end]))
    };
    let text: String = text.lines().map(same).collect();
    settings.bind(|| insta::assert_snapshot!(format!("{}__{name}", env!("CARGO_CRATE_NAME")), text));
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Exit code; −1 after a signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// Standard output as one line, for what may be wrapped anywhere.
    pub(crate) fn unwrapped(&self) -> String {
        self.out.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Expects all parts on standard error.
    pub(crate) fn complains(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.err.contains(part), "expected `{part}` in:\n{}", self.err);
        }
    }
}
