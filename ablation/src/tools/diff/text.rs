//! A comparison for people: the answer first, then a table, then how it was measured.

use super::comparison::{Compared, Comparison, Part, Verdict};
use crate::report::document::{Document, Table};
use crate::report::number::{Unit, counted, interval, number, point};
use ablate_format::effects::Estimate;

/// The comparison for a terminal that is `columns` wide.
pub(crate) fn terminal(comparison: &Comparison, columns: usize) -> String {
    document(comparison).terminal(columns)
}

/// The comparison as a terminal and a Markdown comment show it.
pub(super) fn document(comparison: &Comparison) -> Document {
    let mut document = Document::default();
    document.title(answer(comparison));
    document.item(format!("base: {}", comparison.base));
    document.item(format!("head: {}", comparison.head));
    for part in &comparison.parts {
        if comparison.parts.len() > 1 {
            document.heading(part.name.clone());
        }
        self::part(&mut document, comparison, part);
    }
    document
}

/// The answer in one sentence.
pub(super) fn answer(comparison: &Comparison) -> String {
    let margin = shown_margin(comparison.margin);
    if !comparison.parts.is_empty() && comparison.parts.iter().all(|part| part.identical) {
        return "Both revisions are the same machine code and read the same files, so nothing was timed".to_owned();
    }
    let rows: Vec<&Compared> = comparison.rows().map(|(_, row)| row).collect();
    let of = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).collect::<Vec<_>>();
    let (worse, better) = (of(Verdict::Worse), of(Verdict::Better));
    let named = |rows: &[&&Compared]| -> String {
        let mut rows = rows.to_vec();
        let size = |row: &Compared| row.change.map_or(0.0, |change| change.value.abs());
        rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
        let more = rows.len().saturating_sub(NAMED);
        let mut texts: Vec<String> = rows
            .iter()
            .take(NAMED)
            .map(|row| format!("{} is {} {}", row.workload, size_of(row.change.as_ref()), row.word()))
            .collect();
        texts.extend((more > 0).then(|| format!("and {}", counted(more, "more workload"))));
        texts.join(", ")
    };
    let rest = |words: String| {
        let unsure = of(Verdict::Unsure);
        let may_be_worse = unsure.iter().filter(|row| row.may_be_worse(comparison.margin)).count();
        let (not_worse, invalid) = (unsure.len() - may_be_worse, of(Verdict::Invalid).len());
        let open = [(may_be_worse, "undecided"), (not_worse, "not worse"), (invalid, "invalid")]
            .into_iter()
            .filter(|(count, _)| *count > 0);
        let open: Vec<String> = open.map(|(count, word)| format!("{count} of {} {word}", rows.len())).collect();
        if open.is_empty() { words } else { format!("{words}; {}", open.join(", ")) }
    };
    let failed: Vec<&str> =
        comparison.parts.iter().filter(|part| part.failure.is_some()).map(|part| part.name.as_str()).collect();
    let rest = |words: String| {
        let words = rest(words);
        if failed.is_empty() { words } else { format!("{words}; {} cannot be built or run", failed.join(", ")) }
    };
    rest(match (worse.is_empty(), better.is_empty()) {
        (false, true) => named(&worse),
        (true, false) => named(&better),
        (false, false) => format!("{}; {}", named(&worse), named(&better)),
        (true, true) if rows.is_empty() => "Nothing was measured".to_owned(),
        (true, true) if rows.iter().all(|row| row.change.is_none_or(|change| change.interval.is_none())) => {
            "Nothing can be said: no workload has enough proven runs of both revisions".to_owned()
        }
        (true, true) => format!("No change of {margin} or more was found"),
    })
}

/// Workloads that the answer names.
const NAMED: usize = 3;

fn part(document: &mut Document, comparison: &Comparison, part: &Part) {
    if let Some(why) = &part.failure {
        document.text(format!("{}: invalid: {why}", part.name));
        return;
    }
    if part.identical {
        document.text(format!(
            "{}: what is loaded of both binaries is the same, byte for byte. A trial run of each opened no file of the \
             repository that differs, so nothing was timed.",
            part.name
        ));
        return;
    }
    let values = part.rows.iter().flat_map(|row| [row.base, row.head]).flatten();
    let response = part.rows.first().map(|row| row.response).unwrap_or_default();
    let unit = Unit::of_response(response, values, Unit::LIMIT);
    let unit = if part.rows.iter().all(|row| row.is_per_run) { unit.per_run() } else { unit };
    let label = unit.with(response);
    let mut table = Table::new([
        "<workload".to_owned(),
        format!("base, {label}"),
        format!("head, {label}"),
        "change [95 %]".to_owned(),
        "base against itself".to_owned(),
        "=verdict".to_owned(),
    ]);
    for row in &part.rows {
        let value = |estimate: Option<Estimate>| {
            estimate.map_or_else(
                || "n/a".to_owned(),
                |value| {
                    let value = unit.estimate(value);
                    point(value.value, value.interval)
                },
            )
        };
        table.row([
            row.workload.clone(),
            value(row.base),
            value(row.head),
            with_interval(row.change.as_ref()),
            with_interval(row.placebo.as_ref()),
            row.word().to_owned(),
        ]);
    }
    document.table(table);
    for row in part.rows.iter().filter(|row| !row.reason.is_empty()) {
        document.item(format!("{}: {}: {}", row.workload, row.word(), row.reason));
    }
    for told in &part.outputs {
        document.item(told.clone());
    }
    let margin = shown_margin(comparison.margin);
    let detectable =
        part.rows.iter().filter_map(|row| row.detectable).reduce(f64::max).map_or_else(String::new, |share| {
            format!("; a change of {} % would be found four times in five", number(share * 100.0))
        });
    let (runs, bad) = part.runs;
    let bad = if bad > 0 { format!(", {bad} of them failed or invalid") } else { String::new() };
    let layouts =
        if part.layouts > 1 { format!(", {} code layouts of each binary", part.layouts) } else { String::new() };
    document.text(format!(
        "Change: head / base − 1. A change counts when its whole interval is beyond ± {margin}; same: the whole interval \
         is within. The intervals hold together. {}{layouts}, {}{bad}{detectable}. Records: \
         {}",
        counted(part.blocks as usize, "block"),
        counted(runs, "run"),
        part.dir.display(),
    ));
}

/// `1 %`.
pub(super) fn shown_margin(margin: f64) -> String {
    let percent = (margin * 1e5).round() / 1e3;
    format!("{percent} %")
}

/// `2.1 %`, as precise as its interval, without a sign.
fn size_of(estimate: Option<&Estimate>) -> String {
    estimate
        .map_or_else(|| "n/a".to_owned(), |estimate| format!("{} %", percent(estimate).trim_start_matches(['+', '−'])))
}

/// `+2.1 % [1.6, 2.6]`.
pub(super) fn with_interval(estimate: Option<&Estimate>) -> String {
    let Some(estimate) = estimate else { return "n/a".to_owned() };
    let ends = estimate.interval.map(|(lo, hi)| (100.0 * lo, 100.0 * hi));
    match ends {
        Some(_) => format!("{} % {}", percent(estimate), interval(ends)),
        None => format!("{} %", percent(estimate)),
    }
}

fn percent(estimate: &Estimate) -> String {
    let ends = estimate.interval.map(|(lo, hi)| (100.0 * lo, 100.0 * hi));
    crate::report::number::signed_point(100.0 * estimate.value, ends)
}
