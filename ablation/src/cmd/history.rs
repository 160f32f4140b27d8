//! `cargo ablate history`.

use super::forms::Forms;
use super::output::{Ended, out_file};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::settings::Settings;
use crate::tools::history::{self, Request};
use std::path::PathBuf;

/// Arguments of `cargo ablate history`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of results, in any order: the time in them decides.
    #[arg(value_name = "DIR", required_unless_present = "file")]
    dirs: Vec<PathBuf>,
    /// A file that keeps results over time, one line of JSON for each.
    #[arg(long, value_name = "FILE", value_parser = out_file())]
    file: Option<PathBuf>,
    /// Append the result of this folder to --file first, unless it is there.
    #[arg(long, value_name = "DIR", requires = "file")]
    add: Option<PathBuf>,
    #[command(flatten)]
    forms: Forms,
}

/// A report would take the place of the results that it is of.
#[derive(Debug, thiserror::Error)]
#[error("{} keeps the results, so no report is written over it; name another file for --markdown and --html", .0.display())]
struct KeptFile(PathBuf);

impl ExitStatus for KeptFile {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    if let Some(file) = args.file.as_ref().filter(|file| args.forms.writes_to(file)) {
        return Err(Box::new(KeptFile(file.clone())));
    }
    let request = Request { dirs: args.dirs, file: args.file, add: args.add };
    let history = history::history(&request)?;
    args.forms.show(&history, settings)?;
    Ok(if history.damaged == 0 { ShellCode::Good } else { ShellCode::BadRuns })
}
