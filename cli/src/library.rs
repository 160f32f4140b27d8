//! Where `libhakmem.so` is.

use crate::error::Error;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of the library's file.
const NAME: &str = "libhakmem.so";

/// The library that was asked for, or the first of: beside this program, in `../lib`, in `../lib/ARCH-linux-gnu`, in
/// `../preload` (where `cargo preload` puts it, as seen from `target/release`). Its path has no links.
///
/// # Errors
/// There is none, or the loader could not be told its path.
pub(crate) fn find(asked: Option<&OsStr>) -> Result<PathBuf, Error> {
    let found = match asked {
        Some(path) => PathBuf::from(path),
        None => {
            let places = places();
            let found = places.iter().find(|folder| folder.join(NAME).is_file());
            found.map(|folder| folder.join(NAME)).ok_or(Error::NoLibrary(places))?
        }
    };
    let refuse = |reason: String| Error::Library(found.display().to_string(), reason);
    let path = found.canonicalize().map_err(|error| refuse(error.to_string()))?;
    let mut start = [0; 4];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut start));
    if read.is_err() || start != *b"\x7fELF" {
        return Err(refuse("it is no shared library".to_owned()));
    }
    if path.as_os_str().as_bytes().iter().any(|byte| [b':', b' ', b'\t', b'\n'].contains(byte)) {
        return Err(refuse("the loader splits LD_PRELOAD at spaces and colons; copy it to a path without".to_owned()));
    }
    Ok(path)
}

/// The folders that are searched, in order.
fn places() -> Vec<PathBuf> {
    let Some(own) = env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf)) else {
        return Vec::new();
    };
    let above = own.parent().unwrap_or(&own).to_path_buf();
    let triplet = format!("{}-linux-gnu", env::consts::ARCH);
    vec![own, above.join("lib"), above.join("lib").join(triplet), above.join("preload")]
}

/// The value of `LD_PRELOAD` with the library in front of what was there, once.
pub(crate) fn in_front(library: &Path, before: Option<OsString>) -> OsString {
    let mut value = library.as_os_str().to_owned();
    let before = before.unwrap_or_default();
    for part in before.as_bytes().split(|byte| [b':', b' '].contains(byte)) {
        if !part.is_empty() && part != library.as_os_str().as_bytes() {
            value.push(":");
            value.push(OsStr::from_bytes(part));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_in_front_once() {
        let front = |before: Option<&str>| in_front(Path::new("/a/libhakmem.so"), before.map(OsString::from));
        assert_eq!(front(None), "/a/libhakmem.so");
        assert_eq!(front(Some("")), "/a/libhakmem.so");
        assert_eq!(front(Some("/b.so /c.so")), "/a/libhakmem.so:/b.so:/c.so");
        assert_eq!(front(Some("/b.so:/a/libhakmem.so")), "/a/libhakmem.so:/b.so");
    }
}
