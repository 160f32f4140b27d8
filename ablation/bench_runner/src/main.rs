//! Puts ablate beside hyperfine and criterion on the same planted differences: README.md says how, and what it is worth.

mod chain;
mod contender;
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

/// Puts ablate beside hyperfine and criterion on the same planted differences.
#[derive(Debug, Parser)]
#[command(name = "bench_runner", args_conflicts_with_subcommands = true)]
struct Cli {
    /// What one of the tools calls.
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    race: Race,
}

#[derive(Debug, Args)]
struct Race {
    /// Less than two minutes instead of ten: 5 repeats instead of 8, and no measurement of more than 2 s.
    #[arg(long)]
    quick: bool,
    /// Times that each tool looks at each pair of arms.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: Option<u16>,
    /// Seconds that the race may take.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    budget: Option<u32>,
    /// Seconds that one measurement may take; one that would take longer counts as not narrow enough.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    longest: Option<u32>,
    /// Seed of the order.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// hyperfine, if it is neither in target/tools/bin nor on the PATH.
    #[arg(long, value_name = "PATH")]
    hyperfine: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// A process of the planted program.
    #[command(hide = true)]
    Subject(Subject),
    /// A benchmark of one arm by criterion.
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
        (Some(name), _) => contender::Baseline::Save(name),
        (None, name) => contender::Baseline::Compare(name.unwrap_or_default()),
    };
    contender::run(args.steps, Duration::from_millis(args.milliseconds), baseline, &args.home);
}

fn race(args: &Race) -> Result<()> {
    let own = std::env::current_exe().context("this program's path")?;
    let hyperfine = hyperfine(args.hyperfine.as_deref(), &own)?;
    let programs = Programs { ablate: ablate(&own)?, hyperfine, own };
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
            bail!("what was planted cannot be measured on this machine just now; try again when less else runs");
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
        "time: of the one measurement whose interval is narrow enough, what was tried before it not counted; the other\n\
         columns are about the last interval, narrow enough or not.\n\
         held truth: intervals that hold what was planted, within what is known of it, or 0 for equal arms. false alarms: equal arms said to differ."
    );
    let all = limits.repeats * cases.len() * 2 * tools::Tool::ALL.len();
    if searches.len() < all {
        println!("stopped after {} of {all} searches: the time was up", searches.len());
    }
    Ok(())
}

/// Builds `ablate` as it ships, into the target folder of this program.
fn ablate(own: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = own.ancestors().nth(2).context("this program is not in a target folder")?;
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "ablation", "--bin", "ablate", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cargo does not start")?;
    if !built.success() {
        bail!("ablate could not be built: {built}");
    }
    Ok(target.join("release/ablate"))
}

/// Where hyperfine is.
fn hyperfine(given: Option<&Path>, own: &Path) -> Result<PathBuf> {
    let installed = own.ancestors().nth(2).map(|target| target.join("tools/bin/hyperfine"));
    let candidates = match given {
        Some(path) => vec![path.to_owned()],
        None => installed.into_iter().filter(|path| path.exists()).chain([PathBuf::from("hyperfine")]).collect(),
    };
    let starts = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok_and(|out| out.status.success());
    candidates.into_iter().find(starts).context(
        "hyperfine is not there; get it with: cargo install hyperfine --version 1.20.0 --locked --root target/tools",
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
