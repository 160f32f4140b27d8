//! A comparison for other programs and other days: JSON, Markdown, and a page of HTML.

use super::comparison::{Compared, Comparison, Folder, Row, Verdict};
use super::text;
use crate::report::document::Document;
use crate::report::figure::forest::{self, Axis, Row as Drawn};
use crate::report::figure::{Mark, Tone};
use crate::report::html::plain::{self, Figure, Page, Section};
use crate::report::number::percent;
use crate::tools::results::Subject;
use crate::tools::results::form::InForms;
use ablate_format::Quantity;
use ablate_format::effects::Estimate;
use serde_json::{Value, json};

/// Rows of a figure.
const DRAWN_MAX: usize = 60;

impl InForms for Comparison {
    const COMMAND: &'static str = "cargo ablate compare";

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

fn json(comparison: &Comparison) -> Value {
    json!({
        "format": 1,
        "answer": text::answer(comparison),
        "base": folder(&comparison.base),
        "comparisons": comparison.others.iter().map(compared).collect::<Vec<_>>(),
    })
}

fn folder(folder: &Folder) -> Value {
    json!({
        "results": folder.dir.display().to_string(),
        "study": folder.study,
        "started_unix_s": folder.started_unix_s,
        "commit": folder.commit,
        "toolchain": folder.toolchain,
        "blocks": folder.blocks,
        "blocks_measured": folder.measured,
        "records": folder.has_records,
    })
}

fn compared(compared: &Compared) -> Value {
    let learnt = compared.session.learnt.iter().map(|learnt| {
        json!({
            "of": learnt.of,
            "controls": learnt.programs,
            "shift": learnt.common,
            "deviation": learnt.deviation,
            "deviation_beside": learnt.beside,
        })
    });
    json!({
        "folder": folder(&compared.folder),
        "one_machine": compared.session.one_machine,
        "covers": compared.session.said,
        "sessions": learnt.collect::<Vec<_>>(),
        "differences": compared.differences,
        "alike": compared.alike,
        "advice": compared.advice,
        "rows": compared.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let (contrast, arm) = match &row.key.subject {
        Subject::Cell(_) => (None, None),
        Subject::Factor { contrast, arm, .. } => (Some(contrast), Some(arm).filter(|arm| !arm.is_empty())),
    };
    let name = match &row.key.subject {
        Subject::Cell(id) => id,
        Subject::Factor { title, .. } => title,
    };
    json!({
        "workload": row.key.workload,
        "kind": if row.is_beside { "beside-controls" } else { row.key.subject.kind() },
        "name": name,
        "contrast": contrast,
        "arm": arm,
        "response": row.response.as_str(),
        "unit": if row.is_beside { Quantity::Number } else { row.response.quantity() },
        "old": estimate(row.old),
        "new": estimate(row.new),
        "difference": estimate(row.difference),
        "ratio": estimate(row.ratio),
        "share": estimate(row.share),
        "verdict": row.verdict.as_str(),
        "reason": row.reason,
    })
}

fn estimate(estimate: Option<Estimate>) -> Value {
    estimate.map_or(Value::Null, |estimate| {
        let (low, high) = estimate.interval.unzip();
        json!({ "value": estimate.value, "low": low, "high": high, "blocks": estimate.blocks })
    })
}

fn html(comparison: &Comparison) -> String {
    let sections = comparison.others.iter().enumerate().map(|(at, other)| Section {
        id: format!("comparison-{}", at + 1),
        title: format!("{} against {}", other.folder.dir.display(), comparison.base.dir.display()),
        figures: forest(other, at + 1).into_iter().collect(),
        content: text::part(other, true),
    });
    let page = Page {
        title: "comparison of results".to_owned(),
        question: "What differs between these results?".to_owned(),
        answer: text::answer(comparison),
        size: text::folders(comparison),
        sections: sections.collect(),
        method: String::new(),
        made_by: "cargo ablate compare --html",
    };
    plain::render(&page)
}

/// Every cell and factor that was compared, in percent of what the cell or the baseline takes in the base.
fn forest(compared: &Compared, number: usize) -> Option<Figure> {
    let is_drawn = |row: &&Row| row.share.is_some();
    let mut rows: Vec<&Row> = text::shown(compared, true).into_iter().filter(is_drawn).collect();
    let more = rows.len().saturating_sub(DRAWN_MAX);
    rows.truncate(DRAWN_MAX);
    let drawn: Vec<Drawn> = rows.iter().filter_map(|row| drawn(row)).collect();
    if drawn.is_empty() {
        return None;
    }
    let left_out = if more > 0 { format!(" {more} more rows are in the table.") } else { String::new() };
    Some(Figure {
        id: format!("forest-{number}"),
        title: "New − old, in percent".to_owned(),
        legend: format!(
            "Of a cell in percent of its old value, of what a factor costs in percent of the baseline; with 95 % intervals that \
             hold for all rows together.{left_out}"
        ),
        words: drawn.iter().map(|row| format!("{}: {}", row.name, row.text)).collect::<Vec<_>>().join("; "),
        svg: forest::draw(&drawn, Axis::of("% of the old value (cells), of the old baseline (factors)"), None),
    })
}

fn drawn(row: &Row) -> Option<Drawn> {
    let share = row.share?;
    let ends = share.interval.map(|(lo, hi)| (lo * 100.0, hi * 100.0));
    let tone = match row.verdict {
        Verdict::Worse => Tone::Cost,
        Verdict::Better => Tone::Saving,
        _ => Tone::Open,
    };
    Some(Drawn {
        name: format!("{} in {}", text::what(row), row.key.workload),
        mark: Some(Mark::new(share.value * 100.0, ends)),
        tone,
        text: format!("{} {}", percent(share.value), row.verdict.word()),
    })
}
