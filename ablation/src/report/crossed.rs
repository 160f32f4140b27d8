//! What a factorial says: a Shapley value for every factor, which sum to the whole, and how far effects add up.

use super::content::has_rates;
use super::document::{Document, Table};
use super::number::{
    MISSING, Unit, counted, interval, number, or_missing, percent, share, signed, signed_point, with_interval,
};
use crate::analyse::{
    Analysis, Contrasted, Crossed, CrossedFactor, Proof, Response, Verdict, WorkloadAnalysis, as_cost, is_away, word_of,
};
use ablate_format::CellKind;
use ablate_format::effects::{Estimate, Interaction};

/// Interactions that a terminal shows.
const MAX_PAIRS: usize = 4;

/// The headline of a study that crosses its factors: one table per workload.
pub(super) fn headline(document: &mut Document, analysis: &Analysis, columns: usize) {
    let crossed: Vec<(&WorkloadAnalysis, &Crossed)> =
        analysis.workloads.iter().filter_map(|w| Some((w, w.crossed.as_ref()?))).collect();
    if crossed.is_empty() {
        return;
    }
    document.heading("What each factor costs: Shapley values, which sum to the cost of all");
    for (workload, crossed) in &crossed {
        let is_full = columns == usize::MAX;
        one(document, workload, crossed, columns);
        sentences(document, workload, crossed, is_full);
    }
    document.text(format!(
        "Shapley: the effect of the factor averaged over all orders of adding the factors; its interval holds for \
         all rows together. last out: all factors, minus all but this one. first in: this factor alone, minus none. \
         MDE: the smallest effect that is found four times in five. %: of the baseline. not detected: probably \
         smaller than the MDE. below floor: not larger than the difference of baseline and placebo. inconclusive: \
         too few blocks, or a cross-check that disagrees. unproven: nothing tells the levels of the factor apart, so \
         it is no cost of its switch. Δ faults, Δ calls: Shapley values of the exact counts.{}",
        if has_rates(analysis) {
            " Of a rate (/s) the values and interactions have the other sign, so that + always costs."
        } else {
            ""
        }
    ));
}

fn one(document: &mut Document, workload: &WorkloadAnalysis, crossed: &Crossed, columns: usize) {
    if crossed.factors.is_empty() {
        let some = crossed.missing.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        document.text(format!(
            "{}: no proven run in {} of the crossed cells (at work: {some}), so there are no Shapley values.",
            workload.name,
            crossed.missing.len()
        ));
        return;
    }
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let tables = (0..=4).map(|without| table(workload, crossed, unit, without));
    if let Some(shown) = Table::first_that_fits(columns, tables) {
        let lost = table(workload, crossed, unit, 0).lost_in(&shown);
        document.table(shown);
        if !lost.is_empty() {
            document.text(format!("No room here for the columns {}; report.html has them.", lost.join(", ")));
        }
    }
}

/// The table with all columns, or without the counts, the first in, the last out, the percent.
fn table(workload: &WorkloadAnalysis, crossed: &Crossed, unit: Unit, without: usize) -> Table {
    let response = unit.with(workload.response);
    let mut header = vec![format!("<{}", workload.name), format!("Shapley {response}"), "=[95 %, all rows]".to_owned()];
    header.extend((without < 4).then(|| "%".to_owned()));
    header.push("of\ngap".to_owned());
    header.extend((without < 3).then(|| "last\nout".to_owned()));
    header.extend((without < 2).then(|| "first\nin".to_owned()));
    header.push("MDE".to_owned());
    header.extend((without < 1).then(|| ["Δ\nfaults", "Δ\ncalls"].map(str::to_owned)).into_iter().flatten());
    header.push("=verdict".to_owned());
    let mut table = Table::new(header);
    let mut factors: Vec<&CrossedFactor> = crossed.factors.iter().collect();
    let main = Response::main(workload.response);
    let cost = |estimate: Estimate| unit.estimate(as_cost(main, estimate));
    factors.sort_by(|a, b| cost(b.shapley.alone).value.total_cmp(&cost(a.shapley.alone).value));
    let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    let baseline = baseline.and_then(|cell| cell.value(workload.response)).map(|value| value.value);
    let of_baseline =
        |value: f64| baseline.map_or_else(String::new, |baseline| percent(main.cost_of(value) / baseline.abs()));
    let value = |row: &Contrasted| signed(cost(row.alone).value);
    for factor in factors {
        let row = &factor.shapley;
        let together = cost(Estimate { interval: row.together, ..row.alone });
        let claimed = !matches!(row.verdict, Verdict::NotExercised | Verdict::Invalid);
        let mut cells = vec![match is_away(&factor.away) {
            true => factor.factor.clone(),
            false => format!("{}, not {}", factor.factor, factor.away),
        }];
        if claimed {
            cells.extend([signed_point(together.value, together.interval), interval(together.interval)]);
        } else {
            cells.extend([MISSING.to_owned(), String::new()]);
        }
        let percent = || if claimed { of_baseline(row.alone.value) } else { String::new() };
        cells.extend((without < 4).then(percent));
        cells.push(factor.share.map_or_else(String::new, |s| share(s.value)));
        cells.extend((without < 3).then(|| if claimed { value(&factor.leave_one_out) } else { MISSING.to_owned() }));
        cells.extend((without < 2).then(|| if claimed { value(&factor.add_one_in) } else { MISSING.to_owned() }));
        cells.push(or_missing(row.detectable.map(|mde| unit.from(mde)), number));
        if without < 1 {
            cells.extend([or_missing(factor.page_faults, signed), or_missing(factor.syscalls, signed)]);
        }
        let word = word_of(row.verdict.word(), factor.proof.as_str());
        cells.push(word.to_owned());
        table.row(cells);
    }
    if let Some(all) = crossed.total {
        let total = cost(all);
        let mut cells = vec!["all together".to_owned(), signed_point(total.value, total.interval)];
        cells.push(interval(total.interval));
        cells.extend((without < 4).then(|| of_baseline(all.value)));
        cells.push(String::new());
        let blanks = match without {
            0 => 6,
            1 => 4,
            2 => 3,
            _ => 2,
        };
        cells.extend(std::iter::repeat_n(String::new(), blanks));
        table.row(cells);
    }
    table
}

/// Whether effects add up, which pairs do not, and what to take away first.
fn sentences(document: &mut Document, workload: &WorkloadAnalysis, crossed: &Crossed, is_full: bool) {
    if crossed.factors.is_empty() {
        return;
    }
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let found: Vec<&Interaction> = crossed.interactions.iter().filter(|pair| pair.found).collect();
    let shown = if is_full { found.len() } else { MAX_PAIRS };
    let named: Vec<String> = found.iter().take(shown).map(|pair| pair_text(pair, workload, unit)).collect();
    let more = found.len() - named.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let additive = match crossed.additive_p {
        Some(p) if p < 0.001 => "effects do not simply add up (p < 0.001)".to_owned(),
        Some(p) if p < 0.05 => format!("effects do not simply add up (p = {p:.3})"),
        Some(p) => format!("effects add up, as far as this study can tell (p = {p:.2})"),
        None => "too few blocks to test whether effects add up".to_owned(),
    };
    let pairs = match named.len() {
        0 if crossed.additive_p.is_none() => "interactions were not tested either".to_owned(),
        0 => format!("no interaction of two among {} after correction", counted(crossed.interactions.len(), "pair")),
        _ => format!("interactions in {}, after correction: {}{rest}", unit.label(), named.join("; ")),
    };
    document.item(format!("{}: {additive}; {pairs}.", workload.name));
    let steps = crossed.greedy.iter().map(|step| {
        let saving = unit.estimate(step.saving);
        format!("{} {}", step.factor, signed_point(-saving.value, saving.interval))
    });
    let steps: Vec<String> = steps.collect();
    let saves = if workload.response.quantity().is_better_high() { "gains" } else { "saves" };
    if !steps.is_empty() {
        document.item(format!(
            "removed in turn, what {saves} most first, and how the {} changes: {}.",
            unit.with(workload.response),
            steps.join(", ")
        ));
    }
    let idle = crossed.factors.iter().filter(|factor| factor.proof == Proof::NotExercised);
    let idle: Vec<&str> = idle.map(|factor| factor.factor.as_str()).collect();
    if !idle.is_empty() {
        document.item(format!(
            "not removed in turn, because not exercised: {}. What changed with them is in `all together`, and is noise \
             or another factor's.",
            idle.join(", ")
        ));
    }
    let explained = crossed.factors.iter().filter(|factor| !factor.reason.is_empty());
    // Where a claim comes from is in both reports; why nothing is claimed is in the full one.
    for factor in explained.filter(|factor| is_full || factor.proof == Proof::Proven) {
        document.item(format!("{}: {}", factor.factor, factor.reason));
    }
}

fn pair_text(pair: &Interaction, workload: &WorkloadAnalysis, unit: Unit) -> String {
    let value = unit.estimate(as_cost(Response::main(workload.response), pair.value));
    format!("{} × {} {}", pair.pair.0, pair.pair.1, with_interval(Some(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;

    fn shown(study: &Study, records: &[ablate_format::Record]) -> String {
        let mut document = Document::default();
        headline(&mut document, &analyse(&study.manifest, records), 160);
        document.terminal(160)
    }

    #[test]
    fn of_a_rate_plus_costs_and_what_gains_most_is_removed_first() {
        let (study, records) = Study::of_rate(&["a", "b"], |on| 100.0 - 30.0 * on(0) + 10.0 * on(1));
        let text = shown(&study, &records);
        assert!(
            text.contains(
                "- removed in turn, what gains most first, and how the /s value:r_per_s changes: a +30.0, b −10.00."
            ),
            "{text}"
        );
        insta::assert_snapshot!("shapley_of_a_rate", text);
    }

    #[test]
    fn a_factor_that_is_not_exercised_is_named_beside_the_order_of_removal() {
        let study = Study::factorial(&["cache", "tick"], &["w"]);
        let mut records = study.records(12, |_, cell, _| if cell.starts_with("set-0") { 900.0 } else { 1_000.0 });
        let cache = records.iter_mut().filter_map(|record| record.measured.as_mut()?.counters.get_mut("cache"));
        cache.flat_map(|counters| counters.values_mut()).for_each(|value| *value = 0);
        let text = shown(&study, &records);
        let order =
            text.lines().find(|line| line.contains("removed in turn, what saves most first")).expect("is there");
        assert!(order.contains("changes: tick ") && !order.contains("cache"), "{text}");
        assert!(text.contains("not removed in turn, because not exercised: cache."), "{text}");
    }

    #[test]
    fn the_headline_fits_and_its_values_sum_to_the_whole() {
        let study = Study::factorial(&["cache", "tick", "resting"], &["w"]);
        let cost = |cell: &str| {
            let set = cell.strip_prefix("set-").map_or("111", |rest| &rest[..3]);
            let on = |i: usize| if cell.starts_with("peer") { 0.0 } else { f64::from(set.as_bytes()[i] - b'0') };
            1_000.0 + 50.0 * on(0) + 20.0 * on(1) + 30.0 * on(0) * on(1)
        };
        let analysis = analyse(&study.manifest, &study.records(12, |_, cell, _| cost(cell)));
        for columns in [72, 100, 160] {
            let mut document = Document::default();
            headline(&mut document, &analysis, columns);
            let text = document.terminal(columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest}:\n{text}");
            insta::assert_snapshot!(format!("shapley_{columns}"), text);
        }
    }
}
