//! Counts of a process: one table of instruments, which are probed once. Most are attached to a process that waits
//! before its `exec`. Callgrind and strace run the process themselves, in a run of its own.
//!
//! Every row names the source of its numbers. Numbers of two sources never share a name, so that a count of the
//! processor is never compared with one of a simulator. An instrument that is not available says why and what would
//! allow it, and has no count; it is never 0. When to count is left to [`crate::run`].

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
