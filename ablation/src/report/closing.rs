//! The end of a report: the cost of the switches, what the factors explain of the gap, and what failed.

use super::content::Study;
use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, count, counted, interval, or_missing, point, share, signed, signed_point, with_interval,
};
use super::workload::verdict;
use crate::analyse::{Analysis, Explained, ReferenceGap, Verdict, WorkloadAnalysis};
use crate::gap::study::GapBreakdown;
use crate::store;
use ablate_format::effects::Estimate;

/// Failures shown one by one; the rest is counted.
const MAX_FAILURES: usize = 20;

/// Which rows of a table are shown; the others are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Every row.
    All,
    /// Those of factors that had work.
    Exercised,
    /// Those that claim something.
    Claimed,
}

impl Rows {
    fn has(self, verdict: Verdict) -> bool {
        match self {
            Rows::All => true,
            Rows::Exercised => verdict != Verdict::NotExercised,
            Rows::Claimed => matches!(verdict, Verdict::Costs | Verdict::Saves),
        }
    }
}

/// What a switch costs by being there: off in the environment against not built in. Each workload has one unit.
pub(super) fn switches(document: &mut Document, analysis: &Analysis, rows: Rows) {
    // One table for each unit, so that numbers below one another can be compared.
    let mut tables: Vec<(String, Table)> = Vec::new();
    let mut left_out = 0;
    for workload in &analysis.workloads {
        let unit = Unit::of_factors(workload, Unit::LIMIT);
        for effect in workload.main_effects().filter(|effect| effect.contrast == "off-absent") {
            if !rows.has(effect.verdict) {
                left_out += 1;
                continue;
            }
            let label = unit.label();
            let at = tables.iter().position(|(known, _)| *known == label).unwrap_or_else(|| {
                let delta = unit.delta();
                tables.push((label, Table::new(["<workload", "=by", "<switch", &delta, "95 % interval", "=verdict"])));
                tables.len() - 1
            });
            let value = effect.cost().map(|value| unit.estimate(value));
            tables[at].1.row([
                workload.name.clone(),
                workload.response.as_str().to_owned(),
                effect.factor.clone(),
                value.map_or_else(|| MISSING.to_owned(), |e| signed_point(e.value, e.interval)),
                interval(value.and_then(|e| e.interval)),
                verdict(effect, unit).replace('\n', " "),
            ]);
        }
    }
    // With one arm alone there is nothing to compare.
    if tables.is_empty() && left_out == 0 {
        return;
    }
    document.heading("What the switches themselves cost (off − absent)");
    let has_rows = !tables.is_empty();
    for (_, table) in tables {
        document.table(table);
    }
    match (rows, left_out) {
        (_, 0) => {}
        (Rows::Claimed, _) if !has_rows => {
            document.text(format!("No switch is found to cost anything in {}.", counted(left_out, "comparison")));
        }
        (Rows::Claimed, _) => document.text(format!("Nothing is claimed of {}.", counted(left_out, "more comparison"))),
        _ => document.text(format!("{} switches of factors that were not exercised are left out.", count(left_out))),
    }
    document.text(
        "Two binaries also differ in code layout, which can change times by several percent in either direction.",
    );
}

/// Workloads whose gap has no breakdown with a row for every factor. Beside such rows, a sum of single effects would be
/// a second and worse answer. `None` when there is no such workload.
pub(super) fn without_breakdown<'a>(
    analysis: &'a Analysis,
    breakdowns: &[GapBreakdown],
) -> Option<Vec<&'a WorkloadAnalysis>> {
    let is_told = |w: &WorkloadAnalysis| breakdowns.iter().any(|gap| gap.workload == w.name && gap.breakdown.separated);
    let left: Vec<&WorkloadAnalysis> =
        analysis.workloads.iter().filter(|w| w.reference_gap.is_some() && !is_told(w)).collect();
    (!left.is_empty()).then_some(left)
}

/// What the factors explain of the gap to the reference peer, and what is left for system calls and page faults.
pub(super) fn explained_gap(document: &mut Document, analysis: &Analysis, breakdowns: &[GapBreakdown]) {
    let Some(workloads) = without_breakdown(analysis, breakdowns) else { return };
    document.heading("What the factors explain, and what is left for system calls and page faults");
    let mut table = Table::new(["<workload", "=by", "gap", "<explained by", "=arm", "=explained", "=left"]);
    let mut lines = Vec::new();
    for workload in workloads {
        let Some(reference) = &workload.reference_gap else {
            continue;
        };
        let unit = unit(workload, reference, Unit::LIMIT);
        let shown = |estimate: Option<Estimate>| with_interval(estimate.map(|e| unit.estimate(e)).as_ref());
        for explained in &reference.explained {
            table.row([
                workload.name.clone(),
                by(workload, unit),
                or_missing(reference.gap.map(|gap| unit.from(gap.value)), signed),
                explained
                    .treatment
                    .as_ref()
                    .map_or_else(|| "sum of single factors".to_owned(), |treatment| format!("baseline − {treatment}")),
                explained.arm.map_or("", |arm| arm.as_str()).to_owned(),
                shown(explained.explained),
                shown(explained.left),
            ]);
        }
        lines.push(sentence(workload, reference, unit));
    }
    if !table.is_empty() {
        document.table(table);
    }
    for line in lines {
        document.item(line);
    }
}

/// What the times of a row are: `p10, ns`.
pub(super) fn by(workload: &WorkloadAnalysis, unit: Unit) -> String {
    format!("{} {}", workload.response.as_str(), unit.label()).trim_end().to_owned()
}

/// The unit for everything about the gap of one workload to the reference peer.
pub(super) fn unit(workload: &WorkloadAnalysis, reference: &ReferenceGap, limit: f64) -> Unit {
    let parts = reference.explained.iter().flat_map(|explained| [explained.explained, explained.left]);
    Unit::of_workload(workload, parts.chain([reference.gap]).flatten(), limit)
}

fn sentence(of: &WorkloadAnalysis, reference: &ReferenceGap, unit: Unit) -> String {
    let workload = &of.name;
    let per_long = if of.is_per_run { "per run" } else { "per operation" };
    let peer = &reference.peer;
    let Some(gap) = &reference.gap else {
        return format!("{workload}: no gap to {peer}, because one of them has no proven run.");
    };
    let gap_text = with_interval(Some(&unit.estimate(*gap)));
    let mut text = format!("{workload}: baseline − {peer} is {gap_text} {}", unit.label());
    if !gap.excludes_zero() {
        text += ", and its interval contains 0, so no shares of it are given";
    }
    // The treatment that takes factors away at once counts their interplay; the sum does not.
    let best = reference.explained.iter().find(|e| e.treatment.is_some()).or(reference.explained.first());
    if let Some(Explained { explained: Some(explained), left: Some(left), treatment, .. }) = best {
        let how = treatment.as_ref().map_or("single effects".to_owned(), |treatment| format!("`{treatment}`"));
        let shown = |estimate: &Estimate| {
            let estimate = unit.estimate(*estimate);
            point(estimate.value, estimate.interval)
        };
        let (explained, rest) = (shown(explained), shown(left));
        text += &format!("; the factors explain {explained} by {how}, {rest} is left");
        if gap.interval.is_some_and(|(lo, _)| lo > 0.0) {
            text += &format!(" ({} of the gap)", share(left.value / gap.value));
        }
    }
    let mut counts: Vec<String> = Vec::new();
    for (instrument, name) in [("page-faults", "page faults"), ("syscalls", "system calls")] {
        let difference = reference.counts.get(instrument).copied();
        counts.push(format!("{} {name}", or_missing(difference, signed)));
    }
    let mut kinds: Vec<(&String, &f64)> =
        reference.counts.iter().filter(|(name, _)| name.starts_with("sys-")).collect();
    kinds.retain(|(_, difference)| difference.abs() >= 0.005);
    kinds.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let kinds: Vec<String> = kinds
        .iter()
        .take(4)
        .map(|(name, difference)| format!("{} {}", name.trim_start_matches("sys-"), signed(**difference)))
        .collect();
    text += &format!("; against {peer} the baseline makes {} {}", counts.join(" and "), per_long);
    if !kinds.is_empty() {
        text += &format!(" ({})", kinds.join(", "));
    }
    let missing: Vec<String> = reference
        .explained
        .iter()
        .filter(|explained| !explained.missing.is_empty())
        .map(|explained| {
            let arm = explained.arm.map_or("", |arm| arm.as_str());
            format!("the sum by {arm} is without {}", explained.missing.join(", "))
        })
        .collect();
    if !missing.is_empty() {
        text += &format!("; {}", missing.join(", "));
    }
    text + "."
}

/// Runs that do not count, by reason, and what to do.
pub(super) fn failures(document: &mut Document, study: Study<'_>) {
    let Study { dir, manifest, records, analysis, .. } = study;
    document.heading("Runs that do not count");
    let missing = store::coverage(manifest, records).filter(|(there, planned)| there < planned);
    if let Some((there, planned)) = missing {
        document.text(format!(
            "{} of {} planned runs belong to whole blocks; the others are in no table.",
            count(there),
            count(planned)
        ));
    }
    if analysis.failures.is_empty() {
        document.text(match (analysis.runs, missing) {
            (0, _) => "Nothing was run, so nothing is proven.".to_owned(),
            (1, None) => "None: the one run agrees with the plan.".to_owned(),
            (runs, None) => format!("None: all {} runs agree with the plan.", count(runs)),
            (runs, Some(_)) => format!("None: the {} so far agree with the plan.", counted(runs, "run")),
        });
        return;
    }
    let mut table = Table::new(["=how", "runs", "=why", "<where"]);
    for failure in analysis.failures.iter().take(MAX_FAILURES) {
        let mut places = failure.places.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        if failure.places.len() > 3 {
            places += &format!(" and {} more", failure.places.len() - 3);
        }
        // A reason quotes what a program printed, which may be long.
        let reason: String = failure.reason.chars().take(300).collect();
        table.row([failure.status.to_owned(), count(failure.runs), reason, places]);
    }
    document.table(table);
    if analysis.failures.len() > MAX_FAILURES {
        document.text(format!("{} more reasons are in records.jsonl.", analysis.failures.len() - MAX_FAILURES));
    }
    for (status, way_out) in [
        (
            "invalid",
            "the run contradicts the plan; compare the factor's switch in the config with what the program reports",
        ),
        ("build-failed", "read the log, mend the package or its features, and run the study again"),
        ("crashed", "run the cell's command from manifest.json by hand, with its environment"),
        ("timeout", "raise timeout_seconds in the config, or lower the workload's operations"),
        ("garbage", "the program must print one line of JSON as docs/format.md has it"),
    ] {
        if analysis.failures.iter().any(|failure| failure.status == status) {
            document.item(format!("{status}: {way_out}"));
        }
    }
    document.item(format!(
        "build logs: {}; the end of standard error of each failed run: {}",
        dir.join(store::LOGS).display(),
        dir.join(store::RECORDS).display()
    ));
    if manifest.builds.iter().any(|build| build.result.is_err()) {
        document.item("cells of a binary that was not built are missing from every table above, not zero");
    }
}
