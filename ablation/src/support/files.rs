//! Files that are there whole or not at all, and folders for what is soon removed.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::{Builder, NamedTempFile, TempDir};

/// Permissions of a new file before the umask: to read and write.
const PLAIN: u32 = 0o666;
/// Permissions of a new program before the umask.
const PROGRAM: u32 = 0o777;

/// Writes a file so that either the old or the new content is there, whatever happens, a power loss included.
///
/// # Errors
/// What the system said; the old content is untouched then.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(path, PLAIN)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name itself is durable only with its folder.
    File::open(folder(path))?.sync_all()
}

/// Like [`replace`], for a script that can be executed: it is never open for writing under its name, which the system
/// would refuse to execute. Not synced, since it is written again whenever it is needed.
///
/// # Errors
/// What the system said.
pub(crate) fn replace_script(path: &Path, text: &str) -> io::Result<()> {
    let mut file = beside(path, PROGRAM)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Copies a program to a place where half of it must never look like a whole one.
///
/// # Errors
/// What the system said; what was there before is untouched then.
pub(crate) fn place_program(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = beside(to, PROGRAM)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.persist(to)?;
    Ok(())
}

/// A folder of this process's own under a name that cannot be guessed, removed with the result: below `parent`, or
/// where the system has its temporary files.
///
/// # Errors
/// What the system said.
pub(crate) fn scratch(parent: Option<&Path>) -> io::Result<TempDir> {
    let mut builder = Builder::new();
    builder.prefix(".ablate-");
    match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
}

fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    Builder::new().prefix(".new-").permissions(Permissions::from_mode(mode)).tempfile_in(folder(path))
}

/// The folder of a file. An empty parent is the current folder.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("x");
        for text in ["first", "second, longer"] {
            replace(&path, text.as_bytes()).expect("replaces");
            assert_eq!(std::fs::read_to_string(&path).expect("reads"), text);
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 1);
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o400, 0o400, "{mode:o}");
        // A folder is in the way: the error leaves nothing behind.
        std::fs::create_dir(dir.path().join("y")).expect("creates");
        assert!(replace(&dir.path().join("y"), b"z").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 2);
    }

    #[test]
    fn programs_and_scripts_can_be_executed_by_their_owner() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (script, copy) = (dir.path().join("script"), dir.path().join("copy"));
        replace_script(&script, "#!/bin/sh\n").expect("writes");
        place_program(&script, &copy).expect("copies");
        for path in [&script, &copy] {
            let mode = std::fs::metadata(path).expect("is there").permissions().mode();
            assert_eq!(mode & 0o700, 0o700, "{mode:o}");
        }
        assert_eq!(std::fs::read(&copy).expect("reads"), b"#!/bin/sh\n");
    }
}
