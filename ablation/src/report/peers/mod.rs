//! The subject beside its peers: one row per workload, one column per peer.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, counted, point};
use crate::analyse::{Analysis, Gap, WorkloadAnalysis};
use crate::support::count::counted_verb;
use ablate_format::effects::{Estimate, Group};
use ablate_format::{CellKind, Manifest};

/// Where a peer does not run.
const NOWHERE: &str = "–";

/// As many tables as it takes for all peers to fit.
pub(super) fn peers(document: &mut Document, manifest: &Manifest, analysis: &Analysis, columns: usize) {
    let Some(first) = analysis.workloads.first().filter(|workload| !workload.gaps.is_empty()) else { return };
    document.heading("The subject beside its peers: subject / peer");
    let all: Vec<&Gap> = first.gaps.iter().collect();
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let is_first = rest.len() == all.len();
        let tables = (1..=rest.len()).rev().map(|peers| (peers, table(analysis, &rest[..peers], is_first)));
        // A single peer is shown whatever its width.
        let fits = |(peers, table): &(usize, Table)| *peers == 1 || table.width() <= columns;
        let Some((peers, table)) = tables.into_iter().find(fits) else { break };
        document.table(table);
        rest = &rest[peers..];
    }
    let bound = all.iter().any(|gap| !gap.compare);
    let bound = if bound { " In parentheses: a bound, not a competitor." } else { "" };
    let means = if analysis.groups.is_empty() {
        ""
    } else {
        " mean: geometric mean of the workloads that a target takes together."
    };
    document.text(format!(
        "A ratio below 1: the subject takes less; of a rate (/s) it does less. ±: half of the 95 % interval, in percent of the \
         ratio. *: the best peer of the row. ~: the interval contains 1, so no difference is claimed.{bound}{means}",
    ));
    for absent in &manifest.plan.absent {
        document.item(left_out(absent));
    }
}

/// How the subject stands against the best peer of each workload; `None` without a competitor.
pub(super) fn summary(analysis: &Analysis) -> Option<String> {
    let (mut ahead, mut behind, mut level) = (0, 0, 0);
    for workload in &analysis.workloads {
        let rival = best(workload);
        let Some((lo, hi)) = rival.and_then(|gap| gap.gap_ratio?.interval) else { continue };
        let is_better_high = workload.response.quantity().is_better_high();
        match (lo > 0.0, hi < 0.0) {
            (false, false) => level += 1,
            (above, _) if above == is_better_high => ahead += 1,
            _ => behind += 1,
        }
    }
    let compared = ahead + behind + level;
    (compared > 0).then(|| {
        let others = match analysis.workloads.len() - compared {
            0 => String::new(),
            others => format!("; {} no peer with an interval", counted_verb(others, "more workload", ["has", "have"])),
        };
        format!(
            "Against the best peer of each workload the subject is ahead in {ahead}, behind in {behind} and within the \
             noise in {level} of {}{others}.",
            counted(compared, "workload")
        )
    })
}

/// A peer that is not on this machine, and what to do about it.
pub(super) fn left_out(absent: &ablate_format::AbsentPeer) -> String {
    let hint = if absent.hint.is_empty() { String::new() } else { format!("; {}", absent.hint) };
    format!("left out: peer {}: {}{hint}", absent.peer, absent.why)
}

fn table(analysis: &Analysis, peers: &[&Gap], with_subject: bool) -> Table {
    let mut header = vec!["<workload".to_owned()];
    header.extend(with_subject.then(|| "subject".to_owned()));
    header.extend(peers.iter().map(|gap| if gap.compare { gap.peer.clone() } else { format!("({})", gap.peer) }));
    let mut table = Table::new(header);
    for workload in &analysis.workloads {
        let mut row = vec![workload.name.clone()];
        row.extend(with_subject.then(|| subject(workload)));
        let best = best(workload).map(|gap| gap.id.as_str());
        row.extend(peers.iter().map(|peer| match workload.gaps.iter().find(|gap| gap.id == peer.id) {
            Some(gap) => {
                let is_planned = workload.cells.iter().any(|cell| cell.id == gap.id);
                let ratio = gap.gap_ratio.map(Estimate::plus_one);
                match is_planned {
                    true => shown(ratio, best == Some(gap.id.as_str())),
                    false => NOWHERE.to_owned(),
                }
            }
            None => NOWHERE.to_owned(),
        }));
        table.row(row);
    }
    for group in &analysis.groups {
        let mut row = vec![name(group)];
        row.extend(with_subject.then(String::new));
        row.extend(peers.iter().map(|peer| {
            let ratio = group.ratios.iter().find(|(name, _)| *name == peer.peer).and_then(|(_, ratio)| *ratio);
            if ratio.is_none() { NOWHERE.to_owned() } else { shown(ratio, false) }
        }));
        table.row(row);
    }
    table
}

fn name(group: &Group) -> String {
    match group.targets.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => format!("mean {first} +{}", rest.len()),
        targets => format!("mean {}", targets.join("")),
    }
}

/// The subject's own value with its unit and response.
fn subject(workload: &WorkloadAnalysis) -> String {
    let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    let Some(value) = baseline.and_then(|cell| cell.value(workload.response)) else { return MISSING.to_owned() };
    let unit = Unit::of_workload(workload, [value], Unit::LIMIT);
    let value = unit.estimate(value);
    format!("{} {}", point(value.value, None), unit.with(workload.response))
}

/// The competitor that does best in a workload, by the values on all blocks.
pub(super) fn best(workload: &WorkloadAnalysis) -> Option<&Gap> {
    let sign = if workload.response.quantity().is_better_high() { -1.0 } else { 1.0 };
    let ratios = workload.gaps.iter().filter(|gap| gap.compare);
    let ratios = ratios.filter_map(|gap| Some((sign * gap.gap_ratio?.value, gap)));
    ratios.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, gap)| gap)
}

/// `0.213 ±1.2%*`.
fn shown(ratio: Option<Estimate>, is_best: bool) -> String {
    let Some(ratio) = ratio else { return MISSING.to_owned() };
    let best = if is_best { "*" } else { "" };
    let Some((lo, hi)) = ratio.interval else { return format!("{}{best}", digits(ratio.value)) };
    let half = 50.0 * (hi - lo) / ratio.value;
    let half = if half < 9.95 { format!("{half:.1}") } else { format!("{half:.0}") };
    let unsure = if lo <= 1.0 && 1.0 <= hi { "~" } else { "" };
    format!("{} ±{half}%{unsure}{best}", digits(ratio.value))
}

/// Two digits that count of a small ratio, else as all numbers: what is far ahead is not all the same.
fn digits(ratio: f64) -> String {
    if !(1e-6..0.05).contains(&ratio) {
        return point(ratio, None);
    }
    // At most seven decimals.
    let decimals = (1.0 - ratio.log10().floor()) as usize;
    format!("{ratio:.decimals$}")
}

#[cfg(test)]
mod tests;
