//! The head of a report and the table that answers the first question: what costs most, and how far is the peer.

use super::content::{has_rates, sign_of_rates};
use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, count, counted, gap_marked, interval, number, or_missing, part, percent, share, signed_point,
};
use crate::analyse::{Analysis, Effect, Unjudged, WorkloadAnalysis};
use crate::store::shards;
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, InstrumentStatus, MainResponse, Manifest};
use std::path::Path;

/// Factors that save, shown one by one; the rest is counted.
const MAX_SAVERS: usize = 2;

/// Study, machine, noise floor, and what cannot be measured here.
pub(super) fn head(document: &mut Document, manifest: &Manifest, analysis: &Analysis, machine: &[String]) {
    document.heading("The study");
    let subject = manifest.plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    document.item(format!(
        "subject: {}; config {}; {} of {}, seed {}",
        match subject.and_then(|cell| cell.served_by.as_deref()) {
            Some(allocator) => allocator.to_owned(),
            None => unserved(manifest, analysis),
        },
        manifest.config_path,
        counted(analysis.runs, "run"),
        counted(shards::blocks(manifest) as usize, "block"),
        manifest.seed
    ));
    if !machine.is_empty() {
        let which = if manifest.machines.len() > 1 { "machine 1" } else { "machine" };
        document.item(format!("{which}: {}", machine.join("; ")));
    }
    let floors = analysis.workloads.iter();
    let floors: Vec<String> =
        floors.map(|w| format!("{} {}", w.name, or_missing(w.floor_ns, |value| floor(w, value)))).collect();
    document.item(format!("noise floor (baseline against its placebo): {}", floors.join(", ")));
    let layouts: Vec<String> = analysis
        .workloads
        .iter()
        .filter_map(|w| Some(format!("{} {}", w.name, floor(w, w.layout_floor_ns?))))
        .collect();
    if !layouts.is_empty() {
        document.item(format!("noise floor between builds (dead code built in): {}", layouts.join(", ")));
    }
    if manifest.plan.layouts > 1 {
        document.item(format!(
            "code layouts: {} of each build, one per block in turn; an effect between builds and its interval hold for \
             the same code in any layout, not for one pair of binaries",
            manifest.plan.layouts
        ));
        for workload in &analysis.workloads {
            let Some((between, within)) = workload.layouts else { continue };
            document.item(format!(
                "{}: effects between builds have a standard deviation of {} between layouts, and of {} between blocks of \
                 one layout",
                workload.name,
                amount(workload.response, between),
                amount(workload.response, within)
            ));
        }
    } else if compares_builds(manifest) {
        document.item(
            "code layouts: 1 of each build; an effect between builds holds for this pair of binaries, and another link \
             of the same code may differ: `layouts` in the config says how much",
        );
    }
    contention(document, analysis);
    for remark in &analysis.remarks {
        document.item(remark.clone());
    }
    for (names, reason) in unavailable(&manifest.instruments) {
        document.item(format!("{MISSING}: {}: {reason}", names.join(", ")));
    }
    if analysis.ignored > 0 {
        let belong = if analysis.ignored == 1 { "belongs to no cell or was" } else { "belong to no cell or were" };
        document.item(format!("{} {belong} repeated", counted(analysis.ignored, "record")));
    }
}

/// The subject where no run tells which allocator served it: its program, and what is known of it.
fn unserved(manifest: &Manifest, analysis: &Analysis) -> String {
    let preloaded = manifest.plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    let preloaded = preloaded.and_then(|cell| Path::new(cell.env.get("LD_PRELOAD")?).file_name());
    let own = manifest.plan.workloads.iter().filter(|workload| workload.command.is_some()).count();
    if let (Some(library), 1..) = (preloaded, own) {
        let programs = counted(own, "program");
        return format!(
            "{programs} with {} preloaded (a run that does not open it is invalid)",
            library.to_string_lossy()
        );
    }
    let built = manifest.builds.first().and_then(|build| build.result.as_ref().ok());
    let name = built.and_then(|built| Path::new(&built.path).file_name());
    let name = name.map_or_else(|| "the program of the config".into(), |name| name.to_string_lossy());
    if manifest.plan.workloads.iter().any(|workload| workload.benchmark.is_some()) {
        return format!("{name}, by what its benchmark harness printed");
    }
    match analysis.workloads.iter().all(|workload| workload.is_per_run) {
        true => format!("{name}, judged from outside"),
        false => format!("{name} (its config names no served_by, so which allocator served it is not checked)"),
    }
}

/// What the contention probes retained, and whether that was fair.
fn contention(document: &mut Document, analysis: &Analysis) {
    let contention = &analysis.contention;
    if let Some((reference, retained)) = contention.reference_ns.zip(contention.retained) {
        let biased = analysis.workloads.iter().filter(|w| w.retention.as_ref().is_some_and(|k| k.is_biased()));
        let biased: Vec<&str> = biased.map(|w| w.name.as_str()).collect();
        let fair = if biased.is_empty() {
            "retention does not depend on the cell".to_owned()
        } else {
            format!("retention DEPENDS on the cell in {}", biased.join(", "))
        };
        let used = if contention.applied { "" } else { ", too few to use, so all batches count" };
        document.item(format!(
            "contention probes: {} of the batches were undisturbed (within 8 % of {}){used}; {fair}",
            part(retained),
            match contention.reference_by_machine_ns.is_empty() {
                true => format!("{reference:.3} ns per step"),
                false => "what a step takes at best on their machine".to_owned(),
            }
        ));
    }
    if let Some(quiet) = contention.quiet_processes {
        document.item(format!(
            "{} of the timed processes found a quiet processor just before and just after their run",
            part(quiet)
        ));
    }
}

/// A value by itself, with its unit.
pub(super) fn amount(response: MainResponse, value: f64) -> String {
    let estimate = Estimate { value, interval: None, blocks: 0 };
    let unit = Unit::of_response(response, [estimate], Unit::LIMIT);
    format!("{} {}", number(unit.from(value)), unit.name).trim_end().to_owned()
}

/// A noise floor with what it is per.
fn floor(workload: &WorkloadAnalysis, value: f64) -> String {
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    format!("{} {}", number(unit.from(value)), unit.label()).trim_end().to_owned()
}

/// The facts of the machine that a reader compares first; empty when none is known.
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
pub(crate) fn unavailable(instruments: &[InstrumentStatus]) -> Vec<(Vec<&str>, &str)> {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for instrument in instruments {
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

/// The three factors that cost most in each workload and the two that save most, or why there are none, and the gap to
/// every peer.
pub(super) fn overview(document: &mut Document, analysis: &Analysis) {
    document.heading("What costs most, and what saves, per workload");
    let peers: Vec<&str> =
        analysis.workloads.first().map_or(Vec::new(), |w| w.gaps.iter().map(|gap| gap.peer.as_str()).collect());
    // One table for each unit, so that numbers below one another can be compared.
    let mut units: Vec<String> = Vec::new();
    for workload in &analysis.workloads {
        let unit = Unit::of_factors(workload, Unit::LIMIT).delta();
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    for unit in &units {
        document.table(factors(analysis, &peers, unit));
    }
    let of_gap = if has_gap(analysis) { " of gap: share of the gap to the first peer." } else { "" };
    let better = if has_rates(analysis) { " (of a rate, /s, better)" } else { "" };
    let vs = if peers.is_empty() {
        String::new()
    } else {
        format!(
            " vs: baseline against the peer, + is worse{better}; ~: no difference is claimed, as the interval contains 0 or there is none."
        )
    };
    document.text(format!(
        "Δ: what the factor adds (− saves), with its 95 % interval: the baseline minus the baseline without this factor; \
         of a level (factor: level), that level minus the baseline's. %: of the baseline's value. Every Δ that costs or saves lies outside the noise floor, and its cross-check agrees. proof: the arms (env, feature, \
         both) whose counters prove that the factor worked with it and did not without it; a program without counters is \
         proven by exact counts or by its binaries; {MISSING}: the effect is measured and unproven.{of_gap} by: what is \
         measured. p10 is the 10th percentile of a process, cross-checked by the median; wall, cpu and rss-peak are those \
         of the whole process, cross-checked by the median over blocks.{vs}{}",
        sign_of_rates(analysis)
    ));
    let open: Vec<String> = analysis.workloads.iter().filter_map(blocks_needed).collect();
    if !open.is_empty() {
        document.text(format!(
            "(name?): the largest differences where no factor stands out from the noise; nothing is claimed. Blocks that \
             would probably decide them: {}.",
            open.join("; ")
        ));
    }
}

/// The workloads whose factors are told in this unit.
fn factors(analysis: &Analysis, peers: &[&str], delta: &str) -> Table {
    let has_gap = has_gap(analysis);
    let mut header = ["<workload", "=by", "=factor"].map(str::to_owned).to_vec();
    header.extend([format!("<{delta} [95 %]"), "Δ\n%".to_owned()]);
    header.extend(has_gap.then(|| "of\ngap".to_owned()));
    header.extend(["=verdict", "=proof"].map(str::to_owned));
    header.extend(peers.iter().map(|peer| format!("vs\n{peer}")));
    let mut table = Table::new(header);
    for workload in &analysis.workloads {
        let rows = factor_rows(workload);
        let unit = Unit::of_factors(workload, Unit::LIMIT);
        if unit.delta() != delta {
            continue;
        }
        for (place, row) in rows.into_iter().enumerate() {
            let is_first = place == 0;
            let mut cells = match is_first {
                true => vec![workload.name.clone(), workload.response.as_str().to_owned()],
                false => vec![String::new(), String::new()],
            };
            cells.push(row.factor);
            cells.push(row.value.map_or_else(String::new, |value| {
                let value = unit.estimate(value);
                format!("{} {}", signed_point(value.value, value.interval), interval(value.interval))
            }));
            cells.push(row.of_baseline.map_or_else(String::new, percent));
            cells.extend(has_gap.then(|| row.share.map_or_else(String::new, share)));
            cells.extend([row.verdict.to_owned(), row.proof]);
            let gaps = workload.gaps.iter().take(peers.len());
            cells.extend(gaps.map(|gap| match is_first {
                true => gap.gap_ratio.map_or_else(|| MISSING.to_owned(), gap_marked),
                false => String::new(),
            }));
            table.row(cells);
        }
    }
    table
}

/// Whether any workload has a gap that shares refer to.
fn has_gap(analysis: &Analysis) -> bool {
    analysis.workloads.iter().any(|workload| workload.reference_gap.is_some())
}

/// One line of the overview.
struct FactorRow {
    factor: String,
    value: Option<Estimate>,
    of_baseline: Option<f64>,
    share: Option<f64>,
    verdict: &'static str,
    proof: String,
}

/// The factors of one workload: those found to cost, else candidates, else a line that says that there are none; then
/// those that save most.
fn factor_rows(workload: &WorkloadAnalysis) -> Vec<FactorRow> {
    let claimed = |effect: &&Effect| FactorRow {
        factor: effect.title(),
        value: effect.cost(),
        of_baseline: effect.cost_share(),
        share: effect.added_of_gap(),
        verdict: effect.word(),
        proof: proof(workload, &effect.title()),
    };
    let mut rows: Vec<FactorRow> = workload.top_costs().iter().take(3).map(claimed).collect();
    if rows.is_empty() {
        rows.extend(workload.candidates().into_iter().take(3).map(|candidate| FactorRow {
            factor: format!("({}?)", candidate.title),
            value: Some(Estimate { value: candidate.estimate, interval: candidate.interval, blocks: candidate.blocks }),
            of_baseline: candidate.share,
            share: None,
            verdict: "open",
            proof: proof(workload, &candidate.title),
        }));
    }
    let word = |factor: String| FactorRow {
        factor,
        value: None,
        of_baseline: None,
        share: None,
        verdict: "",
        proof: String::new(),
    };
    let savers = workload.top_savers();
    // Where something saves, it is the answer.
    if rows.is_empty() && savers.is_empty() {
        rows.push(word(match workload.unjudged() {
            Some(Unjudged::NotMeasured(_)) => MISSING.to_owned(),
            Some(Unjudged::TooFewBlocks(_)) => "too few blocks".to_owned(),
            None => "none".to_owned(),
        }));
    }
    rows.extend(savers.iter().take(MAX_SAVERS).map(claimed));
    if savers.len() > MAX_SAVERS {
        rows.push(word(format!("and {} more save", count(savers.len() - MAX_SAVERS))));
    }
    rows
}

/// The arms that prove a factor, in one word.
fn proof(workload: &WorkloadAnalysis, factor: &str) -> String {
    match workload.proven_arms(factor)[..] {
        [] => MISSING,
        [arm] => arm,
        _ => "both",
    }
    .to_owned()
}

/// What the candidates of a workload would need, by name; `None` without candidates.
fn blocks_needed(workload: &WorkloadAnalysis) -> Option<String> {
    let candidates = workload.candidates();
    let needs = candidates.iter().take(3).map(|candidate| {
        let blocks =
            candidate.blocks_needed.map_or_else(|| "unknown".to_owned(), |blocks| format!("≈ {}", count(blocks)));
        format!("{} {blocks}", candidate.title)
    });
    let needs: Vec<String> = needs.collect();
    (!needs.is_empty()).then(|| format!("{}: {}", workload.name, needs.join(", ")))
}

/// Whether a contrast is between cells of two builds.
fn compares_builds(manifest: &Manifest) -> bool {
    let plan = &manifest.plan;
    let build = |id: &String| plan.cells.iter().find(|cell| cell.id == *id).map(|cell| &cell.build);
    plan.contrasts.iter().any(|contrast| {
        let (plus, minus) = (build(&contrast.plus), build(&contrast.minus));
        plus.is_some() && minus.is_some() && plus != minus
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_said_once_for_each_reason() {
        let status = |name: &str, why: Option<&str>| InstrumentStatus {
            name: name.to_owned(),
            exact: true,
            unavailable: why.map(str::to_owned),
            origin: String::new(),
            cost: String::new(),
        };
        let list = [status("a", Some("x; y")), status("b", None), status("c", Some("x; y")), status("d", Some("z"))];
        assert_eq!(unavailable(&list), [(vec!["a", "c"], "x; y"), (vec!["d"], "z")]);
    }
}
