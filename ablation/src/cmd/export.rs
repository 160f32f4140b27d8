//! `cargo ablate export`.

use super::output::{Ended, OutputError, out_file, print_bytes};
use crate::report::export::{self, Format};
use crate::report::{self, ReportError};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::progress::note;
use crate::tools::results::{self, form};
use std::path::PathBuf;

/// Arguments of `cargo ablate export`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of results that `cargo ablate run` named, or an archived one.
    dir: PathBuf,
    /// The format.
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Chosen,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE", value_parser = out_file())]
    out: Option<PathBuf>,
}

/// A format of another tool, or one of the study's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Chosen {
    /// A row for each workload, cell or effect, and response.
    Csv,
    /// Bencher Metric Format, for `bencher run --adapter json --file`.
    Bencher,
    /// What each cell takes, for the tool `customSmallerIsBetter` of github-action-benchmark.
    GithubActionBenchmark,
    /// OpenMetrics text, for Prometheus and what reads its format.
    Openmetrics,
    /// effects.json.
    Json,
    /// report.md.
    Markdown,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// An archived folder lost a file.
    #[error("{path}: reading failed: {source}; a folder without records needs this file")]
    OwnFile { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Encode(#[from] ReportError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl ExitStatus for ExportError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

pub(super) fn run(args: &Args) -> Ended {
    let results = results::read(&args.dir)?;
    let text = match args.format {
        Chosen::Json => match &results.measured {
            Some(_) => report::effects_text(&results.effects).map_err(ExportError::Encode)?,
            None => own_file(&results, ablate_format::EFFECTS)?,
        },
        Chosen::Markdown => match &results.measured {
            Some(of) => report::markdown(&results.dir, &results.manifest, &of.records, &of.analysis),
            None => own_file(&results, ablate_format::REPORT)?,
        },
        Chosen::Csv => exported(&results, Format::Csv),
        Chosen::Bencher => exported(&results, Format::Bencher),
        Chosen::GithubActionBenchmark => exported(&results, Format::GithubActionBenchmark),
        Chosen::Openmetrics => exported(&results, Format::OpenMetrics),
    };
    match &args.out {
        Some(path) => form::write_text(path, &text)?,
        None => print_bytes(text.as_bytes())?,
    }
    Ok(ShellCode::Good)
}

fn exported(results: &results::Results, format: Format) -> String {
    let analysis = results.measured.as_ref().map(|measured| &measured.analysis);
    let exported = export::export(&results.manifest, &results.effects, analysis, format);
    exported.left_out.iter().for_each(|left_out| note(left_out));
    exported.text
}

/// A file of a folder that has no records to make it from.
fn own_file(results: &results::Results, name: &str) -> Result<String, ExportError> {
    let path = results.dir.join(name);
    std::fs::read_to_string(&path).map_err(|source| ExportError::OwnFile { path, source })
}
