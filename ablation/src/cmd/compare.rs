//! `cargo ablate compare`.

use super::output::{Ended, out_path, print};
use crate::support::exit::ShellCode;
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::tools::compare::{self, Form};
use std::path::PathBuf;

/// Arguments of `cargo ablate compare`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of results: the base first, then what is compared with it.
    #[arg(value_name = "DIR", num_args = 2.., required = true)]
    dirs: Vec<PathBuf>,
    /// Show every row, also those without a difference.
    #[arg(long)]
    all: bool,
    /// Print the comparison as one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Write it as Markdown to this file.
    #[arg(long, value_name = "FILE", value_parser = out_path())]
    markdown: Option<PathBuf>,
    /// Write it to this file as one page of HTML with a forest plot, which needs no network.
    #[arg(long, value_name = "FILE", value_parser = out_path())]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    let comparison = compare::compare(&args.dirs)?;
    let all = args.all;
    for (path, form) in [(&args.markdown, Form::Markdown { all }), (&args.html, Form::Html)] {
        if let Some(path) = path {
            compare::write(&comparison, form, path)?;
        }
    }
    let form = if args.json { Form::Json } else { Form::Terminal { columns: settings.columns, all } };
    print(&compare::to_text(&comparison, form))?;
    if comparison.others.iter().all(|other| other.is_compared()) {
        return Ok(ShellCode::Good);
    }
    note("no row of a folder could be compared; the reasons are above");
    Ok(ShellCode::BadRuns)
}
