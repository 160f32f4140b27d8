//! What decides a binary besides its sources and its features: for the manifest, and for a study that is resumed.

use super::cargo_files;
use crate::config::CargoProgram;
use crate::design::BuildPlan;
use ablate_format::os_to_text;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Variables that cargo, rustc and the builds of C code read.
const VARIABLES: [&str; 14] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
    "CARGO_INCREMENTAL",
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "MAKEFLAGS",
];

/// What variables of cargo's configuration begin with (Cargo reference, "Configuration").
const PREFIXES: [&str; 3] = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_"];

/// The settings of a build by name. `program` is `None` for one that a command builds. `root` is the folder of the
/// sources.
pub(super) fn by(plan: &BuildPlan, program: Option<&CargoProgram>, root: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    // A name or value that is not UTF-8 is shown as files show paths.
    let vars = std::env::vars_os().map(|(name, value)| (os_to_text(name), os_to_text(value)));
    for (name, value) in vars {
        let is_place = name == "CARGO_TARGET_DIR" || name == "CARGO_BUILD_TARGET_DIR" || name == "CARGO_BUILD_JOBS";
        let decides = VARIABLES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if decides && !is_place && !value.is_empty() {
            out.insert(name, value.replace('\u{1f}', " "));
        }
    }
    match program {
        Some(program) => {
            out.insert("profile".to_owned(), program.profile.clone());
            let files = cargo_files::configurations(root).join("\n");
            if !files.is_empty() {
                out.insert("cargo-config-sha256".to_owned(), sha256(files.as_bytes()));
            }
            if let Some(version) = rustc(plan, root) {
                out.insert("compiler".to_owned(), version);
            }
        }
        None => {
            let compiler = plan.settings.env.get("CC").cloned().or_else(|| std::env::var("CC").ok());
            if let Some(version) = said(Command::new(compiler.unwrap_or_else(|| "cc".to_owned())).arg("--version")) {
                out.insert("compiler".to_owned(), version);
            }
        }
    }
    out.extend(plan.settings.shown());
    out
}

fn rustc(plan: &BuildPlan, root: &Path) -> Option<String> {
    let mut command = match &plan.settings.toolchain {
        Some(toolchain) => {
            let mut command = Command::new("rustup");
            command.env_remove("RUSTUP_TOOLCHAIN").args(["run", toolchain, "rustc"]);
            command
        }
        None => Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())),
    };
    said(command.arg("-V").current_dir(root))
}

/// The first line that a program prints.
pub(super) fn said(command: &mut Command) -> Option<String> {
    let out = command.stdin(Stdio::null()).output().ok().filter(|out| out.status.success())?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// SHA-256 of bytes, hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
