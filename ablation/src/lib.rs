//! ablate: tells what each part of a program costs, and proves it.
#![doc = include_str!("../README.md")]
//!
//! The stages, each a function from the last stage's value to the next: [`config`] → [`design`] → [`plan`] →
//! [`builds`] → [`run`] (with [`measure`]) → [`prove`] → [`analyse`] (with [`ablate_stats`]) → [`report`]. Only [`builds`],
//! [`run`], [`machine`] and [`store`] touch the world; [`ablate_format`] holds the values that are
//! kept.

pub mod analyse;
pub mod builds;
pub mod cells;
pub mod cli;
pub mod config;
pub mod design;
pub mod doctor;
pub mod gap;
pub mod init;
pub mod keep;
pub mod machine;
pub mod measure;
pub mod plan;
pub mod profile;
pub mod progress;
pub mod prove;
pub mod report;
pub mod run;
pub mod selftest;
pub mod settings;
pub mod store;
pub mod study;
pub mod syscalls;
pub mod unit_costs;
