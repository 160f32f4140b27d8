//! Proof: whether a run did what the plan says it was run for.
//!
//! A run whose receipt contradicts its cell is void: it is kept, named and counted, and never averaged. This module
//! only judges; [`crate::analyse`] leaves invalid runs out and [`crate::report`] names them.

mod together;
mod values;

use ablate_format::{CellPlan, FactorPlan, MainResponse, Measured, Pass, Record, Status, StudyPlan};
use std::collections::BTreeMap;
pub use together::prove_together;
use values::values;

/// Checks one run by itself. A record that is [`Status::Ok`] and contradicts the plan becomes [`Status::Invalid`], with a
/// reason that names factor, counter, expected and seen; any other record is left as it is.
pub fn prove(plan: &StudyPlan, record: &mut Record) {
    // What prices the machine is no cell of a plan.
    if record.status != Status::Ok || record.pass == Pass::UnitCosts {
        return;
    }
    let Some(cell) = plan.cells.iter().find(|cell| cell.id == record.cell) else {
        void(record, format!("cell `{}` is not in the plan", record.cell));
        return;
    };
    if record.layout >= plan.layouts.max(1) {
        let there = plan.layouts.max(1);
        void(record, format!("it ran code layout {}, and the study has {there}: it is of another one", record.layout));
        return;
    }
    let Some(measured) = &record.measured else {
        // A program that is measured from outside need not say anything, unless the config says that it proves something.
        let is_outside = plan.workloads.iter().any(|w| w.name == record.workload && w.response.is_outside());
        let promised = if record.pass == Pass::CountingIdle { None } else { promised(plan, cell) };
        let trouble = match (is_outside, promised) {
            (true, None) => hidden_peak(plan, record),
            (true, Some(what)) => {
                Some(format!("no result line at the end of its output, and {what} is to be proven by it"))
            }
            (false, _) => Some("no result line".to_owned()),
        };
        trouble.into_iter().for_each(|reason| void(record, reason));
        return;
    };
    let trouble = served_by(cell, record.pass, measured)
        .or_else(|| rejected(measured))
        .or_else(|| plan.factors.iter().find_map(|factor| levels(cell, factor, measured)))
        .or_else(|| plan.factors.iter().find_map(|factor| counters(cell, factor, measured)))
        .or_else(|| cell.expect_zero.iter().find_map(|name| expected_zero(cell, name, measured)))
        .or_else(|| if record.pass == Pass::CountingIdle { None } else { values(measured) })
        .or_else(|| judged_by(plan, record, measured))
        .or_else(|| hidden_peak(plan, record));
    if let Some(reason) = trouble {
        void(record, reason);
    }
}

/// The number that the workload is judged by, when it is one of the program's own and not there. Runs with counters
/// attached may leave out what takes requests to find out.
fn judged_by(plan: &StudyPlan, record: &Record, measured: &Measured) -> Option<String> {
    let workload = plan.workloads.iter().find(|w| w.name == record.workload)?;
    let MainResponse::Value(value) = workload.response else { return None };
    let is_missing = record.pass == Pass::Timing && !measured.values.contains_key(value.name());
    is_missing.then(|| {
        let there: Vec<&str> = measured.values.keys().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        format!(
            "`{}` is judged by value `{}`, which the run did not report: its values are {there}",
            workload.name,
            value.name()
        )
    })
}

/// A peak of resident memory that the workload is judged by and that may be the runner's own.
fn hidden_peak(plan: &StudyPlan, record: &Record) -> Option<String> {
    let is_judged = plan.workloads.iter().any(|w| w.name == record.workload && w.response == MainResponse::RssPeak);
    let is_hidden = is_judged && record.pass == Pass::Timing && record.rss_peak_bytes().is_none();
    is_hidden.then(|| {
        // Whole MiB, so that the same reason is not told in as many words as there are runs.
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "a peak of {} MiB, seen from outside, is not above the {} MiB that the runner had when it started the process, so \
             it may be the runner's; print `rss_peak_bytes`",
            mebibytes(record.process_rss_peak_bytes),
            mebibytes(record.runner_rss_bytes.unwrap_or(0))
        )
    })
}

/// What only a result line of this cell can prove.
fn promised(plan: &StudyPlan, cell: &CellPlan) -> Option<String> {
    let factor = plan.factors.iter().find(|f| !f.proof.is_empty() && cell.levels.contains_key(&f.name));
    let served = cell.served_by.as_ref().map(|who| format!("that `{who}` served"));
    served
        .or_else(|| factor.map(|factor| format!("the level of `{}`", factor.name)))
        .or_else(|| cell.expect_zero.first().cloned())
}

/// [`prove`], and then lets go of what a report does not need: the levels, which are the plan's, all counters but those
/// that show a source at work that did nothing, and everything that a run measured which does not count. Most of a
/// record's memory is in these.
///
/// Not to be proven again: its levels are gone.
pub fn settle(plan: &StudyPlan, record: &mut Record) {
    prove(plan, record);
    if record.status != Status::Ok {
        record.measured = None;
        return;
    }
    let Some(measured) = &mut record.measured else { return };
    let levels = plan.cells.iter().find(|cell| cell.id == record.cell).map(|cell| &cell.levels);
    let at_work = |f: &&FactorPlan| levels.and_then(|l| l.get(&f.name)).is_some_and(|level| works(level));
    let mut still: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for name in plan.factors.iter().filter(at_work).flat_map(|factor| &factor.proof) {
        if let (Some(0), Some((factor, own))) = (counter(measured, name), name.split_once('.')) {
            still.entry(factor.to_owned()).or_default().insert(own.to_owned(), 0);
        }
    }
    measured.counters = still;
    measured.levels = BTreeMap::new();
    measured.batches_ns.shrink_to_fit();
    measured.contention_probes_ns.shrink_to_fit();
}

/// Whether a factor does its work at a level.
fn works(level: &str) -> bool {
    level != "off" && level != "absent"
}

/// Share of the runs in which a source may have had nothing to do and still counts as at work: a program that decides by
/// chance sometimes decides otherwise.
const SLEPT: f64 = 0.05;

/// Whether a factor's proof counters moved in the runs of a cell that was run for time or for counts; with a sentence of
/// evidence when they did not in a few of them.
///
/// # Errors
/// The reason when they were too many: which counters stayed 0, and in how many runs.
pub fn exercised<'a>(
    factor: &FactorPlan,
    runs: impl IntoIterator<Item = &'a Measured>,
) -> Result<Option<String>, String> {
    if factor.proof.is_empty() {
        // It has no counters; whether it did anything is seen in exact counts or in the binaries.
        return Ok(None);
    }
    let (mut still, mut all) = (0, 0);
    for measured in runs {
        all += 1;
        // A proven run has all counters of a source at work; only those at 0 are kept ([`settle`]).
        still += u32::from(factor.proof.iter().all(|name| counter(measured, name) == Some(0)));
    }
    if still == 0 {
        return Ok(None);
    }
    let evidence =
        format!("{} stayed 0 in {still} of {all} runs although `{}` is on", factor.proof.join(", "), factor.name);
    if f64::from(still) <= SLEPT * f64::from(all) { Ok(Some(evidence)) } else { Err(evidence) }
}

/// Value of `factor.counter` in a receipt.
pub fn counter(measured: &Measured, name: &str) -> Option<u64> {
    let (factor, counter) = name.split_once('.')?;
    measured.counters.get(factor)?.get(counter).copied()
}

fn void(record: &mut Record, reason: String) {
    record.status = Status::Invalid;
    record.reason = reason;
}

fn served_by(cell: &CellPlan, pass: Pass, measured: &Measured) -> Option<String> {
    let expected = cell.served_by.as_deref()?;
    let seen = measured.served_by.as_deref();
    if seen.is_none() && pass != Pass::Timing {
        // Finding out takes requests that would be counted; the timing runs of the same cell prove it.
        return None;
    }
    (seen != Some(expected)).then(|| format!("served by `{}`, expected `{expected}`", seen.unwrap_or("nobody named")))
}

fn rejected(measured: &Measured) -> Option<String> {
    (!measured.env_rejected.is_empty())
        .then(|| format!("the program refused its environment: {}", measured.env_rejected.join("; ")))
}

fn levels(cell: &CellPlan, factor: &FactorPlan, measured: &Measured) -> Option<String> {
    let expected = cell.levels.get(&factor.name)?;
    let seen = measured.levels.get(&factor.name);
    (seen != Some(expected)).then(|| {
        let seen = seen.map_or("no level", String::as_str);
        format!("factor `{}`: expected level `{expected}`, seen `{seen}`", factor.name)
    })
}

fn counters(cell: &CellPlan, factor: &FactorPlan, measured: &Measured) -> Option<String> {
    let level = cell.levels.get(&factor.name)?;
    let idle = !works(level);
    factor.proof.iter().find_map(|name| match counter(measured, name) {
        Some(value) if idle && value > 0 => {
            Some(format!("factor `{}` is {level}: expected counter {name} at 0, seen {value}", factor.name))
        }
        None if !idle => Some(format!("factor `{}` is {level}, but the run reported no counter {name}", factor.name)),
        _ => None,
    })
}

fn expected_zero(cell: &CellPlan, name: &str, measured: &Measured) -> Option<String> {
    match counter(measured, name) {
        Some(0) => None,
        Some(value) => Some(format!("expected counter {name} at 0 in this treatment, seen {value}")),
        // A part that is switched off or not built in need not report what it does not do.
        None => {
            let level = name.split_once('.').and_then(|(factor, _)| cell.levels.get(factor));
            let idle = level.is_some_and(|level| !works(level));
            (!idle).then(|| format!("expected counter {name} at 0 in this treatment, but the run reported none"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;
    use ablate_format::MainResponse;

    fn check(change: impl FnOnce(&mut Record), cell: &str, expected: &str) {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let mut record = study.timing("w", cell, 0, 100.0);
        prove(&study.manifest.plan, &mut record);
        assert_eq!((record.status, record.reason.as_str()), (Status::Ok, ""), "untouched");
        change(&mut record);
        prove(&study.manifest.plan, &mut record);
        assert_eq!((record.status, record.reason.as_str()), (Status::Invalid, expected));
    }

    fn measured(record: &mut Record) -> &mut Measured {
        record.measured.as_mut().unwrap()
    }

    fn set(record: &mut Record, factor: &str, value: u64) {
        measured(record).counters.entry(factor.into()).or_default().insert("moves".into(), value);
    }

    #[test]
    fn contradictions_void_a_run() {
        check(|r| measured(r).served_by = None, "baseline", "served by `nobody named`, expected `subject`");
        check(|r| measured(r).served_by = Some("libc".into()), "peer-fast", "served by `libc`, expected `fast`");
        let refused = "the program refused its environment: X=7: no such value";
        check(|r| measured(r).env_rejected = vec!["X=7: no such value".into()], "baseline", refused);
        let level = "factor `cache`: expected level `off`, seen `on`";
        check(|r| _ = measured(r).levels.insert("cache".into(), "on".into()), "no-cache@env", level);
        let none = "factor `tick`: expected level `on`, seen `no level`";
        check(|r| _ = measured(r).levels.remove("tick"), "baseline", none);
        let moved = "factor `cache` is off: expected counter cache.moves at 0, seen 3";
        check(|r| set(r, "cache", 3), "no-cache@env", moved);
        let moved = "factor `cache` is absent: expected counter cache.moves at 0, seen 1";
        check(|r| set(r, "cache", 1), "no-cache@feature", moved);
        let missing = "factor `cache` is on, but the run reported no counter cache.moves";
        check(|r| _ = measured(r).counters.remove("cache"), "baseline", missing);
        check(|r| r.measured = None, "baseline", "no result line");
        check(|r| r.cell = "other".into(), "baseline", "cell `other` is not in the plan");
        let other = "it ran code layout 3, and the study has 1: it is of another one";
        check(|r| r.layout = 3, "baseline", other);
        check(|r| measured(r).operations = 0, "baseline", "0 operations were measured");
        let absurd = "latencies are no times: p10, p50, p99 = [NaN, 102.0, 110.0] ns";
        check(|r| measured(r).latency_ns_p10 = f64::NAN, "baseline", absurd);
        let order = "percentiles are out of order: p10, p50, p99 = [100.0, 102.0, 5.0] ns";
        check(|r| measured(r).latency_ns_p99 = 5.0, "baseline", order);
    }

    #[test]
    fn a_workload_that_is_judged_by_a_value_needs_it_while_timing() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::named("value:held_bytes").unwrap();
        let judged = |pass: Pass, values: &[(&str, f64)]| {
            let mut record = study.timing("w", "peer-fast", 0, 100.0);
            record.pass = pass;
            measured(&mut record).values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
            prove(&study.manifest.plan, &mut record);
            record.reason
        };
        let missing = "`w` is judged by value `held_bytes`, which the run did not report: its values are";
        assert_eq!(judged(Pass::Timing, &[]), format!("{missing} none"));
        assert_eq!(judged(Pass::Timing, &[("spans", 3.0)]), format!("{missing} spans"));
        assert_eq!(judged(Pass::Timing, &[("held_bytes", 3.0)]), "");
        assert_eq!(judged(Pass::Counting, &[]), "");
        assert_eq!(judged(Pass::Timing, &[("held_bytes", f64::NAN)]), "its value `held_bytes` is no number: NaN");
    }

    #[test]
    fn a_peak_that_may_be_the_runner_s_is_no_peak_of_the_program() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::RssPeak;
        let judged = |study: &Study, pass: Pass, own: Option<u64>, is_silent: bool| {
            let mut record = study.timing("w", "peer-fast", 0, 100.0);
            (record.pass, record.process_rss_peak_bytes, record.runner_rss_bytes) = (pass, 3 << 20, Some(8 << 20));
            measured(&mut record).rss_peak_bytes = own;
            record.measured = record.measured.filter(|_| !is_silent);
            prove(&study.manifest.plan, &mut record);
            record.reason
        };
        let hidden = "a peak of 3 MiB, seen from outside, is not above the 8 MiB that the runner had";
        assert!(judged(&study, Pass::Timing, None, false).starts_with(hidden));
        assert_eq!(judged(&study, Pass::Timing, Some(2 << 20), false), "");
        assert_eq!(judged(&study, Pass::Counting, None, false), "");
        study.cell("peer-fast").served_by = None;
        assert!(judged(&study, Pass::Timing, None, true).starts_with(hidden));
        study.manifest.plan.workloads[0].response = MainResponse::Wall;
        assert_eq!(judged(&study, Pass::Timing, None, true), "");
    }

    #[test]
    fn a_settled_run_keeps_what_shows_a_source_that_slept() {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let mut record = study.timing("w", "no-tick@env", 0, 100.0);
        set(&mut record, "cache", 0);
        settle(&study.manifest.plan, &mut record);
        assert_eq!(record.status, Status::Ok);
        let kept = record.measured.as_ref().unwrap();
        assert!(kept.levels.is_empty() && kept.latency_ns_p10 == 100.0);
        let factors = &study.manifest.plan.factors;
        assert_eq!(
            exercised(&factors[0], [kept]),
            Err("cache.moves stayed 0 in 1 of 1 runs although `cache` is on".into())
        );
        let names: Vec<&String> = kept.counters.keys().collect();
        assert_eq!(names, ["cache"], "tick is off, so that its 0 says nothing");
        let mut moved = study.timing("w", "baseline", 0, 100.0);
        settle(&study.manifest.plan, &mut moved);
        let kept = moved.measured.as_ref().unwrap();
        assert_eq!((exercised(&factors[0], [kept]), kept.counters.len()), (Ok(None), 0));
        let mut void = study.timing("w", "no-tick@env", 0, 100.0);
        set(&mut void, "tick", 5);
        settle(&study.manifest.plan, &mut void);
        assert!(void.status == Status::Invalid && void.measured.is_none(), "{}", void.reason);
    }

    #[test]
    fn expected_zeros_are_held() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.cell("no-cache@env").expect_zero = vec!["other.steps".into()];
        let mut record = study.timing("w", "no-cache@env", 0, 100.0);
        measured(&mut record).counters.insert("other".into(), [("steps".to_owned(), 2)].into());
        prove(&study.manifest.plan, &mut record);
        assert_eq!(record.reason, "expected counter other.steps at 0 in this treatment, seen 2");
    }

    #[test]
    fn other_failures_are_left_alone() {
        let study = Study::new(&["cache"], &["w"]);
        let mut record = study.failed("w", "baseline", 0, Status::Crashed, "signal 11");
        prove(&study.manifest.plan, &mut record);
        assert_eq!((record.status, record.reason.as_str()), (Status::Crashed, "signal 11"));
        let mut idle = study.timing("w", "baseline", 0, 1.0);
        idle.pass = Pass::CountingIdle;
        measured(&mut idle).operations = 0;
        prove(&study.manifest.plan, &mut idle);
        assert_eq!(idle.status, Status::Ok);
    }

    #[test]
    fn counting_may_leave_out_who_served_but_not_name_another() {
        let study = Study::new(&["cache"], &["w"]);
        for pass in [Pass::Counting, Pass::CountingIdle] {
            for (served_by, status) in [(None, Status::Ok), (Some("libc".to_owned()), Status::Invalid)] {
                let mut record = study.timing("w", "baseline", 0, 100.0);
                record.pass = pass;
                measured(&mut record).served_by = served_by;
                prove(&study.manifest.plan, &mut record);
                assert_eq!(record.status, status, "{pass:?} {}", record.reason);
            }
        }
    }

    #[test]
    fn a_program_that_is_measured_from_outside_still_proves_what_it_promised() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::Wall;
        let silent = |study: &Study, pass: Pass| {
            let mut record = study.timing("w", "baseline", 0, 100.0);
            (record.pass, record.measured) = (pass, None);
            prove(&study.manifest.plan, &mut record);
            (record.status, record.reason)
        };
        let (status, reason) = silent(&study, Pass::Timing);
        assert!(status == Status::Invalid && reason.contains("to be proven by it"), "{reason}");
        assert_eq!(silent(&study, Pass::CountingIdle).0, Status::Ok);
        study.manifest.plan.factors[0].proof.clear();
        study.cell("baseline").served_by = None;
        assert_eq!(silent(&study, Pass::Timing).0, Status::Ok);
    }

    #[test]
    fn exercised_needs_almost_every_run() {
        let study = Study::new(&["cache"], &["w"]);
        let factor = &study.manifest.plan.factors[0];
        let moved = study.timing("w", "baseline", 0, 1.0).measured.unwrap();
        let mut still = study.timing("w", "baseline", 1, 1.0);
        set(&mut still, "cache", 0);
        let still = still.measured.unwrap();
        assert_eq!(exercised(factor, [&moved]), Ok(None));
        let reason = exercised(factor, [&moved, &still]).unwrap_err();
        assert_eq!(reason, "cache.moves stayed 0 in 1 of 2 runs although `cache` is on");
        let one_of = |all: usize| exercised(factor, std::iter::repeat_n(&moved, all - 1).chain([&still]));
        assert!(one_of(19).is_err());
        let evidence = one_of(20).expect("almost always at work").expect("it is said");
        assert_eq!(evidence, "cache.moves stayed 0 in 1 of 20 runs although `cache` is on");
    }
}
