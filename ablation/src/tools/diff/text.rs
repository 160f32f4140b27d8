//! A comparison for people: the answer first, then a table, then how it was measured.

use super::comparison::{Compared, Comparison, Part, PartEnd, Verdict, shown_margin};
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
    let is_one_sided = |part: &&Part| part.end == PartEnd::OneSided;
    let in_both = || comparison.parts.iter().filter(|part| !is_one_sided(part));
    if in_both().next().is_some() && in_both().all(|part| part.end == PartEnd::Identical) {
        let said = "Identical: both revisions are the same machine code and read the same files, so nothing was timed";
        let more = comparison.parts.iter().filter(is_one_sided).flat_map(|part| &part.rows);
        let more = more.map(|row| format!("; {} {}", row.workload, row.verdict.word()));
        return [said.to_owned()].into_iter().chain(more).collect();
    }
    let rows: Vec<&Compared> = comparison.rows().map(|(_, row)| row).collect();
    let all = rows.len();
    let of = |verdict: Verdict| rows.iter().filter(|row| row.verdict == verdict).collect::<Vec<_>>();
    let named = |verdict: Verdict| -> Option<String> {
        let mut rows = of(verdict);
        let size = |row: &Compared| row.change.map_or(0.0, |change| change.value.abs());
        rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
        let more = rows.len().saturating_sub(NAMED);
        let mut texts: Vec<String> = rows
            .iter()
            .take(NAMED)
            .map(|row| format!("{} is {} {}", row.workload, size_of(row.change.as_ref()), row.verdict.word()))
            .collect();
        texts.extend((more > 0).then(|| format!("and {}", counted(more, "more workload"))));
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let counts = |verdicts: &[Verdict]| -> Vec<String> {
        let counts = verdicts.iter().map(|verdict| (of(*verdict).len(), verdict.word()));
        counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} of {all} {word}")).collect()
    };
    let apart = [Verdict::Invalid, Verdict::Identical, Verdict::OnlyInBase, Verdict::OnlyInHead];
    let mut said: Vec<String> = [Verdict::Worse, Verdict::Better].into_iter().filter_map(named).collect();
    if said.is_empty() {
        let (undecided, same) = (of(Verdict::Undecided).len(), of(Verdict::NoChange).len());
        let workloads = counted(all, "workload");
        said.push(match () {
            () if all == 0 => "Nothing was measured".to_owned(),
            () if comparison.is_one_sided() => {
                "Nothing can be said: no workload was measured in both revisions".to_owned()
            }
            () if undecided > 0 && same == 0 && undecided == all => {
                format!("Undecided: a change of {margin} is neither found nor excluded in {workloads}")
            }
            () if undecided > 0 => {
                format!("Undecided: a change of {margin} is neither found nor excluded in {undecided} of {workloads}")
            }
            () if same == all => format!("No change: {workloads} within ± {margin}"),
            () if same > 0 => format!("No change: {same} of {workloads} within ± {margin}"),
            () => "Nothing can be said: no workload has proven runs of both revisions".to_owned(),
        });
        said.extend((undecided > 0 && same > 0).then(|| format!("{same} of {all} no change")));
    } else {
        said.extend(counts(&[Verdict::Undecided]));
    }
    said.extend(counts(&apart));
    let not_run = comparison.parts.iter().filter(|part| part.end == PartEnd::NotRun).count();
    said.extend((not_run > 0).then(|| format!("{} not run", counted(not_run, "benchmark target"))));
    let failed: Vec<&str> =
        comparison.parts.iter().filter(|part| part.failure().is_some()).map(|part| part.name.as_str()).collect();
    said.extend((!failed.is_empty()).then(|| format!("{} cannot be built or run", failed.join(", "))));
    said.join("; ")
}

/// Why a part was not run.
pub(super) const NOT_RUN: &str = "the gate is closed by what was run before; --stop never runs every benchmark target";

/// Workloads that the answer names.
const NAMED: usize = 3;

fn part(document: &mut Document, comparison: &Comparison, part: &Part) {
    match &part.end {
        PartEnd::Run => {}
        PartEnd::Identical => {
            document.text(format!(
                "{}: identical. What is loaded of both binaries is the same, byte for byte, and a trial run of each opened \
                 no file of the repository that differs, so nothing was timed.",
                part.name
            ));
            return;
        }
        PartEnd::Failed(why) => {
            document.text(format!("{}: invalid: {why}", part.name));
            return;
        }
        PartEnd::OneSided => {
            let verdict = part.rows.first().map_or(Verdict::OnlyInHead, |row| row.verdict);
            document.text(format!("{}: {}, so there is nothing to compare it with.", part.name, verdict.word()));
            return;
        }
        PartEnd::NotRun => {
            document.text(format!("{}: not run, because {NOT_RUN}.", part.name));
            return;
        }
    }
    let values = part.rows.iter().flat_map(|row| [row.base, row.head]).flatten();
    let measured = || part.rows.iter().filter(|row| row.base.is_some() || row.head.is_some());
    let response = measured().next().or(part.rows.first()).map(|row| row.response).unwrap_or_default();
    let unit = Unit::of_response(response, values, Unit::LIMIT);
    let unit = if measured().all(|row| row.is_per_run) { unit.per_run() } else { unit };
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
        // What does not exist is not missing.
        let missing = if row.is_compared() { "n/a" } else { "" };
        let changed =
            |change: Option<Estimate>| change.map_or_else(|| missing.to_owned(), |change| with_interval(Some(&change)));
        let value = |estimate: Option<Estimate>| {
            estimate.map_or_else(
                || missing.to_owned(),
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
            changed(row.change),
            changed(row.placebo),
            row.verdict.word(),
        ]);
    }
    document.table(table);
    for row in part.rows.iter().filter(|row| !row.reason.is_empty()) {
        document.item(format!("{}: {}: {}", row.workload, row.verdict.word(), row.reason));
    }
    if let Some(outlook) =
        part.outlook.as_ref().filter(|_| part.rows.iter().any(|row| row.verdict == Verdict::Undecided))
    {
        document.item(format!("{outlook}. To decide it: more time (--max-time, --blocks) or a larger --margin"));
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
        "Change: head / base − 1, with intervals that hold for all workloads together. worse, better: the whole interval is \
         beyond ± {margin}. no change: it is within. undecided: neither.",
    ));
    document.text(format!(
        "{}{layouts}, {}{bad}{detectable}. Records: {}",
        counted(part.blocks as usize, "block"),
        counted(runs, "run"),
        part.dir.display(),
    ));
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
