//! The commands around runs: before a block, before a run, and after it. They are no part of a run's time or counts.

use super::context::{Context, RunError};
use super::process::{self, Exit, Finished};
use super::schedule::Slot;
use super::scratch::{self, Block, Place};
use super::{auxiliary, words};
use crate::config::Command;
use ablate_format::{CellKind, CellPlan, Pass};

/// How the commands of a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hooked {
    /// All of them succeeded.
    Done,
    /// One of them failed, for this reason.
    Failed(String),
    /// Ctrl-C was pressed.
    Interrupted,
}

/// Runs the commands of a hook in the folder of a run, until one fails. `heeds_interrupt` is false for what cleans up.
pub(super) fn run(
    context: &Context<'_>,
    cell: &CellPlan,
    place: &Place,
    (name, commands): (&str, &[Command]),
    heeds_interrupt: bool,
) -> Result<Hooked, RunError> {
    for command in commands {
        let mut launch = match auxiliary::launch(context, Some(cell), place, command)? {
            Ok(launch) => launch,
            Err(why) => return Ok(Hooked::Failed(format!("{name} `{}` failed: {why}", shown(command)))),
        };
        launch.heeds_interrupt = heeds_interrupt;
        let why = match process::run(&launch) {
            Ok(finished) => match failure(&finished) {
                None => continue,
                Some(_) if finished.exit == Exit::Interrupted => return Ok(Hooked::Interrupted),
                Some(why) => why,
            },
            Err(error) => error.to_string(),
        };
        return Ok(Hooked::Failed(format!("{name} `{}` failed: {why}", shown(command))));
    }
    Ok(Hooked::Done)
}

/// Why a command failed, with what it said; `None` when it succeeded.
pub(super) fn failure(finished: &Finished) -> Option<String> {
    let ended = match finished.exit {
        Exit::Code(0) => return None,
        exit => words::ended(exit),
    };
    let said = String::from_utf8_lossy(&finished.stderr_tail).into_owned();
    Some(words::first_line(&said).map_or(ended.clone(), |line| format!("{ended}: {line}")))
}

/// A command as a short text.
pub(super) fn shown(command: &[String]) -> String {
    let text: String = command.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Makes the block of a slot the current one, with a new folder, unless it is already.
pub(super) fn enter(context: &Context<'_>, block: &mut Block, slot: Slot) -> Result<Hooked, RunError> {
    let surroundings = &context.study.subject.surroundings;
    if surroundings.before_block.is_empty() {
        return Ok(Hooked::Done);
    }
    let key = Some((slot.pass == Pass::Timing, slot.block));
    if block.key != key {
        *block = Block::default();
        let folder = scratch::folder(surroundings).map_err(RunError::scratch)?;
        let place = Place::of_block(folder.path(), context.folder());
        // A block is of no cell, so its commands have the variables of the baseline.
        let mut cells = context.plan.cells.iter();
        let Some(baseline) = cells.find(|cell| cell.kind == CellKind::Baseline) else { return Ok(Hooked::Done) };
        let failed = match run(context, baseline, &place, ("before_block", &surroundings.before_block), true)? {
            Hooked::Interrupted => return Ok(Hooked::Interrupted),
            Hooked::Failed(why) => Some(why),
            Hooked::Done => None,
        };
        *block = Block { key, folder: Some(folder), failed };
    }
    Ok(block.failed.clone().map_or(Hooked::Done, Hooked::Failed))
}
