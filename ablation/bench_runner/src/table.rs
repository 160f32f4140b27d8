//! The table of results: one row per difference and tool.

use crate::chain::Truth;
use crate::race::{Case, Limits, Search};
use crate::tools::Tool;
use ablate_stats::order::median;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

/// The numbers of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    /// Median seconds of the measurements with a narrow enough interval; infinite when half of the searches had none.
    seconds: Option<f64>,
    /// Median half-width of the last intervals, narrow enough or not.
    half_ns: Option<f64>,
    /// Searches whose last interval lies above 0, of all.
    detected: (usize, usize),
    /// Intervals that contain the truth, of all intervals of planted and equal arms.
    held: (usize, usize),
    /// Intervals of equal arms that exclude 0, of all intervals of equal arms.
    false_alarms: (usize, usize),
}

fn row(searches: &[Search], case: usize, truth: Truth, tool: Tool) -> Row {
    let of = |equal: bool| searches.iter().filter(move |s| s.case == case && s.tool == tool && s.equal == equal);
    let seconds: Vec<f64> =
        of(false).map(|s| s.last.filter(|_| s.narrow).map_or(f64::INFINITY, |last| last.took.as_secs_f64())).collect();
    let planted: Vec<_> = of(false).filter_map(|s| s.last).collect();
    let equal: Vec<_> = of(true).filter_map(|s| s.last).collect();
    let false_alarms = equal.iter().filter(|attempt| attempt.interval.excludes_zero()).count();
    let held = planted.iter().filter(|attempt| attempt.interval.holds(truth.difference_ns, truth.uncertain_ns)).count();
    Row {
        seconds: median_time(&seconds),
        half_ns: median(&planted.iter().map(|attempt| attempt.interval.half_width()).collect::<Vec<_>>()),
        detected: (planted.iter().filter(|attempt| attempt.interval.low > 0.0).count(), seconds.len()),
        held: (held + equal.len() - false_alarms, planted.len() + equal.len()),
        false_alarms: (false_alarms, equal.len()),
    }
}

/// The upper median, because there is no value half-way to infinity.
fn median_time(seconds: &[f64]) -> Option<f64> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The table as text.
pub(crate) fn render(cases: &[Case], searches: &[Search], limits: Limits) -> String {
    let mut table = Builder::default();
    table.push_record([
        "difference",
        "tool",
        "time, median",
        "half-width",
        "detected",
        "held truth",
        "false alarms",
        "× ablate",
    ]);
    for (index, case) in cases.iter().enumerate() {
        let ours = row(searches, index, case.truth, Tool::Ablate).seconds;
        for tool in Tool::ALL {
            let row = row(searches, index, case.truth, tool);
            let name = if tool == Tool::Ablate { case.name } else { "" };
            table.push_record([
                name.to_owned(),
                tool.name().to_owned(),
                row.seconds.map_or("n/a".to_owned(), |seconds| time(seconds, limits)),
                row.half_ns.map_or("n/a".to_owned(), |half| format!("±{half:.3} ns")),
                of(row.detected),
                of(row.held),
                of(row.false_alarms),
                ratio(row.seconds, ours, limits),
            ]);
        }
    }
    let mut table = table.build();
    table.with(Style::sharp()).modify(Columns::new(2..), Alignment::right());
    table.to_string()
}

fn of((some, all): (usize, usize)) -> String {
    format!("{some}/{all}")
}

fn time(seconds: f64, limits: Limits) -> String {
    if seconds.is_finite() { format!("{seconds:.2} s") } else { format!("> {:.0} s", limits.longest.as_secs_f64()) }
}

/// Their time divided by ours. A search that was given up took at least the longest time allowed.
fn ratio(theirs: Option<f64>, ours: Option<f64>, limits: Limits) -> String {
    match theirs.zip(ours) {
        Some((theirs, ours)) if ours.is_finite() && theirs.is_finite() => format!("{:.2}", theirs / ours),
        Some((_, ours)) if ours.is_finite() => format!("> {:.2}", limits.longest.as_secs_f64() / ours),
        _ => "n/a".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::Interval;
    use crate::tools::Attempt;
    use std::time::Duration;

    const TRUTH: Truth = Truth { base_ns: 50.0, difference_ns: 2.0, uncertain_ns: 0.1 };

    fn search(tool: Tool, equal: bool, last: Option<(f64, f64, u64)>) -> Search {
        let last =
            last.map(|(low, high, ms)| Attempt { interval: Interval { low, high }, took: Duration::from_millis(ms) });
        Search { tool, case: 0, equal, last, narrow: last.is_some() }
    }

    #[test]
    fn rows_count_what_they_say() {
        let searches = [
            search(Tool::Ablate, false, Some((1.5, 2.5, 400))),
            search(Tool::Ablate, false, Some((0.5, 1.5, 600))),
            search(Tool::Ablate, false, Some((-0.1, 0.9, 500))),
            search(Tool::Ablate, true, Some((-0.5, 0.5, 100))),
            search(Tool::Ablate, true, Some((0.1, 1.1, 100))),
            search(Tool::Ablate, true, None),
            search(Tool::Criterion, false, Some((1.0, 3.0, 1000))),
        ];
        let row = row(&searches, 0, TRUTH, Tool::Ablate);
        assert_eq!(row.seconds, Some(0.5));
        assert_eq!((row.detected, row.held, row.false_alarms), ((2, 3), (2, 5), (1, 2)));
        assert!((row.half_ns.expect("three") - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_was_not_reached_is_longer_than_anything() {
        let searches = [
            search(Tool::Hyperfine, false, None),
            Search { narrow: false, ..search(Tool::Hyperfine, false, Some((0.1, 9.0, 8000))) },
            search(Tool::Hyperfine, false, Some((1.0, 2.0, 700))),
        ];
        let row = row(&searches, 0, TRUTH, Tool::Hyperfine);
        assert_eq!((row.seconds, row.detected), (Some(f64::INFINITY), (2, 3)));
        let limits = Limits { repeats: 3, budget: Duration::from_secs(60), longest: Duration::from_secs(8) };
        assert_eq!(time(f64::INFINITY, limits), "> 8 s");
        assert_eq!(time(0.5, limits), "0.50 s");
        assert_eq!(ratio(Some(3.0), Some(1.5), limits), "2.00");
        assert_eq!(ratio(Some(f64::INFINITY), Some(0.5), limits), "> 16.00");
        assert_eq!(ratio(Some(1.0), Some(f64::INFINITY), limits), "n/a");
        assert_eq!(ratio(None, Some(1.5), limits), "n/a");
        assert_eq!(median_time(&[1.0, f64::INFINITY]), Some(f64::INFINITY));
        assert_eq!(median_time(&[]), None);
    }
}
