//! Builds one binary for each distinct feature set and puts it where nothing will overwrite it.
//!
//! All feature sets share one target folder, so that what does not depend on the features is compiled once. A build
//! that fails is kept with its log; only without the baseline there is nothing to compare.

use crate::config::{CargoProgram, nearest};
use crate::design::BuildPlan;
use crate::machine::sha256_of;
use crate::progress::{human, note};
use crate::record::{BuildFailure, BuildRecord, BuiltBinary};
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where things are on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Folder of the measured workspace.
    pub root: PathBuf,
    /// Its target folder, or what `ABLATE_TARGET_DIR` says.
    pub target: PathBuf,
}

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo cannot be started.
    #[error("cannot run cargo: {source}; install Rust, or put cargo on the PATH")]
    NoCargo {
        /// What the system said.
        source: io::Error,
    },
    /// Cargo does not understand the manifest.
    #[error("{manifest}: cargo cannot read this workspace: {message}; correct it, or `manifest` in the config")]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// What cargo said first.
        message: String,
    },
    /// The config names a package or a binary that is not there.
    #[error(
        "{manifest}: there is no {what} in this workspace{hint}; correct `package`, `binary` or `manifest` in the config"
    )]
    Unknown {
        /// The manifest.
        manifest: PathBuf,
        /// What is missing.
        what: String,
        /// The nearest that is there.
        hint: String,
    },
    /// The build that everything is compared with failed.
    #[error("the baseline build `{id}` failed, so there is nothing to compare: {message}\nthe whole log: {log}")]
    Baseline {
        /// The build.
        id: String,
        /// First error line.
        message: String,
        /// Path of the log.
        log: String,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted while building; nothing was measured yet")]
    Interrupted,
}

impl BuildError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> BuildError {
        let path = path.to_owned();
        move |source| BuildError::Io { path, doing, source }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

impl BuildError {
    /// Whether the config has to be changed.
    pub fn is_usage(&self) -> bool {
        matches!(self, BuildError::Manifest { .. } | BuildError::Unknown { .. })
    }
}

/// Asks cargo where the workspace of a subject is, and whether its package and binary are there. `target` replaces the
/// workspace's target folder.
///
/// # Errors
/// [`BuildError::NoCargo`], [`BuildError::Manifest`], [`BuildError::Unknown`].
pub fn workspace(program: &CargoProgram, target: Option<&Path>) -> Result<Workspace, BuildError> {
    let manifest = program.manifest();
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let out = command.output().map_err(|source| BuildError::NoCargo { source })?;
    let bad = |message: String| BuildError::Manifest { manifest: manifest.to_owned(), message };
    if !out.status.success() {
        return Err(bad(first_error(&String::from_utf8_lossy(&out.stderr))));
    }
    let found: Metadata = serde_json::from_slice(&out.stdout).map_err(|e| bad(e.to_string()))?;
    known(program, &found.packages)?;
    let target = match target {
        Some(given) => std::path::absolute(given).map_err(BuildError::io(given, "finding the folder"))?,
        None => found.target_directory,
    };
    Ok(Workspace { root: found.workspace_root, target })
}

/// Cargo's own message for these says something else.
fn known(program: &CargoProgram, packages: &[Package]) -> Result<(), BuildError> {
    let unknown = |what: String, name: &str, there: Vec<&str>| {
        let near = nearest(name, there.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| format!(", only {}", there.join(", ")));
        Err(BuildError::Unknown { manifest: program.manifest().to_owned(), what, hint })
    };
    let Some(package) = packages.iter().find(|package| package.name == program.package) else {
        let there = packages.iter().map(|package| package.name.as_str()).collect();
        return unknown(format!("package `{}`", program.package), &program.package, there);
    };
    let binaries = package.targets.iter().filter(|target| target.is_binary());
    let there: Vec<&str> = binaries.map(|target| target.name.as_str()).collect();
    if there.contains(&program.binary.as_str()) {
        return Ok(());
    }
    unknown(format!("binary `{}` of package `{}`", program.binary, program.package), &program.binary, there)
}

/// Builds all, the baseline first.
///
/// # Errors
/// [`BuildError`]; a build other than the first that fails is a [`BuildRecord`] instead.
pub fn build_all(
    program: &CargoProgram,
    plans: &[BuildPlan],
    workspace: &Workspace,
    logs: &Path,
) -> Result<Vec<BuildRecord>, BuildError> {
    let _alone = alone(&workspace.target.join("ablate"))?;
    let mut records = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let log = logs.join(format!("build-{}.log", plan.id));
        let features = if plan.features.is_empty() { "no features".to_owned() } else { plan.features.join(", ") };
        note(&format!("building {} ({} of {}): {features}", plan.id, index + 1, plans.len()));
        let started = Instant::now();
        let result = build(program, plan, workspace, &log)?;
        if crate::run::interrupt::asked() {
            return Err(BuildError::Interrupted);
        }
        match &result {
            Ok(_) => note(&format!("  built in {}", human(started.elapsed()))),
            Err(failure) if index == 0 => {
                let BuildFailure { message, log } = failure.clone();
                return Err(BuildError::Baseline { id: plan.id.clone(), message, log });
            }
            Err(failure) => {
                note(&format!("  failed: {}; its cells are left out; log: {}", failure.message, failure.log))
            }
        }
        records.push(BuildRecord { id: plan.id.clone(), features: plan.features.clone(), result, layouts: Vec::new() });
    }
    Ok(records)
}

/// One runner at a time builds here: every feature set puts its binary under the same name, and another runner's would
/// be copied instead. The lock ends with the result.
fn alone(dir: &Path) -> Result<File, BuildError> {
    std::fs::create_dir_all(dir).map_err(BuildError::io(dir, "creating the folder"))?;
    let path = dir.join("build.lock");
    let lock = File::create(&path).map_err(BuildError::io(&path, "creating the lock"))?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => note("waiting for another ablate to finish building"),
        Err(std::fs::TryLockError::Error(e)) => return Err(BuildError::io(&path, "locking")(e)),
    }
    lock.lock().map_err(BuildError::io(&path, "locking"))?;
    Ok(lock)
}

fn build(
    program: &CargoProgram,
    plan: &BuildPlan,
    workspace: &Workspace,
    log: &Path,
) -> Result<Result<BuiltBinary, BuildFailure>, BuildError> {
    let log_file = File::create(log).map_err(BuildError::io(log, "creating the log"))?;
    let mut command = cargo();
    command.args(["build", "--profile", &program.profile, "--package", &program.package, "--bin", &program.binary]);
    command.args(["--no-default-features", "--message-format", "json-render-diagnostics", "--manifest-path"]);
    // Absolute, since cargo is started elsewhere.
    command.arg(
        std::path::absolute(program.manifest()).map_err(BuildError::io(program.manifest(), "finding the manifest"))?,
    );
    if !plan.features.is_empty() {
        command.args(["--features", &plan.features.join(",")]);
    }
    command.env("CARGO_TARGET_DIR", workspace.target.join("ablate/build"));
    // Cargo reads the settings of the folder that it is started in: the measured workspace's, wherever the runner is.
    command.current_dir(&workspace.root);
    let out = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).output();
    let out = out.map_err(|source| BuildError::NoCargo { source })?;
    let failure = |message: String| BuildFailure { message, log: log.display().to_string() };
    if !out.status.success() {
        let text = std::fs::read(log).map_err(BuildError::io(log, "reading the log"))?;
        return Ok(Err(failure(first_error(&String::from_utf8_lossy(&text)))));
    }
    match executable(&String::from_utf8_lossy(&out.stdout), &program.binary) {
        Some(built) => keep(&built, plan, program, workspace).map(Ok),
        None => Ok(Err(failure(format!("cargo built no binary `{}`", program.binary)))),
    }
}

/// Copies a binary to a place that is named by its content, so that later builds leave it alone.
fn keep(
    built: &Path,
    plan: &BuildPlan,
    program: &CargoProgram,
    workspace: &Workspace,
) -> Result<BuiltBinary, BuildError> {
    let sha256 = sha256_of(built).map_err(BuildError::io(built, "reading the binary"))?;
    let dir = workspace.target.join("ablate/bin").join(format!("{}-{}", plan.id, &sha256[..12]));
    std::fs::create_dir_all(&dir).map_err(BuildError::io(&dir, "creating the folder"))?;
    let path = dir.join(&program.binary);
    let there = sha256_of(&path).is_ok_and(|there| there == sha256);
    if !there {
        // Under another name first: half a binary must never look like a whole one.
        let temporary = dir.join(format!(".new-{}", std::process::id()));
        std::fs::copy(built, &temporary).map_err(BuildError::io(&temporary, "copying the binary"))?;
        std::fs::rename(&temporary, &path).map_err(BuildError::io(&path, "placing the binary"))?;
    }
    Ok(BuiltBinary { path: path.display().to_string(), sha256 })
}

/// Cargo as it was called, without what an outer `cargo run` says about its own package.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let outer = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_FEATURE_", "CARGO_CFG_", "ABLATE_"];
        let exact = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"];
        if outer.iter().any(|prefix| text.starts_with(prefix)) || exact.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command
}

/// The first line that says what is wrong.
fn first_error(log: &str) -> String {
    let line = log.lines().find(|line| line.starts_with("error"));
    let line = line.or_else(|| log.lines().rev().find(|line| !line.trim().is_empty()));
    line.unwrap_or("no message").trim().to_owned()
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Target {
    fn is_binary(&self) -> bool {
        self.kind.iter().any(|kind| kind == "bin")
    }
}

/// Path of the binary in cargo's messages.
fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let ours = |m: &Message| {
        let target = m.target.as_ref().is_some_and(|t| t.name == binary && t.is_binary());
        m.reason == "compiler-artifact" && target
    };
    artifacts.filter(ours).find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"x","kind":["lib"]},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"x","kind":["bin"]},"executable":"/t/x"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "x").as_deref(), Some(Path::new("/t/x")));
        assert_eq!(executable(messages, "y"), None);
    }

    #[test]
    fn the_first_error_is_quoted() {
        assert_eq!(first_error("   Compiling x\nerror[E0425]: no y\nerror: could not"), "error[E0425]: no y");
        assert_eq!(first_error("something\n\n"), "something");
        assert_eq!(first_error(""), "no message");
    }

    #[test]
    fn a_manifest_that_cargo_refuses_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let manifest = dir.path().join("Cargo.toml");
        std::fs::write(&manifest, "[package\n").expect("writes");
        let study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("good");
        let mut program = crate::study::cargo_program(&study).clone();
        program.source = crate::config::Source::Manifest(manifest);
        let error = workspace(&program, None).expect_err("malformed").to_string();
        assert!(error.contains("Cargo.toml") && error.contains("manifest"), "{error}");
    }
}
