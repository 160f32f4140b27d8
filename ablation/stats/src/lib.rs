//! Statistics of a study: pure functions of numbers, each with the source of its formula.
//!
//! Nothing here knows records, cells or workloads: the package `ablation` turns records into series and calls these.

#![warn(missing_docs)]

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
mod resamples;
pub mod series;
pub mod table;

pub use order::{MAX_BLOCKS, MIN_BLOCKS};
