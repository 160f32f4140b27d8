//! criterion as its users run it: one process saves a baseline, a second one compares with it.

use crate::chain::operation;
use criterion::Criterion;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

/// Name of the benchmark and of its folder.
pub(crate) const ID: &str = "operation";

/// What the process does with criterion's baseline.
#[derive(Debug, Clone)]
pub(crate) enum Baseline {
    /// Saves the first arm under this name.
    Save(String),
    /// Compares the second arm with the baseline of this name.
    Compare(String),
}

/// Benchmarks an operation of `steps` steps. `time` is the warm-up time and the measurement time; everything else is
/// criterion's default.
pub(crate) fn run(steps: u32, time: Duration, baseline: Baseline, home: &Path) {
    let criterion = Criterion::default()
        .without_plots()
        .output_directory(home)
        .warm_up_time(time)
        .measurement_time(time)
        .with_output_color(false);
    let mut criterion = match baseline {
        Baseline::Save(name) => criterion.save_baseline(name),
        Baseline::Compare(name) => criterion.retain_baseline(name, true),
    };
    let mut value = 1;
    criterion.bench_function(ID, |bencher| {
        bencher.iter(|| {
            value = operation(black_box(steps), value);
            value
        });
    });
}
