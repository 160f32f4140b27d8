//! Traces of a program's allocations: recorded, converted, cut and told about.

mod convert;
mod cut;
mod error;
mod follow;
mod info;
mod raw;
mod record;
mod sites;

pub(crate) use cut::{Part, cut};
pub(crate) use error::TraceToolError;
pub(crate) use info::info;
pub(crate) use record::{Request, record, told};

use ablate_trace::{Header, Trace};
use std::path::Path;

/// Opens a trace; a raw file is told apart from other files.
///
/// # Errors
/// Those of the trace.
pub(crate) fn open(path: &Path) -> Result<Trace, TraceToolError> {
    Trace::open(path).map_err(|error| match raw::Raw::is_one(path) {
        true => TraceToolError::IsRaw { path: path.to_owned() },
        false => error.into(),
    })
}

/// Makes a trace of a raw file that was left by a recorder that was killed, at a path where nothing is.
///
/// # Errors
/// Those of [`TraceToolError`].
pub(crate) fn convert_raw(raw: &Path, out: &Path, level: i32) -> Result<Header, TraceToolError> {
    if out.exists() {
        return Err(TraceToolError::Exists { path: out.to_owned() });
    }
    convert::convert(raw, out, level, Vec::new())
}
