//! Cargo as it is called here: its metadata, one build, and what it says.

use super::{BuildError, Workspace};
use crate::config::CargoProgram;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `cargo metadata` says, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) default_run: Option<String>,
    pub(crate) targets: Vec<Target>,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// One target of a package, or of a message.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    kind: Vec<String>,
    #[serde(default, rename = "required-features")]
    pub(crate) required_features: Vec<String>,
}

impl Target {
    fn is_binary(&self) -> bool {
        self.kind.iter().any(|kind| kind == "bin")
    }
}

impl Package {
    /// Its binaries.
    pub(crate) fn binaries(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.is_binary())
    }
}

/// Asks cargo about the workspace of a manifest.
///
/// # Errors
/// [`BuildError::NoCargo`], [`BuildError::Manifest`].
pub(crate) fn metadata(manifest: &Path) -> Result<Metadata, BuildError> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let out = command.stdin(Stdio::null()).output().map_err(|source| BuildError::NoCargo { source })?;
    let bad = |message: String| BuildError::Manifest { manifest: manifest.to_owned(), message };
    if !out.status.success() {
        return Err(bad(first_error(&String::from_utf8_lossy(&out.stderr))));
    }
    serde_json::from_slice(&out.stdout).map_err(|e| bad(e.to_string()))
}

/// One call of cargo that builds a binary.
pub(super) struct Order<'a> {
    pub(super) program: &'a CargoProgram,
    pub(super) manifest: &'a Path,
    pub(super) features: &'a [String],
    /// Instead of the linker that cargo would take.
    pub(super) linker: Option<&'a Path>,
}

/// Builds one binary; its path is in the target folder of all builds, where the next build replaces it. The inner
/// error is the first line that says why there is none.
///
/// # Errors
/// [`BuildError::NoCargo`] and what the system refused.
pub(super) fn build(order: &Order, workspace: &Workspace, log: &Path) -> Result<Result<PathBuf, String>, BuildError> {
    let log_file = File::create(log).map_err(BuildError::io(log, "creating the log"))?;
    let CargoProgram { package, binary, profile, .. } = order.program;
    let mut command = cargo();
    command.args([if order.linker.is_some() { "rustc" } else { "build" }, "--profile", profile]);
    command.args(["--package", package, "--bin", binary, "--no-default-features"]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(order.manifest);
    if !order.features.is_empty() {
        command.args(["--features", &order.features.join(",")]);
    }
    if let Some(linker) = order.linker {
        // The last of two linkers counts, so that one of the environment is replaced as well.
        command.args(["--", "-C"]).arg(format!("linker={}", linker.display()));
    }
    command.env("CARGO_TARGET_DIR", target(workspace));
    // Cargo reads the settings of the folder that it is started in: the measured workspace's, wherever the runner is.
    command.current_dir(&workspace.root);
    let out = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).output();
    let out = out.map_err(|source| BuildError::NoCargo { source })?;
    if !out.status.success() {
        let text = std::fs::read(log).map_err(BuildError::io(log, "reading the log"))?;
        return Ok(Err(first_error(&String::from_utf8_lossy(&text))));
    }
    let built = executable(&String::from_utf8_lossy(&out.stdout), binary);
    Ok(built.ok_or_else(|| format!("cargo built no binary `{binary}`")))
}

/// The target folder that all feature sets share.
pub(super) fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("ablate/build")
}

/// Cargo as it was called, without what an outer `cargo run` says about its own package.
pub(super) fn cargo() -> Command {
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
pub(super) fn first_error(log: &str) -> String {
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
        let error = metadata(&manifest).expect_err("malformed").to_string();
        assert!(error.contains("Cargo.toml") && error.contains("manifest"), "{error}");
    }
}
