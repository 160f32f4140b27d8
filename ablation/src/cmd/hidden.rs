//! Subcommands that ablate starts itself, as processes of their own. `--help` does not list them.

use super::numbers::whole;
use super::output::{Ended, shown};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::tools::{doctor, profile, selftest};
use crate::unit_costs;
use std::ffi::OsString;

/// Arguments of `cargo ablate synthetic`.
#[derive(Debug, clap::Args)]
pub(super) struct Synthetic {
    /// Timed batches of 300 operations.
    #[arg(long, value_name = "N", default_value_t = selftest::BATCHES, value_parser = whole::<u32>(0..=10_000))]
    batches: u32,
    /// Leave out the contention probes and the truth, so that only the operations are counted.
    #[arg(long)]
    counted: bool,
}

/// Arguments of `cargo ablate repeat`.
#[derive(Debug, clap::Args)]
pub(super) struct Repeat {
    /// How often the program runs.
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Program and arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Arguments of `cargo ablate trial`.
#[derive(Debug, clap::Args)]
pub(super) struct Trial {
    /// System calls.
    #[arg(long, default_value_t = 0)]
    calls: u32,
    /// Timed batches of operations on memory, of which the 10th percentile is printed.
    #[arg(long, default_value_t = 0)]
    batches: u32,
}

/// The program that is to be repeated does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the program that is to be repeated: {0}; give a program that can be executed")]
struct RepeatError(std::io::Error);

impl ExitStatus for RepeatError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

pub(super) fn unit_costs() -> Ended {
    let line = unit_costs::measure(ablate_probe::contention_probe_ns);
    shown(&serde_json::to_string(&line).expect("the keys are text, so that the line is always JSON"))
}

pub(super) fn synthetic(args: &Synthetic) -> Ended {
    let Synthetic { batches, counted } = *args;
    shown(&selftest::synthetic(&selftest::SyntheticRequest { batches, counted })?)
}

pub(super) fn repeat(args: &Repeat) -> Ended {
    Ok(ShellCode::Of(profile::repeat(args.times, &args.command).map_err(RepeatError)?))
}

pub(super) fn trial(args: &Trial) -> Ended {
    let Trial { calls, batches } = *args;
    shown(&doctor::trial(&doctor::Trial { calls, batches }))
}
