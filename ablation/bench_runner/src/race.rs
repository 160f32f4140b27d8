//! The race: every tool looks for every difference several times, in random order, until its interval is narrow enough.

use crate::chain::{self, Lengths, Truth};
use crate::interval::Interval;
use crate::tools::{self, Attempt, Pair, Programs, Tool, ToolError};
use ablate_stats::random::{seeded, uniform};
use std::time::{Duration, Instant};

/// Batches of a process, and about how long each takes: 10 ms a process.
const BATCHES: usize = 50;
const BATCH_NS: f64 = 200_000.0;
/// The half-width that is wanted, as a share of what is planted: enough to see it, and enough to tell its size.
const SEEN: f64 = 0.25;
const SIZED: f64 = 0.05;
/// How much more effort is put in at least, and at most, when an interval was too wide; what is allowed may be less.
const GROWTH: (f64, f64) = (1.5, 10.0);
/// Narrower intervals need effort by the square; this much more makes the next one likely to be narrow enough.
const MARGIN: f64 = 1.2;

/// A difference to be found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// In words.
    pub(crate) name: &'static str,
    /// What was really planted, measured.
    pub(crate) truth: Truth,
    /// The arms that differ.
    pub(crate) planted: Pair,
    /// Arms of the first one's length.
    pub(crate) equal: Pair,
}

/// The differences, on this machine.
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

/// Whole steps that come nearest, and at least one that differs.
fn lengths(base_ns: f64, difference_ns: f64, step_ns: f64) -> Lengths {
    let steps = |ns: f64| ((ns / step_ns).round() as u32).max(1);
    let a = steps(base_ns);
    Lengths { a, b: a + steps(difference_ns) }
}

/// The pair without its difference.
fn equal(planted: Pair) -> Pair {
    Pair { lengths: Lengths { a: planted.lengths.a, b: planted.lengths.a }, ..planted }
}

/// How one tool fared once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    /// The tool.
    pub(crate) tool: Tool,
    /// Which of the cases.
    pub(crate) case: usize,
    /// Whether its equal arms were measured.
    pub(crate) equal: bool,
    /// The measurement that was narrow enough, or else the longest that was allowed; `None` when it gave no interval.
    pub(crate) last: Option<Attempt>,
    /// Whether it was narrow enough.
    pub(crate) narrow: bool,
}

/// How long the race may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Times that each tool looks at each pair.
    pub(crate) repeats: usize,
    /// Nothing is started after this.
    pub(crate) budget: Duration,
    /// The longest measurement.
    pub(crate) longest: Duration,
}

/// Why the race ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RaceError {
    /// A tool.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// No folder for what the tools leave behind.
    #[error("no temporary folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// Runs the race, and ends with a whole round as long as the budget lasts. `tell` hears of every search when it is over.
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
            // A search that the end of the budget cuts short would count as one that was too slow.
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

/// Measures with more and more effort until the interval is narrow enough, or no more is allowed. Tells the last
/// measurement, and whether it was narrow enough.
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
        // ablate has used what it was allowed.
        match growth(&attempt.interval, pair.target_ns, allowed).filter(|_| tool != Tool::Ablate) {
            Some(factor) => effort *= factor,
            None => return Ok((Some(attempt), false)),
        }
    }
}

/// How much more effort the next measurement gets; `None` when so little more is allowed that it is not worth it.
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
