//! The tables of one workload: every cell, then the attribution.

use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, count, counted, interval, number, or_missing, percent, point, share, signed, signed_point,
    with_interval,
};
use crate::analyse::{CellSummary, Effect, Proof, Response, Unjudged, Verdict, WorkloadAnalysis};
use ablate_format::effects::{Estimate, Noise};
use ablate_format::{CellKind, MainResponse};
use ablate_stats::MIN_BLOCKS;

/// Treatments shown in one table; a factorial has more, and they are in effects.json.
const MAX_TREATMENTS: usize = 32;

/// Kinds of system calls with a column of their own.
const MAX_KINDS: usize = 3;

/// Every configuration and every peer: time, gap and counts.
pub(super) fn cells(document: &mut Document, workload: &WorkloadAnalysis) {
    let about = if workload.about.is_empty() { String::new() } else { format!(" – {}", workload.about) };
    document.heading(format!("{}{about}: configurations and peers", workload.name));
    let (shown, hidden) = shown(workload);
    let other = beside(workload.response);
    let latencies = shown.iter().flat_map(|cell| [cell.latency_ns_p50, cell.value(other)]).flatten();
    let main = shown.iter().filter_map(|cell| cell.value(workload.response));
    let (unit, of_latencies) = match workload.response.is_latency() {
        true => {
            let unit = Unit::of(main.chain(shown.iter().filter_map(|cell| cell.latency_ns_p50)), Unit::LIMIT);
            (unit, unit)
        }
        false => (Unit::of_response(workload.response, main, Unit::LIMIT), Unit::of(latencies, Unit::LIMIT)),
    };
    let mut header = vec!["<configuration".to_owned(), "=arm".to_owned()];
    header.extend([unit.with(workload.response).replacen(' ', "\n", 1), "95 % interval".to_owned()]);
    header.extend(workload.gaps.iter().map(|gap| format!("vs\n{}", gap.peer)));
    header.push("=proof".to_owned());
    let mut times = Table::new(header);

    let kinds = kinds(workload);
    let per_op = |response: MainResponse| format!("{}\n{}", of_latencies.label(), response.as_str());
    let mut header = vec!["<configuration".to_owned(), "=arm".to_owned(), per_op(MainResponse::P50), per_op(other)];
    header.extend(["faults\n/op", "syscalls\n/op", "instr.\n/op"].map(str::to_owned));
    header.extend(kinds.iter().map(|kind| format!("{}\n/op", kind.trim_start_matches("sys-"))));
    let mut counts = Table::new(header);

    let in_unit = |unit: Unit, estimate: Option<Estimate>| estimate.map(|estimate| unit.estimate(estimate));
    for cell in shown {
        let main = in_unit(unit, cell.value(workload.response));
        let arm = cell.arm.map_or("", |arm| arm.as_str());
        let mut row = vec![cell.name.clone(), arm.to_owned()];
        row.push(main.map_or_else(|| MISSING.to_owned(), |e| point(e.value, e.interval)));
        row.push(interval(main.and_then(|e| e.interval)));
        row.extend(cell.relative_to_peers.iter().zip(&workload.gaps).map(|(relative, gap)| {
            // A peer against itself is no finding.
            if gap.id == cell.id { "–".to_owned() } else { or_missing(*relative, percent) }
        }));
        row.push(cell.proof.clone().unwrap_or_else(|| MISSING.to_owned()));
        times.row(row);

        let mut row = vec![cell.name.clone(), arm.to_owned()];
        let others = [cell.latency_ns_p50, cell.value(other)];
        row.extend(others.map(|estimate| or_missing(in_unit(of_latencies, estimate).map(|e| e.value), number)));
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

/// The response that says most beside one: what the table of a workload shows of each cell besides.
fn beside(response: MainResponse) -> MainResponse {
    match response {
        MainResponse::Mean => MainResponse::P10,
        MainResponse::P50 => MainResponse::P99,
        MainResponse::P99 => MainResponse::P10,
        MainResponse::Wall => MainResponse::Cpu,
        MainResponse::Cpu => MainResponse::Wall,
        MainResponse::P10 | MainResponse::RssPeak | MainResponse::Value(_) => MainResponse::Mean,
    }
}

/// What disturbed the runs of each cell.
pub(super) fn noise(document: &mut Document, workload: &WorkloadAnalysis) {
    let told =
        |noise: &&Noise| noise.retained.is_some() || noise.context_switches.is_some() || noise.two_speeds.is_some();
    let rows: Vec<&Noise> = workload.noise.iter().filter(told).collect();
    if rows.is_empty() {
        return;
    }
    let header = ["<cell", "runs", "left\nout", "batches\nretained", "waits\nper run", "preempted\nper run"];
    let mut table = Table::new(header.into_iter().chain(["=two speeds, ns/op"]));
    for noise in rows.iter().take(MAX_TREATMENTS) {
        let switches = noise.context_switches;
        table.row([
            noise.cell.clone(),
            count(noise.runs),
            count(noise.contended),
            or_missing(noise.retained, share_of_all),
            or_missing(switches.map(|(waits, _)| waits), number),
            or_missing(switches.map(|(_, preempted)| preempted), number),
            noise.two_speeds.map_or_else(String::new, |found| {
                let slow = share_of_all(found.slow_share);
                format!("{} and {} ({slow} slow)", number(found.fast_ns), number(found.slow_ns))
            }),
        ]);
    }
    document.text(format!("What disturbed the timed runs of {}:", workload.name));
    document.table(table);
    if rows.len() > MAX_TREATMENTS {
        document.text(format!("{} more cells are in effects.json.", rows.len() - MAX_TREATMENTS));
    }
}

/// A share without a sign: `97.5%`.
fn share_of_all(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// The cells that a table has room for, and the number of those that it has not.
pub(super) fn shown(workload: &WorkloadAnalysis) -> (Vec<&CellSummary>, usize) {
    let mut treatments = 0;
    let shown: Vec<&CellSummary> = workload
        .cells
        .iter()
        .filter(|cell| {
            treatments += usize::from(cell.kind == CellKind::Treatment);
            // Sets of a factorial are for its own table; one by one they only fill the page.
            cell.kind != CellKind::Treatment || treatments <= MAX_TREATMENTS && !cell.name.starts_with("set-")
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

/// One row a factor, the sentence that names the top three, and the reasons for what is not claimed.
pub(super) fn attribution(document: &mut Document, workload: &WorkloadAnalysis) {
    let rows: Vec<&Effect> = workload.main_effects().filter(|effect| effect.attribution).collect();
    document.heading(format!("{}: what each factor costs", workload.name));
    if rows.is_empty() {
        document.text("The design compares no single factor with the baseline.");
    } else {
        document.table(table(workload, "<factor", rows, Unit::of_factors(workload, Unit::LIMIT)));
        if let Some(reference) = &workload.reference_gap {
            document.text(format!("Δ per operation; of the gap: share of baseline − {}.", reference.peer));
        }
        document.text(top_three(workload));
    }
    let others = workload.main_effects().filter(|e| !e.attribution && e.contrast != "off-absent");
    let others: Vec<&Effect> = others.filter(|e| e.contrast != "placebo").collect();
    if !others.is_empty() {
        document.text("Variants, and several factors at once:");
        let values = others.iter().filter_map(|effect| effect.value());
        let unit = Unit::of_response(workload.response, values, Unit::LIMIT);
        document.table(table(workload, "<against the baseline", others, unit));
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

fn table(workload: &WorkloadAnalysis, first: &str, mut rows: Vec<&Effect>, unit: Unit) -> Table {
    let key = |effect: &Effect| effect.estimate.unwrap_or(f64::NEG_INFINITY);
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let delta = format!("Δ {}", unit.label()).trim_end().to_owned();
    let has_gap = workload.reference_gap.is_some();
    let mut header = vec![first, "=arm", &delta, "95 % interval"];
    header.extend(has_gap.then_some("of the\ngap"));
    header.extend(["Δ\ninstr.", "Δ\nfaults", "Δ\ncalls", "=verdict"]);
    let mut table = Table::new(header);
    for effect in rows {
        let name = label(effect);
        let arm = if effect.contrast == "main" { "main" } else { effect.arm.map_or("", |arm| arm.as_str()) };
        let value = effect.value().map(|value| unit.estimate(value));
        let mut row = vec![name, arm.to_owned()];
        row.push(value.map_or_else(|| MISSING.to_owned(), |e| signed_point(e.value, e.interval)));
        row.push(interval(value.and_then(|e| e.interval)));
        row.extend(has_gap.then(|| or_missing(effect.share.map(|share| share.value), share)));
        for (response, _) in Response::COUNTED {
            row.push(or_missing(workload.sibling(effect, response).and_then(|e| e.estimate), signed));
        }
        row.push(verdict(effect, unit));
        table.row(row);
    }
    table
}

/// What a row is called: the factor, or what is compared when it is not one factor against the baseline.
pub(super) fn label(effect: &Effect) -> String {
    match effect.contrast.as_str() {
        "main" => effect.factor.clone(),
        _ if effect.takes_away() => effect.factor.clone(),
        contrast if contrast.starts_with("baseline-") => effect.factor.clone(),
        contrast => format!("{} {contrast}", effect.factor),
    }
}

/// The verdict. One of nothing has the smallest effect that would have been found; a claim without proof says so.
pub(super) fn verdict(effect: &Effect, unit: Unit) -> String {
    match (effect.verdict, effect.detectable) {
        (Verdict::NotDetected, Some(detectable)) => {
            format!("not-detected\n|Δ| < {}", number(unit.from(detectable)))
        }
        (Verdict::Costs | Verdict::Saves, _) if effect.proof == Proof::Unproven => {
            format!("{} (unproven)", effect.verdict.as_str())
        }
        (verdict, _) => verdict.as_str().to_owned(),
    }
}

/// A factor that a sentence names.
struct Named<'a> {
    factor: &'a str,
    value: Option<Estimate>,
    share: Option<f64>,
    is_proven: bool,
}

/// The factors with this verdict, the largest effect first: by Shapley values where there are any, whose intervals hold
/// for all rows as in their table.
fn named<'a>(workload: &'a WorkloadAnalysis, verdict: Verdict) -> Vec<Named<'a>> {
    let of_effect = |effect: &'a Effect| Named {
        factor: &effect.factor,
        value: effect.value(),
        share: effect.share.map(|share| share.value),
        is_proven: effect.proof == Proof::Proven,
    };
    match &workload.crossed {
        Some(crossed) if !crossed.factors.is_empty() => {
            let mut found: Vec<_> = crossed.factors.iter().filter(|s| s.shapley.verdict == verdict).collect();
            found.sort_by(|a, b| b.shapley.alone.value.abs().total_cmp(&a.shapley.alone.value.abs()));
            let rows = found.into_iter().map(|factor| Named {
                factor: &factor.factor,
                value: Some(Estimate { interval: factor.shapley.together, ..factor.shapley.alone }),
                share: factor.share.map(|share| share.value),
                is_proven: factor.proof == Proof::Proven,
            });
            rows.collect()
        }
        _ if verdict == Verdict::Saves => workload.top_savers().into_iter().map(of_effect).collect(),
        _ => workload.top_costs().into_iter().map(of_effect).collect(),
    }
}

/// One sentence that names the factors that cost most, and what saves.
pub(super) fn top_three(workload: &WorkloadAnalysis) -> String {
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let peer = workload.reference_gap.as_ref().map_or("the peer", |reference| &reference.peer);
    let say = |factor: &Named| {
        let estimate = factor.value.map(|value| unit.estimate(value));
        let of_gap = factor.share.map_or(String::new(), |s| format!(", {} of the gap to {peer}", share(s)));
        let value = format!("{} {}", with_interval(estimate.as_ref()), unit.label());
        let mark = if factor.is_proven { "" } else { ", unproven" };
        format!("{} ({}{of_gap}{mark})", factor.factor, value.trim_end())
    };
    let costs: Vec<String> = named(workload, Verdict::Costs).iter().take(3).map(say).collect();
    let savers: Vec<String> = named(workload, Verdict::Saves).iter().take(2).map(say).collect();
    let sentence = costs_sentence(workload, unit, &costs);
    match savers.is_empty() {
        true => sentence,
        false => format!("{sentence} Saved by {}.", savers.join(" and ")),
    }
}

fn costs_sentence(workload: &WorkloadAnalysis, unit: Unit, named: &[String]) -> String {
    let name = &workload.name;
    let unjudged = workload.unjudged();
    if let Some(Unjudged::NotMeasured(why)) = &unjudged {
        return format!("Nothing was measured in {name}: {why}.");
    }
    if workload.main_effects().all(|effect| !effect.attribution) {
        return format!("{name}: the design compares no single factor.");
    }
    let has_shapley = workload.crossed.as_ref().is_some_and(|crossed| !crossed.factors.is_empty());
    let by = if has_shapley { ", by Shapley value" } else { "" };
    match named {
        [] => match unjudged {
            Some(Unjudged::TooFewBlocks(blocks)) => {
                let seen = largest_seen(workload, unit);
                let seen = seen.map_or_else(String::new, |seen| format!(" So far the largest difference is {seen}."));
                format!(
                    "Nothing can be decided in {name} yet: it has {blocks} of the {MIN_BLOCKS} blocks that an interval \
                     takes.{seen}"
                )
            }
            _ => format!("In {name} no factor is found to cost anything.{}", undecided(workload, unit)),
        },
        [one] => format!("In {name} one factor costs{by}: {one}."),
        [first, second] => format!("In {name} two factors cost{by}: {first} and {second}."),
        [first, second, third, ..] => format!("In {name} these factors cost most{by}: {first}, {second} and {third}."),
    }
}

/// The largest difference that nothing is claimed about: `cache, +9.64 ns/op`.
fn largest_seen(workload: &WorkloadAnalysis, unit: Unit) -> Option<String> {
    let open = workload.candidates().into_iter().next()?;
    Some(format!("{}, {} {}", open.factor, signed(unit.from(open.estimate)), unit.label()).trim_end().to_owned())
}

/// A sentence about the largest difference that is neither claimed nor excluded, and how many blocks would decide it.
fn undecided(workload: &WorkloadAnalysis, unit: Unit) -> String {
    let needed = workload.candidates().first().and_then(|open| open.blocks_needed);
    let needed = needed
        .map_or_else(String::new, |blocks| format!("; about {} would probably decide it", counted(blocks, "block")));
    let seen = largest_seen(workload, unit);
    seen.map_or_else(String::new, |seen| format!(" The largest difference ({seen}) is open{needed}."))
}
