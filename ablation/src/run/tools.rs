//! Counts a process under a tool: the process of a slot, started by the tool, with a folder for its output.

use super::process::{self, Exit, Launch, ProcessError};
use crate::measure::Wrapper;
use crate::support::files;
use std::collections::BTreeMap;

/// Result of counting under a tool.
pub(super) enum Counted {
    /// Counts by instrument.
    Counts(BTreeMap<String, u64>),
    /// Ctrl-C was pressed.
    Interrupted,
    /// There are no counts, for this reason.
    Failed(String),
}

/// Starts one process under a tool, and reads the counts of the tool.
pub(super) fn count(wrapper: &Wrapper, mut launch: Launch<'_>) -> Result<Counted, ProcessError> {
    let scratch = match files::scratch(None) {
        Ok(scratch) => scratch,
        Err(e) => return Ok(Counted::Failed(format!("cannot create a folder for its counts: {e}; free some space"))),
    };
    let wrapped = wrapper.wrap(&launch.program, &launch.argv, scratch.path());
    (launch.program, launch.argv) = match wrapped {
        Ok(wrapped) => wrapped,
        Err(e) => return Ok(Counted::Failed(format!("the program cannot be started under it: {e}"))),
    };
    launch.timeout = launch.timeout.saturating_mul(wrapper.timeout_factor());
    let finished = process::run(&launch)?;
    Ok(match finished.exit {
        Exit::Code(0) => wrapper.read(scratch.path()).map_or_else(Counted::Failed, Counted::Counts),
        Exit::Interrupted => Counted::Interrupted,
        Exit::Timeout => Counted::Failed(format!("still running after {} s", launch.timeout.as_secs())),
        Exit::Code(code) => Counted::Failed(format!("the program ends with exit code {code} under it")),
        Exit::Signal(signal) => Counted::Failed(format!("the program is ended by signal {signal} under it")),
    })
}
