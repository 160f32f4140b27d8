//! The head of a report and the table that answers the first question: what costs most, and how far is the peer.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, count, number, or_missing, percent};
use crate::analyse::{Analysis, WorkloadAnalysis};
use crate::record::{CellKind, Manifest};

/// Study, machine, noise floor, and what cannot be measured here.
pub(super) fn head(document: &mut Document, manifest: &Manifest, analysis: &Analysis, machine: &[String]) {
    document.title(format!("ablate: {}", manifest.study));
    let subject = manifest.plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    document.item(format!(
        "subject: {}; config {}; {} runs of {} blocks, seed {}",
        subject.and_then(|cell| cell.served_by.as_deref()).unwrap_or("the baseline"),
        manifest.config_path,
        count(analysis.runs),
        manifest.blocks,
        manifest.seed
    ));
    if !machine.is_empty() {
        document.item(format!("machine: {}", machine.join("; ")));
    }
    let floors = analysis.workloads.iter();
    let floors: Vec<String> = floors.map(|w| format!("{} {}", w.name, or_missing(w.floor_ns, time))).collect();
    document.item(format!("noise floor per operation (baseline against its placebo): {}", floors.join(", ")));
    for (names, reason) in unavailable(manifest) {
        document.item(format!("{MISSING}: {}: {reason}", names.join(", ")));
    }
    if analysis.ignored > 0 {
        document.item(format!("{} records belong to no cell or were repeated", count(analysis.ignored)));
    }
}

/// A time by itself, with its unit.
fn time(nanoseconds: f64) -> String {
    let unit = Unit::fitting([nanoseconds], Unit::LIMIT);
    format!("{} {}", number(unit.from(nanoseconds)), unit.name)
}

/// Every fact of the machine.
pub(super) fn machine(manifest: &Manifest) -> Vec<String> {
    let facts = manifest.machine.facts.iter();
    facts.map(|(name, fact)| format!("{name} {}", fact.as_deref().unwrap_or(MISSING))).collect()
}

/// The facts that somebody compares first; empty when none is known.
pub(super) fn machine_in_short(manifest: &Manifest) -> Vec<String> {
    let fact = |name: &str| manifest.machine.facts.get(name).and_then(Option::as_deref);
    let named = |name: &str| fact(name).map(|value| format!("{name} {value}"));
    let dirty = if fact("uncommitted-changes") == Some("yes") { "+" } else { "" };
    let commit = fact("commit").map(|hash| format!("commit {}{dirty}", hash.chars().take(12).collect::<String>()));
    // `rustc -V` says its own name, a hash and a date.
    let rustc = fact("rustc").map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let mut facts: Vec<String> =
        ["kernel", "cpu", "cores", "memory", "thp", "virtual", "load"].into_iter().filter_map(named).collect();
    facts.extend(commit);
    facts.extend(rustc);
    facts
}

/// Instruments that could not be had, those with the same reason together.
fn unavailable(manifest: &Manifest) -> Vec<(Vec<&str>, &str)> {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for instrument in &manifest.instruments {
        let Some(reason) = instrument.unavailable.as_deref() else {
            continue;
        };
        match groups.iter_mut().find(|(_, known)| *known == reason) {
            Some((names, _)) if names.contains(&instrument.name.as_str()) => {}
            Some((names, _)) => names.push(&instrument.name),
            None => groups.push((vec![&instrument.name], reason)),
        }
    }
    groups
}

/// One row a workload: the three sources that are proven to cost most, and the gap to as many peers as fit.
pub(super) fn overview(document: &mut Document, analysis: &Analysis, columns: usize) {
    document.heading("The three sources that cost most, per workload");
    let peers: Vec<&str> =
        analysis.workloads.first().map_or(Vec::new(), |w| w.gaps.iter().map(|gap| gap.peer.as_str()).collect());
    let tables = (0..=peers.len()).rev().map(|shown| sources(analysis, &peers[..shown]));
    // Better a name on two lines than no peer at all.
    let tables = tables.take(peers.len().max(1));
    if let Some(table) = Table::first_that_fits(columns, tables) {
        document.table(table);
    }
    document.text(
        "Sources: time per operation that the baseline loses to each, proven by counters, outside the noise floor, \
         confirmed by a second reading. by: p10 is the 10th percentile of a process (the median confirms it), mean its \
         mean (the median over blocks confirms it). vs: baseline against the peer, + is slower.",
    );
    let open: Vec<String> = analysis.workloads.iter().filter_map(blocks_needed).collect();
    if !open.is_empty() {
        document.text(format!(
            "(name value?): the largest differences seen where no source stands out from the noise; nothing is claimed. \
             Blocks that would probably be enough if they are real: {}.",
            open.join("; ")
        ));
    }
}

fn sources(analysis: &Analysis, peers: &[&str]) -> Table {
    let mut header = ["<workload", "=by", "=1st", "=2nd", "=3rd"].map(str::to_owned).to_vec();
    header.extend(peers.iter().map(|peer| format!("vs\n{peer}")));
    let mut table = Table::new(header);
    for workload in &analysis.workloads {
        let top = workload.top_sources();
        let mut named: Vec<(&str, f64)> =
            top.iter().filter_map(|effect| Some((effect.factor.as_str(), effect.estimate?))).collect();
        let candidates = workload.candidates();
        let is_open = named.is_empty();
        if is_open {
            named.extend(candidates.iter().map(|candidate| (candidate.factor.as_str(), candidate.estimate)));
        }
        named.truncate(3);
        let unit = Unit::fitting(named.iter().map(|(_, estimate)| *estimate), Unit::LIMIT);
        let mut row = vec![workload.name.clone(), format!("{} {}", workload.response.as_str(), unit.name)];
        for place in 0..3 {
            row.push(match named.get(place) {
                Some((name, estimate)) if is_open => format!("({name} {}?)", number(unit.from(*estimate))),
                Some((name, estimate)) => format!("{name} {}", number(unit.from(*estimate))),
                None if place == 0 => "none detected".to_owned(),
                None => "–".to_owned(),
            });
        }
        let gaps = workload.gaps.iter().take(peers.len());
        row.extend(gaps.map(|gap| or_missing(gap.gap_ratio.map(|g| g.value), percent)));
        table.row(row);
    }
    table
}

/// What the candidates of a workload would need, by name; `None` without candidates.
fn blocks_needed(workload: &WorkloadAnalysis) -> Option<String> {
    let candidates = workload.candidates();
    let needs = candidates.iter().take(3).map(|candidate| {
        let blocks =
            candidate.blocks_needed.map_or_else(|| "unknown".to_owned(), |blocks| format!("≈ {}", count(blocks)));
        format!("{} {blocks}", candidate.factor)
    });
    let needs: Vec<String> = needs.collect();
    (!needs.is_empty()).then(|| format!("{}: {}", workload.name, needs.join(", ")))
}
