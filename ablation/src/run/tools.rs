//! Counts a process under a tool: the process of a slot, started by the tool, with a folder for its output.

use super::attempt;
use super::context::{Attempt, Context, RunError};
use super::process::Exit;
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

/// Makes one run under a tool, and reads the counts of the tool.
pub(super) fn count(context: &Context<'_>, wrapper: &Wrapper, attempt: &Attempt<'_>) -> Result<Counted, RunError> {
    let scratch = match files::scratch(None) {
        Ok(scratch) => scratch,
        Err(e) => return Ok(Counted::Failed(format!("cannot create a folder for its counts: {e}; free some space"))),
    };
    let mut limit = context.study.timeout;
    let ran = attempt::run(context, attempt, |launch| {
        launch.counters = None;
        let wrapped = wrapper.wrap(&launch.program, &launch.argv, scratch.path());
        (launch.program, launch.argv) = wrapped.map_err(|e| Unwrapped::Tool(e.to_string()))?;
        launch.timeout = launch.timeout.saturating_mul(wrapper.timeout_factor());
        limit = launch.timeout;
        Ok::<(), Unwrapped>(())
    });
    let ran = match ran {
        Ok(ran) => ran,
        Err(Unwrapped::Run(error)) => return Err(error),
        Err(Unwrapped::Tool(why)) => {
            return Ok(Counted::Failed(format!("the program cannot be started under it: {why}")));
        }
    };
    if let Some(trouble) = ran.trouble {
        return Ok(Counted::Failed(trouble.reason));
    }
    Ok(match ran.finished.exit {
        Exit::Code(code) if context.study.subject.surroundings.accept_exit.contains(&code) => {
            wrapper.read(scratch.path()).map_or_else(Counted::Failed, Counted::Counts)
        }
        Exit::Interrupted => Counted::Interrupted,
        Exit::Timeout => Counted::Failed(format!("still running after {} s", limit.as_secs())),
        Exit::Code(code) => Counted::Failed(format!("the program ends with exit code {code} under it")),
        Exit::Signal(signal) => Counted::Failed(format!("the program is ended by signal {signal} under it")),
    })
}

/// Why a run under a tool was not begun.
enum Unwrapped {
    Run(RunError),
    Tool(String),
}

impl From<RunError> for Unwrapped {
    fn from(error: RunError) -> Unwrapped {
        Unwrapped::Run(error)
    }
}
