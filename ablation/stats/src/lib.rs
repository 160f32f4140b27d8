//! Statistics of a study: pure functions of numbers, each with the source of its formula.
//!
//! The values of a study come in blocks: one value of every cell, measured close in time. [`table::table`] removes what
//! whole blocks have in common and gives each cell a [`bootstrap::Drawn`]: its value, and its value in every draw of
//! the block bootstrap. Sums, differences and ratios of these have intervals of their own.
//!
//! ```
//! use ablate_stats::table::table;
//!
//! // (block, value) pairs of two cells; the second one takes 5 units more, and the machine drifts.
//! let cell = |effect: f64| (0..12).map(|block| (block, 100.0 + effect + 3.0 * block as f64)).collect();
//! let cells = table(&[cell(0.0), cell(5.0)], 12, 2_000, 7);
//! let effect = cells[1].combine(&cells[0], |with, without| with - without);
//! let (low, high) = effect.interval().expect("12 blocks are enough");
//! assert!((effect.point - 5.0).abs() < 1e-9 && low < 5.1 && high > 4.9);
//! ```
//!
//! This crate knows no records, cells or workloads: the package `ablation` turns records into pairs of block and value.
//! Units are those of the given values. What cannot be computed is `None`, NaN or empty, as each function says.
//! Functions panic only where a section `# Panics` says so.

#![warn(missing_docs)]

pub mod bootstrap;
pub mod change_points;
pub mod clean;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod coverage_change_points;
#[cfg(test)]
mod coverage_layouts;
#[cfg(test)]
mod coverage_machines;
#[cfg(test)]
mod coverage_screening;
pub mod distribution;
pub mod factorial;
pub mod foldover;
pub mod gamma;
pub mod layout;
pub mod line;
pub mod machines;
pub mod many;
pub mod moderated;
pub mod modes;
pub mod order;
pub mod projection;
pub mod random;
pub mod rank;
mod resamples;
pub mod sequential;
pub mod series;
pub mod sessions;
pub mod table;

pub use order::{MAX_BLOCKS, MIN_BLOCKS};
