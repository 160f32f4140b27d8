//! The program that is to be run: where it is, and what of it keeps the loader from preloading a library.

use crate::error::Error;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fmt};

/// Why the loader does not preload a library into a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It has no loader.
    Static,
    /// It runs with more rights than its user.
    Secure,
    /// It is for another processor, or for 32 bits.
    OtherMachine,
    /// Its loader is that of musl.
    Musl,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::Static => {
                "is linked statically, so that no loader reads LD_PRELOAD; link it with libhakmem.a, or use hakmem as the \
                 allocator of a Rust program"
            }
            Obstacle::Secure => {
                "runs with more rights than its user (set-user-id, set-group-id or file capabilities), and the loader ignores \
                 LD_PRELOAD then; start it as the user whose rights it gets, or install the library into a folder of the \
                 loader and name it in /etc/ld.so.preload, which then counts for every program"
            }
            Obstacle::OtherMachine => "is built for another processor than the library; build the library for that one",
            Obstacle::Musl => "uses musl as its C library, and the library needs glibc; build the program for glibc",
        })
    }
}

/// Finds a program as the shell does: by its path if the name has a slash, else in `PATH`.
///
/// # Errors
/// There is none.
pub(crate) fn find(name: &OsStr) -> Result<PathBuf, Error> {
    let shown = || name.to_string_lossy().into_owned();
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match path.metadata() {
            Ok(data) if data.is_dir() => Err(Error::Start(shown(), ErrorKind::IsADirectory.into())),
            Ok(_) => Ok(path),
            Err(_) => Err(Error::NoProgram(shown(), "look at the path")),
        };
    }
    let is_program = |path: &PathBuf| path.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0);
    let folders = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    let found = env::split_paths(&folders).map(|folder| folder.join(name)).find(is_program);
    found.ok_or_else(|| Error::NoProgram(shown(), "no folder of PATH has it"))
}

/// What keeps the loader from preloading, if anything that is known does. A script is as its interpreter.
pub(crate) fn obstacle(path: &Path) -> Option<Obstacle> {
    obstacle_within(path, SCRIPTS_MAX)
}

/// Scripts whose interpreters are scripts: as many as the kernel follows.
const SCRIPTS_MAX: u32 = 5;

fn obstacle_within(path: &Path, scripts: u32) -> Option<Obstacle> {
    let mut file = File::open(path).ok()?;
    let mut start = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut start).ok()?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let mut words = line.split(|byte| [b' ', b'\t'].contains(byte)).filter(|word| !word.is_empty());
        let interpreter = OsStr::from_bytes(words.next()?);
        let is_env = Path::new(interpreter).file_name() == Some(OsStr::new("env"));
        let named = words.find(|word| !word.starts_with(b"-")).map(OsStr::from_bytes);
        let interpreter = if is_env { find(named?).ok()? } else { interpreter.into() };
        return if scripts == 0 { None } else { obstacle_within(&interpreter, scripts - 1) };
    }
    if is_secure(path) {
        return Some(Obstacle::Secure);
    }
    of_elf(&start, &mut file)
}

/// Whether the loader treats the program as one with more rights.
fn is_secure(path: &Path) -> bool {
    // SAFETY: both calls read a number of the process.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let Ok(data) = path.metadata() else { return false };
    let is_set = |bit| data.mode() & bit != 0;
    if is_set(libc::S_ISUID) && data.uid() != user || is_set(libc::S_ISGID) && data.gid() != group {
        return true;
    }
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: two strings; a size of 0 only asks for the length.
    let len = unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    len > 0 && user != 0
}

/// What the headers of an ELF file say.
fn of_elf(start: &[u8], file: &mut File) -> Option<Obstacle> {
    const PT_INTERP: u32 = 3;
    const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    let half = |at: usize| Some(u16::from_le_bytes(start.get(at..at + 2)?.try_into().ok()?));
    let word = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if !start.starts_with(b"\x7fELF") {
        return None;
    }
    // 64 bits, little endian.
    if start.get(4..6)? != [2, 1] || half(18)? != MACHINE {
        return Some(Obstacle::OtherMachine);
    }
    let (table, size, count) = (long(start, 32)?, half(54)?, half(56)?);
    file.seek(SeekFrom::Start(table)).ok()?;
    let mut headers = Vec::new();
    file.by_ref().take(u64::from(size) * u64::from(count)).read_to_end(&mut headers).ok()?;
    let interpreter = headers.chunks(usize::from(size).max(1)).find(|header| word(header, 0) == Some(PT_INTERP));
    let Some(header) = interpreter else { return Some(Obstacle::Static) };
    file.seek(SeekFrom::Start(long(header, 8)?)).ok()?;
    let mut loader = Vec::new();
    file.take(long(header, 32)?.min(4096)).read_to_end(&mut loader).ok()?;
    loader.windows(7).any(|name| name == b"ld-musl").then_some(Obstacle::Musl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_path_or_name() {
        assert!(find(OsStr::new("sh")).is_ok());
        assert!(find(OsStr::new("/bin/sh")).is_ok());
        for missing in ["no-such-program-here", "/no/such/program", ""] {
            assert!(matches!(find(OsStr::new(missing)), Err(Error::NoProgram(..))), "{missing}");
        }
        assert!(matches!(find(OsStr::new("/usr/bin/")), Err(Error::Start(..))));
    }

    #[test]
    fn nothing_keeps_the_loader_from_this_program() {
        assert_eq!(obstacle(&env::current_exe().expect("a path")), None);
    }

    #[test]
    fn obstacles_are_read_from_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("writable");
            path
        };
        let own = std::fs::read(env::current_exe().expect("a path")).expect("readable");
        let table = usize::try_from(u64::from_le_bytes(own[32..40].try_into().expect("8 bytes"))).expect("an offset");
        let count = usize::from(u16::from_le_bytes(own[56..58].try_into().expect("2 bytes")));
        let mut without = own.clone();
        for header in 0..count {
            let at = table + header * 56;
            if own[at] == 3 {
                without[at] = 0;
            }
        }
        let static_one = write("static", &without);
        assert_eq!(obstacle(&static_one), Some(Obstacle::Static));
        let mut other = own.clone();
        other[18] = 3;
        assert_eq!(obstacle(&write("other", &other)), Some(Obstacle::OtherMachine));
        let script = format!("#! {}\n", static_one.display());
        assert_eq!(obstacle(&write("script", script.as_bytes())), Some(Obstacle::Static));
        assert_eq!(obstacle(&write("env", b"#!/usr/bin/env -S sh -e\n")), None);
        let looped = folder.path().join("loop");
        assert_eq!(obstacle(&write("loop", format!("#!{}\n", looped.display()).as_bytes())), None);
        for broken in [&b""[..], b"#!", b"\x7fELF", &own[..40], b"text"] {
            obstacle(&write("broken", broken));
        }
    }
}
