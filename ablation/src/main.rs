//! The command line of `ablate`.
fn main() {}
