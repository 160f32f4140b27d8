//! `cargo ablate doctor`.

use super::numbers::whole;
use super::output::{Ended, shown};
use crate::support::settings::Settings;
use crate::tools::doctor;
use std::time::Duration;

/// Arguments of `cargo ablate doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Seconds for measuring how much equal processes differ. All other checks together take some seconds more.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u64>(1..=600))]
    seconds: u64,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    shown(&doctor::run(Duration::from_secs(args.seconds), settings)?)
}
