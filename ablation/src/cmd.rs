//! The command line.

use crate::study::rule::{Budget, HalfWidth, Rule};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// What is run without a subcommand, searched from the current folder upwards.
pub const DEFAULT_CONFIG: &str = "configs/feature-isolation.toml";

/// Tells what each part of a program costs, and proves it.
///
/// A study is a TOML file: a program, its overhead sources (factors), workloads, peers. ablate builds the program once
/// for each feature set, runs every variant in randomised blocks, one process at a time, counts system calls and page
/// faults apart from the timing, and throws out every run that cannot prove that it was what it should be.
#[derive(Debug, Parser)]
#[command(name = "ablate", version, arg_required_else_help = false, after_help = EXAMPLES)]
pub struct Cli {
    /// Without a subcommand: run configs/feature-isolation.toml.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  ablate                                          run configs/feature-isolation.toml
  ablate init . --args 'input.txt'                a first config for the package here, ready to run
  ablate init oxipng@10.2.1                       for a package of the registry
  ablate init -- sort numbers.txt                 for any program
  ablate plan configs/factorial.toml              what would be built and run, and how long
  ablate run configs/smoke.toml --blocks 3        a quick look
  ablate run configs/factorial.toml --workload small-warm --out f1
                                                  one workload only; keep the results in f1
  ablate run configs/factorial.toml --workload small-warm --out f1 --resume
                                                  go on after Ctrl-C; finished runs are kept
  ablate doctor                                   what this machine can measure
  ablate selftest                                 whether known costs are found on this machine
  ablate run configs/smoke.toml --until-halfwidth 0.5ns --budget 10m
                                                  stop when every source is known to ± 0.5 ns
  ablate report f1                                the tables again
  ablate keep f1                                  a copy for the repository, in results/
  ablate syscalls configs/smoke.toml              who calls the system how often
  ablate profile configs/smoke.toml --cell no-elo@env
                                                  where the baseline and this cell spend their time

Exit codes: 0 all runs good, 1 some run failed or is void, 2 wrong call or config, 130 interrupted.
Environment: ABLATE_COLUMNS (width of tables, 72 to 1000, else 100), ABLATE_TARGET_DIR (instead of the workspace's target folder).";

/// The call that was probably meant when options of `run` come without it.
pub fn meant(args: &[String]) -> Option<String> {
    let options = ["--blocks", "--out", "--resume", "--seed", "--workload", "--until-halfwidth", "--budget"];
    let first = args.first()?;
    let name = first.split('=').next().unwrap_or_default();
    options.contains(&name).then(|| format!("did you mean: ablate run {DEFAULT_CONFIG} {}", args.join(" ")))
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first config for a package or a program.
    Init(crate::init::Args),
    /// Build, run and report a study.
    Run(Run),
    /// Show what a study would build and run, and about how long it takes.
    Plan {
        /// The study, a TOML file.
        config: PathBuf,
    },
    /// Write effects.json and report.md of a finished or interrupted study again, and print the tables.
    Report {
        /// The folder that `ablate run` named.
        dir: PathBuf,
    },
    /// Keep a finished study in the repository: a small copy without the paths of this machine.
    Keep {
        /// The folder that `ablate run` named.
        dir: PathBuf,
        /// Where the copies are; the study gets a folder of its name there, in place of what was kept of it before.
        #[arg(long, value_name = "FOLDER", default_value = "results")]
        to: PathBuf,
    },
    /// Count the system calls and page faults of the baseline and each peer, by kind, exactly.
    Syscalls(crate::syscalls::Args),
    /// Print what page faults and system calls cost here, as one JSON line; a study runs it once a block.
    #[command(hide = true)]
    UnitCosts,
    /// Show where two cells spend their time: shares of functions, flame graphs, and their difference.
    Profile(crate::profile::Args),
    /// Tell what this machine can measure, what that costs, and how small an effect it can show.
    Doctor(crate::doctor::Args),
    /// Show on this machine that injected costs of known size are found, beside an idle and a busy neighbour.
    Selftest(crate::selftest::Args),
    /// The subject of `selftest`.
    #[command(hide = true)]
    Synthetic(crate::selftest::synthetic::Args),
    /// A program several times in a row, for `profile`.
    #[command(hide = true)]
    Repeat(crate::profile::Repeat),
    /// A process of known work, for `doctor`.
    #[command(hide = true)]
    Trial(crate::doctor::Trial),
}

/// Arguments of `ablate run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The study, a TOML file.
    pub config: PathBuf,
    /// Timing blocks, instead of the config's: more blocks, narrower intervals.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub blocks: Option<u32>,
    /// Only this workload, with what the config claims about it; may be given several times.
    #[arg(long = "workload", value_name = "NAME")]
    pub workloads: Vec<String>,
    /// Folder for the results; must be empty or new. Default: target/ablate/STUDY-TIME.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the study in --out: finished runs are kept and not repeated.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Seed of the orders, instead of the config's.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Run until the interval of every source is at most this wide on either side, in every workload: 0.5ns, 2us, 1ms,
    /// or 1% of the baseline; in a study without factors every ratio to a peer, 1% of it. The rule looks at widths only, never at effects, so that stopping favours no result.
    /// --blocks is then the most that are run.
    #[arg(long, value_name = "WIDTH")]
    pub until_halfwidth: Option<HalfWidth>,
    /// Run as many whole blocks as fit into this time, counted from the first timed process: 90s, 2m, 1h. With
    /// --until-halfwidth, whatever comes first.
    #[arg(long, value_name = "TIME")]
    pub budget: Option<Budget>,
}

impl Run {
    /// `ablate run CONFIG` without options.
    pub fn of(config: PathBuf) -> Run {
        let (workloads, blocks, out, seed) = (Vec::new(), None, None, None);
        Run { config, blocks, workloads, out, resume: false, seed, until_halfwidth: None, budget: None }
    }

    /// When the study stops by itself; `None`: after its blocks.
    pub fn rule(&self) -> Option<Rule> {
        let rule = Rule { width: self.until_halfwidth, budget: self.budget };
        (rule.width.is_some() || rule.budget.is_some()).then_some(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_without_run_are_understood() {
        let meant = |args: &[&str]| meant(&args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>());
        let expected = "did you mean: ablate run configs/feature-isolation.toml --blocks 6";
        assert_eq!(meant(&["--blocks", "6"]).as_deref(), Some(expected));
        assert!(meant(&["--seed=3"]).is_some_and(|text| text.ends_with(" --seed=3")));
        assert_eq!((meant(&["--help"]), meant(&["rnu"]), meant(&[])), (None, None, None));
    }

    #[test]
    fn wrong_calls_are_refused() {
        for wrong in [
            &["ablate", "run"][..],
            &["ablate", "run", "x.toml", "--blocks", "0"],
            &["ablate", "run", "x.toml", "--resume"],
            &["ablate", "rnu", "x.toml"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
        assert!(Cli::try_parse_from(["ablate"]).expect("no subcommand").command.is_none());
    }
}
