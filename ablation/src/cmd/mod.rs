//! The command line: one file a subcommand, with its arguments. Below this folder nothing knows how it was called.

mod archive;
mod completions;
mod default;
mod doctor;
mod hidden;
mod init;
mod man;
mod output;
mod plan;
mod profile;
mod report;
mod run;
mod selftest;
mod syscalls;

use crate::support::call::{BINARY, PROGRAM, without_cargo};
use crate::support::exit::ShellCode;
use crate::support::progress::note;
use crate::support::settings::{self, Settings};
use clap::{CommandFactory as _, Parser, Subcommand};
use output::Ended;
use std::process::ExitCode;

/// Tells what each part of a program costs, and proves it.
///
/// A study is a TOML file: a program, the factors that may cost time (features, variables, arguments), workloads, peers.
/// ablate builds the program once per feature set, runs every variant in randomised blocks, one process at a time,
/// counts system calls and page faults apart from the timing, and leaves out every run that cannot prove that it was what
/// it should be.
#[derive(Debug, Parser)]
#[command(name = BINARY, bin_name = PROGRAM, version, after_help = EXAMPLES)]
struct Cli {
    /// Without a subcommand: run the default study in full, instead of its quick form.
    #[arg(long)]
    full: bool,
    /// Without a subcommand: run the quick form of the default study, which is ablate.toml or
    /// configs/feature-isolation.toml, here or in the nearest folder above.
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  cargo ablate                                    the default study, about two minutes once built
  cargo ablate --full                             the same study in full
  cargo ablate init . --args 'input.txt'          a first config for the package here, ready to run
  cargo ablate init oxipng@10.2.1                 for a package of the registry
  cargo ablate init -- sort numbers.txt           for any program
  cargo ablate plan configs/factorial.toml        what would be built and run, and how long
  cargo ablate run configs/smoke.toml --blocks 3  a quick look
  cargo ablate run configs/factorial.toml --workload small-warm --out f1
                                                  one workload only; keep the results in f1
  cargo ablate run configs/factorial.toml --workload small-warm --out f1 --resume
                                                  go on after Ctrl-C; finished runs are kept
  cargo ablate doctor                             what this machine can measure
  cargo ablate selftest                           whether known costs are found on this machine
  cargo ablate run configs/smoke.toml --until-halfwidth 0.5ns --budget 10m
                                                  stop when every factor is known to ± 0.5 ns
  cargo ablate report f1                          the tables again
  cargo ablate archive f1                         a copy for the repository, in results/
  cargo ablate syscalls configs/smoke.toml        which cell calls the system how often
  cargo ablate profile configs/smoke.toml --cell no-elo@env
                                                  where the baseline and this cell spend their time
  cargo ablate completions bash                   a completion script for the shell

Exit codes: 0 all runs good, 1 some run failed or is invalid, 2 wrong call or config, 130 interrupted.
Environment: ABLATE_COLUMNS (width of tables, 72 to 1000, else 100), ABLATE_TARGET_DIR (instead of the workspace's target folder).";

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first config for a package or a program.
    Init(init::Args),
    /// Build, run and report a study.
    Run(run::Args),
    /// Show what a study would build and run, and about how long it takes.
    Plan(plan::Args),
    /// Write effects.json and report.md of a finished or interrupted study again, and print the tables.
    Report(report::Args),
    /// Archive a finished study in the repository: a small copy without the paths of this machine.
    Archive(archive::Args),
    /// Count the system calls and page faults of the baseline and each peer, by kind, exactly.
    Syscalls(syscalls::Args),
    /// Show where two cells spend their time: shares of functions, flame graphs, and their difference.
    Profile(profile::Args),
    /// Tell what this machine can measure, what that costs, and how small an effect it can show.
    Doctor(doctor::Args),
    /// Show on this machine that injected costs of known size are found, beside an idle and a busy neighbour.
    Selftest(selftest::Args),
    /// Print a script that completes `cargo-ablate` in a shell.
    Completions(completions::Args),
    /// Write the man pages into a folder.
    #[command(hide = true)]
    Man(man::Args),
    /// Print what page faults and system calls cost here, as one JSON line; a study runs it once a block.
    #[command(hide = true)]
    UnitCosts,
    /// The subject of `selftest`.
    #[command(hide = true)]
    Synthetic(hidden::Synthetic),
    /// A program several times in a row, for `profile`.
    #[command(hide = true)]
    Repeat(hidden::Repeat),
    /// A process of known work, for `doctor`.
    #[command(hide = true)]
    Trial(hidden::Trial),
}

/// The whole program.
pub(crate) fn main() -> ExitCode {
    let code = call().unwrap_or_else(|error| {
        // The messages contain their causes already.
        note(&format!("error: {error}"));
        error.exit()
    });
    ExitCode::from(code.number())
}

fn call() -> Ended {
    let arguments = without_cargo(std::env::args_os());
    let words = [BINARY.into()].into_iter().chain(arguments.iter().cloned());
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return Ok(misunderstood(&error, arguments.first().and_then(|first| first.to_str()))),
    };
    let settings = settings::read(std::env::vars_os())?;
    match cli.command {
        None => default::run(cli.full, &settings),
        Some(command) => subcommand(command, &settings),
    }
}

fn subcommand(command: Command, settings: &Settings) -> Ended {
    match command {
        Command::Init(args) => init::run(args, settings),
        Command::Run(args) => run::run(args, settings),
        Command::Plan(args) => plan::run(&args, settings),
        Command::Report(args) => report::run(&args, settings),
        Command::Archive(args) => archive::run(&args),
        Command::Syscalls(args) => syscalls::run(args, settings),
        Command::Profile(args) => profile::run(args, settings),
        Command::Doctor(args) => doctor::run(&args, settings),
        Command::Selftest(args) => selftest::run(args, settings),
        Command::Completions(args) => Ok(completions::run(&args, Cli::command())),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::UnitCosts => Ok(hidden::unit_costs()),
        Command::Synthetic(args) => hidden::synthetic(&args),
        Command::Repeat(args) => hidden::repeat(&args),
        Command::Trial(args) => Ok(hidden::trial(&args)),
    }
}

/// Says what is wrong with the call, or gives the help that was asked for. A call that is understood so far is no call.
fn misunderstood(error: &clap::Error, first: Option<&str>) -> ShellCode {
    match first.filter(|first| error.use_stderr() && run::has_option(first)) {
        Some(first) => {
            note(&format!(
                "error: `{first}` belongs to a subcommand; give a study: cargo ablate run STUDY.toml {first} …"
            ));
        }
        // A terminal that went away need not be told.
        None => drop(error.print()),
    }
    if error.use_stderr() { ShellCode::WrongCall } else { ShellCode::Good }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_calls_are_refused() {
        for wrong in [
            &["run"][..],
            &["run", "x.toml", "--blocks", "0"],
            &["run", "x.toml", "--resume"],
            &["rnu", "x.toml"],
            &["init", "--args", "'open"],
        ] {
            assert!(Cli::try_parse_from(["x"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
        assert!(Cli::try_parse_from(["x"]).expect("no subcommand").command.is_none());
    }

    #[test]
    fn help_shows_the_call_through_cargo() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("Usage: cargo ablate [OPTIONS] [COMMAND]"), "{help}");
        let help = Cli::try_parse_from(["x", "run", "--help"]).expect_err("help").to_string();
        assert!(help.contains("Usage: cargo ablate run [OPTIONS] <CONFIG>"), "{help}");
    }
}
