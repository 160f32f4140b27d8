//! The binary: the stages in their order, and what an error means to the shell.

use ablation::builds::{self, BuildError};
use ablation::cells::CellsError;
use ablation::cli::{self, Cli, Command, DEFAULT_CONFIG, Run};
use ablation::config::{self, ConfigError};
use ablation::keep::KeepError;
use ablation::progress::note;
use ablation::run::interrupt;
use ablation::selftest::SelftestError;
use ablation::settings::{self, Settings, SettingsError};
use ablation::store::StoreError;
use ablation::study::{self, StudyError};
use ablation::{design, doctor, init, keep, plan, profile, prove, report, selftest, store, syscalls};
use clap::Parser;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const BAD_RUNS: u8 = 1;
const WRONG_CALL: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| wrong_call(&error));
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The messages contain their causes already.
            note(&format!("error: {error}"));
            ExitCode::from(code_of(&error))
        }
    }
}

/// Says what is wrong with the call, or gives the help that was asked for, and ends.
fn wrong_call(error: &clap::Error) -> ! {
    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    match cli::meant(&args).filter(|_| error.use_stderr()) {
        Some(meant) => {
            note(&format!("error: `{}` belongs to a subcommand\n{meant}", args[0]));
            std::process::exit(WRONG_CALL.into())
        }
        None => error.exit(),
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    let settings = settings::read(std::env::vars_os())?;
    match cli.command {
        None => {
            let config = default_config()?;
            run_study(&Run::of(config), &settings)
        }
        Some(Command::Init(args)) => Ok(shown(&init::run(&args, &settings)?)),
        Some(Command::Run(args)) => run_study(&args, &settings),
        Some(Command::Plan { config }) => show_plan(&config, &settings),
        Some(Command::Report { dir }) => show_report(&dir, &settings),
        Some(Command::Keep { dir, to }) => Ok(shown(&keep::keep(&dir, &to)?)),
        Some(Command::Syscalls(args)) => Ok(shown(&syscalls::run(&args, &settings)?)),
        Some(Command::Doctor(args)) => Ok(shown(&doctor::run(&args, &settings)?)),
        Some(Command::Selftest(args)) => run_selftest(&args, &settings),
        Some(Command::Synthetic(args)) => Ok(shown(&selftest::synthetic::synthetic(&args)?)),
        Some(Command::Repeat(args)) => Ok(profile::repeat(&args)?),
        Some(Command::Trial(args)) => Ok(shown(&doctor::trial(&args))),
        Some(Command::UnitCosts) => {
            let line = ablation::unit_costs::measure(ablate_probe::contention_probe_ns);
            Ok(shown(&serde_json::to_string(&line)?))
        }
        Some(Command::Profile(args)) => Ok(shown(&profile::run(&args, &settings)?)),
    }
}

/// What an error means to the shell.
fn code_of(error: &anyhow::Error) -> u8 {
    let study: Option<&StudyError> = error.downcast_ref();
    let cells: Option<&CellsError> = error.downcast_ref();
    let interrupted = matches!(study, Some(StudyError::Build(BuildError::Interrupted)))
        || cells.is_some_and(CellsError::is_interrupt);
    if interrupted {
        // 130 fits a byte.
        return interrupt::EXIT_CODE as u8;
    }
    let is_usage = error.is::<ConfigError>()
        || error.is::<SettingsError>()
        || study.is_some_and(StudyError::is_usage)
        || cells.is_some_and(CellsError::is_usage)
        || error.downcast_ref().is_some_and(init::InitError::is_usage)
        || error.downcast_ref().is_some_and(SelftestError::is_usage)
        || error.downcast_ref().is_some_and(KeepError::is_usage)
        || error.downcast_ref().is_some_and(StoreError::is_usage)
        || error.downcast_ref().is_some_and(BuildError::is_usage);
    if is_usage { WRONG_CALL } else { BAD_RUNS }
}

fn default_config() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()
        .map_err(|e| anyhow::anyhow!("the current folder cannot be found: {e}; go to another"))?;
    let found = here.ancestors().map(|dir| dir.join(DEFAULT_CONFIG)).find(|path| path.is_file());
    // As an error of the config it has the exit code of one.
    Ok(found.ok_or_else(|| ConfigError::Unreadable {
        path: DEFAULT_CONFIG.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::NotFound, "not here and not in any folder above"),
    })?)
}

fn run_study(args: &Run, settings: &Settings) -> anyhow::Result<u8> {
    let outcome = study::run(args, settings)?;
    if outcome.interrupted && interrupt::asked_twice() {
        note(&format!("to go on:\n  {}", outcome.resume));
        return Ok(interrupt::EXIT_CODE as u8);
    }
    let code = print_report(&outcome.dir, settings)?;
    outcome.closing.iter().for_each(|line| note(line));
    if outcome.interrupted {
        note(&format!("interrupted; finished runs are kept. To go on:\n  {}", outcome.resume));
        return Ok(interrupt::EXIT_CODE as u8);
    }
    Ok(code)
}

fn run_selftest(args: &selftest::Args, settings: &Settings) -> anyhow::Result<u8> {
    let outcome = selftest::run(args, settings)?;
    print(&outcome.text);
    Ok(match (outcome.interrupted, outcome.passed) {
        (true, _) => interrupt::EXIT_CODE as u8,
        (false, true) => 0,
        (false, false) => BAD_RUNS,
    })
}

fn show_plan(path: &Path, settings: &Settings) -> anyhow::Result<u8> {
    let mut config = config::load(path)?;
    builds::find_peers(&mut config)?;
    let design = design::resolve(&config)?;
    let workspace = builds::workspace(&config, settings.target_dir.as_deref())?;
    let each = plan::each(&config.name, &workspace.target.join("ablate"));
    print(&plan::describe(&config, &design, &each, settings.columns));
    Ok(0)
}

fn show_report(dir: &Path, settings: &Settings) -> anyhow::Result<u8> {
    if store::is_in_use(dir) {
        note("a runner is at work in this folder: this is what there is so far");
    }
    print_report(dir, settings)
}

/// Reads the folder, writes its report and prints it.
fn print_report(dir: &Path, settings: &Settings) -> anyhow::Result<u8> {
    let (manifest, records, bad_lines) = store::read_settled(dir)?;
    for bad in &bad_lines {
        note(&format!("{}:{}: skipped: {}", dir.join(store::RECORDS).display(), bad.line, bad.why));
    }
    let coverage = store::coverage(&manifest, &records);
    let (mut records, left_out) = store::whole_blocks(&manifest, records);
    if left_out > 0 {
        note(&format!("{left_out} runs of an unfinished block are left out of the report"));
    }
    prove::prove_together(&manifest.plan, &mut records);
    let text = report::write(dir, &manifest, &records, settings.columns)?;
    print(&text);
    let bad = records.iter().filter(|r| r.status != ablate_format::Status::Ok).count();
    if bad > 0 {
        note(&format!("{bad} of {} runs failed or are invalid", records.len()));
    }
    // A line that a resumed study ran again is no loss.
    let complete = match coverage {
        Some((there, planned)) if there < planned => {
            note(&format!("{there} of {planned} planned runs are there"));
            false
        }
        Some(_) => true,
        None => bad_lines.is_empty(),
    };
    Ok(if bad == 0 && complete && !records.is_empty() { 0 } else { BAD_RUNS })
}

/// Prints a text, which is what was asked for.
fn shown(text: &str) -> u8 {
    print(text);
    0
}

/// To standard output; a reader that went away, like `head`, is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end());
}
