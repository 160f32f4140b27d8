//! A screening for people: the answer first, then what the clean stage found, what was dropped and why, and what it took.

use super::progress::{lead, so_far};
use super::proof::NOTHING;
use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, count, counted, number, signed_point};
use crate::support::call::{PROGRAM, quoted};
use crate::support::count::counted_verb;
use crate::support::progress::human;
use ablate_format::{CleanEffect, CleanResult, OneAtATime, ScreenResult, ScreenedFactor, Screening, ToProve};
use std::path::Path;
use std::time::Duration;

/// p values below this are shown as less than it.
const SMALL_P: f64 = 0.0001;

/// The whole of it. `dir` is named where more can be read.
pub(super) fn document(screening: &Screening, dir: &Path) -> Document {
    let mut document = Document::default();
    document.title(answer(screening));
    let asked = &screening.asked;
    document.item(format!(
        "factors: {}; an effect within ± {} % of {} is negligible",
        count(asked.factors.len()),
        number(asked.margin_percent),
        if asked.ratios { "the value without the factor" } else { "the baseline" }
    ));
    if let Some(clean) = &screening.clean {
        found(&mut document, screening, clean);
    }
    if let Some(screen) = &screening.screen {
        screened(&mut document, screening, screen);
    }
    if let Some(one) = screening.clean.as_ref().and_then(|clean| clean.one_at_a_time.as_ref()) {
        taken(&mut document, screening, one);
    }
    let left_out = [("screen", screening.screen.as_ref().map_or(0, |screen| screen.unproven))];
    let left_out = left_out.into_iter().chain([("clean", screening.clean.as_ref().map_or(0, |clean| clean.unproven))]);
    for (stage, runs) in left_out.filter(|(_, runs)| *runs > 0) {
        let are = counted_verb(runs, "run", ["is", "are"]);
        document.item(format!(
            "{are} left out, failed or invalid: cargo ablate report {}/{stage} tells why",
            dir.display()
        ));
    }
    document.heading("What these numbers mean");
    meaning(&mut document, screening);
    document.item(format!("reports of the stages: cargo ablate report {}/screen, and {0}/clean", dir.display()));
    document
}

/// The answer in one sentence.
pub(super) fn answer(screening: &Screening) -> String {
    let all = screening.asked.factors.len();
    let Some(screen) = &screening.screen else {
        return format!("Not known yet: the screen of {} has no look so far", counted(all, "factor"));
    };
    let kept = screen.factors.iter().filter(|factor| factor.kept).count();
    let margin = number(screening.asked.margin_percent);
    let lead = lead(screening).unwrap_or_default();
    if screen.complete == Some(false) {
        let open = screen.factors.iter().filter(|factor| factor.why == "open").count();
        let are = counted_verb(open, "factor", ["is", "are"]);
        return format!("{lead}{are} not decided, of {all}");
    }
    if kept == 0 {
        let unproven = screen.factors.iter().filter(|factor| factor.proof.as_deref() == Some(NOTHING)).count();
        let but = match unproven {
            0 => String::new(),
            open => format!("; for {open} of these nothing shows that the switch does anything"),
        };
        return format!("None of {} costs or saves {margin} % or more{but}", counted(all, "factor"));
    }
    let Some(clean) = &screening.clean else {
        return format!("{lead}the screen keeps {kept} of {}", counted(all, "factor"));
    };
    let names = |factors: usize, is_named: &dyn Fn(&CleanEffect) -> bool| {
        let mut names: Vec<String> = Vec::new();
        for effect in clean.effects.iter().filter(|effect| effect.factors.len() == factors && is_named(effect)) {
            let name = effect.factors.join("×");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    let (mains, pairs) = (names(1, &|effect| effect.found), names(2, &|effect| effect.found));
    let are = if mains.len() == 1 { "is" } else { "are" };
    let listed = if mains.is_empty() { String::new() } else { format!(" ({})", first(&mains, 6)) };
    let mut told = format!("{} of {} {are} told apart from 0{listed}", mains.len(), counted(all, "factor"));
    let large = names(1, &|effect| effect.found && is_beyond(effect, screening.asked.margin_percent));
    let small: Vec<String> = mains.into_iter().filter(|name| !large.contains(name)).collect();
    if !small.is_empty() {
        told += &format!(", of these {} perhaps with less than {margin} % ({})", small.len(), first(&small, 3));
    }
    let unproven = names(1, &|effect| effect.proof.as_deref() == Some("unproven"));
    if !unproven.is_empty() {
        told +=
            &format!("; {} unproven ({})", counted_verb(unproven.len(), "factor", ["is", "are"]), first(&unproven, 3));
    }
    let interact = match pairs.len() {
        0 => "no interaction is found".to_owned(),
        found => format!("{} found ({})", counted_verb(found, "interaction", ["is", "are"]), first(&pairs, 3)),
    };
    format!("{lead}{told}; {interact}")
}

/// The first names, at most `most`, and how many more there are.
fn first(names: &[String], most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let shown = names.iter().take(most).cloned().chain((more > 0).then(|| format!("and {more} more")));
    shown.collect::<Vec<_>>().join(", ")
}

/// What the clean stage found.
fn found(document: &mut Document, screening: &Screening, clean: &CleanResult) {
    document.heading("What the clean stage found");
    let several = screening.asked.workloads.len() > 1;
    let head = ["<factor or pair", "cost", "interval", "p", "=verdict"];
    let mut table = Table::new(several.then_some("<workload").into_iter().chain(head));
    let is_main = |effect: &&CleanEffect| effect.factors.len() == 1;
    let mut rows: Vec<&CleanEffect> = clean.effects.iter().filter(is_main).collect();
    let size = |effect: &CleanEffect| effect.percent.map_or(0.0, f64::abs);
    rows.sort_by(|a, b| (b.found, size(b)).partial_cmp(&(a.found, size(a))).unwrap_or(std::cmp::Ordering::Equal));
    let mut pairs: Vec<&CleanEffect> = clean.effects.iter().filter(|effect| !is_main(effect) && effect.found).collect();
    pairs.sort_by(|a, b| size(b).total_cmp(&size(a)));
    rows.extend(pairs);
    for effect in rows {
        let ends = effect.low.zip(effect.high);
        let own = [
            effect.factors.join("×"),
            effect.percent.map_or_else(|| MISSING.to_owned(), |value| format!("{} %", signed_point(value, ends))),
            shown_interval(effect.low, effect.high),
            p_value(effect.p),
            verdict(effect, screening.asked.margin_percent),
        ];
        table.row(several.then(|| effect.workload.clone()).into_iter().chain(own));
    }
    document.table(table);
    let has = |proof: &str| clean.effects.iter().any(|effect| effect.proof.as_deref() == Some(proof));
    let mut legend = legend(screening.asked.margin_percent);
    if has("invalid") {
        legend += "; `invalid`: its levels are one binary, or a run that proves it is missing";
    }
    if has("not-exercised") {
        legend += "; `not exercised`: its counters stayed 0";
    }
    document.item(legend);
    if let Some(ToProve { factor, ways }) = &clean.to_prove {
        document.item(format!(
            "nothing tells the levels of what is unproven apart, so no cost of these switches is claimed; to prove {factor}: {ways}"
        ));
    }
    let pairs = clean.effects.iter().filter(|effect| effect.factors.len() == 2);
    let is_unproven = |effect: &&CleanEffect| effect.proof.as_deref().is_some_and(|proof| proof != "proven");
    let (all, found) = (pairs.clone().count(), pairs.clone().filter(|effect| effect.found).count());
    let unproven = pairs.filter(is_unproven).count();
    if all > found + unproven {
        document.item(format!(
            "{} told apart from 0, of {all} tested",
            counted_verb(all - found - unproven, "interaction", ["is not", "are not"])
        ));
    }
    if unproven > 0 {
        document.item(format!(
            "{} of factors that are not proven, so nothing is claimed of them",
            counted_verb(unproven, "interaction", ["is", "are"])
        ));
    }
    if all == 0 && clean.effects.len() > screening.asked.workloads.len() {
        document.item(
            "interactions were not tested: too many factors are left for a design that tells them apart; screen again with a \
             larger --margin, or fewer factors",
        );
    }
    let blocks = match clean.planned_blocks.filter(|planned| *planned > clean.blocks) {
        Some(planned) => format!("{} of {}", clean.blocks, counted(planned as usize, "block")),
        None => counted(clean.blocks as usize, "block"),
    };
    document.item(format!("clean stage: {}, {blocks}", clean.design));
    if so_far(screening).is_none() && clean.effects.iter().all(|effect| effect.p.is_none()) {
        document.item("no effect has an interval: 6 blocks are needed, so give more with --blocks");
    }
}

fn verdict(effect: &CleanEffect, margin: f64) -> String {
    let value = effect.percent.unwrap_or(0.0);
    let word = match (effect.factors.len(), effect.found) {
        (1, true) => {
            let word = if value > 0.0 { "costs" } else { "saves" };
            let perhaps = if is_beyond(effect, margin) { "" } else { ", perhaps less than the margin" };
            return format!("{word}{perhaps}");
        }
        (_, true) if value > 0.0 => "worse together",
        (_, true) => "better together",
        _ if effect.proof.as_deref().is_some_and(|proof| proof != "proven") => {
            return effect.proof.as_deref().unwrap_or_default().replace('-', " ");
        }
        _ if effect.low.zip(effect.high).is_some_and(|(low, high)| low > -margin && high < margin) => "negligible",
        _ => "not shown",
    };
    word.to_owned()
}

/// Whether the whole interval of an effect is at the margin or farther from 0.
fn is_beyond(effect: &CleanEffect, margin: f64) -> bool {
    effect.low.zip(effect.high).is_some_and(|(low, high)| low >= margin || high <= -margin)
}

/// The verdicts in one line.
fn legend(margin: f64) -> String {
    let margin = number(margin);
    format!(
        "`costs`, `saves`: told apart from 0, by {margin} % or more unless the verdict says `perhaps less`; `negligible`: within \
         ± {margin} %; `not shown`: neither; `unproven`: measured, but nothing shows that the switch does anything"
    )
}

/// What the screen did with every factor.
fn screened(document: &mut Document, screening: &Screening, screen: &ScreenResult) {
    document.heading("What the screen kept and dropped");
    let several = screening.asked.workloads.len() > 1;
    let head = ["<factor", "=decision", "blocks", "cost", "interval"];
    let mut table = Table::new(head.into_iter().chain(several.then_some("<in workload")).chain(["=why"]));
    let order = |factor: &&ScreenedFactor| {
        let size = factor.percent.map_or(0.0, f64::abs);
        (!factor.kept, std::cmp::Reverse((size * 1e6) as u64))
    };
    let mut factors: Vec<&ScreenedFactor> = screen.factors.iter().collect();
    factors.sort_by_key(order);
    for factor in factors {
        let ends = factor.low.zip(factor.high);
        let row = [
            factor.factor.clone(),
            if factor.kept { "kept" } else { "dropped" }.to_owned(),
            factor.blocks.to_string(),
            factor.percent.map_or_else(|| MISSING.to_owned(), |value| format!("{} %", signed_point(value, ends))),
            shown_interval(factor.low, factor.high),
        ];
        let why = reason(factor, screening.asked.margin_percent);
        table.row(row.into_iter().chain(several.then(|| factor.workload.clone())).chain([why]));
    }
    document.table(table);
    document.item(format!(
        "screen: folded-over design, {} cells, {} of at most {}; intervals hold for all factors and looks together",
        count(screen.cells),
        counted(screen.blocks as usize, "block"),
        screening.asked.looks.last().copied().unwrap_or(0)
    ));
    small(document, screening, screen);
    unproven(document, screening, screen);
    for found in &screen.interactions {
        let name = if several { format!("{}: ", found.workload) } else { String::new() };
        let Some(p) = found.p else {
            document
                .item(format!("{name}interactions of dropped factors: not checked, because too many factors are kept"));
            continue;
        };
        if found.suspects.is_empty() {
            document.item(format!("{name}no sign of interactions beside those of the kept factors (p {})", told_p(p)));
            continue;
        }
        let pairs = found.suspects.iter().map(|suspect| {
            let others = match suspect.alike {
                0 => "kept for the clean stage".to_owned(),
                alike => format!("or one of {} like it, so none is kept", counted(alike, "other pair")),
            };
            format!("{} ({others})", suspect.factors.join("×"))
        });
        document.item(format!(
            "{name}there are interactions beside those of the factors with main effects (p {}); suspected: {}",
            told_p(p),
            pairs.collect::<Vec<_>>().join(", ")
        ));
        if found.rest_p.is_some_and(|rest| rest < 0.05) {
            document.item(format!("{name}these pairs do not explain all of it, so further interactions are not found"));
        }
    }
}

/// Tells that effects which are small beside others may be interactions of these.
fn small(document: &mut Document, screening: &Screening, screen: &ScreenResult) {
    let size = |factor: &ScreenedFactor| factor.percent.map_or(0.0, f64::abs);
    let largest = screen.factors.iter().map(size).fold(0.0, f64::max);
    let is_small = |factor: &&ScreenedFactor| factor.kept && factor.why == "active" && size(factor) < largest / 10.0;
    let small: Vec<&str> = screen.factors.iter().filter(is_small).map(|factor| factor.factor.as_str()).collect();
    if small.is_empty() {
        return;
    }
    let way = match screening.asked.ratios {
        true => "a larger --margin drops them",
        false => "--ratios makes these small where effects multiply, and a larger --margin drops them",
    };
    document.item(format!(
        "{} less than a tenth of the largest effect ({}); such an effect may be an interaction of three of the large ones, \
         which shares its estimate in part: the clean stage tells, {way}",
        counted_verb(small.len(), "kept factor", ["has", "have"]),
        small.join(", ")
    ));
}

/// Warns of factors that are dropped although nothing shows that their switches do anything: a misspelt variable has no
/// effect either.
fn unproven(document: &mut Document, screening: &Screening, screen: &ScreenResult) {
    let is_open = |factor: &&ScreenedFactor| !factor.kept && factor.proof.as_deref() == Some(NOTHING);
    let names: Vec<String> =
        screen.factors.iter().filter(is_open).map(|factor| format!("`{}`", factor.factor)).collect();
    let Some(ToProve { factor, ways }) = &screen.to_prove else { return };
    let have = counted_verb(names.len(), "dropped factor", ["has", "have"]);
    document.item(format!(
        "warning: {have} nothing that shows the switch to do anything ({}), and a misspelt name has no effect either. The screen \
         does not count; `{PROGRAM} run {} --factor {factor}` does, where the config asks for it. To prove {factor}: {ways}",
        first(&names, 6),
        quoted(Path::new(&screening.config_path)),
    ));
}

/// A reason of `screening.json` in words.
fn reason(factor: &ScreenedFactor, margin: f64) -> String {
    let proof = factor.proof.as_deref().unwrap_or_default();
    match factor.why.as_str() {
        "negligible" if proof == NOTHING => {
            format!("within ± {} %; nothing shows that its switch does anything", number(margin))
        }
        "negligible" if proof == "not-exercised" => {
            format!("within ± {} %; its counters stayed 0, so it had nothing to do", number(margin))
        }
        "negligible" => format!("within ± {} %", number(margin)),
        "active" => format!("beyond ± {} %", number(margin)),
        "open" => format!("not shown to be within ± {} %", number(margin)),
        "suspected" => "may interact with another factor".to_owned(),
        other => other.to_owned(),
    }
}

/// What it took, beside one factor at a time.
fn taken(document: &mut Document, screening: &Screening, one: &OneAtATime) {
    document.heading("What it took");
    let mut table = Table::new(["<study", "processes", "time", "times as long"]);
    let mut row = |name: String, processes: f64| {
        let time = Duration::try_from_secs_f64(processes * one.seconds_per_process).unwrap_or(Duration::MAX);
        table.row([name, count(processes.round() as usize), human(time), number(processes / one.processes)]);
    };
    row("this screening".to_owned(), one.processes);
    let all = counted(screening.asked.factors.len(), "factor");
    row(format!("one at a time: {all}, main effects"), one.mains);
    if let Some(pairs) = one.mains_and_pairs {
        row(format!("one at a time: {all} and all pairs"), pairs);
    }
    document.table(table);
    let own = |builds: usize| if builds > 1 { builds } else { 0 };
    let stages =
        screening.screen.iter().map(|screen| screen.builds).chain(screening.clean.iter().map(|clean| clean.builds));
    let builds: usize = stages.map(own).sum();
    if builds > 0 {
        let factors = screening.asked.factors.len();
        document.item(format!(
            "builds: {builds} for both stages; one at a time takes {}, with all pairs {}",
            factors + 1,
            count(factors + 1 + factors * (factors - 1) / 2)
        ));
    }
    let pair =
        one.pair_error_percent.map_or_else(String::new, |error| format!(", of an interaction ± {} %", number(error)));
    document.item(format!(
        "each with the standard error that the clean stage reached (of a main effect ± {} %{pair}), by the variances that it \
         measured; builds are not in these times",
        number(one.main_error_percent)
    ));
}

fn meaning(document: &mut Document, screening: &Screening) {
    let error = number(100.0 * screening.asked.error);
    document.item(format!(
        "claims are made from the blocks of the clean stage only, so that choosing the factors does not bias them; the \
         probability of any false claim is {error} % at most (Holm)"
    ));
    document.item(format!(
        "the probability that the screen drops any factor with a main effect of ± {} % or more is {error} % at most",
        number(screening.asked.margin_percent)
    ));
    document.item(
        "a main effect is the mean over the levels of the other screened factors in the screen, and of the other kept \
         factors in the clean stage, where dropped factors are at the baseline's level",
    );
    document.item(
        "an interaction is what two factors cost more together than the sum of what each costs alone: `worse together` also \
         where both save and each saves less beside the other",
    );
    document.item("interactions of three factors and more are not looked for, and count as main effects");
}

fn shown_interval(low: Option<f64>, high: Option<f64>) -> String {
    match low.zip(high) {
        Some((low, high)) => {
            let ends = Some((low, high));
            format!("[{}, {}]", signed_point(low, ends), signed_point(high, ends))
        }
        None => MISSING.to_owned(),
    }
}

/// A p value in a sentence, after the `p`.
fn told_p(p: f64) -> String {
    if p < SMALL_P { format!("< {SMALL_P}") } else { format!("= {p:.4}") }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < SMALL_P => format!("<{SMALL_P}"),
        Some(p) => format!("{p:.4}"),
        None => MISSING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(low: f64, high: f64, found: bool, proof: &str) -> String {
        let (factors, percent) = (vec!["f".to_owned()], Some((low + high) / 2.0));
        let (low, high, p, proof) = (Some(low), Some(high), Some(0.01), Some(proof.to_owned()));
        verdict(&CleanEffect { workload: "w".to_owned(), factors, percent, low, high, p, found, proof }, 1.0)
    }

    #[test]
    fn verdicts_are_held_to_zero_to_the_margin_and_to_the_proof() {
        assert_eq!(effect(1.2, 2.0, true, "proven"), "costs");
        assert_eq!(effect(0.272, 2.06, true, "proven"), "costs, perhaps less than the margin");
        assert_eq!(effect(-3.0, -1.5, true, "proven"), "saves");
        assert_eq!(effect(-0.5, 0.5, false, "proven"), "negligible");
        assert_eq!(effect(-0.5, 1.5, false, "proven"), "not shown");
        assert_eq!(effect(2.0, 3.0, false, "unproven"), "unproven");
        assert_eq!(effect(2.0, 3.0, false, "not-exercised"), "not exercised");
    }

    #[test]
    fn a_dropped_factor_that_nothing_proves_is_told_apart_from_one_that_is_shown() {
        let dropped = |proof: Option<&str>| {
            let (factor, why, workload) = ("f".to_owned(), "negligible".to_owned(), String::new());
            let (percent, low, high, proof) = (Some(0.0), Some(-0.1), Some(0.1), proof.map(str::to_owned));
            let factor = ScreenedFactor { factor, kept: false, why, blocks: 2, workload, percent, low, high, proof };
            reason(&factor, 5.0)
        };
        assert_eq!(dropped(Some(NOTHING)), "within ± 5.00 %; nothing shows that its switch does anything");
        for shown in [Some("proven"), Some("reported"), Some("binaries"), None] {
            assert_eq!(dropped(shown), "within ± 5.00 %");
        }
    }
}
