//! `cargo ablate selftest`.

use super::output::{Ended, out_path, print};
use crate::study::rule::Budget;
use crate::support::exit::ShellCode;
use crate::support::settings::Settings;
use crate::tools::selftest::{self, Condition, Request};
use ablate_stats::MAX_BLOCKS;
use std::path::PathBuf;

/// Arguments of `cargo ablate selftest`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Timing blocks of each study. A block has 69 short processes.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(10..=MAX_BLOCKS as i64)
    )]
    blocks: u32,
    /// Time for each study, like 90s or 2m. At most --blocks blocks run in it.
    #[arg(long, value_name = "TIME")]
    budget: Option<Budget>,
    /// Run only the study beside an idle processor.
    #[arg(long, conflicts_with = "busy")]
    idle: bool,
    /// Run only the study beside a busy processor, on which a thread works in bursts.
    #[arg(long)]
    busy: bool,
    /// Folder for configs and results, which must be empty or new. Default: target/ablate/selftest-TIME.
    #[arg(long, value_name = "DIR", value_parser = out_path())]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let conditions = match (args.idle, args.busy) {
        (true, _) => vec![Condition::Idle],
        (false, true) => vec![Condition::Busy],
        (false, false) => vec![Condition::Idle, Condition::Busy],
    };
    let Args { blocks, budget, out, .. } = args;
    let outcome = selftest::run(&Request { blocks, budget, conditions, out }, settings)?;
    print(&outcome.text)?;
    Ok(match (outcome.interrupted, outcome.passed) {
        (true, _) => ShellCode::Interrupted,
        (false, true) => ShellCode::Good,
        (false, false) => ShellCode::BadRuns,
    })
}
