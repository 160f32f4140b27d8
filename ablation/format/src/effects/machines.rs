//! An effect that was measured on several machines.

use super::estimate::Estimate;
use serde::{Deserialize, Serialize};

/// An effect on each of several machines, and over them. Values are in the unit of the row's response, with its sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectOverMachines {
    /// The effect on each machine that measured it.
    pub each: Vec<EffectOnMachine>,
    /// The mean over these machines, each with the weight of its blocks.
    pub these_machines: Estimate,
    /// The mean over machines of the kind that these are a sample of.
    pub machines_like_these: Estimate,
    /// Standard deviation τ of the effect between machines.
    pub between: f64,
    /// Share I² of the variance that is between machines, 0 to 1.
    pub share_between: f64,
    /// Probability that machines with one effect differ this much, by Cochran's Q.
    pub p: f64,
}

/// An effect on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EffectOnMachine {
    /// Index of the machine in the manifest's list.
    pub machine: u32,
    /// The effect, by the blocks of this machine.
    pub value: Estimate,
}
