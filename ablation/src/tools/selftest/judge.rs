//! Compares what was found with what was planted. Pure functions. Only [`Found::of`] knows where the analysis has its
//! answers.
//!
//! Both sides are intervals. A row is met when the estimate is near to the truth's range and narrow; it is missed when it is
//! farther away than is allowed and than it is wide. What lies between, and a truth that its two ways of telling do not
//! agree about, is not known.

use super::factors::{FACTORS, FAULTY, INERT, LEFT, RIGHT, ZERO};
use super::synthetic::{BATCH, BATCHES, TOUCHES};
use super::truth::{Truth, estimate};
use crate::analyse::{Analysis, Response, Verdict, WorkloadAnalysis};
use crate::gap::UnitCosts;
use crate::prove::JudgedRun;
use crate::report::number::number;
use crate::unit_costs::PAGE_FAULT_4K;
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, Manifest, Pass};
use ablate_stats::bootstrap::Drawn;
use std::collections::{BTreeMap, BTreeSet};

/// An estimate must be within this many nanoseconds of the truth…
const WITHIN_NS: f64 = 0.5;
/// … or this share of it, whichever is more.
const WITHIN_SHARE: f64 = 0.05;
/// Either way of telling the truth may be this many times as wide as an estimate may be.
const WIDTH: f64 = 2.0;

/// What was not planted may be called found below this, nanoseconds: half of the smallest planted cost.
const UNPLANTED_NS: f64 = 0.25;

/// Page faults by which the starts of two processes may differ. A run has [`BATCHES`] planted ones and a start of some
/// hundred, of which one is not always needed.
const STARTUP_FAULTS: f64 = 3.0;

/// Cost of a page fault among other work, where caches are cold, as a multiple of one in a row: 1.2 to 2 on a Zen 4.
const AMONG_WORK: f64 = 2.0;

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
    /// Factors of [`Found::left_out`] that are said to cost or to save.
    pub(super) claimed: BTreeSet<String>,
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
            if matches!(effect.verdict, Verdict::Costs | Verdict::Saves) {
                found.claimed.insert(effect.factor.clone());
            }
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
    /// What was planted.
    pub(super) what: String,
    /// The planted value. `None`: not known, or nothing may be claimed.
    pub(super) truth: Option<Estimate>,
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

/// Half the width of an interval; `None` without one.
fn half(value: &Estimate) -> Option<f64> {
    value.interval.map(|(lo, hi)| (hi - lo) / 2.0)
}

/// A value that is known exactly.
pub(super) fn exact(value: f64) -> Estimate {
    Estimate { value, interval: Some((value, value)), blocks: 0 }
}

/// The truth from its two ways of telling, or why it is not known.
pub(super) fn known(switched: Option<Drawn>, stamped: Option<Drawn>) -> Result<Estimate, String> {
    let (Some(switched), Some(stamped)) = (switched.as_ref().map(estimate), stamped.as_ref().map(estimate)) else {
        return Err("too few processes had a quiet moment in which to tell the truth".to_owned());
    };
    let within = tolerance(switched.value);
    let (Some(a), Some(b)) = (half(&switched), half(&stamped)) else {
        return Err("the truth has no interval: give more blocks".to_owned());
    };
    if (switched.value - stamped.value).abs() > within + a.hypot(b) {
        let (by_switching, by_stamps) = (number(switched.value), number(stamped.value));
        return Err(format!("the truth is {by_switching} by switching and {by_stamps} by stamps"));
    }
    if a.max(b) > WIDTH * within {
        return Err(format!("the truth is known to ± {} only: give more blocks", number(a.max(b))));
    }
    // What a cost leaves to other operations, both ways see differently; so the truth lies in the range of both.
    let ends = |value: &Estimate| value.interval.unwrap_or((value.value, value.value));
    let ((a_lo, a_hi), (b_lo, b_hi)) = (ends(&switched), ends(&stamped));
    let value = (switched.value + stamped.value) / 2.0;
    Ok(Estimate { value, interval: Some((a_lo.min(b_lo), a_hi.max(b_hi))), ..switched })
}

/// Compares an estimate with a truth.
pub(super) fn judge(what: impl Into<String>, truth: Result<Estimate, String>, found: Option<Estimate>) -> Row {
    let within = truth.as_ref().ok().map(|truth| tolerance(truth.value));
    let answer = match (&truth, found) {
        (_, None) => Answer::Miss("nothing found".to_owned()),
        (Err(why), _) => Answer::Unknown(why.clone()),
        (Ok(truth), Some(found)) => {
            let within = tolerance(truth.value);
            let (lo, hi) = truth.interval.unwrap_or((truth.value, truth.value));
            let distance = (lo - found.value).max(found.value - hi).max(0.0);
            match half(&found) {
                _ if !found.value.is_finite() => Answer::Miss("no number".to_owned()),
                None => Answer::Unknown("no interval: give more blocks".to_owned()),
                Some(half) if distance <= within && half <= within => Answer::Hit,
                Some(half) if distance > within + half => Answer::Miss("too far away".to_owned()),
                Some(_) => Answer::Unknown("the interval is too wide: give more blocks".to_owned()),
            }
        }
    };
    Row { what: what.into(), truth: truth.ok(), found, within, answer }
}

/// Every row. `disturbed` says why times are not to be relied on, where they are not: then nothing is missed by them.
pub(super) fn rows(truth: &Truth, found: &Found, disturbed: Option<&str>) -> Vec<Row> {
    let mut rows = timed(truth, found);
    if let Some(why) = disturbed {
        for row in rows.iter_mut().filter(|row| matches!(row.answer, Answer::Miss(_))) {
            row.answer = Answer::Unknown(why.to_owned());
        }
    }
    rows.push(counted(found.faults));
    rows.push(invalid(found));
    rows
}

/// The rows about time.
fn timed(truth: &Truth, found: &Found) -> Vec<Row> {
    let of = |at: usize| known(truth.switched(at), truth.stamped(at));
    let crossed: Vec<usize> = (0..FACTORS.len()).filter(|at| FACTORS[*at].crossed).collect();
    let row = |at: &usize| judge(FACTORS[*at].name, of(*at), found.shapley.get(FACTORS[*at].name).copied());
    let mut rows: Vec<Row> = crossed.iter().map(row).collect();
    let sum = |of: &dyn Fn(usize) -> Option<Drawn>| {
        let all: Vec<Drawn> = crossed.iter().map(|at| of(*at)).collect::<Option<_>>()?;
        Drawn::linear(all.iter().map(|one| (1.0, one)))
    };
    rows.push(judge("all six", known(sum(&|at| truth.switched(at)), sum(&|at| truth.stamped(at))), found.total));
    rows.push(joint(truth, found));
    rows.push(other_pair(truth, found));
    for at in (0..FACTORS.len()).filter(|at| !FACTORS[*at].crossed && *at != INERT) {
        let name = FACTORS[at].name;
        let left_out = found.left_out.get(name).copied();
        rows.push(match at {
            ZERO => unplanted(judge(name, Ok(exact(0.0)), left_out), found.claimed.contains(name)),
            FAULTY => {
                let parts = truth.stamped(at).zip(truth.touched());
                let stamped = parts.map(|(own, pages)| own.combine(&pages, |own, pages| own + pages));
                judge(name, known(truth.switched(at), stamped), left_out)
            }
            _ => judge(name, of(at), left_out),
        });
    }
    rows.push(without_faults(truth, found));
    rows
}

/// The joint cost of `left` and `right`, which must also be called found.
fn joint(truth: &Truth, found: &Found) -> Row {
    let (left, right) = (FACTORS[LEFT].name, FACTORS[RIGHT].name);
    let pair = found.interactions.iter().find(|(a, b, ..)| is_planted(a, b));
    let planted = known(truth.interaction(LEFT, RIGHT), truth.together());
    let mut row = judge(format!("{left} × {right}"), planted, pair.map(|(.., value, _)| *value));
    if row.answer == Answer::Hit && pair.is_some_and(|(.., found)| !found) {
        row.answer = Answer::Miss("not told apart from 0".to_owned());
    }
    row
}

fn is_planted(a: &str, b: &str) -> bool {
    let (left, right) = (FACTORS[LEFT].name, FACTORS[RIGHT].name);
    [(left, right), (right, left)].contains(&(a, b))
}

/// The pair that is said to depend on each other the most, besides the planted one. Where single processes show the
/// same, the costs of this processor do not add up, and that is not known to be wrong.
fn other_pair(truth: &Truth, found: &Found) -> Row {
    let what = "any other pair";
    let others = found.interactions.iter().filter(|(a, b, ..)| !is_planted(a, b));
    let strength = |row: &&(String, String, Estimate, bool)| (row.3, row.2.value.abs());
    let strongest = others.max_by(|a, b| strength(a).partial_cmp(&strength(b)).unwrap_or(std::cmp::Ordering::Equal));
    let Some((a, b, value, is_found)) = strongest else { return judge(what, Ok(exact(0.0)), None) };
    let row = unplanted(judge(what, Ok(exact(0.0)), Some(*value)), *is_found);
    let at = |name: &String| FACTORS.iter().position(|factor| factor.name == name);
    let inside = at(a).zip(at(b)).and_then(|(a, b)| truth.interaction(a, b)).as_ref().map(estimate);
    match inside.map(|inside| (inside.value, half(&inside))) {
        Some((inside, Some(half))) if row.answer != Answer::Hit && inside.abs() > UNPLANTED_NS + half => {
            let why = format!("single processes show {} for {a} × {b} too: costs do not add up here", number(inside));
            Row { answer: Answer::Unknown(why), ..row }
        }
        _ => row,
    }
}

/// What was not planted must not be called found either, unless it is next to nothing.
pub(super) fn unplanted(row: Row, is_claimed: bool) -> Row {
    let is_much = row.found.is_some_and(|found| found.value.abs() > UNPLANTED_NS);
    match is_claimed && is_much && !matches!(row.answer, Answer::Miss(_)) {
        true => Row { answer: Answer::Miss("found, and not planted".to_owned()), ..row },
        false => row,
    }
}

/// The cost of `faulty` besides its page faults. A study knows the cost of a fault as that of many in a row, which is
/// the least that it can be; so it finds a range, which must hold the truth.
fn without_faults(truth: &Truth, found: &Found) -> Row {
    let what = format!("{} without its faults", FACTORS[FAULTY].name);
    let own = truth.stamped(FAULTY).as_ref().map(estimate);
    let (Some(own), Some(found), Some(in_a_row)) = (own, found.own, found.faults_cost_ns) else {
        let answer = Answer::Unknown("page faults were not counted, or their cost was not measured".to_owned());
        return Row { what, truth: own, found: found.own, within: None, answer };
    };
    let within = tolerance(own.value) + half(&found).unwrap_or(0.0);
    let low = found.value - (AMONG_WORK - 1.0) * in_a_row;
    let is_within = (low - within..=found.value + within).contains(&own.value);
    let answer = if is_within { Answer::Hit } else { Answer::Miss("outside of the range".to_owned()) };
    let range = Estimate { interval: Some((low, found.value)), ..found };
    Row { what, truth: Some(own), found: Some(range), within: Some(within), answer }
}

/// Counts of page faults must be right, except for a start-up that differs by some.
fn counted(faults: Option<f64>) -> Row {
    let truth = TOUCHES as f64 / BATCH as f64;
    let within = truth * (WITHIN_SHARE + STARTUP_FAULTS / f64::from(BATCHES));
    let answer = match faults {
        None => Answer::Unknown("page faults were not counted".to_owned()),
        Some(faults) if (faults - truth).abs() <= within => Answer::Hit,
        Some(_) => Answer::Miss("counted wrongly".to_owned()),
    };
    let found = faults.map(|value| Estimate { value, interval: None, blocks: 0 });
    let what = format!("{}, page faults per operation", FACTORS[FAULTY].name);
    Row { what, truth: Some(exact(truth)), found, within: Some(within), answer }
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
    use super::super::truth::tests::told;
    use super::*;
    use ablate_format::Record;

    fn estimate(value: f64, half: f64) -> Estimate {
        Estimate { value, interval: Some((value - half, value + half)), blocks: 30 }
    }

    /// Processes of eight blocks in all contexts of `left`, `right`, `fifty` and `two`, that tell these costs by
    /// switching and these by stamps.
    fn records(switched: f64, stamped: f64) -> Vec<Record> {
        let ns = [("half", 0.5), ("two", 2.0), ("ten", 10.0), ("fifty", 50.0), ("zero", 0.0), ("kernel", 4.0)];
        let more = [("faulty", 9.0), ("calls", 5.0), ("near", 6.0), ("far", 8.0), ("left", 1.0), ("right", 1.0)];
        let mut records = Vec::new();
        for block in 0..8 {
            for set in 0..16 {
                let names = ["left", "right", "fifty", "two"];
                let off: Vec<&str> = (0..4).filter(|at| set >> at & 1 == 1).map(|at| names[at]).collect();
                let together = |name: &str, other| if name == other || off.contains(&other) { 0.0 } else { 7.0 };
                let mut truth: Vec<(String, f64)> = Vec::new();
                for (name, ns) in ns.into_iter().chain(more) {
                    let joint = match name {
                        "left" => together(name, "right"),
                        "right" => together(name, "left"),
                        _ => 0.0,
                    };
                    let stamped = stamped * if name == "faulty" { 5.0 } else { ns };
                    truth.push((name.to_owned(), switched * (ns + joint)));
                    truth.push((format!("{name} by-stamps"), stamped));
                }
                truth.push(("touch by-stamps".to_owned(), stamped * 4.0));
                if off.contains(&"left") == off.contains(&"right") {
                    truth.push(("together by-stamps".to_owned(), stamped * 7.0));
                }
                let truth: Vec<(&str, f64)> = truth.iter().map(|(name, ns)| (name.as_str(), *ns)).collect();
                records.push(told(block, &off, &truth));
            }
        }
        records
    }

    /// Everything as it should be.
    fn found() -> Found {
        let shapley = [("half", 0.5), ("two", 2.0), ("ten", 10.0), ("fifty", 50.0), ("left", 4.5), ("right", 4.5)];
        let pair = |a: &str, b: &str, value, found| (a.to_owned(), b.to_owned(), estimate(value, 0.1), found);
        let alone = [("zero", 0.0), ("faulty", 9.0), ("calls", 5.0), ("near", 6.0), ("far", 8.0), ("kernel", 4.0)];
        Found {
            shapley: shapley.map(|(name, ns)| (name.to_owned(), estimate(ns, 0.1))).into(),
            total: Some(estimate(71.5, 0.3)),
            interactions: vec![pair("right", "left", 7.0, true), pair("two", "fifty", -0.1, false)],
            left_out: alone.map(|(name, ns)| (name.to_owned(), estimate(ns, 0.2))).into(),
            claimed: BTreeSet::new(),
            invalid: vec!["inert".to_owned()],
            own: Some(estimate(6.0, 0.3)),
            faults_cost_ns: Some(4.0),
            faults: Some(1.0 / 300.0),
        }
    }

    /// The rows that are no hit, after a change.
    fn others(records: &[Record], change: impl FnOnce(&mut Found), disturbed: Option<&str>) -> Vec<(String, Answer)> {
        let mut found = found();
        change(&mut found);
        let rows = rows(&Truth::of(records, 1), &found, disturbed).into_iter();
        rows.filter(|row| row.answer != Answer::Hit).map(|row| (row.what, row.answer)).collect()
    }

    fn check(change: impl FnOnce(&mut Found), what: &str, answer: Answer) {
        assert_eq!(others(&records(1.0, 1.0), change, None), [(what.to_owned(), answer)]);
    }

    fn miss(why: &str) -> Answer {
        Answer::Miss(why.to_owned())
    }
    fn unknown(why: &str) -> Answer {
        Answer::Unknown(why.to_owned())
    }

    #[test]
    fn the_truth_is_hit_in_every_row() {
        assert_eq!(others(&records(1.0, 1.0), |_| {}, None), []);
        assert_eq!(rows(&Truth::of(&records(1.0, 1.0), 1), &found(), None).len(), 18);
    }

    #[test]
    fn every_kind_of_miss_is_one() {
        let replace =
            |name: &'static str, value: Estimate| move |f: &mut Found| f.shapley.extend([(name.to_owned(), value)]);
        check(replace("half", estimate(1.2, 0.1)), "half", miss("too far away"));
        check(replace("half", estimate(f64::NAN, 0.1)), "half", miss("no number"));
        // What a Xeon gave: narrow, and 1 ns beside the truth.
        check(replace("ten", estimate(11.06, 0.2)), "ten", miss("too far away"));
        check(|f| f.shapley.retain(|name, _| name != "fifty"), "fifty", miss("nothing found"));
        check(|f| f.interactions[0].3 = false, "left × right", miss("not told apart from 0"));
        check(|f| drop(f.interactions.remove(0)), "left × right", miss("nothing found"));
        check(|f| f.interactions[1].2 = estimate(-0.7, 0.1), "any other pair", miss("too far away"));
        check(|f| f.faults = Some(0.0038), "faulty, page faults per operation", miss("counted wrongly"));
        check(|f| f.own = Some(estimate(4.0, 0.1)), "faulty without its faults", miss("outside of the range"));
        check(|f| f.own = Some(estimate(10.5, 0.1)), "faulty without its faults", miss("outside of the range"));
        check(|f| f.invalid.clear(), "inert", miss("not invalid"));
        check(|f| f.left_out.extend([("inert".to_owned(), estimate(0.0, 0.1))]), "inert", miss("not invalid"));
    }

    #[test]
    fn what_is_found_and_was_not_planted_is_a_miss() {
        let claim = |f: &mut Found| {
            f.left_out.extend([("zero".to_owned(), estimate(0.4, 0.1))]);
            f.claimed.insert("zero".to_owned());
        };
        check(claim, "zero", miss("found, and not planted"));
        let pair = |f: &mut Found| f.interactions[1] = ("two".into(), "fifty".into(), estimate(0.4, 0.1), true);
        check(pair, "any other pair", miss("found, and not planted"));
        assert_eq!(others(&records(1.0, 1.0), |f| f.interactions[1].3 = true, None), []);
    }

    #[test]
    fn wide_intervals_are_not_known_and_never_a_hit() {
        let wide = "the interval is too wide: give more blocks";
        let replace =
            |name: &'static str, value: Estimate| move |f: &mut Found| f.shapley.extend([(name.to_owned(), value)]);
        check(replace("ten", estimate(10.0, 0.6)), "ten", unknown(wide));
        check(replace("ten", estimate(10.7, 0.3)), "ten", unknown(wide));
        let without = Estimate { interval: None, ..estimate(2.0, 0.1) };
        check(replace("two", without), "two", unknown("no interval: give more blocks"));
        assert_eq!(others(&records(1.0, 1.0), replace("fifty", estimate(52.4, 1.0)), None), []);
        check(replace("fifty", estimate(53.6, 1.0)), "fifty", miss("too far away"));
    }

    #[test]
    fn where_both_ways_of_telling_differ_nothing_is_known() {
        // Processes say 8 % more by switching than by stamps: only what 0.5 ns and 5 % do not cover is not known.
        let answers = others(&records(1.08, 1.0), |_| {}, None);
        let unknown: Vec<&str> = answers.iter().map(|(what, _)| what.as_str()).collect();
        assert_eq!(unknown, ["ten", "fifty", "all six", "left × right", "faulty", "far"]);
        let is_about_the_truth =
            |(_, answer): &(String, Answer)| matches!(answer, Answer::Unknown(why) if why.contains("by stamps"));
        assert!(answers.iter().filter(|(what, _)| what == "fifty").all(is_about_the_truth), "{answers:?}");
        // And the truth without processes is none.
        let answers = others(&[], |_| {}, None);
        assert!(answers.iter().all(|(_, answer)| matches!(answer, Answer::Unknown(_))), "{answers:?}");
    }

    #[test]
    fn costs_that_do_not_add_up_in_single_processes_are_not_a_wrong_finding() {
        let mut records = records(1.0, 1.0);
        for record in &mut records {
            let measured = record.measured.as_mut().expect("measured");
            let is_on = measured.levels["fifty"] == "on";
            measured.truth_ns.insert("two".to_owned(), if is_on { 2.5 } else { 1.5 });
        }
        let pair = |f: &mut Found| f.interactions[1] = ("two".into(), "fifty".into(), estimate(1.0, 0.1), true);
        let answers = others(&records, pair, None);
        assert!(matches!(&answers[..], [(_, Answer::Unknown(why))] if why.contains("do not add up")), "{answers:?}");
    }

    #[test]
    fn a_disturbed_machine_misses_no_time_and_still_counts() {
        let change = |f: &mut Found| {
            f.shapley.extend([("fifty".to_owned(), estimate(70.0, 0.1))]);
            f.invalid.clear();
        };
        let answers = others(&records(1.0, 1.0), change, Some("too busy"));
        assert_eq!(answers, [("fifty".into(), unknown("too busy")), ("inert".into(), miss("not invalid"))]);
        let answers = others(&records(1.0, 1.0), |f| (f.faults, f.own) = (None, None), None);
        assert!(answers.len() == 2 && answers.iter().all(|(_, a)| matches!(a, Answer::Unknown(_))), "{answers:?}");
    }
}
