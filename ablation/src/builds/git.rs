//! Calls of git.

use super::error::BuildError;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What git prints.
///
/// # Errors
/// [`BuildError::Git`].
pub(crate) fn git(repository: &Path, args: &[&str]) -> Result<String, BuildError> {
    run(Command::new("git").args(args), repository)
}

/// What a call of git prints in a folder.
///
/// # Errors
/// [`BuildError::Git`].
pub(super) fn run(command: &mut Command, folder: &Path) -> Result<String, BuildError> {
    Ok(String::from_utf8_lossy(&bytes(command, folder)?).into_owned())
}

/// The paths that git prints with `-z`.
///
/// # Errors
/// [`BuildError::Git`].
pub(super) fn paths(repository: &Path, args: &[&str]) -> Result<Vec<PathBuf>, BuildError> {
    let out = bytes(Command::new("git").args(args), repository)?;
    let names = out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
}

fn bytes(command: &mut Command, folder: &Path) -> Result<Vec<u8>, BuildError> {
    let failed = |message: String| BuildError::Git { folder: folder.to_owned(), message };
    let out = command.current_dir(folder).stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let text = String::from_utf8_lossy(&out.stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(failed(line.trim().to_owned()))
}

/// Top folder of the repository of a folder.
///
/// # Errors
/// What git says: that there is no repository, or why it does not use the one that is there.
pub(crate) fn top(folder: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new("git");
    command.args(["rev-parse", "--show-toplevel"]).current_dir(folder).stdin(Stdio::null());
    let out = command.output().map_err(|e| format!("git cannot be run: {e}; install it"))?;
    if !out.status.success() {
        // Where git distrusts a repository, the lines after the first have the command that allows it.
        let text = String::from_utf8_lossy(&out.stderr);
        let words: Vec<&str> = text.split_whitespace().collect();
        return Err(words.join(" ").trim_start_matches("fatal: ").to_owned());
    }
    let text = out.stdout.strip_suffix(b"\n").unwrap_or(&out.stdout);
    Ok(PathBuf::from(OsStr::from_bytes(text)))
}
