//! What subcommands print to standard output, and how they end.

use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::text::printable_lines;
use ablate_format::{EFFECTS, MANIFEST, RECORDS, SCREENING};
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// How a subcommand ends.
pub(super) type Ended = Result<ShellCode, Box<dyn ExitStatus>>;

/// Standard output takes no more, for example because a disk is full.
#[derive(Debug, thiserror::Error)]
#[error("standard output: writing failed: {0}; make room, or write to another file")]
pub(super) struct OutputError(io::Error);

impl ExitStatus for OutputError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

/// The path after `--out`. `-` is refused, because results are files: as a name it would be a folder that most commands
/// take for an option or for standard output.
pub(super) fn out_path() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path: PathBuf| match path.as_os_str() == "-" {
        true => Err("results are files, not one stream: name a file or folder, or write `./-` for one of that name"),
        false => Ok(path),
    })
}

/// Files that a folder of results is made from.
const SOURCES: [&str; 5] = [MANIFEST, RECORDS, EFFECTS, SCREENING, "index.json"];

/// The path of a file to write. Those that results are made from are refused: they cannot be made again.
pub(super) fn out_file() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    out_path().try_map(|path: PathBuf| {
        let is_source = path.file_name().is_some_and(|name| SOURCES.iter().any(|source| name == *source));
        match is_source && path.exists() {
            true => Err("results are made from it, so it is not overwritten: name another file"),
            false => Ok(path),
        }
    })
}

/// Prints the text that was asked for, with which a call ends well.
pub(super) fn shown(text: &str) -> Ended {
    print(text)?;
    Ok(ShellCode::Good)
}

/// Prints a text and ends its last line. Texts quote configs and programs, so nothing in it steers the terminal.
///
/// # Errors
/// [`OutputError`]. A closed pipe is no error: a reader like `head` has what it wants.
pub(super) fn print(text: &str) -> Result<(), OutputError> {
    print_bytes(format!("{}\n", printable_lines(text.trim_end())).as_bytes())
}

/// Prints bytes as they are.
///
/// # Errors
/// As [`print()`].
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(OutputError(e)),
        _ => Ok(()),
    }
}
