//! What every format gives.

/// An export, and what it could not hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exported {
    /// The text.
    pub(crate) text: String,
    /// What was left out, in a sentence; `None` when nothing was.
    pub(crate) left_out: Option<String>,
}
