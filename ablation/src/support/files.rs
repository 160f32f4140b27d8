//! Files that are replaced as a whole, and scratch folders.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// Permissions of a new file before the umask: read and write.
const PLAIN: u32 = 0o666;
/// Permissions of a new program before the umask: read, write and execute.
const PROGRAM: u32 = 0o777;

/// Replaces a file as a whole: after a crash or a power loss it has either the old or the new content. A link stays, and what
/// it leads to is replaced; a device or a pipe is written to.
///
/// # Errors
/// The system's error; the old content stays then.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Where nothing is yet, the path is that of the new file.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = place.as_path();
    let kind = path.metadata().ok().map(|found| found.file_type());
    if kind.is_some_and(|kind| !kind.is_file() && !kind.is_dir()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    let mut file = beside(path, PLAIN)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name itself is durable only with its folder.
    File::open(folder(path))?.sync_all()
}

/// A path without `.` and `..`, by its words alone: no link is followed.
pub(crate) fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// Name of the file by which git leaves a folder alone.
pub(crate) const HIDDEN: &str = ".gitignore";

/// Keeps git from seeing a folder, which is created when it does not exist. A folder that has files of others stays as it
/// is; one that cannot be written is told by the step that needs it.
pub(crate) fn hide_from_git(folder: &Path) {
    let is_new = std::fs::create_dir_all(folder).is_ok()
        && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if is_new {
        let _ = std::fs::write(folder.join(HIDDEN), "*\n");
    }
}

/// Replaces an executable script as a whole. It is never open for writing under its own name, because the system
/// refuses to execute a file that is. It is not synced, because it is written before every use.
///
/// # Errors
/// The system's error.
pub(crate) fn replace_script(path: &Path, text: &str) -> io::Result<()> {
    let mut file = beside(path, PROGRAM)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Copies a program as a whole: the path never has an incomplete copy.
///
/// # Errors
/// The system's error; the old file stays then.
pub(crate) fn place_program(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = beside(to, PROGRAM)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.persist(to)?;
    Ok(())
}

/// A new folder under a random name, below `parent` or among the system's temporary files. It is removed when the
/// result is dropped.
///
/// # Errors
/// The system's error.
pub(crate) fn scratch(parent: Option<&Path>) -> io::Result<TempDir> {
    let mut builder = Builder::new();
    builder.prefix(".ablate-");
    match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
}

/// What the names of half-written files begin with, before the number of the process that writes them.
const HALF: &str = ".new-";

/// A temporary file in the folder of a path, which can take the path's place by renaming.
fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let prefix = format!("{HALF}{}-", std::process::id());
    let made = Builder::new().prefix(&prefix).permissions(Permissions::from_mode(mode)).tempfile_in(folder(path));
    // The system's words alone: the name of the temporary file says nothing to a reader.
    made.map_err(|error| error.raw_os_error().map_or(error, io::Error::from_raw_os_error))
}

/// Whether a name is that of a half-written file, whose process may have been killed.
pub(crate) fn is_left(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(HALF.as_bytes())
}

/// Removes half-written files of processes that are gone. One that cannot be removed stays: it is in no way.
pub(crate) fn remove_left(dir: &Path) {
    let writer = |name: &OsStr| {
        let number = name.to_str()?.strip_prefix(HALF)?.split_once('-')?.0;
        number.parse::<u32>().ok()
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let is_gone = |writer: u32| !Path::new("/proc").join(writer.to_string()).exists();
        if writer(&entry.file_name()).is_some_and(is_gone) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
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
    fn a_link_stays_and_a_pipe_is_written_to() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (file, link, pipe) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("pipe"));
        std::fs::write(&file, "old").expect("writes");
        std::os::unix::fs::symlink(&file, &link).expect("links");
        replace(&link, b"new").expect("replaces");
        assert_eq!(std::fs::read_to_string(&file).expect("reads"), "new");
        assert!(link.symlink_metadata().expect("is there").is_symlink());
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo starts").success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).expect("reads")
        });
        replace(&pipe, b"through").expect("writes");
        assert_eq!(reader.join().expect("ends"), "through");
        assert!(!pipe.metadata().expect("is there").is_file());
    }

    #[test]
    fn half_written_files_of_processes_that_are_gone_are_removed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let own = format!(".new-{}-x", std::process::id());
        // No process has so large a number.
        for name in [".new-4194305-x", &own, ".new-x", ".newer-4194305-x", "new-4194305-x"] {
            std::fs::write(dir.path().join(name), "").expect("writes");
        }
        remove_left(dir.path());
        let left = std::fs::read_dir(dir.path()).expect("lists").map(|entry| entry.expect("is there").file_name());
        let mut left: Vec<String> = left.map(|name| name.to_string_lossy().into_owned()).collect();
        left.sort();
        assert_eq!(left, [&own, ".new-x", ".newer-4194305-x", "new-4194305-x"]);
        remove_left(Path::new("/no/such/folder"));
        assert!(is_left(OsStr::new(&own)) && !is_left(OsStr::new("new")));
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
