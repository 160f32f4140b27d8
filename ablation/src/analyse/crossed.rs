//! What a full factorial says about its factors in one workload: Shapley values and what else the same cells give.

use super::agreement::contradicts;
use super::counts::PerOperation;
use super::foreign;
use super::index::Runs;
use super::read_back;
use super::table::Table;
use super::values::{as_cost, estimate};
use super::words::{Proof, Response, Verdict};
use crate::prove;
use ablate_format::effects::{Estimate, GreedyStep, Interaction};
use ablate_format::{MainResponse, Manifest};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::{factorial, many};

/// False discoveries among the interactions that are called found: one in twenty.
const DISCOVERY: f64 = 0.05;

/// A contrast of crossed cells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contrasted {
    /// Its value, nanoseconds per operation, with the interval of this row alone.
    pub(crate) alone: Estimate,
    /// Interval that holds together with those of the other factors.
    pub(crate) together: Option<(f64, f64)>,
    /// Smallest true value that is found four times in five.
    pub(crate) detectable: Option<f64>,
    /// What can be said, by the interval that holds together.
    pub(crate) verdict: Verdict,
}

/// One crossed factor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CrossedFactor {
    /// The factor.
    pub(crate) factor: String,
    /// The level that stands for "without it": `off`, or a variant of a factor without `off`.
    pub(crate) away: String,
    /// Its effect averaged over all orders of adding the factors: the values of all factors sum to [`Crossed::total`].
    pub(crate) shapley: Contrasted,
    /// All factors at work, minus all but this one.
    pub(crate) leave_one_out: Contrasted,
    /// This factor alone at work, minus none.
    pub(crate) add_one_in: Contrasted,
    /// Mean over all sets of the other factors.
    pub(crate) main: Contrasted,
    /// Shapley value as a share of the gap to the reference peer.
    pub(crate) share: Option<Estimate>,
    /// Shapley value of the page faults per operation.
    pub(crate) page_faults: Option<f64>,
    /// Shapley value of the system calls per operation.
    pub(crate) syscalls: Option<f64>,
    /// Whether the factor did its work in every cell where it was on; without counters, whether anything tells its
    /// levels apart.
    pub(crate) proof: Proof,
    /// What tells its levels apart, where it has no counters; empty otherwise.
    pub(crate) evidence: String,
    /// Why nothing is claimed or proven; empty otherwise.
    pub(crate) reason: String,
}

/// Everything that the crossed cells of a workload say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Crossed {
    /// All factors at work minus none, nanoseconds per operation.
    pub(crate) total: Option<Estimate>,
    /// One entry for each factor, in the order of the config; empty when cells are missing.
    pub(crate) factors: Vec<CrossedFactor>,
    /// All pairs, the strongest first.
    pub(crate) interactions: Vec<Interaction>,
    /// Probability of interactions this large if effects simply added up.
    pub(crate) additive_p: Option<f64>,
    /// From all factors that had work to none of them, the removal that improves the response most first.
    pub(crate) greedy: Vec<GreedyStep>,
    /// Sets of factors that have no proven cell.
    pub(crate) missing: Vec<String>,
}

/// What the verdicts of a workload are held to.
pub(super) struct Held<'a> {
    /// Gap to the reference peer when the peer is better, told apart from 0.
    pub(super) reference: Option<&'a Drawn>,
    /// Largest |placebo| in units of its standard error, main response and median.
    pub(super) floor: (Option<f64>, Option<f64>),
}

/// Reads the crossed cells; `None` when the design does not cross factors.
pub(super) fn crossed(
    manifest: &Manifest,
    main: MainResponse,
    runs: &Runs,
    table: &Table,
    held: &Held,
) -> Option<Crossed> {
    let response = Response::main(main);
    let masks = table.masks.as_ref()?;
    let Some(cells) = table.crossed() else {
        let missing = masks.missing.clone();
        let (factors, interactions, greedy) = (Vec::new(), Vec::new(), Vec::new());
        return Some(Crossed { total: None, factors, interactions, additive_p: None, greedy, missing });
    };
    let values: Vec<Drawn> = cells.iter().map(|row| row.main.clone()).collect();
    let medians: Option<Vec<Drawn>> = match main {
        MainResponse::P10 => cells.iter().map(|row| row.median.clone()).collect(),
        _ => None,
    };
    let all_batches: Option<Vec<Drawn>> = cells.iter().map(|row| row.all_batches.clone()).collect();
    let k = masks.factors.len();
    let full = values.len() - 1;
    let subtract = |a: &Drawn, b: &Drawn| a.combine(b, |a, b| a - b);
    let shapley = factorial::shapley(&values);
    // One after the other, so that each family of k rows holds together.
    let kinds = |values: &[Drawn]| -> [Vec<Drawn>; 4] {
        [
            factorial::shapley(values),
            (0..k).map(|i| subtract(&values[full], &values[full & !(1 << i)])).collect(),
            (0..k).map(|i| subtract(&values[1 << i], &values[0])).collect(),
            factorial::main_effects(values),
        ]
    };
    let first = kinds(&values).map(|rows| judged(response, &rows, held.floor.0));
    let second = medians.map(|medians| kinds(&medians).map(|rows| judged(response, &rows, held.floor.1)));
    let whole = all_batches.map(|values| kinds(&values).map(|rows| rows.iter().map(estimate).collect::<Vec<_>>()));
    let counts = |name: &str| -> Option<Vec<f64>> {
        let of = |count: &PerOperation| count.value;
        let values: Option<Vec<f64>> = cells.iter().map(|row| row.counts.get(name).map(of)).collect();
        values.map(|values| factorial::shapley_of(&values))
    };
    let (page_faults, syscalls) = (counts("page-faults"), counts("syscalls"));
    let mut factors = Vec::new();
    for (i, factor) in masks.factors.iter().enumerate() {
        let (proof, told) = proof(manifest, runs, table, factor, i);
        let has_counters = manifest.plan.factors.iter().any(|plan| plan.name == *factor && !plan.proof.is_empty());
        let is_evidence = proof == Proof::Proven && !has_counters;
        let (evidence, reason) = if is_evidence { (told, String::new()) } else { (String::new(), told) };
        let of = |kind: usize| {
            let mut row = first[kind][i].clone();
            agree(&mut row, second.as_ref().map(|second| second[kind][i].verdict));
            if contradicts(response, row.verdict, whole.as_ref().and_then(|whole| whole[kind][i])) {
                row.verdict = Verdict::Inconclusive;
            }
            match proof {
                Proof::Invalid => row.verdict = Verdict::Invalid,
                Proof::NotExercised => row.verdict = Verdict::NotExercised,
                Proof::Proven | Proof::Unproven => {}
            }
            row
        };
        factors.push(CrossedFactor {
            factor: factor.clone(),
            away: away(manifest, factor),
            shapley: of(0),
            leave_one_out: of(1),
            add_one_in: of(2),
            main: of(3),
            share: held
                .reference
                .filter(|_| matches!(proof, Proof::Proven | Proof::Unproven))
                .and_then(|gap| estimate(&shapley[i].combine(gap, |own, gap| own / gap))),
            page_faults: page_faults.as_ref().map(|all| all[i]),
            syscalls: syscalls.as_ref().map(|all| all[i]),
            proof,
            evidence,
            reason,
        });
    }
    let greedy = greedy(response, &values, &factors);
    Some(Crossed {
        total: estimate(&subtract(&values[full], &values[0])),
        factors,
        interactions: interactions(&values, &masks.factors),
        additive_p: factorial::additivity(&values).map(|additivity| additivity.p),
        greedy,
        missing: Vec::new(),
    })
}

/// Takes the factors away one by one, each time the one whose removal improves the response most.
///
/// A factor without work stays as it is: whatever its removal changes is no saving of its own.
fn greedy(response: Response, values: &[Drawn], factors: &[CrossedFactor]) -> Vec<GreedyStep> {
    let had_work = |i: &usize| matches!(factors[*i].proof, Proof::Proven | Proof::Unproven);
    let removed: Vec<usize> = (0..factors.len()).filter(had_work).collect();
    let stays = removed.iter().fold(values.len() - 1, |mask, i| mask & !(1 << i));
    let sign = response.cost_of(1.0);
    let cost = |set: usize| {
        let there = removed.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        let mask = there.fold(stays, |mask, (_, i)| mask | 1 << i);
        Drawn::linear([(sign, &values[mask])])
    };
    let Some(costs) = (0..1 << removed.len()).map(cost).collect::<Option<Vec<Drawn>>>() else { return Vec::new() };
    let step = |(at, saving): (usize, Drawn)| {
        let saving = as_cost(response, estimate(&saving)?);
        Some(GreedyStep { factor: factors[removed[at]].factor.clone(), saving })
    };
    factorial::greedy(&costs).into_iter().filter_map(step).collect()
}

fn away(manifest: &Manifest, factor: &str) -> String {
    let crossed = manifest.plan.crossed.iter().find(|crossed| crossed.factor == factor);
    crossed.map_or_else(|| "off".to_owned(), |crossed| crossed.away.clone())
}

/// Rows with intervals that hold together, and their verdicts.
///
/// The floor is that of the placebo in standard errors: a mean over many cells averages out what moves single cells.
fn judged(response: Response, rows: &[Drawn], floor: Option<f64>) -> Vec<Contrasted> {
    let together = many::simultaneous(&rows.iter().collect::<Vec<_>>());
    let one = |(drawn, together): (&Drawn, Option<(f64, f64)>)| {
        let interval = drawn.interval();
        let verdict = match together {
            None => Verdict::Inconclusive,
            Some((lo, hi)) if lo <= 0.0 && hi >= 0.0 => Verdict::NotDetected,
            Some((lo, _)) => {
                let inside = |(floor, error): (f64, f64)| drawn.point.abs() <= floor * error;
                if floor.zip(drawn.standard_error()).is_some_and(inside) {
                    Verdict::BelowFloor
                } else {
                    response.verdict_of(lo)
                }
            }
        };
        Contrasted {
            alone: Estimate { value: drawn.point, interval, blocks: drawn.blocks },
            together,
            detectable: drawn.detectable(),
            verdict,
        }
    };
    rows.iter().zip(together).map(one).collect()
}

/// A claim must hold for the medians of the runs too.
fn agree(row: &mut Contrasted, second: Option<Verdict>) {
    if matches!(row.verdict, Verdict::Costs | Verdict::Saves) && second.is_some_and(|second| second != row.verdict) {
        row.verdict = Verdict::Inconclusive;
    }
}

/// Whether the factor did something in every crossed cell where it is at work; of one without counters, whether anything
/// tells the cells with it from those without.
fn proof(manifest: &Manifest, runs: &Runs, table: &Table, factor: &str, bit: usize) -> (Proof, String) {
    let plan = &manifest.plan;
    let Some(factor) = plan.factors.iter().find(|f| f.name == factor) else {
        return (Proof::Invalid, format!("`{factor}` is not in the plan"));
    };
    let masks = table.masks.as_ref().map_or(&[][..], |masks| &masks.cells);
    let cell = |mask: usize| runs.cell(&table.cells[masks[mask]?].id);
    let with_bit = |bit_value: usize| (0..masks.len()).filter(move |mask| mask >> bit & 1 == bit_value);
    if factor.proof.is_empty() {
        let pairs = with_bit(1).filter_map(|mask| Some((cell(mask)?, cell(mask & !(1 << bit))?)));
        let pairs: Vec<_> = pairs.collect();
        if runs.print_otherwise(pairs.iter().copied()) {
            return (Proof::Proven, foreign::OUTPUTS_DIFFER.to_owned());
        }
        let counts = |id: &str| table.cell(id).map(|row| &row.counts);
        let pairs: Vec<_> = pairs.iter().map(|(plus, minus)| (plus.plan, minus.plan)).collect();
        let told = read_back::proof(&factor.name, &pairs, runs);
        return told.unwrap_or_else(|| foreign::proof(manifest, &factor.name, &pairs, runs.outputs(), counts));
    }
    // Where the baseline is off, the factor works in the other cells.
    let at_work = with_bit(usize::from(factor.baseline != "off"));
    let each: Vec<Result<Option<String>, String>> =
        at_work.filter_map(cell).map(|cell| prove::exercised(factor, cell.measured())).collect();
    let still: Vec<&String> = each.iter().filter_map(|cell| cell.as_ref().err()).collect();
    match still.first() {
        None => (Proof::Proven, String::new()),
        // A factor that never worked has no cost of its own.
        Some(reason) if still.len() == each.len() => (Proof::NotExercised, (*reason).clone()),
        // A factor may have work only when others are away. Cells where it had none are part of its value, because
        // without them the values would not sum to the whole.
        Some(_) => {
            let (worked, all) = (each.len() - still.len(), each.len());
            (Proof::Proven, format!("had work in {worked} of the {all} cells where it is on"))
        }
    }
}

fn interactions(values: &[Drawn], factors: &[String]) -> Vec<Interaction> {
    let pairs = factorial::interactions(values);
    let p: Vec<Option<f64>> = pairs.iter().map(|(_, _, drawn)| drawn.p_value()).collect();
    let q = many::benjamini_hochberg(&p.iter().map(|p| p.unwrap_or(1.0)).collect::<Vec<_>>());
    let rows = pairs.iter().zip(p).zip(q);
    let mut found: Vec<Interaction> = rows
        .filter_map(|(((i, j, drawn), p), q)| {
            Some(Interaction {
                pair: (factors[*i].clone(), factors[*j].clone()),
                value: estimate(drawn)?,
                p,
                q: p.map(|_| q),
                found: p.is_some() && q <= DISCOVERY,
            })
        })
        .collect();
    found.sort_by(|a, b| {
        let strength = |row: &Interaction| row.q.unwrap_or(1.0);
        strength(a).total_cmp(&strength(b)).then(b.value.value.abs().total_cmp(&a.value.value.abs()))
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;
    use ablate_format::{InstrumentStatus, Record};

    /// 1,000 ns, and 50 for cache, 20 for tick, 30 for both together, 0 for the third.
    fn cost(cell: &str) -> f64 {
        let set = cell.strip_prefix("set-").map_or("111", |rest| &rest[..3]);
        let on = |i: usize| f64::from(set.as_bytes()[i] - b'0');
        if cell == "peer-fast" { 900.0 } else { 1_000.0 + 50.0 * on(0) + 20.0 * on(1) + 30.0 * on(0) * on(1) }
    }

    #[test]
    fn shapley_values_sum_to_the_whole_and_interactions_are_found() {
        let study = Study::factorial(&["cache", "tick", "still"], &["w"]);
        let mut records = study.records(12, |_, cell, _| cost(cell));
        for repeat in 0..2 {
            for cell in &study.manifest.plan.cells {
                let faults = if cell.levels.get("cache").is_some_and(|level| level == "on") { 51_000 } else { 2_000 };
                records.push(study.counting("w", &cell.id, repeat, &[("page-faults", faults), ("syscalls", 9)]));
                records.push(study.idle("w", &cell.id, repeat, &[("page-faults", 0), ("syscalls", 0)]));
            }
        }
        let analysis = analyse(&study.manifest, &records);
        let crossed = analysis.workloads[0].crossed.as_ref().expect("crossed");
        let value = |at: usize| crossed.factors[at].shapley.alone.value;
        assert!((value(0) - 65.0).abs() < 1.0 && (value(1) - 35.0).abs() < 1.0 && value(2).abs() < 1.0);
        let total = crossed.total.unwrap().value;
        assert!((value(0) + value(1) + value(2) - total).abs() < 1e-9, "{total}");
        let verdicts: Vec<Verdict> = crossed.factors.iter().map(|factor| factor.shapley.verdict).collect();
        assert_eq!(verdicts[..2], [Verdict::Costs, Verdict::Costs]);
        assert!(matches!(verdicts[2], Verdict::NotDetected | Verdict::BelowFloor), "{verdicts:?}");
        assert!((crossed.factors[0].leave_one_out.alone.value - 80.0).abs() < 2.0);
        assert!((crossed.factors[0].add_one_in.alone.value - 50.0).abs() < 2.0);
        assert_eq!(crossed.factors[0].page_faults.map(f64::round), Some(49.0));
        assert!(crossed.additive_p.is_some_and(|p| p < 0.05));
        let first = &crossed.interactions[0];
        assert!(first.found && first.pair == ("cache".to_owned(), "tick".to_owned()), "{first:?}");
        assert!((first.value.value - 30.0).abs() < 2.0);
        assert_eq!(crossed.greedy[0].factor, "cache");
        let share = crossed.factors[0].share.unwrap().value;
        assert!((share - 65.0 / 200.0).abs() < 0.02, "{share}");
    }

    #[test]
    fn a_factor_that_the_baseline_leaves_off_is_proven_where_it_works() {
        let mut study = Study::factorial(&["cache", "tick"], &["w"]);
        let plan = &mut study.manifest.plan;
        for level in plan.cells.iter_mut().filter_map(|cell| cell.levels.get_mut("tick")) {
            *level = if level == "on" { "off".to_owned() } else { "on".to_owned() };
        }
        plan.factors[1].baseline = "off".to_owned();
        plan.crossed[1].away = "on".to_owned();
        let analysis = analyse(&study.manifest, &study.records(12, |_, _, _| 1_000.0));
        let tick = &analysis.workloads[0].crossed.as_ref().expect("crossed").factors[1];
        assert_eq!((tick.factor.as_str(), tick.proof), ("tick", Proof::Proven), "{}", tick.reason);
        let main = analysis.workloads[0].effects.iter().find(|e| e.factor == "tick" && e.contrast == "main").unwrap();
        assert_eq!(main.proof, Proof::Proven, "{}", main.reason);
    }

    #[test]
    fn a_factor_without_counters_is_proven_by_exact_counts_or_says_that_it_is_not() {
        let mut study = Study::factorial(&["cache", "tick"], &["w"]);
        for factor in &mut study.manifest.plan.factors {
            factor.proof.clear();
        }
        let mut records = study.records(12, |_, cell, _| if cell == "peer-fast" { 900.0 } else { 1_000.0 });
        let proofs = |study: &Study, records: &[Record]| -> Vec<Proof> {
            let crossed = analyse(&study.manifest, records).workloads.remove(0).crossed.expect("crossed");
            crossed.factors.iter().map(|factor| factor.proof).collect()
        };
        assert_eq!(proofs(&study, &records), [Proof::Unproven, Proof::Unproven], "nothing was counted");
        study.manifest.instruments.push(InstrumentStatus {
            name: "callgrind-instructions".to_owned(),
            exact: true,
            unavailable: None,
            origin: "simulated".to_owned(),
            cost: String::new(),
        });
        for cell in &study.manifest.plan.cells {
            let on = cell.levels.get("cache").is_some_and(|level| level == "on");
            let counts = [("callgrind-instructions", if on { 9_000 } else { 8_000 }), ("page-faults", 0)];
            records.extend((0..2).map(|repeat| study.counting("w", &cell.id, repeat, &counts)));
        }
        assert_eq!(proofs(&study, &records), [Proof::Proven, Proof::Unproven], "tick changes no instruction");
    }

    #[test]
    fn a_factor_that_has_work_in_some_cells_keeps_its_value_and_says_where() {
        let study = Study::factorial(&["cache", "tick", "still"], &["w"]);
        let mut records = study.records(12, |_, cell, _| cost(cell));
        for record in records.iter_mut().filter(|record| record.cell == "baseline" || record.cell.starts_with("set-1"))
        {
            let tick = record.measured.as_mut().unwrap().counters.get_mut("tick");
            tick.into_iter().flat_map(|counters| counters.values_mut()).for_each(|value| *value = 0);
        }
        let crossed = analyse(&study.manifest, &records).workloads.remove(0).crossed.expect("crossed");
        let tick = &crossed.factors[1];
        assert_eq!((tick.proof, tick.shapley.verdict), (Proof::Proven, Verdict::Costs));
        assert_eq!(tick.reason, "had work in 2 of the 4 cells where it is on");
    }

    fn removed_in_turn(study: &Study, records: &[Record]) -> Vec<(String, f64)> {
        let crossed = analyse(&study.manifest, records).workloads.remove(0).crossed.expect("crossed");
        crossed.greedy.into_iter().map(|step| (step.factor, step.saving.value.round())).collect()
    }

    #[test]
    fn of_a_rate_the_removal_that_gains_most_comes_first() {
        // 100 /s, of which the first factor takes 30, and the second gives 10.
        let (study, records) = Study::of_rate(&["a", "b"], |on| 100.0 - 30.0 * on(0) + 10.0 * on(1));
        assert_eq!(removed_in_turn(&study, &records), [("a".to_owned(), -30.0), ("b".to_owned(), 10.0)]);
    }

    #[test]
    fn a_factor_without_work_is_not_removed_in_turn() {
        let study = Study::factorial(&["cache", "tick", "still"], &["w"]);
        let mut records = study.records(12, |_, cell, _| cost(cell));
        let cache = records.iter_mut().filter_map(|record| record.measured.as_mut()?.counters.get_mut("cache"));
        cache.flat_map(|counters| counters.values_mut()).for_each(|value| *value = 0);
        let named: Vec<String> = removed_in_turn(&study, &records).into_iter().map(|(factor, _)| factor).collect();
        assert_eq!(named, ["tick", "still"]);
        // With cache, which stays: 20 for tick and 30 for both together.
        assert_eq!(removed_in_turn(&study, &records)[0].1, 50.0);
    }

    #[test]
    fn a_missing_cell_is_named_and_a_factor_without_work_claims_nothing() {
        let study = Study::factorial(&["cache", "tick", "still"], &["w"]);
        let mut records = study.records(12, |_, cell, _| cost(cell));
        for record in &mut records {
            let still = record.measured.as_mut().unwrap().counters.get_mut("still");
            still.into_iter().flat_map(|counters| counters.values_mut()).for_each(|value| *value = 0);
        }
        let crossed = analyse(&study.manifest, &records).workloads.remove(0).crossed.expect("crossed");
        assert_eq!(crossed.factors[2].shapley.verdict, Verdict::NotExercised);
        assert!(crossed.factors[2].reason.contains("still.moves stayed 0"), "{}", crossed.factors[2].reason);
        records.retain(|record| record.cell != "set-010@env");
        let crossed = analyse(&study.manifest, &records).workloads.remove(0).crossed.expect("crossed");
        assert_eq!((crossed.factors.len(), crossed.missing), (0, vec!["tick".to_owned()]));
    }
}
