//! A report short enough for a terminal: per workload one table of configurations and one of factors, then what the
//! factors explain of the gap, and where the rest is. Everything in full is left to report.html.

use super::closing::{by, unit, without_breakdown};
use super::content::{Study, has_factors, sign_of_rates};
use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, number, or_missing, percent, point, share, signed, signed_point};
use super::workload::{label, per, shown};
use crate::analyse::{Analysis, Effect, Explained, Response, Verdict, WorkloadAnalysis};
use crate::gap::study::GapBreakdown;
use crate::support::call::{PROGRAM, quoted};
use ablate_format::Arm;
use ablate_format::effects::Estimate;
use std::path::Path;

/// Limits of [`Unit::fitting`] from the usual one to the one for tables that are too wide.
const LIMITS: [f64; 3] = [Unit::LIMIT, 1e4, 1e3];

/// What a cell of an arm looks like in which nothing is compared.
const NOTHING: &str = "–";

/// Both tables of one workload.
pub(super) fn workload(document: &mut Document, workload: &WorkloadAnalysis, columns: usize) {
    let about = if workload.about.is_empty() { String::new() } else { format!(" – {}", workload.about) };
    document.heading(format!("{}{about}", workload.name));
    cells(document, workload, columns);
    factors(document, workload, columns);
}

fn cells(document: &mut Document, workload: &WorkloadAnalysis, columns: usize) {
    let peers = workload.gaps.len();
    let widths = LIMITS.into_iter().flat_map(|limit| (peers.min(1)..=peers).rev().map(move |peers| (limit, peers)));
    let tables = widths.map(|(limit, peers)| configurations(workload, limit, peers));
    let widest = configurations(workload, Unit::LIMIT, peers);
    if let Some(table) = Table::first_that_fits(columns, tables) {
        let lost = widest.lost_in(&table);
        document.table(table);
        left_out(document, &lost, |name| name.starts_with("vs "));
    }
    let hidden = shown(workload).1;
    if hidden > 0 {
        document.text(format!("{hidden} more configurations are in effects.json."));
    }
}

/// Says which columns a page of this width has no room for. `is_own` leaves out columns that only changed their unit.
fn left_out(document: &mut Document, lost: &[String], is_own: impl Fn(&str) -> bool) {
    let lost: Vec<&str> = lost.iter().map(String::as_str).filter(|name| is_own(name)).collect();
    if !lost.is_empty() {
        document.text(format!("No room here for the columns {}; report.html has them.", lost.join(", ")));
    }
}

fn configurations(workload: &WorkloadAnalysis, limit: f64, peers: usize) -> Table {
    let cells = shown(workload).0;
    let times: Vec<Option<Estimate>> = cells.iter().map(|cell| cell.value(workload.response)).collect();
    let unit = Unit::of_workload(workload, times.iter().copied().flatten(), limit);
    let per = per(workload);
    let mut header = vec!["<configuration".to_owned(), "=arm".to_owned()];
    header.push(format!("{}\n[95 %]", unit.with(workload.response)));
    header.extend(workload.gaps.iter().take(peers).map(|gap| format!("vs\n{}", gap.peer)));
    header.extend([format!("faults\n{per}"), format!("calls\n{per}"), "=proof".to_owned()]);
    let mut table = Table::new(header);
    for (cell, time) in cells.iter().zip(aligned(&times, unit, point)) {
        let mut row = vec![cell.name.clone(), cell.arm.map_or("", |arm| arm.as_str()).to_owned(), time];
        let gaps = cell.relative_to_peers.iter().zip(&workload.gaps).take(peers);
        row.extend(gaps.map(|(relative, gap)| {
            // A peer against itself is no finding.
            if gap.id == cell.id { NOTHING.to_owned() } else { or_missing(*relative, percent) }
        }));
        let counts = ["page-faults", "syscalls"].map(|name| or_missing(cell.per_operation(name), number));
        row.extend(counts);
        row.push(cell.proof.clone().unwrap_or_else(|| MISSING.to_owned()));
        table.row(row);
    }
    table
}

/// Values with their intervals, so that values stand below values and intervals below intervals.
fn aligned(values: &[Option<Estimate>], unit: Unit, show: fn(f64, Option<(f64, f64)>) -> String) -> Vec<String> {
    let parts = values.iter().map(|value| match value.map(|value| unit.estimate(value)) {
        None => (NOTHING.to_owned(), String::new()),
        Some(value) if value.interval.is_none() => (show(value.value, None), String::new()),
        Some(value) => (show(value.value, value.interval), interval(value.interval)),
    });
    let parts: Vec<(String, String)> = parts.collect();
    let width = |text: &String| text.chars().count();
    let left = parts.iter().map(|(value, _)| width(value)).max().unwrap_or(0);
    let right = parts.iter().map(|(_, ends)| width(ends)).max().unwrap_or(0);
    let one = |(value, ends): (String, String)| match right {
        0 => value,
        _ => format!("{value:>left$} {ends:<right$}"),
    };
    parts.into_iter().map(one).collect()
}

/// One row of the table of factors: the same comparison in one binary and between two builds.
struct Row<'a> {
    name: String,
    one_binary: Option<&'a Effect>,
    two_builds: Option<&'a Effect>,
}

impl<'a> Row<'a> {
    fn arms(&self) -> impl Iterator<Item = &'a Effect> {
        self.one_binary.into_iter().chain(self.two_builds)
    }

    /// The arm that shares and counts are shown of: one binary, in which no code changes, where it says something.
    fn leading(&self) -> Option<&'a Effect> {
        self.arms().find(|effect| effect.estimate.is_some()).or(self.arms().next())
    }

    fn is_not_exercised(&self) -> bool {
        self.arms().all(|effect| effect.verdict == Verdict::NotExercised)
    }

    fn verdict(&self) -> String {
        let mut words: Vec<&str> = self.arms().map(Effect::word).collect();
        words.dedup();
        words.join("/")
    }
}

/// Whether an arm compares two builds.
fn is_of_builds(arm: Option<Arm>) -> bool {
    arm.is_some_and(Arm::has_own_binary)
}

/// The arms of some effects by their names: `env`, `args`, `env/args`.
fn names_of<'a>(effects: impl Iterator<Item = &'a Effect>) -> String {
    let mut names: Vec<&str> = effects.filter_map(|effect| effect.arm.map(Arm::as_str)).collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    names.dedup();
    names.join("/")
}

/// What the words in the tables of factors mean.
const LEGEND: &str = "Tables of factors: Δ of a factor is the baseline minus the baseline without it, of a level \
                      (factor: level) that level minus the baseline's; each arm has its column. It is taken within \
                      blocks, so it need not be the difference of two cells' values. points: percentage points. The \
                      columns %, of the gap, faults and calls belong to the first Δ column; %: of the baseline. verdict: costs or \
                      saves, outside the noise, and proven; not detected, nothing found; below floor, not larger than \
                      the noise floor; inconclusive, too few blocks or a cross-check that disagrees; unproven, nothing \
                      tells the levels apart, so it is no cost of the switch; invalid, no proven run; not exercised, \
                      the factor had no work.";

/// What the words of the tables mean, once.
pub(super) fn legend(document: &mut Document, analysis: &Analysis) {
    document.text(format!("{LEGEND}{}", sign_of_rates(analysis)));
}

fn grouped<'a>(effects: impl Iterator<Item = &'a Effect>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::new();
    for effect in effects {
        let name = match effect.contrast.as_str() {
            "main" => format!("{} (main)", effect.title()),
            _ => label(effect),
        };
        let at = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            rows.push(Row { name, one_binary: None, two_builds: None });
            rows.len() - 1
        });
        match is_of_builds(effect.arm) {
            true => rows[at].two_builds = Some(effect),
            false => rows[at].one_binary = Some(effect),
        }
    }
    let cost = |row: &Row| row.leading().and_then(Effect::cost).map_or(f64::NEG_INFINITY, |cost| cost.value);
    rows.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
    rows
}

fn factors(document: &mut Document, workload: &WorkloadAnalysis, columns: usize) {
    // Main effects beside Shapley values would be a second answer to their question.
    let has_shapley = workload.crossed.as_ref().is_some_and(|crossed| !crossed.factors.is_empty());
    let is_told = |effect: &Effect| has_shapley && effect.contrast == "main";
    let single = grouped(workload.main_effects().filter(|effect| effect.attribution && !is_told(effect)));
    let others = workload.main_effects().filter(|e| !e.attribution && e.contrast != "off-absent");
    let others = grouped(others.filter(|e| e.contrast != "placebo"));
    let not_exercised: Vec<&str> =
        single.iter().chain(&others).filter(|row| row.is_not_exercised()).map(|row| row.name.as_str()).collect();
    let parts: [Vec<&Row>; 2] =
        [&single, &others].map(|rows| rows.iter().filter(|row| !row.is_not_exercised()).collect());
    if single.is_empty() && others.is_empty() {
        document.text("The design compares no single factor with the baseline.");
        return;
    }
    // Apart, so that a treatment that changes microseconds does not round single factors away.
    for rows in parts.iter().filter(|rows| !rows.is_empty()) {
        let tables = [true, false].into_iter().flat_map(|instructions| LIMITS.map(|limit| (limit, instructions)));
        let tables = tables.map(|(limit, instructions)| attribution(workload, rows, limit, instructions));
        let widest = attribution(workload, rows, Unit::LIMIT, true);
        if let Some(table) = Table::first_that_fits(columns, tables) {
            let lost = widest.lost_in(&table);
            document.table(table);
            left_out(document, &lost, |name| name == "Δ instr.");
        }
    }
    if !not_exercised.is_empty() {
        document.text(format!("not exercised here: {}", not_exercised.join(", ")));
    }
    if !workload.notes.is_empty() {
        document.text(format!("remarks about single values of {}: see report.html", workload.name));
    }
}

fn attribution(workload: &WorkloadAnalysis, rows: &[&Row], limit: f64, instructions: bool) -> Table {
    let rows = || rows.iter();
    let is_single = rows().flat_map(|row| row.arms()).any(|effect| effect.attribution);
    let unit = match is_single {
        true => Unit::of_factors(workload, limit),
        false => {
            let values = rows().flat_map(|row| row.arms()).filter_map(Effect::value);
            Unit::of_workload(workload, values, limit)
        }
    };
    let arms = [names_of(rows().filter_map(|row| row.one_binary)), names_of(rows().filter_map(|row| row.two_builds))];
    let per_op = |arm: &String| format!("Δ {arm}, {}\n{} [95 %]", unit.of_difference(), workload.response.as_str());
    let mut header = vec!["<factor".to_owned()];
    header.extend(arms.iter().filter(|arm| !arm.is_empty()).map(per_op));
    header.push("Δ\n%".to_owned());
    let has_gap = workload.reference_gap.is_some();
    header.extend(has_gap.then(|| "of the\ngap".to_owned()));
    let counted: Vec<(Response, &str)> = [
        (Response::InstructionsPerOp, "Δ\ninstr."),
        (Response::PageFaultsPerOp, "Δ\nfaults"),
        (Response::SyscallsPerOp, "Δ\ncalls"),
    ]
    .into_iter()
    .filter(|(response, _)| *response != Response::InstructionsPerOp || (instructions && has(workload, *response)))
    .collect();
    header.extend(counted.iter().map(|(_, name)| (*name).to_owned()));
    header.push("=verdict".to_owned());
    let mut table = Table::new(header);
    let estimates =
        |arm: fn(&Row) -> Option<Estimate>| -> Vec<Option<Estimate>> { rows().map(|row| arm(row)).collect() };
    let one_binary = aligned(&estimates(|row| row.one_binary?.cost()), unit, signed_point);
    let two_builds = aligned(&estimates(|row| row.two_builds?.cost()), unit, signed_point);
    for (at, row) in rows().enumerate() {
        let mut line = vec![row.name.clone()];
        let columns = [&one_binary, &two_builds].into_iter().zip(&arms);
        line.extend(columns.filter(|(_, arm)| !arm.is_empty()).map(|(texts, _)| texts[at].clone()));
        let leading = row.leading();
        line.push(or_missing(leading.and_then(Effect::cost_share), percent));
        let of_gap = || or_missing(leading.and_then(Effect::added_of_gap), share);
        line.extend(has_gap.then(of_gap));
        line.extend(counted.iter().map(|(response, _)| {
            let sibling = leading.and_then(|effect| workload.sibling(effect, *response));
            or_missing(sibling.and_then(Effect::cost).map(|cost| cost.value), signed)
        }));
        line.push(row.verdict());
        table.row(line);
    }
    table
}

fn has(workload: &WorkloadAnalysis, response: Response) -> bool {
    workload.effects.iter().any(|effect| effect.response == response && effect.estimate.is_some())
}

/// What the factors explain of the gap, by the environment where that arm was run, and what is left.
pub(super) fn explained_gap(document: &mut Document, analysis: &Analysis, breakdowns: &[GapBreakdown], columns: usize) {
    let Some(workloads) = without_breakdown(analysis, breakdowns) else { return };
    document.heading("What the factors explain, and what is left for system calls and page faults");
    // Another unit is better than no interval.
    let tables = [true, false].into_iter().flat_map(|ends| LIMITS.map(|limit| (limit, ends)));
    let table = Table::first_that_fits(columns, tables.map(|(limit, ends)| explained(&workloads, limit, ends)));
    if let Some(table) = table.filter(|table| !table.is_empty()) {
        document.table(table);
    }
    if let Some(reference) = workloads.iter().find_map(|workload| workload.reference_gap.as_ref()) {
        document.text(format!(
            "gap, Δ faults, Δ calls: baseline − {}, per operation. ?: the interval contains 0. factors: a treatment without \
             several factors, or the sum of the single factors.",
            reference.peer
        ));
    }
}

fn explained(workloads: &[&WorkloadAnalysis], limit: f64, with_ends: bool) -> Table {
    let mut table = Table::new([
        "<workload",
        "=by",
        "gap",
        "<factors",
        if with_ends { "explained\n[95 %]" } else { "explained" },
        "left\n[95 %]",
        "Δ\nfaults",
        "Δ\ncalls",
    ]);
    let mut rows: Vec<(&WorkloadAnalysis, Unit, &Explained)> = Vec::new();
    for &workload in workloads {
        let Some(reference) = &workload.reference_gap else { continue };
        let has_env = reference.explained.iter().any(|explained| !is_of_builds(explained.arm));
        let chosen = reference.explained.iter().filter(|e| !has_env || !is_of_builds(e.arm));
        rows.extend(chosen.map(|explained| (workload, unit(workload, reference, limit), explained)));
    }
    // In the unit of its own row, so that the texts only have to be set below one another.
    let texts = |part: fn(&Explained) -> Option<Estimate>, ends: bool| {
        let scaled = rows.iter().map(|(_, unit, explained)| {
            let estimate = part(explained).map(|estimate| unit.estimate(estimate));
            estimate.map(|estimate| Estimate { interval: estimate.interval.filter(|_| ends), ..estimate })
        });
        aligned(&scaled.collect::<Vec<_>>(), Unit::fitting([], limit), point)
    };
    let (taken, left) = (texts(|explained| explained.explained, with_ends), texts(|explained| explained.left, true));
    for (at, (workload, unit, explained)) in rows.iter().enumerate() {
        let reference = workload.reference_gap.as_ref();
        let count = |name: &str| or_missing(reference.and_then(|gap| gap.counts.get(name).copied()), signed);
        table.row([
            workload.name.clone(),
            by(workload, *unit),
            reference.and_then(|reference| reference.gap).map_or_else(
                || MISSING.to_owned(),
                |gap| signed(unit.from(gap.value)) + if gap.excludes_zero() { "" } else { "?" },
            ),
            explained.treatment.clone().unwrap_or_else(|| "sum".to_owned()),
            taken[at].clone(),
            left[at].clone(),
            count("page-faults"),
            count("syscalls"),
        ]);
    }
    table
}

/// Where the tables of each workload are, when a study has many.
pub(super) fn workloads_elsewhere(document: &mut Document, study: Study<'_>) {
    if has_factors(study.manifest) {
        document.text(format!(
            "Tables of each of the {} workloads: report.html, or `{PROGRAM} report {} --workload NAME`.",
            study.analysis.workloads.len(),
            quoted(study.dir)
        ));
    }
}

/// Where the rest is.
pub(super) fn rest(document: &mut Document, dir: &Path) {
    document.text(format!(
        "In full, with figures, every peer, every kind of system call and all reasons: {}; for programs: {}",
        dir.join("report.html").display(),
        dir.join("effects.json").display()
    ));
}
