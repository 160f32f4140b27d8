//! Cold and steady apart: time over the number of operations, and what of each gap page faults explain.

use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, count, interval, number, or_missing, percent, point, signed, signed_point, with_interval,
};
use ablate_format::effects::{At, CurveCell, CurveGap, CurveResult, Estimate, FittedCost};

/// The gap to the first peer over the number of operations.
pub(super) fn in_short(document: &mut Document, curves: &[CurveResult], columns: usize) {
    for curve in curves {
        let Some((peer, rows)) = curve.gaps.first() else {
            continue;
        };
        heading(document, curve);
        let tables = (0..=3).map(|without| gap(peer, rows, without));
        if let Some(table) = Table::first_that_fits(columns, tables) {
            document.table(table);
        }
        document.text(LEGEND);
    }
}

const LEGEND: &str = "once: the fixed cost of a process. each further: the cost of every additional operation. Both are fitted \
     by least squares of the time per operation on 1 / operations.";

/// Every cell and every peer.
pub(super) fn in_full(document: &mut Document, curves: &[CurveResult]) {
    for curve in curves {
        heading(document, curve);
        document.table(cells(curve));
        document.table(lines(curve));
        match &curve.unit_costs {
            Ok(unit_costs) => {
                let unit_costs: Vec<String> = unit_costs.iter().map(fault_cost).collect();
                document.text(format!("All cells together: {}.", unit_costs.join("; ")));
            }
            Err(reason) => document.text(format!("No cost of a page fault from all cells together: {reason}.")),
        }
        for (peer, rows) in &curve.gaps {
            document.table(gap(peer, rows, 0));
        }
        document.text(LEGEND);
    }
}

fn heading(document: &mut Document, curve: &CurveResult) {
    document.heading(format!("{}: cold and steady apart", curve.name));
}

/// The gap at every number of operations; without the ends of shares, the second share, and the interval of the gap.
fn gap(peer: &str, rows: &[CurveGap], without: usize) -> Table {
    let has_huge = rows.iter().any(|row| row.faults[1].is_some_and(|huge| huge != 0.0));
    let mut header = vec![format!("<operations; baseline − {peer}"), "gap".to_owned()];
    header.extend((without < 3).then(|| "95 % interval".to_owned()));
    header.push("Δ faults".to_owned());
    header.extend(has_huge.then(|| "Δ huge".to_owned()));
    header.extend(["faults\nexplain".to_owned(), "of the gap".to_owned()]);
    header.extend((without < 2).then(|| "by fitted\nunit costs".to_owned()));
    let mut table = Table::new(header);
    for row in rows {
        let unit = Unit::of([Some(row.gap), row.explained].into_iter().flatten(), Unit::LIMIT);
        let per = if row.at == At::Once { "" } else { "/op" };
        let ns = unit.estimate(row.gap);
        let mut cells = vec![
            match row.at {
                At::Operations(operations) => count(operations as usize),
                At::Once => "once".to_owned(),
                At::Steady => "each further".to_owned(),
            },
            format!("{} {}{per}", signed_point(ns.value, ns.interval), unit.name),
        ];
        cells.extend((without < 3).then(|| interval(ns.interval)));
        cells.push(or_missing(row.faults[0], signed));
        cells.extend(has_huge.then(|| or_missing(row.faults[1], signed)));
        cells.push(or_missing(row.explained.map(|e| unit.from(e.value)), signed));
        cells.push(share(row.share, without < 1));
        cells.extend((without < 2).then(|| share(row.share_by_fit, without < 1)));
        table.row(cells);
    }
    table
}

fn share(share: Option<Estimate>, with_ends: bool) -> String {
    match share {
        Some(Estimate { value, interval: Some((lo, hi)), .. }) if with_ends => {
            format!("{} [{}, {}]", percent(value), percent(lo), percent(hi))
        }
        Some(share) => percent(share.value),
        None => MISSING.to_owned(),
    }
}

/// Time per operation of every cell at every number of operations.
fn cells(curve: &CurveResult) -> Table {
    let mut operations: Vec<f64> = curve.cells.iter().flat_map(|cell| cell.points.iter().map(|p| p.0)).collect();
    operations.sort_by(f64::total_cmp);
    operations.dedup();
    let all = curve.cells.iter().flat_map(|cell| cell.points.iter().map(|(_, time, _)| *time));
    let unit = Unit::of(all, Unit::LIMIT);
    let mut header = vec![format!("<{}/op at operations", unit.name)];
    header.extend(operations.iter().map(|operations| count(*operations as usize)));
    header.extend(["once µs", "each further ns", "R²"].map(str::to_owned));
    let mut table = Table::new(header);
    for cell in &curve.cells {
        let at = |operations: &f64| {
            let found = cell.points.iter().find(|point| point.0 == *operations);
            or_missing(found.map(|(_, time, _)| unit.from(time.value)), number)
        };
        let mut row = vec![cell.id.clone()];
        row.extend(operations.iter().map(at));
        let once = cell.once.map(|once| Estimate {
            value: once.value / 1e3,
            interval: once.interval.map(|(lo, hi)| (lo / 1e3, hi / 1e3)),
            ..once
        });
        row.extend([with_interval(once.as_ref()), with_interval(cell.steady.as_ref())]);
        row.push(or_missing(cell.r2, |r2| format!("{r2:.3}")));
        table.row(row);
    }
    table
}

/// The line of every cell over its page faults.
fn lines(curve: &CurveResult) -> Table {
    let mut table = Table::new(["<cell", "faults/op, first to last", "ns without faults", "=ns per fault", "R²"]);
    for cell in &curve.cells {
        let (steady, unit_costs, r2) = match &cell.by_faults {
            Ok(line) => {
                let unit_costs: Vec<String> = line.unit_costs.iter().map(fault_cost).collect();
                (with_interval(Some(&line.steady)), unit_costs.join("; "), format!("{:.3}", line.r2))
            }
            Err(reason) => (MISSING.to_owned(), reason.clone(), MISSING.to_owned()),
        };
        table.row([cell.id.clone(), faults(cell), steady, unit_costs, r2]);
    }
    table
}

/// Page faults of both sizes per operation at the fewest and at the most operations.
fn faults(cell: &CurveCell) -> String {
    let ends = cell.points.first().into_iter().chain(cell.points.last());
    let all: Vec<String> = ends
        .map(|(_, _, [small, huge])| {
            let small = or_missing(*small, number);
            match huge.filter(|huge| *huge > 0.0) {
                Some(huge) => format!("{small} + {} huge", number(huge)),
                None => small,
            }
        })
        .collect();
    all.join(" to ")
}

fn fault_cost(cost: &FittedCost) -> String {
    let fitted = &cost.fitted;
    let fitted = format!("{} {}", point(fitted.value, fitted.interval), interval(fitted.interval));
    let measured = match cost.measured {
        Some(measured) if cost.disagree => {
            format!(" (measured separately: {}, which disagrees)", number(measured.value))
        }
        Some(measured) => format!(" (measured separately: {})", number(measured.value)),
        None => String::new(),
    };
    format!("{} {fitted}{measured}", cost.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::study::sample;

    #[test]
    fn gaps_over_operations_fit_and_end_with_the_steady_one() {
        let curves = sample::explained().curves;
        for columns in [72, 100] {
            let mut document = Document::default();
            in_short(&mut document, &curves, columns);
            let text = document.terminal(columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest}:\n{text}");
            insta::assert_snapshot!(format!("curves_{columns}"), text);
        }
    }

    #[test]
    fn every_cell_and_peer_is_in_markdown() {
        let mut document = Document::default();
        in_full(&mut document, &sample::explained().curves);
        insta::assert_snapshot!("curves_markdown", document.markdown());
    }
}
