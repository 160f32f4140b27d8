//! `cargo ablate profile`.

use super::numbers::whole;
use super::output::{Ended, out_path, shown};
use crate::support::settings::Settings;
use crate::tools::profile::{self, Request};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `cargo ablate profile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, a TOML file.
    config: PathBuf,
    /// The cell to profile, as `cargo ablate plan` names it. Default: the cell with the largest effect in an earlier run
    /// of this study.
    #[arg(long, value_name = "ID")]
    cell: Option<String>,
    /// The cell to compare it with.
    #[arg(long, value_name = "ID", default_value = "baseline")]
    against: String,
    /// The workload to run. Default: that of the largest effect, else the first.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Folder for flame graphs and folded stacks. Default: `profile-TIME` in the newest run of the study, whose report
    /// then shows them, else target/ablate/profile-STUDY-TIME.
    #[arg(long, value_name = "DIR", value_parser = out_path())]
    out: Option<PathBuf>,
    /// Samples per cell. Sampling ends earlier when the time is over.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = whole::<u64>(1..=10_000_000))]
    samples: u64,
    /// Most seconds for taking samples.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = whole::<u64>(1..=86_400))]
    seconds: u64,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let Args { config, cell, against, workload, out, samples, seconds } = args;
    let time = Duration::from_secs(seconds);
    shown(&profile::run(&Request { config, cell, against, workload, out, samples, time }, settings)?)
}
