//! `cargo ablate selftest`.

use super::numbers::whole;
use super::output::{Ended, out_path, print};
use crate::study::rule::Budget;
use crate::support::exit::ShellCode;
use crate::support::settings::Settings;
use crate::tools::selftest::{self, Condition, Request, Together};
use ablate_stats::MAX_BLOCKS;
use std::path::PathBuf;

/// Arguments of `cargo ablate selftest`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Timing blocks of each study. A block has 72 short processes.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 75,
        value_parser = whole::<u32>(10..=MAX_BLOCKS as u64)
    )]
    blocks: u32,
    /// Time for each study, like 90s or 2m. At most --blocks blocks run in it.
    #[arg(long, value_name = "TIME")]
    budget: Option<Budget>,
    /// Run only the study beside an idle processor.
    #[arg(long, conflicts_with_all = ["busy", "builds"])]
    idle: bool,
    /// Run only the study beside a busy processor, on which a thread works in bursts.
    #[arg(long, conflicts_with = "builds")]
    busy: bool,
    /// Run only the study of a feature between builds, each linked in one code layout per block.
    #[arg(long)]
    builds: bool,
    /// Folder for configs and results, which must be empty or new. Default: target/ablate/selftest-TIME.
    #[arg(long, value_name = "DIR", value_parser = out_path())]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let all = [(args.idle, Condition::Idle), (args.busy, Condition::Busy), (args.builds, Condition::Builds)];
    let is_one = all.iter().any(|(is_asked, _)| *is_asked);
    let conditions = all.into_iter().filter(|(is_asked, _)| *is_asked || !is_one);
    let conditions = conditions.map(|(_, condition)| condition).collect();
    let Args { blocks, budget, out, .. } = args;
    let outcome = selftest::run(&Request { blocks, budget, conditions, out }, settings)?;
    print(&outcome.text)?;
    Ok(match (outcome.interrupted, outcome.answer) {
        (true, _) => ShellCode::Interrupted,
        (false, Together::Passed) => ShellCode::Good,
        (false, Together::NotKnown) => ShellCode::Undecided,
        (false, Together::Failed) => ShellCode::BadRuns,
    })
}
