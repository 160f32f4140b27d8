//! Packages of the registry: cargo fetches them, ablate copies each to its own folder, and they are built there like
//! any other package.

use super::cargo::{cargo, first_error};
use super::cargo_files;
use super::error::BuildError;
use crate::support::files;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Folder of a package with its sources, below `target`. Fetches the package when the folder does not exist.
///
/// # Errors
/// [`BuildError::Fetch`] when cargo cannot get it, or [`BuildError::Io`].
pub(crate) fn fetch(name: &str, version: &str, target: &Path) -> Result<PathBuf, BuildError> {
    let parent = target.join("ablate/registry");
    let dir = parent.join(format!("{name}-{version}"));
    if dir.join("Cargo.toml").is_file() {
        return Ok(dir);
    }
    let source = download(name, version, &parent)?;
    // Copied under another name first, so that an incomplete package is never used.
    let copy_all = || {
        let scratch = files::scratch(Some(&parent))?;
        // A folder within the scratch folder, which itself is closed to other users.
        let copied = scratch.path().join("package");
        copy(&source, &copied)?;
        stand_alone(&copied.join("Cargo.toml"))?;
        std::fs::rename(&copied, &dir)
    };
    match copy_all() {
        // Another runner may have made the same copy meanwhile.
        Err(e) if !dir.join("Cargo.toml").is_file() => Err(BuildError::io(&dir, "copying the package")(e)),
        _ => Ok(dir),
    }
}

/// Lets cargo fetch a package as a dependency of an empty package, and finds the sources.
fn download(name: &str, version: &str, parent: &Path) -> Result<PathBuf, BuildError> {
    std::fs::create_dir_all(parent).map_err(BuildError::io(parent, "creating the folder"))?;
    let scratch = files::scratch(Some(parent)).map_err(BuildError::io(parent, "creating a folder"))?;
    let (manifest, src) = (scratch.path().join("Cargo.toml"), scratch.path().join("src"));
    let text = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n\
         fetched = {{ package = \"{name}\", version = \"={version}\", default-features = false }}\n\n[workspace]\n"
    );
    std::fs::create_dir_all(&src).map_err(BuildError::io(&src, "creating the folder"))?;
    std::fs::write(&manifest, text).map_err(BuildError::io(&manifest, "writing"))?;
    std::fs::write(src.join("lib.rs"), "").map_err(BuildError::io(&src, "writing"))?;
    // Not `--no-deps`: only resolving the dependencies fetches them.
    let run = |offline: &[&str]| {
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1"]).args(offline).arg("--manifest-path").arg(&manifest);
        command
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .output()
            .map_err(|source| BuildError::NoCargo { source })
    };
    let mut out = run(&["--offline"])?;
    if !out.status.success() {
        out = run(&[])?;
    }
    let failed = |message: String| BuildError::Fetch { name: name.to_owned(), version: version.to_owned(), message };
    if !out.status.success() {
        return Err(failed(first_error(&String::from_utf8_lossy(&out.stderr))));
    }
    // Cargo fetches a package without a library and leaves it out of the metadata, so its folder is looked for by name.
    let sources = cargo_files::home().map(|home| home.join("registry/src"));
    let indexes = sources.and_then(|sources| std::fs::read_dir(sources).ok());
    let folders = indexes.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut packages = folders.map(|folder| folder.join(format!("{name}-{version}")));
    let found = packages.find(|folder| folder.join("Cargo.toml").is_file());
    found.ok_or_else(|| failed("cargo fetched it, but its sources are not in cargo's home folder".to_owned()))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => copy(&entry.path(), &target)?,
            kind if kind.is_file() => drop(std::fs::copy(entry.path(), &target)?),
            // Packages of a registry have only files and folders.
            _ => {}
        }
    }
    Ok(())
}

/// Keeps cargo from looking for a workspace in the folders above.
fn stand_alone(manifest: &Path) -> std::io::Result<()> {
    let mut text = std::fs::read_to_string(manifest)?;
    let has_workspace = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("workspace"));
    if !has_workspace {
        text.push_str("\n[workspace]\n");
    }
    std::fs::write(manifest, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_and_stands_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir_all(from.join("src")).expect("creates");
        std::fs::write(from.join("Cargo.toml"), "[package]\nname = \"a\"").expect("writes");
        std::fs::write(from.join("src/main.rs"), "fn main() {}").expect("writes");
        copy(&from, &to).expect("copies");
        stand_alone(&to.join("Cargo.toml")).expect("reads and writes");
        stand_alone(&to.join("Cargo.toml")).expect("changes nothing");
        let text = std::fs::read_to_string(to.join("Cargo.toml")).expect("reads");
        assert_eq!(text, "[package]\nname = \"a\"\n[workspace]\n");
        assert_eq!(std::fs::read_to_string(to.join("src/main.rs")).expect("reads"), "fn main() {}");
    }
}
