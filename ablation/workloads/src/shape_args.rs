//! The options of the memory shapes.

use crate::workload::shape::{Keep, Parameters, parse_bytes};
use clap::Args;

/// What only shapes have. `--list` shows which shape has which of them, and what they mean there.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Memory shapes")]
pub(crate) struct ShapeArgs {
    /// Size of the largest objects; those of the range rise by about 15 %
    #[arg(long, value_name = "N", value_parser = parse_bytes)]
    bytes_max: Option<u64>,

    /// Bytes that are live at once
    #[arg(long, value_name = "N", value_parser = parse_bytes)]
    live: Option<u64>,

    /// Number of objects, buffers, phases or steps
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Alignment of the objects
    #[arg(long, value_name = "N", value_parser = parse_bytes)]
    align: Option<u64>,

    /// Bytes that a buffer grows by
    #[arg(long, value_name = "N", value_parser = parse_bytes)]
    step: Option<u64>,

    /// Which part of the objects stays: the first of every 64 with 1/64; with 10/32,1/512 the first ten of every 32, and after
    /// the wait the first of every 512
    #[arg(long, value_name = "PART")]
    keep: Option<Keep>,

    /// Threads that free what the producers request
    #[arg(long, value_name = "T")]
    consumers: Option<u32>,

    /// Seconds of the wait; of bursts, from the start of one to that of the next
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
}

impl ShapeArgs {
    /// The parameters that were given.
    pub(crate) fn parameters(&self) -> Parameters {
        let ShapeArgs { bytes_max, live, count, align, step, keep, consumers, seconds } = *self;
        Parameters { bytes_max, live, count, align, step, keep, consumers, seconds, ..Parameters::default() }
    }

    /// The first option that was given, if any.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        Parameters::default().with(self.parameters()).err()
    }
}
