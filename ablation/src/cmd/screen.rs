//! `cargo ablate screen`.

use super::numbers::whole;
use super::output::{Ended, out_path, print};
use crate::support::exit::ShellCode;
use crate::support::progress::warn;
use crate::support::settings::Settings;
use crate::tools::screen::{self, End, MOST_PAIRED, Request};
use ablate_stats::MAX_BLOCKS;
use std::path::PathBuf;

/// Arguments of `cargo ablate screen`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, a TOML file. Its factors are screened; its designs, treatments, peers and claims are not run.
    config: PathBuf,
    /// The effect that matters, in percent of the baseline. Factors that are shown to have less are dropped. Default: 1.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    margin: Option<f64>,
    /// Take effects as ratios, with the factor over without it, instead of differences in percent of the baseline. Better
    /// where effects are large or multiply.
    #[arg(long)]
    ratios: bool,
    /// Screen only this factor and others that are named so; the rest stays as in the baseline.
    #[arg(long = "factor", value_name = "NAME")]
    factors: Vec<String>,
    /// Run only this workload. May be given several times.
    #[arg(long = "workload", value_name = "NAME")]
    workloads: Vec<String>,
    /// Blocks of the clean stage, instead of the config's. At least 6 give intervals.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..=MAX_BLOCKS as u64))]
    blocks: Option<u32>,
    /// Most blocks of the screen, which ends earlier when nothing is left to decide. Default: the config's.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(2..=MAX_BLOCKS as u64))]
    screen_blocks: Option<u32>,
    /// Estimate interactions when at most so many factors are left. Default: 12, which takes 256 cells.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..=MOST_PAIRED as u64))]
    pairs_up_to: Option<u32>,
    /// Seed of the random orders, instead of the config's.
    #[arg(long, value_name = "S", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: Option<u64>,
    /// Folder for the results, which must be empty or new. Default: target/ablate/STUDY-screen-TIME.
    #[arg(long, value_name = "DIR", value_parser = out_path())]
    out: Option<PathBuf>,
    /// Continue the screening in --out. Finished runs are not repeated.
    #[arg(long, requires = "out")]
    resume: bool,
}

/// A percentage above 0 and below 100.
fn percent(text: &str) -> Result<f64, String> {
    let value = text.trim_end_matches('%').trim_end().parse().ok();
    value
        .filter(|value| *value > 0.0 && *value < 100.0)
        .ok_or_else(|| "write a percentage above 0 and below 100".to_owned())
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let Args { config, margin, ratios, factors, workloads, blocks, screen_blocks, pairs_up_to, seed, out, resume } =
        args;
    let request =
        Request { config, margin, ratios, factors, workloads, blocks, screen_blocks, pairs_up_to, seed, out, resume };
    match screen::run(&request, settings)? {
        End::Complete(told) => {
            print(&told.text)?;
            Ok(if told.is_proven { ShellCode::Good } else { ShellCode::BadRuns })
        }
        End::Interrupted(command) => {
            warn(&format!("interrupted; finished runs are stored. To continue:\n  {command}"));
            Ok(ShellCode::Interrupted)
        }
    }
}
