//! The tables of one workload: every cell, then the attribution.

use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, count, counted, interval, number, or_missing, percent, point, share, signed, signed_point,
    with_interval,
};
use crate::analyse::{
    CellSummary, CrossedFactor, Effect, Proof, Response, Unjudged, Verdict, WorkloadAnalysis, as_cost, is_away, negated,
};
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
            let all = main.chain(shown.iter().filter_map(|cell| cell.latency_ns_p50));
            let unit = Unit::of_workload(workload, all, Unit::LIMIT);
            (unit, unit)
        }
        false => (Unit::of_workload(workload, main, Unit::LIMIT), Unit::of(latencies, Unit::LIMIT)),
    };
    let mut header = vec!["<configuration".to_owned(), "=arm".to_owned()];
    header.extend([unit.with(workload.response).replacen(' ', "\n", 1), "95 % interval".to_owned()]);
    header.extend(workload.gaps.iter().map(|gap| format!("vs\n{}", gap.peer)));
    header.push("=proof".to_owned());
    let mut times = Table::new(header);

    let kinds = kinds(workload);
    let per_op = |response: MainResponse| format!("{}\n{}", of_latencies.label(), response.as_str());
    let mut header = vec!["<configuration".to_owned(), "=arm".to_owned(), per_op(MainResponse::P50), per_op(other)];
    let per = per(workload);
    header.extend(["faults", "syscalls", "instr."].map(|name| format!("{name}\n{per}")));
    header.extend(kinds.iter().map(|kind| format!("{}\n{per}", kind.trim_start_matches("sys-"))));
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
    document.heading(format!("{}: other times, and what was counted", workload.name));
    document.table(counts);
    if hidden > 0 {
        document.text(format!("{hidden} more configurations are in effects.json."));
    }
    for note in &workload.notes {
        document.item(note.clone());
    }
}

/// What counts and times are over.
pub(super) fn per(workload: &WorkloadAnalysis) -> &'static str {
    if workload.is_per_run { "per run" } else { "/op" }
}

/// The response that says most beside one: what the table of a workload shows of each cell besides.
fn beside(response: MainResponse) -> MainResponse {
    match response {
        MainResponse::Mean => MainResponse::P10,
        MainResponse::P50 => MainResponse::P99,
        MainResponse::P99 => MainResponse::P10,
        MainResponse::Wall => MainResponse::Cpu,
        MainResponse::Cpu => MainResponse::Wall,
        MainResponse::P10 | MainResponse::RssPeak | MainResponse::RssMean | MainResponse::Value(_) => {
            MainResponse::Mean
        }
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
    let per = if workload.is_per_run { " " } else { "" };
    let two_speeds = format!("=two speeds, ns{per}{}", self::per(workload));
    let mut table = Table::new(header.into_iter().chain([two_speeds.as_str()]));
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
            document.text(format!("of the gap: share of baseline − {}.", reference.peer));
        }
        document.text(top_three(workload));
    }
    let others = workload.main_effects().filter(|e| !e.attribution && e.contrast != "off-absent");
    let others: Vec<&Effect> = others.filter(|e| e.contrast != "placebo").collect();
    if !others.is_empty() {
        let is_rate = workload.response.quantity().is_better_high();
        let sign = if is_rate { ", as a cost (+ is a lower rate)" } else { "" };
        document.text(format!("The baseline minus treatments that change several factors{sign}:"));
        let values = others.iter().filter_map(|effect| effect.value());
        let unit = Unit::of_workload(workload, values, Unit::LIMIT);
        document.table(table(workload, "<against the baseline", others, unit));
    }
    let mut reasons: Vec<String> = Vec::new();
    for effect in workload.main_effects() {
        let silent = matches!(effect.verdict, Verdict::Costs | Verdict::Saves | Verdict::NotDetected)
            && effect.proof != Proof::Unproven;
        if silent || effect.contrast == "placebo" || effect.contrast == "off-absent" {
            continue;
        }
        let arm = effect.arm.map_or(String::new(), |arm| format!(" ({})", arm.as_str()));
        reasons.push(format!("{}{arm}: {}: {}", effect.title(), effect.word(), effect.reason));
    }
    for reason in reasons {
        document.item(reason);
    }
}

fn table(workload: &WorkloadAnalysis, first: &str, mut rows: Vec<&Effect>, unit: Unit) -> Table {
    let key = |effect: &Effect| effect.cost().map_or(f64::NEG_INFINITY, |cost| cost.value);
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let delta = unit.delta();
    let has_gap = workload.reference_gap.is_some();
    let mut header = vec![first, "=arm", &delta, "95 % interval", "Δ\n%"];
    header.extend(has_gap.then_some("of the\ngap"));
    header.extend(["Δ\ninstr.", "Δ\nfaults", "Δ\ncalls", "=verdict"]);
    let mut table = Table::new(header);
    for effect in rows {
        let name = label(effect);
        let arm = if effect.contrast == "main" { "main" } else { effect.arm.map_or("", |arm| arm.as_str()) };
        let value = effect.cost().map(|value| unit.estimate(value));
        let mut row = vec![name, arm.to_owned()];
        row.push(value.map_or_else(|| MISSING.to_owned(), |e| signed_point(e.value, e.interval)));
        row.push(interval(value.and_then(|e| e.interval)));
        row.push(or_missing(effect.cost_share(), percent));
        row.extend(has_gap.then(|| or_missing(effect.added_of_gap(), share)));
        for (response, _) in Response::COUNTED {
            let sibling = workload.sibling(effect, response).and_then(Effect::added);
            row.push(or_missing(sibling.map(|added| added.value), signed));
        }
        row.push(verdict(effect, unit));
        table.row(row);
    }
    table
}

/// What a row is called: the factor, the factor with its level, or what is compared when it is not one factor against
/// the baseline.
pub(super) fn label(effect: &Effect) -> String {
    match effect.contrast.as_str() {
        _ if effect.attribution => effect.title(),
        contrast if contrast.starts_with("baseline-") => effect.factor.clone(),
        contrast => format!("{} {contrast}", effect.factor),
    }
}

/// The verdict. One of nothing has the smallest effect that would have been found.
pub(super) fn verdict(effect: &Effect, unit: Unit) -> String {
    match (effect.verdict, effect.detectable) {
        (Verdict::NotDetected, Some(detectable)) => {
            format!("{}\n|Δ| < {}", effect.word(), number(unit.from(detectable)))
        }
        _ => effect.word().to_owned(),
    }
}

/// A factor or level that a sentence names.
struct Named {
    title: String,
    cost: Option<Estimate>,
    share: Option<f64>,
    of_gap: Option<f64>,
}

/// The factors and levels that are proven to have this verdict, the largest effect first: crossed factors by Shapley values, whose intervals
/// hold for all rows as in their table.
fn named(workload: &WorkloadAnalysis, verdict: Verdict) -> Vec<Named> {
    let of_effect = |effect: &Effect| Named {
        title: effect.title(),
        cost: effect.cost(),
        share: effect.cost_share(),
        of_gap: effect.added_of_gap(),
    };
    let rows = if verdict == Verdict::Saves { workload.top_savers() } else { workload.top_costs() };
    let crossed: Vec<_> = workload.crossed.iter().flat_map(|crossed| &crossed.factors).collect();
    let title = |factor: &CrossedFactor| match is_away(&factor.away) {
        true => factor.factor.clone(),
        false => format!("{}: {}", factor.factor, factor.away),
    };
    let is_crossed = |effect: &Effect| crossed.iter().any(|factor| title(factor) == effect.title());
    let mut out: Vec<Named> =
        rows.into_iter().filter(|effect| !is_crossed(effect) && effect.proof == Proof::Proven).map(of_effect).collect();
    let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    let baseline = baseline.and_then(|cell| cell.value(workload.response)).map(|value| value.value);
    for factor in &crossed {
        let is_level = !is_away(&factor.away);
        let own = if is_level { factor.shapley.verdict.reversed() } else { factor.shapley.verdict };
        if own != verdict || factor.proof != Proof::Proven {
            continue;
        }
        let value = Estimate { interval: factor.shapley.together, ..factor.shapley.alone };
        let sign = if is_level { -1.0 } else { 1.0 };
        let cost = as_cost(Response::main(workload.response), if is_level { negated(value) } else { value });
        out.push(Named {
            title: title(factor),
            cost: Some(cost),
            share: baseline.map(|baseline| cost.value / baseline.abs()).filter(|share| share.is_finite()),
            of_gap: factor.share.map(|share| sign * share.value),
        });
    }
    let size = |named: &Named| named.cost.map_or(0.0, |cost| cost.value.abs());
    out.sort_by(|a, b| size(b).total_cmp(&size(a)));
    out
}

/// One sentence that names what costs most and what saves most.
pub(super) fn top_three(workload: &WorkloadAnalysis) -> String {
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let peer = workload.reference_gap.as_ref().map_or("the peer", |reference| &reference.peer);
    let say = |named: &Named| {
        let estimate = named.cost.map(|value| unit.estimate(value));
        let of_baseline = named.share.map_or(String::new(), |share| format!(", {}", percent(share)));
        let of_gap = named.of_gap.map_or(String::new(), |s| format!(", {} of the gap to {peer}", share(s)));
        let value = format!("{} {}", with_interval(estimate.as_ref()), unit.label());
        format!("{} ({}{of_baseline}{of_gap})", named.title, value.trim_end())
    };
    let costs: Vec<String> = named(workload, Verdict::Costs).iter().take(3).map(say).collect();
    let savers: Vec<String> = named(workload, Verdict::Saves).iter().take(3).map(say).collect();
    let has_shapley = workload.crossed.as_ref().is_some_and(|crossed| !crossed.factors.is_empty());
    let by = if has_shapley { ", by Shapley value" } else { "" };
    let name = &workload.name;
    let (one, many) = if workload.response.quantity().is_better_high() { ("gains", "gain") } else { ("saves", "save") };
    match (costs.is_empty(), savers.is_empty()) {
        (true, true) => no_claim(workload, unit),
        (false, true) => format!("In {name} {}.", claims(&costs, "costs", "cost", by)),
        (true, false) => format!("In {name} {}.", claims(&savers, one, many, by)),
        (false, false) => {
            format!("In {name} {}; {}.", claims(&costs, "costs", "cost", by), claims(&savers, one, many, ""))
        }
    }
}

/// `these cost most: a, b and c`.
fn claims(named: &[String], one: &str, many: &str, by: &str) -> String {
    match named {
        [] => format!("nothing {one}"),
        [only] => format!("one factor {one}{by}: {only}"),
        [first, second] => format!("two {many}{by}: {first} and {second}"),
        [first, second, third, ..] => format!("these {many} most{by}: {first}, {second} and {third}"),
    }
}

/// Why no factor is named.
fn no_claim(workload: &WorkloadAnalysis, unit: Unit) -> String {
    let name = &workload.name;
    let rows = || workload.main_effects().filter(|effect| effect.attribution);
    match workload.unjudged() {
        Some(Unjudged::NotMeasured(why)) => format!("Nothing was measured in {name}: {why}."),
        _ if rows().next().is_none() => format!("{name}: the design compares no single factor."),
        Some(Unjudged::TooFewBlocks(blocks)) => {
            let seen = largest_seen(workload, unit);
            let seen = seen.map_or_else(String::new, |seen| format!(" So far the largest difference is {seen}."));
            format!(
                "Nothing can be decided in {name} yet: it has {blocks} of the {MIN_BLOCKS} blocks that an interval \
                 takes.{seen}"
            )
        }
        None if rows().all(|effect| effect.proof == Proof::Unproven) => {
            format!("In {name} nothing is claimed: no factor's levels are proven to be two different things.")
        }
        None => format!("In {name} no factor is found to cost or to save anything.{}", undecided(workload, unit)),
    }
}

/// The largest difference that nothing is claimed about, as a cost: `cache, +9.64 ns/op`.
fn largest_seen(workload: &WorkloadAnalysis, unit: Unit) -> Option<String> {
    let open = workload.candidates().into_iter().next()?;
    let value = format!("{} {}", signed(unit.from(open.estimate)), unit.label());
    let of_baseline = open.share.map_or(String::new(), |share| format!(", {}", percent(share)));
    let sign = if workload.response.quantity().is_better_high() { " as a cost" } else { "" };
    Some(format!("{}, {}{sign}{of_baseline}", open.title, value.trim_end()))
}

/// A sentence about the largest difference that is neither claimed nor excluded, and how many blocks would decide it.
fn undecided(workload: &WorkloadAnalysis, unit: Unit) -> String {
    let needed = workload.candidates().first().and_then(|open| open.blocks_needed);
    let needed = needed
        .map_or_else(String::new, |blocks| format!("; about {} would probably decide it", counted(blocks, "block")));
    let seen = largest_seen(workload, unit);
    seen.map_or_else(String::new, |seen| format!(" The largest difference ({seen}) is open{needed}."))
}
