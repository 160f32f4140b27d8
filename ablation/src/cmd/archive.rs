//! `cargo ablate archive`.

use super::output::{Ended, shown};
use crate::support::machine;
use crate::tools::archive;
use std::path::PathBuf;

/// Arguments of `cargo ablate archive`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of results that `cargo ablate run` named.
    dir: PathBuf,
    /// Folder of all archived studies. The study gets a folder of its name in it, which replaces an earlier copy.
    #[arg(long, value_name = "FOLDER", default_value = machine::ARCHIVE)]
    to: PathBuf,
    /// Archive nothing when the run was shorter than its config, by fewer blocks or by --workload, --factor or --cell.
    #[arg(long)]
    whole: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    shown(&archive::archive(&args.dir, &args.to, args.whole)?)
}
