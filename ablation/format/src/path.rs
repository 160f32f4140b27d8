//! Paths: treatments added one after the other, and the gap to a peer that they are to close.

use serde::{Deserialize, Serialize};

/// The first step of a path may have this name instead of a treatment's.
pub const BASELINE: &str = "baseline";

/// Treatments in an order, each of which changes something of the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Name of the peer whose gap is followed.
    pub peer: String,
    /// Names of treatments, at least two; the first may be [`BASELINE`]. All are in one binary.
    pub steps: Vec<String>,
    /// Workloads in which the gap is measured at every step, at least one.
    pub workloads: Vec<String>,
    /// Gaps that count as small enough, in the order of the config.
    pub goals: Vec<Goal>,
}

/// A gap to the peer that counts as small enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Name for people.
    pub name: String,
    /// Largest gap that reaches the goal: step − peer, percent of the peer.
    pub high_percent: f64,
}
