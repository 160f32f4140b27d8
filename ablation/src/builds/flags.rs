//! Flags of rustc for one build. They come after those of the environment and of Cargo's configuration, which stay.

use super::cargo_files;
use crate::config::BuildSettings;
use std::path::Path;
use std::process::Command;

/// Between two flags in `CARGO_ENCODED_RUSTFLAGS` (Cargo reference, "Environment Variables").
const UNIT: char = '\u{1f}';

/// Adds the flags of a build to a call of cargo that runs in `root`.
///
/// Cargo takes flags from one of four places only. Where the environment has flags, these are joined to them. Elsewhere
/// they go to `target.'cfg(all())'.rustflags`, which cargo joins with every other `target` table, and those of
/// `build.rustflags`, which it would then leave out, are repeated.
pub(super) fn add(command: &mut Command, settings: &BuildSettings, root: &Path) {
    let cpu = settings.target_cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}"));
    let own: Vec<String> = settings.rustflags.iter().cloned().chain(cpu).collect();
    if own.is_empty() {
        return;
    }
    let of_environment = |name: &str| std::env::var(name).ok().filter(|flags| !flags.is_empty());
    if let Some(encoded) = of_environment("CARGO_ENCODED_RUSTFLAGS") {
        let flags: Vec<&str> = std::iter::once(encoded.as_str()).chain(own.iter().map(String::as_str)).collect();
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(&UNIT.to_string()));
        return;
    }
    if let Some(flags) = of_environment("RUSTFLAGS") {
        let flags: Vec<&str> = flags.split_whitespace().chain(own.iter().map(String::as_str)).collect();
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(&UNIT.to_string()));
        return;
    }
    let flags: Vec<toml::Value> = configured(root).into_iter().chain(own).map(toml::Value::String).collect();
    command.arg("--config").arg(format!("target.'cfg(all())'.rustflags={}", toml::Value::Array(flags)));
}

/// `build.rustflags` of Cargo's configuration for a folder, the most general file first.
fn configured(root: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for text in cargo_files::configurations(root).into_iter().rev() {
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        match table.get("build").and_then(|build| build.get("rustflags")) {
            Some(toml::Value::String(flags)) => out.extend(flags.split_whitespace().map(str::to_owned)),
            Some(toml::Value::Array(flags)) => {
                out.extend(flags.iter().filter_map(toml::Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_nearer_files_come_last() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let inner = dir.path().join("inner");
        for (folder, flags) in [(dir.path(), "\"-Ca=1 -Cb=2\""), (&inner, "[\"-Cc=3\"]")] {
            std::fs::create_dir_all(folder.join(".cargo")).expect("creates");
            std::fs::write(folder.join(".cargo/config.toml"), format!("[build]\nrustflags = {flags}\n"))
                .expect("writes");
        }
        let found = configured(&inner);
        assert_eq!(found[found.len() - 3..], ["-Ca=1", "-Cb=2", "-Cc=3"]);
    }
}
