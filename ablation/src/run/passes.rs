//! The runs of one slot: one that is timed, or as many as counting everything takes.

use super::context::{Attempt, Context, RunError};
use super::process::Exit;
use super::ran::Ran;
use super::schedule::Slot;
use super::{attempt, outcome, tools};
use crate::support::progress::note;
use ablate_format::CellPlan;

/// Runs the process of a slot once.
pub(super) fn time(context: &Context<'_>, cell: &CellPlan, binary: &str, slot: Slot) -> Result<Ran, RunError> {
    let attempt = Attempt { cell, binary, slot, counters: None, counter_pass: None };
    attempt::run(context, &attempt, |_| Ok(()))
}

/// Runs a cell as often as counting everything takes: once for each pass of the processor's counters, and once
/// under each tool. The result describes the first run, with the counts of all. A tool that fails gives no counts.
pub(super) fn count(context: &Context<'_>, cell: &CellPlan, binary: &str, slot: Slot) -> Result<Ran, RunError> {
    let accepted = &context.study.subject.surroundings.accept_exit;
    let attempt = |counter_pass| Attempt { cell, binary, slot, counters: Some(context.probed), counter_pass };
    let mut ran = attempt::run(context, &attempt(Some(0)), |_| Ok::<(), RunError>(()))?;
    for pass in 1..context.probed.passes() {
        if !ran.is_good(accepted) {
            return Ok(ran);
        }
        let more = attempt::run(context, &attempt(Some(pass)), |_| Ok::<(), RunError>(()))?;
        ran = outcome::merged(ran, more, accepted);
    }
    for wrapper in &context.probed.wrappers {
        if !ran.is_good(accepted) {
            return Ok(ran);
        }
        match tools::count(context, wrapper, &attempt(None))? {
            tools::Counted::Counts(counts) => ran.finished.reading.counts.extend(counts),
            tools::Counted::Interrupted => ran.finished.exit = Exit::Interrupted,
            tools::Counted::Failed(why) => note(&format!("cell {}: {}: {why}", cell.id, wrapper.tool.program())),
        }
    }
    Ok(ran)
}
