//! Every cell once with the first workload that it runs with, before anything is kept: a study whose switches the program refuses is not
//! worth starting.

use super::{Context, RunError, interrupt, outcome, receipt};
use crate::prove;
use crate::run::process::Exit;
use crate::run::schedule::Slot;
use ablate_format::{CellKind, Pass, Status};

/// Why a study does not start.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The program refused environment variables.
    #[error("the measured program refused its environment, so its cells would not be what they say:\n{}\ncorrect the \
             levels in the config, or the program's names", list.join("\n"))]
    Rejected {
        /// Cell, variable and reason, one line each.
        list: Vec<String>,
    },
    /// No cell of the subject came to an end.
    #[error("the measured program failed in every cell of the subject, so there is nothing to compare:\n{}\nrun one of \
             them by hand and mend the program or its arguments", list.join("\n"))]
    AllFailed {
        /// Cell and reason, one line each.
        list: Vec<String>,
    },
    /// A cell could not be run at all.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs every cell that has a binary once. Returns what is suspicious, one line each; `None` when somebody pressed
/// Ctrl-C.
///
/// # Errors
/// [`PreflightError`].
pub fn preflight(context: &Context<'_>) -> Result<Option<Vec<String>>, PreflightError> {
    let mut rejected = Vec::new();
    let mut suspicious = Vec::new();
    let (mut subjects, mut failed) = (0, Vec::new());
    // Idle where the program can be: the receipt is the same and it takes no time.
    let pass = if context.study.subject.idle_args.is_some() { Pass::CountingIdle } else { Pass::Timing };
    for (index, cell) in context.plan.cells.iter().enumerate() {
        let Ok(binary) = context.binary(cell) else { continue };
        if interrupt::asked() {
            return Ok(None);
        }
        let mut workloads = context.plan.workloads.iter();
        // A cell that no workload has is no cell of a design.
        let Some(workload) = workloads.position(|workload| workload.runs(&cell.id)) else { continue };
        let slot = Slot { pass, block: 0, order: 0, workload, cell: index, pad: None };
        let finished = context.launch(cell, binary, slot, None)?;
        if finished.exit == Exit::Interrupted {
            return Ok(None);
        }
        let mut record = context.blank(slot);
        outcome::fill(&mut record, finished, context.plan.workloads[workload].response, context.study.timeout);
        let refused = receipt(&record).map(|measured| measured.env_rejected.clone()).unwrap_or_default();
        rejected.extend(refused.iter().map(|why| format!("  cell {}: {why}", cell.id)));
        prove::prove(context.plan, &mut record);
        if cell.kind != CellKind::Peer {
            subjects += 1;
            if matches!(record.status, Status::Crashed | Status::Timeout | Status::Garbage) {
                failed.push(format!("  cell {}: {}", cell.id, record.reason));
            }
        }
        if record.status != Status::Ok && refused.is_empty() {
            suspicious.push(format!("cell {}: {}", cell.id, record.reason));
        }
    }
    if !rejected.is_empty() {
        return Err(PreflightError::Rejected { list: rejected });
    }
    if subjects > 0 && failed.len() == subjects {
        return Err(PreflightError::AllFailed { list: failed });
    }
    Ok(Some(suspicious))
}
