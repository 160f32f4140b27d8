//! A trace file to scripts.

use super::decoder::{Decoder, Wrong};
use super::plan::ReplayPlan;
use super::script::Decoded;
use ablate_trace::{Trace, TraceError};
use std::path::PathBuf;
use thiserror::Error;

/// Why a trace is not replayed.
#[derive(Debug, Error)]
pub(super) enum DecodeError {
    /// The reader's reason, which names the file.
    #[error("{0}")]
    Open(TraceError),
    /// The file is not whole.
    #[error(
        "{file}: only {read} of {operations} operations can be read: take another copy of the file, or make a whole trace \
         of what is there with `trace cut`"
    )]
    CutOff {
        /// The file.
        file: PathBuf,
        /// Operations that are there.
        read: u64,
        /// Operations that there were.
        operations: u64,
    },
    /// Operations that contradict each other.
    #[error("{file}: {error}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What is wrong, and the way out.
        error: TraceError,
    },
    /// No operation of an allocator.
    #[error("{file}: the trace has no operation to replay: record a program that allocates")]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// More than a script can hold.
    #[error("{file}: {what}: cut a part out of the trace with `trace cut`")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// What is too large.
        what: String,
    },
}

/// Reads a trace.
///
/// # Errors
/// Files that cannot be read, are damaged, or have too much in them.
pub(super) fn decode(plan: &ReplayPlan) -> Result<Decoded, DecodeError> {
    let trace = Trace::open(&plan.file).map_err(DecodeError::Open)?;
    let header = trace.header();
    let file = || plan.file.clone();
    if let Some(cut_off) = trace.cut_off() {
        let (read, operations) = (cut_off.operations, header.operations);
        return Err(DecodeError::CutOff { file: file(), read, operations });
    }
    let mut decoder = Decoder::new(plan, header);
    for moment in trace.merged() {
        let moment = moment.map_err(|error| DecodeError::Read { file: file(), error })?;
        decoder.step(moment.thread, moment.operation.gap_ns, moment.operation.action).map_err(|wrong| match wrong {
            Wrong::Damaged(what) => {
                let operation = decoder.done[moment.thread as usize];
                let error = TraceError::Damaged { thread: moment.thread, operation, what: what.to_owned() };
                DecodeError::Read { file: file(), error }
            }
            Wrong::TooLarge(what) => DecodeError::TooLarge { file: file(), what },
        })?;
    }
    if decoder.counts.allocations == 0 {
        return Err(DecodeError::Empty { file: file() });
    }
    decoder.finish(header).map_err(|what| DecodeError::TooLarge { file: file(), what })
}
