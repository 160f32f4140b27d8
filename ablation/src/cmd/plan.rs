//! `cargo ablate plan`.

use super::output::{Ended, shown};
use crate::support::settings::Settings;
use crate::tools::{cells, plan};
use std::path::PathBuf;

/// Arguments of `cargo ablate plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, a TOML file.
    config: PathBuf,
    /// Show every row of tables that are longer than 100.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    let (study, design, workspace) = cells::open(&args.config, settings)?;
    let process = plan::process_time(&study.name, &workspace.target.join("ablate"));
    shown(&plan::describe(&study, &design, &process, (settings.columns, args.all)))
}
