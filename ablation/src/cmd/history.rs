//! `cargo ablate history`.

use super::output::{Ended, out_path, print};
use crate::support::exit::ShellCode;
use crate::support::settings::Settings;
use crate::tools::history::{self, Form, Request};
use std::path::PathBuf;

/// Arguments of `cargo ablate history`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders of results, in any order: the time in them decides.
    #[arg(value_name = "DIR", required_unless_present = "file")]
    dirs: Vec<PathBuf>,
    /// A file that keeps results over time, one line of JSON for each.
    #[arg(long, value_name = "FILE", value_parser = out_path())]
    file: Option<PathBuf>,
    /// Append the result of this folder to --file first, unless it is there.
    #[arg(long, value_name = "DIR", requires = "file")]
    add: Option<PathBuf>,
    /// Show every series, also where there are many and nothing changed in most of them.
    #[arg(long)]
    all: bool,
    /// Print the history as one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Write it as Markdown to this file.
    #[arg(long, value_name = "FILE", value_parser = out_path())]
    markdown: Option<PathBuf>,
    /// Write it to this file as one page of HTML with a chart for each series, which needs no network.
    #[arg(long, value_name = "FILE", value_parser = out_path())]
    html: Option<PathBuf>,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let all = args.all;
    let request = Request { dirs: args.dirs, file: args.file, add: args.add };
    let history = history::history(&request)?;
    for (path, form) in [(&args.markdown, Form::Markdown { all }), (&args.html, Form::Html)] {
        if let Some(path) = path {
            history::write(&history, form, path)?;
        }
    }
    let form = if args.json { Form::Json } else { Form::Terminal { columns: settings.columns, all } };
    print(&history::to_text(&history, form))?;
    Ok(if history.damaged == 0 { ShellCode::Good } else { ShellCode::BadRuns })
}
