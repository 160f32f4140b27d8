//! `cargo ablate build`.

use super::output::{Ended, out_path, shown};
use crate::support::settings::Settings;
use crate::tools::bundle;
use std::path::PathBuf;

/// Arguments of `cargo ablate build`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, a TOML file.
    config: PathBuf,
    /// Folder for the binaries, which must be empty or new. It may be copied to other machines, at any path.
    #[arg(long, value_name = "BUNDLE", value_parser = out_path())]
    out: PathBuf,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    shown(&bundle::bundle(&args.config, &args.out, settings)?)
}
