//! Opens a trace, and tells a raw file apart from one.

use super::error::TraceToolError;
use super::raw::Raw;
use ablate_trace::Trace;
use std::path::Path;

/// Opens a trace; a raw file is told apart from other files.
///
/// # Errors
/// Those of the trace.
pub(crate) fn open(path: &Path) -> Result<Trace, TraceToolError> {
    Trace::open(path).map_err(|error| match Raw::is_one(path) {
        true => TraceToolError::IsRaw { path: path.to_owned() },
        false => error.into(),
    })
}
