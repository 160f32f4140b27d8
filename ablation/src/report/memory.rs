//! Memory beside time: what every cell takes of both, and what every factor and level adds to both.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, or_missing, percent, point, signed_point};
use super::workload::{label, shown};
use crate::analyse::{Analysis, CellSummary, Effect, Proof, Response, Verdict, WorkloadAnalysis};
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, MainResponse};

/// A number of a cell's memory.
type Of = fn(&CellSummary) -> Option<Estimate>;

/// The numbers of memory by their columns.
const NUMBERS: [(&str, Of); 3] = [
    ("peak", |cell| cell.memory.peak),
    ("mean", |cell| of_most(cell, cell.memory.mean)),
    ("at end", |cell| of_most(cell, cell.memory.after)),
];

/// A number that at least half of the blocks of a cell have. Runs that were long enough to be sampled are not those of the
/// others, so that a few of them say nothing of the cell.
fn of_most(cell: &CellSummary, number: Option<Estimate>) -> Option<Estimate> {
    number.filter(|number| 2 * number.blocks >= cell.by_block.len())
}

/// Whether a cell has a number that too few of its blocks have.
fn has_of_few(cell: &CellSummary) -> bool {
    let all = [cell.memory.mean, cell.memory.after];
    all.into_iter().any(|number| number.is_some() && of_most(cell, number).is_none())
}

/// What the columns mean, once; nothing where no run of any workload told anything of memory.
pub(super) fn legend(document: &mut Document, analysis: &Analysis) {
    if analysis.workloads.iter().any(|workload| !there(workload).is_empty()) {
        document.text(
            "Tables of memory: what is resident of a process. peak: the most; where it may be the runner's own it is n/a, and \
             a program that prints `rss_peak_bytes` is judged by that. mean: over its time, with its children, sampled in runs \
             of 75 ms and more. at end: the last of these samples, or the program's own value `rss_after_bytes`. %: against \
             the baseline.",
        );
    }
}

/// The numbers that some cell has.
fn there(workload: &WorkloadAnalysis) -> Vec<(&'static str, Of)> {
    let (cells, _) = shown(workload);
    NUMBERS.into_iter().filter(|(_, of)| cells.iter().any(|cell| of(cell).is_some())).collect()
}

/// Time and memory of the cells of one workload, and of its factors. Nothing where no run told anything of memory, or
/// nothing but what the workload is judged by.
pub(super) fn memory(document: &mut Document, workload: &WorkloadAnalysis, columns: usize) {
    let there = there(workload);
    let is_told = workload.response == MainResponse::RssPeak && there.len() == 1;
    if there.is_empty() || is_told {
        return;
    }
    document.text(format!("Time and memory of {}:", workload.name));
    let cells = shown(workload).0;
    document.table(of_cells(workload, &cells, &there));
    if cells.iter().any(|cell| has_of_few(cell)) {
        document.text(format!("mean, at end: {MISSING} where fewer than half of the blocks of a cell have it."));
    }
    let tables = [true, false].into_iter().filter_map(|with_ends| of_factors(workload, with_ends));
    if let Some(table) = Table::first_that_fits(columns, tables) {
        document.table(table);
    }
    let missing: Vec<&str> =
        NUMBERS.iter().map(|(name, _)| *name).filter(|name| there.iter().all(|(known, _)| known != name)).collect();
    if !missing.is_empty() {
        document.text(format!("No value of any cell, so no column: {}.", missing.join(", ")));
    }
}

fn of_cells(workload: &WorkloadAnalysis, cells: &[&CellSummary], there: &[(&str, Of)]) -> Table {
    let is_memory = workload.response == MainResponse::RssPeak;
    let time = Unit::of_workload(workload, cells.iter().filter_map(|cell| cell.value(workload.response)), Unit::LIMIT);
    let all = cells.iter().flat_map(|cell| there.iter().filter_map(|(_, of)| of(cell)));
    let bytes = Unit::of_response(MainResponse::RssPeak, all, Unit::LIMIT);
    let mut header = vec!["<configuration".to_owned(), "=arm".to_owned()];
    header.extend(
        (!is_memory)
            .then(|| [time.with(workload.response).replacen(' ', "\n", 1), "%".to_owned()])
            .into_iter()
            .flatten(),
    );
    header.extend(there.iter().flat_map(|(name, _)| [format!("{name}\n{}", bytes.label()), "%".to_owned()]));
    let mut table = Table::new(header);
    let baseline = cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    for cell in cells {
        let against = |value: Option<Estimate>, base: Option<Estimate>| match cell.kind {
            CellKind::Baseline => "–".to_owned(),
            _ => or_missing(value.zip(base).map(|(value, base)| value.value / base.value - 1.0), percent),
        };
        let mut row = vec![cell.name.clone(), cell.arm.map_or("", |arm| arm.as_str()).to_owned()];
        let mut pair = |value: Option<Estimate>, base: Option<Estimate>, unit: Unit| {
            let shown = value.map(|value| unit.estimate(value));
            row.push(shown.map_or_else(|| MISSING.to_owned(), |value| point(value.value, value.interval)));
            row.push(against(value, base));
        };
        if !is_memory {
            pair(cell.value(workload.response), baseline.and_then(|base| base.value(workload.response)), time);
        }
        for (_, of) in there {
            pair(of(cell), baseline.and_then(|base| of(base)), bytes);
        }
        table.row(row);
    }
    table
}

/// What factors and levels add to time, peak and mean, each with its verdict, and those of memory with their ends.
/// `None` without such rows.
fn of_factors(workload: &WorkloadAnalysis, with_ends: bool) -> Option<Table> {
    let rows: Vec<&Effect> = workload.telling();
    let main = Response::main(workload.response);
    let has = |response: &Response| {
        *response != main
            && rows.iter().any(|row| workload.sibling(row, *response).is_some_and(|e| e.estimate.is_some()))
    };
    let memory: Vec<Response> = Response::MEMORY.into_iter().filter(has).collect();
    if memory.is_empty() {
        return None;
    }
    let time = Unit::of_factors(workload, Unit::LIMIT);
    let siblings = |response: Response| rows.iter().filter_map(move |row| workload.sibling(row, response)?.added());
    let bytes = Unit::of_response(MainResponse::RssPeak, memory.iter().flat_map(|of| siblings(*of)), Unit::LIMIT);
    let mut header = vec!["<factor".to_owned(), "=arm".to_owned()];
    let mut column = |name: &str, unit: Unit| {
        header.extend([format!("Δ {name}\n{}", unit.of_difference()), "%".to_owned(), "=verdict".to_owned()]);
    };
    column(workload.response.as_str(), time);
    for response in &memory {
        column(if *response == Response::RssPeakBytes { "peak" } else { "mean" }, bytes);
    }
    let mut table = Table::new(header);
    for effect in &rows {
        let mut row = vec![label(effect), effect.arm.map_or("", |arm| arm.as_str()).to_owned()];
        let mut cells = |effect: Option<&Effect>, unit: Unit, with_ends: bool| {
            let added = effect.and_then(Effect::cost).map(|cost| unit.estimate(cost));
            let value = added.map_or_else(|| MISSING.to_owned(), |added| signed_point(added.value, added.interval));
            let ends = added.filter(|_| with_ends).and_then(|added| added.interval);
            row.push(if ends.is_some() { format!("{value} {}", interval(ends)) } else { value });
            row.push(or_missing(effect.and_then(Effect::cost_share), percent));
            row.push(effect.map_or_else(|| MISSING.to_owned(), |effect| effect.word().to_owned()));
        };
        cells(Some(effect), time, false);
        for response in &memory {
            cells(workload.sibling(effect, *response), bytes, with_ends);
        }
        table.row(row);
    }
    Some(table)
}

/// The largest proven difference in peak memory of a workload, where it is told apart from noise: for the head.
pub(super) fn largest_peak(workload: &WorkloadAnalysis) -> Option<String> {
    let claims = workload.telling().into_iter().filter_map(|row| {
        let peak = workload.sibling(row, Response::RssPeakBytes)?;
        let is_claim = row.response != Response::RssPeakBytes && is_proven_claim(peak);
        Some((peak.added_share()?.abs(), peak)).filter(|_| is_claim)
    });
    let (_, peak) = claims.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share >= 0.01)?;
    let added = peak.added()?;
    let unit = Unit::of_response(MainResponse::RssPeak, [added], Unit::LIMIT);
    let added = unit.estimate(added);
    Some(format!(
        "memory: {} {} {} {} of peak in {} ({})",
        peak.title(),
        peak.word(),
        point(added.value.abs(), added.interval),
        unit.label(),
        workload.name,
        or_missing(peak.added_share(), percent)
    ))
}

fn is_proven_claim(effect: &Effect) -> bool {
    matches!(effect.verdict, Verdict::Costs | Verdict::Saves) && effect.proof == Proof::Proven
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;

    fn shown_for(columns: usize, sampled: bool) -> String {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let mut records = study.records(12, |_, cell, _| if cell.starts_with("no-cache") { 1_200.0 } else { 1_000.0 });
        for record in &mut records {
            let held = if record.cell.starts_with("no-cache") { 20 } else { 30 };
            record.process_rss_peak_bytes = (held << 20) + (u64::from(record.block % 3) << 10);
            if sampled {
                record.rss_mean_bytes = Some(held << 19);
                record.rss_last_bytes = Some(1 << 20);
            }
        }
        shown_of(&study, &records, columns)
    }

    fn shown_of(study: &Study, records: &[ablate_format::Record], columns: usize) -> String {
        let analysis = analyse(&study.manifest, records);
        let mut document = Document::default();
        legend(&mut document, &analysis);
        memory(&mut document, &analysis.workloads[0], columns);
        let text = document.terminal(columns);
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        text
    }

    #[test]
    fn time_and_memory_stand_side_by_side() {
        insta::assert_snapshot!("memory_120", shown_for(120, true));
        insta::assert_snapshot!("memory_short_runs_80", shown_for(80, false));
    }

    #[test]
    fn a_mean_of_few_blocks_is_not_shown() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = study.records(12, |_, _, _| 1_000.0);
        for record in &mut records {
            record.process_rss_peak_bytes = 30 << 20;
            // The peers' runs are long, those of the subject mostly are not.
            if record.block < 5 || record.cell == "peer-fast" {
                (record.rss_mean_bytes, record.rss_last_bytes) = (Some(77 << 20), Some(77 << 20));
            }
        }
        let text = shown_of(&study, &records, 120);
        let of = |name: &str| text.lines().find(|line| line.starts_with(name)).expect("is a row").to_owned();
        assert!(of("baseline").contains("n/a") && !of("baseline").contains("77"), "{text}");
        assert!(of("fast").contains("77"), "{text}");
        assert_eq!(text.matches("fewer than half of the blocks").count(), 1, "{text}");
    }
}
