//! A comparison for people: what is worse and better first, then what differs and what the intervals cover.

use super::comparison::{Compared, Comparison, Folder, Row, Verdict};
use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, Unit, counted, interval, percent, point, signed_point};
use crate::support::dates::date;
use crate::tools::results::Subject;
use ablate_format::effects::Estimate;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most reasons that are told.
const REASONS_MAX: usize = 12;

/// The comparison as terminal and Markdown show it; `all` rows, or those with a claim.
pub(super) fn document(comparison: &Comparison, all: bool) -> Document {
    let mut document = Document::default();
    document.title(answer(comparison));
    document.item(format!("old: {}", folder(&comparison.base)));
    for other in &comparison.others {
        if comparison.others.len() > 1 {
            document.heading(format!("{} against {}", other.folder.dir.display(), comparison.base.dir.display()));
        }
        document.item(format!("new: {}", folder(&other.folder)));
        document.append(part(other, all));
    }
    document
}

/// The answer in one sentence.
pub(super) fn answer(comparison: &Comparison) -> String {
    let rows = || comparison.others.iter().flat_map(|other| &other.rows);
    let count = |verdict: Verdict| rows().filter(|row| row.verdict == verdict).count();
    let (worse, better, none) = (count(Verdict::Worse), count(Verdict::Better), count(Verdict::NotDetected));
    let same = count(Verdict::SameBinary);
    let judged = worse + better + none;
    if judged == 0 && same > 0 {
        return match rows().count() == same {
            true => "The programs are identical, so nothing is better or worse".to_owned(),
            false => {
                let rows = counted(same, "row");
                format!(
                    "Nothing could be compared beside {rows} of the same binary, where any difference is the session"
                )
            }
        };
    }
    if judged == 0 {
        return "Nothing could be compared".to_owned();
    }
    match (worse, better) {
        (0, 0) => format!("No difference found in {}", counted(judged, "row")),
        _ => format!("{worse} worse and {better} better of {}", counted(judged, "row")),
    }
}

fn folder(folder: &Folder) -> String {
    let mut parts = vec![format!("{}, study {}", folder.dir.display(), folder.study), date(folder.started_unix_s)];
    parts.extend(folder.commit.as_ref().map(|commit| format!("commit {commit}")));
    parts.extend(folder.toolchain.clone());
    let planned = counted(folder.blocks as usize, "block");
    parts.push(match folder.measured.filter(|measured| *measured < folder.blocks as usize) {
        Some(measured) => format!("{measured} of {planned}"),
        None => planned,
    });
    if !folder.has_records {
        parts.push("no records".to_owned());
    }
    parts.join(", ")
}

/// Everything about one folder.
pub(super) fn part(compared: &Compared, all: bool) -> Document {
    let mut document = Document::default();
    if let Some(advice) = &compared.advice {
        document.text(advice.clone());
    }
    let rows = shown(compared, all);
    if !rows.is_empty() {
        document.table(table(&rows));
    }
    document.text(rest(compared, all));
    for reason in reasons(compared) {
        document.item(reason);
    }
    document.text(session(compared));
    if rows.iter().any(|row| row.is_beside) {
        document.text(
            "baseline / controls: the ratio of the baseline to the geometric mean of the controls, in which what all programs \
             shift by between sessions cancels.",
        );
    }
    if !rows.is_empty() {
        document.text(
            "Difference: new − old, with 95 % intervals that hold for all rows together. Ratios and differences of cells are \
             from the logarithms of blocks, so they need not be those of the two columns. What a factor costs is baseline − \
             without it; + is more. worse: takes or costs more. better: less. Of a rate (/s), more is better.",
        );
    }
    if !compared.differences.is_empty() {
        document.text("What differs between both folders:");
    }
    for line in &compared.differences {
        document.item(line.clone());
    }
    if !compared.alike.is_empty() {
        document.text(format!("The same in both: {}.", compared.alike.join("; ")));
    }
    document
}

/// Rows with a claim, the largest first; with `all` every row after them.
pub(super) fn shown(compared: &Compared, all: bool) -> Vec<&Row> {
    let mut rows: Vec<&Row> = compared.rows.iter().filter(|row| row.verdict.is_claim()).collect();
    let size = |row: &Row| row.share.map_or(0.0, |share| share.value.abs());
    rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
    if all {
        let mut others: Vec<&Row> = compared.rows.iter().filter(|row| !row.verdict.is_claim()).collect();
        others.sort_by_key(|row| row.verdict);
        rows.extend(others);
    }
    rows
}

/// The rows without a claim in one line.
fn rest(compared: &Compared, all: bool) -> String {
    let word = |verdict: Verdict| match verdict {
        Verdict::NotDetected => "without a difference that is told apart from 0",
        Verdict::SameBinary => "of the same binary, where any difference is the session",
        Verdict::NotKnown => "of which too little is known",
        Verdict::Refused => "refused, because other work was measured",
        Verdict::OnlyInOld => "in the old folder only",
        Verdict::OnlyInNew => "in the new folder only",
        Verdict::Worse => "worse",
        Verdict::Better => "better",
    };
    let counts = Verdict::ALL.into_iter().filter(|verdict| !verdict.is_claim()).filter_map(|verdict| {
        let count = compared.with(verdict).count();
        (count > 0).then(|| format!("{count} {}", word(verdict)))
    });
    let counts: Vec<String> = counts.collect();
    match (counts.is_empty(), all) {
        (true, _) => "Every row has a difference.".to_owned(),
        (false, true) => format!("Rows: {}.", counts.join("; ")),
        (false, false) => format!("Other rows: {}. --all shows them.", counts.join("; ")),
    }
}

/// Why rows were refused or are not known, each reason once.
fn reasons(compared: &Compared) -> Vec<String> {
    let mut by_reason: BTreeMap<(Verdict, &str), usize> = BTreeMap::new();
    for row in compared.rows.iter().filter(|row| matches!(row.verdict, Verdict::Refused | Verdict::NotKnown)) {
        *by_reason.entry((row.verdict, &row.reason)).or_default() += 1;
    }
    let mut reasons: Vec<((Verdict, &str), usize)> = by_reason.into_iter().collect();
    reasons.sort_by_key(|((verdict, _), count)| (Reverse(*verdict), Reverse(*count)));
    let more: usize = reasons.iter().skip(REASONS_MAX).map(|(_, count)| count).sum();
    let told = reasons.into_iter().take(REASONS_MAX);
    let mut told: Vec<String> = told
        .map(|((verdict, reason), count)| format!("{} ({}): {reason}", verdict.word(), counted(count, "row")))
        .collect();
    told.extend((more > 0).then(|| format!("{} with other reasons, which --json has", counted(more, "row"))));
    told
}

/// What the intervals cover, and what the controls told.
fn session(compared: &Compared) -> String {
    let told = compared.session.learnt.iter().map(|learnt| {
        format!(
            " {}: {} by {} on average; standard deviation between sessions {} of a value, {} beside the other programs of its \
             session.",
            learnt.of,
            counted(learnt.programs, "control program") + " shifted",
            percent(learnt.common),
            part_of(learnt.deviation),
            part_of(learnt.beside),
        )
    });
    let end = if compared.session.said.ends_with('.') { "" } else { "." };
    [format!("{}{end}", compared.session.said)].into_iter().chain(told).collect()
}

fn part_of(share: f64) -> String {
    percent(share).trim_start_matches('+').to_owned()
}

fn table(rows: &[&Row]) -> Table {
    let mut table =
        Table::new(["<workload", "<what", "=verdict", "old", "new", "difference [95 %]", "ratio [95 %]", "=unit"]);
    for row in rows {
        let unit = if row.is_beside { Unit::PLAIN } else { unit(rows, row) };
        let value = |estimate: Option<Estimate>| {
            let shown = estimate.map(|value| unit.estimate(value)).map(|value| point(value.value, value.interval));
            shown.unwrap_or_else(|| MISSING.to_owned())
        };
        let difference = row.difference.map(|difference| unit.estimate(difference));
        table.row([
            row.key.workload.clone(),
            what(row),
            row.verdict.word(),
            value(row.old),
            value(row.new),
            difference.map_or_else(|| MISSING.to_owned(), difference_text),
            row.ratio.map_or_else(|| MISSING.to_owned(), ratio),
            if row.is_beside { "ratio".to_owned() } else { unit.with(row.response) },
        ]);
    }
    table
}

/// `cost of cache`, `baseline / controls`, or the name of a cell.
pub(super) fn what(row: &Row) -> String {
    match &row.key.subject {
        Subject::Cell(id) if row.is_beside => format!("{id} / controls"),
        Subject::Cell(id) => id.clone(),
        subject @ Subject::Factor { .. } => format!("cost of {}", subject.name()),
    }
}

fn difference_text(difference: Estimate) -> String {
    let value = signed_point(difference.value, difference.interval);
    match difference.interval {
        Some(_) => format!("{value} {}", interval(difference.interval)),
        None => value,
    }
}

/// `1.021 [1.010, 1.032]`.
pub(super) fn ratio(ratio: Estimate) -> String {
    match ratio.interval {
        Some((low, high)) => format!("{:.3} [{low:.3}, {high:.3}]", ratio.value),
        None => format!("{:.3}", ratio.value),
    }
}

/// The unit of a row: that of all rows of its workload, so that they can be compared by eye.
fn unit(rows: &[&Row], row: &Row) -> Unit {
    let is_alike = |other: &&&Row| other.key.workload == row.key.workload && !other.is_beside;
    let values = rows.iter().filter(is_alike).flat_map(|row| [row.old, row.new]).flatten();
    let unit = Unit::of_response(row.response, values, Unit::LIMIT);
    if row.is_per_run { unit.per_run() } else { unit }
}

/// The folders in one line.
pub(super) fn folders(comparison: &Comparison) -> String {
    let others = comparison.others.iter().map(|other| format!("new: {}", folder(&other.folder)));
    [format!("old: {}", folder(&comparison.base))].into_iter().chain(others).collect::<Vec<_>>().join("; ")
}
