//! The gap to a peer, explained: what each factor does itself, what page faults and system calls cost, what is left.
//!
//! The breakdown is exact: its rows add up to the gap, and no nanosecond is in two rows. Everything here is a pure
//! function of cell values with their bootstrap draws, exact counts and measured unit costs; [`crate::analyse`] makes these
//! from the records.

pub(crate) mod breakdown;
pub(crate) mod counts;
pub(crate) mod curves;
pub(crate) mod hypotheses;
mod input;
mod intervals;
pub(crate) mod regression;
pub(crate) mod study;
pub(crate) mod units;

pub(crate) use units::UnitCosts;

#[cfg(test)]
mod fixture;
