//! The hidden subcommand `repeat`: runs a program several times in a row, so that one session of a profiler sees enough
//! of a program that takes milliseconds. Reading a session takes a second, however short the session is.

use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};

/// Runs the program until it has run as often as asked, or fails. Only the output of the last run is shown. Returns its
/// exit code; 1 for a signal, which has none.
///
/// # Errors
/// When the program does not start.
pub(crate) fn repeat(times: u32, command: &[OsString]) -> io::Result<u8> {
    let Some((program, rest)) = command.split_first() else { return Ok(1) };
    for left in (0..times.max(1)).rev() {
        let mut command = Command::new(program);
        command.args(rest);
        if left > 0 {
            command.stdout(Stdio::null());
        }
        let status = command.status()?;
        if !status.success() {
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(script: &str, times: u32) -> u8 {
        repeat(times, &["/bin/sh", "-c", script].map(OsString::from)).expect("starts")
    }

    #[test]
    fn a_program_runs_as_often_as_asked_or_until_it_fails() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("runs");
        let count = || std::fs::read_to_string(&file).expect("was written").len();
        assert_eq!(ends(&format!("printf x >> {}", file.display()), 3), 0);
        assert_eq!(count(), 3);
        assert_eq!(ends(&format!("printf x >> {}; exit 7", file.display()), 3), 7);
        assert_eq!(count(), 4);
    }
}
