//! Counting within a tool: the process of a slot, wrapped, with a folder for what the tool writes.

use super::process::{self, Exit, Launch, ProcessError};
use crate::measure::Wrapper;
use crate::support::files;
use std::collections::BTreeMap;

/// What came of it.
pub(super) enum Counted {
    /// Counts by instrument.
    Counts(BTreeMap<String, u64>),
    /// Ctrl-C was pressed.
    Interrupted,
    /// Why there are none.
    Failed(String),
}

/// Runs a process within a tool.
pub(super) fn count(wrapper: &Wrapper, mut launch: Launch<'_>) -> Result<Counted, ProcessError> {
    let scratch = match files::scratch(None) {
        Ok(scratch) => scratch,
        Err(e) => return Ok(Counted::Failed(format!("cannot create a folder for its counts: {e}; free some space"))),
    };
    let wrapped = wrapper.wrap(&launch.program, &launch.argv, scratch.path());
    (launch.program, launch.argv) = match wrapped {
        Ok(wrapped) => wrapped,
        Err(e) => return Ok(Counted::Failed(format!("the program cannot be called within it: {e}"))),
    };
    launch.timeout = launch.timeout.saturating_mul(wrapper.patience());
    let finished = process::run(&launch)?;
    Ok(match finished.exit {
        Exit::Code(0) => wrapper.read(scratch.path()).map_or_else(Counted::Failed, Counted::Counts),
        Exit::Interrupted => Counted::Interrupted,
        Exit::Timeout => Counted::Failed(format!("no end after {} s", launch.timeout.as_secs())),
        Exit::Code(code) => Counted::Failed(format!("the program ends with {code} within it")),
        Exit::Signal(signal) => Counted::Failed(format!("the program is ended by signal {signal} within it")),
    })
}
