//! Studies that are ended, starved or disturbed, with the real binary: what was recorded stays, and what is continued ends
//! like a study that was left alone.

mod clocks;
#[path = "../common/mod.rs"]
mod common;
mod kills;
mod limits;
mod seen;
mod subject;
