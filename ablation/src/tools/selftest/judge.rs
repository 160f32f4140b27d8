//! Compares what was found with what was injected. Pure functions. Only [`Found::of`] knows where the analysis has its
//! answers.

use super::factors::{FACTORS, FAULTY, INERT, LEFT, RIGHT};
use super::synthetic::{BATCH, TOGETHER, TOUCH};
use crate::analyse::{Analysis, Response, Verdict, WorkloadAnalysis};
use crate::gap::UnitCosts;
use crate::prove::JudgedRun;
use crate::unit_costs::PAGE_FAULT_4K;
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, Manifest, Measured, Pass, Record, Status};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::order::median;
use std::collections::BTreeMap;

/// An estimate must be within this many nanoseconds of the truth…
const WITHIN_NS: f64 = 0.5;
/// … or this share of it, whichever is more.
const WITHIN_SHARE: f64 = 0.05;

/// A contention probe this much above the best of a study was disturbed.
const CALM: f32 = 1.08;

/// Cost of a page fault among other work, which leaves the caches cold, as a multiple of a fault in a row: 1.2 to 2 on
/// a Zen 4, more the longer ago the last fault is.
const AMONG_WORK: f64 = 2.0;

/// The costs of factors as the processes report them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Truth {
    ns: BTreeMap<String, f64>,
    /// Cost of a fresh OS page per operation, beyond the store into one that exists.
    fault_ns: Option<f64>,
}

impl Truth {
    /// Medians over the valid timing runs that had a quiet moment.
    pub(super) fn of(records: &[Record]) -> Truth {
        let timed = records.iter().filter(|r| r.pass == Pass::Timing && r.status == Status::Ok);
        let runs: Vec<&Measured> = timed.filter_map(|record| record.measured.as_ref()).collect();
        let contention_probe = |run: &Measured| run.contention_probes_ns.iter().copied().fold(f32::INFINITY, f32::min);
        let best = runs.iter().map(|run| contention_probe(run)).fold(f32::INFINITY, f32::min);
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let (mut fresh, mut present) = (Vec::new(), Vec::new());
        for measured in runs.into_iter().filter(|run| contention_probe(run) <= CALM * best) {
            for (name, ns) in &measured.truth_ns {
                let is_on = measured.levels.get(FACTORS[FAULTY].name).is_some_and(|level| level == "on");
                match name.as_str() {
                    TOUCH if is_on => fresh.push(*ns),
                    TOUCH => present.push(*ns),
                    _ => values.entry(name.clone()).or_default().push(*ns),
                }
            }
        }
        let ns = values.into_iter().filter_map(|(name, values)| Some((name, median(&values)?))).collect();
        Truth { ns, fault_ns: median(&fresh).zip(median(&present)).map(|(fresh, present)| fresh - present) }
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.ns.get(name).copied()
    }

    /// Shapley value of a crossed factor: its own cost, and half of its joint cost with the other side.
    fn shapley(&self, at: usize) -> Option<f64> {
        let shared = if at == LEFT || at == RIGHT { self.get(TOGETHER)? / 2.0 } else { 0.0 };
        Some(self.get(FACTORS[at].name)? + shared)
    }

    /// All crossed factors at work minus none.
    fn total(&self) -> Option<f64> {
        (0..FACTORS.len()).filter(|at| FACTORS[*at].crossed).map(|at| self.shapley(at)).sum()
    }
}

/// The results of the study.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Found {
    /// Shapley value by crossed factor.
    pub(super) shapley: BTreeMap<String, Estimate>,
    /// All crossed factors at work minus none.
    pub(super) total: Option<Estimate>,
    /// Pairs with their interactions, and whether they are called found.
    pub(super) interactions: Vec<(String, String, Estimate, bool)>,
    /// Effects of leaving one factor out.
    pub(super) left_out: BTreeMap<String, Estimate>,
    /// Factors without a claim, because they are invalid.
    pub(super) invalid: Vec<String>,
    /// Cost of `faulty` besides its page faults.
    pub(super) own: Option<Estimate>,
    /// Cost of these page faults, each as a fault in a row, nanoseconds per operation.
    pub(super) faults_cost_ns: Option<f64>,
    /// Page faults of `faulty`, per operation.
    pub(super) faults: Option<f64>,
}

impl Found {
    /// Reads them from an analysis of `records`, which are judged.
    pub(super) fn of(manifest: &Manifest, records: &[JudgedRun], analysis: &Analysis) -> Found {
        let (Some(workload), Some(table)) = (analysis.workloads.first(), analysis.tables.first()) else {
            return Found::default();
        };
        let mut found = Found::default();
        if let Some(crossed) = &workload.crossed {
            found.total = crossed.total;
            found.shapley = crossed.factors.iter().map(|row| (row.factor.clone(), row.shapley.alone)).collect();
            let pairs = crossed.interactions.iter();
            found.interactions =
                pairs.map(|row| (row.pair.0.clone(), row.pair.1.clone(), row.value, row.found)).collect();
        }
        for effect in workload.main_effects().filter(|effect| effect.contrast == "on-off") {
            if effect.verdict == Verdict::Invalid {
                found.invalid.push(effect.factor.clone());
            }
            found.left_out.extend(effect.value().map(|value| (effect.factor.clone(), value)));
        }
        let faulty = FACTORS[FAULTY].name;
        found.faults = faults(workload, faulty);
        let cell = |kind: CellKind| {
            let is_meant = |level: Option<&String>| kind == CellKind::Baseline || level.is_some_and(|l| l == "off");
            let mut cells = manifest.plan.cells.iter().filter(|cell| cell.kind == kind);
            // The cell that differs from the baseline in this factor only.
            let others_on = |levels: &BTreeMap<String, String>| {
                levels.iter().all(|(factor, level)| factor == faulty || level == "on")
            };
            cells.find(|cell| is_meant(cell.levels.get(faulty)) && others_on(&cell.levels))
        };
        let values = cell(CellKind::Baseline).zip(cell(CellKind::Treatment));
        let rows = values.and_then(|(with, without)| table.cell(&with.id).zip(table.cell(&without.id)));
        let blocks = records.iter().filter(|r| r.pass == Pass::Timing).map(|r| r.block + 1).max().unwrap_or(0);
        let costs = UnitCosts::of_records(records, blocks as usize, ablate_stats::bootstrap::DRAWS, manifest.seed);
        if let (Some((with, without)), Some(cost), Some(faults)) = (rows, costs.cost(PAGE_FAULT_4K), found.faults) {
            let own = Drawn::linear([(1.0, &with.main), (-1.0, &without.main), (-faults, cost.ns)]);
            found.faults_cost_ns = Some(faults * cost.ns.point);
            found.own =
                own.map(|own| Estimate { value: own.point, interval: own.interval(), blocks: with.main.blocks });
        }
        found
    }
}

/// Difference of the exact counts.
fn faults(workload: &WorkloadAnalysis, faulty: &str) -> Option<f64> {
    let rows = workload.effects.iter().filter(|effect| effect.response == Response::PageFaultsPerOp);
    rows.filter(|effect| effect.contrast == "on-off").find(|effect| effect.factor == faulty)?.estimate
}

/// One row of the verdict.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// What was injected.
    pub(super) what: String,
    /// The injected value. `None`: nothing may be claimed.
    pub(super) truth: Option<f64>,
    /// What was found.
    pub(super) found: Option<Estimate>,
    /// Allowed distance from the truth. `None` without a value to meet.
    pub(super) within: Option<f64>,
    /// Whether they agree.
    pub(super) answer: Answer,
}

/// Whether a truth was met.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// Met.
    Hit,
    /// Not met, with the reason.
    Miss(String),
    /// Not known on this machine, with the reason.
    Unknown(String),
}

/// Allowed distance of an estimate from the truth, nanoseconds.
fn tolerance(truth: f64) -> f64 {
    WITHIN_NS.max(WITHIN_SHARE * truth.abs())
}

/// A hit is near to the truth, and not by luck: its interval must be as narrow as the tolerance.
fn judge(what: impl Into<String>, truth: Option<f64>, found: Option<Estimate>) -> Row {
    let within = truth.map(tolerance);
    let miss = |why: &str| Answer::Miss(why.to_owned());
    let answer = match (truth.zip(within), found) {
        (None, _) => miss("no run told the truth"),
        (_, None) => miss("nothing found"),
        (Some((truth, within)), Some(found)) => {
            let is_near = (found.value - truth).abs() <= within;
            match found.interval.map(|(lo, hi)| (hi - lo) / 2.0) {
                _ if !is_near => miss("too far away"),
                Some(half) if half <= within => Answer::Hit,
                Some(_) => miss("interval too wide: give more blocks"),
                None => miss("no interval: give more blocks"),
            }
        }
    };
    Row { what: what.into(), truth, found, within, answer }
}

/// Every row.
pub(super) fn rows(truth: &Truth, found: &Found) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, factor) in FACTORS.iter().enumerate().filter(|(_, factor)| factor.crossed) {
        rows.push(judge(factor.name, truth.shapley(at), found.shapley.get(factor.name).copied()));
    }
    rows.push(judge("all six", truth.total(), found.total));
    let (left, right) = (FACTORS[LEFT].name, FACTORS[RIGHT].name);
    let is_pair = |a: &str, b: &str| [(left, right), (right, left)].contains(&(a, b));
    let pair = found.interactions.iter().find(|(a, b, ..)| is_pair(a, b));
    let mut row = judge(format!("{left} × {right}"), truth.get(TOGETHER), pair.map(|(.., value, _)| *value));
    if row.answer == Answer::Hit && pair.is_some_and(|(.., found)| !found) {
        row.answer = Answer::Miss("not told apart from 0".to_owned());
    }
    rows.push(row);
    let others = found.interactions.iter().filter(|(a, b, ..)| !is_pair(a, b)).map(|(.., value, _)| *value);
    let strongest = others.max_by(|a, b| a.value.abs().total_cmp(&b.value.abs()));
    rows.push(judge("any other pair", Some(0.0), strongest));
    for (at, factor) in FACTORS.iter().enumerate().filter(|(at, factor)| !factor.crossed && *at != INERT) {
        let left_out = found.left_out.get(factor.name).copied();
        if at != FAULTY {
            rows.push(judge(factor.name, truth.get(factor.name), left_out));
            continue;
        }
        let own = truth.get(factor.name);
        rows.push(judge(factor.name, own.zip(truth.fault_ns).map(|(own, faults)| own + faults), left_out));
        rows.push(counted(found.faults));
        let mut row = judge(format!("{} without its faults", factor.name), own, found.own);
        match (&row.answer, own, found.own.zip(found.faults_cost_ns)) {
            _ if found.faults.is_none() || found.own.is_none() => {
                row.answer = Answer::Unknown("page faults were not counted, or their cost was not measured".to_owned());
            }
            // Faults in a row cost the least. Among other work a fault may cost this many times as much.
            (Answer::Miss(_), Some(own), Some((found, in_a_row)))
                if (found.value - (AMONG_WORK - 1.0) * in_a_row..=found.value).contains(&own) =>
            {
                let low = found.value - (AMONG_WORK - 1.0) * in_a_row;
                row.answer = Answer::Unknown(format!("{low:.1} to {:.1}", found.value));
            }
            _ => {}
        }
        rows.push(row);
    }
    rows.push(invalid(found));
    rows
}

/// Counts of page faults must be right, except for a start-up that differs by some.
fn counted(faults: Option<f64>) -> Row {
    let truth = 1.0 / BATCH as f64;
    let answer = match faults {
        None => Answer::Unknown("page faults were not counted".to_owned()),
        Some(faults) if (faults - truth).abs() <= WITHIN_SHARE * truth => Answer::Hit,
        Some(_) => Answer::Miss("counted wrongly".to_owned()),
    };
    let found = faults.map(|value| Estimate { value, interval: None, blocks: 0 });
    let what = format!("{}, page faults per operation", FACTORS[FAULTY].name);
    Row { what, truth: Some(truth), found, within: Some(WITHIN_SHARE * truth), answer }
}

/// A factor that works although it says that it is off must not have an effect.
fn invalid(found: &Found) -> Row {
    let name = FACTORS[INERT].name;
    let claimed = found.left_out.get(name).copied();
    let answer = match claimed {
        None if found.invalid.iter().any(|factor| factor == name) => Answer::Hit,
        _ => Answer::Miss("not invalid".to_owned()),
    };
    Row { what: name.to_owned(), truth: None, found: claimed, within: None, answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::record;

    fn estimate(value: f64, half: f64) -> Estimate {
        Estimate { value, interval: Some((value - half, value + half)), blocks: 30 }
    }

    fn truth() -> Truth {
        let mut ns: BTreeMap<String, f64> =
            FACTORS.iter().map(|factor| (factor.name.to_owned(), factor.target_ns)).collect();
        ns.insert(TOGETHER.to_owned(), 7.0);
        Truth { ns, fault_ns: Some(4.0) }
    }

    /// Everything as it should be.
    fn found() -> Found {
        let shapley = [("half", 0.5), ("two", 2.0), ("ten", 10.0), ("fifty", 50.0), ("left", 4.5), ("right", 4.5)];
        let pair = |a: &str, b: &str, value, found| (a.to_owned(), b.to_owned(), estimate(value, 0.1), found);
        Found {
            shapley: shapley.map(|(name, ns)| (name.to_owned(), estimate(ns, 0.1))).into(),
            total: Some(estimate(71.5, 0.3)),
            interactions: vec![pair("right", "left", 7.0, true), pair("half", "two", -0.1, false)],
            left_out: [("zero", 0.0), ("faulty", 9.0)].map(|(name, ns)| (name.to_owned(), estimate(ns, 0.2))).into(),
            invalid: vec!["inert".to_owned()],
            own: Some(estimate(5.0, 0.3)),
            faults_cost_ns: Some(4.0),
            faults: Some(0.0025),
        }
    }

    /// The rows that are no hit, after a change.
    fn misses(change: impl FnOnce(&mut Found)) -> Vec<(String, Answer)> {
        let mut found = found();
        change(&mut found);
        let rows = rows(&truth(), &found).into_iter();
        rows.filter(|row| row.answer != Answer::Hit).map(|row| (row.what, row.answer)).collect()
    }

    fn check(change: impl FnOnce(&mut Found), what: &str, why: &str) {
        assert_eq!(misses(change), [(what.to_owned(), Answer::Miss(why.to_owned()))]);
    }

    #[test]
    fn the_truth_is_hit_in_every_row() {
        assert_eq!(misses(|_| {}), []);
        assert_eq!(rows(&truth(), &found()).len(), 14);
    }

    #[test]
    fn every_kind_of_miss_is_one() {
        let replace =
            |name: &'static str, value: Estimate| move |f: &mut Found| f.shapley.extend([(name.to_owned(), value)]);
        check(replace("half", estimate(1.1, 0.1)), "half", "too far away");
        check(replace("half", estimate(f64::NAN, 0.1)), "half", "too far away");
        check(replace("ten", estimate(10.0, 0.6)), "ten", "interval too wide: give more blocks");
        check(
            replace("two", Estimate { interval: None, ..estimate(2.0, 0.1) }),
            "two",
            "no interval: give more blocks",
        );
        check(|f| f.shapley.retain(|name, _| name != "fifty"), "fifty", "nothing found");
        check(|f| f.interactions[0].3 = false, "left × right", "not told apart from 0");
        check(|f| drop(f.interactions.remove(0)), "left × right", "nothing found");
        check(|f| f.interactions[1].2 = estimate(-0.7, 0.1), "any other pair", "too far away");
        check(|f| f.faults = Some(0.0028), "faulty, page faults per operation", "counted wrongly");
        check(|f| f.own = Some(estimate(4.0, 0.1)), "faulty without its faults", "too far away");
        check(|f| f.own = Some(estimate(9.5, 0.1)), "faulty without its faults", "too far away");
        check(|f| f.invalid.clear(), "inert", "not invalid");
        check(|f| f.left_out.extend([("inert".to_owned(), estimate(0.0, 0.1))]), "inert", "not invalid");
    }

    #[test]
    fn a_large_truth_is_met_within_five_percent() {
        assert_eq!((tolerance(0.0), tolerance(-10.0), tolerance(50.0)), (0.5, 0.5, 2.5));
        assert_eq!(misses(|f| f.shapley.extend([("fifty".to_owned(), estimate(52.4, 1.0))])), []);
        check(|f| f.shapley.extend([("fifty".to_owned(), estimate(52.6, 1.0))]), "fifty", "too far away");
    }

    #[test]
    fn what_this_machine_cannot_count_is_unknown_and_no_miss() {
        let answers = misses(|f| (f.faults, f.own) = (None, None));
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(|(_, answer)| matches!(answer, Answer::Unknown(_))), "{answers:?}");
        // Among other work faults cost up to twice as much, never less.
        let answers = misses(|f| f.own = Some(estimate(7.0, 0.1)));
        assert_eq!(answers.len(), 1);
        assert!(answers.iter().all(|(_, answer)| matches!(answer, Answer::Unknown(_))), "{answers:?}");
    }

    #[test]
    fn the_truth_is_the_median_of_what_the_processes_say() {
        let said = |faulty: &str, ten: f64, touch: f64| {
            let mut record = record(Pass::Timing, 0, "w", "c");
            let line = r#"{"format":2,"operations":5,"checksum":"c","latency_over":"batches","samples":5,
                "latency_ns_p10":1,"latency_ns_p50":2,"latency_ns_p99":3,"latency_ns_mean":2}"#;
            let measured = record.measured.insert(serde_json::from_str(line).expect("a result line"));
            measured.levels.insert("faulty".to_owned(), faulty.to_owned());
            measured.truth_ns = [("ten".to_owned(), ten), (TOUCH.to_owned(), touch)].into();
            record
        };
        let mut records = vec![said("on", 9.0, 4.5), said("on", 10.0, 5.0), said("off", 30.0, 0.5)];
        let mut other = said("on", 99.0, 99.0);
        other.status = Status::Invalid;
        records.push(other);
        let truth = Truth::of(&records);
        assert_eq!((truth.get("ten"), truth.fault_ns), (Some(10.0), Some(4.25)));
        assert_eq!((truth.total(), Truth::default().total()), (None, None));
        assert_eq!(super::tests::truth().total(), Some(71.5));
    }
}
