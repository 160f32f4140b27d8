//! Calls of cargo: metadata, and builds with their messages.

use super::cargo_files;
use super::error::BuildError;
use super::flags;
use super::workspace::Workspace;
use crate::config::{CargoProgram, CargoTarget as Kind};
use crate::design::BuildPlan;
use cargo_metadata::{Message, MetadataCommand};
pub(crate) use cargo_metadata::{Metadata, Package, Target};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The binaries of a package.
pub(crate) fn binaries(package: &Package) -> impl Iterator<Item = &Target> {
    targets(package, Kind::Bin)
}

/// The targets of a kind that a package has.
pub(crate) fn targets(package: &Package, kind: Kind) -> impl Iterator<Item = &Target> {
    package.targets.iter().filter(move |target| is_kind(target, kind))
}

fn is_kind(target: &Target, kind: Kind) -> bool {
    match kind {
        Kind::Bin => target.is_bin(),
        Kind::Bench { .. } => target.is_bench(),
    }
}

/// The word for a kind of target.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Bin => "binary",
        Kind::Bench { .. } => "benchmark",
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
    MetadataCommand::parse(String::from_utf8_lossy(&out.stdout)).map_err(|e| bad(e.to_string()))
}

/// The variable that lets a stable compiler take unstable features: in all crates with `1`, or in those it names.
const BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";

/// Where the sources of a build are.
pub(super) struct Sources {
    /// Folder of the workspace.
    pub(super) root: PathBuf,
    /// Manifest of the package.
    pub(super) manifest: PathBuf,
}

/// The arguments of one call of cargo that builds a binary.
pub(super) struct CargoBuild<'a> {
    pub(super) program: &'a CargoProgram,
    pub(super) sources: &'a Sources,
    pub(super) plan: &'a BuildPlan,
    /// The linker instead of cargo's own choice.
    pub(super) linker: Option<&'a Path>,
}

/// Builds one binary. Its path is in the shared target folder, where the next build replaces it. The inner error is the
/// first line of cargo that gives a reason.
///
/// # Errors
/// [`BuildError::NoCargo`] or [`BuildError::Io`].
pub(super) fn build(
    call: &CargoBuild,
    workspace: &Workspace,
    log: &Path,
) -> Result<Result<PathBuf, String>, BuildError> {
    let log_file = File::create(log).map_err(BuildError::io(log, "creating the log"))?;
    let CargoProgram { package, binary, target: own, .. } = call.program;
    let settings = &call.plan.settings;
    let profile = settings.profile.as_deref().unwrap_or(&call.program.profile);
    let is_named =
        settings.toolchain.is_none() && call.sources.root != workspace.root && names_toolchain(&call.sources.root);
    let mut command = if is_named { unbound("cargo") } else { cargo_of(settings.toolchain.as_deref()) };
    command.args([if call.linker.is_some() { "rustc" } else { "build" }, "--profile", profile]);
    let selected = if *own == Kind::Bin { "--bin" } else { "--bench" };
    command.args(["--package", &specification(call.sources, package, *own), selected, binary, "--no-default-features"]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(&call.sources.manifest);
    if !call.plan.features.is_empty() {
        command.args(["--features", &call.plan.features.join(",")]);
    }
    for (key, value) in &settings.profile_keys {
        command.arg("--config").arg(format!("profile.{profile}.{key}={value}"));
    }
    flags::add(&mut command, settings, &call.sources.root);
    if let Some(linker) = call.linker {
        // rustc uses the last of two linkers, so a linker of the environment is replaced as well.
        command.args(["--", "-C"]).arg(format!("linker={}", linker.display()));
    }
    command.env("CARGO_TARGET_DIR", target(workspace)).envs(&settings.env);
    if *own == (Kind::Bench { libtest: true }) && std::env::var_os(BOOTSTRAP).is_none() {
        // `#[bench]` is unstable. Named, only this crate may use it, so that no dependency finds another compiler.
        command.env(BOOTSTRAP, binary.replace('-', "_"));
    }
    // Cargo reads the settings of its working folder, which must be those of the measured workspace.
    command.current_dir(&call.sources.root);
    let out = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).output();
    let out = out.map_err(|source| BuildError::NoCargo { source })?;
    if !out.status.success() {
        let text = std::fs::read(log).map_err(BuildError::io(log, "reading the log"))?;
        return Ok(Err(first_error(&String::from_utf8_lossy(&text))));
    }
    let built = executable(&out.stdout, binary, *own);
    Ok(built.ok_or_else(|| format!("cargo built no {} `{binary}`", kind(*own))))
}

/// What names a package to cargo. What a benchmark depends on may use a published version of the package itself, and
/// then its name alone is of two packages.
fn specification(sources: &Sources, package: &str, kind: Kind) -> String {
    let found = if kind == Kind::Bin { None } else { metadata(&sources.manifest).ok() };
    let id = found.and_then(|found| Some(found.packages.iter().find(|own| own.name == package)?.id.repr.clone()));
    // Before Rust 1.77 an id was no specification.
    id.filter(|id| id.starts_with("path+")).unwrap_or_else(|| package.to_owned())
}

/// The target folder that all feature sets share.
pub(super) fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("ablate/build")
}

fn names_toolchain(root: &Path) -> bool {
    cargo_files::TOOLCHAIN.iter().any(|name| root.join(name).is_file())
}

/// Those of some features that a package has in these sources, and those that it lacks. Where cargo cannot say it, all
/// are kept: its build gives the reason.
pub(super) fn divided(sources: &Sources, package: &str, features: &[String]) -> (Vec<String>, Vec<String>) {
    let found = metadata(&sources.manifest).ok();
    let package = found.as_ref().and_then(|found| found.packages.iter().find(|own| own.name == package));
    // Cargo itself checks `dependency/feature`.
    let has = |name: &String| name.contains('/') || package.is_none_or(|own| own.features.contains_key(name));
    features.iter().cloned().partition(has)
}

/// A program of Rust as rustup chooses it for the folder that it runs in, not the one that called ablate.
pub(super) fn unbound(program: &str) -> Command {
    let mut command = without_outer_package(Command::new(program));
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
        command.env_remove(name);
    }
    command
}

/// The cargo of a toolchain that rustup knows, or the one that called ablate.
fn cargo_of(toolchain: Option<&str>) -> Command {
    let Some(toolchain) = toolchain else { return cargo() };
    let mut command = without_outer_package(Command::new("rustup"));
    // Variables that bind to the toolchain that runs now.
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC", "RUSTC_WRAPPER"] {
        command.env_remove(name);
    }
    command.args(["run", toolchain, "cargo"]);
    command
}

/// Whether everything that cargo compiles is in the sources or in a registry, so that their hashes tell what it is. A
/// dependency by a path beyond the workspace is not.
pub(super) fn is_closed(sources: &Sources) -> bool {
    let lock = std::fs::read_to_string(sources.root.join("Cargo.lock")).ok();
    let lock = lock.and_then(|text| text.parse::<toml::Table>().ok());
    let (Some(lock), Ok(found)) = (lock, metadata(&sources.manifest)) else { return false };
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let mut by_path = packages.filter(|package| package.get("source").is_none());
    by_path.all(|package| {
        let name = package.get("name").and_then(toml::Value::as_str);
        name.is_some_and(|name| found.packages.iter().any(|own| own.name == name))
    })
}

/// The cargo that called ablate, without the variables that an outer `cargo run` sets about its own package.
pub(super) fn cargo() -> Command {
    without_outer_package(Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

fn without_outer_package(mut command: Command) -> Command {
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

/// The first line of a log that gives a reason: the first error, else the last line.
pub(super) fn first_error(log: &str) -> String {
    let line = log.lines().find(|line| line.starts_with("error"));
    let line = line.or_else(|| log.lines().rev().find(|line| !line.trim().is_empty()));
    line.unwrap_or("no message").trim().to_owned()
}

/// Path of the binary in cargo's messages.
fn executable(messages: &[u8], binary: &str, kind: Kind) -> Option<PathBuf> {
    Message::parse_stream(messages).filter_map(Result::ok).find_map(|message| match message {
        Message::CompilerArtifact(artifact) if artifact.target.name == binary && is_kind(&artifact.target, kind) => {
            artifact.executable.map(Into::into)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_the_messages() {
        let artifact = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"x","manifest_path":"/x/Cargo.toml","target":{{"name":"x",
                "kind":["{kind}"],"src_path":"/x/x.rs"}},"profile":{{"opt_level":"3","debug_assertions":false,
                "overflow_checks":false,"test":false}},"features":[],"filenames":[],"executable":{executable},
                "fresh":false}}"#
            )
            .replace('\n', "")
        };
        let end = r#"{"reason":"build-finished","success":true}"#;
        let (bin, bench) = (artifact("bin", "\"/t/x\""), artifact("bench", "\"/t/b\""));
        let messages = [&artifact("lib", "null"), "not json", &bench, &bin, end].join("\n");
        let messages = messages.as_bytes();
        assert_eq!(executable(messages, "x", Kind::Bin).as_deref(), Some(Path::new("/t/x")));
        let bench = Kind::Bench { libtest: false };
        assert_eq!(executable(messages, "x", bench).as_deref(), Some(Path::new("/t/b")));
        assert_eq!(executable(messages, "y", Kind::Bin), None);
    }

    #[test]
    fn the_first_error_of_a_log_is_found() {
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
