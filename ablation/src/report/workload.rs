//! The tables of one workload: every cell, then the attribution.

use super::document::{Document, Table};
use super::number::{MISSING, interval, number, or_missing, percent, point, signed, signed_point, with_interval};
use crate::analyse::{CellSummary, Effect, Response, Verdict, WorkloadAnalysis};
use crate::record::CellKind;

/// Treatments shown in one table; a factorial has more, and they are in effects.json.
const MAX_TREATMENTS: usize = 32;

/// Kinds of system calls with a column of their own.
const MAX_KINDS: usize = 3;

/// Every configuration and every peer: time, gap and counts.
pub(super) fn cells(document: &mut Document, workload: &WorkloadAnalysis) {
    let about = if workload.about.is_empty() { String::new() } else { format!(" – {}", workload.about) };
    document.heading(format!("{}{about}: configurations and peers", workload.name));
    let mut header: Vec<String> = ["<configuration", "=arm", "ns/op\np10", "95 % interval"].map(str::to_owned).to_vec();
    header.extend(workload.gaps.iter().map(|gap| format!("vs\n{}", gap.peer)));
    header.push("=proof".to_owned());
    let mut times = Table::new(header);

    let kinds = kinds(workload);
    let mut header: Vec<String> =
        ["<configuration", "=arm", "ns/op\np50", "faults\n/op", "syscalls\n/op", "instr.\n/op"]
            .map(str::to_owned)
            .to_vec();
    header.extend(kinds.iter().map(|kind| format!("{}\n/op", kind.trim_start_matches("sys-"))));
    let mut counts = Table::new(header);

    let (shown, hidden) = shown(workload);
    for cell in shown {
        let (p10, p50) = (cell.latency_ns_p10, cell.latency_ns_p50);
        let arm = cell.arm.map_or("", |arm| arm.as_str());
        let mut row = vec![cell.name.clone(), arm.to_owned()];
        row.push(p10.map_or_else(|| MISSING.to_owned(), |e| point(e.value, e.interval)));
        row.push(interval(p10.and_then(|e| e.interval)));
        row.extend(cell.relative_to_peers.iter().zip(&workload.gaps).map(|(relative, gap)| {
            // A peer against itself is no finding.
            if gap.id == cell.id { "–".to_owned() } else { or_missing(*relative, percent) }
        }));
        row.push(cell.proof.clone().unwrap_or_else(|| MISSING.to_owned()));
        times.row(row);

        let mut row = vec![cell.name.clone(), arm.to_owned(), or_missing(p50.map(|e| e.value), number)];
        let columns = ["page-faults", "syscalls", "instructions"].into_iter().chain(kinds.iter().copied());
        row.extend(columns.map(|name| or_missing(cell.per_operation(name), number)));
        counts.row(row);
    }
    document.table(times);
    document.table(counts);
    if hidden > 0 {
        document.text(format!("{hidden} more configurations are in effects.json."));
    }
    for note in &workload.notes {
        document.item(note.clone());
    }
}

fn shown(workload: &WorkloadAnalysis) -> (Vec<&CellSummary>, usize) {
    let mut treatments = 0;
    let shown: Vec<&CellSummary> = workload
        .cells
        .iter()
        .filter(|cell| {
            treatments += usize::from(cell.kind == CellKind::Treatment);
            cell.kind != CellKind::Treatment || treatments <= MAX_TREATMENTS
        })
        .collect();
    let hidden = workload.cells.len() - shown.len();
    (shown, hidden)
}

/// The kinds of system calls that are made most often, by the cell that makes most of them.
fn kinds(workload: &WorkloadAnalysis) -> Vec<&str> {
    let mut kinds: Vec<(&str, f64)> = Vec::new();
    for (name, count) in workload.cells.iter().flat_map(|cell| &cell.counts) {
        if !name.starts_with("sys-") || count.value <= 0.0 {
            continue;
        }
        match kinds.iter_mut().find(|(known, _)| known == name) {
            Some((_, most)) => *most = most.max(count.value),
            None => kinds.push((name, count.value)),
        }
    }
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    kinds.into_iter().take(MAX_KINDS).map(|(name, _)| name).collect()
}

/// One row a source, the sentence that names the top three, and the reasons for what is not claimed.
pub(super) fn attribution(document: &mut Document, workload: &WorkloadAnalysis) {
    let rows: Vec<&Effect> = workload.main_effects().filter(|effect| effect.attribution).collect();
    document.heading(format!("{}: what each source costs", workload.name));
    if rows.is_empty() {
        document.text("The design compares no single source with the baseline.");
    } else {
        document.table(table(workload, "<source", rows));
        if let Some(reading) = &workload.reading {
            document.text(format!("Δ per operation; of the gap: share of baseline − {}.", reading.peer));
        }
        document.text(top_three(workload));
    }
    let others = workload.main_effects().filter(|e| !e.attribution && e.contrast != "off-absent");
    let others: Vec<&Effect> = others.filter(|e| e.contrast != "placebo").collect();
    if !others.is_empty() {
        document.text("Variants, and several sources at once:");
        document.table(table(workload, "<against the baseline", others));
    }
    let mut reasons: Vec<String> = Vec::new();
    for effect in workload.main_effects() {
        let silent = matches!(effect.verdict, Verdict::Costs | Verdict::Saves | Verdict::NotDetected);
        if silent || effect.contrast == "placebo" || effect.contrast == "off-absent" {
            continue;
        }
        let arm = effect.arm.map_or(String::new(), |arm| format!(" ({})", arm.as_str()));
        reasons.push(format!("{}{arm}: {}: {}", effect.factor, effect.verdict.as_str(), effect.reason));
    }
    for reason in reasons {
        document.item(reason);
    }
}

fn table(workload: &WorkloadAnalysis, first: &str, mut rows: Vec<&Effect>) -> Table {
    let key = |effect: &Effect| effect.estimate.unwrap_or(f64::NEG_INFINITY);
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let header =
        [first, "=arm", "Δ ns/op", "95 % interval", "of the\ngap", "Δ\ninstr.", "Δ\nfaults", "Δ\ncalls", "=verdict"];
    let mut table = Table::new(header);
    for effect in rows {
        let name = match effect.contrast.as_str() {
            "on-off" | "on-absent" | "main" => effect.factor.clone(),
            contrast if contrast.starts_with("baseline-") => effect.factor.clone(),
            contrast => format!("{} {contrast}", effect.factor),
        };
        let arm = if effect.contrast == "main" { "main" } else { effect.arm.map_or("", |arm| arm.as_str()) };
        let ends = effect.lo.zip(effect.hi);
        let mut row = vec![name, arm.to_owned(), or_missing(effect.estimate, |value| signed_point(value, ends))];
        row.push(interval(ends));
        row.push(or_missing(effect.share.map(|share| share.value), percent));
        for (response, _) in Response::COUNTED {
            row.push(or_missing(workload.sibling(effect, response).and_then(|e| e.estimate), signed));
        }
        row.push(verdict(effect));
        table.row(row);
    }
    table
}

/// The verdict, with the bound that a verdict of nothing is worth.
pub(super) fn verdict(effect: &Effect) -> String {
    match (effect.verdict, effect.detectable) {
        (Verdict::NotDetected, Some(detectable)) => {
            format!("not-detected\n|Δ| < {}", number(detectable))
        }
        (verdict, _) => verdict.as_str().to_owned(),
    }
}

fn top_three(workload: &WorkloadAnalysis) -> String {
    let top = workload.top_sources();
    let named: Vec<String> = top
        .iter()
        .take(3)
        .map(|effect| {
            let estimate = effect.estimate.map(|value| crate::analyse::Estimate {
                value,
                interval: effect.lo.zip(effect.hi),
                blocks: effect.blocks,
            });
            let peer = workload.reading.as_ref().map_or("the peer", |reading| &reading.peer);
            let share = effect.share.map_or(String::new(), |s| format!(", {} of the gap to {peer}", percent(s.value)));
            format!("{} ({} ns/op{share})", effect.factor, with_interval(estimate.as_ref()))
        })
        .collect();
    let name = &workload.name;
    match named.len() {
        0 => format!("No source is detected to cost anything in {name}."),
        1 => format!("Only one source is detected to cost in {name}: {}.", named[0]),
        2 => format!("Only two sources are detected to cost in {name}: {} and {}.", named[0], named[1]),
        _ => format!("Top three sources in {name}: {}, {} and {}.", named[0], named[1], named[2]),
    }
}
