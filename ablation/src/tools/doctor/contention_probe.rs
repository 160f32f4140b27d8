//! The contention probe's distribution, and what a busy neighbour does to it.

use crate::run::Cpus;
use ablate_stats::order::percentile;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Number of contention probes of a distribution.
const TAKEN: usize = 4_000;

/// A timed batch is retained when its contention probes are within this share of the 2nd percentile.
const RETAINED: f64 = 1.08;

/// From this ratio on, a busy neighbour takes execution units away.
const CONTENDED: f64 = 1.15;

/// Summary of many contention probes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ContentionProbes {
    /// 2nd percentile, nanoseconds per step.
    pub(super) low: f64,
    /// Median, nanoseconds per step.
    pub(super) median: f64,
    /// Share that is within 8 % of the 2nd percentile.
    pub(super) share: f64,
    /// Number of peaks of the histogram.
    pub(super) modes: usize,
}

impl ContentionProbes {
    pub(super) fn take() -> ContentionProbes {
        // The first probes load the code and the clock.
        (0..100).for_each(|_| {
            black_box(super::contention_probe());
        });
        ContentionProbes::of((0..TAKEN).map(|_| super::contention_probe()).collect())
    }

    pub(super) fn of(mut values: Vec<f64>) -> ContentionProbes {
        values.sort_by(f64::total_cmp);
        let at = |p: f64| percentile(&values, p).unwrap_or(f64::NAN);
        let low = at(0.02);
        let retained = values.iter().filter(|value| **value <= low * RETAINED).count();
        ContentionProbes {
            low,
            median: at(0.5),
            share: retained as f64 / values.len() as f64,
            modes: modes(&values, low),
        }
    }
}

/// Peaks of the histogram, in bins of 4 % of the 2nd percentile: local maxima with at least 5 % of the values, between
/// which it falls below half of the smaller one.
fn modes(values: &[f64], low: f64) -> usize {
    const BINS: usize = 50;
    let mut bins = [0_usize; BINS];
    for value in values {
        let bin = ((value / low - 1.0).max(0.0) / 0.04) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    let enough = values.len().div_ceil(20);
    let mut peaks: Vec<usize> = Vec::new();
    // Lowest bin since the last peak.
    let mut valley = usize::MAX;
    // Values beyond the last bin are outliers and not a peak.
    for &bin in &bins[..BINS - 1] {
        valley = valley.min(bin);
        let is_apart = peaks.last().is_none_or(|last| 2 * valley < bin.min(*last));
        if bin >= enough && is_apart {
            peaks.push(bin);
            valley = bin;
        } else if let Some(last) = peaks.last_mut()
            && bin > *last
        {
            *last = bin;
            valley = bin;
        }
    }
    peaks.len().max(1)
}

/// How much slower the contention probe is while another processor works.
#[derive(Debug)]
pub(super) struct Contention {
    /// Median with a busy neighbour over the 2nd percentile without; `None` with one processor.
    pub(super) ratio: Option<f64>,
}

impl Contention {
    /// Measures against `idle`, the contention probe when nothing disturbs, because other programs may run already.
    pub(super) fn measure(cpus: &Cpus, idle: &ContentionProbes) -> Contention {
        let Some(neighbour) = cpus.neighbour() else { return Contention { ratio: None } };
        let median =
            |count: usize| ContentionProbes::of((0..count).map(|_| super::contention_probe()).collect()).median;
        let stop = AtomicBool::new(false);
        let started = AtomicBool::new(false);
        let busy = std::thread::scope(|scope| {
            scope.spawn(|| {
                on(&neighbour, || {
                    // Relaxed: the threads share no other data.
                    started.store(true, Ordering::Relaxed);
                    while !stop.load(Ordering::Relaxed) {
                        black_box(super::contention_probe());
                    }
                });
            });
            let waiting = Instant::now();
            while !started.load(Ordering::Relaxed) && waiting.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let busy = on(&cpus.pinned(), || median(2_000));
            stop.store(true, Ordering::Relaxed);
            busy
        });
        Contention { ratio: Some(busy / idle.low) }
    }

    pub(super) fn meaning(&self) -> &'static str {
        match self.ratio {
            None => "there is one processor only",
            Some(ratio) if ratio > CONTENDED => {
                "processors share execution units: leave the others idle while measuring"
            }
            Some(_) => "processors do not disturb one another's arithmetic",
        }
    }
}

/// Runs `work` on these processors, as far as the system lets it, and goes back to those from before.
pub(super) fn on<T>(cpus: &libc::cpu_set_t, work: impl FnOnce() -> T) -> T {
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: all zeros is the empty set.
    let mut before: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set and its size belong together.
    let known = unsafe { libc::sched_getaffinity(0, size, &mut before) } == 0;
    // SAFETY: as above; where it is refused, the work runs where it is.
    unsafe { libc::sched_setaffinity(0, size, cpus) };
    let result = work();
    if known {
        // SAFETY: as above.
        unsafe { libc::sched_setaffinity(0, size, &before) };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(around: f64, n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(move |i| around * (1.0 + 0.02 * (i as f64 / n as f64)))
    }

    #[test]
    fn one_mode_and_two_are_told_apart() {
        let one = ContentionProbes::of(spread(1.0, 1000).collect());
        assert_eq!((one.modes, one.share), (1, 1.0));
        let two = ContentionProbes::of(spread(1.0, 600).chain(spread(1.7, 400)).collect());
        assert_eq!((two.modes, two.share), (2, 0.6));
        let outliers = ContentionProbes::of(spread(1.0, 990).chain(spread(40.0, 10)).collect());
        assert_eq!(outliers.modes, 1);
        // A long tail is not a second peak.
        let tail = ContentionProbes::of((0..1000).map(|i| 1.0 + 0.5 * (f64::from(i) / 1000.0).powi(3)).collect());
        assert_eq!(tail.modes, 1);
    }

    #[test]
    fn a_contention_probe_takes_time() {
        let value = super::super::contention_probe();
        assert!(value.is_finite() && value > 0.0);
    }
}
