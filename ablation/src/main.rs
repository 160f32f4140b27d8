//! `cargo ablate`: tells what each part of a program costs, and proves it.
//!
//! The stages, each a function from the last stage's value to the next: [`config`] → [`design`] → [`builds`] → [`run`] (with
//! [`measure`]) → [`prove`] → [`analyse`] and [`gap`] (with [`ablate_stats`]) → [`report`]. [`study`] calls them in this order,
//! [`store`] is the folder that they leave, and [`ablate_format`] has the values that stand in it. [`tools`] use the stages for
//! other questions. [`cmd`] alone knows the command line.

mod analyse;
mod benchmarks;
mod builds;
mod bundle;
mod cmd;
mod config;
mod design;
mod gap;
mod harness;
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
