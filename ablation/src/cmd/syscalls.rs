//! `cargo ablate syscalls`.

use super::output::{Ended, shown};
use crate::support::settings::Settings;
use crate::tools::syscalls::{self, Request};
use std::path::PathBuf;

/// Arguments of `cargo ablate syscalls`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, a TOML file.
    config: PathBuf,
    /// Count only this workload.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// The peer that the last column compares the baseline with. Default: the config's reference_peer.
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let Args { config, workload, peer } = args;
    shown(&syscalls::run(&Request { config, workload, peer }, settings)?)
}
