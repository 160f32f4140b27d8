//! The bars of a study with its verdicts: the first section after the head of a report.

use super::document::{Document, Table};
use super::head::amount;
use super::number::{MISSING, Unit, count, number, percent, point, with_interval};
use crate::analyse::{Analysis, JudgedTarget, TargetRow, TargetVerdict};
use ablate_format::effects::Estimate;
use ablate_format::{Bar, TargetKind};
use ablate_stats::MIN_BLOCKS;

/// Rows of one verdict that a sentence names; the rest is counted.
const NAMED: usize = 6;

/// `9 met, 1 missed, 1 open`; `None` without targets.
pub(super) fn summary(analysis: &Analysis) -> Option<String> {
    let how_many = |verdict| analysis.targets.iter().filter(|target| target.verdict == verdict).count();
    let all = TargetVerdict::ALL.map(|verdict| (how_many(verdict), verdict.as_str()));
    let told = all.iter().enumerate().filter(|(at, (number, _))| *at < 2 || *number > 0);
    let told: Vec<String> = told.map(|(_, (number, word))| format!("{} {word}", count(*number))).collect();
    (!analysis.targets.is_empty()).then(|| told.join(", "))
}

/// One row per target, then a sentence for each that is not met, or for all.
pub(super) fn targets(document: &mut Document, analysis: &Analysis, with_met: bool) {
    if analysis.targets.is_empty() {
        return;
    }
    // The head of the report counts them.
    document.heading("Targets, one by one");
    let mut table = Table::new(["<target", "=quantity", "bar", "measured [95 %]", "<where", "=verdict"]);
    for target in &analysis.targets {
        table.row([
            target.target.name.clone(),
            what(target),
            bar(target),
            target.rows.first().map_or_else(|| MISSING.to_owned(), |row| value(target, row)),
            target.rows.first().map(place).unwrap_or_default(),
            target.verdict.as_str().to_owned(),
        ]);
    }
    document.table(table);
    for target in analysis.targets.iter().filter(|target| with_met || target.verdict != TargetVerdict::Met) {
        document.item(sentence(target));
    }
    document.text(
        "measured: the number closest to missing the bar, or farthest beyond it, with its interval. met: every interval lies \
         on the good side of the bar. missed: one interval lies on the bad side. open: an interval contains the bar, \
         a number was not measured, or there are too few blocks for an interval.",
    );
}

/// Which number is held to the bar.
fn what(judged: &JudgedTarget) -> String {
    let target = &judged.target;
    let response = target.response.map(|response| match response.over {
        Some(over) => format!("{}/{}", response.of.as_str(), over.as_str()),
        None => response.of.as_str().to_owned(),
    });
    let of = response.as_ref().map_or(String::new(), |response| format!(" of {response}"));
    match &target.kind {
        TargetKind::Ratio { peer } => format!("mean ratio{of} to {}", peer.as_str()),
        TargetKind::Rows { peer } => format!("every ratio{of} to {}", peer.as_str()),
        TargetKind::Value => match (response, judged.unit_of) {
            (Some(response), _) => response,
            (None, own) => own.map_or("own value", |own| own.as_str()).to_owned(),
        },
        TargetKind::Between => {
            let [above, below] = target.workloads.as_slice() else { return of };
            format!("{above} over {below}{of}")
        }
    }
}

fn bar(judged: &JudgedTarget) -> String {
    let sign = if judged.target.bar.is_high() { '≤' } else { '≥' };
    let bar = judged.target.bar.value();
    match judged.unit_of {
        Some(response) => format!("{sign} {}", amount(response, bar)),
        None => format!("{sign} {}", number(bar)),
    }
}

fn value(judged: &JudgedTarget, row: &TargetRow) -> String {
    // Where there is no interval, a sentence says so once.
    let with_ends = |value: &Estimate| match value.interval {
        Some(_) => with_interval(Some(value)),
        None => point(value.value, None),
    };
    let Some(response) = judged.unit_of else { return with_ends(&row.value) };
    let unit = Unit::of_response(response, [row.value], Unit::LIMIT);
    format!("{} {}", with_ends(&unit.estimate(row.value)), unit.name).trim_end().to_owned()
}

/// The workload and the peer of a number, as far as it has one.
fn place(row: &TargetRow) -> String {
    match (&row.workload, &row.peer) {
        (Some(workload), Some(peer)) => format!("{workload}, {peer}"),
        (one, other) => one.as_ref().or(other.as_ref()).cloned().unwrap_or_default(),
    }
}

/// The claim, the verdict and why.
fn sentence(judged: &JudgedTarget) -> String {
    let mut text = format!("{} {}: {}", judged.target.name, judged.verdict.as_str(), judged.target.claim);
    let of = |verdict| judged.rows.iter().filter(move |row| row.verdict == verdict);
    for (verdict, word) in [(TargetVerdict::Missed, "missed"), (TargetVerdict::Open, "open")] {
        let rows: Vec<&TargetRow> = of(verdict).collect();
        if rows.is_empty() {
            continue;
        }
        let named = rows.iter().take(NAMED).map(|row| {
            let place = place(row);
            let at = if place.is_empty() { String::new() } else { format!("{place} ") };
            format!("{at}{} ({})", value(judged, row), distance(row.value, judged.target.bar))
        });
        let more = rows.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {} more", count(more)) } else { String::new() };
        let word = if verdict == judged.verdict { String::new() } else { format!("{word}: ") };
        text += &format!("; {word}{}{more}", named.collect::<Vec<_>>().join("; "));
    }
    let met = of(TargetVerdict::Met).count();
    if judged.rows.len() > 1 && met < judged.rows.len() {
        text += &format!("; met by {} of {}", count(met), count(judged.rows.len()));
    }
    if judged.rows.iter().any(|row| row.value.interval.is_none()) {
        text += &format!("; no interval below {MIN_BLOCKS} blocks");
    } else if let Some(blocks) = judged.blocks_needed {
        text += &format!("; about {} blocks would probably decide it", count(blocks));
    }
    for missing in &judged.missing {
        text += &format!("; {missing}");
    }
    text + "."
}

/// How far a value is from its bar: `1.9% above the bar`.
fn distance(value: Estimate, bar: Bar) -> String {
    let far = value.value / bar.value() - 1.0;
    let side = if value.value >= bar.value() { "above" } else { "below" };
    match far.is_finite() {
        true => format!("{} {side} the bar", percent(far).trim_start_matches(['+', '−'])),
        false => format!("{side} the bar"),
    }
}
