//! Whether a program opens some files when it runs: a trial run of each cell, while the kernel reports what is opened.

use super::context::{Context, RunError};
use super::passes;
use super::process::Exit;
use super::schedule::Slot;
use super::watch::Watch;
use crate::support::interrupt;
use ablate_format::{CellKind, Pass};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What trial runs opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// None of the files.
    Nothing,
    /// This one, by its name.
    File(String),
    /// The kernel does not report it.
    Unknown(String),
    /// Ctrl-C was pressed.
    Interrupted,
}

/// Runs every cell of the subject once with each of its workloads, until one opens one of some files or folders.
///
/// # Errors
/// [`RunError`]; a run that fails is none.
pub(crate) fn opened(context: &Context<'_>, paths: &BTreeSet<PathBuf>) -> Result<Opened, RunError> {
    if paths.is_empty() {
        return Ok(Opened::Nothing);
    }
    let watch = match Watch::new(paths) {
        Ok(watch) => watch,
        Err(why) => return Ok(Opened::Unknown(why)),
    };
    let mut found = Opened::Nothing;
    for (index, cell) in context.plan.cells.iter().enumerate() {
        let Ok(binary) = context.binary(cell) else { continue };
        for (workload, plan) in context.plan.workloads.iter().enumerate() {
            // The placebo is the baseline again.
            if cell.kind == CellKind::Placebo || !plan.runs(&cell.id) || found != Opened::Nothing {
                continue;
            }
            let slot = Slot { pass: Pass::Timing, block: 0, order: 0, workload, cell: index, pad: None };
            let ran = passes::time(context, cell, binary, slot)?;
            if ran.finished.exit == Exit::Interrupted || interrupt::asked() {
                found = Opened::Interrupted;
            } else if let Some(path) = watch.opened().into_iter().next() {
                let name = path.map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned());
                found = Opened::File(name.unwrap_or_else(|| "a file".to_owned()));
            }
        }
    }
    // The first block of the study is not that of these runs.
    context.block.take();
    Ok(found)
}
