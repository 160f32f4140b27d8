//! `cargo ablate`: tells what each part of a program costs, and proves it.
//!
//! The stages, each a function from the last stage's value to the next: [`config`] → [`design`] → [`plan`] →
//! [`builds`] → [`run`] (with [`measure`]) → [`prove`] → [`analyse`] (with [`ablate_stats`]) → [`report`]. Only [`builds`],
//! [`run`], [`machine`] and [`store`] touch the world; [`ablate_format`] holds the values that are kept. [`cmd`] alone
//! knows the command line.

mod analyse;
mod builds;
mod cmd;
mod config;
mod design;
mod gap;
mod measure;
mod prove;
mod report;
mod run;
mod store;
mod study;
mod support;
mod tools;
mod unit_costs;

fn main() -> std::process::ExitCode {
    cmd::main()
}
