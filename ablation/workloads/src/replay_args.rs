//! The options of a replay.

use crate::replay::plan::{ReplayPlan, Touch};
use clap::Args;
use std::path::{Path, PathBuf};

/// Most of the recorded time between operations, as a multiple.
const GAPS_MAX: f64 = 1000.0;

/// What `--trace` can be told besides.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A recorded trace to replay instead of a scenario, with the recorded threads and the order of objects that pass between
    /// them (docs/traces.md)
    #[arg(long, value_name = "FILE", help_heading = "Replay of a trace")]
    pub(crate) trace: Option<PathBuf>,

    /// Timed passes over the trace. What is live at the end of a pass is freed before the next. The first pass begins with
    /// fresh memory. 0 does everything but the measured part
    #[arg(long, value_name = "N", default_value_t = 1, requires = "trace", help_heading = "Replay of a trace")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    passes: u32,

    /// How much of the recorded time between operations is spent, as work of the processor: 0 none, so that the allocator
    /// is alone; 1 all of it
    #[arg(long, value_name = "F", default_value_t = 0.0, requires = "trace", help_heading = "Replay of a trace")]
    #[arg(value_parser = parse_gaps, allow_negative_numbers = true)]
    gaps: f64,

    /// How often resident memory is read, in a pass of its own in a child process; 0 leaves that pass out, and so does
    /// --no-proof
    #[arg(long, value_name = "N", default_value_t = 64, requires = "trace", help_heading = "Replay of a trace")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    samples: u32,

    /// Leave out the pass in which single calls are timed; --no-proof does too
    #[arg(long, requires = "trace", help_heading = "Replay of a trace")]
    no_tail: bool,
}

impl ReplayArgs {
    /// The plan for a file.
    pub(crate) fn plan(
        &self,
        file: &Path,
        touch: Option<Touch>,
        precomputed: bool,
        counted_from_outside: bool,
    ) -> ReplayPlan {
        ReplayPlan {
            file: file.to_owned(),
            passes: self.passes,
            touch,
            gaps: self.gaps,
            samples: self.samples,
            tail: !self.no_tail,
            precomputed,
            counted_from_outside,
        }
    }
}

fn parse_gaps(text: &str) -> Result<f64, String> {
    let gaps: Option<f64> = text.parse().ok().filter(|gaps| (0.0..=GAPS_MAX).contains(gaps));
    gaps.ok_or_else(|| format!("give a number of 0 to {GAPS_MAX}"))
}
