//! Every run: how the values of a cell lie, and how they go over time.

use super::figure::{Figure, id, mark, timed};
use super::thin;
use crate::analyse::{CellSummary, WorkloadAnalysis};
use crate::report::content::Study;
use crate::report::figure::strips::{self, Strip};
use crate::report::number::{Unit, counted, interval, point};
use ablate_format::CellKind;

/// Cells that a figure has room for.
const CELLS_MAX: usize = 40;
/// Cells that are told in words.
const TOLD: usize = 12;

/// The cells of which runs are shown, in the order of the plan, and the unit of all. Where there are too many, those that
/// the others are compared with stay.
fn shown(workload: &WorkloadAnalysis) -> (Unit, Vec<&CellSummary>) {
    let cells = || workload.cells.iter().filter(|cell| !cell.by_block.is_empty());
    let unit = Unit::of_workload(workload, cells().filter_map(|cell| cell.value(workload.response)), Unit::LIMIT);
    let is_kept = |cell: &&CellSummary| matches!(cell.kind, CellKind::Baseline | CellKind::Placebo | CellKind::Peer);
    let mut room = CELLS_MAX.saturating_sub(cells().filter(is_kept).count());
    let has_room = |cell: &&CellSummary| {
        let fits = is_kept(cell) || room > 0;
        room = room.saturating_sub(usize::from(!is_kept(cell)));
        fits
    };
    (unit, cells().filter(has_room).collect())
}

/// The values of the first cells in words.
fn told(cells: &[&CellSummary], workload: &WorkloadAnalysis, unit: Unit) -> String {
    let value = |cell: &&&CellSummary| {
        let value = unit.estimate(cell.value(workload.response)?);
        Some(format!("{} {} {}", cell.name, point(value.value, value.interval), interval(value.interval)))
    };
    let told: Vec<String> = cells.iter().take(TOLD).filter_map(|cell| value(&cell)).collect();
    let more = if cells.len() > TOLD { "; the table has the others" } else { "" };
    format!("{}{more}", told.join("; "))
}

fn strip(cell: &CellSummary, workload: &WorkloadAnalysis, unit: Unit, values: Vec<(u32, f64)>) -> Strip {
    Strip {
        name: match cell.arm {
            Some(arm) => format!("{} ({})", cell.name, arm.as_str()),
            None => cell.name.clone(),
        },
        values: values.into_iter().map(|(block, value)| (block, unit.from(value))).collect(),
        mark: cell.value(workload.response).map(|value| mark(unit.estimate(value))),
    }
}

pub(super) fn spread(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let (unit, cells) = shown(workload);
    let strips: Vec<Strip> =
        cells.iter().map(|cell| strip(cell, workload, unit, thin::by_rank(&cell.by_block))).collect();
    let runs: usize = cells.iter().map(|cell| cell.by_block.len()).sum();
    let left_out = workload.cells.iter().filter(|cell| !cell.by_block.is_empty()).count() - cells.len();
    let left_out = match left_out {
        0 => String::new(),
        more => format!(" {} are not drawn.", counted(more, "more cell")),
    };
    let many = if cells.iter().any(|cell| cell.by_block.len() > thin::MOST) {
        format!(
            " Of a cell with more runs, {} are shown, at equal distances from the lowest to the highest.",
            thin::MOST
        )
    } else {
        String::new()
    };
    (runs > 0).then(|| Figure {
        id: id(&["runs", &workload.name]),
        title: format!("Every timed run in {}", workload.name),
        words: format!(
            "{} of {}: {}",
            counted(runs, "run"),
            counted(cells.len(), "cell"),
            told(&cells, workload, unit)
        ),
        legend: format!(
            "A point is a run that counts. Two heaps of points are two speeds. The stroke is the median with its 95 % \
             interval.{many}{left_out}"
        ),
        svg: strips::spread(&strips, &unit.with(workload.response)),
        origin: timed(study, Some(&workload.name)),
    })
}

/// The baseline and its placebo over the blocks.
pub(super) fn over_blocks(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let (unit, cells) = shown(workload);
    let is_shown =
        |cell: &&&CellSummary| matches!(cell.kind, CellKind::Baseline | CellKind::Placebo) && cell.by_block.len() > 1;
    let cells: Vec<&CellSummary> = cells.iter().filter(is_shown).copied().collect();
    let width = cells.iter().map(|cell| thin::width(cell.by_block.len())).max()?;
    let strips: Vec<Strip> =
        cells.iter().map(|cell| strip(cell, workload, unit, thin::by_time(&cell.by_block, width))).collect();
    let (beside, meaning) = match cells.iter().any(|cell| cell.kind == CellKind::Placebo) {
        true => (
            ", and the same program again as its placebo,",
            " Where both move alike the machine drifts, which differences within blocks cancel; where they part it is noise.",
        ),
        false => ("", " A slope is drift, which differences within blocks cancel."),
    };
    let many = if width > 1 { format!(" A point is the median of {width} blocks.") } else { String::new() };
    Some(Figure {
        id: id(&["blocks", &workload.name]),
        title: format!("{} over time", workload.name),
        words: strips.iter().map(first_and_last).collect::<Vec<_>>().join("; "),
        legend: format!("The baseline{beside} over the blocks, in the order in which they ran.{meaning}{many}"),
        svg: strips::over_blocks(&strips, &unit.with(workload.response)),
        origin: timed(study, Some(&workload.name)),
    })
}

/// How a cell begins and ends.
fn first_and_last(strip: &Strip) -> String {
    let ends = strip.values.first().zip(strip.values.last());
    let value = |value: f64| point(value, None);
    ends.map_or_else(String::new, |(first, last)| {
        format!("{}: {} in block {}, {} in block {}", strip.name, value(first.1), first.0, value(last.1), last.0)
    })
}
