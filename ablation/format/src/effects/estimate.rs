//! A value of a study with its interval.

use serde::{Deserialize, Serialize};

/// A value with its interval of 95 %, or of the confidence that the field names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value, in the unit of the field that has the estimate.
    pub value: f64,
    /// Lower and upper end, in the same unit; `None` below six blocks.
    pub interval: Option<(f64, f64)>,
    /// Blocks that the value was computed from.
    pub blocks: usize,
}

impl Estimate {
    /// The estimate with 1 added to the value and both ends: the ratio, from its excess over 1.
    pub fn plus_one(self) -> Estimate {
        let interval = self.interval.map(|(lo, hi)| (1.0 + lo, 1.0 + hi));
        Estimate { value: 1.0 + self.value, interval, ..self }
    }

    /// Whether the interval lies on one side of 0; false without an interval.
    pub fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
    }
}
