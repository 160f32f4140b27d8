//! Cargo's own folder and configuration files, and those of rustup in sources.

use std::path::{Path, PathBuf};

/// The files in which sources name their toolchain, so that rustup chooses it there.
pub(super) const TOOLCHAIN: [&str; 2] = ["rust-toolchain.toml", "rust-toolchain"];

/// Cargo's own folder (Cargo reference, "Cargo Home").
pub(super) fn home() -> Option<PathBuf> {
    match std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(home.into()),
        None => std::env::home_dir().map(|home| home.join(".cargo")),
    }
}

/// The texts of Cargo's configuration files for a folder, the nearest first.
pub(crate) fn configurations(root: &Path) -> Vec<String> {
    let home = home();
    let folders = root.ancestors().map(|folder| folder.join(".cargo"));
    let folders = folders.filter(|folder| Some(folder) != home.as_ref()).chain(home.clone());
    let first = |folder: PathBuf| {
        ["config.toml", "config"].iter().find_map(|name| std::fs::read_to_string(folder.join(name)).ok())
    };
    folders.filter_map(first).collect()
}
