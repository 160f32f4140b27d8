//! `cargo ablate diff`.

use super::numbers::whole;
use super::output::{Ended, print};
use crate::study::rule::Budget;
use crate::study::watch::Stop;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::interrupt;
use crate::support::progress::{note, warn};
use crate::support::settings::Settings;
use crate::tools::diff::{self, Comparison, End, Format, Gate, Part, Request};
use ablate_stats::MAX_BLOCKS;
use std::path::PathBuf;

/// Arguments of `cargo ablate diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The revisions: BASE..HEAD, BASE...HEAD (from where HEAD left BASE), or BASE (against the files as they are).
    ///
    /// Without them: the last commit against uncommitted changes. Without changes: the place where this branch left the
    /// main branch against its last commit. On the main branch: the last two commits.
    #[arg(value_name = "BASE..HEAD")]
    revisions: Option<String>,
    #[command(flatten)]
    measured: Measured,
    /// Exit with 1 only when something is worse by more than the margin, and with 3 when that is not known.
    #[arg(long)]
    gate: bool,
    /// When to end before --max-time.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Early::Decided)]
    stop: Early,
    #[command(flatten)]
    told: Told,
}

/// How the result is told.
#[derive(Debug, clap::Args)]
struct Told {
    /// Print the result as one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Write a comment for a pull request to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write JUnit XML to this file: a test case for each workload.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write SARIF to this file, for code scanning.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Print annotations for GitHub's runner as well.
    #[arg(long, conflicts_with = "json")]
    annotate: bool,
}

/// When a comparison ends early. Changes are looked at after numbers of blocks that are fixed before the first one, with
/// intervals wide enough that all of these looks together raise no more false alarms than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Early {
    /// When every verdict is certain; with --gate already when something is surely worse.
    Decided,
    /// Also when the rest of the time would most likely leave it undecided.
    Undecided,
    /// Only when the intervals are narrow enough: a quarter of the margin. Then identical binaries are run as well.
    Never,
}

impl From<Early> for Stop {
    fn from(early: Early) -> Stop {
        match early {
            Early::Decided => Stop::Decided,
            Early::Undecided => Stop::Undecided,
            Early::Never => Stop::Never,
        }
    }
}

/// What is measured in every revision, and how well.
#[derive(Debug, clap::Args)]
pub(super) struct Measured {
    /// Compare the subject and the workloads of this study, instead of the package here.
    #[arg(long, value_name = "STUDY.toml", conflicts_with_all = ["package", "bench", "bin", "filter", "features"])]
    config: Option<PathBuf>,
    /// The package, where the workspace has several.
    #[arg(long, short, value_name = "NAME")]
    package: Option<String>,
    /// Only this benchmark target. Default: all of the package, else its binary.
    #[arg(long, value_name = "NAME", conflicts_with = "bin")]
    bench: Option<String>,
    /// This binary, with the arguments after `--`, judged from outside.
    #[arg(long, value_name = "NAME")]
    bin: Option<String>,
    /// Only benchmarks whose id matches this regular expression.
    #[arg(long, value_name = "REGEX", conflicts_with = "bin")]
    filter: Option<String>,
    /// Cargo features, separated by commas. Default: the package's default ones.
    #[arg(long, short = 'F', value_name = "LIST", value_delimiter = ',')]
    features: Vec<String>,
    /// What a binary is judged by: wall, cpu, rss-peak, or a value that it prints (value:NAME).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["config", "bench"])]
    response: Option<String>,
    /// The change that matters, in percent of the base.
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = percent)]
    margin: f64,
    /// Time that the runs of each benchmark target may take, and each run by itself (at least 10 s).
    #[arg(long, value_name = "TIME", default_value = "5m")]
    max_time: Budget,
    /// Most blocks. Fewer are run when the intervals are narrow enough, a quarter of the margin, or by --stop.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = whole::<u32>(1..=MAX_BLOCKS as u64))]
    blocks: u32,
    /// Code layouts of each build, so that a change is not that of a single layout. Default: 16.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..=64))]
    layouts: Option<u32>,
    /// Seed of the random orders.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    /// Folder for the results, which must be empty or new. Default: a new folder in target/ablate.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the comparison in --out. Finished runs are not repeated.
    #[arg(long, requires = "out")]
    resume: bool,
    /// Arguments of the binary, or more options of the benchmark harness.
    #[arg(last = true)]
    args: Vec<String>,
}

impl Measured {
    /// The comparison of these revisions, or the nearest change.
    pub(super) fn request(self, revisions: Option<String>) -> Request {
        Request {
            revisions,
            config: self.config,
            package: self.package,
            bench: self.bench,
            binary: self.bin,
            filter: self.filter,
            features: self.features,
            args: self.args,
            response: self.response,
            margin: self.margin,
            blocks: self.blocks,
            layouts: self.layouts,
            budget: self.max_time,
            stop: Stop::Decided,
            is_gate: false,
            seed: self.seed,
            out: self.out,
            resume: self.resume,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    match number.filter(|number| (0.01..=100.0).contains(number)) {
        Some(number) => Ok(number / 100.0),
        None => Err("write a percentage from 0.01 to 100, like 1 or 0.5%".to_owned()),
    }
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let request =
        Request { stop: args.stop.into(), is_gate: args.gate, ..args.measured.request(args.revisions.clone()) };
    let comparison = match diff::run(&request, settings) {
        Ok(End::Complete(comparison)) => comparison,
        Ok(End::Interrupted(resume)) => {
            let kept = if interrupt::asked_twice() { "" } else { "interrupted; finished runs are stored. " };
            warn(&format!("{kept}To continue:\n  {resume}"));
            return Ok(ShellCode::Interrupted);
        }
        Err(error) if args.gate && error.leaves_open() => return Ok(undecided(&error)),
        Err(error) => return Err(error.into()),
    };
    match tell(&comparison, &args.told, settings) {
        Err(error) if args.gate && error.exit() == ShellCode::BadRuns => return Ok(undecided(&*error)),
        told => told?,
    }
    let gate = comparison.gate();
    if args.gate {
        if gate == Gate::Undecided && comparison.is_one_sided() {
            note("no workload was measured in both revisions");
        }
        note(&format!("gate: {}", gate.as_str()));
        return Ok(gate.exit());
    }
    // Without a gate a change for the worse is a result like any other, but runs that do not count are not.
    let is_good = |part: &Part| part.runs.1 == 0 && part.failure().is_none();
    let is_good = gate != Gate::Undecided || comparison.parts.iter().all(is_good);
    Ok(if is_good { ShellCode::Good } else { ShellCode::BadRuns })
}

/// The end of a gate after an error that is no wrong call. The code of what is worse is not that of a full disk.
fn undecided(error: &dyn ExitStatus) -> ShellCode {
    warn(&format!("error: {error}"));
    note("gate: undecided");
    ShellCode::Undecided
}

/// Prints a comparison, and writes the files that are asked for.
fn tell(comparison: &Comparison, told: &Told, settings: &Settings) -> Result<(), Box<dyn ExitStatus>> {
    print(&if told.json {
        diff::to_text(comparison, Format::Json)
    } else {
        diff::terminal(comparison, settings.columns)
    })?;
    let files = [(Format::Markdown, &told.markdown), (Format::Junit, &told.junit), (Format::Sarif, &told.sarif)];
    for (format, path) in files.into_iter().filter_map(|(format, path)| Some((format, path.as_ref()?))) {
        diff::write(comparison, format, path)?;
    }
    let annotations = diff::annotations(comparison);
    if told.annotate && !annotations.is_empty() {
        print(&annotations)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_percent() {
        assert_eq!(percent("1"), Ok(0.01));
        assert_eq!(percent("0.5%"), Ok(0.005));
        for wrong in ["", "0", "-1", "x", "101", "1 % %"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
