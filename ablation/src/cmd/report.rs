//! `cargo ablate report`, and the end of `cargo ablate run`.

use super::output::{Ended, print};
use crate::analyse::TargetVerdict;
use crate::prove::JudgedRun;
use crate::report::{self, ReportError, Screen, Written};
use crate::store::BadLine;
use crate::support::count::counted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::tools::screen;
use crate::{analyse, prove, store};
use ablate_format::{Manifest, PAGE, Status};
use std::path::{Path, PathBuf};

/// Arguments of `cargo ablate report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of results that `cargo ablate run` named.
    dir: PathBuf,
    /// Print the tables of this workload alone. May be given several times.
    #[arg(long = "workload", value_name = "NAME", conflicts_with_all = ["json", "html"])]
    workloads: Vec<String>,
    #[command(flatten)]
    printed: Printed,
}

/// What is printed of a report, and what decides the exit code.
#[derive(Debug, Default, Clone, Copy, clap::Args)]
pub(super) struct Printed {
    /// Print effects.json instead of tables.
    #[arg(long)]
    json: bool,
    /// Print where report.html is instead of tables, and write its figures as SVG files into `figures` beside it.
    ///
    /// The page needs no network and no other file.
    #[arg(long, conflicts_with = "json")]
    html: bool,
    /// Let the targets decide the exit code: 0 all are met, 1 one is missed, 3 one is open and none is missed.
    #[arg(long)]
    gate: bool,
}

impl ExitStatus for ReportError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

pub(super) fn run(args: &Args, settings: &Settings) -> Ended {
    if screen::is_screening(&args.dir) {
        if args.printed.gate {
            return Err(Box::new(NoTarget));
        }
        if !args.workloads.is_empty() {
            let stage = screen::stages(&args.dir).pop();
            return Err(Box::new(OfAllWorkloads { stage: stage.unwrap_or_else(|| args.dir.clone()) }));
        }
        if args.printed.html {
            let mut code = ShellCode::Good;
            for stage in screen::stages(&args.dir) {
                if report(&stage, Screen::Tables, args.printed, settings)? != ShellCode::Good {
                    code = ShellCode::BadRuns;
                }
            }
            return Ok(code);
        }
        if screen::stages(&args.dir).iter().any(|stage| store::is_in_use(stage)) {
            note("the screening is still running; the report covers the runs so far");
        }
        let told = screen::report_again(&args.dir, args.printed.json, settings)?;
        print(&told.text)?;
        if let Some(why) = &told.preliminary {
            note(why);
        }
        let is_good = told.is_proven && told.preliminary.is_none();
        return Ok(if is_good { ShellCode::Good } else { ShellCode::BadRuns });
    }
    store::check_begun(&args.dir)?;
    let is_running = store::is_in_use(&args.dir);
    if is_running {
        note("a study is still running in this folder; the report covers the runs so far");
    }
    let screen = if args.workloads.is_empty() { Screen::Tables } else { Screen::Workloads(&args.workloads) };
    let ended = report(&args.dir, screen, args.printed, settings);
    // Its own last report may have been replaced by this one, which has fewer runs.
    if is_running && !store::is_in_use(&args.dir) {
        let made = write(&args.dir, screen, settings)?;
        if args.printed.html {
            report::write_figures(&args.dir, &made.written)?;
        }
    }
    ended
}

/// What a report was made of.
struct Made {
    manifest: Manifest,
    records: Vec<JudgedRun>,
    bad_lines: Vec<BadLine>,
    /// Runs with a record, and planned runs; `None` where the config cannot be read.
    coverage: Option<(usize, usize)>,
    /// Runs of unfinished blocks.
    left_out: usize,
    written: Written,
}

/// Reads the folder and writes its report.
fn write(dir: &Path, screen: Screen<'_>, settings: &Settings) -> Result<Made, Box<dyn ExitStatus>> {
    let (manifest, records, bad_lines) = store::read_judged(dir)?;
    if let Screen::Workloads(names) = screen {
        known(&manifest, names)?;
    }
    let coverage = store::coverage(&manifest, &records);
    let (mut records, left_out) = store::whole_blocks(&manifest, records);
    prove::prove_together(&manifest.plan, &mut records);
    let written = report::write(dir, &manifest, &records, screen, settings.columns)?;
    Ok(Made { manifest, records, bad_lines, coverage, left_out, written })
}

/// Reads the folder, writes its report and prints it.
pub(super) fn report(dir: &Path, screen: Screen<'_>, printed: Printed, settings: &Settings) -> Ended {
    let Made { manifest, records, bad_lines, coverage, left_out, written } = write(dir, screen, settings)?;
    // A runner may be writing the last line.
    let is_running = store::is_in_use(dir);
    for bad in bad_lines.iter().filter(|bad| !(bad.is_torn && is_running)) {
        note(&format!("{}:{}: skipped: {}", dir.join(store::RECORDS).display(), bad.line, bad.why));
    }
    if left_out > 0 {
        note(&format!("left out of the report: {} of an unfinished block", counted(left_out, "run")));
    }
    match printed {
        Printed { html: true, .. } => {
            report::write_figures(dir, &written)?;
            print(&dir.join(PAGE).display().to_string())?;
        }
        Printed { json: true, .. } => print(&written.json)?,
        Printed { .. } => print(&written.terminal)?,
    }
    let bad = records.iter().filter(|r| r.status != Status::Ok).count();
    if bad > 0 {
        note(&format!("failed or invalid: {bad} of {}", counted(analyse::of_programs(&records), "run")));
    }
    // A damaged line whose run was repeated by a resumed study is no loss.
    let complete = match coverage {
        Some((there, planned)) if there < planned => {
            note(&format!("{there} of {planned} planned runs have records"));
            false
        }
        Some(_) => true,
        None => bad_lines.is_empty(),
    };
    if let Some(why) = preliminary(&manifest, store::blocks(&records), is_running) {
        note(&why);
    }
    if printed.gate {
        return gate(&written.targets);
    }
    Ok(if bad == 0 && complete && !records.is_empty() { ShellCode::Good } else { ShellCode::BadRuns })
}

/// Refuses the name of a workload that the study does not have.
fn known(manifest: &Manifest, names: &[String]) -> Result<(), UnknownWorkload> {
    let own: Vec<&str> = manifest.plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    match names.iter().find(|name| !own.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(UnknownWorkload { name: name.clone(), known: own.join(", ") }),
    }
}

/// A workload that is not in the study.
#[derive(Debug, thiserror::Error)]
#[error("the study has no workload `{name}`; it has {known}")]
struct UnknownWorkload {
    name: String,
    known: String,
}

impl ExitStatus for UnknownWorkload {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}

/// Why the intervals are not the last ones of the study; `None` when they are.
fn preliminary(manifest: &Manifest, whole: usize, is_running: bool) -> Option<String> {
    let all = store::shards::blocks(manifest) as usize;
    // The manifest of a study that stops by itself has the blocks that began.
    let stops_itself = |word: &String| {
        ["--until-halfwidth", "--budget"].iter().any(|option| word.starts_with(option))
            || word == "diff"
            || word == "bisect"
    };
    let known = match manifest.command.iter().any(stops_itself) {
        true if is_running => {
            format!("{} so far, and the study decides how many it takes", counted(whole, "whole block"))
        }
        _ if whole < all => format!("{whole} of {} are complete", counted(all, "block")),
        _ => return None,
    };
    Some(format!("{known}, so every interval is preliminary"))
}

/// The exit code of a study whose targets decide.
fn gate(targets: &[TargetVerdict]) -> Ended {
    let has = |verdict: TargetVerdict| targets.contains(&verdict);
    let (word, code) = match () {
        () if targets.is_empty() => return Err(Box::new(NoTarget)),
        () if has(TargetVerdict::Missed) => ("missed", ShellCode::BadRuns),
        () if targets.iter().all(|target| *target == TargetVerdict::Met) => ("met", ShellCode::Good),
        () => ("undecided", ShellCode::Undecided),
    };
    note(&format!("gate: {word}"));
    Ok(code)
}

/// `--workload` of a screening, whose tables are of all workloads together.
#[derive(Debug, thiserror::Error)]
#[error("a screening is told of all its workloads together; leave --workload out, or give the folder of a stage: {}", stage.display())]
struct OfAllWorkloads {
    stage: PathBuf,
}

impl ExitStatus for OfAllWorkloads {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}

/// `--gate` of a study that has nothing to decide by.
#[derive(Debug, thiserror::Error)]
#[error("--gate is decided by the targets of the study, and it has none; add a [[target]] table to its config")]
struct NoTarget;

impl ExitStatus for NoTarget {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}
