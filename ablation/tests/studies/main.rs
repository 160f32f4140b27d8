//! Studies of any subject from their first config to their end.

mod adaptive;
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod init;
mod race;
