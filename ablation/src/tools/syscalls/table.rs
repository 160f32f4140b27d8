//! Tables of counted calls: one row per kind of call, one column per allocator or program, and the difference to a peer
//! last.

use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, count, number};
use std::collections::{BTreeMap, BTreeSet};

/// Counts by name, of a whole process or of its operations.
pub(super) type Counts = BTreeMap<String, i64>;

/// Rows that are not kinds of calls, in the order in which they stand around the kinds.
const AROUND: [&str; 4] = ["all calls", "other", "page-faults", "page-fault-huge"];

/// Counts of one cell.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Name for people.
    pub(super) name: String,
    /// Operations that it reported.
    pub(super) operations: Option<u64>,
    /// Counts of its operations, by name of the call.
    pub(super) counts: Counts,
    /// Names on which two runs differ, with both values.
    pub(super) unequal: Vec<String>,
    /// Names on which strace and the tracepoints differ, with both values.
    pub(super) disputed: Vec<String>,
    /// Whether start-up was subtracted.
    pub(super) has_idle: bool,
}

/// Whether a name is a kind of system call.
pub(super) fn is_kind(name: &str) -> bool {
    !AROUND.contains(&name)
}

/// The tables of one workload.
pub(super) fn show(
    workload: &str,
    about: &str,
    columns: &[Column],
    reference: Option<&str>,
    origin: &str,
    width: usize,
) -> String {
    let mut document = Document::default();
    let about = if about.is_empty() { String::new() } else { format!(" ({about})") };
    document.heading(format!("{workload}{about}: system calls and page faults"));
    let peer = reference.and_then(|name| columns.iter().find(|column| column.name == name));
    let names = rows(columns);
    if columns.iter().all(|column| column.operations.is_some()) {
        let each = |column: &Column, name: &str| Some(*column.counts.get(name)? as f64 / column.operations? as f64);
        document.table(table("per operation", columns, peer, &names, each, number, signed));
    }
    let all = |column: &Column, name: &str| column.counts.get(name).map(|count| *count as f64);
    let whole = |value: f64| if value < 0.0 { format!("−{}", count(-value as usize)) } else { count(value as usize) };
    let whole_signed = |value: f64| if value > 0.0 { format!("+{}", whole(value)) } else { whole(value) };
    document.table(table("in all", columns, peer, &names, all, whole, whole_signed));
    let operations: Vec<String> = columns
        .iter()
        .map(|column| {
            format!("{} {}", column.name, column.operations.map_or(MISSING.to_owned(), |n| count(n as usize)))
        })
        .collect();
    document.text(format!("Operations: {}. {}", operations.join(", "), startup(columns)));
    document.text(origin);
    agreement(&mut document, columns);
    document.terminal(width)
}

fn startup(columns: &[Column]) -> &'static str {
    if columns.iter().all(|column| column.has_idle) {
        "What a process does without any operation is subtracted."
    } else {
        "Start-up is included: the config has no idle_args to tell it apart."
    }
}

/// Rows that are not 0 everywhere: all calls, the kinds by their largest count, the rest, page faults.
fn rows(columns: &[Column]) -> Vec<String> {
    let names: BTreeSet<&String> = columns.iter().flat_map(|column| column.counts.keys()).collect();
    let largest = |name: &str| {
        let counts = columns.iter().filter_map(|column| column.counts.get(name));
        counts.map(|count| count.abs()).max().unwrap_or(0)
    };
    let mut kinds: Vec<&str> = names.iter().map(|name| name.as_str()).filter(|name| is_kind(name)).collect();
    kinds.sort_by_key(|name| std::cmp::Reverse(largest(name)));
    let [all, after @ ..] = AROUND;
    let shown = |name: &&str| largest(name) > 0 || *name == all || *name == "page-faults";
    let order = std::iter::once(all).chain(kinds).chain(after);
    order.filter(|name| names.iter().any(|known| known.as_str() == *name)).filter(shown).map(str::to_owned).collect()
}

fn signed(value: f64) -> String {
    crate::report::number::signed(value)
}

fn table(
    title: &str,
    columns: &[Column],
    peer: Option<&Column>,
    rows: &[String],
    value: impl Fn(&Column, &str) -> Option<f64>,
    show: impl Fn(f64) -> String,
    show_signed: impl Fn(f64) -> String,
) -> Table {
    let mut header = vec![format!("<{title}")];
    header.extend(columns.iter().map(|column| column.name.clone()));
    // The first column is the baseline.
    header.extend(peer.map(|peer| format!("{} −\n{}", columns[0].name, peer.name)));
    let mut table = Table::new(header);
    for name in rows {
        let mut cells = vec![if name == "page-fault-huge" { format!("≈ {name}") } else { name.clone() }];
        let text = |value: Option<f64>| value.map_or(MISSING.to_owned(), &show);
        cells.extend(columns.iter().map(|column| text(value(column, name))));
        if let Some(peer) = peer {
            let difference = value(&columns[0], name).zip(value(peer, name)).map(|(own, peer)| own - peer);
            cells.push(difference.map_or(MISSING.to_owned(), &show_signed));
        }
        table.row(cells);
    }
    table
}

/// Notes about counts that differ between two runs, or between two ways of counting.
fn agreement(document: &mut Document, columns: &[Column]) {
    let list = |pick: fn(&Column) -> &Vec<String>| -> Vec<String> {
        let unequal = columns.iter().filter(|column| !pick(column).is_empty());
        unequal.map(|column| format!("{}: {}", column.name, pick(column).join(", "))).collect()
    };
    let unequal = list(|column| &column.unequal);
    if unequal.is_empty() {
        document.text("Exact: two runs of each cell agree. ≈ counts the whole machine and is not exact.");
    } else {
        document.text(format!("Two runs do not agree, so these counts are not exact: {}.", unequal.join("; ")));
    }
    let disputed = list(|column| &column.disputed);
    if !disputed.is_empty() {
        document.text(format!("strace and the tracepoints do not agree on: {}.", disputed.join("; ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, counts: &[(&str, i64)]) -> Column {
        Column {
            name: name.to_owned(),
            operations: Some(100),
            counts: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            unequal: Vec::new(),
            disputed: Vec::new(),
            has_idle: true,
        }
    }

    #[test]
    fn a_table_has_rates_totals_and_the_difference_to_the_peer() {
        let ours =
            column("baseline", &[("all calls", 250), ("mmap", 200), ("brk", 0), ("munmap", 50), ("page-faults", 0)]);
        let mut theirs = column("other", &[("all calls", 10), ("mmap", 10), ("page-faults", 7)]);
        theirs.disputed = vec!["mmap 10 or 11".to_owned()];
        let text = show("w", "words", &[ours, theirs], Some("other"), "Counted by x.", 100);
        let line = |start: &str| -> Vec<String> {
            let found = text.lines().filter(|line| line.starts_with(start));
            found.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(line("mmap"), ["mmap 2.00 0.100 +1.90", "mmap 200 10 +190"]);
        assert_eq!(line("munmap"), ["munmap 0.500 n/a n/a", "munmap 50 n/a n/a"]);
        assert_eq!(line("page-faults")[1], "page-faults 0 7 −7");
        assert!(line("brk").is_empty(), "not called:\n{text}");
        assert!(text.contains("strace and the tracepoints do not agree on: other: mmap 10 or 11"), "{text}");
        assert!(text.contains("two runs of each cell agree"), "{text}");
    }
}
