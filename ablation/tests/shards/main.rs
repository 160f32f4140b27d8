//! Studies in parts: `run --shard`, `merge`, and binaries that are built once.

mod bundle;
#[path = "../common/mod.rs"]
mod common;
mod merge;
