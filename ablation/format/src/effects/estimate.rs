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

impl Estimate {
    /// Turns the excess of a ratio over 1 into the ratio.
    pub fn plus_one(self) -> Estimate {
        let interval = self.interval.map(|(lo, hi)| (1.0 + lo, 1.0 + hi));
        Estimate { value: 1.0 + self.value, interval, ..self }
    }

    /// Whether the interval lies on one side of 0; false without an interval.
    pub fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
    }
}
