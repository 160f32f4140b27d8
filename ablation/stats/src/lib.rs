//! Statistics of a study: pure functions of numbers, each with the source of its formula.
//!
//! Nothing here knows records, cells or workloads: the package `ablation` turns records into series and calls these.

pub mod bootstrap;
#[cfg(test)]
mod coverage;
pub mod distribution;
pub mod factorial;
pub mod layout;
pub mod line;
pub mod many;
pub mod modes;
pub mod order;
pub mod projection;
pub mod random;
pub mod series;
pub mod table;

/// Fewest blocks for which an interval of 95 % is given.
///
/// The exact sign-test interval of a median reaches 95 % from six values on (1 − 2 · 2⁻⁶ = 96.9 %; five values reach
/// 93.8 % at most). One rule for every interval keeps the tables comparable.
pub const MIN_BLOCKS: usize = 6;
