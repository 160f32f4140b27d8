//! The breakdown of each gap, and the unit costs that it is made with.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, number, percent, signed, signed_point, with_interval};
use crate::gap::breakdown::{Breakdown, Row, RowKind};
use crate::gap::study::{Explained, GapBreakdown};
use ablate_format::effects::{Estimate, FittedCost};

/// Columns of the bars.
const BAR: usize = 20;

/// Peers of a crossed workload whose gap a terminal shows: the reference peer, and one more.
const PEERS: usize = 2;

/// What a terminal shows: the gap of crossed workloads as a table each, that of the others against the reference peer as
/// a row.
pub(super) fn in_short(document: &mut Document, explained: &Explained, columns: usize) {
    if explained.breakdowns.is_empty() {
        return;
    }
    document.heading("The gap, explained: factors, page faults, system calls, and the rest");
    let mut whole = Vec::new();
    let mut shown = 0;
    for (at, gap) in explained.breakdowns.iter().enumerate() {
        let before = explained.breakdowns[..at].iter().filter(|other| other.workload == gap.workload).count();
        if gap.breakdown.separated && before < PEERS {
            breakdown(document, gap, columns);
            // The same cells say the same of the unit costs, whatever the peer.
            let doubt = gap.breakdown.doubt.iter().chain(&gap.breakdown.disagreement);
            doubt.filter(|_| before == 0).for_each(|remark| document.item(remark.clone()));
            uncounted(document, gap);
            shown += 1;
        } else if before == 0 {
            whole.push(gap);
        }
    }
    let tables = [true, false].map(|with_ends| parts(&whole, with_ends));
    if let Some(table) = Table::first_that_fits(columns, tables).filter(|table| !table.is_empty()) {
        document.table(table);
    }
    let bars = if shown > 0 { format!("{LEGEND}{BARS}") } else { String::new() };
    let unit_costs = if explained.unit_costs_ns.is_empty() { "" } else { "Unit costs were measured in this study. " };
    document.text(format!("{bars}{unit_costs}All breakdowns and their remarks are in report.html."));
}

/// A row that is missing must not be taken for one of 0.
fn uncounted(document: &mut Document, gap: &GapBreakdown) {
    if !gap.breakdown.uncounted.is_empty() {
        let what = gap.breakdown.uncounted.join(" and ");
        document.item(format!("{what} were not counted, or without a measured cost, so the other rows contain them"));
    }
}

const BARS: &str = "Bars start at the peer and end at the baseline (█ costs, ▒ saves). ";

const LEGEND: &str = "The rows add up to the gap. The row of a factor is its own work; its page faults and system calls are in their \
     rows. (≥): a lower bound. ";

/// Everything: unit costs, and a breakdown for every workload and peer.
pub(super) fn in_full(document: &mut Document, explained: &Explained) {
    if explained.breakdowns.is_empty() {
        return;
    }
    document.heading("What page faults and system calls cost here");
    unit_costs(document, explained);
    document.heading("The gaps, explained: factors, page faults, system calls, and the rest");
    document.text(LEGEND.trim_end());
    for gap in &explained.breakdowns {
        breakdown(document, gap, usize::MAX);
        cross_check(document, &gap.breakdown);
        let Breakdown { doubt, disagreement, remarks, .. } = &gap.breakdown;
        for remark in doubt.iter().chain(disagreement).chain(remarks) {
            document.item(remark.clone());
        }
    }
}

fn unit_costs(document: &mut Document, explained: &Explained) {
    if explained.unit_costs_ns.is_empty() {
        document.text(
            "No unit cost was measured in this study, so page faults and system calls have no rows of their own.",
        );
        return;
    }
    let mut table = Table::new(["<event", "ns each", "95 % interval"]);
    for (kind, ns) in &explained.unit_costs_ns {
        table.row([kind.clone(), number(ns.value), interval(ns.interval)]);
    }
    document.table(table);
    document.text("Measured once per block in a process of its own (docs/methodology.md, unit costs).");
}

fn breakdown(document: &mut Document, gap: &GapBreakdown, columns: usize) {
    let tables = (0..=3).map(|without| table(gap, without));
    if let Some(table) = Table::first_that_fits(columns, tables) {
        document.table(table);
    }
}

/// The table with all columns, or without what factors do through events, the counts, and the intervals.
fn table(gap: &GapBreakdown, without: usize) -> Table {
    let GapBreakdown { workload, peer, breakdown } = gap;
    let unit = Unit::of(breakdown.rows.iter().map(|row| row.ns).chain([breakdown.gap]), Unit::LIMIT);
    let mut header = vec![format!("<{workload}: {peer} to baseline"), "=".to_owned(), format!("Δ {}/op", unit.name)];
    header.extend((without < 3).then(|| "95 % interval".to_owned()));
    header.push("of the gap".to_owned());
    header.extend((without < 2).then(|| "Δ count\n/op".to_owned()));
    header.extend((without < 1).then(|| "through\nevents".to_owned()));
    let mut table = Table::new(header);
    for (row, bar) in breakdown.rows.iter().zip(bars(breakdown)) {
        let ns = unit.estimate(row.ns);
        let mut cells = vec![name(row), bar, signed_point(ns.value, ns.interval)];
        cells.extend((without < 3).then(|| interval(ns.interval)));
        cells.push(share_of(row.share.as_ref(), without == 0));
        cells.extend((without < 2).then(|| row.count.map_or_else(String::new, signed)));
        let through = || row.through_events.map_or_else(String::new, |e| signed(unit.from(e.value)));
        cells.extend((without < 1).then(through));
        table.row(cells);
    }
    let gap = unit.estimate(breakdown.gap);
    let mut cells = vec!["gap".to_owned(), String::new(), signed_point(gap.value, gap.interval)];
    cells.extend((without < 3).then(|| interval(gap.interval)));
    cells.push(match (breakdown.gap.excludes_zero(), breakdown.gap.value > 0.0) {
        (true, true) => percent(1.0),
        (true, false) => "ahead".to_owned(),
        (false, _) => "within\nnoise".to_owned(),
    });
    let left = 2_usize.saturating_sub(without);
    cells.extend(std::iter::repeat_n(String::new(), left));
    table.row(cells);
    table
}

/// A factor by its name alone; a unit cost that is a lower bound by a sign.
pub(super) fn name(row: &Row) -> String {
    if row.is_measured { row.name.clone() } else { format!("{} (≥)", row.name) }
}

/// The share, with its interval where there is room.
fn share_of(share: Option<&Estimate>, with_ends: bool) -> String {
    let Some(share) = share else { return String::new() };
    match share.interval.filter(|_| with_ends) {
        Some((lo, hi)) => format!("{} [{}, {}]", percent(share.value), percent(lo), percent(hi)),
        None => percent(share.value),
    }
}

/// One bar per row, from the end of the row above to its own end.
fn bars(breakdown: &Breakdown) -> Vec<String> {
    let mut ends = vec![0.0];
    for row in &breakdown.rows {
        ends.push(ends[ends.len() - 1] + row.ns.value);
    }
    let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let span = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    let column = |at: f64| if span > 0.0 { ((at - low) / span * BAR as f64).round() as usize } else { 0 };
    let bar = |pair: &[f64]| {
        let (from, to) = (column(pair[0].min(pair[1])), column(pair[0].max(pair[1])));
        let filled = match to - from {
            // Too small for a column of its own.
            0 if pair[0] != pair[1] => "▏".to_owned(),
            width if pair[1] < pair[0] => "▒".repeat(width),
            width => "█".repeat(width),
        };
        // Blanks in front would be lost in Markdown.
        format!("{}{filled}", "·".repeat(from.min(BAR - 1)))
    };
    ends.windows(2).map(bar).collect()
}

/// A row for each gap, in the parts that are known of all.
fn parts(gaps: &[&GapBreakdown], with_ends: bool) -> Table {
    let gap = if with_ends { "gap\n[95 %]" } else { "gap" };
    let mut table =
        Table::new(["<workload", "=to", gap, "=unit", "page\nfaults", "system\ncalls", "factors\nand rest"]);
    for GapBreakdown { workload, peer, breakdown } in gaps {
        let sum = |is_meant: &dyn Fn(RowKind) -> bool| -> f64 {
            breakdown.rows.iter().filter(|row| is_meant(row.kind)).map(|row| row.ns.value).sum()
        };
        let unit = Unit::of(breakdown.rows.iter().map(|row| row.ns).chain([breakdown.gap]), Unit::LIMIT);
        let shown = |ns: f64| signed(unit.from(ns));
        let event = |name: &str, is_meant: &dyn Fn(RowKind) -> bool| match breakdown.uncounted.contains(&name) {
            true => MISSING.to_owned(),
            false => shown(sum(is_meant)),
        };
        let gap = unit.estimate(breakdown.gap);
        table.row([
            workload.clone(),
            peer.clone(),
            if with_ends { with_interval(Some(&gap)) } else { signed_point(gap.value, gap.interval) },
            format!("{}/op", unit.name),
            event("page faults", &|kind| kind == RowKind::PageFaults),
            event("system calls", &|kind| matches!(kind, RowKind::SystemCalls | RowKind::ReturnedPages)),
            shown(sum(&|kind| matches!(kind, RowKind::Factor | RowKind::Residual))),
        ]);
    }
    table
}

/// Both unit costs of each kind.
fn cross_check(document: &mut Document, breakdown: &Breakdown) {
    match &breakdown.cross_check {
        Err(reason) => document.item(format!("no cross-check of the unit costs: {reason}")),
        Ok(check) => {
            match &check.unit_costs {
                Err(reason) => document.item(format!("no cross-check of single unit costs: {reason}")),
                Ok(unit_costs) => document.table(cross_checked_costs(unit_costs)),
            }
            document.text(format!(
                "Cross-check over {} ({} cells): all unit costs times {}; R² {:.3}, condition {}.",
                check.over,
                check.cells,
                with_interval(Some(&check.scale)),
                check.r2,
                number(check.condition)
            ));
        }
    }
}

fn cross_checked_costs(unit_costs: &[FittedCost]) -> Table {
    let mut table = Table::new(["<unit cost of", "measured ns", "by the cells' times ns", "=agree"]);
    for cost in unit_costs {
        let agree = match (cost.fitted.interval, cost.disagree) {
            (None, _) => MISSING,
            (Some(_), true) => "no",
            // An interval that holds 0 as well agrees with everything.
            (Some((lo, hi)), false) if lo <= 0.0 && hi >= 0.0 => "cannot tell",
            (Some(_), false) => "yes",
        };
        let (measured, fitted) = (with_interval(cost.measured.as_ref()), with_interval(Some(&cost.fitted)));
        table.row([cost.kind.clone(), measured, fitted, agree.to_owned()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::study::sample;

    fn text(columns: usize) -> (String, String) {
        let explained = sample::explained();
        let (mut short, mut full) = (Document::default(), Document::default());
        in_short(&mut short, &explained, columns);
        in_full(&mut full, &explained);
        (short.terminal(columns), full.markdown())
    }

    #[test]
    fn a_breakdown_fits_and_shows_every_row() {
        for columns in [72, 100, 140] {
            let (text, _) = text(columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest}:\n{text}");
            insta::assert_snapshot!(format!("breakdown_{columns}"), text);
        }
    }

    #[test]
    fn markdown_has_unit_costs_breakdowns_and_remarks() {
        let (_, markdown) = text(100);
        insta::assert_snapshot!("breakdown_markdown", markdown);
    }

    #[test]
    fn bars_run_from_the_peer_to_the_baseline() {
        let explained = sample::explained();
        let bars = bars(&explained.breakdowns[0].breakdown);
        let ends = |bar: &str| (bar.chars().take_while(|c| *c == '·').count(), bar.chars().count());
        for pair in bars.windows(2) {
            // Every row here costs, so each bar starts where the last one ends; a thin bar takes a column without being one.
            let ((_, end), (start, _)) = (ends(&pair[0]), ends(&pair[1]));
            assert!(end.abs_diff(start) <= 1, "{bars:#?}");
        }
        assert_eq!((ends(&bars[0]).0, ends(bars.last().unwrap()).1), (0, BAR), "{bars:#?}");
    }

    #[test]
    fn a_workload_that_is_not_crossed_is_one_row() {
        let mut explained = sample::explained();
        explained.breakdowns.truncate(1);
        explained.breakdowns[0].breakdown.separated = false;
        let mut document = Document::default();
        in_short(&mut document, &explained, 100);
        insta::assert_snapshot!("not_crossed", document.terminal(100));
    }
}
