//! The head of a report and the table that answers the first question: what costs most, and how far is the peer.

use super::document::{Document, Table};
use super::number::{MISSING, count, number, or_missing, percent};
use crate::analyse::Analysis;
use crate::record::{CellKind, Manifest};

/// Study, machine, noise floor, and what cannot be measured here.
pub(super) fn head(document: &mut Document, manifest: &Manifest, analysis: &Analysis) {
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
    let facts = manifest.machine.facts.iter();
    let facts: Vec<String> =
        facts.map(|(name, fact)| format!("{name} {}", fact.as_deref().unwrap_or(MISSING))).collect();
    if !facts.is_empty() {
        document.item(format!("machine: {}", facts.join("; ")));
    }
    let floors = analysis.workloads.iter();
    let floors: Vec<String> = floors.map(|w| format!("{} {}", w.name, or_missing(w.floor_ns, number))).collect();
    document.item(format!("noise floor, ns/op (baseline against its placebo): {}", floors.join(", ")));
    for (names, reason) in unavailable(manifest) {
        document.item(format!("{MISSING}: {}: {reason}", names.join(", ")));
    }
    if analysis.ignored > 0 {
        document.item(format!("{} records belong to no cell or were repeated", count(analysis.ignored)));
    }
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

/// One row a workload: the three sources that are proven to cost most, and the gap to each peer.
pub(super) fn overview(document: &mut Document, analysis: &Analysis) {
    document.heading("The three sources that cost most, per workload");
    let mut header = vec!["<workload".to_owned(), "=1st".to_owned(), "=2nd".to_owned(), "=3rd".to_owned()];
    let peers: Vec<&str> =
        analysis.workloads.first().map_or(Vec::new(), |w| w.gaps.iter().map(|gap| gap.peer.as_str()).collect());
    header.extend(peers.iter().map(|peer| format!("vs\n{peer}")));
    let mut table = Table::new(header);
    for workload in &analysis.workloads {
        let top = workload.top_sources();
        let mut row = vec![workload.name.clone()];
        for place in 0..3 {
            row.push(match top.get(place) {
                Some(effect) => format!("{} {} ns", effect.factor, or_missing(effect.estimate, number)),
                None if place == 0 => "none detected".to_owned(),
                None => "–".to_owned(),
            });
        }
        row.extend(workload.gaps.iter().map(|gap| or_missing(gap.gap_ratio.map(|g| g.value), percent)));
        table.row(row);
    }
    document.table(table);
    document.text(
        "Sources: nanoseconds per operation that the baseline loses to each (10th percentile of a process; proven by \
         counters, outside the noise floor, confirmed by the median). vs: baseline against the peer, + is slower.",
    );
}
