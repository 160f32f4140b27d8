//! `cargo ablate compare`.

use super::forms::Forms;
use super::output::Ended;
use crate::support::exit::ShellCode;
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::tools::compare;
use std::path::PathBuf;

/// Arguments of `cargo ablate compare`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of results: the base first, then what is compared with it.
    #[arg(value_name = "DIR", num_args = 2.., required = true)]
    dirs: Vec<PathBuf>,
    #[command(flatten)]
    forms: Forms,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    let comparison = compare::compare(&args.dirs)?;
    args.forms.show(&comparison, settings)?;
    if comparison.others.iter().all(|other| other.is_compared()) {
        return Ok(ShellCode::Good);
    }
    note("no row of a folder could be compared; the reasons are above");
    Ok(ShellCode::BadRuns)
}
