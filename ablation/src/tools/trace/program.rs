//! The program that is to be recorded: where it is, and what of it keeps the recorder out.

use object::Object as _;
use regex::bytes::Regex;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The program's file, found as the system finds it. `None` where there is none.
pub(super) fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Path::new(name).exists().then(|| PathBuf::from(name));
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let is_program = |path: &PathBuf| path.metadata().is_ok_and(|about| about.is_file() && about.mode() & 0o111 != 0);
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(is_program)
}

/// What may be done about a program that did not start.
pub(super) fn advice(name: &OsStr, error: &std::io::Error) -> &'static str {
    let path = Path::new(name);
    let has_path = name.as_bytes().contains(&b'/');
    match error.kind() {
        _ if has_path && path.is_dir() => "this is a folder; name the program in it",
        std::io::ErrorKind::PermissionDenied if has_path && path.is_file() => {
            "make it executable with `chmod +x`, or put its interpreter before it"
        }
        std::io::ErrorKind::NotFound if has_path && path.is_file() => {
            "the file is there, and the interpreter or loader that it names is not; install that, or put another before it"
        }
        std::io::ErrorKind::NotFound if has_path => "look at the path",
        std::io::ErrorKind::NotFound => "no folder of PATH has it; check its name, or give its path",
        _ => "check its name, or give its path",
    }
}

/// Why nothing is preloaded into a program, and the way out. `None` where no reason is known.
pub(super) fn obstacle(path: &Path) -> Option<&'static str> {
    let path = interpreter(path)?;
    // SAFETY: both calls read a number of the process.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let about = path.metadata().ok()?;
    let is_set = |bit| about.mode() & bit != 0;
    if is_set(libc::S_ISUID) && about.uid() != user || is_set(libc::S_ISGID) && about.gid() != group {
        return Some(
            "it is set-user-id or set-group-id, and the loader preloads nothing into such a program; record a copy without \
             that bit, or run `trace record` as the user whose rights it gets",
        );
    }
    let bytes = start(&path)?;
    let elf = object::File::parse(&*bytes).ok()?;
    if elf.architecture() != NATIVE {
        return Some("it is built for another processor than the recorder; record a build for this one");
    }
    elf.section_by_name(".interp").is_none().then_some(
        "it is linked statically, so that nothing can be preloaded; record a build that is linked dynamically",
    )
}

const NATIVE: object::Architecture =
    if cfg!(target_arch = "x86_64") { object::Architecture::X86_64 } else { object::Architecture::Aarch64 };

/// The allocator that a program has in its own file, whose calls no preloaded library sees.
pub(super) fn own_allocator(path: &Path) -> Option<&'static str> {
    let bytes = start(&interpreter(path)?)?;
    // Texts that each of them has in its code, stripped or not.
    let marks = [
        ("<jemalloc>: ", "jemalloc"),
        ("mimalloc: ", "mimalloc"),
        ("tcmalloc: ", "tcmalloc"),
        ("runtime\\.mallocgc", "the allocator of Go"),
    ];
    let has = |mark: &str| Regex::new(mark).is_ok_and(|mark| mark.is_match(&bytes));
    marks.into_iter().find(|(mark, _)| has(mark)).map(|(_, name)| name)
}

/// The first bytes of a file: all of it, but for a giant.
fn start(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(1 << 30).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The interpreter of a script, and of others the file itself.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut first = [0; 256];
    let read = std::fs::File::open(path).ok()?.read(&mut first).ok()?;
    let Some(line) = first[..read].strip_prefix(b"#!") else { return Some(path.to_owned()) };
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let interpreter = Path::new(words.next()?);
    match interpreter.file_name() == Some(OsStr::new("env")) {
        true => find(words.find(|word| !word.as_bytes().starts_with(b"-"))?),
        false => Some(interpreter.to_owned()),
    }
}
