//! What is counted while a process runs: one table of instruments, probed once; most are attached to a process that
//! waits before its `exec`, some need a tool around the process and a run of its own.
//!
//! Every row says where its numbers come from. Numbers of two sources never share a name, so that a count of the
//! processor is never compared with one of a simulator. What cannot be had says why and what would allow it; it is never
//! 0. When to count is left to [`crate::run`].

mod attach;
pub(crate) mod callgrind;
#[cfg(test)]
mod fake;
mod instruments;
mod refusal;
pub(crate) mod strace;
mod tracefs;
mod vmstat;
mod wrapper;

pub(crate) use attach::watch;
pub(crate) use attach::{Attached, Probed, Reading, probe, probe_groups};
pub(crate) use instruments::{CALLS, GROUPS};
pub(crate) use wrapper::{Tool, Wrapper, find_tool};
