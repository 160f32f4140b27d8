//! Ideas added in turn, and the gap to a peer that they are to close.

use serde::{Deserialize, Serialize};

/// The step that is no treatment: where a path may begin.
pub const BASELINE: &str = "baseline";

/// Treatments in an order, each of which adds something to the one before.
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
    /// Workloads that it is followed in, at least one.
    pub workloads: Vec<String>,
    /// How near the peer is to come.
    pub goals: Vec<Goal>,
}

/// A gap that is small enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Name for people.
    pub name: String,
    /// The most that a step may take more than the peer, percent of the peer.
    pub high_percent: f64,
}
