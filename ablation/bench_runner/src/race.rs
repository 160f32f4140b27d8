//! The comparison: every tool measures every difference several times, in random order. One search is over when the tool's
//! interval is narrow enough.

use crate::chain::{self, Lengths, Truth};
use crate::interval::Interval;
use crate::tools::{self, Attempt, Pair, Programs, Tool, ToolError};
use ablate_stats::random::{seeded, uniform};
use std::time::{Duration, Instant};

/// Timed batches per process, and about how long each takes: 10 ms per process.
const BATCHES: usize = 50;
const BATCH_NS: f64 = 200_000.0;
/// The wanted half-width as a share of the planted difference: enough to detect it, and enough to tell its size.
const SEEN: f64 = 0.25;
const SIZED: f64 = 0.05;
/// Least and largest factor of effort after an interval that was too wide. The time that is left may allow less.
const GROWTH: (f64, f64) = (1.5, 10.0);
/// A narrower interval needs effort by the square. This factor more makes the next one likely to be narrow enough.
const MARGIN: f64 = 1.2;

/// A difference to be found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The difference in words.
    pub(crate) name: &'static str,
    /// The planted difference, measured.
    pub(crate) truth: Truth,
    /// The arms that differ.
    pub(crate) planted: Pair,
    /// Two arms of the first one's length.
    pub(crate) equal: Pair,
}

/// The differences, planted and measured on this machine.
pub(crate) fn cases() -> [Case; 3] {
    let step_ns = chain::step_ns();
    let case = |name, base_ns: f64, difference_ns: f64, share: f64| {
        let lengths = lengths(base_ns, difference_ns, step_ns);
        let truth = chain::truth(lengths, step_ns);
        let planted = Pair {
            lengths,
            base_ns: truth.base_ns,
            batches: BATCHES,
            count: chain::operations_for(lengths.a, step_ns, BATCH_NS),
            target_ns: truth.difference_ns * share,
        };
        Case { name, truth, planted, equal: equal(planted) }
    };
    [
        case("2 ns of 50 ns", 50.0, 2.0, SEEN),
        case("2 ns of 50 ns, its size", 50.0, 2.0, SIZED),
        case("1 % of 1 µs", 1000.0, 10.0, SEEN),
    ]
}

/// The nearest whole numbers of steps; they differ by at least one.
fn lengths(base_ns: f64, difference_ns: f64, step_ns: f64) -> Lengths {
    let steps = |ns: f64| ((ns / step_ns).round() as u32).max(1);
    let a = steps(base_ns);
    Lengths { a, b: a + steps(difference_ns) }
}

/// The pair without its difference.
fn equal(planted: Pair) -> Pair {
    Pair { lengths: Lengths { a: planted.lengths.a, b: planted.lengths.a }, ..planted }
}

/// One search of one tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    /// The tool.
    pub(crate) tool: Tool,
    /// Index of the case.
    pub(crate) case: usize,
    /// Whether the equal arms of the case were measured.
    pub(crate) equal: bool,
    /// The measurement with a narrow enough interval, or else the longest allowed one. `None` when the tool gave no
    /// interval.
    pub(crate) last: Option<Attempt>,
    /// Whether its interval was narrow enough.
    pub(crate) narrow: bool,
}

/// How long the comparison may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How often each tool measures each pair.
    pub(crate) repeats: usize,
    /// No search starts after this.
    pub(crate) budget: Duration,
    /// The longest measurement.
    pub(crate) longest: Duration,
}

/// Why the comparison ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaceError {
    /// A tool failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The folder for a tool's files could not be made.
    #[error("cannot make a temporary folder: {0}; make room in it, or set TMPDIR")]
    Folder(#[from] std::io::Error),
}

/// Runs all searches in rounds, each round in a random order, until the repeats or the budget are used up. Calls `tell`
/// with the round and the search after each.
///
/// # Errors
/// [`RaceError`] of the first tool that fails.
pub(crate) fn run(
    cases: &[Case],
    limits: Limits,
    seed: u64,
    programs: &Programs,
    mut tell: impl FnMut(usize, &Search),
) -> Result<Vec<Search>, RaceError> {
    let start = Instant::now();
    let mut random = seeded(seed);
    let mut searches = Vec::new();
    for round in 0..limits.repeats {
        let mut order: Vec<(usize, bool, Tool)> = (0..cases.len())
            .flat_map(|case| [false, true].map(|equal| (case, equal)))
            .flat_map(|(case, equal)| Tool::ALL.map(|tool| (case, equal, tool)))
            .collect();
        for last in (1..order.len()).rev() {
            order.swap(last, (uniform(&mut random) * (last + 1) as f64) as usize);
        }
        for (case, equal, tool) in order {
            let left = limits.budget.saturating_sub(start.elapsed());
            // A search that the budget cuts short would wrongly count as too slow.
            if left < limits.longest {
                return Ok(searches);
            }
            let pair = if equal { &cases[case].equal } else { &cases[case].planted };
            let (last, narrow) = look(tool, pair, limits.longest, programs)?;
            let search = Search { tool, case, equal, last, narrow };
            tell(round, &search);
            searches.push(search);
        }
    }
    Ok(searches)
}

/// Measures with more and more effort until the interval is narrow enough, or no more effort is allowed. Returns the last
/// measurement, and whether its interval was narrow enough.
fn look(tool: Tool, pair: &Pair, longest: Duration, programs: &Programs) -> Result<(Option<Attempt>, bool), RaceError> {
    let mut effort = tool.first_effort();
    loop {
        let dir = tempfile::tempdir()?;
        let Some(attempt) = tools::attempt(tool, pair, effort, longest, programs, dir.path())? else {
            return Ok((None, false));
        };
        if attempt.interval.half_width() <= pair.target_ns {
            return Ok((Some(attempt), true));
        }
        let allowed = longest.as_secs_f64() / attempt.took.as_secs_f64();
        // ablate raises its effort itself, up to `longest`.
        match growth(&attempt.interval, pair.target_ns, allowed).filter(|_| tool != Tool::Ablate) {
            Some(factor) => effort *= factor,
            None => return Ok((Some(attempt), false)),
        }
    }
}

/// The factor of effort of the next measurement; `None` when less than the least factor is allowed.
fn growth(interval: &Interval, target_ns: f64, allowed: f64) -> Option<f64> {
    let wider = interval.half_width() / target_ns;
    let wanted = (MARGIN * wider * wider).clamp(GROWTH.0, GROWTH.1);
    (allowed >= GROWTH.0).then_some(wanted.min(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_grows_by_the_square_within_bounds() {
        let interval = |half: f64| Interval { low: -half, high: half };
        let grown = growth(&interval(2.0), 1.0, 100.0).expect("allowed");
        assert!((grown - 4.8).abs() < 1e-12);
        assert_eq!(growth(&interval(1.01), 1.0, 100.0), Some(1.5));
        assert_eq!(growth(&interval(100.0), 1.0, 100.0), Some(10.0));
        assert_eq!(growth(&interval(100.0), 1.0, 3.0), Some(3.0));
        assert_eq!(growth(&interval(100.0), 1.0, 1.4), None);
    }

    #[test]
    fn differences_are_whole_steps_and_equal_arms_have_none() {
        assert_eq!(lengths(50.0, 2.0, 0.54), Lengths { a: 93, b: 97 });
        assert_eq!(lengths(1000.0, 10.0, 0.5), Lengths { a: 2000, b: 2020 });
        assert_eq!(lengths(50.0, 2.0, 10.0), Lengths { a: 5, b: 6 });
        let planted =
            Pair { lengths: Lengths { a: 93, b: 97 }, base_ns: 50.0, batches: 50, count: 4000, target_ns: 0.5 };
        let Pair { lengths, target_ns, .. } = equal(planted);
        assert_eq!((lengths, target_ns), (Lengths { a: 93, b: 93 }, 0.5));
    }
}
