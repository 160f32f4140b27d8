//! Studies of any subject from their first config to their end.

mod adaptive;
mod around;
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod harness;
mod init;
mod odd_paths;
mod over_time;
mod path;
mod programs;
mod race;
mod screen;
mod server;
mod verdicts;
