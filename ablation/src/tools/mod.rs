//! What the subcommands beside `run` and `report` do, one module for each. No tool is part of a study; each uses the
//! stages as it needs them, and none uses another, [`cells`] and [`results`] apart.

pub(crate) mod archive;
pub(crate) mod bundle;
pub(crate) mod cells;
pub(crate) mod compare;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod profile;
pub(crate) mod results;
pub(crate) mod screen;
pub(crate) mod selftest;
pub(crate) mod syscalls;
pub(crate) mod trace;
