//! Counting within a tool: the process of a slot, wrapped, with a folder for what the tool writes.

use super::process::{self, Exit, Launch, ProcessError};
use crate::measure::Wrapper;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What came of it.
pub(super) enum Counted {
    /// Counts by instrument.
    Counts(BTreeMap<String, u64>),
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Why there are none.
    Failed(String),
}

/// Runs a process within a tool.
pub(super) fn count(wrapper: &Wrapper, mut launch: Launch<'_>) -> Result<Counted, ProcessError> {
    let scratch = match Scratch::new() {
        Ok(scratch) => scratch,
        Err(e) => return Ok(Counted::Failed(format!("cannot create a folder for its counts: {e}; free some space"))),
    };
    let wrapped = wrapper.wrap(&launch.program, &launch.argv, &scratch.0);
    (launch.program, launch.argv) = match wrapped {
        Ok(wrapped) => wrapped,
        Err(e) => return Ok(Counted::Failed(format!("the program cannot be called within it: {e}"))),
    };
    launch.timeout = launch.timeout.saturating_mul(wrapper.patience());
    let finished = process::run(&launch)?;
    Ok(match finished.exit {
        Exit::Code(0) => wrapper.read(&scratch.0).map_or_else(Counted::Failed, Counted::Counts),
        Exit::Interrupted => Counted::Interrupted,
        Exit::Timeout => Counted::Failed(format!("no end after {} s", launch.timeout.as_secs())),
        Exit::Code(code) => Counted::Failed(format!("the program ends with {code} within it")),
        Exit::Signal(signal) => Counted::Failed(format!("the program is ended by signal {signal} within it")),
    })
}

/// A folder of this process's own, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let parent = std::env::temp_dir();
        let mut number = 0_u32;
        loop {
            let path = parent.join(format!("ablate-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                made => return made.map(|()| Scratch(path)),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies where temporary things lie.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
