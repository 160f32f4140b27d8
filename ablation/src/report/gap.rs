//! The gap to a peer, explained: the account of sources, page faults and system calls, curves over the number of
//! operations, and what the study says about the claims of its config.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, number, or_missing, share, signed, signed_point, with_interval};
use crate::analyse::Estimate;
use crate::gap::curves::{At, CurveReport, GapAt};
use crate::gap::study::{Account, Explained};
use crate::gap::waterfall::{Row, RowKind};
use crate::record::Manifest;

/// Peers whose accounts a terminal shows, in each crossed workload.
const MAX_PEERS: usize = 2;
/// Columns of a bar.
const BAR: usize = 12;

/// What the studied prices are, and the accounts.
pub(super) fn accounts(document: &mut Document, explained: &Explained, columns: usize) {
    let is_full = columns == usize::MAX;
    if explained.accounts.is_empty() {
        return;
    }
    let separated = explained.accounts.iter().any(|account| account.waterfall.separated);
    let mut seen: Vec<(&str, usize)> = Vec::new();
    document.heading("The gap to a peer, explained");
    for account in &explained.accounts {
        let rank = match seen.iter_mut().find(|(workload, _)| *workload == account.workload) {
            Some((_, rank)) => {
                *rank += 1;
                *rank
            }
            None => {
                seen.push((&account.workload, 0));
                0
            }
        };
        let shown = rank < MAX_PEERS && (account.waterfall.separated || !separated);
        if is_full || shown {
            one(document, account, columns);
        }
    }
    let prices = explained.unit_costs_ns.iter().map(|(kind, ns)| format!("{kind} {}", number(ns.value)));
    let prices: Vec<String> = prices.collect();
    if prices.is_empty() {
        document
            .text("No price of a page fault or system call was measured in this study, so none is in the accounts.");
    } else {
        document.text(format!("Prices measured in this study, in ns: {}.", prices.join(", ")));
    }
    document.text(
        "A source's own row is its Shapley value less what it does through page faults and system calls, which is in \
         their rows: nothing counts twice, and the rows add up to the gap. █ makes the baseline slower than the peer, ░ \
         faster. residual: what the subject without any source and the peer differ in once events are paid for.",
    );
}

fn one(document: &mut Document, account: &Account, columns: usize) {
    let waterfall = &account.waterfall;
    let unit = Unit::of(waterfall.rows.iter().map(|row| row.ns).chain([waterfall.gap]), Unit::LIMIT);
    let gap = unit.estimate(waterfall.gap);
    document.item(format!(
        "{}: baseline − {} is {} {}/op",
        account.workload,
        account.peer,
        with_interval(Some(&gap)),
        unit.name
    ));
    let most = waterfall.rows.iter().map(|row| row.ns.value.abs()).fold(0.0, f64::max);
    let tables =
        [(true, true), (false, true), (false, false)].map(|(whole, bar)| table(account, unit, most, whole, bar));
    if let Some(table) = Table::first_that_fits(columns, tables) {
        document.table(table);
    }
    for remark in &waterfall.remarks {
        document.item(remark.clone());
    }
    if columns == usize::MAX {
        opinion(document, account);
    }
}

fn table(account: &Account, unit: Unit, most: f64, whole: bool, bar: bool) -> Table {
    let mut header = vec!["<part".to_owned(), format!("{}/op", unit.name), "=[95 %]".to_owned(), "of\ngap".to_owned()];
    header.push("Δ\nevents".to_owned());
    header.extend(whole.then(|| "with its\nevents".to_owned()));
    header.extend(bar.then(|| "=".to_owned()));
    let mut table = Table::new(header);
    for row in &account.waterfall.rows {
        let ns = unit.estimate(row.ns);
        let bound = if row.priced { "" } else { " at least" };
        let mut cells =
            vec![format!("{}{bound}", label(row)), signed_point(ns.value, ns.interval), interval(ns.interval)];
        cells.push(row.share.map_or_else(String::new, |s| share(s.value)));
        cells.push(row.count.map_or_else(String::new, signed));
        cells.extend(whole.then(|| row.whole.map_or_else(String::new, |whole| signed(unit.from(whole.value)))));
        cells.extend(bar.then(|| bar_of(row.ns.value, most)));
        table.row(cells);
    }
    table
}

fn label(row: &Row) -> String {
    match row.kind {
        RowKind::Source => format!("{} itself", row.name),
        _ => row.name.clone(),
    }
}

/// A bar as long as the value's part of the largest one; nothing for less than half a column.
fn bar_of(value: f64, most: f64) -> String {
    let length = if most > 0.0 { (value.abs() / most * BAR as f64).round() as usize } else { 0 };
    let block = if value >= 0.0 { "█" } else { "░" };
    block.repeat(length)
}

/// The second opinion about the prices.
fn opinion(document: &mut Document, account: &Account) {
    match &account.waterfall.opinion {
        Err(why) => document.item(format!("second opinion of the prices: {why}")),
        Ok(opinion) => {
            let prices = opinion.prices.iter().map(|price| {
                let differ = if price.disagree { " (they disagree)" } else { "" };
                let both = [price.fitted, price.measured].map(|ns| with_interval(Some(&ns)));
                format!("{} {} by the times of the cells, {} measured{differ}", price.kind, both[0], both[1])
            });
            let prices: Vec<String> = prices.collect();
            document.item(format!(
                "second opinion of the prices in ns, over {} ({} cells, condition {}, r² {:.3}): {}",
                opinion.over,
                opinion.cells,
                number(opinion.condition),
                opinion.r2,
                if prices.is_empty() { "no count differs enough".to_owned() } else { prices.join("; ") }
            ));
        }
    }
}

/// Gaps over the number of operations.
pub(super) fn curves(document: &mut Document, explained: &Explained, columns: usize) {
    if explained.curves.is_empty() {
        return;
    }
    document.heading("Cold and steady: time over the number of operations");
    for curve in &explained.curves {
        if columns == usize::MAX {
            cells(document, curve);
        }
        for (peer, gaps) in curve.gaps.iter().take(if columns == usize::MAX { usize::MAX } else { MAX_PEERS }) {
            gap_table(document, curve, peer, gaps);
        }
        match &curve.prices {
            Err(why) => document.item(format!("{}: no price of a page fault by the times: {why}", curve.name)),
            Ok(prices) => {
                for price in prices {
                    let measured = price.measured.map_or_else(|| MISSING.to_owned(), |ns| with_interval(Some(&ns)));
                    let differ = if price.disagree { "; they disagree" } else { "" };
                    document.item(format!(
                        "{}: one {} costs {} ns by the times of all cells, {measured} ns measured apart{differ}",
                        curve.name,
                        price.kind,
                        with_interval(Some(&price.fitted))
                    ));
                }
            }
        }
    }
}

fn gap_table(document: &mut Document, curve: &CurveReport, peer: &str, gaps: &[GapAt]) {
    let unit = Unit::of(gaps.iter().filter(|at| at.at != At::Once).map(|at| at.gap), Unit::LIMIT);
    let mut table = Table::new([
        format!("<{}: baseline − {peer}", curve.name),
        format!("gap {}", unit.name),
        "=[95 %]".to_owned(),
        "Δ faults\n4 KiB".to_owned(),
        "Δ faults\nhuge".to_owned(),
        "by faults".to_owned(),
        "by fit".to_owned(),
    ]);
    for at in gaps {
        let gap = unit.estimate(at.gap);
        table.row([
            match at.at {
                At::Operations(operations) => format!("{operations} operations"),
                At::Once => "once a process".to_owned(),
                At::Steady => "steady, an operation".to_owned(),
            },
            signed_point(gap.value, gap.interval),
            interval(gap.interval),
            or_missing(at.faults[0], signed),
            or_missing(at.faults[1], signed),
            at.share.map_or_else(|| MISSING.to_owned(), |s| share(s.value)),
            at.share_by_fit.map_or_else(|| MISSING.to_owned(), |s| share(s.value)),
        ]);
    }
    document.table(table);
}

fn cells(document: &mut Document, curve: &CurveReport) {
    let shown = |estimate: Option<Estimate>| with_interval(estimate.as_ref());
    let mut table = Table::new([
        "<cell",
        "=once, ns",
        "=steady, ns/op",
        "r²",
        "=steady without faults, ns/op",
        "=price of a fault, ns",
    ]);
    for cell in &curve.cells {
        let (without, price) = match &cell.by_faults {
            Err(why) => (MISSING.to_owned(), why.clone()),
            Ok(line) => {
                let prices = line.prices.iter().map(|p| format!("{} {}", p.kind, with_interval(Some(&p.fitted))));
                (shown(Some(line.steady)), prices.collect::<Vec<_>>().join(", "))
            }
        };
        let r2 = or_missing(cell.r2, |r2| format!("{r2:.3}"));
        table.row([cell.id.clone(), shown(cell.once), shown(cell.steady), r2, without, price]);
    }
    document.table(table);
}

/// The claims that the config declared, decided.
pub(super) fn hypotheses(document: &mut Document, manifest: &Manifest, explained: &Explained) {
    if manifest.plan.hypotheses.is_empty() {
        return;
    }
    document.heading("Hypotheses, declared before the run, corrected together (Holm)");
    let mut table = Table::new(["<name", "=claim", "=supported if", "=measured", "=verdict"]);
    for decision in &explained.hypotheses {
        let measured = match decision.value {
            None => MISSING.to_owned(),
            Some(value) if decision.is_share => {
                let ends =
                    value.interval.map_or_else(String::new, |(lo, hi)| format!(" [{}, {}]", share(lo), share(hi)));
                format!("{} of the gap{ends}", share(value.value))
            }
            Some(value) => {
                let unit = Unit::fitting([value.value], Unit::LIMIT);
                format!("{} {}/op", with_interval(Some(&unit.estimate(value))), unit.name)
            }
        };
        table.row([
            decision.name.clone(),
            format!("{} ({})", decision.claim, decision.workload),
            decision.range.clone(),
            measured,
            decision.verdict.as_str().to_owned(),
        ]);
    }
    document.table(table);
    for decision in explained.hypotheses.iter().filter(|decision| !decision.reason.is_empty()) {
        let blocks =
            decision.blocks_needed.map_or_else(String::new, |blocks| format!("; about {blocks} blocks would decide"));
        document.item(format!("{}: {}{blocks}", decision.name, decision.reason));
    }
}
