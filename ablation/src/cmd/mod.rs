//! The command line: one file per subcommand, with its arguments. No stage below this folder knows the command line.

mod archive;
mod bisect;
mod build;
mod compare;
mod completions;
mod default;
mod diff;
mod doctor;
mod export;
mod forms;
mod hidden;
mod history;
mod init;
mod man;
mod merge;
mod numbers;
mod output;
mod plan;
mod profile;
mod report;
mod run;
mod screen;
mod selftest;
mod syscalls;
mod trace;

use crate::support::call::{BINARY, PROGRAM, without_cargo};
use crate::support::exit::ShellCode;
use crate::support::progress::{be_quiet, warn};
use crate::support::settings::{self, Settings};
use clap::{CommandFactory as _, Parser, Subcommand};
use output::Ended;
use std::io::Write as _;
use std::process::ExitCode;

/// Tells what each part of a program costs, and proves it.
///
/// A study is a TOML file. It names a program, the factors that may cost time (features, environment variables,
/// arguments), workloads, and peers to compare with. ablate builds the program once per feature set and runs every
/// variant in randomised blocks, one process at a time. System calls and page faults are counted in runs of their own,
/// apart from the timing. A run that cannot prove that it was the variant it should be is left out and reported.
#[derive(Debug, Parser)]
#[command(name = BINARY, bin_name = PROGRAM, version, after_long_help = EXAMPLES, after_help = SHORT_HELP)]
struct Cli {
    /// Without a subcommand: run the default study in full instead of its quick form.
    #[arg(long)]
    full: bool,
    /// Write nothing but results to the terminal: no progress and no remarks, errors apart.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Without a subcommand: run the quick form of the default study. That is `ablate.toml` or
    /// `configs/feature-isolation.toml`, here or in the nearest folder above.
    #[command(subcommand)]
    command: Option<Command>,
}

const SHORT_HELP: &str = "\
Without a subcommand, `cargo ablate` runs the quick form of the repository's default study.
`cargo ablate --help` shows examples, exit codes and environment variables; `cargo ablate help run` explains `run`.";

const EXAMPLES: &str = "\
Compare two commits:
  cargo ablate diff                               what the nearest change does to the benchmarks of this package
  cargo ablate diff main...HEAD --gate            the same as a gate: exit code 1 when something is slower
First steps:
  cargo ablate                                    run the default study of this repository, about two minutes once built
  cargo ablate --full                             run the same study in full
  cargo ablate init . --args 'input.txt'          write a first study for the package in this folder
  cargo ablate init oxipng@10.2.1                 write one for a package of the registry
  cargo ablate init -- sort numbers.txt           write one for any program
Run a study:
  cargo ablate plan STUDY.toml                    show what would be built and run, and how long it takes
  cargo ablate run STUDY.toml --blocks 3          run a few blocks for a first look
  cargo ablate run STUDY.toml --out f1            put the results into the folder f1
  cargo ablate run STUDY.toml --out f1 --resume   continue after Ctrl-C; finished runs are not repeated
  cargo ablate run STUDY.toml --until-halfwidth 1% --budget 10m
                                                  stop once every factor is known to ± 1 %, or after ten minutes
  cargo ablate screen STUDY.toml                  find which of many factors matter, and how these interact
Use several machines:
  cargo ablate build STUDY.toml --out bundle      build once
  cargo ablate run STUDY.toml --builds bundle --shard 1/3 --out s1
                                                  run a third of the blocks, here or on another machine
  cargo ablate merge s1 s2 s3 --out all           join the thirds
Read and store results:
  cargo ablate report f1                          print the tables again
  cargo ablate report f1 --html                   say where its page is, and write its figures as SVG files
  cargo ablate archive f1                         copy the results into results/ of the repository
  cargo ablate compare f1 f2                      what differs between two results, and whether that is the session
  cargo ablate history --file bench.jsonl --add f1  keep the results over time, and find where they change
  cargo ablate export f1 --format csv             the results for another tool
Look closer:
  cargo ablate syscalls STUDY.toml                count the system calls of the baseline and each peer
  cargo ablate profile STUDY.toml --cell no-cache@env
                                                  show where the baseline and this cell spend their time
  cargo ablate trace record -- perl script.pl     record every allocation of a program, to replay it on any allocator
  cargo ablate doctor                             tell what this machine can measure
  cargo ablate selftest                           test whether known costs are found on this machine

Exit codes: 0 all runs are good, 1 a run failed or is invalid, 2 wrong call or config, 3 not known (diff --gate, bisect,
selftest), 130 interrupted. With diff --gate, 1 means worse and nothing else.
Environment: ABLATE_COLUMNS is the width of tables (72 to 1000, default 100); ABLATE_TARGET_DIR replaces the target
folder of the workspace.";

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first study for a package or a program.
    ///
    /// Use it once at the start. It reads the features of a Cargo package, or takes any command line, and writes a
    /// commented TOML file that runs as it is. Edit that file, then call `cargo ablate plan` and `cargo ablate run`.
    #[command(after_help = "\
Examples:
  cargo ablate init . --args 'input.txt'            the package in this folder, run with one argument
  cargo ablate init prog.c --args '1000'            -O2 against -O3 of a program in C; a folder with a Makefile,
                                                    CMakeLists.txt or meson.build works too
  cargo ablate init --build 'make tool' --bin tool  the same with a command of your own
  cargo ablate init ../crate --bin tool --out ablate.toml
                                                    one of several binaries; `cargo ablate` finds ablate.toml later
  cargo ablate init -- sort --parallel=2 words.txt  a program that is installed")]
    Init(init::Args),
    /// Compare two commits: what became worse or better, and what did not.
    ///
    /// Use it on a change. It needs no study: it takes the benchmarks or the binary of the package in this folder, builds
    /// both revisions at one path, and runs them in the same randomised blocks, with the base against itself as the
    /// placebo. Exit codes with --gate: 0 nothing is worse by more than the margin, 1 something is, 2 wrong call, 3 it is
    /// not known, also after every other error, such as a full disk or a revision that does not build.
    ///
    /// Verdicts: worse, better (the whole interval is beyond the margin); no change (all of it is within); undecided
    /// (neither); invalid (a revision has no proven run); identical (the same machine code, so nothing is run); only in base,
    /// only in head (a benchmark that the other revision does not have).
    #[command(after_help = "\
Examples:
  cargo ablate diff                                  the nearest change, by the benchmarks of this package
  cargo ablate diff main...HEAD --gate --margin 2    a gate for a pull request: 2 % matter
  cargo ablate diff v1.2.0..HEAD --bin tool -- input.txt
                                                     a binary from outside, with one argument
  cargo ablate diff main --config study.toml         any program that is built here, by the workloads of a study
  cargo ablate diff --filter parse --markdown comment.md --json")]
    Diff(Box<diff::Args>),
    /// Find the commit after which a program is worse.
    ///
    /// Use it when `diff` shows a change between two commits that lie far apart. Every step runs the good commit, the bad
    /// one and one between in the same blocks, and goes on until the one between is told apart; a commit with the same
    /// binary as an end, or one that cannot be built, needs no run. Exit codes: 0 found, 3 undecided, or
    /// one of both commits does not build.
    #[command(after_help = "\
Examples:
  cargo ablate bisect v1.2.0 HEAD --filter parse
  cargo ablate bisect v1.2.0 HEAD --bin tool --margin 3 -- input.txt")]
    Bisect(Box<bisect::Args>),
    /// Build, run and report a study.
    ///
    /// Use it to measure. Every call has a new folder for its results, unless --out names one. Ctrl-C stops the study,
    /// and --resume continues it.
    #[command(after_help = "\
Examples:
  cargo ablate run ablate.toml                       the whole study
  cargo ablate run ablate.toml --blocks 6            a first look, with wide intervals
  cargo ablate run ablate.toml --budget 5m           as many blocks as fit into five minutes
  cargo ablate run ablate.toml --out f1 --resume     continue an interrupted run in the folder f1
  cargo ablate run ablate.toml --shard 2/3 --out s2  the second third of its blocks, for `cargo ablate merge`")]
    Run(run::Args),
    /// Find which of many factors matter, and how these interact.
    ///
    /// Use it when a study has too many factors to combine them all. A screen runs all of them in few cells and drops
    /// those that are shown to cost less than the margin. A clean stage then measures main effects and interactions of the
    /// others, on blocks of its own, and only these make claims. Each stage is a study in a folder of its own.
    #[command(after_help = "\
Examples:
  cargo ablate screen ablate.toml                    all factors; effects below 1 % do not matter
  cargo ablate screen ablate.toml --margin 3 --blocks 12
                                                     those of 3 %, with a clean stage of 12 blocks
  cargo ablate screen ablate.toml --out s1 --resume  continue an interrupted one
  cargo ablate report s1                             print its tables again; s1/screen and s1/clean are its stages")]
    Screen(screen::Args),
    /// Build everything that a study runs into a folder that can be copied to other machines.
    ///
    /// Use it where several machines run parts of one study: all of them then run the same files. `run --builds` takes the
    /// folder instead of building, checks the hash of every file, and refuses a folder of another config, other sources
    /// or another kind of processor.
    #[command(after_help = "\
Examples:
  cargo ablate build study.toml --out bundle         build once
  cargo ablate run study.toml --builds bundle --shard 1/3 --out shard-1
                                                     run a third of the study with it, on any machine")]
    Build(build::Args),
    /// Join the parts of a study that several machines ran into one folder.
    ///
    /// Use it after `run --shard`. Every part must be of the same config, plan, seed, sources and binaries; parts that are
    /// missing are named, and the rest is joined. The new folder is one of a study: `report`, `archive` and the rest take
    /// it.
    #[command(after_help = "Example:\n  cargo ablate merge shard-1 shard-2 shard-3 --out merged")]
    Merge(merge::Args),
    /// Show what a study would build and run, and about how long it takes.
    ///
    /// Use it after every change of a study. It checks the whole file and starts no measured process.
    #[command(after_help = "Example:\n  cargo ablate plan ablate.toml")]
    Plan(plan::Args),
    /// Print the tables of a study again and rewrite its report.html, report.md and effects.json.
    ///
    /// Use it to read results later, also while the study still runs or after it was interrupted. The folder is the one
    /// that `cargo ablate run` named.
    #[command(after_help = "\
Examples:
  cargo ablate report target/ablate/sort-20251123-101500
  cargo ablate report f1 --html                      where its page is: one file to pass on
  cargo ablate report f1 --workload small-warm       every table of one workload")]
    Report(report::Args),
    /// Copy a finished study into the repository, without the paths of this machine.
    ///
    /// Use it to commit results. Absolute paths become relative or are cut to their last part, and large records stay
    /// behind.
    #[command(after_help = "Example:\n  cargo ablate archive target/ablate/sort-20251123-101500 --to results")]
    Archive(archive::Args),
    /// Compare folders of results: two days, two machines, two compilers.
    ///
    /// Use it on what was measured already. The first folder is the base. Sessions have no block in common, so the intervals are
    /// wider than those of `diff`, which runs two commits in the same blocks. Peers and placebos that are the same program
    /// in both folders show what sessions of one machine differ by, and widen the intervals. Rows whose work changed are
    /// refused. Exit codes: 0 compared, 1 folders cannot be compared, 2 wrong call.
    ///
    /// Verdicts: worse, better (told apart from no difference, all rows together); not detected; same binary (any difference
    /// is the session); not known (too few blocks, or nothing proven); refused (other work was measured); only in old, only in new.
    #[command(after_help = "\
Examples:
  cargo ablate compare before after                  what became worse or better
  cargo ablate compare f1 f2 f3 --all --html out.html  each of f2 and f3 against f1, with every row and a forest plot
  cargo ablate compare results/bench f2 --json       against an archived result, which may lack its records")]
    Compare(compare::Args),
    /// Show results over time, and find where they change.
    ///
    /// Use it after every commit or every night. Results are folders, or lines of a file to which --add appends one; a result
    /// that is in the file already is not added again. A series is one value on one kind of machine: what a cell takes, or what
    /// a factor costs. Exit codes: 0 shown, 1 a line of the file is damaged or the machine refused, 2 wrong call.
    #[command(after_help = "\
Examples:
  cargo ablate history --file bench.jsonl --add f1   append the result in f1 and show all of them
  cargo ablate history --file bench.jsonl --html history.html
                                                     a chart of each series
  cargo ablate history f1 f2 f3                      folders alone")]
    History(history::Args),
    /// Write results in the format of another tool.
    ///
    /// Use it to feed dashboards and services that track benchmarks. The same results give the same bytes.
    #[command(after_help = "\
Examples:
  cargo ablate export f1 --format csv --out f1.csv
  cargo ablate export f1 --format bencher | bencher run --adapter json
  cargo ablate export f1 --format openmetrics --out /var/lib/node_exporter/ablate.prom")]
    Export(export::Args),
    /// Count the system calls and page faults of the baseline and each peer, by kind.
    ///
    /// Use it to explain a difference in time by what each program asks the kernel for. The counts are exact.
    #[command(after_help = "Example:\n  cargo ablate syscalls configs/smoke.toml --workload small-warm")]
    Syscalls(syscalls::Args),
    /// Show where two cells spend their time: shares of functions, two flame graphs, and their difference.
    ///
    /// Use it when a factor costs something and the reason is not known yet.
    #[command(after_help = "\
Examples:
  cargo ablate profile ablate.toml                     the largest effect of an earlier run, against the baseline
  cargo ablate profile ablate.toml --cell no-cache@env this cell against the baseline")]
    Profile(profile::Args),
    /// Tell what this machine can measure, what measuring costs, and how small an effect it can show.
    ///
    /// Use it on a new machine, or when counters are missing in a report. Each missing instrument has a reason and a
    /// remedy.
    #[command(after_help = "Example:\n  cargo ablate doctor --seconds 20")]
    Doctor(doctor::Args),
    /// Record what a program asks of its allocator, and tell what it was.
    ///
    /// A trace is a workload: `bench_allocators --trace FILE` replays it on any allocator. docs/traces.md has the limits.
    #[command(after_help = "\
Examples:
  cargo ablate trace record -o perl.trace -- perl script.pl
  cargo ablate trace info perl.trace
  cargo ablate trace cut perl.trace --from 1s --to 2s -o part.trace")]
    Trace(trace::Args),
    /// Test on this machine whether planted costs are found.
    ///
    /// Use it before you trust small effects. Three studies run: beside an idle processor, beside a busy one, and with a
    /// feature between two builds. Exit codes: 0 every cost was found, 1 one was not, or something was found that was not
    /// planted, 3 it is not known, with the reason in the row.
    #[command(after_help = "Example:\n  cargo ablate selftest --idle --budget 1m")]
    Selftest(selftest::Args),
    /// Print a completion script for a shell.
    ///
    /// Shells complete the program `cargo-ablate`, which is the same as `cargo ablate`.
    #[command(after_help = "\
Examples:
  source <(cargo ablate completions bash)
  cargo ablate completions fish > ~/.config/fish/completions/cargo-ablate.fish")]
    Completions(completions::Args),
    /// Write the man pages into a folder.
    #[command(hide = true)]
    Man(man::Args),
    /// Print what page faults and system calls cost here, as one JSON line. A study runs it once per block.
    #[command(hide = true)]
    UnitCosts,
    /// Run the program that `selftest` measures.
    #[command(hide = true)]
    Synthetic(hidden::Synthetic),
    /// Run a program several times in a row, for `profile`.
    #[command(hide = true)]
    Repeat(hidden::Repeat),
    /// Run a process of known work, for `doctor`.
    #[command(hide = true)]
    Trial(hidden::Trial),
}

/// Reads the command line, runs the subcommand and turns its end into an exit code.
pub(crate) fn main() -> ExitCode {
    let code = call().unwrap_or_else(|error| {
        // The messages contain their causes already.
        warn(&format!("error: {error}"));
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
    if cli.quiet {
        be_quiet();
    }
    let settings = settings::read(std::env::vars_os())?;
    match cli.command {
        None => default::run(cli.full, &settings),
        Some(command) => subcommand(command, &settings),
    }
}

fn subcommand(command: Command, settings: &Settings) -> Ended {
    match command {
        Command::Init(args) => init::run(args, settings),
        Command::Diff(args) => diff::run(*args, settings),
        Command::Bisect(args) => bisect::run(*args, settings),
        Command::Run(args) => run::run(args, settings),
        Command::Screen(args) => screen::run(args, settings),
        Command::Build(args) => build::run(&args, settings),
        Command::Merge(args) => merge::run(&args, settings),
        Command::Plan(args) => plan::run(&args, settings),
        Command::Report(args) => report::run(&args, settings),
        Command::Archive(args) => archive::run(&args),
        Command::Compare(args) => compare::run(&args, settings),
        Command::History(args) => history::run(args, settings),
        Command::Export(args) => export::run(&args),
        Command::Syscalls(args) => syscalls::run(args, settings),
        Command::Profile(args) => profile::run(args, settings),
        Command::Trace(args) => trace::run(args, settings),
        Command::Doctor(args) => doctor::run(&args, settings),
        Command::Selftest(args) => selftest::run(args, settings),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::UnitCosts => hidden::unit_costs(),
        Command::Synthetic(args) => hidden::synthetic(&args),
        Command::Repeat(args) => hidden::repeat(&args),
        Command::Trial(args) => hidden::trial(&args),
    }
}

/// Prints what is wrong with the call, or the help that was asked for.
fn misunderstood(error: &clap::Error, first: Option<&str>) -> ShellCode {
    if let Some((option, key)) = run::key_as_option(error, first) {
        warn(&format!("error: `{option}` is not an option: `{key}` in the config sets it"));
        return ShellCode::WrongCall;
    }
    match first.filter(|first| error.use_stderr() && run::has_option(first)) {
        Some(first) => {
            warn(&format!(
                "error: `{first}` belongs to a subcommand; give a study: cargo ablate run STUDY.toml {first} …"
            ));
        }
        // A closed pipe is no error: a reader like `head` has what it wants. Standard error that is full cannot be told.
        None => {
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            if printed.is_err_and(|e| e.kind() != std::io::ErrorKind::BrokenPipe) && !error.use_stderr() {
                warn("error: standard output: writing the help failed; make room, or write to another file");
                return ShellCode::BadRuns;
            }
        }
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
