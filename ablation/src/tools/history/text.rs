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
        document.text(format!("{all}: a search needs {MIN_POINTS} points, and {few} have fewer."));
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
    format!("{word} by {value}{share} between {} and {}{compiler}", told(before), told(after))
}

/// The last point before a change, and the first one after it.
pub(super) fn ends<'a>(series: &'a Series, change: &Change) -> (&'a Point, &'a Point) {
    (&series.points[change.at - 1], &series.points[change.at])
}

/// `2026-11-01 abc1234567`.
pub(super) fn told(point: &Point) -> String {
    format!("{} {}", date(point.time), commit(point))
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
                let after = |change: &Change| commit(ends(series, change).1);
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

    #[test]
    fn a_sparkline_spans_its_values() {
        assert_eq!(sparkline(&[1.0, 2.0, 8.0]), "▁▂█");
        assert_eq!(sparkline(&[5.0, 5.0]), "▄▄");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&vec![1.0; 100]).chars().count(), SPARKS);
    }
}
