//! The compared tools: each measures one pair of arms with a given effort, and gives its interval and how long it ran.

use crate::chain::Lengths;
use crate::interval::{self, Interval, ReadError};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `ablate run`: interleaved processes of both arms.
    Ablate,
    /// `hyperfine`: times whole processes.
    Hyperfine,
    /// `criterion`: one process per arm.
    Criterion,
}

impl Tool {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Tool; 3] = [Tool::Ablate, Tool::Hyperfine, Tool::Criterion];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Ablate => "ablate",
            Tool::Hyperfine => "hyperfine",
            Tool::Criterion => "criterion",
        }
    }

    /// The effort to begin with: runs per command for hyperfine, milliseconds per arm for criterion. ablate chooses its
    /// own.
    pub(crate) fn first_effort(self) -> f64 {
        match self {
            Tool::Ablate => 1.0,
            Tool::Hyperfine => 10.0,
            Tool::Criterion => 100.0,
        }
    }
}

/// Two arms of the planted program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// How long their operations are.
    pub(crate) lengths: Lengths,
    /// Nanoseconds per operation of the first arm.
    pub(crate) base_ns: f64,
    /// Timed batches per process.
    pub(crate) batches: usize,
    /// Operations per timed batch.
    pub(crate) count: u64,
    /// Half-width that is wanted, nanoseconds.
    pub(crate) target_ns: f64,
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// This program, which is also the planted one.
    pub(crate) own: PathBuf,
    /// The built ablate.
    pub(crate) ablate: PathBuf,
    /// `hyperfine`.
    pub(crate) hyperfine: PathBuf,
}

/// The result of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The tool's interval.
    pub(crate) interval: Interval,
    /// How long the tool ran, from start to exit of its processes.
    pub(crate) took: Duration,
}

/// Why a tool gave no interval. The messages name the tool and the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// It did not start.
    #[error("{tool} does not start: {source}; install it, or give the path of a program that can be executed")]
    Start {
        /// The tool.
        tool: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// It failed.
    #[error("{tool} failed ({status}):\n{stderr}")]
    Failed {
        /// The tool.
        tool: &'static str,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// It wrote no file.
    #[error("{tool} wrote no readable {}: {source}", path.display())]
    NoFile {
        /// The tool.
        tool: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Its file has another form than expected.
    #[error("{tool} wrote {} in another form than expected: {source}", path.display())]
    Unread {
        /// The tool.
        tool: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
    /// The results of ablate cannot be read.
    #[error(transparent)]
    Results(#[from] ablate_format::ReadError),
    /// cargo built ablate, and reported no program.
    #[error("cargo built the package ablation and reported no program: it needs a binary target")]
    NoProgram,
    /// The config for ablate could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// Measures a pair. `None` when the tool gave no interval, as ablate does when too few runs were valid. `dir` is an empty
/// folder for this attempt; ablate stops after `limit` in any case.
///
/// # Errors
/// [`ToolError`].
pub(crate) fn attempt(
    tool: Tool,
    pair: &Pair,
    effort: f64,
    limit: Duration,
    programs: &Programs,
    dir: &Path,
) -> Result<Option<Attempt>, ToolError> {
    match tool {
        Tool::Ablate => ablate(pair, limit, programs, dir),
        Tool::Hyperfine => hyperfine(pair, effort, programs, dir).map(Some),
        Tool::Criterion => criterion(pair, effort, programs, dir).map(Some),
    }
}

/// Builds ablate with these options of `cargo build`, and returns the path of its program.
///
/// # Errors
/// [`ToolError`], when cargo does not start, fails, or reports no program.
pub(crate) fn build_ablate(options: &[&str]) -> Result<PathBuf, ToolError> {
    const TOOL: &str = "cargo build --package ablation";
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let Output { status, stdout, .. } = Command::new(cargo)
        .args(["build", "--quiet", "--package", "ablation", "--bins", "--message-format", "json-render-diagnostics"])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| ToolError::Start { tool: TOOL, source })?;
    if !status.success() {
        return Err(ToolError::Failed { tool: TOOL, status, stderr: "its messages are above".to_owned() });
    }
    // One message per line; that of a program has its path.
    let messages = serde_json::Deserializer::from_slice(&stdout).into_iter::<serde_json::Value>();
    let paths = messages.flatten().filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    paths.last().ok_or(ToolError::NoProgram)
}

/// The arguments that both arms share; `--arm` and its letter follow.
fn subject_args(pair: &Pair) -> Vec<String> {
    let mut args = vec!["subject".to_owned()];
    let numbers = [
        ("--steps-a", u64::from(pair.lengths.a)),
        ("--steps-b", u64::from(pair.lengths.b)),
        ("--batches", pair.batches as u64),
        ("--operations", pair.count),
    ];
    args.extend(numbers.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]));
    args
}

fn ablate(pair: &Pair, limit: Duration, programs: &Programs, dir: &Path) -> Result<Option<Attempt>, ToolError> {
    let (config, out) = (dir.join("planted.toml"), dir.join("out"));
    std::fs::write(&config, config_text(pair, &programs.own))
        .map_err(|source| ToolError::Write { path: config.clone(), source })?;
    let mut command = Command::new(&programs.ablate);
    command.arg("run").arg(&config).arg("--out").arg(&out);
    command.arg("--until-halfwidth").arg(format!("{:.4}ns", pair.target_ns));
    command.arg("--budget").arg(format!("{:.1}s", limit.as_secs_f64().max(0.1)));
    // Exit status 1: some run was invalid or failed, and ablate left it out of its interval.
    let took = timed("ablate", &mut command, &[0, 1])?;
    let effects = ablate_format::read_effects(&out)?.effects;
    let interval = interval::of_ablate(&effects).map_err(|source| ToolError::Unread {
        tool: "ablate",
        path: out.join(ablate_format::EFFECTS),
        source,
    })?;
    Ok(interval.map(|interval| Attempt { interval, took }))
}

/// A study with one factor, whose levels differ in one letter of an argument.
fn config_text(pair: &Pair, own: &Path) -> String {
    let args: Vec<String> = subject_args(pair).iter().map(|arg| toml_text(arg)).collect();
    format!(
        "study = \"planted\"\nseed = 1\nblocks = 6\ncounting_repeats = 0\narms = [\"args\"]\ndesign = [\"leave-one-out\"]\n\n\
         [subject]\ncommand = [{}]\nargs = [{}]\n\n\
         [[factor]]\nname = \"planted\"\nproof = [\"planted.operations\"]\n\
         [factor.levels]\non = {{ args = [\"--arm\", \"b\"] }}\noff = {{ args = [\"--arm\", \"a\"] }}\n\n\
         [[workload]]\nname = \"chain\"\nargs = []\nresponse = \"p10\"\n",
        toml_text(&own.to_string_lossy()),
        args.join(", "),
    )
}

/// A TOML string; JSON's escapes are TOML's as well.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hyperfine(pair: &Pair, runs: f64, programs: &Programs, dir: &Path) -> Result<Attempt, ToolError> {
    let export = dir.join("hyperfine.json");
    let mut command = Command::new(&programs.hyperfine);
    command.args(["--shell=none", "--style=none", "--warmup=1", "--runs"]).arg(format!("{runs:.0}"));
    command.arg("--export-json").arg(&export);
    for arm in ["a", "b"] {
        let args = subject_args(pair).join(" ");
        // hyperfine splits the command like a shell.
        let own = programs.own.to_string_lossy();
        command.arg(format!("{} {args} --plain --arm {arm}", shell_words::quote(&own)));
    }
    let took = timed("hyperfine", &mut command, &[0])?;
    let operations = pair.count * pair.batches as u64;
    let interval = read("hyperfine", &export, |json| interval::of_hyperfine(json, operations))?;
    Ok(Attempt { interval, took })
}

fn criterion(pair: &Pair, milliseconds: f64, programs: &Programs, dir: &Path) -> Result<Attempt, ToolError> {
    let mut took = Duration::ZERO;
    for (steps, baseline) in [(pair.lengths.a, "--save-baseline"), (pair.lengths.b, "--baseline")] {
        let mut command = Command::new(&programs.own);
        command.args(["criterion", "--steps"]).arg(steps.to_string()).arg("--home").arg(dir);
        command.arg("--milliseconds").arg(format!("{milliseconds:.0}")).args([baseline, "a"]);
        took += timed("criterion", &mut command, &[0])?;
    }
    let path = dir.join(crate::criterion_bench::ID).join("change/estimates.json");
    let interval = read("criterion", &path, |json| interval::of_criterion(json, pair.base_ns))?;
    Ok(Attempt { interval, took })
}

fn timed(tool: &'static str, command: &mut Command, good: &[i32]) -> Result<Duration, ToolError> {
    let before = Instant::now();
    let Output { status, stderr, .. } = command.output().map_err(|source| ToolError::Start { tool, source })?;
    let took = before.elapsed();
    if status.code().is_some_and(|code| good.contains(&code)) {
        return Ok(took);
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    let stderr = lines[lines.len().saturating_sub(20)..].join("\n");
    Err(ToolError::Failed { tool, status, stderr })
}

fn read<T>(tool: &'static str, path: &Path, parse: impl FnOnce(&str) -> Result<T, ReadError>) -> Result<T, ToolError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ToolError::NoFile { tool, path: path.to_owned(), source })?;
    parse(&text).map_err(|source| ToolError::Unread { tool, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair =
        Pair { lengths: Lengths { a: 90, b: 94 }, base_ns: 50.0, batches: 50, count: 4000, target_ns: 0.5 };

    #[test]
    fn the_arms_have_the_same_arguments_before_their_letter() {
        let args = subject_args(&PAIR);
        assert_eq!(args, ["subject", "--steps-a", "90", "--steps-b", "94", "--batches", "50", "--operations", "4000"]);
    }

    #[test]
    fn ablate_accepts_the_config() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = dir.path().join("planted.toml");
        let own = std::env::current_exe().expect("this program");
        std::fs::write(&config, config_text(&PAIR, &own)).expect("written");
        let ablate = build_ablate(&[]).expect("ablate can be built");
        let output = Command::new(ablate).arg("plan").arg(&config).output().expect("ablate starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stdout.contains("planted"), "{stdout}{stderr}");
    }

    #[test]
    fn a_text_is_a_toml_string() {
        assert_eq!(toml_text("a \"b\""), r#""a \"b\"""#);
    }
}
