//! The gap to a peer, explained: what each factor does itself, what page faults and system calls cost, what is left.
//!
//! The breakdown is exact: its rows add up to the gap, and no nanosecond is in two rows. Everything here is a pure
//! function of cell values with their bootstrap draws, exact counts and measured unit costs; [`crate::analyse`] makes these
//! from the records.

pub mod breakdown;
pub mod counts;
pub mod curves;
pub mod hypotheses;
mod input;
mod intervals;
pub mod regression;
pub mod study;
pub mod units;

pub use counts::Counts;
pub use input::Input;
pub use units::UnitCosts;

#[cfg(test)]
mod fixture;
