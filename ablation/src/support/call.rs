//! The command line of this program, with and without the word that cargo adds, and commands for people to type.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The words before a subcommand of this program.
pub(crate) const PROGRAM: &str = "cargo ablate";

/// The program that cargo looks for.
pub(crate) const BINARY: &str = "cargo-ablate";

/// The name that cargo passes as the first argument to `cargo-ablate` when it is called as `cargo ablate`.
const SUBCOMMAND: &str = "ablate";

/// The arguments without the name of the program, and without the word that cargo adds.
pub(crate) fn without_cargo(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut rest = arguments.into_iter().skip(1).peekable();
    rest.next_if(|first| first == OsStr::new(SUBCOMMAND));
    rest.collect()
}

/// The command of this process as a user types it, for the manifest.
pub(crate) fn command() -> Vec<String> {
    let rest = without_cargo(std::env::args_os()).into_iter().map(|word| word.to_string_lossy().into_owned());
    PROGRAM.split(' ').map(str::to_owned).chain(rest).collect()
}

/// A path as a word of a shell command, quoted when it needs it.
pub(crate) fn quoted(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return shell_words::quote(text).into_owned();
    }
    // What bash, zsh and ksh read as bytes.
    let byte = |byte: &u8| match byte {
        b'\\' | b'\'' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    format!("$'{}'", path.as_os_str().as_bytes().iter().map(byte).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_cargo_adds_is_left_out() {
        let check = |arguments: &[&str], expected: &[&str]| {
            let words = without_cargo(arguments.iter().map(OsString::from));
            assert_eq!(words, expected.iter().map(OsString::from).collect::<Vec<_>>(), "{arguments:?}");
        };
        check(&["cargo-ablate", "ablate", "run", "x.toml"], &["run", "x.toml"]);
        check(&["cargo-ablate", "run", "ablate"], &["run", "ablate"]);
        check(&["cargo-ablate"], &[]);
        check(&[], &[]);
    }

    #[test]
    fn paths_are_quoted_for_a_shell_when_they_need_it() {
        assert_eq!(quoted(Path::new("a/b-1.toml")), "a/b-1.toml");
        assert_eq!(quoted(Path::new("a b's")), r"'a b'\''s'");
        let odd = quoted(Path::new(OsStr::from_bytes(b"f\xff/it's\\ok")));
        assert_eq!(odd, r"$'f\xff/it\'s\\ok'");
        let said = std::process::Command::new("bash").args(["-c", &format!("printf %s {odd}")]).output();
        assert_eq!(said.expect("bash starts").stdout, b"f\xff/it's\\ok");
    }
}
