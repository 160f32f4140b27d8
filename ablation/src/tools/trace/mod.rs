//! Traces of a program's allocations: recorded, converted, cut, told about, and made a study of.

mod convert;
mod cut;
mod error;
mod follow;
mod info;
mod open;
mod program;
mod raw;
mod record;
mod sites;
mod study;
#[cfg(test)]
mod tests;

pub(crate) use cut::{Part, cut};
pub(crate) use error::TraceToolError;
pub(crate) use info::info;
pub(crate) use open::open;
pub(crate) use record::{Request, record, told};
pub(crate) use study::study;

use ablate_trace::Header;
use std::path::Path;

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
