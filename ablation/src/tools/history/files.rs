//! A history for other programs and other days: JSON, Markdown, and a page of HTML.

use super::series::{Change, Found, History, Point, Series};
use super::text;
use crate::report::document::Document;
use crate::report::figure::timeline::{self, Level};
use crate::report::figure::{Mark, Tone};
use crate::report::html::plain::{self, Figure, Page, Section};
use crate::report::number::counted;
use crate::tools::results::Subject;
use crate::tools::results::form::InForms;
use serde_json::{Value, json};

/// Charts of a page; a page of more is too long to be read.
const CHARTS_MAX: usize = 200;

impl InForms for History {
    const COMMAND: &'static str = "cargo ablate history";

    fn document(&self, all: bool) -> Document {
        text::document(self, all)
    }

    fn json(&self) -> Value {
        json(self)
    }

    fn html(&self) -> String {
        html(self)
    }
}

fn json(history: &History) -> Value {
    json!({
        "format": 1,
        "answer": text::answer(history),
        "results": history.results,
        "damaged_lines": history.damaged,
        "series": history.series.iter().map(series).collect::<Vec<_>>(),
    })
}

fn series(series: &Series) -> Value {
    let (name, contrast, arm) = match &series.key.subject {
        Subject::Cell(id) => (id, None, None),
        Subject::Factor { title, contrast, arm } => (title, Some(contrast), Some(arm).filter(|arm| !arm.is_empty())),
    };
    let mut out = json!({
        "study": series.study,
        "machine": series.machine,
        "workload": series.key.workload,
        "kind": series.key.subject.kind(),
        "name": name,
        "contrast": contrast,
        "arm": arm,
        "response": series.response.as_str(),
        "unit": series.response.quantity(),
        "points": series.points.iter().map(point).collect::<Vec<_>>(),
        "unproven": series.is_unproven,
        "searched": series.found != Found::NotSearched,
        "p": null,
        "q": null,
        "autocorrelation": null,
        "changes": series.changes().iter().map(|change| self::change(series, change)).collect::<Vec<_>>(),
    });
    if let Found::Searched { p, q, memory, .. } = &series.found {
        (out["p"], out["q"], out["autocorrelation"]) = (json!(p), json!(q), json!(memory));
    }
    out
}

fn point(point: &Point) -> Value {
    let (low, high) = point.value.interval.unzip();
    json!({
        "commit": point.commit,
        "changed": point.changed,
        "time": point.time,
        "toolchain": point.toolchain,
        "value": point.value.value,
        "low": low,
        "high": high,
        "n": point.value.blocks,
    })
}

fn change(series: &Series, change: &Change) -> Value {
    let (before, after) = text::ends(series, change);
    let (low, high) = change.difference.interval.unzip();
    json!({
        "at": change.at,
        "commit_before": before.commit,
        "commit_after": after.commit,
        "time_before": before.time,
        "time_after": after.time,
        "before": change.before,
        "after": change.after,
        "difference": { "value": change.difference.value, "low": low, "high": high },
        "verdict": if change.is_worse { "worse" } else { "better" },
        "p": change.p,
    })
}

fn html(history: &History) -> String {
    let mut left = CHARTS_MAX;
    let sections = text::groups(history).into_iter().enumerate().map(|(at, group)| {
        // Series with changes first, because they are what a reader looks for.
        let (changed, even): (Vec<&Series>, Vec<&Series>) =
            group.iter().partition(|series| !series.changes().is_empty());
        let all: Vec<&Series> = changed.into_iter().chain(even).collect();
        let shown = all.len().min(left);
        left -= shown;
        let figures = all[..shown].iter().enumerate().map(|(number, series)| chart(series, at + 1, number + 1));
        let mut content = text::part(group, true);
        if shown < all.len() {
            content.text(format!("{} more series without a chart.", all.len() - shown));
        }
        Section { id: format!("series-{}", at + 1), title: text::heading(group), figures: figures.collect(), content }
    });
    let page = Page {
        title: "history of results".to_owned(),
        question: "What changed over time?".to_owned(),
        answer: text::answer(history),
        size: text::size(history),
        method: text::method(),
        sections: sections.collect(),
        made_by: "cargo ablate history --html",
    };
    plain::render(&page)
}

fn chart(series: &Series, group: usize, number: usize) -> Figure {
    let unit = text::unit(series);
    let points: Vec<Mark> = series
        .points
        .iter()
        .map(|point| {
            let value = unit.estimate(point.value);
            Mark::new(value.value, value.interval)
        })
        .collect();
    let drawn = |change: &Change| timeline::Change {
        at: change.at,
        name: text::short_name(series, change.at),
        tone: if change.is_worse { Tone::Cost } else { Tone::Saving },
    };
    let changes: Vec<timeline::Change> = series.changes().iter().map(drawn).collect();
    let said: Vec<String> = series.changes().iter().map(|change| text::changed(series, change)).collect();
    let (first, last) = (series.points.first(), series.points.last());
    let ends = first.zip(last).map_or_else(String::new, |(first, last)| {
        format!("{} to {}, {}", text::told(first, None), text::told(last, None), counted(points.len(), "result"))
    });
    let levels = levels(series, &|value| unit.from(value));
    Figure {
        id: format!("chart-{group}-{number}"),
        title: format!("{}, {}", series.key.workload, text::what(series)),
        legend: match said.is_empty() {
            true => ends.clone(),
            false => format!("{}. {ends}", said.join(". ")),
        },
        words: format!("{ends}; {}", if said.is_empty() { "no change".to_owned() } else { said.join("; ") }),
        svg: timeline::draw(&points, &levels, &changes, &unit.with(series.response)),
    }
}

/// The levels between changes; none where nothing changed.
fn levels(series: &Series, scaled: &dyn Fn(f64) -> f64) -> Vec<Level> {
    let changes = series.changes();
    let mut out = Vec::new();
    let mut start = 0;
    for change in changes {
        out.push(Level { points: (start, change.at), value: scaled(change.before) });
        start = change.at;
    }
    let last = changes.last();
    out.extend(last.map(|last| Level { points: (start, series.points.len()), value: scaled(last.after) }));
    out
}
