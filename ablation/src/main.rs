//! `cargo ablate`: tells what each part of a program costs, and proves it.
//!
//! The stages, each a function from the last stage's value to the next: [`config`] → [`design`] → [`plan`] →
//! [`builds`] → [`run`] (with [`measure`]) → [`prove`] → [`analyse`] (with [`ablate_stats`]) → [`report`]. Only [`builds`],
//! [`run`], [`machine`] and [`store`] touch the world; [`ablate_format`] holds the values that are kept. [`cmd`] alone
//! knows the command line.

mod analyse;
mod archive;
mod builds;
mod call;
mod cells;
mod cmd;
mod config;
mod design;
mod doctor;
mod exit;
mod files;
mod gap;
mod init;
mod machine;
mod measure;
mod plan;
mod profile;
mod progress;
mod prove;
mod report;
mod run;
mod selftest;
mod settings;
mod store;
mod studies;
mod study;
mod syscalls;
mod unit_costs;

fn main() -> std::process::ExitCode {
    cmd::main()
}
