//! The first screen: which factor costs most, how sure that is and what proves it, then one table, in at most 25 lines.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, counted, interval, or_missing, part, percent, point, signed_point};
use crate::analyse::{Analysis, Effect, Verdict, WorkloadAnalysis};
use ablate_format::{CellKind, Manifest};
use std::path::Path;

/// Most factors in the table, so that the screen keeps its length.
const MAX_ROWS: usize = 9;

/// The screen; `full` is the command that runs the study in full.
pub(super) fn screen(dir: &Path, manifest: &Manifest, analysis: &Analysis, full: &str) -> Document {
    let mut document = Document::default();
    document.title(format!(
        "{}, quick form: {} of {}",
        manifest.study,
        counted(manifest.blocks as usize, "block"),
        counted(analysis.workloads.len(), "workload")
    ));
    match costliest(analysis) {
        Some((workload, effect)) => headline(&mut document, manifest, workload, effect),
        None => document.text("No factor is proven to cost time in these workloads; more blocks find smaller costs."),
    }
    document.table(table(manifest, analysis));
    document.text(
        "Cells: what an operation takes more with the factor than without it, in the unit of the column. `none`: no \
         difference beyond the noise. `not exercised`: the factor has no work here.",
    );
    document.item(format!("in full, with intervals that are narrower and every workload: {full}"));
    document.item(format!("everything that this run shows: {}", dir.join("report.md").display()));
    document
}

/// The proven cost that is the largest share of its baseline's value.
fn costliest(analysis: &Analysis) -> Option<(&WorkloadAnalysis, &Effect)> {
    let all = analysis.workloads.iter().flat_map(|workload| {
        let costs = workload.top_costs();
        costs.into_iter().filter_map(move |effect| Some((share(workload, effect)?, workload, effect)))
    });
    all.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, workload, effect)| (workload, effect))
}

fn share(workload: &WorkloadAnalysis, effect: &Effect) -> Option<f64> {
    Some(effect.estimate? / baseline(workload)?).filter(|share| share.is_finite())
}

/// Value of the baseline in the main response.
fn baseline(workload: &WorkloadAnalysis) -> Option<f64> {
    let cell = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline)?;
    Some(cell.value(workload.response)?.value)
}

fn headline(document: &mut Document, manifest: &Manifest, workload: &WorkloadAnalysis, effect: &Effect) {
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let Some(value) = effect.value().map(|value| unit.estimate(value)) else { return };
    document.text(format!(
        "{} costs most: {} of the {} {} in {}.",
        effect.factor,
        or_missing(share(workload, effect), part),
        or_missing(baseline(workload), |value| point(unit.from(value), None)),
        unit.with(workload.response),
        workload.name
    ));
    document.item(format!(
        "how sure: {} {}, 95 % interval {} over {}; the noise floor is {}",
        signed_point(value.value, value.interval),
        unit.label(),
        interval(value.interval),
        counted(effect.blocks, "block"),
        or_missing(workload.floor_ns, |floor| format!("± {} {}", point(unit.from(floor), None), unit.label()))
    ));
    let planned = manifest.plan.factors.iter().find(|factor| factor.name == effect.factor);
    let counters = planned.map(|factor| factor.proof.join(", ")).filter(|counters| !counters.is_empty());
    document.item(match counters {
        Some(counters) => format!("proven by {counters}: more than 0 in every run with it, 0 in every run without it"),
        None => "proven by exact counts or binaries that differ between its levels".to_owned(),
    });
}

/// One row per factor, one column per workload; the baseline and its gap to the reference peer first.
fn table(manifest: &Manifest, analysis: &Analysis) -> Table {
    let units: Vec<Unit> = analysis.workloads.iter().map(|workload| Unit::of_factors(workload, Unit::LIMIT)).collect();
    let columns = analysis.workloads.iter().zip(&units);
    let named = columns.clone().map(|(workload, unit)| format!("{}\n{}", workload.name, unit.with(workload.response)));
    let mut table = Table::new(std::iter::once("<factor".to_owned()).chain(named));
    let value = |(workload, unit): (&WorkloadAnalysis, &Unit)| {
        or_missing(baseline(workload), |value| point(unit.from(value), None))
    };
    table.row(std::iter::once("(baseline)".to_owned()).chain(columns.clone().map(value)));
    if let Some(peer) = analysis.workloads.first().and_then(|workload| workload.gaps.first()).map(|gap| &gap.peer) {
        let gap = |workload: &WorkloadAnalysis| {
            let gap = workload.gaps.iter().find(|gap| gap.peer == *peer).and_then(|gap| gap.gap_ratio);
            or_missing(gap.map(|gap| gap.value), percent)
        };
        table.row(std::iter::once(format!("(against {peer})")).chain(analysis.workloads.iter().map(gap)));
    }
    for factor in manifest.plan.factors.iter().take(MAX_ROWS) {
        let cells = columns.clone().map(|(workload, unit)| cell(workload, *unit, &factor.name));
        table.row(std::iter::once(factor.name.clone()).chain(cells));
    }
    table
}

/// What is known of a factor in a workload: the first contrast that takes it away, by environment before by build.
fn cell(workload: &WorkloadAnalysis, unit: Unit, factor: &str) -> String {
    let Some(effect) = workload.main_effects().find(|effect| effect.factor == factor && effect.takes_away()) else {
        return MISSING.to_owned();
    };
    match (effect.verdict, effect.value()) {
        (Verdict::Costs | Verdict::Saves, Some(value)) => {
            let value = unit.estimate(value);
            signed_point(value.value, value.interval)
        }
        (Verdict::NotDetected | Verdict::BelowFloor, _) => "none".to_owned(),
        (Verdict::NotExercised, _) => "not exercised".to_owned(),
        (verdict, _) => verdict.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    fn screen_of(factors: &[&str], ns: impl Fn(&str, &str, u32) -> f64) -> String {
        let study = Study::new(factors, &["small", "large"]);
        let records = study.records(12, ns);
        let analysis = crate::analyse::analyse(&study.manifest, &records);
        screen(Path::new("out"), &study.manifest, &analysis, "cargo ablate --full").terminal(100)
    }

    #[test]
    fn the_costliest_factor_comes_first_with_how_sure_and_what_proves_it() {
        let text = screen_of(&["cache", "tick"], |workload, cell, block| {
            let jitter = f64::from(block % 3) * 0.01;
            let gone = if cell.starts_with("no-cache") { 40.0 } else { 0.0 };
            let gone = if workload == "small" { gone } else { gone / 8.0 };
            100.0 - gone + jitter
        });
        let headline = text.lines().nth(3).expect("has lines");
        assert!(headline.starts_with("cache costs most: 40") && headline.contains("in small"), "{text}");
        assert!(
            text.contains("how sure: +39.9 ns/op") && text.contains("95 % interval [") && text.contains("proven by"),
            "{text}"
        );
        assert!(text.lines().count() <= 25 && text.contains("cargo ablate --full"), "{text}");
    }

    #[test]
    fn the_screen_keeps_its_length_and_says_when_nothing_costs() {
        let factors = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let text = screen_of(&factors, |_, _, block| 100.0 + f64::from(block % 3));
        assert!(text.contains("No factor is proven to cost time") && text.lines().count() <= 25, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
