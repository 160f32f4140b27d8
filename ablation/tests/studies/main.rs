//! Studies of any subject from their first config to their end.

mod adaptive;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod common;
mod foreign;
mod init;
