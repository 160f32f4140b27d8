//! `cargo ablate merge`.

use super::output::{Ended, out_path};
use super::report::{self, Printed};
use crate::report::Screen;
use crate::support::settings::Settings;
use crate::tools::merge;
use std::path::PathBuf;

/// Arguments of `cargo ablate merge`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of shards, each the --out of a `cargo ablate run --shard I/N`.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Folder for the joined study, which must be empty or new.
    #[arg(long, value_name = "DIR", value_parser = out_path())]
    out: PathBuf,
    #[command(flatten)]
    printed: Printed,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    merge::merge(&args.dirs, &args.out)?;
    report::report(&args.out, Screen::Tables, args.printed, settings)
}
