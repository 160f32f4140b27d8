//! A history for people: what changed first, then a row for each series.

use super::series::{Change, Found, History, Point, Series};
use crate::report::document::{Document, Table};
use crate::report::number::{Unit, counted, interval, percent, point, signed_point};
use crate::support::dates::date;
use crate::tools::results::Subject;
use ablate_stats::change_points::{MAX_POINTS, MIN_POINTS};

/// Steps of a sparkline, from the lowest value to the highest.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Most columns of a sparkline.
const SPARKS: usize = 24;
/// Most series of which all are shown without being asked for.
const SHOWN_MAX: usize = 40;
/// Digits of a commit.
const SHORT: usize = 10;

/// What changed, in a sentence.
pub(super) fn answer(history: &History) -> String {
    let changed = history.series.iter().filter(|series| !series.changes().is_empty()).count();
    let searched = history.series.iter().filter(|series| series.found != Found::NotSearched).count();
    let results = counted(history.results, "result");
    match (searched, changed) {
        _ if history.results == 0 => "There is no result yet; --add DIR appends one".to_owned(),
        (0, _) => {
            format!("{results}: too few to search for changes, which needs {MIN_POINTS} of one study on one machine")
        }
        (_, 0) => format!("{results}: no change in {searched} series"),
        _ => format!("{results}: {changed} of {searched} series changed"),
    }
}

/// The history as terminal and Markdown show it; `all` series, or those with a change where there are many.
pub(super) fn document(history: &History, all: bool) -> Document {
    let mut document = Document::default();
    document.title(answer(history));
    for group in groups(history) {
        document.heading(heading(group));
        document.append(part(group, all));
    }
    document.text(method());
    document
}

/// Series of one study on one machine, which stand beside each other.
pub(super) fn groups(history: &History) -> Vec<&[Series]> {
    let is_alike = |a: &Series, b: &Series| (&a.study, &a.machine) == (&b.study, &b.machine);
    history.series.chunk_by(is_alike).collect()
}

pub(super) fn heading(group: &[Series]) -> String {
    group.first().map_or_else(String::new, |first| format!("{} on {}", first.study, first.machine))
}

/// The changes of a group, then its series.
pub(super) fn part(group: &[Series], all: bool) -> Document {
    let mut document = Document::default();
    for series in group {
        for change in series.changes() {
            document.item(format!("{}, {}: {}", series.key.workload, what(series), changed(series, change)));
        }
    }
    let few = group.iter().filter(|series| series.points.len() < MIN_POINTS).count();
    if few > 0 {
        let all = if few == group.len() { "No series was searched" } else { "Some series were not searched" };
        let have = if few == 1 { "has" } else { "have" };
        document.text(format!("{all}: a search needs {MIN_POINTS} points, and {few} {have} fewer."));
    }
    let unproven = group.iter().filter(|series| series.is_unproven).count();
    if unproven > 0 {
        document
            .text(format!("Unproven, so not searched: {unproven} series of factors whose levels nothing tells apart."));
    }
    let is_shown = |series: &&Series| all || group.len() <= SHOWN_MAX || !series.changes().is_empty();
    let shown: Vec<&Series> = group.iter().filter(is_shown).collect();
    if !shown.is_empty() {
        document.table(table(group, &shown));
    }
    let left_out = group.len() - shown.len();
    if left_out > 0 {
        document.text(format!("{left_out} series without a change are not shown; --all shows them."));
    }
    document
}

pub(super) fn method() -> String {
    format!(
        "Changes: E-divisive means, tested against noise with an autocorrelation of at least 0.2; over all series together at most \
         5 % of those that are said to change do not, on average (Benjamini and Hochberg). Values are those of separate sessions, \
         whose own differences are part of the noise. At most the newest {MAX_POINTS} points of a series are searched."
    )
}

/// `worse by +10.2 ns/op [8.1, 12.3] (+9.9%) between 2026-11-01 abc and 2026-11-02 def`.
pub(super) fn changed(series: &Series, change: &Change) -> String {
    let unit = unit(series);
    let difference = unit.estimate(change.difference);
    let share = match &series.key.subject {
        Subject::Cell(_) if change.before != 0.0 => {
            format!(" ({})", percent(change.difference.value / change.before.abs()))
        }
        _ => String::new(),
    };
    let value = format!(
        "{} {}",
        signed_point(difference.value, difference.interval),
        format!("{} {}", unit.label(), interval(difference.interval)).trim_start()
    );
    let word = if change.is_worse { "worse" } else { "better" };
    let (before, after) = ends(series, change);
    let compiler = match (&before.toolchain, &after.toolchain) {
        (Some(old), Some(new)) if old != new => format!("; the compiler changed: {old} → {new}"),
        _ => String::new(),
    };
    let number = |at: usize| (!has_commits(series, change.at)).then_some(at + 1);
    let (from, to) = (told(before, number(change.at - 1)), told(after, number(change.at)));
    format!("{word} by {value}{share} between {from} and {to}{compiler}")
}

/// The last point before a change, and the first one after it.
pub(super) fn ends<'a>(series: &'a Series, change: &Change) -> (&'a Point, &'a Point) {
    (&series.points[change.at - 1], &series.points[change.at])
}

/// Whether commits tell where the change at a point is: both are known, and they differ.
fn has_commits(series: &Series, at: usize) -> bool {
    let (before, after) = (&series.points[at - 1], &series.points[at]);
    let known = |point: &Point| point.commit.clone().map(|commit| (commit, point.changed));
    known(before).zip(known(after)).is_some_and(|(before, after)| before != after)
}

/// `abc1234567`, or `result 15` where commits do not tell where the change at a point is.
pub(super) fn short_name(series: &Series, at: usize) -> String {
    if has_commits(series, at) { commit(&series.points[at]) } else { format!("result {}", at + 1) }
}

/// `2026-11-01 abc1234567`; with a number, which commits do not replace, `result 14 (2026-11-01 13:05:09 UTC, abc1234567)`.
pub(super) fn told(point: &Point, number: Option<usize>) -> String {
    match number {
        Some(number) => format!("result {number} ({} {} UTC, {})", date(point.time), time(point.time), commit(point)),
        None => format!("{} {}", date(point.time), commit(point)),
    }
}

/// The time of day.
fn time(unix_s: u64) -> String {
    let of_day = unix_s % 86_400;
    format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

/// What a page is of.
pub(super) fn size(history: &History) -> String {
    let points = history.series.iter().flat_map(|series| &series.points).map(|point| point.time);
    let (first, last) = points.fold((u64::MAX, 0), |(first, last), time| (first.min(time), last.max(time)));
    let span = if first > last { String::new() } else { format!(", {} to {}", date(first), date(last)) };
    format!("{}, {} series{span}", counted(history.results, "result"), history.series.len())
}

/// A commit for people, with a `+` where the sources had changes beside it.
pub(super) fn commit(point: &Point) -> String {
    let commit = point.commit.as_deref().map_or("without a commit", |commit| commit.get(..SHORT).unwrap_or(commit));
    format!("{commit}{}", if point.changed { "+" } else { "" })
}

/// `cost of cache`, or the name of a cell.
pub(super) fn what(series: &Series) -> String {
    match &series.key.subject {
        Subject::Cell(id) => id.clone(),
        subject @ Subject::Factor { .. } => format!("cost of {}", subject.name()),
    }
}

pub(super) fn unit(series: &Series) -> Unit {
    unit_of(std::slice::from_ref(series), series)
}

/// The unit of a series among others: that of all series of its workload, so that they can be compared by eye.
fn unit_of(group: &[Series], series: &Series) -> Unit {
    let is_alike = |other: &&Series| (&other.key.workload, other.response) == (&series.key.workload, series.response);
    let values = group.iter().filter(is_alike).flat_map(|series| &series.points).map(|point| point.value);
    let unit = Unit::of_response(series.response, values, Unit::LIMIT);
    if series.is_per_run { unit.per_run() } else { unit }
}

fn table(group: &[Series], shown: &[&Series]) -> Table {
    let mut table = Table::new(["<workload", "<series", "=unit", "points", "first", "last", "=over time", "=changes"]);
    for series in shown {
        let unit = unit_of(group, series);
        let value = |point: Option<&Point>| {
            let value = point.map(|point| unit.estimate(point.value));
            value.map_or_else(String::new, |value| self::point(value.value, value.interval))
        };
        let changes = match &series.found {
            Found::NotSearched if series.is_unproven => "unproven".to_owned(),
            Found::NotSearched if series.points.len() < MIN_POINTS => "too few points".to_owned(),
            Found::NotSearched => "not searched".to_owned(),
            Found::Searched { changes, .. } if changes.is_empty() => "none".to_owned(),
            Found::Searched { changes, .. } => {
                let after = |change: &Change| short_name(series, change.at);
                format!("{}: {}", changes.len(), changes.iter().map(after).collect::<Vec<_>>().join(", "))
            }
        };
        table.row([
            series.key.workload.clone(),
            what(series),
            unit.with(series.response),
            series.points.len().to_string(),
            value(series.points.first()),
            value(series.points.last()),
            sparkline(&series.points.iter().map(|point| point.value.value).collect::<Vec<_>>()),
            changes,
        ]);
    }
    table
}

/// The newest values as heights between the lowest and the highest of them.
fn sparkline(values: &[f64]) -> String {
    let values = &values[values.len().saturating_sub(SPARKS)..];
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    let height = |value: &f64| match high - low {
        span if span > 0.0 => STEPS[(((value - low) / span * 7.0).round() as usize).min(7)],
        _ => STEPS[3],
    };
    values.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::results::Key;
    use ablate_format::MainResponse;
    use ablate_format::effects::Estimate;

    #[test]
    fn a_change_without_commits_is_told_by_the_number_and_the_time_of_its_results() {
        let point = |time: u64, commit: Option<&str>| Point {
            commit: commit.map(str::to_owned),
            changed: false,
            time,
            toolchain: None,
            value: Estimate { value: 1.0, interval: None, blocks: 6 },
        };
        let change = Change {
            at: 1,
            before: 1.0,
            after: 2.0,
            difference: Estimate { value: 1.0, interval: Some((0.5, 1.5)), blocks: 2 },
            is_worse: true,
            p: 0.01,
        };
        let mut series = Series {
            study: "s".to_owned(),
            machine: "m".to_owned(),
            key: Key { workload: "w".to_owned(), subject: Subject::Cell("baseline".to_owned()) },
            response: MainResponse::P10,
            is_per_run: false,
            is_unproven: false,
            points: vec![point(3_661, None), point(3_662, None)],
            found: Found::NotSearched,
        };
        let said = changed(&series, &change);
        let part = "between result 1 (1970-01-01 01:01:01 UTC, without a commit) and result 2 (1970-01-01 01:01:02 UTC";
        assert!(said.contains(part), "{said}");
        assert_eq!(short_name(&series, 1), "result 2");
        series.points = vec![point(1, Some("aaaa")), point(2, Some("aaaa"))];
        assert!(changed(&series, &change).contains("result 2 (1970-01-01 00:00:02 UTC, aaaa)"));
        series.points = vec![point(1, Some("aaaa")), point(2, Some("bbbb"))];
        assert!(changed(&series, &change).ends_with("between 1970-01-01 aaaa and 1970-01-01 bbbb"));
        assert_eq!(short_name(&series, 1), "bbbb");
    }

    #[test]
    fn a_sparkline_spans_its_values() {
        assert_eq!(sparkline(&[1.0, 2.0, 8.0]), "▁▂█");
        assert_eq!(sparkline(&[5.0, 5.0]), "▄▄");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&vec![1.0; 100]).chars().count(), SPARKS);
    }
}
