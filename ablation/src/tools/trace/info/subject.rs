//! A trace that was read to its end, and what was counted.

use super::counts::Counts;
use ablate_trace::{CutOff, Header};
use std::path::PathBuf;

/// A trace that was read to its end.
#[derive(Debug)]
pub(crate) struct Info {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) header: Header,
    pub(super) cut_off: Option<CutOff>,
    pub(super) counts: Counts,
}

impl Info {
    /// Whether the file has all that was written.
    pub(crate) fn is_whole(&self) -> bool {
        self.cut_off.is_none()
    }
}
