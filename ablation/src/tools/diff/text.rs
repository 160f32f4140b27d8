//! A comparison for people: the answer first, then a table, then how it was measured.

use super::comparison::{Compared, Comparison, NO_PERCENT, Part, PartEnd, Verdict, shown_margin};
use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, Unit, counted, interval, number, point, signed_point};
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
        let said =
            "Identical: both revisions are the same machine code and open no file that differs, so nothing was timed";
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
        let without = rows.iter().filter(|row| row.verdict == Verdict::Undecided && row.has_no_percent()).count();
        let (undecided, same) = (of(Verdict::Undecided).len() - without, of(Verdict::NoChange).len());
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
            () if without > 0 => format!("Undecided: {NO_PERCENT} in {without} of {workloads}"),
            () if same == all => format!("No change: {workloads} within ± {margin}"),
            () if same > 0 => format!("No change: {same} of {workloads} within ± {margin}"),
            () => "Nothing can be said: no workload has proven runs of both revisions".to_owned(),
        });
        said.extend((undecided > 0 && without > 0).then(|| format!("{NO_PERCENT} in {without} of {all}")));
        said.extend((undecided + without > 0 && same > 0).then(|| format!("{same} of {all} no change")));
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
                 no file of the repository that differs, so nothing was timed. What is asked of a file without opening it, \
                 such as its size, is not seen; --stop never times both.",
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
    document.table(table(&part.rows));
    for row in part.rows.iter().filter(|row| !row.reason.is_empty()) {
        document.item(format!("{}: {}: {}", row.workload, row.verdict.word(), row.reason));
    }
    // More time does not make the margin apply.
    let is_open = |row: &Compared| row.verdict == Verdict::Undecided && !row.has_no_percent();
    if let Some(outlook) = part.outlook.as_ref().filter(|_| part.rows.iter().any(is_open)) {
        let way = match outlook.contains("--layouts") {
            true => "more code layouts (--layouts) and time, or a larger --margin",
            false => "more time (--max-time, --blocks) or a larger --margin",
        };
        document.item(format!("{outlook}. To decide it: {way}"));
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
    let without = match part.rows.iter().any(Compared::has_no_percent) {
        true => " With a base of 0 or below the change is head − base, and only an exact 0 is no change.",
        false => "",
    };
    document.text(format!(
        "Change: head / base − 1 within blocks, so it need not be the ratio of the two columns, with intervals that hold \
         for all workloads together. worse, better: the whole interval is \
         beyond ± {margin}. no change: it is within. undecided: neither.{without}",
    ));
    document.text(format!(
        "{}{layouts}, {}{bad}{detectable}. Records: {}",
        counted(part.blocks as usize, "block"),
        counted(runs, "run"),
        part.dir.display(),
    ));
}

/// A row for each workload. The head names the unit of the values; where rows have several, a column does.
fn table(rows: &[Compared]) -> Table {
    let units: Vec<Unit> = rows.iter().map(|row| unit(rows, row)).collect();
    let label = |(row, unit): (&Compared, &Unit)| unit.with(row.response);
    let is_measured = |(row, _): &(&Compared, &Unit)| row.base.is_some() || row.head.is_some();
    let mut measured: Vec<String> = rows.iter().zip(&units).filter(is_measured).map(label).collect();
    measured.dedup();
    let one = match measured.as_slice() {
        [] => rows.iter().zip(&units).map(label).next(),
        [one] => Some(one.clone()),
        _ => None,
    };
    // Without what all numbers of a program have in front, because the column is narrow.
    let short = |label: String| label.replace("value:", "");
    let of = |side: &str| one.as_ref().map_or_else(|| side.to_owned(), |one| format!("{side}, {one}"));
    let mut head = vec!["<workload".to_owned()];
    head.extend(one.is_none().then(|| "=unit".to_owned()));
    head.extend([of("base"), of("head")]);
    head.extend(["change [95 %]", "base against itself", "=verdict"].map(str::to_owned));
    let mut table = Table::new(head);
    for (row, unit) in rows.iter().zip(&units) {
        // What does not exist is not missing.
        let missing = if row.is_compared() { MISSING } else { "" };
        let value = |estimate: Option<Estimate>| {
            let shown = estimate.map(|value| unit.estimate(value)).map(|value| point(value.value, value.interval));
            shown.unwrap_or_else(|| missing.to_owned())
        };
        let changed = |share, difference| either(share, difference, *unit).unwrap_or_else(|| missing.to_owned());
        let mut cells = vec![row.workload.clone()];
        cells.extend(
            one.is_none()
                .then(|| if is_measured(&(row, unit)) { short(unit.with(row.response)) } else { String::new() }),
        );
        cells.extend([value(row.base), value(row.head)]);
        cells.extend([changed(row.change, row.difference), changed(row.placebo, row.placebo_difference)]);
        cells.push(row.verdict.word());
        table.row(cells);
    }
    table
}

/// The unit of a row: that of all rows with its response, so that they can be compared by eye.
fn unit(rows: &[Compared], row: &Compared) -> Unit {
    let is_alike = |other: &&Compared| (other.response, other.is_per_run) == (row.response, row.is_per_run);
    let values = rows.iter().filter(is_alike).flat_map(|row| [row.base, row.head]).flatten();
    let unit = Unit::of_response(row.response, values, Unit::LIMIT);
    if row.is_per_run { unit.per_run() } else { unit }
}

/// The change of a workload: `+2.1 % [1.6, 2.6]`, or the difference where the base has no percent.
pub(super) fn changed(row: &Compared) -> String {
    let unit = unit(std::slice::from_ref(row), row);
    either(row.change, row.difference, unit).unwrap_or_else(|| MISSING.to_owned())
}

/// `+2.1 % [1.6, 2.6]`, else `+7.00 [6.90, 7.10] ns`.
fn either(share: Option<Estimate>, difference: Option<Estimate>, unit: Unit) -> Option<String> {
    if share.is_some() {
        return share.as_ref().map(with_interval);
    }
    let difference = unit.estimate(difference?);
    let value = signed_point(difference.value, difference.interval);
    let ends = difference.interval.map_or_else(String::new, |_| format!(" {}", interval(difference.interval)));
    Some(format!("{value}{ends} {}", unit.of_difference()).trim_end().to_owned())
}

/// `2.1 %`, as precise as its interval, without a sign.
fn size_of(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(
        || MISSING.to_owned(),
        |estimate| format!("{} %", percent(estimate).trim_start_matches(['+', '−'])),
    )
}

/// `+2.1 % [1.6, 2.6]`.
fn with_interval(estimate: &Estimate) -> String {
    let ends = estimate.interval.map(|(lo, hi)| (100.0 * lo, 100.0 * hi));
    match ends {
        Some(_) => format!("{} % {}", percent(estimate), interval(ends)),
        None => format!("{} %", percent(estimate)),
    }
}

fn percent(estimate: &Estimate) -> String {
    let ends = estimate.interval.map(|(lo, hi)| (100.0 * lo, 100.0 * hi));
    signed_point(100.0 * estimate.value, ends)
}
