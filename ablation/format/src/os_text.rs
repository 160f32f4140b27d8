//! Paths and other texts of the system as text of a file: readable, and every byte can be had back.
//!
//! Such a text may have bytes that are not UTF-8. It never has a NUL byte. So NUL and two hexadecimal digits stand for
//! one byte that is not UTF-8, and all other text stands for itself.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The text of a path, as files have it.
pub fn path_to_text(path: impl AsRef<Path>) -> String {
    os_to_text(path.as_ref())
}

/// The path that a text of [`path_to_text`] stands for.
pub fn path_of_text(text: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes_of_text(text)))
}

/// The text of a text of the system, as files have it.
pub fn os_to_text(text: impl AsRef<OsStr>) -> String {
    let mut out = String::new();
    for chunk in text.as_ref().as_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\0{byte:02x}")));
    }
    out
}

/// The bytes that a text of [`os_to_text`] stands for.
pub fn bytes_of_text(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\0') {
        out.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(0));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_had_back_and_reads_as_it_is_where_it_is_text() {
        let check = |bytes: &[u8], text: &str| {
            let path = PathBuf::from(OsStr::from_bytes(bytes));
            assert_eq!(path_to_text(&path), text);
            assert_eq!(path_of_text(text), path);
        };
        check(b"/plain/path.toml", "/plain/path.toml");
        check("/größe/\u{fffd}".as_bytes(), "/größe/\u{fffd}");
        check(b"/f\xff/x", "/f\0ff/x");
        check(b"\xff\xfe0", "\0ff\0fe0");
        check(b"a\\xff", "a\\xff");
        check(b"", "");
        let all: Vec<u8> = (1..=255).collect();
        assert_eq!(bytes_of_text(&os_to_text(OsStr::from_bytes(&all))), all);
    }

    #[test]
    fn a_text_of_another_origin_is_read_without_loss_of_the_rest() {
        assert_eq!(bytes_of_text("a\0zz"), b"a\0zz");
        assert_eq!(bytes_of_text("a\0f"), b"a\0f");
    }
}
