//! The head of every report: which factor costs most, how sure that is and what proves it, then one table of all factors.
//!
//! A cost without proof is never the headline. It has a line of its own, which says how to prove it. On a terminal the
//! head takes at most [`LINES`] lines; the quick form of a study prints nothing else.

use super::content::{has_factors, has_rows};
use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, counted, interval, meaning, or_missing, part, percent, point, signed_point, with_interval,
};
use super::workload::top_three;
use super::{paths, peers, targets};
use crate::analyse::{Analysis, Contrasted, Effect, Proof, Response, Verdict, WorkloadAnalysis};
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, MainResponse, Manifest};
use std::collections::BTreeSet;
use std::path::Path;

/// Most lines of the head on a terminal.
const LINES: usize = 25;

/// Most factors in the table, and most workloads that have a sentence of their own.
const LIMITS: Limits = Limits { rows: 12, sentences: 3 };

/// Below this number of factors a sentence goes before another row does.
const LEAST_ROWS: usize = 4;

/// How much of the head is shown; the rest is counted.
#[derive(Debug, Clone, Copy)]
struct Limits {
    rows: usize,
    sentences: usize,
}

/// The head of a report for a terminal of `columns`; `usize::MAX` is for Markdown, where nothing is left out.
pub(super) fn head(document: &mut Document, manifest: &Manifest, analysis: &Analysis, columns: usize) {
    let title = format!("{}: {}", manifest.study, size(manifest, analysis));
    fill(document, columns, 0, |document, limits| {
        document.title(title.clone());
        answer(document, manifest, analysis, limits);
        if has_rows(manifest) {
            factors(document, manifest, analysis, limits, columns);
        }
    });
}

/// The whole screen of the quick form; `full` is the command that runs the study in full.
pub(super) fn quick(dir: &Path, manifest: &Manifest, analysis: &Analysis, full: &str, columns: usize) -> Document {
    let mut closing = Document::default();
    closing.item(format!("the full study, with narrower intervals and every workload: {full}"));
    closing.item(format!("all tables of this run: {}", dir.join("report.md").display()));
    let mut document = Document::default();
    fill(&mut document, columns, closing.terminal(columns).lines().count() + 1, |document, limits| {
        document.title(format!("{}, quick form: {}", manifest.study, size(manifest, analysis)));
        answer(document, manifest, analysis, limits);
        factors(document, manifest, analysis, limits, columns);
    });
    document.append(closing);
    document
}

/// Adds as much of `part` as the lines allow: fewer rows first, then fewer sentences. `reserved` lines stay free.
fn fill(document: &mut Document, columns: usize, reserved: usize, part: impl Fn(&mut Document, Limits)) {
    let filled = |limits: Limits| {
        let mut head = Document::default();
        part(&mut head, limits);
        head
    };
    if columns == usize::MAX {
        return document.append(filled(Limits { rows: usize::MAX, sentences: usize::MAX }));
    }
    let sentences = (0..=LIMITS.sentences).rev();
    let with_rows = sentences.flat_map(|sentences| (1..=LIMITS.rows).rev().map(move |rows| (rows, sentences)));
    let enough = with_rows.filter(|(rows, sentences)| *rows >= LEAST_ROWS || *sentences == 0);
    let mut heads = enough.map(|(rows, sentences)| filled(Limits { rows, sentences }));
    let fits = |head: &Document| head.terminal(columns).lines().count() + reserved <= LINES;
    document.append(heads.find(fits).unwrap_or_else(|| filled(Limits { rows: 0, sentences: 0 })));
}

/// `6 blocks of 2 workloads`.
fn size(manifest: &Manifest, analysis: &Analysis) -> String {
    let blocks = counted(manifest.blocks as usize, "block");
    format!("{blocks} of {}", counted(analysis.workloads.len(), "workload"))
}

/// The answer in sentences.
fn answer(document: &mut Document, manifest: &Manifest, analysis: &Analysis, limits: Limits) {
    if has_rows(manifest) {
        match costliest(manifest, analysis, Proof::Proven) {
            Some(cost) => {
                let unproven = costliest(manifest, analysis, Proof::Unproven);
                let is_largest = unproven.is_none_or(|other| other.share() <= cost.share());
                cost.sentences(document, manifest, is_largest);
            }
            None => document.text("No factor is proven to cost anything in these workloads."),
        }
        unproven(document, manifest, analysis);
        let open: Vec<&WorkloadAnalysis> =
            analysis.workloads.iter().filter(|w| costs(manifest, w).is_empty()).collect();
        for workload in open.iter().take(limits.sentences) {
            document.item(top_three(workload));
        }
        // Without any of them the table says it.
        let rest = open.len().saturating_sub(limits.sentences);
        if rest > 0 && limits.sentences > 0 {
            document.item(format!("no cost either in {}; see report.md", counted(rest, "more workload")));
        }
    } else if !has_factors(manifest) {
        match peers::summary(analysis) {
            Some(race) => document.text(race),
            None if analysis.workloads.is_empty() => {}
            None => values(document, analysis),
        }
    }
    for path in analysis.paths.iter().filter_map(paths::summary) {
        document.item(path);
    }
    if let Some(targets) = targets::summary(analysis) {
        document.item(format!("targets: {targets}"));
    }
}

/// What each workload takes: the answer of a study that compares nothing.
fn values(document: &mut Document, analysis: &Analysis) {
    document.text("This study has no factors and no peers, so it compares nothing. What each workload takes:");
    let mut table = Table::new(["<workload", "value", "[95 %]", "blocks", "=of"]);
    for workload in &analysis.workloads {
        let value = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
        let value = value.and_then(|cell| cell.value(workload.response));
        let unit = Unit::of_response(workload.response, value, Unit::LIMIT);
        let value = value.map(|value| unit.estimate(value));
        table.row([
            workload.name.clone(),
            value.map_or_else(|| MISSING.to_owned(), |value| point(value.value, value.interval)),
            interval(value.and_then(|value| value.interval)),
            value.map_or_else(|| MISSING.to_owned(), |value| value.blocks.to_string()),
            unit.with(workload.response),
        ]);
    }
    document.table(table);
}

/// What a study says about one factor in one workload.
struct Standing<'a> {
    workload: &'a WorkloadAnalysis,
    factor: &'a str,
    verdict: Verdict,
    value: Option<Estimate>,
    proof: Proof,
    is_shapley: bool,
}

/// By Shapley value where the factor is crossed, else by the contrast that takes it away: the one that proves a cost
/// or a saving, else the first.
fn standing<'a>(workload: &'a WorkloadAnalysis, factor: &'a str) -> Option<Standing<'a>> {
    let crossed = workload.crossed.iter().flat_map(|crossed| &crossed.factors).find(|row| row.factor == factor);
    if let Some(row) = crossed {
        let value = Some(Estimate { interval: row.shapley.together, ..row.shapley.alone });
        let (verdict, proof) = (row.shapley.verdict, row.proof);
        return Some(Standing { workload, factor, verdict, value, proof, is_shapley: true });
    }
    let is_own = |effect: &&Effect| effect.factor == factor && effect.attribution;
    let claimed = workload.top_costs().into_iter().chain(workload.top_savers()).find(is_own);
    let away = || workload.main_effects().filter(is_own).find(|effect| effect.takes_away());
    let effect = claimed.or_else(away).or_else(|| workload.main_effects().find(is_own))?;
    let (verdict, proof) = (effect.verdict, effect.proof);
    Some(Standing { workload, factor, verdict, value: effect.value(), proof, is_shapley: false })
}

/// The factors that cost in a workload.
fn costs<'a>(manifest: &'a Manifest, workload: &'a WorkloadAnalysis) -> Vec<Standing<'a>> {
    let all = manifest.plan.factors.iter().filter_map(|factor| standing(workload, &factor.name));
    all.filter(|standing| standing.verdict == Verdict::Costs).collect()
}

/// The cost with this proof that is the largest share of its baseline's value.
fn costliest<'a>(manifest: &'a Manifest, analysis: &'a Analysis, proof: Proof) -> Option<Standing<'a>> {
    let all = analysis.workloads.iter().flat_map(|workload| costs(manifest, workload));
    let shares = all.filter(|cost| cost.proof == proof).filter_map(|cost| Some((cost.share()?, cost)));
    shares.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, cost)| cost)
}

/// The largest cost that is measured but not proven, with how to prove it; the others are counted.
fn unproven(document: &mut Document, manifest: &Manifest, analysis: &Analysis) {
    let Some(cost) = costliest(manifest, analysis, Proof::Unproven) else { return };
    let factor = cost.factor;
    let all = analysis.workloads.iter().flat_map(|workload| costs(manifest, workload));
    let names: BTreeSet<&str> = all.filter(|cost| cost.proof == Proof::Unproven).map(|cost| cost.factor).collect();
    let unit = Unit::of_factors(cost.workload, Unit::LIMIT);
    let value = cost.value.map(|value| unit.estimate(cost.cost(value)));
    let more = match names.len() - 1 {
        0 => String::new(),
        more => format!("; the same holds for {}", counted(more, "more factor")),
    };
    document.item(format!(
        "measured but unproven: {factor} costs {} {} in {}. No count tells whether it was on or off: add proof = \
         [\"{factor}.COUNTER\"] with a counter that the program prints, or \"callgrind\" to instruments{more}.",
        with_interval(value.as_ref()),
        unit.label(),
        cost.workload.name,
    ));
}

/// Value of the baseline in the main response.
fn baseline(workload: &WorkloadAnalysis) -> Option<f64> {
    let cell = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline)?;
    Some(cell.value(workload.response)?.value)
}

impl Standing<'_> {
    /// A difference as what the factor costs, negative where it saves: a rate that is lower with it is a cost.
    fn cost(&self, difference: Estimate) -> Estimate {
        let cost_of = |difference| Response::main(self.workload.response).cost_of(difference);
        let ends = difference.interval.map(|(lo, hi)| (cost_of(lo), cost_of(hi)));
        let interval = ends.map(|(a, b)| (a.min(b), a.max(b)));
        Estimate { value: cost_of(difference.value), interval, blocks: difference.blocks }
    }

    /// The cost as a part of the baseline's value; 1 is all of it.
    fn share(&self) -> Option<f64> {
        Some(self.cost(self.value?).value / baseline(self.workload)?).filter(|share| share.is_finite())
    }

    /// What it costs, how sure that is, and what proves it. `is_largest`: no cost without proof is larger.
    fn sentences(&self, document: &mut Document, manifest: &Manifest, is_largest: bool) {
        let workload = self.workload;
        let unit = Unit::of_factors(workload, Unit::LIMIT);
        let Some(value) = self.value.map(|value| unit.estimate(self.cost(value))) else { return };
        document.text(format!(
            "{} {}: {} of the {} {} in workload {} ({}).",
            self.factor,
            if is_largest { "costs most" } else { "has the largest proven cost" },
            point(value.value, value.interval),
            or_missing(baseline(workload), |value| point(unit.from(value), None)),
            unit.with(workload.response),
            workload.name,
            or_missing(self.share(), part),
        ));
        let shapley = if self.is_shapley { " of its Shapley value, for all factors together" } else { "" };
        let floor = |floor: f64| format!("{} {}", point(unit.from(floor), None), unit.label());
        document.item(format!(
            "how sure: 95 % interval {} {}{shapley}, {}; a switch without effect shows {}",
            interval(value.interval),
            unit.label(),
            counted(value.blocks, "block"),
            or_missing(workload.floor_ns, floor).trim_end()
        ));
        if let Some(both) = self.removed_and_added(unit) {
            document.item(both);
        }
        let planned = manifest.plan.factors.iter().find(|planned| planned.name == self.factor);
        let counters = planned.map_or(&[][..], |planned| &planned.proof);
        document.item(match counters {
            [] => "proven: exact counts, or the binaries, differ between its levels".to_owned(),
            [counter] => format!("proven: counter {counter} is above 0 with the factor and 0 without it"),
            all => format!("proven: of {} one is above 0 with the factor, all are 0 without it", all.join(", ")),
        });
    }
}

impl Standing<'_> {
    /// What taking the factor away from this program changes, and what adding it to a program without any of the
    /// factors does: a Shapley value lies between the two, and alone reads as if the removal gained all of it.
    fn removed_and_added(&self, unit: Unit) -> Option<String> {
        let crossed = self.workload.crossed.as_ref().filter(|_| self.is_shapley)?;
        let row = crossed.factors.iter().find(|row| row.factor == self.factor)?;
        let cost = |contrasted: &Contrasted| {
            let estimate = self.cost(Estimate { interval: contrasted.together, ..contrasted.alone });
            let estimate = unit.estimate(estimate);
            let value = signed_point(estimate.value, estimate.interval);
            format!("{value} {} {}", unit.label(), interval(estimate.interval))
        };
        Some(format!(
            "it depends on the other factors: in the program as it is {} costs {}, added to a program without the \
             factors {}",
            self.factor,
            cost(&row.leave_one_out),
            cost(&row.add_one_in)
        ))
    }
}

/// One row per factor, the costliest first, and one column per workload; the baseline and its gap to a peer on top.
fn factors(document: &mut Document, manifest: &Manifest, analysis: &Analysis, limits: Limits, columns: usize) {
    if limits.rows == 0 || analysis.workloads.is_empty() {
        return;
    }
    let mut workloads: Vec<&WorkloadAnalysis> = analysis.workloads.iter().collect();
    let table = |shown: usize| table(manifest, &workloads[..shown], limits.rows);
    let fitting = (1..=workloads.len()).rev().find(|shown| table(*shown).width() <= columns).unwrap_or(1);
    // The answer's own workload is among those that fit.
    let first = costliest(manifest, analysis, Proof::Proven).map(|cost| &cost.workload.name);
    let at = workloads.iter().position(|workload| Some(&workload.name) == first);
    if let Some(at) = at.filter(|at| *at >= fitting) {
        let named = workloads.remove(at);
        workloads.insert(0, named);
    }
    let table = self::table(manifest, &workloads[..fitting], limits.rows);
    let caption = caption(&table, &workloads[..fitting]);
    document.table(table);
    let hidden = [
        (manifest.plan.factors.len().saturating_sub(limits.rows), "more factor"),
        (workloads.len() - fitting, "more workload"),
    ];
    let hidden = hidden.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| counted(number, what));
    let hidden: Vec<String> = hidden.collect();
    let hidden = match hidden.is_empty() {
        true => String::new(),
        false => format!(" Only report.md shows {}.", hidden.join(" and ")),
    };
    document.text(caption + &hidden);
}

/// What the words and numbers of a table mean, those that it has.
fn caption(table: &Table, workloads: &[&WorkloadAnalysis]) -> String {
    let mut responses: Vec<MainResponse> = Vec::new();
    for workload in workloads {
        if !responses.contains(&workload.response) {
            responses.push(workload.response);
        }
    }
    let told = |response: &MainResponse| format!(" {}: {}.", response.as_str(), meaning(*response));
    let words = [("none", " none: nothing beyond the noise."), ("not exercised", " not exercised: no work there.")];
    let words = words.iter().filter(|(word, _)| table.has(word)).map(|(_, told)| (*told).to_owned());
    let told: String = responses.iter().map(told).chain(words).collect();
    format!("Each cell: what the factor costs (− saves).{told}")
}

fn table(manifest: &Manifest, workloads: &[&WorkloadAnalysis], rows: usize) -> Table {
    let units: Vec<Unit> = workloads.iter().map(|workload| Unit::of_factors(workload, Unit::LIMIT)).collect();
    let columns = || workloads.iter().copied().zip(units.iter().copied());
    let named = columns().map(|(workload, unit)| format!("{}\n{}", workload.name, unit.with(workload.response)));
    let mut table = Table::new(std::iter::once("<factor".to_owned()).chain(named));
    let value = |(workload, unit): (&WorkloadAnalysis, Unit)| {
        or_missing(baseline(workload), |value| point(unit.from(value), None))
    };
    table.row(std::iter::once("(baseline)".to_owned()).chain(columns().map(value)));
    if let Some(peer) = workloads.first().and_then(|workload| workload.gaps.first()).map(|gap| &gap.peer) {
        let gap = |workload: &&WorkloadAnalysis| {
            let gap = workload.gaps.iter().find(|gap| gap.peer == *peer).and_then(|gap| gap.gap_ratio);
            or_missing(gap.map(|gap| gap.value), percent)
        };
        table.row(std::iter::once(format!("(against {peer})")).chain(workloads.iter().map(gap)));
    }
    let largest = |factor: &str| {
        let costs = workloads.iter().filter_map(|workload| standing(workload, factor));
        let costs = costs.filter(|standing| standing.verdict == Verdict::Costs);
        costs.filter_map(|cost| cost.share()).fold(0.0, f64::max)
    };
    let mut factors: Vec<(&str, f64)> =
        manifest.plan.factors.iter().map(|factor| (factor.name.as_str(), largest(&factor.name))).collect();
    factors.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (factor, _) in factors.into_iter().take(rows) {
        let cells = columns().map(|(workload, unit)| cell(workload, unit, factor));
        table.row(std::iter::once(factor.to_owned()).chain(cells));
    }
    table
}

/// What is known of a factor in a workload.
fn cell(workload: &WorkloadAnalysis, unit: Unit, factor: &str) -> String {
    let Some(standing) = standing(workload, factor) else { return MISSING.to_owned() };
    match (standing.verdict, standing.value) {
        (Verdict::Costs | Verdict::Saves, Some(value)) => {
            let value = unit.estimate(standing.cost(value));
            let mark = if standing.proof == Proof::Unproven { " unproven" } else { "" };
            signed_point(value.value, value.interval) + mark
        }
        (Verdict::NotDetected | Verdict::BelowFloor, _) => "none".to_owned(),
        (verdict, _) => verdict.as_str().replace('-', " "),
    }
}

#[cfg(test)]
mod tests;
