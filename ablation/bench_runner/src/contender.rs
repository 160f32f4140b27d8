//! criterion as its users have it: a function, a saved baseline, and a second process that compares with it.

use crate::chain::operation;
use criterion::Criterion;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

/// Name of the benchmark, and of its folder.
pub(crate) const ID: &str = "operation";

/// What the process is to criterion.
#[derive(Debug, Clone)]
pub(crate) enum Baseline {
    /// The first arm, saved under this name.
    Save(String),
    /// The second, compared with what was saved.
    Compare(String),
}

/// Benchmarks an operation of so many steps. Everything but the times is criterion's default.
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
