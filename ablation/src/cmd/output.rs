//! What subcommands print to standard output, and how they end.

use crate::support::exit::{ExitStatus, ShellCode};
use std::io::Write as _;

/// How a subcommand ends.
pub(super) type Ended = Result<ShellCode, Box<dyn ExitStatus>>;

/// Prints the text that was asked for, with which a call ends well.
pub(super) fn shown(text: &str) -> ShellCode {
    print(text);
    ShellCode::Good
}

/// Prints a text. A reader that went away, like `head`, is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end());
}
