//! A value of a study with its interval.

use serde::{Deserialize, Serialize};

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower and upper end; `None` below six blocks.
    pub interval: Option<(f64, f64)>,
    /// Blocks behind the value.
    pub blocks: usize,
}
