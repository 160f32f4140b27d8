//! The head of every report: what costs or saves most, how sure that is and what proves it, then one table of all
//! factors and levels.
//!
//! A claim without proof is never the headline. It has a line of its own, which says how to prove it. On a terminal the
//! head takes [`LINES`] lines, and never more than [`LINES_MAX`]; the quick form of a study prints nothing else.

mod standing;

use super::content::{has_factors, has_rows};
use super::document::{Document, Table};
use super::number::{MISSING, Unit, counted, gap_claimed, interval, meaning, or_missing, point};
use super::workload::top_three;
use super::{memory, paths, peers, targets};
use crate::analyse::{Analysis, Proof, Unjudged, Verdict, WorkloadAnalysis};
use crate::prove::ways;
use crate::store::shards;
use crate::support::count::counted_verb;
use crate::support::text::shortened;
use ablate_format::{CellKind, MainResponse, Manifest};
use ablate_stats::MIN_BLOCKS;
use standing::{BELOW, Rank, baseline};
use std::path::Path;

pub(crate) use standing::{Standing, standings};

/// Lines that the head has on a terminal.
const LINES: usize = 25;

/// Most lines of the head, where what must be said has no room in [`LINES`] beside the table.
const LINES_MAX: usize = 40;

/// Most factors in the table, and most workloads that have a sentence of their own.
const LIMITS: Limits = Limits { rows: 12, sentences: 3, detail: Detail::Full };

/// Below this number of factors a sentence goes before another row does.
const LEAST_ROWS: usize = 4;

/// How much of the head is shown; the rest is counted.
#[derive(Debug, Clone, Copy)]
struct Limits {
    rows: usize,
    sentences: usize,
    detail: Detail,
}

/// How long the sentences are that only help to go on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Detail {
    /// All of them, as long as they are.
    Full,
    /// The ways to prove a factor are left to report.html, and reasons are cut.
    Short,
    /// One row of each kind, the others counted.
    Least,
}

impl Detail {
    /// Longest reason, in characters.
    fn reason_max(self) -> usize {
        match self {
            Detail::Full => 320,
            Detail::Short => 120,
            Detail::Least => 60,
        }
    }

    /// Most rows that one sentence names.
    fn named(self) -> usize {
        if self == Detail::Least { 1 } else { 3 }
    }
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
    closing.item(format!("every figure and table, on one page: {}", dir.join("report.html").display()));
    let mut document = Document::default();
    fill(&mut document, columns, closing.terminal(columns).lines().count() + 1, |document, limits| {
        document.title(format!("{}, quick form: {}", manifest.study, size(manifest, analysis)));
        answer(document, manifest, analysis, limits);
        factors(document, manifest, analysis, limits, columns);
    });
    document.append(closing);
    document
}

/// Adds as much of `part` as the lines allow. What gives way, in this order: the length of hints, rows, sentences, what
/// sentences name. The table stays in any case, if need be on up to [`LINES_MAX`] lines. `reserved` lines stay free.
fn fill(document: &mut Document, columns: usize, reserved: usize, part: impl Fn(&mut Document, Limits)) {
    let filled = |limits: Limits| {
        let mut head = Document::default();
        part(&mut head, limits);
        head
    };
    if columns == usize::MAX {
        return document.append(filled(Limits { rows: usize::MAX, ..LIMITS }));
    }
    let rows = |least: usize, limits: Limits| (least..=LIMITS.rows).rev().map(move |rows| Limits { rows, ..limits });
    let shorter = [Detail::Short, Detail::Least].into_iter().flat_map(|detail| {
        let sentences = (0..=LIMITS.sentences).rev();
        sentences.flat_map(move |sentences| rows(LEAST_ROWS, Limits { sentences, detail, ..LIMITS }))
    });
    let longer = [(Detail::Short, 1), (Detail::Least, 0)].into_iter();
    let longer = longer.flat_map(|(detail, sentences)| rows(1, Limits { sentences, detail, ..LIMITS }));
    let usual = std::iter::once(LIMITS).chain(shorter).map(|limits| (limits, LINES));
    let mut heads = usual.chain(longer.map(|limits| (limits, LINES_MAX))).map(|(limits, most)| (filled(limits), most));
    let fits = |(head, most): &(Document, usize)| head.terminal(columns).lines().count() + reserved <= *most;
    let least = Limits { rows: 1, sentences: 0, detail: Detail::Least };
    document.append(heads.find(fits).map_or_else(|| filled(least), |(head, _)| head));
}

/// `6 blocks of 2 workloads`; `2 of 6 blocks of 2 workloads` while others are to come.
fn size(manifest: &Manifest, analysis: &Analysis) -> String {
    let all = shards::blocks(manifest) as usize;
    let blocks = counted(all, "block");
    let blocks = if analysis.blocks < all { format!("{} of {blocks}", analysis.blocks) } else { blocks };
    format!("{blocks} of {}", counted(analysis.workloads.len(), "workload"))
}

/// The answer in sentences.
fn answer(document: &mut Document, manifest: &Manifest, analysis: &Analysis, limits: Limits) {
    if has_rows(manifest) {
        findings(document, manifest, analysis, limits);
    } else if !has_factors(manifest) {
        match peers::summary(analysis) {
            Some(race) => document.text(race),
            None if analysis.workloads.is_empty() => {}
            None => values(document, analysis),
        }
    }
    let paths: Vec<String> = analysis.paths.iter().filter_map(paths::summary).collect();
    let named = if limits.detail == Detail::Least { limits.detail.named() } else { paths.len() };
    let more = paths.len().saturating_sub(named);
    for path in paths.into_iter().take(named) {
        document.item(path);
    }
    if more > 0 {
        document.item(format!("and {}: see report.html", counted(more, "more path")));
    }
    if let Some(targets) = targets::summary(analysis) {
        document.item(format!("targets: {targets}"));
    }
}

/// What is found of factors, and where nothing is.
fn findings(document: &mut Document, manifest: &Manifest, analysis: &Analysis, limits: Limits) {
    let all = all_standings(manifest, analysis);
    let has_answer = lead(document, manifest, &all, limits.detail);
    let is_unproven = analysis.workloads.len() > 1 && analysis.workloads.iter().all(claims_nothing);
    let open = analysis.workloads.iter().filter(|w| !is_unproven && !has_claim(manifest, w));
    let open: Vec<&WorkloadAnalysis> = open.collect();
    // One workload has its own sentence, which says the same.
    let is_told = open.len() == 1 && analysis.workloads.len() == 1 && limits.sentences > 0;
    if is_told {
        document.text(top_three(open[0]));
    } else if is_unproven {
        document.text(
            "In no workload is anything claimed: no factor's levels are proven to be two different things.".to_owned(),
        );
    } else if !has_answer {
        document.text(no_answer(analysis));
    }
    unproven(document, manifest, &all, limits.detail);
    invalid(document, &all, limits.detail);
    if let Some(told) = analysis.workloads.iter().find_map(memory::largest_peak) {
        document.item(told);
    }
    let listed = if is_told { open.len() } else { limits.sentences.min(open.len()) };
    for workload in open.iter().take(if is_told { 0 } else { listed }) {
        document.item(top_three(workload));
    }
    let (missing, nothing): (Vec<&WorkloadAnalysis>, Vec<&WorkloadAnalysis>) =
        open[listed..].iter().partition(|workload| matches!(workload.unjudged(), Some(Unjudged::NotMeasured(_))));
    // Without any of them the table says it.
    let nothing = if listed > 0 { nothing.len() } else { 0 };
    match (nothing, missing.len()) {
        (0, 0) => {}
        (0, 1) => document.item(format!("nothing was measured in {}: report.html says why", missing[0].name)),
        (0, missing) => {
            document.item(format!("nothing was measured in {}: report.html says why", counted(missing, "workload")))
        }
        (nothing, 0) => {
            document.item(format!("nothing either in {}; see report.html", counted(nothing, "more workload")))
        }
        (nothing, missing) => document.item(format!(
            "nothing either in {}; not measured in {missing}: report.html says why",
            counted(nothing, "more workload")
        )),
    }
}

/// What is said where nothing is claimed: that factors were judged and none stands out is another thing than that nothing
/// can be judged yet.
fn no_answer(analysis: &Analysis) -> String {
    let unjudged: Vec<Unjudged> = analysis.workloads.iter().filter_map(WorkloadAnalysis::unjudged).collect();
    let blocks =
        unjudged.iter().filter_map(|why| if let Unjudged::TooFewBlocks(n) = why { Some(*n) } else { None }).max();
    match (analysis.workloads.len() - unjudged.len(), blocks) {
        (0, None) => "Nothing is known of any factor, because no workload has proven runs to compare.".to_owned(),
        (0, Some(blocks)) => {
            format!("Nothing can be decided yet: an interval takes {MIN_BLOCKS} blocks, and there are {blocks}.")
        }
        (judged, _) if !unjudged.is_empty() => format!(
            "No factor is proven to cost or to save anything in the {} that could be judged.",
            counted(judged, "workload")
        ),
        _ => "No factor is proven to cost or to save anything in these workloads.".to_owned(),
    }
}

/// Whether a workload has factors and no levels of any are proven to be two different things.
fn claims_nothing(workload: &WorkloadAnalysis) -> bool {
    let rows = workload.telling();
    !rows.is_empty() && rows.iter().all(|effect| effect.proof == Proof::Unproven)
}

/// What each workload takes: the answer of a study that compares nothing.
fn values(document: &mut Document, analysis: &Analysis) {
    let has_peers = analysis.workloads.iter().any(|w| w.cells.iter().any(|cell| cell.kind == CellKind::Peer));
    let ratios = || analysis.workloads.iter().flat_map(|w| &w.gaps).filter(|gap| gap.gap_ratio.is_some());
    let why = if ratios().any(|gap| gap.compare) {
        format!("Fewer than {MIN_BLOCKS} blocks: the ratios to the peers have no intervals.")
    } else if ratios().next().is_some() {
        "No peer with a proven run is a competitor: the ratios to the others are bounds.".to_owned()
    } else if has_peers {
        "No peer has a proven run, so nothing is compared.".to_owned()
    } else {
        "This study has no factors and no peers, so it compares nothing.".to_owned()
    };
    document.text(why + " What each workload takes:");
    let mut table = Table::new(["<workload", "value", "[95 %]", "blocks", "=of"]);
    for workload in &analysis.workloads {
        let value = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
        let value = value.and_then(|cell| cell.value(workload.response));
        let unit = Unit::of_workload(workload, value, Unit::LIMIT);
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

/// The claim with this proof that is the largest part of its baseline's value, a cost or a saving.
fn largest<'s, 'a>(all: &'s [Standing<'a>], proof: Proof) -> Option<&'s Standing<'a>> {
    let claims = all.iter().filter(|standing| standing.is_claim() && standing.proof == proof);
    claims.max_by(|a, b| a.size().total_cmp(&b.size()))
}

/// The answer: the largest proven claim, how sure that is, what proves it, and the largest claim of the other kind.
fn lead(document: &mut Document, manifest: &Manifest, all: &[Standing], detail: Detail) -> bool {
    let Some(first) = largest(all, Proof::Proven) else { return false };
    let is_largest = largest(all, Proof::Unproven).is_none_or(|other| other.size() <= first.size());
    let rank = match is_largest {
        _ if all.iter().all(|other| other.title == first.title) => Rank::Only,
        true => Rank::Largest,
        false => Rank::LargestProven,
    };
    let Some(answer) = first.answer(rank) else { return false };
    document.text(format!("{} {answer}.", first.title));
    // What follows the answer is about the same claim; the claim of the other kind comes after it.
    first.how_sure().into_iter().chain(first.removed_and_added()).for_each(|text| document.item(text));
    let others: Vec<&Standing> = all.iter().filter(|s| s.proof == Proof::Proven && s.is_claim()).collect();
    let opposite = others.iter().filter(|other| other.verdict != first.verdict);
    if let Some(other) = opposite.max_by(|a, b| a.size().total_cmp(&b.size())) {
        document.item(format!("{} in {}: the largest {}", other.short(), other.workload.name, other.noun()));
    }
    let opposed = others.iter().filter(|other| !std::ptr::eq(**other, first)).filter_map(|other| other.opposed());
    if let Some(text) = listed(&opposed.collect::<Vec<_>>(), detail.named().min(2)) {
        document.item(format!("removed alone, the verdict is the opposite: {text}"));
    }
    document.item(first.proof(manifest));
    let open = all.iter().filter(|other| other.verdict == Verdict::Inconclusive && other.size() > first.size());
    if let Some(open) = open.max_by(|a, b| a.size().total_cmp(&b.size())) {
        document.item(format!("larger, but not decided: {}; {}", open.measured(), open.reason));
    }
    true
}

/// The first of some texts, and how many more there are; `None` without any.
fn listed(texts: &[String], most: usize) -> Option<String> {
    let shown = texts.iter().take(most).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = match texts.len().saturating_sub(most) {
        0 => String::new(),
        more => format!("; and {}", counted(more, "more row")),
    };
    (!texts.is_empty()).then(|| shown + &more)
}

/// What is measured but not proven, the largest difference first, and how to prove that one.
fn unproven(document: &mut Document, manifest: &Manifest, all: &[Standing], detail: Detail) {
    let mut unproven: Vec<&Standing> = all.iter().filter(|standing| standing.proof == Proof::Unproven).collect();
    unproven.sort_by(|a, b| b.size().total_cmp(&a.size()));
    let Some(first) = unproven.first() else { return };
    let shown: Vec<String> = unproven.iter().map(|standing| standing.measured()).collect();
    let Some(shown) = listed(&shown, detail.named()) else { return };
    document.item(format!(
        "measured but unproven: {shown}. Nothing tells these levels apart, so no cost of the switch is claimed."
    ));
    document.item(match detail {
        Detail::Full => format!("to prove {}: {}.", first.factor, ways(manifest, first.factor, first.workload.outputs)),
        Detail::Short | Detail::Least => format!("to prove {}: report.html lists the ways", first.factor),
    });
}

/// Why the first factor or level without a proven run has none; the others are counted.
fn invalid(document: &mut Document, all: &[Standing], detail: Detail) {
    // Where nothing was measured at all, the workload's own sentence says why.
    let is_open = |standing: &&Standing| !matches!(standing.workload.unjudged(), Some(Unjudged::NotMeasured(_)));
    let mut invalid = all.iter().filter(|standing| standing.verdict == Verdict::Invalid).filter(is_open);
    let Some(first) = invalid.next() else { return };
    let more = match invalid.count() {
        0 => String::new(),
        more => format!("; {} invalid too", counted_verb(more, "more row", ["is", "are"])),
    };
    let shown = shortened(first.reason, detail.reason_max());
    let reason = if shown == first.reason { shown } else { format!("{shown} (report.html has all of it)") };
    document.item(format!("invalid: {} in {}: {reason}{more}", first.title, first.workload.name));
}

/// One row per factor, the costliest first, and one column per workload; the baseline and its gap to a peer on top.
fn factors(document: &mut Document, manifest: &Manifest, analysis: &Analysis, limits: Limits, columns: usize) {
    if limits.rows == 0 || analysis.workloads.is_empty() {
        return;
    }
    let mut workloads: Vec<&WorkloadAnalysis> = analysis.workloads.iter().collect();
    let all = all_standings(manifest, analysis);
    let first = largest(&all, Proof::Proven);
    let title = first.map(|claim| claim.title.as_str());
    let table = |shown: usize| table(manifest, &workloads[..shown], limits.rows, title);
    let fitting = (1..=workloads.len()).rev().find(|shown| table(*shown).width() <= columns).unwrap_or(1);
    // The answer's own workload is among those that fit.
    let first = first.map(|claim| &claim.workload.name);
    let at = workloads.iter().position(|workload| Some(&workload.name) == first);
    if let Some(at) = at.filter(|at| *at >= fitting) {
        let named = workloads.remove(at);
        workloads.insert(0, named);
    }
    let table = self::table(manifest, &workloads[..fitting], limits.rows, title);
    let caption = caption(&table, &workloads[..fitting]);
    document.table(table);
    let hidden = [
        (titles(all.iter()).len().saturating_sub(limits.rows), "more row"),
        (workloads.len() - fitting, "more workload"),
    ];
    let hidden = hidden.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| counted(number, what));
    let hidden: Vec<String> = hidden.collect();
    let hidden = match hidden.is_empty() {
        true => String::new(),
        false => format!(" Only report.html shows {}.", hidden.join(" and ")),
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
    // Numbers of the program's own all mean the same.
    let (own, known): (Vec<MainResponse>, Vec<MainResponse>) =
        responses.into_iter().partition(|response| matches!(response, MainResponse::Value(_)));
    let mut meanings: Vec<String> =
        known.into_iter().map(|response| format!(" {}: {}.", response.as_str(), meaning(response))).collect();
    let names: Vec<&str> = own.iter().map(|response| response.as_str()).collect();
    meanings.extend(match own[..] {
        [] => None,
        [only] => Some(format!(" {}: {}.", only.as_str(), meaning(only))),
        _ => Some(format!(" {}: numbers that the program prints.", names.join(", "))),
    });
    let words = [
        ("not detected", " not detected: nothing beyond the noise."),
        (BELOW, " |Δ| < x: not detected, where an effect of x is found four times in five."),
        ("below floor", " below floor: no larger than what a switch without effect shows."),
        ("inconclusive", " inconclusive: too few blocks, or a cross-check that disagrees."),
        ("not exercised", " not exercised: no work there."),
        ("unproven", " unproven: nothing tells the levels apart, so it is no cost of the switch."),
    ];
    let words = words.iter().filter(|(word, _)| table.has(word)).map(|(_, told)| (*told).to_owned());
    let told: String = meanings.into_iter().chain(words).collect();
    let level = if table.has_levels() { ", or the level against the baseline's," } else { "" };
    format!("Each cell: what the factor{level} costs (− saves), in percent of the baseline too.{told}")
}

/// At most `rows` factors and levels, the `first` of them on top.
fn table(manifest: &Manifest, workloads: &[&WorkloadAnalysis], rows: usize, first: Option<&str>) -> Table {
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
            gap.map_or_else(|| MISSING.to_owned(), gap_claimed)
        };
        table.row(std::iter::once(format!("(against {peer})")).chain(workloads.iter().map(gap)));
    }
    let standings: Vec<Vec<Standing>> = workloads.iter().map(|workload| standings(manifest, workload)).collect();
    let find = |at: usize, title: &str| standings[at].iter().find(|standing| standing.title == *title);
    let mut titles = titles(standings.iter().flatten());
    titles.sort_by_key(|(title, _)| Some(*title) != first);
    for (title, _) in titles.into_iter().take(rows) {
        let cells = units.iter().enumerate().map(|(at, unit)| standing::cell(find(at, title), *unit));
        table.row(std::iter::once(title.to_owned()).chain(cells));
    }
    table
}

/// What the rows of the table are, each once, the largest claim first; those without a claim stay in their order.
fn titles<'s>(standings: impl Iterator<Item = &'s Standing<'s>>) -> Vec<(&'s str, f64)> {
    let mut titles: Vec<(&str, f64)> = Vec::new();
    for standing in standings {
        let size = if standing.is_claim() { standing.size() } else { 0.0 };
        match titles.iter_mut().find(|(title, _)| *title == standing.title) {
            Some((_, known)) => *known = known.max(size),
            None => titles.push((&standing.title, size)),
        }
    }
    titles.sort_by(|a, b| b.1.total_cmp(&a.1));
    titles
}

/// Every factor and level in every workload.
fn all_standings<'a>(manifest: &'a Manifest, analysis: &'a Analysis) -> Vec<Standing<'a>> {
    analysis.workloads.iter().flat_map(|workload| standings(manifest, workload)).collect()
}

/// Whether anything is found to cost or to save in a workload.
fn has_claim(manifest: &Manifest, workload: &WorkloadAnalysis) -> bool {
    standings(manifest, workload).iter().any(Standing::is_claim)
}

#[cfg(test)]
mod tests;
