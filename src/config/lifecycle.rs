//! The variables that set the numbers of the factor `evolution`: name, range and meaning of each.
//!
//! [`crate::factor::evolution`] says what the numbers do.

use crate::factor::evolution::Settings;

/// A variable that sets one number of the lifecycle.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Name of the variable.
    pub variable: &'static str,
    /// What it sets, in one line, with its unit.
    pub about: &'static str,
    /// The least value that it takes.
    pub least: f64,
    /// The greatest value that it takes.
    pub most: f64,
    /// Whether it takes whole numbers only.
    pub whole: bool,
    /// Which values it takes, in words.
    pub range: &'static str,
    get: fn(&Settings) -> f64,
    put: fn(&mut Settings, f64),
}

impl Setting {
    /// The value when the variable is not set.
    pub fn default_value(&self) -> f64 {
        (self.get)(&Settings::DEFAULT)
    }

    /// Sets the number. Returns `false`, and changes nothing, when the variable does not take the value.
    pub(super) fn set(&self, settings: &mut Settings, value: f64) -> bool {
        let good = (self.least..=self.most).contains(&value) && (!self.whole || libm::trunc(value) == value);
        if good {
            (self.put)(settings, value);
        }
        good
    }
}

/// Says which values a variable takes, by the type of its field.
macro_rules! range_in_words {
    (u32, $least:literal, $most:literal) => {
        concat!("a whole number from ", $least, " to ", $most)
    };
    (f64, $least:literal, $most:literal) => {
        concat!("a number from ", $least, " to ", $most)
    };
}

/// Declares the variables: name, field of [`Settings`], range, and what it sets.
macro_rules! variables {
    ($($variable:literal $field:ident: $type:ident, $least:literal..$most:literal, $about:literal;)+) => {
        /// The variables, in the order of the documentation.
        pub(super) static VARIABLES: &[Setting] = &[$(Setting {
            variable: $variable,
            about: $about,
            least: $least as f64,
            most: $most as f64,
            // Whole numbers are the ones whose type has no fractions.
            whole: (0.5_f64 as $type) as f64 == 0.0,
            range: range_in_words!($type, $least, $most),
            get: |settings| settings.$field as f64,
            put: |settings, value| settings.$field = value as $type,
        }),+];
    };
}

variables! {
    "HAKMEM_EVO_FREEZE_SECONDS" freeze_seconds: f64, 0.0..1e9, "least learning time, seconds";
    "HAKMEM_EVO_FREEZE_EPSILON" freeze_epsilon: f64, 0.0..1e9, "relative change of p99 that counts as converged";
    "HAKMEM_EVO_FREEZE_WINDOWS" freeze_windows: u32, 1..1e9, "converged windows in a row that stop learning";
    "HAKMEM_EVO_RELEARN_DELTA" relearn_delta: f64, 0.0..1e9, "relative worsening of p99 that counts as bad";
    "HAKMEM_EVO_RELEARN_WINDOWS" relearn_windows: u32, 1..1e9, "bad windows in a row that start learning again";
    "HAKMEM_EVO_DIST_DELTA" dist_delta: f64, 0.0..2.0, "L1 distance of size distributions that starts learning again";
    "HAKMEM_EVO_CANARY_FRACTION" trial_fraction: f64, 0.0..1.0, "share of allocations that try the candidate";
    "HAKMEM_EVO_WINDOW_OPS" window_ops: u32, 1..1e9, "allocations that close a window";
    "HAKMEM_EVO_WINDOW_SECONDS" window_seconds: f64, 0.0..1e9, "seconds that close a window";
}

/// The variables that set the numbers of the lifecycle (factor `evolution`).
pub fn lifecycle_settings() -> &'static [Setting] {
    VARIABLES
}
