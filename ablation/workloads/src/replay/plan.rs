//! What a replay does, as the command line asks for it.

use clap::ValueEnum;
use serde::Serialize;
use std::path::PathBuf;

/// How an object is used between its request and its free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Touch {
    /// Not at all.
    None,
    /// One byte per 4 KiB is written.
    Page,
    /// Every byte is written.
    Full,
    /// As much from the start of each object as the trace knows of objects of its size.
    Recorded,
}

/// What one process replays.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReplayPlan {
    /// The trace.
    pub(crate) file: PathBuf,
    /// Timed passes over all of it. 0 does everything but the measured part.
    pub(crate) passes: u32,
    /// How objects are used; `None`: as recorded, and every byte where the trace does not know.
    pub(crate) touch: Option<Touch>,
    /// How much of the recorded time between operations is spent: 0 none, 1 all.
    pub(crate) gaps: f64,
    /// Readings of resident memory, in a pass of their own. 0: none.
    pub(crate) samples: u32,
    /// Whether single operations are timed, in a pass of their own.
    pub(crate) tail: bool,
    /// Whether addresses are computed before: [`crate::allocator::precomputed`].
    pub(crate) precomputed: bool,
    /// Whether counters are read from outside the process, so that it must do the timed passes alone.
    pub(crate) counted_from_outside: bool,
}
