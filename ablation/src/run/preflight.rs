//! The preflight: runs every cell once with its first workload, before anything is recorded, and refuses to start a
//! study whose program refuses its levels, fails in every cell, or is in no cell what the plan says.

use super::context::{Context, RunError};
use super::{outcome, passes};
use crate::prove;
use crate::run::process::Exit;
use crate::run::schedule::Slot;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::interrupt;
use ablate_format::{CellKind, Pass, Status};

/// A study that cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreflightError {
    /// The program refused environment variables.
    #[error("the measured program refused environment variables, so its cells would not have their levels:\n{}\n\
             correct the levels in the config, or the names in the program", list.join("\n"))]
    Rejected {
        /// Cell, variable and reason, one line each.
        list: Vec<String>,
    },
    /// Every cell of the subject failed.
    #[error("the measured program failed in every cell of the subject, so there is nothing to compare:\n{}\n\
             run one of them by hand and correct the program or its arguments", list.join("\n"))]
    AllFailed {
        /// Cell and reason, one line each.
        list: Vec<String>,
    },
    /// No cell of the subject is what the plan says.
    #[error("no run of the subject is what the plan says, so the study would end without a result:\n{}\n\
             correct the config, or what the program reports; docs/format.md has its line", list.join("\n"))]
    AllInvalid {
        /// Cell and reason, one line each.
        list: Vec<String>,
    },
    /// A process could not be started.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl ExitStatus for PreflightError {
    fn exit(&self) -> ShellCode {
        match self {
            PreflightError::Rejected { .. } | PreflightError::AllInvalid { .. } => ShellCode::WrongCall,
            PreflightError::AllFailed { .. } => ShellCode::BadRuns,
            PreflightError::Run(error) => error.exit(),
        }
    }
}

/// Runs every cell that has a binary once. Returns a line for each cell whose run is not proven; `None` after Ctrl-C.
///
/// # Errors
/// [`PreflightError`].
pub(crate) fn preflight(context: &Context<'_>) -> Result<Option<Vec<String>>, PreflightError> {
    let mut rejected = Vec::new();
    let mut unproven = Vec::new();
    let (mut subjects, mut failed, mut invalid) = (0, Vec::new(), Vec::new());
    // Idle where the program supports it: the result line is the same, and the run takes no time.
    let pass = if context.study.subject.idle_args.is_some() { Pass::CountingIdle } else { Pass::Timing };
    for (index, cell) in context.plan.cells.iter().enumerate() {
        let Ok(binary) = context.binary(cell) else { continue };
        if interrupt::asked() {
            return Ok(None);
        }
        let mut workloads = context.plan.workloads.iter();
        // Every cell of a design runs with at least one workload.
        let Some(workload) = workloads.position(|workload| workload.runs(&cell.id)) else { continue };
        let slot = Slot { pass, block: 0, order: 0, workload, cell: index, pad: None };
        let ran = passes::time(context, cell, binary, slot)?;
        if ran.finished.exit == Exit::Interrupted {
            return Ok(None);
        }
        let mut record = context.blank(slot);
        outcome::fill(&mut record, ran, &context.plan.workloads[workload], context.study);
        let refused = record.measured.as_ref().map(|measured| measured.env_rejected.clone()).unwrap_or_default();
        rejected.extend(refused.iter().map(|why| format!("  cell {}: {why}", cell.id)));
        prove::prove(context.plan, &mut record);
        if cell.kind != CellKind::Peer {
            subjects += 1;
            if matches!(record.status, Status::Crashed | Status::Timeout | Status::Garbage) {
                failed.push(format!("  cell {}: {}", cell.id, record.reason));
            }
            if record.status == Status::Invalid {
                invalid.push(format!("  cell {}: {}", cell.id, record.reason));
            }
        }
        if record.status != Status::Ok && refused.is_empty() {
            unproven.push(format!("cell {}: {}", cell.id, record.reason));
        }
    }
    // The first block of the study is not that of the preflight.
    context.block.take();
    if !rejected.is_empty() {
        return Err(PreflightError::Rejected { list: rejected });
    }
    if subjects > 0 && failed.len() == subjects {
        return Err(PreflightError::AllFailed { list: failed });
    }
    if subjects > 0 && invalid.len() == subjects {
        return Err(PreflightError::AllInvalid { list: invalid });
    }
    Ok(Some(unproven))
}
