//! Compares ablate, hyperfine and criterion on the same planted differences. README.md describes the method and its
//! limits.
//!
//! [`mod@race`] runs the [`tools`] on the planted program of [`chain`], [`interval`] reads what they report, and [`table`]
//! prints the comparison. [`criterion_bench`] is criterion's side of the program.

mod chain;
mod criterion_bench;
mod interval;
mod race;
mod table;
mod tools;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tools::Programs;

/// Measures how long ablate, hyperfine and criterion take to find the same planted differences.
///
/// Builds ablate, plants differences in a program, and lets each tool measure until its 95 % interval is narrow enough.
/// Prints one row per difference and tool. README.md describes the method and its limits.
#[derive(Debug, Parser)]
#[command(name = "bench_runner", args_conflicts_with_subcommands = true)]
struct Cli {
    /// The program that a tool starts.
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    race: Race,
}

#[derive(Debug, Args)]
struct Race {
    /// Takes less than two minutes instead of ten: 5 repeats instead of 8, and at most 2 s per measurement.
    #[arg(long)]
    quick: bool,
    /// How often each tool measures each pair of arms.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: Option<u16>,
    /// Seconds that all measurements together may take.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    budget: Option<u32>,
    /// Seconds that one measurement may take. An interval that is still too wide then counts as it is.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    longest: Option<u32>,
    /// Seed of the order of the measurements.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The program hyperfine, if it is neither in target/tools/bin nor on the PATH.
    #[arg(long, value_name = "PATH")]
    hyperfine: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One process of the planted program.
    #[command(hide = true)]
    Subject(Subject),
    /// A criterion benchmark of one arm.
    #[command(hide = true)]
    Criterion(Criterion),
}

#[derive(Debug, Args)]
struct Subject {
    #[arg(long)]
    steps_a: u32,
    #[arg(long)]
    steps_b: u32,
    #[arg(long)]
    batches: usize,
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    operations: u64,
    #[arg(long, value_parser = ["a", "b"])]
    arm: String,
    #[arg(long)]
    plain: bool,
}

#[derive(Debug, Args)]
struct Criterion {
    #[arg(long)]
    steps: u32,
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    milliseconds: u64,
    #[arg(long)]
    home: PathBuf,
    #[arg(long, required_unless_present = "baseline", conflicts_with = "baseline")]
    save_baseline: Option<String>,
    #[arg(long)]
    baseline: Option<String>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.part {
        Some(Part::Subject(subject)) => subject_process(&subject),
        Some(Part::Criterion(criterion)) => criterion_process(criterion),
        None => race(&cli.race)?,
    }
    Ok(())
}

fn subject_process(subject: &Subject) {
    let is_b = subject.arm == "b";
    let steps = if is_b { subject.steps_b } else { subject.steps_a };
    if subject.plain {
        std::hint::black_box(chain::plain(steps, subject.batches, subject.operations));
    } else {
        println!("{}", chain::measured(steps, is_b, subject.batches, subject.operations));
    }
}

fn criterion_process(args: Criterion) {
    let baseline = match (args.save_baseline, args.baseline) {
        (Some(name), _) => criterion_bench::Baseline::Save(name),
        (None, name) => criterion_bench::Baseline::Compare(name.unwrap_or_default()),
    };
    criterion_bench::run(args.steps, Duration::from_millis(args.milliseconds), baseline, &args.home);
}

fn race(args: &Race) -> Result<()> {
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let hyperfine = hyperfine(args.hyperfine.as_deref(), &own)?;
    let programs = Programs { ablate: tools::build_ablate(&["--release"])?, hyperfine, own };
    let (repeats, budget, longest) = if args.quick { (5, 105, 2) } else { (8, 570, 6) };
    let limits = race::Limits {
        repeats: args.repeats.map_or(repeats, usize::from),
        budget: Duration::from_secs(args.budget.unwrap_or(budget).into()),
        longest: Duration::from_secs(args.longest.unwrap_or(longest).into()),
    };
    let cases = race::cases();
    for case in &cases {
        let chain::Truth { base_ns, difference_ns, uncertain_ns } = case.truth;
        println!(
            "{}: planted {difference_ns:.2} ±{uncertain_ns:.2} ns ({:.2} %) on {base_ns:.1} ns; wanted: ±{:.2} ns at 95 %",
            case.name,
            100.0 * difference_ns / base_ns,
            case.planted.target_ns,
        );
        if difference_ns <= 2.0 * uncertain_ns {
            bail!(
                "the planted difference of {difference_ns:.2} ns cannot be measured: repeated measurements of it differ by \
                 {uncertain_ns:.2} ns. Try again when fewer other programs run"
            );
        }
    }
    let searches = race::run(&cases, limits, args.seed, &programs, |round, search| {
        let arms = if search.equal { "equal arms" } else { "planted" };
        let result = search.last.map_or("no interval".to_owned(), |last| {
            let (interval, seconds) = (last.interval, last.took.as_secs_f64());
            let wide = if search.narrow { "" } else { ", too wide" };
            format!("[{:.3}, {:.3}] ns in {seconds:.2} s{wide}", interval.low, interval.high)
        });
        let (tool, case) = (search.tool.name(), cases[search.case].name);
        eprintln!("{:>3}/{}  {tool:<9}  {case}, {arms}: {result}", round + 1, limits.repeats);
    })?;
    println!("{}", table::render(&cases, &searches, limits));
    println!(
        "time, median: duration of the measurement whose interval was narrow enough; shorter attempts before it are not \
         counted.\nhalf-width, detected, held truth, false alarms: of the last interval, narrow enough or not.\n\
         held truth: intervals that contain the planted difference (0 for equal arms), within its own uncertainty.\n\
         false alarms: intervals of equal arms that exclude 0."
    );
    let all = limits.repeats * cases.len() * 2 * tools::Tool::ALL.len();
    if searches.len() < all {
        println!(
            "stopped after {} of {all} searches: the budget of {} s is used up",
            searches.len(),
            limits.budget.as_secs()
        );
    }
    Ok(())
}

/// The path of a hyperfine that starts: the given one, else of target/tools/bin or the PATH.
fn hyperfine(given: Option<&Path>, own: &Path) -> Result<PathBuf> {
    let installed = own.ancestors().nth(2).map(|target| target.join("tools/bin/hyperfine"));
    let candidates = match given {
        Some(path) => vec![path.to_owned()],
        None => installed.into_iter().filter(|path| path.exists()).chain([PathBuf::from("hyperfine")]).collect(),
    };
    let starts = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok_and(|out| out.status.success());
    candidates.into_iter().find(starts).context(
        "hyperfine is neither in target/tools/bin nor on the PATH: install it with `cargo install hyperfine --version 1.20.0 --locked --root target/tools`, or give --hyperfine PATH",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["bench_runner", "--quick", "--repeats", "0"]).is_err());
        assert!(Cli::try_parse_from(["bench_runner", "criterion", "--steps", "1"]).is_err());
    }
}
