//! Facts of what stands around the runs of a study: the server's version, the client, the standard input.

use crate::builds;
use crate::config::Study;
use crate::support::machine::sha256_of;
use std::process::{Command, Stdio};

/// Facts that the manifest gets besides those of the machine. A resumed study must have the same.
pub(super) const NAMES: [&str; 3] = ["server-version", "client-sha256", "stdin-sha256"];

/// The facts of a study, in the order of [`NAMES`]; `None` for one that it does not have, or that cannot be had.
pub(super) fn of(study: &Study) -> [Option<String>; NAMES.len()] {
    let around = &study.subject.surroundings;
    let server = around.server.as_ref();
    let version = server.and_then(|server| first_line(study, server.version.as_deref()?));
    let client = server.and_then(|server| builds::find(study.folder(), server.client.first()?));
    let stdin = around.stdin.as_ref().map(|file| study.folder().join(file));
    let hash = |file: std::path::PathBuf| sha256_of(&file).ok();
    [version, client.and_then(hash), stdin.and_then(hash)]
}

/// The first line that a command prints.
fn first_line(study: &Study, command: &[String]) -> Option<String> {
    let (program, args) = command.split_first()?;
    let program = builds::find(study.folder(), program)?;
    let mut call = Command::new(program);
    let out = call.args(args).current_dir(study.folder()).stdin(Stdio::null()).output().ok()?;
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}
