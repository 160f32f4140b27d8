//! `cargo ablate archive`.

use super::output::{Ended, shown};
use crate::tools::archive;
use std::path::PathBuf;

/// Arguments of `cargo ablate archive`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that `cargo ablate run` named.
    dir: PathBuf,
    /// Where the copies are; the study gets a folder of its name there, in place of an earlier copy of it.
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    to: PathBuf,
}

pub(super) fn run(args: &Args) -> Ended {
    Ok(shown(&archive::archive(&args.dir, &args.to)?))
}
